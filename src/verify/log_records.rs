//! What digests say of logs and what the logs came to, on its way to being compared: a record for each word about each log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::case::sorting::{
    Bytes, Record, Sorted, Sorting, Workspace, put_instant, put_location, put_number, put_option, put_text,
};
use crate::cloudtrail::gzip::GzipProblem;
use crate::cloudtrail::{ListedLog, ListedLogs, LogPlace, LogSlot};
use crate::model::{S3Location, Sha256Hash, Timestamp};

/// What one log file, or one older version of it, comes to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StoredLog {
    pub(super) content: Result<Sha256Hash, GzipProblem>,
    /// When S3 received it.
    pub(super) received: Option<Timestamp>,
    pub(super) version_id: Option<Box<str>>,
}

/// What a digest says of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listing {
    /// The digest's place in the ledger.
    pub(super) digest: u64,
    pub(super) sha256: Sha256Hash,
    pub(super) oldest_event: Option<Timestamp>,
    pub(super) newest_event: Option<Timestamp>,
}

/// Which log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Spot {
    /// One of CloudTrail's: the number of its place, and what tells it from the others there.
    Slot(u32, LogSlot),
    /// Something that a digest lists and whose key is not that of a log.
    Other(Box<S3Location>),
}

/// One word about a log. All that is said of a log comes together once the records are sorted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LogRecord {
    pub(super) spot: Spot,
    pub(super) said: Said,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Said {
    /// Its current version is stored; where the ledger says so.
    Current(u64, StoredLog),
    /// A version is stored that was not current any more when the evidence was acquired.
    Older(u64, StoredLog),
    /// A digest lists it.
    Listed(Listing),
}

/// The places of logs, by number. There are few: one for each bucket, account, region and kind.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Vec<LogPlace>,
    numbers: HashMap<LogPlace, u32>,
}

impl Places {
    fn number(&mut self, place: &LogPlace) -> u32 {
        if let Some(number) = self.numbers.get(place) {
            return *number;
        }
        let number = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        self.places.push(place.clone());
        self.numbers.insert(place.clone(), number);
        number
    }

    /// The place with a number.
    pub(super) fn get(&self, number: u32) -> Option<&LogPlace> {
        self.places.get(usize::try_from(number).ok()?)
    }

    /// Which log lies there, as far as anything was said of its place.
    pub(super) fn spot(&self, location: &S3Location) -> Spot {
        let split = LogPlace::split(location);
        let known = split.and_then(|(place, slot)| self.numbers.get(&place).map(|number| Spot::Slot(*number, slot)));
        known.unwrap_or_else(|| Spot::Other(Box::new(location.clone())))
    }

    /// Where a log lies.
    pub(super) fn location(&self, spot: &Spot) -> S3Location {
        match spot {
            Spot::Slot(place, slot) => self.get(*place).map_or_else(|| S3Location::new("", ""), |place| place.location(*slot)),
            Spot::Other(location) => S3Location::clone(location),
        }
    }
}

/// Records as the workers bring them.
#[derive(Debug)]
pub(super) struct LogRecords {
    inner: Mutex<(Places, Sorting<LogRecord>)>,
}

impl LogRecords {
    pub(super) fn new(space: &Workspace<'_>) -> Self {
        Self { inner: Mutex::new((Places::default(), Sorting::new(space))) }
    }

    /// Adds the current version of a log, which stands in the ledger as artifact number `number`.
    pub(super) fn add_current(&self, location: &S3Location, number: u64, log: StoredLog) {
        // What is no log, by its key, is not taken.
        let Some((place, slot)) = LogPlace::split(location) else { return };
        let (places, records) = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(LogRecord { spot: Spot::Slot(places.number(&place), slot), said: Said::Current(number, log) });
    }

    /// Adds an older version of a log.
    pub(super) fn add_older(&self, location: &S3Location, number: u64, log: StoredLog) {
        let split = LogPlace::split(location);
        let (places, records) = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let spot = match split {
            Some((place, slot)) => Spot::Slot(places.number(&place), slot),
            None => Spot::Other(Box::new(location.clone())),
        };
        records.push(LogRecord { spot, said: Said::Older(number, log) });
    }

    /// Adds everything that the digest with this number lists.
    pub(super) fn add_listed(&self, digest: u64, logs: &ListedLogs) {
        let (places, records) = &mut *self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers: Vec<u32> = logs.places().iter().map(|place| places.number(place)).collect();
        for (place, slot, sha256, oldest_event, newest_event) in logs.compact() {
            let Some(number) = numbers.get(place) else { continue };
            let said = Said::Listed(Listing { digest, sha256, oldest_event, newest_event });
            records.push(LogRecord { spot: Spot::Slot(*number, slot), said });
        }
        for ListedLog { location, sha256, oldest_event, newest_event } in logs.others() {
            let spot = match LogPlace::split(location) {
                Some((place, slot)) => Spot::Slot(places.number(&place), slot),
                None => Spot::Other(Box::new(location.clone())),
            };
            let listing = Listing { digest, sha256: *sha256, oldest_event: *oldest_event, newest_event: *newest_event };
            records.push(LogRecord { spot, said: Said::Listed(listing) });
        }
    }

    /// Ends the adding.
    pub(super) fn finish(self) -> (Places, Sorted<LogRecord>) {
        let (places, records) = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        (places, records.finish())
    }
}

/// By their place here they are known in scratch files.
const PROBLEMS: [GzipProblem; 6] = [
    GzipProblem::NotGzip,
    GzipProblem::Truncated,
    GzipProblem::Corrupt,
    GzipProblem::SecondMember,
    GzipProblem::TrailingData,
    GzipProblem::TooLarge,
];

impl StoredLog {
    fn write(&self, bytes: &mut Vec<u8>) {
        match &self.content {
            Ok(sha256) => {
                bytes.push(u8::MAX);
                bytes.extend_from_slice(sha256.as_bytes());
            }
            Err(problem) => {
                let at = PROBLEMS.iter().position(|other| other == problem);
                bytes.push(at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0));
            }
        }
        put_option(bytes, self.received, put_instant);
        put_option(bytes, self.version_id.as_deref(), put_text);
    }

    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let content = match bytes.byte()? {
            u8::MAX => Ok(bytes.hash()?),
            problem => Err(*PROBLEMS.get(usize::from(problem))?),
        };
        let received = bytes.option(Bytes::instant).ok()?;
        let version_id = bytes.option(Bytes::text).ok()?.map(Into::into);
        Some(Self { content, received, version_id })
    }
}

impl Record for LogRecord {
    fn write(&self, bytes: &mut Vec<u8>) {
        match &self.spot {
            Spot::Slot(place, slot) => {
                bytes.push(0);
                put_number(bytes, (*place).into());
                bytes.extend_from_slice(&slot.to_bytes());
            }
            Spot::Other(location) => {
                bytes.push(1);
                put_location(bytes, location);
            }
        }
        match &self.said {
            Said::Current(number, log) | Said::Older(number, log) => {
                bytes.push(u8::from(matches!(self.said, Said::Older(..))));
                put_number(bytes, *number);
                log.write(bytes);
            }
            Said::Listed(listing) => {
                bytes.push(2);
                put_number(bytes, listing.digest);
                bytes.extend_from_slice(listing.sha256.as_bytes());
                put_option(bytes, listing.oldest_event, put_instant);
                put_option(bytes, listing.newest_event, put_instant);
            }
        }
    }

    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let spot = match bytes.byte()? {
            0 => Spot::Slot(bytes.short()?, LogSlot::from_bytes(bytes.array()?)),
            _ => Spot::Other(Box::new(bytes.location()?)),
        };
        let said = match bytes.byte()? {
            0 => Said::Current(bytes.number()?, StoredLog::read(bytes)?),
            1 => Said::Older(bytes.number()?, StoredLog::read(bytes)?),
            _ => Said::Listed(Listing {
                digest: bytes.number()?,
                sha256: bytes.hash()?,
                oldest_event: bytes.option(Bytes::instant).ok()?,
                newest_event: bytes.option(Bytes::instant).ok()?,
            }),
        };
        Some(Self { spot, said })
    }

    fn held(&self) -> usize {
        let spot = match &self.spot {
            Spot::Slot(..) => 0,
            Spot::Other(location) => size_of::<S3Location>() + location.bucket.len() + location.key.len(),
        };
        let version = match &self.said {
            Said::Current(_, log) | Said::Older(_, log) => log.version_id.as_ref().map_or(0, |id| id.len() + 16),
            Said::Listed(_) => 0,
        };
        spot + version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(minute: u32, bucket: &str) -> S3Location {
        let key = format!(
            "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T09{minute:02}Z_AbCdEfGh12345678.json.gz"
        );
        S3Location::new(bucket, key)
    }

    fn log(received: Option<&str>, version: Option<&str>, content: Result<Sha256Hash, GzipProblem>) -> StoredLog {
        StoredLog { content, received: received.map(|text| text.parse().unwrap()), version_id: version.map(Into::into) }
    }

    #[test]
    fn all_that_is_said_of_a_log_comes_together_in_memory_or_on_disk() {
        let hash = Sha256Hash::of(b"x");
        let listed = |location: &S3Location, oldest: Option<&str>| ListedLog {
            location: location.clone(),
            sha256: hash,
            oldest_event: oldest.map(|text| text.parse().unwrap()),
            newest_event: None,
        };
        let strange = S3Location::new("one", "not/a log");
        let lists: ListedLogs = [
            listed(&location(10, "one"), Some("2026-03-01T09:05:00Z")),
            listed(&location(5, "two"), Some("2026-03-01T09:05:00.5Z")),
            listed(&strange, None),
        ]
        .into_iter()
        .collect();
        for held in [1, usize::MAX] {
            let records = LogRecords::new(&Workspace { folder: None, held });
            records.add_listed(7, &lists);
            records.add_older(&location(10, "one"), 3, log(Some("2026-03-01T09:06:00.25Z"), Some("v1"), Ok(hash)));
            records.add_current(&location(10, "one"), 9, log(None, None, Err(GzipProblem::Truncated)));
            records.add_current(&strange, 10, log(None, None, Ok(hash)));
            let (places, sorted) = records.finish();
            assert_eq!(sorted.is_on_disk(), held == 1);
            let all: Vec<LogRecord> = sorted.merge().map(Result::unwrap).collect();
            let words: Vec<(S3Location, char)> = all
                .iter()
                .map(|record| {
                    let word = match &record.said {
                        Said::Current(..) => 'c',
                        Said::Older(..) => 'o',
                        Said::Listed(_) => 'l',
                    };
                    (places.location(&record.spot), word)
                })
                .collect();
            let one = location(10, "one");
            let expected =
                [(one.clone(), 'c'), (one.clone(), 'o'), (one.clone(), 'l'), (location(5, "two"), 'l'), (strange.clone(), 'l')];
            assert_eq!(words, expected);
            assert_eq!(all[0].said, Said::Current(9, log(None, None, Err(GzipProblem::Truncated))));
            assert_eq!(all[1].said, Said::Older(3, log(Some("2026-03-01T09:06:00.25Z"), Some("v1"), Ok(hash))));
            let Said::Listed(listing) = &all[3].said else { panic!("{:?}", all[3]) };
            assert_eq!((listing.digest, listing.oldest_event), (7, Some("2026-03-01T09:05:00.5Z".parse().unwrap())));
            assert_eq!(places.spot(&one), all[0].spot);
            assert_eq!(places.spot(&location(10, "three")), Spot::Other(Box::new(location(10, "three"))));
        }
    }

    #[test]
    fn every_problem_of_a_log_is_read_as_it_was_written() {
        for problem in PROBLEMS {
            let mut bytes = Vec::new();
            log(None, None, Err(problem)).write(&mut bytes);
            assert_eq!(StoredLog::read(&mut Bytes(&bytes)).unwrap().content, Err(problem));
        }
    }
}
