//! The logs that a digest lists, in a few bytes each: a million of them are held at once.

use std::collections::HashMap;

use crate::model::{AccountId, Region, S3Location, Sha256Hash, Timestamp};

use super::names::{LogFolder, LogName};

/// What a digest says of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLog {
    /// Where CloudTrail put it.
    pub location: S3Location,
    /// SHA-256 of its uncompressed content.
    pub sha256: Sha256Hash,
    /// The oldest event in it.
    pub oldest_event: Option<Timestamp>,
    /// The newest event in it.
    pub newest_event: Option<Timestamp>,
}

/// Where logs of one kind lie: everything of a log's location but what tells it from the others there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogPlace {
    /// The bucket.
    pub bucket: String,
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
}

/// What tells a log from the others of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogSlot {
    /// The slot of delivery, in minutes since 1970.
    minute: u32,
    unique: [u8; 16],
}

impl LogPlace {
    /// The two parts of where a log lies; nothing if the key is not that of a log.
    #[must_use]
    pub fn split(location: &S3Location) -> Option<(Self, LogSlot)> {
        let LogName { prefix, organization, account, folder, region, minute, unique } = location.key.parse().ok()?;
        let minute = u32::try_from(minute.instant().timestamp().div_euclid(60)).ok()?;
        let bucket = location.bucket.clone();
        Some((Self { bucket, prefix, organization, account, folder, region }, LogSlot { minute, unique }))
    }

    /// Where the log of a slot lies.
    #[must_use]
    pub fn location(&self, slot: LogSlot) -> S3Location {
        let name = LogName {
            prefix: self.prefix.clone(),
            organization: self.organization.clone(),
            account: self.account,
            folder: self.folder,
            region: self.region.clone(),
            minute: slot.minute(),
            unique: slot.unique,
        };
        S3Location::new(self.bucket.clone(), name.key())
    }
}

impl LogSlot {
    /// It in twenty bytes.
    #[must_use]
    pub(crate) fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let (minute, unique) = bytes.split_at_mut(4);
        minute.copy_from_slice(&self.minute.to_le_bytes());
        unique.copy_from_slice(&self.unique);
        bytes
    }

    /// What [`Self::to_bytes`] gave.
    #[must_use]
    pub(crate) fn from_bytes(bytes: [u8; 20]) -> Self {
        let [a, b, c, d, unique @ ..] = bytes;
        Self { minute: u32::from_le_bytes([a, b, c, d]), unique }
    }

    /// The slot of delivery, to the minute.
    #[must_use]
    pub fn minute(self) -> Timestamp {
        let instant = chrono::DateTime::from_timestamp(i64::from(self.minute) * 60, 0);
        Timestamp::new(instant.unwrap_or_default())
    }
}

/// The logs of one digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedLogs {
    /// How many were taken out.
    taken: usize,
    places: Vec<LogPlace>,
    logs: Vec<Compact>,
    /// Those that do not fit: keys that are not CloudTrail's, times with fractions.
    others: Vec<ListedLog>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compact {
    place: u16,
    slot: LogSlot,
    sha256: Sha256Hash,
    oldest: Seconds,
    newest: Seconds,
}

/// An instant in whole seconds since 1970, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seconds(u32);

impl Seconds {
    fn of(at: Option<Timestamp>) -> Option<Self> {
        let Some(at) = at else { return Some(Self(0)) };
        let seconds = u32::try_from(at.instant().timestamp()).ok().filter(|seconds| *seconds > 0)?;
        (at.instant().timestamp_subsec_nanos() == 0).then_some(Self(seconds))
    }

    fn instant(self) -> Option<Timestamp> {
        (self.0 > 0).then(|| chrono::DateTime::from_timestamp(self.0.into(), 0).map(Timestamp::new)).flatten()
    }
}

impl ListedLogs {
    /// How many there are, those that were taken out among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken + self.logs.len() + self.others.len()
    }

    /// Takes all of them out, so that their digest need not hold them. What stays knows how many there were.
    #[must_use]
    pub(crate) fn take(&mut self) -> Self {
        let stays = Self { taken: self.len(), ..Self::default() };
        std::mem::replace(self, stays)
    }

    /// So many that are held elsewhere.
    #[must_use]
    pub(crate) fn held_elsewhere(taken: usize) -> Self {
        Self { taken, ..Self::default() }
    }

    /// Where those of [`Self::compact`] lie.
    pub(crate) fn places(&self) -> &[LogPlace] {
        &self.places
    }

    /// Those that are CloudTrail's by their keys: the number of the place, the slot, the hash, the oldest and the newest event.
    pub(crate) fn compact(
        &self,
    ) -> impl Iterator<Item = (usize, LogSlot, Sha256Hash, Option<Timestamp>, Option<Timestamp>)> + '_ {
        self.logs.iter().map(|log| (usize::from(log.place), log.slot, log.sha256, log.oldest.instant(), log.newest.instant()))
    }

    /// All others.
    pub(crate) fn others(&self) -> &[ListedLog] {
        &self.others
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = ListedLog> + '_ {
        let compact = self.logs.iter().filter_map(|log| {
            Some(ListedLog {
                location: self.places.get(usize::from(log.place))?.location(log.slot),
                sha256: log.sha256,
                oldest_event: log.oldest.instant(),
                newest_event: log.newest.instant(),
            })
        });
        compact.chain(self.others.iter().cloned())
    }
}

impl FromIterator<ListedLog> for ListedLogs {
    fn from_iter<I: IntoIterator<Item = ListedLog>>(logs: I) -> Self {
        let mut places: HashMap<LogPlace, u16> = HashMap::new();
        let mut listed = Self::default();
        for log in logs {
            let compact = || {
                let (place, slot) = LogPlace::split(&log.location)?;
                let (oldest, newest) = (Seconds::of(log.oldest_event)?, Seconds::of(log.newest_event)?);
                Some((place, slot, oldest, newest))
            };
            let next = u16::try_from(places.len()).ok();
            match (compact(), next) {
                (Some((place, slot, oldest, newest)), Some(next)) => {
                    let place = *places.entry(place).or_insert_with_key(|place| {
                        listed.places.push(place.clone());
                        next
                    });
                    listed.logs.push(Compact { place, slot, sha256: log.sha256, oldest, newest });
                }
                _ => listed.others.push(log),
            }
        }
        listed.logs.shrink_to_fit();
        listed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0935Z_AbCdEfGh12345678.json.gz";

    fn listed(key: &str, oldest: Option<&str>) -> ListedLog {
        ListedLog {
            location: S3Location::new("example-logs", key),
            sha256: Sha256Hash::of(key.as_bytes()),
            oldest_event: oldest.map(|text| text.parse().unwrap()),
            newest_event: None,
        }
    }

    #[test]
    fn what_fits_and_what_does_not_comes_back_as_it_was() {
        let organization = format!("audit/{}", KEY.replace("AWSLogs/", "AWSLogs/o-abc123/"));
        let logs = [
            listed(KEY, Some("2026-03-01T09:30:01Z")),
            listed(&organization, None),
            listed(&KEY.replace("20260301T0935Z", "20260301T0940Z"), Some("2026-03-01T09:30:01.5Z")),
            listed("not/a log", Some("2026-03-01T09:30:01Z")),
            listed(&KEY.replace("2026", "1969"), Some("1969-03-01T09:30:01Z")),
        ];
        let all: ListedLogs = logs.iter().cloned().collect();
        assert_eq!((all.len(), all.logs.len()), (5, 2));
        for log in &logs {
            assert!(all.iter().any(|other| other == *log), "{log:?}");
        }
    }

    #[test]
    fn a_log_takes_64_bytes() {
        assert_eq!(size_of::<Compact>(), 64);
    }

    proptest! {
        #[test]
        fn every_key_of_a_log_is_taken_apart_and_put_together_again(
            prefix in "([a-z]{1,5}/){0,2}", organization in proptest::option::of("o-[a-z0-9]{4}"), minute in 0_u32..=u32::MAX,
            unique in "[A-Za-z0-9]{16}", folder in 0_usize..4,
        ) {
            let place = LogPlace {
                bucket: "example-logs".to_owned(),
                prefix,
                organization,
                account: "111122223333".parse().unwrap(),
                folder: LogFolder::ALL[folder],
                region: "eu-central-1".parse().unwrap(),
            };
            // To the year 9999: four digits.
            let slot = LogSlot { minute: minute % 4_223_000_000, unique: unique.as_bytes().try_into().unwrap() };
            let location = place.location(slot);
            prop_assert_eq!(LogPlace::split(&location), Some((place, slot)), "{}", location);
        }
    }
}
