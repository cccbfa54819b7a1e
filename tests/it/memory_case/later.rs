//! Runs of collect after the one that brought the evidence.

use caselock::case::event::{CollectionFinished, Event};
use caselock::model::{PayloadPath, S3Location, Timestamp};
use caselock::sim::ACCOUNT_ID;
use chrono::{DateTime, TimeDelta, Utc};

use super::writing::{Ledger, artifact, caller, response};
use super::{Answer, Collection, MemoryCase, end};

/// One of them: it finds nothing new, but for what AWS answers.
pub(crate) struct LaterRun {
    /// The account as which AWS is asked.
    pub(crate) account: &'static str,
    pub(crate) at: DateTime<Utc>,
    /// The regions that the scope comes to; without any, those of the first run.
    pub(crate) regions: Vec<&'static str>,
    /// Whether it lists what there is.
    pub(crate) lists: bool,
    pub(crate) answers: Vec<Answer>,
    /// Objects that the first run left out, and that it stores.
    pub(crate) stores: Vec<S3Location>,
    pub(crate) finished: bool,
}

impl LaterRun {
    /// A run of a day later that asks as the same account, lists everything and comes to its end.
    pub(crate) fn new() -> Self {
        let at = end() + TimeDelta::days(1);
        Self {
            account: ACCOUNT_ID,
            at,
            regions: Vec::new(),
            lists: true,
            answers: Vec::new(),
            stores: Vec::new(),
            finished: true,
        }
    }
}

impl Collection {
    pub(super) fn run_later(&self, first: u32, ledger: &mut Ledger, case: &mut MemoryCase) {
        let mut number = 1000;
        for (run, later) in (first + 1..).zip(&self.later) {
            ledger.at = Timestamp::new(later.at);
            let Event::CollectionStarted(mut started) = self.started(run, &[]) else { unreachable!() };
            started.caller = caller(later.account);
            if !later.regions.is_empty() {
                started.regions = later.regions.iter().map(|region| region.parse().unwrap()).collect();
            }
            ledger.append(&Event::CollectionStarted(started));
            for answer in &later.answers {
                number += 1;
                let body = answer.body.to_string().into_bytes();
                ledger.store(case, response(number, "cloudtrail", answer, body, "json"));
            }
            for location in &later.stores {
                let object = self.object(location).unwrap();
                ledger.store(case, artifact(PayloadPath::for_object(location), location, object));
            }
            for listing in self.listings().into_iter().filter(|_| later.lists) {
                ledger.append(&Event::ListingRecorded(listing));
            }
            if later.finished {
                let (artifacts, bytes, already_stored, gaps, clock) = (0, 0, 0, 0, None);
                let finished = CollectionFinished { run, artifacts, bytes, already_stored, gaps, clock };
                ledger.append(&Event::CollectionFinished(finished));
            }
        }
    }
}
