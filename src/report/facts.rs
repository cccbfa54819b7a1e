use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;

use crate::case::event::{Agreement, CollectionFinished, CollectionStarted, Event, Origin, PackageCreated, Tool};
use crate::case::ledger::read_ledger;
use crate::case::summary::{Summary, summarize};
use crate::case::{CASE_TOML, CaseError, CaseFiles, CaseIdentity, LEDGER, read_identity};
use crate::model::{HashingReader, Sha256Hash, Timestamp};
use crate::seal::{SealStatement, read_seals};

/// The package that a report is about, where it is about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageFacts {
    /// Its file name.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
}

/// What a report says of a case, as its own files tell it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The package that was read, if it was one.
    pub package: Option<PackageFacts>,
    pub(super) identity: CaseIdentity,
    pub(super) case_toml_sha256: Option<Sha256Hash>,
    pub(super) summary: Summary,
    pub(super) runs: Vec<RunFacts>,
    pub(super) timeline: Vec<(Timestamp, String)>,
    /// Lines of the timeline that were left out, for there are too many.
    pub(super) timeline_left_out: u64,
    pub(super) acquired: Option<(Timestamp, Timestamp)>,
    pub(super) agreement: BTreeMap<&'static str, u64>,
    pub(super) buckets: BTreeSet<String>,
    pub(super) operations: BTreeMap<String, u64>,
    pub(super) opened_by: Option<Tool>,
    pub(super) packages: Vec<PackageCreated>,
    pub(super) seals: Vec<(Sha256Hash, SealStatement)>,
}

/// One run of `collect`.
#[derive(Clone, Debug)]
pub(super) struct RunFacts {
    pub(super) at: Timestamp,
    pub(super) started: CollectionStarted,
    pub(super) finished: Option<(Timestamp, CollectionFinished)>,
}

/// Most lines of the timeline that are shown.
const TIMELINE: usize = 400;

/// Reads what a report says of a case; no artifact is read for it.
pub fn read_facts(files: &dyn CaseFiles) -> Result<Facts, CaseError> {
    let mut facts = Facts {
        package: None,
        identity: read_identity(files)?,
        case_toml_sha256: files
            .open(CASE_TOML)
            .ok()
            .and_then(|f| HashingReader::new(f).finish().ok())
            .map(|(sha256, _)| sha256),
        summary: summarize(files)?,
        runs: Vec::new(),
        timeline: Vec::new(),
        timeline_left_out: 0,
        acquired: None,
        agreement: BTreeMap::new(),
        buckets: BTreeSet::new(),
        operations: BTreeMap::new(),
        opened_by: None,
        packages: Vec::new(),
        seals: Vec::new(),
    };
    let reader = BufReader::with_capacity(256 * 1024, files.open(LEDGER)?);
    read_ledger(reader, &files.describe(LEDGER), &mut |line| facts.take(&line.entry.event, line.entry.at))?;
    for seal in read_seals(files)? {
        let Some(bytes) = seal.statement else { continue };
        if let Ok(statement) = SealStatement::parse(&bytes) {
            facts.seals.push((Sha256Hash::of(&bytes), statement));
        }
    }
    Ok(facts)
}

impl Facts {
    /// Which case it is.
    #[must_use]
    pub fn case_number(&self) -> &str {
        &self.identity.case_number
    }

    fn take(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::ArtifactAcquired(artifact) => {
                self.acquired = Some(self.acquired.map_or((at, at), |(first, _)| (first, at)));
                match &artifact.source {
                    Origin::S3Object(object) => {
                        *self.agreement.entry(agreement(object.aws_digest)).or_default() += 1;
                        if !self.buckets.contains(&object.bucket) {
                            self.buckets.insert(object.bucket.clone());
                        }
                    }
                    Origin::ApiResponse(response) => {
                        *self.operations.entry(format!("{}:{}", response.service, response.operation)).or_default() += 1;
                    }
                }
            }
            Event::CaseOpened(opened) => self.opened_by = Some(opened.tool.clone()),
            Event::CollectionStarted(started) => {
                self.runs.push(RunFacts { at, started: (**started).clone(), finished: None });
            }
            Event::CollectionFinished(finished) => {
                if let Some(run) = self.runs.iter_mut().rev().find(|run| run.started.run == finished.run) {
                    run.finished = Some((at, finished.clone()));
                }
            }
            Event::PackageCreated(created) => self.packages.push(created.clone()),
            _ => {}
        }
        if let Some(said) = in_words(event) {
            if self.timeline.len() < TIMELINE {
                self.timeline.push((at, said));
            } else {
                self.timeline_left_out += 1;
            }
        }
    }
}

pub(super) fn agreement(agreement: Agreement) -> &'static str {
    match agreement {
        Agreement::Match => "match",
        Agreement::Mismatch => "mismatch",
        Agreement::NotComparable => "not-comparable",
        Agreement::Absent => "absent",
    }
}

/// An act in a sentence; single artifacts and gaps have tables of their own.
fn in_words(event: &Event) -> Option<String> {
    Some(match event {
        Event::CaseOpened(opened) => {
            format!("Case {} was opened with {} {}.", opened.case_number, opened.tool.name, opened.tool.version)
        }
        Event::CollectionStarted(started) => {
            format!("Collection run {} began on {} as {}.", started.run, started.host, started.caller.arn)
        }
        Event::ListingRecorded(listing) if listing.rule.starts_with("noncurrent versions") => format!(
            "Listed the versions in s3://{}/{}: {} versions and delete markers, {} of them earlier versions in scope.",
            listing.bucket, listing.prefix, listing.listed, listing.in_scope
        ),
        Event::ListingRecorded(listing) => format!(
            "Listed s3://{}/{}: {} objects, {} of them in scope.",
            listing.bucket, listing.prefix, listing.listed, listing.in_scope
        ),
        Event::CollectionFinished(finished) => format!(
            "Collection run {} ended: {} artifacts stored, {} were there already, {} gaps.",
            finished.run, finished.artifacts, finished.already_stored, finished.gaps
        ),
        Event::CollectionInterrupted(interrupted) => format!(
            "Collection run {} was found interrupted; {} files that no ledger line names were discarded, to be fetched again.",
            interrupted.run,
            interrupted.discarded.len()
        ),
        Event::LedgerRecovered(recovered) => format!(
            "A ledger line that a crash had cut short ({} bytes) was kept, closed and accounted for.",
            recovered.torn_bytes
        ),
        Event::VerificationRecorded(verification) => format!(
            "The case was verified: {}; {} artifacts unchanged, {} failures.",
            verification.verdict, verification.artifacts_valid, verification.failures
        ),
        Event::CaseSealed(sealed) => format!("The case was sealed ({}) with the key {}.", sealed.seal, sealed.signer),
        Event::PackageCreated(created) => {
            format!("The package {} was written ({} bytes, SHA-256 {}).", created.file, created.size, created.sha256)
        }
        Event::CustodyTransferred(act) => format!(
            "{} released the case to {}: {}. Verified at release: {}.",
            act.handover.released_by, act.handover.received_by, act.handover.purpose, act.verification.verdict
        ),
        Event::CustodyReceived(act) => format!(
            "{} received the case from {}: {}. Verified at receipt: {}; signed for with the key {}.",
            act.handover.received_by, act.handover.released_by, act.handover.purpose, act.verification.verdict, act.signer
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_of_versions_is_not_told_as_one_of_objects() {
        let told = |rule: &str| {
            let line = serde_json::json!({"event": "listing.recorded", "source": "cloudtrail", "bucket": "b", "prefix": "p/",
                "listed": 23, "in_scope": 1, "bytes": 0, "pages": 1, "rule": rule});
            in_words(&serde_json::from_value(line).unwrap()).unwrap()
        };
        assert_eq!(told("digests of the window"), "Listed s3://b/p/: 23 objects, 1 of them in scope.");
        let of_versions =
            "Listed the versions in s3://b/p/: 23 versions and delete markers, 1 of them earlier versions in scope.";
        assert_eq!(told("noncurrent versions, where the key is in scope; digests of the window"), of_versions);
    }
}
