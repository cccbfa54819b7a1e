//! What the names of AWS's log files say, and which of them a window asks for (reference: CloudTrail and VPC user guides).

use chrono::{Datelike as _, NaiveDate, TimeDelta, Timelike as _};

use crate::cloudtrail::names::log_file;
use crate::model::{AccountId, Region, Timestamp, Window};

/// What stands behind the last `/` of a key.
pub(crate) fn file_name(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or_default()
}

/// The stamp of a CloudTrail log.
pub(crate) fn log_stamp(name: &str, account: AccountId, folder: &str, region: &Region) -> Option<Timestamp> {
    log_file(name, account, folder, region).map(|(stamp, _)| stamp)
}

/// The stamp of a VPC flow log: `ACCOUNT_vpcflowlogs_REGION_ID_YYYYMMDDTHHMMZ_HASH.log.gz` or `.log.parquet`.
pub(crate) fn flow_stamp(name: &str, account: AccountId, region: &Region) -> Option<Timestamp> {
    flow_name(name, account, region).map(|(_, stamp)| stamp)
}

/// The flow log in the name of one of its files, and the stamp.
pub(crate) fn flow_name<'a>(name: &'a str, account: AccountId, region: &Region) -> Option<(&'a str, Timestamp)> {
    let rest = name.strip_prefix(account.as_str())?.strip_prefix("_vpcflowlogs_")?.strip_prefix(region.as_str())?;
    let rest = rest.strip_prefix('_')?;
    let rest = rest.strip_suffix(".log.gz").or_else(|| rest.strip_suffix(".log.parquet"))?;
    let (rest, hash) = rest.rsplit_once('_')?;
    let (id, stamp) = rest.rsplit_once('_')?;
    (!hash.is_empty() && !id.is_empty()).then_some(())?;
    Some((id, Timestamp::from_minute_stamp(stamp)?))
}

/// The stamps and the day folders that a window asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StampRange {
    first: Timestamp,
    last: Timestamp,
    first_day: NaiveDate,
    day_after: NaiveDate,
}

impl StampRange {
    /// The stamps from `before` seconds ahead of the window, cut to the minute, to `after` seconds past it.
    pub(crate) fn around(window: Window, before: i64, after: i64, folders_before: i64) -> Self {
        let first = floor_minute(window.start().plus_seconds(-before));
        let last = window.end().plus_seconds(after);
        let first_day = window.start().plus_seconds(-folders_before).instant().date_naive();
        let last_day = last.instant().date_naive();
        Self { first, last, first_day, day_after: last_day.succ_opt().unwrap_or(last_day) }
    }

    pub(crate) fn holds(&self, stamp: Timestamp) -> bool {
        self.first <= stamp && stamp <= self.last
    }

    /// The first day folder, in the layout given.
    pub(crate) fn first_folder(&self, layout: DayLayout) -> String {
        layout.folder(self.first_day)
    }

    /// The day folder after the last.
    pub(crate) fn folder_after(&self, layout: DayLayout) -> String {
        layout.folder(self.day_after)
    }
}

/// The hours of a stretch of time, each to its last whole second, so that no event with whole seconds is in two of them.
pub(crate) fn hours(start: Timestamp, end: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let mut hours = Vec::new();
    let mut from = start;
    while from <= end {
        let next = from.plus_seconds(3600);
        if next <= from {
            break; // the end of all time
        }
        hours.push((from, next.plus_seconds(-1).min(end)));
        from = next;
    }
    hours
}

/// How days are named in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DayLayout {
    /// `2026/03/01/`
    Plain,
    /// `year=2026/month=03/day=01/`
    Hive,
}

impl DayLayout {
    pub(crate) fn folder(self, day: NaiveDate) -> String {
        let (year, month, day) = (day.year(), day.month(), day.day());
        match self {
            Self::Plain => format!("{year:04}/{month:02}/{day:02}/"),
            Self::Hive => format!("year={year:04}/month={month:02}/day={day:02}/"),
        }
    }
}

/// The folder of the day in which an instant lies.
pub(crate) fn day_folder(at: Timestamp) -> String {
    DayLayout::Plain.folder(at.instant().date_naive())
}

fn floor_minute(at: Timestamp) -> Timestamp {
    let over = i64::from(at.instant().second());
    let millis = TimeDelta::milliseconds(i64::from(at.instant().timestamp_subsec_millis()));
    Timestamp::new(at.plus_seconds(-over).instant() - millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    fn region() -> Region {
        "us-east-1".parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn window(start: &str, end: &str) -> Window {
        Window::new(at(start), at(end)).unwrap()
    }

    #[test]
    fn both_formats_of_flow_logs_have_stamps() {
        for format in ["log.gz", "log.parquet"] {
            let name = format!("111122223333_vpcflowlogs_us-east-1_fl-0123456789abcdef0_20260301T1620Z_fe123456.{format}");
            assert_eq!(flow_stamp(&name, account(), &region()), Some(at("2026-03-01T16:20:00Z")));
        }
        assert_eq!(flow_stamp("111122223333_vpcflowlogs_us-east-1_fl-1_20260301T1620Z.log.gz", account(), &region()), None);
    }

    #[test]
    fn stamps_reach_from_five_minutes_before_to_the_slack_after() {
        let range = StampRange::around(window("2026-03-01T09:00:30Z", "2026-03-01T10:00:00Z"), 300, 7200, 900);
        assert!(range.holds(at("2026-03-01T08:55:00Z")) && !range.holds(at("2026-03-01T08:50:00Z")));
        assert!(range.holds(at("2026-03-01T12:00:00Z")) && !range.holds(at("2026-03-01T12:05:00Z")));
    }

    #[test]
    fn a_window_that_starts_at_midnight_looks_into_the_day_before() {
        let range = StampRange::around(window("2026-03-01T00:00:00Z", "2026-03-01T23:00:00Z"), 300, 7200, 900);
        assert_eq!(range.first_folder(DayLayout::Plain), "2026/02/28/");
        assert_eq!(range.folder_after(DayLayout::Plain), "2026/03/03/");
        assert!(range.holds(at("2026-02-28T23:55:00Z")));
    }

    #[test]
    fn hours_follow_each_other_without_overlap_up_to_the_end() {
        let all = hours(at("2026-03-01T09:30:00Z"), at("2026-03-01T11:00:00Z"));
        assert_eq!(
            all,
            [
                (at("2026-03-01T09:30:00Z"), at("2026-03-01T10:29:59Z")),
                (at("2026-03-01T10:30:00Z"), at("2026-03-01T11:00:00Z"))
            ]
        );
        assert_eq!(hours(at("2026-03-01T09:00:00Z"), at("2026-03-01T10:00:00Z")).len(), 2, "the end itself is asked for");
    }

    #[test]
    fn a_window_inside_a_day_stays_in_it() {
        let range = StampRange::around(window("2026-03-01T09:00:00Z", "2026-03-01T10:00:00Z"), 300, 7200, 900);
        assert_eq!(range.first_folder(DayLayout::Hive), "year=2026/month=03/day=01/");
        assert_eq!(range.folder_after(DayLayout::Hive), "year=2026/month=03/day=02/");
    }
}
