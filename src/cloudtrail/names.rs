//! The keys of CloudTrail's files, taken apart: one that CloudTrail would not have written is none of its files.

use std::str::FromStr;

use crate::model::{AccountId, Region, Timestamp};

/// The folder of digests.
const DIGESTS: &str = "CloudTrail-Digest";

/// The kinds of log that CloudTrail delivers, each under a folder of its own (user guide, "Finding your CloudTrail log files").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogFolder {
    /// Management and data events.
    CloudTrail,
    /// Insights events.
    Insight,
    /// Network activity events.
    NetworkActivity,
    /// Aggregated data events.
    Aggregated,
}

impl LogFolder {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CloudTrail, Self::Insight, Self::NetworkActivity, Self::Aggregated];

    /// The folder's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CloudTrail => "CloudTrail",
            Self::Insight => "CloudTrail-Insight",
            Self::NetworkActivity => "CloudTrail-NetworkActivity",
            Self::Aggregated => "CloudTrail-Aggregated",
        }
    }
}

/// The key of a log file, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogName {
    /// What stands before `AWSLogs/`, its slash included; empty where there is none.
    pub prefix: String,
    /// The organization's id, where the trail is one of an organization.
    pub organization: Option<String>,
    /// Whose events they are.
    pub account: AccountId,
    /// Which kind.
    pub folder: LogFolder,
    /// Where they were recorded.
    pub region: Region,
    /// The slot of delivery, to the minute.
    pub minute: Timestamp,
    /// The random part: letters and digits.
    pub unique: [u8; 16],
}

/// The key of a digest file, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DigestName {
    /// What stands before `AWSLogs/`, its slash included; empty where there is none.
    pub prefix: String,
    /// The organization's id, where the trail is one of an organization.
    pub organization: Option<String>,
    /// Whose logs it lists.
    pub account: AccountId,
    /// Where they were recorded: the region whose key signs.
    pub region: Region,
    /// The trail's name.
    pub trail: String,
    /// The trail's home region.
    pub home_region: Region,
    /// The end of its interval.
    pub end: Timestamp,
    /// Whether it lists logs that the regular digest left out.
    pub backfill: bool,
}

/// The name of a digest's file, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DigestFile {
    pub(crate) trail: String,
    pub(crate) home_region: Region,
    /// The end of the interval it covers.
    pub(crate) end: Timestamp,
    pub(crate) backfill: bool,
}

/// The stamp and the random part of a log's file name, `ACCOUNT_FOLDER_REGION_YYYYMMDDTHHMMZ_XXXXXXXXXXXXXXXX.json.gz`.
pub(crate) fn log_file(name: &str, account: AccountId, folder: &str, region: &Region) -> Option<(Timestamp, [u8; 16])> {
    let (stamp, unique) = behind(name, account, folder, region)?.split_once('_')?;
    let unique: [u8; 16] = unique.as_bytes().try_into().ok()?;
    let stamp = Timestamp::from_minute_stamp(stamp)?;
    unique.iter().all(u8::is_ascii_alphanumeric).then_some((stamp, unique))
}

/// What a digest's file name says, `ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOME-REGION_YYYYMMDDTHHMMSSZ[_backfill].json.gz`.
///
/// A trail's name may hold underscores, so the name is read from both ends.
pub(crate) fn digest_file(name: &str, account: AccountId, region: &Region) -> Option<DigestFile> {
    let rest = behind(name, account, DIGESTS, region)?;
    let (rest, backfill) = rest.strip_suffix("_backfill").map_or((rest, false), |rest| (rest, true));
    let (rest, stamp) = rest.rsplit_once('_')?;
    let (trail, home_region) = rest.rsplit_once('_').filter(|(trail, _)| !trail.is_empty())?;
    let end = Timestamp::from_second_stamp(stamp)?;
    Some(DigestFile { trail: trail.to_owned(), home_region: home_region.parse().ok()?, end, backfill })
}

/// What stands in a file's name between account, folder and region, and its ending.
fn behind<'a>(name: &'a str, account: AccountId, folder: &str, region: &Region) -> Option<&'a str> {
    let rest = name.strip_prefix(account.as_str())?.strip_prefix('_')?.strip_prefix(folder)?;
    rest.strip_prefix('_')?.strip_prefix(region.as_str())?.strip_prefix('_')?.strip_suffix(".json.gz")
}

/// A key of either kind up to its file name.
struct Folders<'a> {
    prefix: &'a str,
    organization: Option<&'a str>,
    account: AccountId,
    kind: &'a str,
    region: Region,
    date: &'a str,
    file: &'a str,
}

impl<'a> Folders<'a> {
    /// `[prefix/]AWSLogs/[o-xxx/]ACCOUNT/KIND/REGION/YYYY/MM/DD/FILE`.
    fn parse(key: &'a str) -> Option<Self> {
        let mut parts = key.rsplit('/');
        let file = parts.next()?;
        let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, kind, account) = (parts.next()?, parts.next()?, parts.next()?);
        let mut folder = parts.next()?;
        let organization = if folder.starts_with("o-") { Some(std::mem::replace(&mut folder, parts.next()?)) } else { None };
        if folder != "AWSLogs" {
            return None;
        }
        let rest: usize = [file, day, month, year, region, kind, account, folder]
            .iter()
            .chain(&organization)
            .map(|part| part.len() + 1)
            .sum();
        let prefix = key.get(..(key.len() + 1).checked_sub(rest)?)?;
        let date = key.get(..key.len().checked_sub(file.len() + 1)?)?;
        let date = date.get(date.len().checked_sub(year.len() + month.len() + day.len() + 2)?..)?;
        Some(Self { prefix, organization, account: account.parse().ok()?, kind, region: region.parse().ok()?, date, file })
    }

    /// Whether they are those of the day of a stamp.
    fn are_of_day(&self, stamp: Timestamp) -> bool {
        stamp.instant().format("%Y/%m/%d").to_string() == self.date
    }
}

impl FromStr for LogName {
    type Err = ();

    /// Accepts exactly the keys that CloudTrail writes; everything else is no log.
    fn from_str(key: &str) -> Result<Self, ()> {
        Self::parse(key).ok_or(())
    }
}

impl LogName {
    fn parse(key: &str) -> Option<Self> {
        let folders = Folders::parse(key)?;
        let folder = LogFolder::ALL.into_iter().find(|folder| folder.as_str() == folders.kind)?;
        let (minute, unique) = log_file(folders.file, folders.account, folders.kind, &folders.region)?;
        if !folders.are_of_day(minute) {
            return None;
        }
        Some(Self {
            prefix: folders.prefix.to_owned(),
            organization: folders.organization.map(str::to_owned),
            account: folders.account,
            folder,
            region: folders.region,
            minute,
            unique,
        })
    }

    /// The key, put together again.
    #[must_use]
    pub fn key(&self) -> String {
        let Self { prefix, account, region, .. } = self;
        let (folder, at) = (self.folder.as_str(), self.minute.instant());
        let organization = self.organization.as_ref().map(|id| format!("{id}/")).unwrap_or_default();
        let (day, stamp) = (at.format("%Y/%m/%d"), at.format("%Y%m%dT%H%MZ"));
        let unique = self.unique.map(char::from).iter().collect::<String>();
        format!(
            "{prefix}AWSLogs/{organization}{account}/{folder}/{region}/{day}/{account}_{folder}_{region}_{stamp}_{unique}.json.gz"
        )
    }
}

impl FromStr for DigestName {
    type Err = ();

    /// Accepts exactly the keys that CloudTrail writes. A trail's name may hold underscores, so the name is read from both ends.
    fn from_str(key: &str) -> Result<Self, ()> {
        Self::parse(key).ok_or(())
    }
}

impl DigestName {
    fn parse(key: &str) -> Option<Self> {
        let folders = Folders::parse(key)?;
        let digest = digest_file(folders.file, folders.account, &folders.region)?;
        if folders.kind != DIGESTS || !folders.are_of_day(digest.end) {
            return None;
        }
        Some(Self {
            prefix: folders.prefix.to_owned(),
            organization: folders.organization.map(str::to_owned),
            account: folders.account,
            region: folders.region,
            trail: digest.trail,
            home_region: digest.home_region,
            end: digest.end,
            backfill: digest.backfill,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0935Z_AbCdEfGh12345678.json.gz";
    const DIGEST: &str = "audit/AWSLogs/o-abc123/111122223333/CloudTrail-Digest/eu-central-1/2026/03/01/111122223333_CloudTrail-Digest_eu-central-1_foo_us-east-1_bar_us-east-1_20260301T094121Z.json.gz";

    #[test]
    fn a_log_is_taken_apart() {
        let name: LogName = LOG.parse().unwrap();
        assert_eq!(
            (name.prefix.as_str(), name.folder, name.minute.to_string().as_str()),
            ("", LogFolder::CloudTrail, "2026-03-01T09:35:00Z")
        );
    }

    #[test]
    fn a_trail_whose_name_looks_like_another_is_told_apart() {
        let name: DigestName = DIGEST.parse().unwrap();
        assert_eq!((name.trail.as_str(), name.home_region.as_str()), ("foo_us-east-1_bar", "us-east-1"));
        assert_eq!((name.prefix.as_str(), name.organization.as_deref(), name.backfill), ("audit/", Some("o-abc123"), false));
    }

    #[test]
    fn a_backfill_digest_is_known_by_its_end_alone() {
        let backfill: DigestName = DIGEST.replace("Z.json.gz", "Z_backfill.json.gz").parse().unwrap();
        assert!(backfill.backfill);
        let named_so: DigestName = DIGEST.replace("foo", "foo_backfill").parse().unwrap();
        assert!(!named_so.backfill);
    }

    #[test]
    fn a_file_name_is_one_of_its_folder_alone() {
        let (account, region) = ("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
        let insight = "111122223333_CloudTrail-Insight_us-east-1_20260301T0405Z_AbCdEfGh01234567.json.gz";
        let stamp = log_file(insight, account, "CloudTrail-Insight", &region).map(|(stamp, _)| stamp.to_string());
        assert_eq!(stamp.as_deref(), Some("2026-03-01T04:05:00Z"));
        for name in [
            insight,
            "",
            "444455556666_CloudTrail_us-east-1_20260301T0405Z_AbCdEfGh01234567.json.gz",
            "111122223333_CloudTrail_us-east-10_20260301T0405Z_AbCdEfGh01234567.json.gz",
        ] {
            assert_eq!(log_file(name, account, "CloudTrail", &region), None, "{name}");
        }
    }

    #[test]
    fn keys_that_only_resemble_are_no_logs_and_no_digests() {
        for key in [
            LOG.replace("20260301T", "20260302T"),
            LOG.replace("AbCdEfGh12345678", "AbCdEfGh1234567"),
            LOG.replace("_AbCd", "_AbCd_"),
            LOG.replace(".json.gz", ".json"),
            LOG.replace("CloudTrail/", "CloudTrail-Digest/"),
            LOG.replace("T0935Z", "T935Z"),
            LOG.replace("T0935Z", "T2535Z"),
            LOG.replace("AWSLogs", "awslogs"),
            LOG.replace("us-east-1/2026", "us-west-2/2026"),
        ] {
            assert!(key.parse::<LogName>().is_err(), "{key}");
        }
        for key in [LOG.to_owned(), DIGEST.replace("_foo_us-east-1_bar", ""), DIGEST.replace("094121Z", "0941Z")] {
            assert!(key.parse::<DigestName>().is_err(), "{key}");
        }
    }
}
