//! Stores that only digests name: never followed, because whoever can write a digest could send a collection anywhere; where the run does
//! not come to them anyway, they are gaps.

use std::collections::{BTreeMap, BTreeSet};

use crate::aws::Halt;
use crate::case::event::GapReason;
use crate::case::gap::{self, Subject};
use crate::model::S3Location;

use super::super::errand::Errand;
use super::super::shared::Shared;
use super::super::tally::RowKey;

/// Places that are told of one by one.
const TOLD: usize = 200;
/// Places that are noted of what the digests of one account and region name.
const NOTED: usize = 1_000;

/// What digests name outside the store of their trail.
///
/// A digest is not proven yet when it is read, so it leads to no other bucket than to those that are gone through anyway: what lies
/// elsewhere is told of, when it is known where the run has been.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    known: Shared<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The stores that are gone through.
    swept: BTreeSet<Place>,
    named: BTreeSet<Named>,
    /// How many were named for each row.
    counts: BTreeMap<RowKey, usize>,
    /// The rows of which more were named than are noted.
    beyond: BTreeSet<RowKey>,
}

/// A bucket, and what stands before `AWSLogs/` in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    bucket: String,
    prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    row: RowKey,
    place: Place,
    /// Whether who goes through the place brings it.
    is_met_there: bool,
}

/// The part of a key before its last `AWSLogs/`, and the rest.
pub(super) fn cut(key: &str) -> (&str, &str) {
    key.split_at(key.rfind("AWSLogs/").unwrap_or_default())
}

impl Elsewhere {
    /// Notes that a store is gone through.
    pub(super) fn sweeps(&self, bucket: &str, prefix: &str) {
        self.known.lock().swept.insert(Place { bucket: bucket.to_owned(), prefix: prefix.to_owned() });
    }

    /// Notes that a digest names this. `is_met_there` says whether who goes through that place brings it.
    pub(super) fn note(&self, row: &RowKey, location: &S3Location, is_met_there: bool) {
        let (prefix, _) = cut(&location.key);
        let place = Place { bucket: location.bucket.clone(), prefix: prefix.to_owned() };
        let mut known = self.known.lock();
        let named = Named { row: row.clone(), place, is_met_there };
        if known.named.contains(&named) {
            return;
        }
        if known.counts.get(row).is_some_and(|count| *count >= NOTED) {
            known.beyond.insert(row.clone());
            return;
        }
        *known.counts.entry(row.clone()).or_default() += 1;
        known.named.insert(named);
    }

    /// Gaps for what the run did not come to.
    pub(super) async fn say(&self, errand: &Errand) -> Result<(), Halt> {
        let unmet = self.unmet();
        for (row, place) in unmet.iter().take(TOLD) {
            let what = Subject::Elsewhere(gap::Place::new(&place.bucket, &format!("{}AWSLogs/", place.prefix)));
            let detail =
                "digests name evidence of the window there; collect it in a case of its own, with its bucket and prefix named";
            errand.gap(row, &what, GapReason::Failed, Some(detail)).await?;
        }
        let beyond = self.known.lock().beyond.first().cloned();
        if let Some(row) = unmet.iter().nth(TOLD).map(|(row, _)| row).or(beyond.as_ref()) {
            // Where more were named than are noted, there are that many at least.
            let further = unmet.len().saturating_sub(TOLD).max(1);
            let what = format!("logs or digests in {further} further places");
            let detail = "digests name more places than are told of one by one; whoever can write digests can name any";
            errand.gap(row, &what, GapReason::Failed, Some(detail)).await?;
        }
        Ok(())
    }

    fn unmet(&self) -> BTreeSet<(RowKey, Place)> {
        let known = self.known.lock();
        let unmet = known.named.iter().filter(|named| !(named.is_met_there && known.swept.contains(&named.place)));
        unmet.map(|named| (named.row.clone(), named.place.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_places_are_noted_than_anybody_will_be_told_of() {
        let (elsewhere, row) = (Elsewhere::default(), RowKey { source: "cloudtrail", account: None, region: None });
        for number in (0..2 * NOTED).chain(0..10) {
            elsewhere.note(&row, &S3Location::new(format!("b{number}"), "AWSLogs/x"), false);
        }
        assert_eq!(elsewhere.unmet().len(), NOTED);
        assert!(elsewhere.known.lock().beyond.contains(&row));
    }

    #[test]
    fn only_what_no_sweep_brings_is_told_of() {
        let (elsewhere, row) = (Elsewhere::default(), RowKey { source: "cloudtrail", account: None, region: None });
        let at = |bucket: &str, key: &str| S3Location::new(bucket, key);
        elsewhere.note(&row, &at("moved", "team/AWSLogs/111122223333/a"), true);
        elsewhere.note(&row, &at("moved", "AWSLogs/111122223333/a"), true);
        elsewhere.note(&row, &at("late", "AWSLogs/111122223333/a"), false);
        elsewhere.note(&row, &at("moved", "no-store/a"), true);
        elsewhere.sweeps("moved", "team/");
        elsewhere.sweeps("late", "");
        let told: Vec<(String, String)> =
            elsewhere.unmet().into_iter().map(|(_, place)| (place.bucket, place.prefix)).collect();
        assert_eq!(told, [("late", ""), ("moved", "")].map(|(bucket, prefix)| (bucket.to_owned(), prefix.to_owned())));
    }
}
