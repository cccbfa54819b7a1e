//! The picture of coverage: hours × region × trail, in colours that colour-blind readers tell apart, each with a sign of its own.

use std::collections::BTreeMap;

use crate::cloudtrail::coverage::HourStatus;
use crate::model::{Timestamp, Window};
use crate::verify::{TrailReport, Unread};

use super::markup::Markup;

/// Cells in a row at the most; a longer window has more hours in each.
const CELLS: u64 = 96;
/// Where the cells begin, and where they end.
const LEFT: u64 = 112;
const RIGHT: u64 = 796;
const ROW: u64 = 22;

/// What a cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shade {
    Proven,
    Recovered,
    Pending,
    Off,
    Unproven,
    Unreadable,
    Broken,
}

impl Shade {
    const ALL: [Self; 7] =
        [Self::Proven, Self::Recovered, Self::Pending, Self::Off, Self::Unproven, Self::Unreadable, Self::Broken];

    fn of(status: HourStatus) -> Self {
        match status {
            HourStatus::Verified => Self::Proven,
            HourStatus::Recovered => Self::Recovered,
            HourStatus::LoggingOff => Self::Off,
            HourStatus::Pending => Self::Pending,
            HourStatus::Restart | HourStatus::NoDigests => Self::Unproven,
            HourStatus::Unreadable => Self::Unreadable,
            HourStatus::LogMissing | HourStatus::DigestMissing | HourStatus::DigestInvalid | HourStatus::LogModified => {
                Self::Broken
            }
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Recovered => "recovered",
            Self::Off => "off",
            Self::Pending => "pending",
            Self::Unproven => "unproven",
            Self::Unreadable => "unreadable",
            Self::Broken => "broken",
        }
    }

    fn sign(self, unread: Unread) -> &'static str {
        match self {
            Self::Proven => "",
            Self::Recovered => "r",
            Self::Off => "o",
            Self::Pending => "·",
            Self::Unproven => "?",
            Self::Unreadable if unread == Unread::NotFetched => "–",
            Self::Unreadable => "x",
            Self::Broken => "!",
        }
    }

    fn meaning(self, unread: Unread) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Recovered => "recovered: proven from an older version",
            Self::Off => "logging off",
            Self::Pending => "too fresh",
            Self::Unproven => "no proof possible",
            Self::Unreadable => unread.in_a_legend(),
            Self::Broken => "missing, changed or forged",
        }
    }
}

/// How a window is cut into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    start: Timestamp,
    hours: u64,
    hours_a_cell: u64,
}

impl Grid {
    fn of(window: Window) -> Self {
        let start = window.start().floor_hour();
        let seconds = (window.end().instant() - start.instant()).num_seconds();
        let hours = u64::try_from(seconds).unwrap_or(0).div_ceil(3600).max(1);
        Self { start, hours, hours_a_cell: hours.div_ceil(CELLS) }
    }

    fn cells(self) -> u64 {
        self.hours.div_ceil(self.hours_a_cell)
    }

    fn time(self, cell: u64) -> Timestamp {
        self.start.plus_seconds(i64::try_from(cell * self.hours_a_cell * 3600).unwrap_or(i64::MAX))
    }

    fn left(self, cell: u64) -> u64 {
        LEFT + cell * (RIGHT - LEFT) / self.cells()
    }

    /// The worst that is known of each cell.
    fn shades(self, trail: &TrailReport) -> Vec<Shade> {
        let mut shades = Vec::new();
        for cell in 0..self.cells() {
            let (from, to) = (self.time(cell), self.time(cell + 1));
            let within = trail.uncovered_hours.iter().filter(|range| range.from < to && range.to > from);
            shades.push(within.map(|range| Shade::of(range.status)).max().unwrap_or(Shade::Proven));
        }
        shades
    }
}

/// Draws the picture, with its legend.
pub(super) fn draw(page: &mut Markup, window: Window, trails: &[TrailReport], unread: Unread) {
    let grid = Grid::of(window);
    let mut by_trail: BTreeMap<&str, Vec<&TrailReport>> = BTreeMap::new();
    for trail in trails {
        by_trail.entry(&trail.trail_arn).or_default().push(trail);
    }
    page.raw("<p class=\"legend\">");
    for shade in Shade::ALL {
        page.raw("<span class=\"key ").raw(shade.class()).raw("\">").text(shade.sign(unread)).raw("</span> ");
        page.text(shade.meaning(unread)).raw(" &nbsp; ");
    }
    page.raw("</p>\n");
    let unit = match grid.hours_a_cell {
        1 => "Each square is one hour, in UTC.".to_owned(),
        hours => format!("Each square is {hours} hours, in UTC, and shows the worst of them."),
    };
    page.within("<p class=\"small\">", unit, "</p>\n");
    for (arn, rows) in by_trail {
        let height = ROW * u64::try_from(rows.len()).unwrap_or(0) + 46;
        page.raw("<figure class=\"coverage\"><figcaption>").text(arn).raw("</figcaption>\n");
        page.raw("<svg viewBox=\"0 0 800 ").text(height).raw("\" role=\"img\" aria-label=\"Coverage of ").text(arn);
        page.raw("\" xmlns=\"http://www.w3.org/2000/svg\">\n");
        axis(page, grid, height);
        for (at, trail) in rows.iter().enumerate() {
            row(page, grid, (*trail, unread), 36 + ROW * u64::try_from(at).unwrap_or(0));
        }
        page.raw("</svg></figure>\n");
    }
}

/// Days above, hours below where there is room.
fn axis(page: &mut Markup, grid: Grid, height: u64) {
    let every = grid.cells().div_ceil(8).max(1);
    for cell in (0..grid.cells()).filter(|cell| cell % every == 0) {
        let (x, time) = (grid.left(cell), grid.time(cell).instant());
        page.raw("<line class=\"tick\" x1=\"")
            .text(x)
            .raw("\" y1=\"18\" x2=\"")
            .text(x)
            .raw("\" y2=\"")
            .text(height - 4)
            .raw("\"/>");
        page.raw("<text class=\"axis\" x=\"").text(x + 3).raw("\" y=\"13\">").text(time.format("%Y-%m-%d")).raw("</text>");
        page.raw("<text class=\"axis\" x=\"").text(x + 3).raw("\" y=\"29\">").text(time.format("%H:%M")).raw("</text>\n");
    }
}

fn row(page: &mut Markup, grid: Grid, (trail, unread): (&TrailReport, Unread), y: u64) {
    page.raw("<text class=\"region\" x=\"0\" y=\"").text(y + 15).raw("\">").text(&trail.region).raw("</text>\n");
    let shades = grid.shades(trail);
    for (cell, shade) in (0..).zip(&shades) {
        let (left, right) = (grid.left(cell), grid.left(cell + 1));
        page.raw("<rect class=\"").raw(shade.class()).raw("\" x=\"").text(left).raw("\" y=\"").text(y);
        page.raw("\" width=\"")
            .text((right - left).saturating_sub(2).max(1))
            .raw("\" height=\"")
            .text(ROW - 3)
            .raw("\"><title>");
        page.text(format_args!("{} from {}: {}", trail.region, grid.time(cell), shade.meaning(unread))).raw("</title></rect>");
        if !shade.sign(unread).is_empty() {
            page.raw("<text class=\"sign ").raw(shade.class()).raw("\" x=\"").text(u64::midpoint(left, right));
            page.raw("\" y=\"").text(y + 14).raw("\">").text(shade.sign(unread)).raw("</text>");
        }
    }
    page.raw("\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(start: &str, end: &str) -> Window {
        Window::new(start.parse().unwrap(), end.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_short_window_has_a_cell_an_hour_and_a_long_one_never_too_many() {
        let short = Grid::of(window("2026-03-01T10:30:00Z", "2026-03-01T13:00:00Z"));
        assert_eq!((short.cells(), short.hours_a_cell), (3, 1));
        let long = Grid::of(window("2025-03-01T00:00:00Z", "2026-03-01T00:00:00Z"));
        assert!(long.cells() <= CELLS && long.cells() * long.hours_a_cell >= 365 * 24, "{long:?}");
        assert_eq!((long.left(0), long.left(long.cells())), (LEFT, RIGHT));
    }

    #[test]
    fn every_shade_has_its_own_sign_and_class() {
        for unread in [Unread::NotFetched, Unread::Either, Unread::Unreadable] {
            let mut signs: Vec<_> = Shade::ALL.iter().map(|shade| (shade.sign(unread), shade.class())).collect();
            signs.sort_unstable();
            signs.dedup_by_key(|(sign, _)| *sign);
            assert_eq!(signs.len(), Shade::ALL.len());
        }
    }

    #[test]
    fn the_worse_an_hour_is_the_later_it_comes() {
        let statuses = [
            HourStatus::Verified,
            HourStatus::Recovered,
            HourStatus::Pending,
            HourStatus::LoggingOff,
            HourStatus::Restart,
            HourStatus::NoDigests,
            HourStatus::Unreadable,
            HourStatus::LogMissing,
            HourStatus::DigestMissing,
            HourStatus::DigestInvalid,
            HourStatus::LogModified,
        ];
        assert!(statuses.map(Shade::of).is_sorted(), "as verification orders them");
    }
}
