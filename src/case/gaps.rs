use std::collections::{BTreeMap, HashMap};

use crate::model::{AccountId, Region, S3Location};

use super::event::{Artifact, Event, Gap, Origin};

/// The gaps of a case, followed line by line: a later run may close what an earlier one left open.
///
/// A gap about one object is closed when that object is acquired, and not before: that a later listing does not show it any more
/// explains nothing. Every other gap is closed by a later run that came to its end without meeting it again.
#[derive(Debug, Default)]
pub struct Gaps {
    open: Vec<Option<Gap>>,
    places: HashMap<Place, usize>,
    /// Which of the open gaps are about an object, by its location.
    objects: HashMap<String, Vec<usize>>,
    /// Those that are about no object, by the run that met them.
    others: BTreeMap<u32, Vec<usize>>,
    run: u32,
    closed: u64,
}

/// What a gap is about; the same again replaces it.
type Place = (String, Option<AccountId>, Option<Region>, String);

impl Gaps {
    /// Shows the next line of the ledger.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::CollectionStarted(started) => self.run = started.run,
            Event::GapRecorded(gap) => self.record(gap),
            Event::ArtifactAcquired(artifact) => self.acquired(artifact),
            Event::CollectionFinished(finished) => self.finished(finished.run),
            _ => {}
        }
    }

    /// The gaps that are open, in the order of the ledger, and how many that made the case incomplete were closed.
    #[must_use]
    pub fn into_open(self) -> (Vec<Gap>, u64) {
        (self.open.into_iter().flatten().collect(), self.closed)
    }

    fn record(&mut self, gap: &Gap) {
        let place = (gap.source.clone(), gap.account, gap.region.clone(), gap.what.clone());
        let at = self.open.len();
        if let Some(same) = self.places.insert(place, at).and_then(|same| self.open.get_mut(same)) {
            *same = None;
        }
        if is_about_an_object(gap) {
            self.objects.entry(gap.what.clone()).or_default().push(at);
        } else {
            self.others.entry(self.run).or_default().push(at);
        }
        self.open.push(Some(gap.clone()));
    }

    fn acquired(&mut self, artifact: &Artifact) {
        // Nearly always there is nothing to look for.
        if self.objects.is_empty() {
            return;
        }
        if let Origin::S3Object(origin) = &artifact.source {
            let object = S3Location::new(origin.bucket.clone(), origin.key.clone()).to_string();
            for at in self.objects.remove(&object).unwrap_or_default() {
                self.close(at);
            }
        }
    }

    /// A run came to its end: it asked for everything in scope again.
    fn finished(&mut self, run: u32) {
        let later = self.others.split_off(&run);
        for at in std::mem::replace(&mut self.others, later).into_values().flatten() {
            self.close(at);
        }
    }

    fn close(&mut self, at: usize) {
        if let Some(gap) = self.open.get_mut(at).and_then(Option::take) {
            self.closed += u64::from(gap.reason.is_incompleteness());
        }
    }
}

/// Whether a gap is about one object, by its location or by its path in the case.
fn is_about_an_object(gap: &Gap) -> bool {
    gap.what.starts_with("s3://") || gap.what.starts_with("data/")
}

#[cfg(test)]
mod tests {
    use crate::case::event::GapReason;

    use super::*;

    fn gap(what: &str) -> Event {
        Event::GapRecorded(Gap {
            source: "cloudtrail".to_owned(),
            account: None,
            region: None,
            what: what.to_owned(),
            reason: GapReason::Denied,
            error_code: None,
            detail: None,
            request_id: None,
        })
    }

    fn line(json: serde_json::Value) -> Event {
        serde_json::from_value(json).unwrap()
    }

    fn started(run: u32) -> Event {
        line(serde_json::json!({"event": "collection.started", "run": run, "tool": {"name": "caselock", "version": "1"},
            "host": "", "system": "", "os_user": "", "command_line": [],
            "caller": {"account": "111122223333", "arn": "", "user_id": ""},
            "window": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}, "scope": {}, "regions": []}))
    }

    fn finished(run: u32) -> Event {
        line(
            serde_json::json!({"event": "collection.finished", "run": run, "artifacts": 0, "bytes": 0, "already_stored": 0, "gaps": 0}),
        )
    }

    fn acquired(key: &str) -> Event {
        let path = crate::model::PayloadPath::for_object(&S3Location::new("b", key));
        line(serde_json::json!({"event": "artifact.acquired", "path": path, "size": 0, "sha256": "00".repeat(32), "salt": "",
            "source": {"kind": "s3-object", "source": "cloudtrail", "bucket": "b", "key": key, "aws_digest": "absent",
                "exchange": {"attempts": 1}}}))
    }

    fn open(events: &[Event]) -> Vec<String> {
        let mut gaps = Gaps::default();
        for event in events {
            gaps.take(event);
        }
        gaps.into_open().0.into_iter().map(|gap| gap.what).collect()
    }

    #[test]
    fn a_finished_run_closes_what_it_does_not_meet_again() {
        assert_eq!(open(&[started(1), gap("one"), gap("two"), finished(1), started(2), gap("two"), finished(2)]), ["two"]);
    }

    #[test]
    fn a_run_that_does_not_end_closes_nothing() {
        assert_eq!(open(&[started(1), gap("one"), finished(1), started(2)]), ["one"]);
    }

    #[test]
    fn a_gap_about_an_object_is_closed_only_by_the_object() {
        let first = [started(1), gap("s3://b/k"), finished(1), started(2)];
        assert_eq!(open(&[&first[..], &[finished(2)]].concat()), ["s3://b/k"]);
        assert_eq!(open(&[&first[..], &[acquired("other"), finished(2)]].concat()), ["s3://b/k"]);
        assert_eq!(open(&[&first[..], &[acquired("k"), finished(2)]].concat()), Vec::<String>::new());
    }
}
