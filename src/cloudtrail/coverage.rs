//! Which hours of a window are proven, and why the others are not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, Window};

/// How long after an event its log is delivered, at the most, in ordinary operation, in seconds.
///
/// AWS says about 5 minutes on average; the longest among 33,377 public real events was 10.1 minutes. An hour counts as proven
/// only when the digests prove its deliveries for this much longer.
pub const DELIVERY_LAG: i64 = 15 * 60;
/// How far ahead of the window a log may be stamped that collect takes by its name alone, in seconds: CloudTrail cuts a file every five
/// minutes, so the file that holds the first event may be stamped that much earlier.
pub const STAMPED_BEFORE: i64 = 5 * 60;
/// How far behind it, in seconds. Later deliveries are found through the digests that name them.
pub const STAMPED_AFTER: i64 = 2 * 3600;

/// What can be said of a stretch of time, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HourStatus {
    /// A verified digest covers it, and every log it lists is there and verified.
    Verified,
    /// Something that covers it was changed or deleted, and its genuine bytes were recovered from an older version and verified.
    Recovered,
    /// Too fresh: the digest that will cover it had not been delivered when the evidence was collected.
    Pending,
    /// The trail was switched off, and events in verified logs or the trail's status say so.
    LoggingOff,
    /// A new chain begins behind it, and nothing in the case says why.
    Restart,
    /// There never was a digest that could cover it, as far as the case shows.
    NoDigests,
    /// A digest or log that covers it could not be fetched.
    Unreadable,
    /// A log that a verified digest lists is not there.
    LogMissing,
    /// A digest that a verified digest or the trail's status names is not there.
    DigestMissing,
    /// A digest that should cover it does not verify.
    DigestInvalid,
    /// A log that a verified digest lists has other content.
    LogModified,
}

impl HourStatus {
    /// The word in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Recovered => "recovered",
            Self::Pending => "pending",
            Self::LoggingOff => "logging-off",
            Self::Restart => "restart",
            Self::NoDigests => "no-digests",
            Self::Unreadable => "unreadable",
            Self::LogMissing => "log-missing",
            Self::DigestMissing => "digest-missing",
            Self::DigestInvalid => "digest-invalid",
            Self::LogModified => "log-modified",
        }
    }
}

/// What is known of the time around a window, stretch by stretch; where stretches overlap the worst holds.
#[derive(Clone, Debug)]
pub struct Timeline {
    window: Window,
    stretches: Vec<(Timestamp, Timestamp, HourStatus)>,
}

/// Hours of the same status in a row, whole hours though the window may cut the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourRange {
    /// The start of the first hour.
    pub from: Timestamp,
    /// The end of the last hour.
    pub to: Timestamp,
    /// What can be said of them.
    pub status: HourStatus,
}

impl Timeline {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Self { window, stretches: Vec::new() }
    }

    /// Says what holds from `from` up to, not including, `to`.
    pub fn add(&mut self, from: Timestamp, to: Timestamp, status: HourStatus) {
        if from < to {
            self.stretches.push((from, to, status));
        }
    }

    /// The status of every hour of the window, in order; `otherwise` is that of time about which nothing was said.
    #[must_use]
    pub fn hours(&self, otherwise: HourStatus) -> Vec<(Timestamp, HourStatus)> {
        let index = self.index(otherwise);
        let mut hours = Vec::new();
        let mut hour = self.window.start().floor_hour();
        while hour < self.window.end() {
            let next = hour.plus_seconds(3600);
            if next <= hour {
                break;
            }
            let from = hour.max(self.window.start());
            let to = next.min(self.window.end()).plus_seconds(DELIVERY_LAG);
            hours.push((hour, index.worst(from, to)));
            hour = next;
        }
        hours
    }

    /// What is known by now, made ready to be asked about any number of stretches of time.
    #[must_use]
    pub fn index(&self, otherwise: HourStatus) -> Index {
        Index::new(&self.stretches, otherwise)
    }
}

/// A timeline that tells the worst status of a stretch in a time that hardly grows with what is known.
#[derive(Clone, Debug)]
pub struct Index {
    /// Where each piece begins; it ends where the next one begins. The first one reaches back for ever.
    starts: Vec<Timestamp>,
    /// The worst of each piece; in the next level the worst of two in a row, then of four, and so on.
    levels: Vec<Vec<HourStatus>>,
}

impl Index {
    fn new(stretches: &[(Timestamp, Timestamp, HourStatus)], otherwise: HourStatus) -> Self {
        // At each instant, which statuses begin there, and which end.
        let mut changes: Vec<(Timestamp, HourStatus, bool)> = Vec::with_capacity(stretches.len() * 2);
        for (from, to, status) in stretches {
            changes.push((*from, *status, true));
            changes.push((*to, *status, false));
        }
        changes.sort_unstable();
        let (mut open, mut starts, mut pieces) = (BTreeMap::<HourStatus, u64>::new(), Vec::new(), vec![otherwise]);
        for together in changes.chunk_by(|a, b| a.0 == b.0) {
            for (_, status, begins) in together.iter().rev() {
                let count = open.entry(*status).or_default();
                *count = if *begins { *count + 1 } else { count.saturating_sub(1) };
                if *count == 0 {
                    open.remove(status);
                }
            }
            let worst = open.last_key_value().map_or(otherwise, |(status, _)| *status);
            if let Some((at, ..)) = together.first()
                && pieces.last() != Some(&worst)
            {
                starts.push(*at);
                pieces.push(worst);
            }
        }
        let mut levels = vec![pieces];
        let mut width = 1;
        while let Some(below) = levels.last().filter(|below| below.len() > width) {
            let wider = below.iter().zip(below.get(width..).unwrap_or_default()).map(|(a, b)| *a.max(b)).collect();
            levels.push(wider);
            width *= 2;
        }
        Self { starts, levels }
    }

    /// The worst status from `from` up to, not including, `to`.
    #[must_use]
    pub fn worst(&self, from: Timestamp, to: Timestamp) -> HourStatus {
        let first = self.starts.partition_point(|start| *start <= from);
        let last = self.starts.partition_point(|start| *start < to).max(first);
        // Two overlapping runs, each as wide as the widest power of two that fits.
        let level = usize::try_from((last - first + 1).ilog2()).unwrap_or(0);
        let of = |at: usize| self.levels.get(level).and_then(|pieces| pieces.get(at)).copied();
        let behind = (last + 1).saturating_sub(1 << level);
        of(first).max(of(behind)).unwrap_or(HourStatus::Verified)
    }
}

/// How many hours have each status.
#[must_use]
pub fn count_hours(hours: &[(Timestamp, HourStatus)]) -> BTreeMap<HourStatus, u64> {
    let mut counts = BTreeMap::new();
    for (_, status) in hours {
        *counts.entry(*status).or_default() += 1;
    }
    counts
}

/// Hours in a row of the same status, those not verified only.
#[must_use]
pub fn uncovered_ranges(hours: &[(Timestamp, HourStatus)]) -> Vec<HourRange> {
    let mut ranges: Vec<HourRange> = Vec::new();
    for (hour, status) in hours.iter().filter(|(_, status)| *status != HourStatus::Verified) {
        match ranges.last_mut() {
            Some(range) if range.to == *hour && range.status == *status => range.to = hour.plus_seconds(3600),
            _ => ranges.push(HourRange { from: *hour, to: hour.plus_seconds(3600), status: *status }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(clock: &str) -> Timestamp {
        format!("2026-03-01T{clock}Z").parse().unwrap()
    }

    fn timeline(stretches: &[(&str, &str, HourStatus)]) -> Vec<HourStatus> {
        let mut timeline = Timeline::new(Window::new(at("02:00:00"), at("06:00:00")).unwrap());
        for (from, to, status) in stretches {
            timeline.add(at(from), at(to), *status);
        }
        timeline.hours(HourStatus::NoDigests).into_iter().map(|(_, status)| status).collect()
    }

    #[test]
    fn an_hour_is_verified_only_when_digests_cover_it_and_its_late_deliveries() {
        use HourStatus::{NoDigests, Verified};
        assert_eq!(timeline(&[("01:41:21", "06:15:00", Verified)]), [Verified; 4]);
        assert_eq!(timeline(&[("01:41:21", "06:14:59", Verified)]), [Verified, Verified, Verified, NoDigests]);
        assert_eq!(timeline(&[("02:00:01", "07:00:00", Verified)]), [NoDigests, Verified, Verified, Verified]);
    }

    /// The worst status, found the slow way; `stretches` are sorted by their start.
    fn worst(
        stretches: &[(Timestamp, Timestamp, HourStatus)],
        from: Timestamp,
        to: Timestamp,
        otherwise: HourStatus,
    ) -> HourStatus {
        let mut known_until = from;
        let mut worst = HourStatus::Verified;
        for (start, end, status) in stretches {
            if *start >= to {
                break;
            }
            if *end <= from {
                continue;
            }
            if *start > known_until {
                worst = worst.max(otherwise);
            }
            worst = worst.max(*status);
            known_until = known_until.max(*end);
        }
        if known_until < to { worst.max(otherwise) } else { worst }
    }

    #[test]
    fn an_index_says_what_the_timeline_says() {
        use HourStatus::{DigestMissing, LogModified, NoDigests, Pending, Recovered, Verified};
        let mut timeline = Timeline::new(Window::new(at("02:00:00"), at("06:00:00")).unwrap());
        let start = at("00:00:00");
        // Stretches that follow, overlap, repeat and leave holes.
        let mut seed = 7_i64;
        for number in 0..60 {
            seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
            let from = start.plus_seconds(seed % 28_800);
            let status =
                [Verified, Verified, Recovered, Pending, DigestMissing, LogModified][usize::try_from(seed % 6).unwrap()];
            timeline.add(from, from.plus_seconds(1 + seed % (60 * (number + 1))), status);
            let index = timeline.index(NoDigests);
            let mut stretches = timeline.stretches.clone();
            stretches.sort();
            for minute in (0..480).step_by(7) {
                for seconds in [1, 60, 1_200, 7_200] {
                    let from = start.plus_seconds(minute * 60);
                    let to = from.plus_seconds(seconds);
                    assert_eq!(index.worst(from, to), worst(&stretches, from, to, NoDigests), "{from} to {to}");
                }
            }
        }
    }

    #[test]
    fn a_hole_marks_every_hour_it_touches() {
        use HourStatus::{DigestMissing, Verified};
        let hours = timeline(&[
            ("01:41:21", "03:41:21", Verified),
            ("03:41:21", "04:41:21", DigestMissing),
            ("04:41:21", "06:41:21", Verified),
        ]);
        assert_eq!(hours, [Verified, DigestMissing, DigestMissing, Verified]);
    }

    #[test]
    fn the_worst_holds_where_stretches_overlap() {
        use HourStatus::{LogModified, Verified};
        let hours = timeline(&[("01:00:00", "07:00:00", Verified), ("02:30:00", "02:31:00", LogModified)]);
        assert_eq!(hours, [LogModified, Verified, Verified, Verified]);
    }

    #[test]
    fn a_window_that_cuts_hours_counts_them_once_and_reports_whole_hours() {
        let window = Window::new(at("02:30:00"), at("04:10:00")).unwrap();
        let hours = Timeline::new(window).hours(HourStatus::Pending);
        assert_eq!(hours.len(), 3);
        let ranges = uncovered_ranges(&hours);
        assert_eq!(ranges, [HourRange { from: at("02:00:00"), to: at("05:00:00"), status: HourStatus::Pending }]);
        assert_eq!(count_hours(&hours), BTreeMap::from([(HourStatus::Pending, 3)]));
    }
}
