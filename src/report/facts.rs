//! What the report tells of a case, taken from its ledger and seals as they are. No artifact is read, and nothing is proven.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;

use crate::case::event::{
    Agreement, CollectionFinished, CollectionStarted, Encrypted, Event, Origin, PackageCreated, Tool, is_of_aws,
};
use crate::case::ledger::read_ledger;
use crate::case::summary::{Summary, summarize};
use crate::case::{CASE_TOML, CaseError, CaseFiles, CaseIdentity, LEDGER, MissingPart, Protection, read_identity};
use crate::model::{HashingReader, Sha256Hash, Timestamp, counted, thousands};
use crate::package::part_of;
use crate::seal::{PackageHead, SealStatement, read_seals};

/// What a report says of a case, as its own files tell it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The package that was read, or those of its parts that were there; none where a case folder was read.
    pub packages_read: Vec<PackageHead>,
    /// Its parts that were not there.
    pub(super) missing: Vec<MissingPart>,
    pub(super) identity: CaseIdentity,
    pub(super) case_toml_sha256: Option<Sha256Hash>,
    pub(super) summary: Summary,
    pub(super) runs: Vec<RunFacts>,
    pub(super) timeline: Vec<Act>,
    /// Lines of the timeline that were left out, for there are too many.
    pub(super) timeline_left_out: u64,
    pub(super) acquired: Option<(Timestamp, Timestamp)>,
    pub(super) agreement: BTreeMap<&'static str, u64>,
    pub(super) buckets: BTreeSet<String>,
    pub(super) operations: BTreeMap<String, u64>,
    pub(super) opened_by: Option<Tool>,
    /// When the ledger says that the case was opened.
    pub(super) opened_at: Option<Timestamp>,
    pub(super) packages: Vec<PackageCreated>,
    pub(super) seals: Vec<SealFacts>,
    /// How far the system kept the case from being changed when it was sealed last.
    pub(super) protection: Option<Protection>,
}

/// A package as it lies there to be handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivered {
    pub(super) head: PackageHead,
    /// The zip within it, where it is encrypted.
    pub(super) within: Option<PackageHead>,
}

impl Delivered {
    pub(super) fn of(created: &PackageCreated) -> Self {
        let plain = PackageHead { file: created.file.clone(), size: created.size, sha256: created.sha256 };
        match &created.encrypted {
            None => Self { head: plain, within: None },
            Some(Encrypted { file, size, sha256, .. }) => {
                Self { head: PackageHead { file: file.clone(), size: *size, sha256: *sha256 }, within: Some(plain) }
            }
        }
    }
}

/// What lies in an encrypted package.
pub(super) fn within_it(zip: &PackageHead) -> String {
    format!("the zip within it, {}: {}, SHA-256 {}", zip.file, counted(zip.size, "byte"), zip.sha256)
}

/// One seal.
#[derive(Clone, Debug)]
pub(super) struct SealFacts {
    pub(super) path: String,
    pub(super) sha256: Sha256Hash,
    pub(super) statement: SealStatement,
}

/// One line of the ledger that the timeline shows.
#[derive(Clone, Debug)]
pub(super) struct Act {
    /// Counted from 1, so that a seal over so many lines or more covers it.
    pub(super) line: u64,
    pub(super) at: Timestamp,
    pub(super) said: Said,
}

/// What a line says. What a signature has to bear out is only said once that is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// An act in a sentence.
    Done(String),
    /// That the case is sealed, in which file and with which key.
    Sealed { seal: String, signer: String },
    /// That the case was received, and with which key that will be signed for.
    Received { what: String, signer: String },
}

/// One run of `collect`.
#[derive(Clone, Debug)]
pub(super) struct RunFacts {
    pub(super) at: Timestamp,
    pub(super) started: CollectionStarted,
    pub(super) finished: Option<(Timestamp, CollectionFinished)>,
    /// When it was interrupted and by what, or, where it could not say so any more, when that was found.
    pub(super) interrupted: Option<(Timestamp, Option<String>)>,
    /// When the last of what it collected was recorded.
    pub(super) latest: Timestamp,
}

impl RunFacts {
    /// Who AWS said was asking, one for each role that was assumed.
    pub(super) fn principals(&self) -> String {
        self.started.callers().map(|caller| caller.arn.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The ids of their access keys, as far as they are known.
    pub(super) fn access_keys(&self) -> Vec<&str> {
        self.started.callers().filter_map(|caller| caller.access_key_id.as_deref()).collect()
    }

    /// When it came to its end, if it did.
    pub(super) fn ended(&self) -> String {
        match &self.finished {
            Some((at, _)) => at.to_string(),
            None => format!("did not come to its end: {}", self.interruption()),
        }
    }

    /// What the ledger says of when a run stopped that did not come to its end.
    pub(super) fn interruption(&self) -> String {
        let latest = format!("the last of what it collected was recorded {}", self.latest);
        match &self.interrupted {
            Some((at, Some(cause))) => format!("interrupted {at} ({cause})"),
            Some((at, None)) => format!("found interrupted {at}; {latest}"),
            None => latest,
        }
    }

    /// The endpoints that were asked and are not AWS's own.
    fn asked_elsewhere(&self) -> impl Iterator<Item = &str> {
        let all = self.started.service_endpoints.values().chain(&self.started.endpoint_url);
        all.map(String::as_str).filter(|url| !is_of_aws(url))
    }

    /// What was asked instead of AWS's own endpoints, if anything was.
    pub(super) fn endpoints(&self) -> Option<String> {
        let started = &self.started;
        let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (service, url) in &started.service_endpoints {
            services.entry(url).or_default().push(service);
        }
        let of_services = services.iter().map(|(url, services)| format!("{url} for {}", services.join(", ")));
        let rest = match (&started.endpoint_url, services.is_empty()) {
            (Some(url), true) => url.clone(),
            (Some(url), false) => format!("{url} for all others"),
            (None, false) => "AWS's own for all others".to_owned(),
            (None, true) => return None,
        };
        Some(of_services.chain([rest]).collect::<Vec<_>>().join("; "))
    }

    /// Where the public keys of CloudTrail came from, where that was not AWS's own endpoint.
    fn keys_from(&self) -> Option<&str> {
        self.started.cloudtrail_endpoint().filter(|url| !is_of_aws(url))
    }
}

/// Most lines of the timeline that are shown.
const TIMELINE: usize = 400;

/// Reads what a report says of a case; no artifact is read for it.
pub fn read_facts(files: &dyn CaseFiles) -> Result<Facts, CaseError> {
    let mut facts = Facts {
        packages_read: Vec::new(),
        missing: files.missing_parts(),
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
        opened_at: None,
        packages: Vec::new(),
        seals: Vec::new(),
        protection: None,
    };
    let reader = BufReader::with_capacity(256 * 1024, files.open(LEDGER)?);
    read_ledger(reader, &files.describe(LEDGER), &mut |line| {
        facts.take(&line.entry.event, line.entry.at, line.tree.size());
    })?;
    for seal in read_seals(files)? {
        let Some(bytes) = seal.statement else { continue };
        if let Ok(statement) = SealStatement::parse(&bytes) {
            facts.seals.push(SealFacts { path: seal.path, sha256: Sha256Hash::of(&bytes), statement });
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

    /// Where the public keys of CloudTrail came from, as far as they did not come from AWS's own endpoint.
    pub(super) fn keys_from(&self) -> BTreeSet<&str> {
        self.runs.iter().filter_map(RunFacts::keys_from).collect()
    }

    /// What was asked in the place of AWS's own endpoints.
    pub(super) fn asked_elsewhere(&self) -> BTreeSet<&str> {
        self.runs.iter().flat_map(RunFacts::asked_elsewhere).collect()
    }

    /// The package that the case was handed over in: what was read, or what the ledger says was written of the latest seal. Nothing
    /// where that is not known; a disclosure is no package of the case.
    pub(super) fn packages_of_the_case(&self) -> Vec<Delivered> {
        if !self.packages_read.is_empty() {
            return self.packages_read.iter().map(|head| Delivered { head: head.clone(), within: None }).collect();
        }
        let Some(latest) = self.seals.last() else { return Vec::new() };
        let of_it = || self.packages.iter().filter(|package| package.include.is_empty() && package.seal == latest.path);
        let Some(last) = of_it().next_back() else { return Vec::new() };
        let Some((whole, _, of)) = part_of(&last.file) else { return vec![Delivered::of(last)] };
        let is_part = |package: &&PackageCreated, number| part_of(&package.file) == Some((whole.clone(), number, of));
        (1..=of).filter_map(|number| of_it().rfind(|package| is_part(package, number)).map(Delivered::of)).collect()
    }

    fn take(&mut self, event: &Event, at: Timestamp, line: u64) {
        if let (Event::ArtifactAcquired(_) | Event::GapRecorded(_) | Event::ListingRecorded(_), Some(run)) =
            (event, self.runs.last_mut())
        {
            run.latest = at;
        }
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
            Event::CaseOpened(opened) => {
                self.opened_by = Some(opened.tool.clone());
                self.opened_at.get_or_insert(at);
            }
            Event::CollectionStarted(started) => {
                self.runs.push(RunFacts { at, started: (**started).clone(), finished: None, interrupted: None, latest: at });
            }
            Event::CollectionInterrupted(interrupted) => {
                if let Some(run) = self.runs.iter_mut().rev().find(|run| run.started.run == interrupted.run) {
                    run.interrupted = Some((at, interrupted.cause.clone()));
                }
            }
            Event::CollectionFinished(finished) => {
                if let Some(run) = self.runs.iter_mut().rev().find(|run| run.started.run == finished.run) {
                    run.finished = Some((at, finished.clone()));
                }
            }
            Event::PackageCreated(created) => self.packages.push(created.clone()),
            Event::CaseSealed(sealed) => self.protection = sealed.protection,
            _ => {}
        }
        if let Some(said) = in_words(event) {
            if self.timeline.len() < TIMELINE {
                self.timeline.push(Act { line, at, said });
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
fn in_words(event: &Event) -> Option<Said> {
    Some(Said::Done(match event {
        Event::CaseSealed(sealed) => {
            return Some(Said::Sealed { seal: sealed.seal.clone(), signer: sealed.signer.clone() });
        }
        Event::CustodyReceived(act) => {
            let what = format!(
                "{} received the case from {}: {}. Verified at receipt: {}",
                act.handover.received_by, act.handover.released_by, act.handover.purpose, act.verification.verdict
            );
            return Some(Said::Received { what, signer: act.signer.clone() });
        }
        Event::CaseOpened(opened) => {
            format!("Case {} was opened with {} {}.", opened.case_number, opened.tool.name, opened.tool.version)
        }
        Event::CollectionStarted(started) => {
            format!("Collection run {} began on {} as {}.", started.run, started.host, started.caller.arn)
        }
        Event::ListingRecorded(listing) if listing.is_of_versions() => format!(
            "Listed the versions in s3://{}/{}: {} versions and delete markers, {} of them earlier versions in scope.",
            listing.bucket, listing.prefix, listing.listed, listing.in_scope
        ),
        Event::ListingRecorded(listing) => format!(
            "Listed s3://{}/{}: {}, {} of them in scope.",
            listing.bucket,
            listing.prefix,
            counted(listing.listed, "object"),
            thousands(listing.in_scope)
        ),
        Event::CollectionFinished(finished) => format!(
            "Collection run {} ended: {} stored, {} were there already; {}.",
            finished.run,
            counted(finished.artifacts, "artifact"),
            thousands(finished.already_stored),
            match finished.gaps {
                0 => "it missed nothing that was in scope".to_owned(),
                gaps => format!("{} in scope could not be had", counted(gaps, "thing")),
            }
        ),
        Event::CollectionInterrupted(interrupted) => {
            let discarded = counted(u64::try_from(interrupted.discarded.len()).unwrap_or(u64::MAX), "file");
            let how = match &interrupted.cause {
                Some(cause) => format!("was interrupted ({cause})"),
                None => "was found interrupted".to_owned(),
            };
            format!(
                "Collection run {} {how}; {discarded} that no ledger line names discarded, to be fetched again.",
                interrupted.run
            )
        }
        Event::LedgerRecovered(recovered) => format!(
            "A ledger line that a crash had cut short ({}) was kept, closed and accounted for.",
            counted(recovered.torn_bytes, "byte")
        ),
        Event::VerificationRecorded(verification) => format!(
            "The case was verified: {}; {} unchanged, {}.",
            verification.verdict,
            counted(verification.artifacts_valid, "artifact"),
            counted(verification.failures, "failure")
        ),
        Event::PackageCreated(created) => package_in_words(created),
        Event::CustodyTransferred(act) => format!(
            "{} released the case to {}: {}. Verified at release: {}.",
            act.handover.released_by, act.handover.received_by, act.handover.purpose, act.verification.verdict
        ),
        _ => return None,
    }))
}

fn package_in_words(created: &PackageCreated) -> String {
    let (what, of) = if created.include.is_empty() {
        ("package", String::new())
    } else {
        ("disclosure", format!(" of {}", created.include.join(", ")))
    };
    let delivered = Delivered::of(created);
    let within = delivered.within.as_ref().map(|within| format!("; {}", within_it(within))).unwrap_or_default();
    let Delivered { head, within: inner } = delivered;
    format!(
        "The {what} {}{}{of} was written ({}, SHA-256 {}){within}.",
        head.file,
        if inner.is_some() { " (encrypted)" } else { "" },
        counted(head.size, "byte"),
        head.sha256
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_of_versions_is_not_told_as_one_of_objects() {
        let told = |rule: &str| {
            let line = serde_json::json!({"event": "listing.recorded", "source": "cloudtrail", "bucket": "b", "prefix": "p/",
                "listed": 23, "in_scope": 1, "bytes": 0, "pages": 1, "rule": rule});
            match in_words(&serde_json::from_value(line).unwrap()).unwrap() {
                Said::Done(told) => told,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(told("digests of the window"), "Listed s3://b/p/: 23 objects, 1 of them in scope.");
        let of_versions =
            "Listed the versions in s3://b/p/: 23 versions and delete markers, 1 of them earlier versions in scope.";
        assert_eq!(told("noncurrent versions, where the key is in scope; digests of the window"), of_versions);
    }
}
