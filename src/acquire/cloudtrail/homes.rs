//! What the event history of their homes tells of the trails there are, which of their stores cannot be read, and which homes did not answer.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::watch;

use crate::aws::{Failure, Halt};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{AccountId, Region, TrailArn};

use super::super::errand::Errand;
use super::super::notes::happened;
use super::super::shared::Shared;
use super::super::tally::RowKey;
use super::coverage::{SWITCHES, Switches, switch};
use super::store::Store;
use super::traces::{Trail, trail_of};

/// What a run has heard from where trails are at home, and of where they deliver.
#[derive(Debug, Default)]
pub(crate) struct TrailHomes {
    switches: Shared<BTreeMap<Trail, Switches>>,
    /// The regions whose history has been asked for what was done to trails, whatever it said.
    asked: watch::Sender<BTreeSet<RowKey>>,
    out_of_reach: Shared<BTreeSet<Store>>,
    /// The regions that were left out of scope, and did not tell what was done to the trails at home there.
    refused: Shared<BTreeMap<RowKey, Failure>>,
}

impl TrailHomes {
    /// Notes what an event of the history tells, if it is one that says what a trail records.
    pub(crate) fn note_event(&self, account: AccountId, region: &Region, name: Option<&str>, record: Option<&str>) {
        let Some((name, record)) = happened(&SWITCHES, name, record) else { return };
        let at = record.get("eventTime").and_then(|at| at.as_str()?.parse().ok());
        if let (Some(at), Some(switch)) = (at, switch(name, &record))
            && let Some(trail) = trail_of(account, region, &record)
        {
            self.switches.lock().entry(trail).or_default().insert((at, switch));
        }
    }

    /// What the history tells of a trail.
    pub(super) fn switches(&self, arn: &TrailArn) -> Switches {
        self.switches.lock().get(&Trail::of(arn)).cloned().unwrap_or_default()
    }

    /// Notes that a region has been asked what was done to its trails.
    pub(super) fn has_asked(&self, row: &RowKey) {
        self.asked.send_modify(|asked| {
            asked.insert(row.clone());
        });
    }

    /// Waits until these regions have been asked. Whoever has trails there asks them.
    pub(super) async fn have_asked(&self, homes: &BTreeSet<RowKey>) {
        let mut asked = self.asked.subscribe();
        // The sender lives as long as who waits.
        drop(asked.wait_for(|asked| homes.is_subset(asked)).await);
    }

    /// Notes a store of which nothing can be read.
    pub(super) fn cannot_reach(&self, store: &Store) {
        self.out_of_reach.lock().insert(store.clone());
    }

    /// Whether nothing of a store can be read, as far as is known by now.
    pub(super) fn is_out_of_reach(&self, store: &Store) -> bool {
        self.out_of_reach.lock().contains(store)
    }

    /// Notes that a region which was left out of scope did not tell what was done to its trails.
    pub(super) fn was_refused(&self, row: &RowKey, failure: Failure) {
        self.refused.lock().entry(row.clone()).or_insert(failure);
    }

    /// Gaps for those regions. Where a trail is at home that recorded regions in scope, what was done to it is missing; where none is known,
    /// nothing that was asked for is: where an organization's policy closes regions, `--region` is for that.
    pub(super) async fn say(&self, errand: &Errand) -> Result<(), Halt> {
        for (row, failure) in self.refused.take() {
            if errand.notes.trails.is_home(&row) {
                errand.failed(&row, &Subject::answer("LookupEvents"), &failure).await?;
            } else {
                let detail =
                    format!("left out of scope; what became of trails at home there was asked all the same: {failure}");
                // In words of its own: it takes no other gap's place.
                errand.gap(&row, "event history of trails", GapReason::Skipped, Some(&detail)).await?;
            }
        }
        Ok(())
    }
}
