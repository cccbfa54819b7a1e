//! What the logs of a case came to, in a few bytes each: a million of them are held at once.

use std::collections::HashMap;

use crate::cloudtrail::gzip::GzipProblem;
use crate::cloudtrail::{LogPlace, LogSlot};
use crate::model::{S3Location, Sha256Hash, Timestamp};

/// What one log file, or one older version of it, comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredLog {
    pub(super) content: Result<Sha256Hash, GzipProblem>,
    /// When S3 received it.
    pub(super) received: Option<Timestamp>,
    pub(super) version_id: Option<String>,
}

/// The current versions of all logs, sorted once they are all there.
#[derive(Debug, Default)]
pub(super) struct StoredLogs {
    places: Vec<LogPlace>,
    numbers: HashMap<LogPlace, u32>,
    entries: Vec<Entry>,
    versions: Vec<Box<str>>,
    /// Instants that are not whole seconds, as S3's are.
    fractions: HashMap<(u32, LogSlot), Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    place: u32,
    slot: LogSlot,
    content: Result<Sha256Hash, GzipProblem>,
    /// Seconds since 1970; 0 for none.
    received: u32,
    /// Counted from 1; 0 for none.
    version: u32,
}

impl StoredLogs {
    /// Adds a log. What is no log, by its key, is not taken.
    pub(super) fn add(&mut self, location: &S3Location, log: StoredLog) {
        let Some((place, slot)) = LogPlace::split(location) else { return };
        let next = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let place = *self.numbers.entry(place).or_insert_with_key(|place| {
            self.places.push(place.clone());
            next
        });
        let whole = |at: &Timestamp| at.instant().timestamp_subsec_nanos() == 0;
        let seconds = log.received.filter(whole).and_then(|at| u32::try_from(at.instant().timestamp()).ok());
        if let (None | Some(0), Some(received)) = (seconds, log.received) {
            self.fractions.insert((place, slot), received);
        }
        let version = log.version_id.map_or(0, |id| {
            self.versions.push(id.into());
            u32::try_from(self.versions.len()).unwrap_or(0)
        });
        self.entries.push(Entry { place, slot, content: log.content, received: seconds.unwrap_or(0), version });
    }

    /// Ends the adding: from here on logs can be found.
    pub(super) fn sort(&mut self) {
        self.entries.sort_unstable_by_key(|entry| (entry.place, entry.slot));
        self.entries.dedup_by_key(|entry| (entry.place, entry.slot));
    }

    /// How many there are; each has a number below that.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of the log that lies there.
    pub(super) fn find(&self, location: &S3Location) -> Option<usize> {
        let (place, slot) = LogPlace::split(location)?;
        let place = *self.numbers.get(&place)?;
        self.entries.binary_search_by_key(&(place, slot), |entry| (entry.place, entry.slot)).ok()
    }

    /// Where a log lies, and what it came to.
    pub(super) fn get(&self, number: usize) -> Option<(&LogPlace, LogSlot, StoredLog)> {
        let entry = self.entries.get(number)?;
        let place = self.places.get(usize::try_from(entry.place).ok()?)?;
        let at = chrono::DateTime::from_timestamp(entry.received.into(), 0).map(Timestamp::new).filter(|_| entry.received > 0);
        let version = usize::try_from(entry.version).ok().and_then(|number| number.checked_sub(1));
        let log = StoredLog {
            content: entry.content,
            received: at.or_else(|| self.fractions.get(&(entry.place, entry.slot)).copied()),
            version_id: version.and_then(|number| self.versions.get(number)).map(ToString::to_string),
        };
        Some((place, entry.slot, log))
    }

    /// The places that hold a log of whose slot this is true.
    pub(super) fn places_with(&self, wanted: impl Fn(Timestamp) -> bool) -> Vec<&LogPlace> {
        let mut found = vec![false; self.places.len()];
        for entry in &self.entries {
            let place = usize::try_from(entry.place).ok().and_then(|place| found.get_mut(place));
            if let Some(found) = place.filter(|found| !**found) {
                *found = wanted(entry.slot.minute());
            }
        }
        self.places.iter().zip(found).filter(|(_, found)| *found).map(|(place, _)| place).collect()
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

    #[test]
    fn logs_are_found_as_they_were_added() {
        let log = |received: Option<&str>, version: Option<&str>, content| StoredLog {
            content,
            received: received.map(|text| text.parse().unwrap()),
            version_id: version.map(str::to_owned),
        };
        let hash = Ok(Sha256Hash::of(b"x"));
        let logs = [
            (location(10, "one"), log(Some("2026-03-01T09:11:00Z"), Some("v1"), hash)),
            (location(5, "one"), log(Some("2026-03-01T09:06:00.25Z"), None, hash)),
            (location(5, "two"), log(None, None, Err(GzipProblem::Truncated))),
        ];
        let mut stored = StoredLogs::default();
        for (location, log) in &logs {
            stored.add(location, log.clone());
        }
        stored.add(&S3Location::new("one", "not/a log"), log(None, None, hash));
        stored.sort();
        assert_eq!(stored.len(), 3);
        for (location, log) in &logs {
            let (place, slot, found) = stored.get(stored.find(location).unwrap()).unwrap();
            assert_eq!((place.location(slot), &found), (location.clone(), log));
        }
        assert!(stored.find(&location(10, "two")).is_none());
        let late = "2026-03-01T09:10:00Z".parse().unwrap();
        let places: Vec<&str> = stored.places_with(|minute| minute >= late).into_iter().map(|place| &*place.bucket).collect();
        assert_eq!(places, ["one"]);
    }

    #[test]
    fn a_log_takes_72_bytes() {
        assert!(size_of::<Entry>() <= 72, "{}", size_of::<Entry>());
    }
}
