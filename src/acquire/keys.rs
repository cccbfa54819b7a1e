//! What the names of AWS's log files say, and which of them a window asks for (reference: CloudTrail and VPC user guides).

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, TimeDelta, Timelike as _};

use crate::model::{AccountId, Region, Timestamp, Window};

/// The name of a digest, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DigestName {
    pub(crate) trail: String,
    pub(crate) home_region: Region,
    /// The end of the interval it covers.
    pub(crate) end: Timestamp,
    pub(crate) backfill: bool,
}

/// The stamp of a CloudTrail log: `ACCOUNT_FOLDER_REGION_YYYYMMDDTHHMMZ_XXXXXXXXXXXXXXXX.json.gz`.
pub(crate) fn log_stamp(name: &str, account: AccountId, folder: &str, region: &Region) -> Option<Timestamp> {
    let rest = name.strip_prefix(&format!("{account}_{folder}_{region}_"))?.strip_suffix(".json.gz")?;
    let (stamp, unique) = rest.split_once('_')?;
    (unique.len() == 16 && unique.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(())?;
    minute_stamp(stamp)
}

/// The name of a digest: `ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOME-REGION_YYYYMMDDTHHMMSSZ[_backfill].json.gz`.
///
/// A trail's name may hold `_`, so the name is read from both ends.
pub(crate) fn digest_name(name: &str, account: AccountId, region: &Region) -> Option<DigestName> {
    let rest = name.strip_prefix(&format!("{account}_CloudTrail-Digest_{region}_"))?.strip_suffix(".json.gz")?;
    let (rest, backfill) = rest.strip_suffix("_backfill").map_or((rest, false), |rest| (rest, true));
    let (rest, stamp) = rest.rsplit_once('_')?;
    let (trail, home_region) = rest.rsplit_once('_')?;
    (!trail.is_empty()).then_some(())?;
    let end =
        NaiveDateTime::parse_from_str(stamp.strip_suffix('Z').filter(|stamp| stamp.len() == 15)?, "%Y%m%dT%H%M%S").ok()?;
    Some(DigestName {
        trail: trail.to_owned(),
        home_region: home_region.parse().ok()?,
        end: Timestamp::new(end.and_utc()),
        backfill,
    })
}

/// The stamp of a VPC flow log: `ACCOUNT_vpcflowlogs_REGION_ID_YYYYMMDDTHHMMZ_HASH.log.gz` or `.log.parquet`.
pub(crate) fn flow_stamp(name: &str, account: AccountId, region: &Region) -> Option<Timestamp> {
    flow_name(name, account, region).map(|(_, stamp)| stamp)
}

/// The flow log in the name of one of its files, and the stamp.
pub(crate) fn flow_name<'a>(name: &'a str, account: AccountId, region: &Region) -> Option<(&'a str, Timestamp)> {
    let rest = name.strip_prefix(&format!("{account}_vpcflowlogs_{region}_"))?;
    let rest = rest.strip_suffix(".log.gz").or_else(|| rest.strip_suffix(".log.parquet"))?;
    let (rest, hash) = rest.rsplit_once('_')?;
    let (id, stamp) = rest.rsplit_once('_')?;
    (!hash.is_empty() && !id.is_empty()).then_some(())?;
    Some((id, minute_stamp(stamp)?))
}

/// `YYYYMMDDTHHMMZ`.
fn minute_stamp(stamp: &str) -> Option<Timestamp> {
    let stamp = stamp.strip_suffix('Z').filter(|stamp| stamp.len() == 13)?;
    NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M").ok().map(|time| Timestamp::new(time.and_utc()))
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
    fn a_log_name_gives_its_stamp() {
        let name = "111122223333_CloudTrail_us-east-1_20260301T0405Z_AbCdEfGh01234567.json.gz";
        assert_eq!(log_stamp(name, account(), "CloudTrail", &region()), Some(at("2026-03-01T04:05:00Z")));
        let insight = "111122223333_CloudTrail-Insight_us-east-1_20260301T0405Z_AbCdEfGh01234567.json.gz";
        assert_eq!(log_stamp(insight, account(), "CloudTrail-Insight", &region()), Some(at("2026-03-01T04:05:00Z")));
    }

    #[test]
    fn names_that_only_resemble_a_log_are_not_taken_for_one() {
        for name in [
            "",
            "111122223333_CloudTrail_us-east-1_20260301T0405Z_AbCdEfGh01234567.json",
            "111122223333_CloudTrail_us-east-1_20260301T0405Z_short.json.gz",
            "111122223333_CloudTrail_us-east-1_20260301T040500Z_AbCdEfGh01234567.json.gz",
            "111122223333_CloudTrail_us-east-1_20261301T0405Z_AbCdEfGh01234567.json.gz",
            "444455556666_CloudTrail_us-east-1_20260301T0405Z_AbCdEfGh01234567.json.gz",
            "111122223333_CloudTrail_us-east-10_20260301T0405Z_AbCdEfGh01234567.json.gz",
        ] {
            assert_eq!(log_stamp(name, account(), "CloudTrail", &region()), None, "{name}");
        }
    }

    #[test]
    fn a_digest_name_is_read_from_both_ends() {
        let name = "111122223333_CloudTrail-Digest_us-east-1_foo_us-east-1_bar_eu-west-1_20260301T044121Z.json.gz";
        let digest = digest_name(name, account(), &region()).unwrap();
        assert_eq!(
            (digest.trail.as_str(), digest.home_region.as_str(), digest.backfill),
            ("foo_us-east-1_bar", "eu-west-1", false)
        );
        assert_eq!(digest.end, at("2026-03-01T04:41:21Z"));
        let backfill = "111122223333_CloudTrail-Digest_us-east-1_foo_eu-west-1_20260301T044121Z_backfill.json.gz";
        assert!(digest_name(backfill, account(), &region()).unwrap().backfill);
    }

    #[test]
    fn a_digest_name_without_a_trail_is_none() {
        assert_eq!(
            digest_name("111122223333_CloudTrail-Digest_us-east-1_20260301T044121Z.json.gz", account(), &region()),
            None
        );
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
