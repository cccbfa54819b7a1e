//! The hours of a window, region by region, as a picture that fits a terminal of 80 columns.

use crate::cloudtrail::coverage::HourStatus;
use crate::model::{Timestamp, Window};
use crate::verify::{TrailReport, Unread};

use super::super::output::{Output, counted, thousands, width, wrapped};

/// Most and fewest signs in a row of the picture, whatever room there is.
const SIGNS: (usize, usize) = (28, 8);

/// A picture for each trail and account: a row a region, with what is proven of its hours, digests and logs.
pub(super) fn lines(trails: &[TrailReport], window: Option<&Window>, unread: Unread) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = trails;
    while let Some(first) = rest.first() {
        let of_it = rest.iter().take_while(|row| row.trail_arn == first.trail_arn && row.account == first.account).count();
        let (rows, later) = rest.split_at(of_it.max(1));
        lines.push(String::new());
        lines.push(Output::bold(&wrapped(&name_of(first), "")));
        lines.extend(picture(rows, window, unread));
        rest = later;
    }
    lines.extend(beside_each_other(legend(trails, unread).into_iter().map(|(sign, words)| format!("{sign} {words}"))));
    let fresh: u64 = trails.iter().map(|row| row.logs.pending).sum();
    if fresh > 0 {
        lines.push(format!("  {} too new for any digest there is, so not counted", counted(fresh, "log")));
    }
    lines
}

/// As many entries in a line as there is room for.
fn beside_each_other(entries: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for entry in entries {
        match lines.last_mut() {
            Some(line) if line.chars().count() + entry.chars().count() + 3 <= width() => {
                line.push_str("   ");
                line.push_str(&entry);
            }
            _ => lines.push(format!("  {entry}")),
        }
    }
    lines
}

fn name_of(trail: &TrailReport) -> String {
    let name = trail.trail_arn.rsplit('/').next().unwrap_or_default();
    format!("CloudTrail: trail {name} of {}, at home in {}", trail.account, trail.home_region)
}

fn picture(rows: &[TrailReport], window: Option<&Window>, unread: Unread) -> Vec<String> {
    let counts: Vec<[String; 4]> = rows.iter().map(counts).collect();
    let scale = window.map(|window| Scale::of(window, room(&counts)));
    let cells: Vec<[String; 5]> = rows
        .iter()
        .zip(counts)
        .map(|(row, [region, hours, digests, logs])| {
            [region, scale.as_ref().map(|scale| scale.signs(row, unread)).unwrap_or_default(), hours, digests, logs]
        })
        .collect();
    let ruler = scale.as_ref().map(Scale::ruler).unwrap_or_default();
    let header = ["Region".to_owned(), ruler, "Hours".to_owned(), "Digests".to_owned(), "Logs".to_owned()];
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let all = cells.iter().chain([&header]).filter_map(|row| row.get(column));
        all.map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[String; 5]| {
        let [region, signs, hours, digests, logs] = row;
        let [first, second, third, fourth, fifth] = widths;
        format!("  {region:first$}  {signs:second$}  {hours:>third$}  {digests:>fourth$}  {logs:>fifth$}").trim_end().to_owned()
    };
    let mut lines: Vec<String> = Vec::new();
    if let (Some(scale), Some(window)) = (&scale, window) {
        lines.push(format!(
            "  {window} (UTC), one sign for {}",
            if scale.hours == 1 { "an hour".to_owned() } else { counted(scale.hours, "hour") }
        ));
    }
    lines.push(line(&header));
    lines.extend(cells.iter().map(line));
    lines
}

/// How many signs there is room for beside the widest numbers.
fn room(counts: &[[String; 4]]) -> u64 {
    let title = ["Region", "Hours", "Digests", "Logs"].map(str::to_owned);
    let widest = |column: usize| {
        let all = counts.iter().chain([&title]).filter_map(|row| row.get(column));
        all.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let taken: usize = (0..4).map(|column| widest(column) + 2).sum();
    let (most, fewest) = SIGNS;
    u64::try_from(width().saturating_sub(taken + 2).clamp(fewest, most)).unwrap_or(1)
}

fn counts(row: &TrailReport) -> [String; 4] {
    let hours: u64 = row.hours.values().sum();
    let proven = row.hours.get(&HourStatus::Verified).copied().unwrap_or(0);
    let digests = row.digests.verified + row.digests.invalid + row.digests.missing + row.digests.unreadable;
    let logs = &row.logs;
    let all = logs.verified + logs.modified + logs.missing + logs.malformed + logs.uncovered + logs.unreadable;
    [
        row.region.to_string(),
        format!("{}/{}", thousands(proven), thousands(hours)),
        format!("{}/{}", thousands(row.digests.verified), thousands(digests)),
        format!("{}/{}", thousands(logs.verified), thousands(all)),
    ]
}

/// How many hours a sign stands for.
struct Scale {
    start: Timestamp,
    end: Timestamp,
    hours: u64,
}

impl Scale {
    fn of(window: &Window, signs: u64) -> Self {
        let start = window.start().floor_hour();
        let seconds = (window.end().instant() - start.instant()).num_seconds();
        let hours = u64::try_from(seconds).unwrap_or(0).div_ceil(3600);
        Self { start, end: window.end(), hours: hours.div_ceil(signs).max(1) }
    }

    /// The beginning of every sign's time.
    fn steps(&self) -> Vec<Timestamp> {
        let (mut steps, mut at) = (Vec::new(), self.start);
        while at < self.end {
            steps.push(at);
            at = self.after(at);
        }
        steps
    }

    fn after(&self, at: Timestamp) -> Timestamp {
        at.plus_seconds(i64::try_from(self.hours).unwrap_or(1).saturating_mul(3600))
    }

    /// The worst of each step.
    fn signs(&self, row: &TrailReport, unread: Unread) -> String {
        let worst = |from: Timestamp| {
            let touching = row.uncovered_hours.iter().filter(|range| range.from < self.after(from) && range.to > from);
            touching.map(|range| range.status).max().unwrap_or(HourStatus::Verified)
        };
        self.steps().into_iter().map(worst).map(|status| sign(status, unread)).collect()
    }

    /// The hour of the day above every sixth sign, where a sign is an hour.
    fn ruler(&self) -> String {
        if self.hours > 1 {
            return String::new();
        }
        let mut ruler = String::new();
        for (number, at) in self.steps().into_iter().enumerate() {
            let hour = at.instant().format("%H").to_string();
            if matches!(hour.as_str(), "00" | "06" | "12" | "18") && ruler.len() <= number {
                ruler.extend(std::iter::repeat_n(' ', number - ruler.len()));
                ruler.push_str(&hour);
            }
        }
        ruler
    }
}

/// The sign of a status.
fn sign(status: HourStatus, unread: Unread) -> char {
    match status {
        HourStatus::Verified => '#',
        HourStatus::Recovered => 'r',
        HourStatus::LoggingOff => 'o',
        HourStatus::Pending => '.',
        HourStatus::Restart | HourStatus::NoDigests => '?',
        HourStatus::Unreadable if unread == Unread::NotFetched => '-',
        HourStatus::Unreadable => 'x',
        HourStatus::LogMissing | HourStatus::DigestMissing | HourStatus::DigestInvalid | HourStatus::LogModified => '!',
    }
}

/// The signs that occur, and what they stand for.
fn legend(trails: &[TrailReport], unread: Unread) -> Vec<(char, &'static str)> {
    let meanings = [
        ('#', "proven"),
        ('r', "recovered"),
        ('o', "logging off"),
        ('.', "pending"),
        ('?', "no proof"),
        (sign(HourStatus::Unreadable, unread), unread.in_a_legend()),
        ('!', "missing, changed or forged"),
    ];
    let there = |wanted: char| trails.iter().flat_map(|row| row.hours.keys()).any(|status| sign(*status, unread) == wanted);
    meanings.into_iter().filter(|(wanted, _)| there(*wanted)).collect()
}
