//! What the ledger says besides its artifacts, as its lines are read one after the other; what that comes to is judged later.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::event::{ClockOffset, Event, Gap, is_of_aws};
use crate::case::seconds_ahead;
use crate::model::{AccountId, Sha256Hash, Timestamp};

use super::collections::{Collections, root_of};
use super::custody;

/// What the ledger says besides its artifacts.
#[derive(Debug, Default)]
pub(super) struct Acts {
    pub(super) opened: Option<Sha256Hash>,
    /// The gaps that are open.
    pub(super) gaps: Vec<Gap>,
    /// How many a later run closed.
    pub(super) gaps_closed: u64,
    pub(super) runs_open: bool,
    /// Whether the last collection did not come to its end, recorded or not.
    pub(super) unfinished: bool,
    /// The accounts as which a collection began, and none that came to its end has asked since.
    pub(super) unfinished_as: BTreeSet<AccountId>,
    pub(super) runs: u32,
    /// What each run asked, and where those looked that came to their end.
    pub(super) collections: Collections,
    /// The buckets that were listed for CloudTrail's files, each with what stood before `AWSLogs/`.
    pub(super) listed: BTreeSet<(String, String)>,
    /// The accounts as which AWS was asked, in whichever run.
    pub(super) callers: BTreeSet<AccountId>,
    /// When the last run began.
    pub(super) collecting_since: Option<Timestamp>,
    pub(super) collected_until: Option<Timestamp>,
    pub(super) case_number: Option<String>,
    /// What the ledger says of the case changing hands, with the line that says it, counted from 1.
    pub(super) handovers: Vec<custody::Act>,
    /// Each `case.sealed`, by the seal's file; an attempt that was cut off leaves one more.
    pub(super) sealed: BTreeMap<String, Vec<Announced>>,
    /// By how many seconds a clock that the case was collected by was ahead of AWS's, at most.
    pub(super) clock_ahead: i64,
    /// The latest time at which a line was written, and the same of the lines before the last one.
    pub(super) latest: Option<Timestamp>,
    pub(super) before: Option<Timestamp>,
    /// Where AWS was asked for its public keys, if that was not AWS's own endpoint.
    pub(super) endpoints: BTreeSet<String>,
    /// What was asked for anything in the place of AWS's own endpoints.
    pub(super) asked_elsewhere: BTreeSet<String>,
    /// The seal that was announced last, as long as nothing happened, since it was announced first, that takes a whole seal.
    pub(super) sealing: Option<String>,
    /// The first line that stands where caselock writes none of its kind, counted from 1.
    pub(super) out_of_place: Option<u64>,
    /// How many lines are of a kind that this version does not know.
    pub(super) unknown: u64,
    /// The last line that says more than that the case was verified, sealed or packaged, counted from 1.
    pub(super) last_said: u64,
}

/// A line of the ledger that announces a seal.
#[derive(Debug)]
pub(super) struct Announced {
    /// Size and root of the ledger with it.
    pub(super) head: (u64, Sha256Hash),
    /// The key that was to sign.
    pub(super) signer: String,
    /// The latest time of the lines before it, by the clocks of whoever wrote them.
    pub(super) after: Option<Timestamp>,
}

impl Acts {
    /// The lines that announce the seal at `path`.
    pub(super) fn announced(&self, path: &str) -> impl Iterator<Item = &Announced> {
        self.sealed.get(path).into_iter().flatten()
    }

    /// Whether caselock never writes such a line there: a case is opened once, by the first line, and nothing is collected into a sealed one.
    pub(super) fn is_out_of_place(&self, event: &Event, seq: u64) -> bool {
        match event {
            Event::CaseOpened(_) => seq != 0,
            Event::CollectionStarted(_)
            | Event::CollectionFinished(_)
            | Event::CollectionInterrupted(_)
            | Event::ListingRecorded(_)
            | Event::ArtifactAcquired(_)
            | Event::GapRecorded(_) => !self.sealed.is_empty(),
            _ => false,
        }
    }

    /// Takes in what a line says that is not about an artifact; `lines` and `root` are the ledger's with it.
    pub(super) fn take(&mut self, event: &Event, at: Timestamp, lines: u64, root: Sha256Hash) {
        self.clock_ahead = self.clock_ahead.max(seconds_ahead(event));
        let by_aws = match event {
            Event::CollectionStarted(started) => on_clock_of_aws(at, started.clock),
            Event::CollectionFinished(finished) => on_clock_of_aws(at, finished.clock),
            _ => at,
        };
        self.collections.take(event, by_aws);
        match event {
            // To announce it once more does not undo what came between.
            Event::CaseSealed(sealed) if self.sealing.as_ref() != Some(&sealed.seal) => {
                let is_first = !self.sealed.contains_key(&sealed.seal);
                self.sealing = is_first.then(|| sealed.seal.clone());
            }
            // An attempt to seal that was cut off is made again, beginning with a verification.
            Event::CaseSealed(_) | Event::VerificationRecorded(_) | Event::LedgerRecovered(_) => {}
            _ => self.sealing = None,
        }
        match event {
            Event::CaseOpened(opened) => {
                self.opened = Some(opened.case_toml_sha256);
                self.case_number = Some(opened.case_number.clone());
            }
            Event::CollectionStarted(started) => {
                self.runs = self.runs.max(started.run);
                self.runs_open = true;
                self.unfinished = true;
                self.callers.extend(started.callers().map(|caller| caller.account));
                self.endpoints.extend(started.cloudtrail_endpoint().filter(|url| !is_of_aws(url)).map(str::to_owned));
                let asked = started.service_endpoints.values().chain(&started.endpoint_url);
                self.asked_elsewhere.extend(asked.filter(|url| !is_of_aws(url)).cloned());
                self.collecting_since = Some(by_aws);
                self.collected_until = Some(by_aws);
            }
            Event::CollectionFinished(_) => {
                self.runs_open = false;
                self.unfinished = false;
                self.collected_until = Some(by_aws);
            }
            Event::CollectionInterrupted(_) => self.runs_open = false,
            Event::CaseSealed(sealed) => {
                let announced = Announced { head: (lines, root), signer: sealed.signer.clone(), after: self.before };
                self.sealed.entry(sealed.seal.clone()).or_default().push(announced);
            }
            Event::CustodyTransferred(act) => {
                self.last_said = lines;
                self.handovers.push(custody::Act::released(lines, at, act));
            }
            Event::CustodyReceived(act) => {
                self.last_said = lines;
                self.handovers.push(custody::Act::received(lines, at, act));
            }
            Event::Unknown => {
                self.unknown += 1;
                self.last_said = lines;
            }
            Event::ListingRecorded(listing) if listing.source == "cloudtrail" => {
                let root = root_of(&listing.prefix);
                self.listed.extend(root.map(|root| (listing.bucket.clone(), root.to_owned())));
            }
            Event::ArtifactAcquired(_)
            | Event::GapRecorded(_)
            | Event::ListingRecorded(_)
            | Event::LedgerRecovered(_)
            | Event::VerificationRecorded(_)
            | Event::PackageCreated(_) => {}
        }
    }
}

/// The earliest that AWS's clocks, by which it dates what it delivers, can have shown when this machine's showed `at`.
fn on_clock_of_aws(at: Timestamp, clock: Option<ClockOffset>) -> Timestamp {
    // A machine whose battery is dead may be off by decades; what is more is no clock.
    const CENTURY: i64 = 100 * 366 * 86_400;
    let apart = clock.map_or(0, |clock| clock.offset_milliseconds.saturating_sub(clock.uncertainty_milliseconds));
    at.plus_seconds(apart.div_euclid(1000).clamp(-CENTURY, CENTURY))
}
