//! Reads every artifact once: its custody hash, its gzip member, its content's hash and what CloudTrail says in it, together.

mod findings;
mod opened;

use std::collections::{HashMap, HashSet};
use std::io::BufReader;
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::case::event::{Agreement, Artifact, Event, ObjectOrigin, Origin, ResponseOrigin};
use crate::case::ledger::{LedgerState, read_ledger};
use crate::case::sorting::{Sorted, Sorting};
use crate::case::{CaseError, CaseFiles, Found, LEDGER, PathError};
use crate::cloudtrail::chain::StoredDigest;
use crate::cloudtrail::gzip::{self, GzipProblem};
use crate::cloudtrail::{
    Digest, DigestName, ObjectEvent, RegionDisabled, TrailEvent, events_in_history, events_in_log, regions_disabled_in_history,
};
use crate::model::{S3Location, Sha256Hash};

use super::delete_markers::{DeleteMarker, delete_markers};
use super::digest_records::{DigestRecord, MALFORMED, MALFORMED_GZIP};
use super::fingerprint::{Fingerprint, Keys};
use super::log_records::{LogRecord, LogRecords, Places, StoredLog};
use super::presence::Presence;
use super::{ArtifactReport, Options};

use opened::{Opened, Scratch, goes_beside, is_in_its_place};

/// Responses up to this size are kept to be read.
const RESPONSE: u64 = 32 * 1024 * 1024;
/// Artifacts handed to a worker together, unless fewer have so many bytes.
const BATCH: usize = 64;
const BATCH_BYTES: u64 = 1024 * 1024;
/// Batches that wait.
const BATCHES: usize = 16;

/// A body that a later step reads.
#[derive(Clone, Debug)]
pub(super) struct StoredResponse {
    pub(super) origin: ResponseOrigin,
    pub(super) body: Vec<u8>,
}

/// Everything that one pass over the artifacts gives.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) report: ArtifactReport,
    /// The digests, what they list taken out.
    pub(super) digests: Sorted<DigestRecord>,
    /// What they list, and what the logs that are stored came to.
    pub(super) logs: Sorted<LogRecord>,
    /// Where those lie.
    pub(super) places: Places,
    /// Events in logs that change what a trail delivers.
    pub(super) events: Vec<TrailEvent>,
    /// The same in AWS's own event history.
    pub(super) history: Vec<TrailEvent>,
    /// Regions that it says were switched off.
    pub(super) regions_disabled: Vec<RegionDisabled>,
    /// Events in logs that touch CloudTrail's own files.
    pub(super) object_events: Vec<ObjectEvent>,
    /// Delete markers on CloudTrail's own files, as listings show them.
    pub(super) delete_markers: Vec<DeleteMarker>,
    pub(super) responses: Vec<StoredResponse>,
    keys: Keys,
    /// Of the path and SHA-256 of every artifact that the ledger names.
    recorded: Fingerprint,
    /// The files outside `data/`.
    pub(super) tags: Vec<String>,
    foreign: Vec<(String, &'static str)>,
    /// Files that are there and could not be read, and why.
    unreadable: Vec<(String, String)>,
    /// The objects among them: there, for all that is known.
    pub(super) unreadable_objects: Vec<String>,
    /// Files that unpack to more than whoever verifies lets them, which is less than is usual.
    over_limit: Vec<String>,
    /// Logs that hold more than is searched for events.
    pub(super) unsearched: Vec<S3Location>,
    twice: Vec<String>,
    /// Recorded again with the same bytes.
    restored: Vec<String>,
    /// Stored at a path that is not the one of the object which the ledger says it is.
    misplaced: Vec<String>,
    /// Stored although they are not the bytes whose digest S3 named, having come the same twice.
    contradicted: Vec<String>,
}

/// Checks all artifacts that `feed` shows, on several threads, while the ledger is still being read.
pub(super) fn check(
    files: &dyn CaseFiles,
    options: &Options<'_>,
    read: impl FnOnce(&mut dyn FnMut(Artifact)) -> Result<LedgerState, CaseError>,
) -> Result<(LedgerState, Checked), CaseError> {
    let (sender, receiver) = sync_channel::<Batch>(BATCHES);
    let job = Job {
        files,
        limits: &options.limits,
        waiting: Mutex::new(receiver),
        logs: LogRecords::new(&options.workspace),
        digests: Mutex::new(Sorting::new(&options.workspace)),
    };
    let keys = Keys::default();
    let (mut paths, mut recorded, mut total) = (Fingerprint::default(), Fingerprint::default(), 0);
    let (state, mut parts, there) = std::thread::scope(|scope| {
        let walker = scope.spawn(|| Presence::look(files, &keys));
        let workers: Vec<_> =
            (0..options.threads.get()).map(|_| scope.spawn(|| job.work(&mut |bytes| (options.progress)(1, bytes)))).collect();
        let (mut batch, mut bytes) = (Batch::default(), 0_u64);
        // Sending fails only when every worker has ended, which they do only after an error.
        let state = read(&mut |artifact| {
            total += 1;
            paths.add(&keys, artifact.path.as_str());
            recorded.add(&keys, (artifact.path.as_str(), artifact.sha256));
            bytes = bytes.saturating_add(artifact.size);
            batch.artifacts.push(artifact);
            // Two at least, which are hashed side by side.
            if batch.artifacts.len() >= BATCH || (bytes >= BATCH_BYTES && batch.artifacts.len() > 1) {
                bytes = 0;
                let following = Batch { first: total, artifacts: Vec::new() };
                let _sent = sender.send(std::mem::replace(&mut batch, following));
            }
        });
        let _sent = sender.send(batch);
        drop(sender);
        // What a worker found must not be lost with it.
        let parts = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let parts: Vec<Part> = parts.flatten().collect();
        (state, parts, walker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let (state, there) = (state?, there?);
    let (places, logs) = job.logs.finish();
    let digests = job.digests.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    let mut whole = Checked { digests, logs, places, keys, recorded, ..Checked::default() };
    // In the order of the ledger, whichever worker was the faster.
    parts.sort_unstable_by_key(|(number, _)| *number);
    for (_, part) in parts {
        whole.merge(part);
    }
    whole.report.total = total;
    (whole.tags, whole.foreign) = (there.tags, there.foreign);
    if there.payload != paths {
        whole.compare_one_by_one(files)?;
    }
    for paths in [&mut whole.report.modified, &mut whole.report.missing] {
        paths.sort();
        paths.dedup();
    }
    Ok((state, whole))
}

/// Shows every line of a manifest: path and hash.
type ManifestLines<'a> = dyn Fn(&mut dyn FnMut(&str, Sha256Hash)) + 'a;

/// What some artifacts that follow one another came to, with the number of the first.
type Part = (u64, Checked);

/// Artifacts that follow one another in the ledger.
#[derive(Debug, Default)]
struct Batch {
    /// The number of the first, counted from 0.
    first: u64,
    artifacts: Vec<Artifact>,
}

/// What the workers share.
struct Job<'a> {
    files: &'a dyn CaseFiles,
    limits: &'a gzip::Limits,
    waiting: Mutex<Receiver<Batch>>,
    logs: LogRecords,
    digests: Mutex<Sorting<DigestRecord>>,
}

impl Job<'_> {
    /// What the batches came to that this worker took; those that there is something to say of besides counts, one by one.
    fn work(&self, done: &mut dyn FnMut(u64)) -> Vec<Part> {
        let (mut parts, mut counts, mut spare) = (Vec::new(), Checked::default(), Vec::new());
        loop {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(batch) = next else { break };
            let mut checked = Checked::default();
            let mut artifacts = (batch.first..).zip(batch.artifacts).peekable();
            while let Some((number, artifact)) = artifacts.next() {
                let beside = goes_beside(&artifact);
                let mut open = |(number, artifact)| Opened::new(self.files, number, artifact, spare.pop().unwrap_or_default());
                let mut one = open((number, artifact));
                let mut other = artifacts.next_if(|(_, other)| beside && goes_beside(other)).map(open);
                Opened::hash(&mut one, other.as_mut(), self.limits);
                for opened in [Some(one), other].into_iter().flatten() {
                    let bytes = opened.artifact.size;
                    spare.push(checked.take(self, opened));
                    done(bytes);
                }
            }
            counts.report.valid += std::mem::take(&mut checked.report.valid);
            counts.report.bytes += std::mem::take(&mut checked.report.bytes);
            if checked.has_anything() {
                parts.push((batch.first, checked));
            }
        }
        parts.push((0, counts));
        parts
    }

    /// Takes an object that is a digest, in the same way. Gives where it lies if it was not read for the lowered limits alone.
    fn take_digest(&self, origin: ObjectOrigin, (number, current): (u64, bool), scratch: &mut Scratch) -> Option<S3Location> {
        let Scratch { bytes, content, .. } = scratch;
        let location = S3Location::new(origin.bucket, origin.key);
        if let Ok(name) = location.key.parse::<DigestName>() {
            let usual = gzip::Limits { digest: self.limits.digest, ..gzip::Limits::default() }.of_digests();
            let limits = self.limits.of_digests();
            let outcome = gzip::read_member(bytes, &limits, &mut |piece| content.extend_from_slice(piece));
            if outcome == Err(GzipProblem::TooLarge) && limits.are_lower_than(&usual, bytes) {
                return Some(location);
            }
            let mut content = match outcome {
                Ok((sha256, _)) => Digest::parse(content)
                    .map(|digest| (digest, sha256))
                    .map_err(|problem| (MALFORMED, format!("Its content is no digest: {problem}."))),
                Err(problem) => Err((MALFORMED_GZIP, format!("It is not one whole gzip member: {problem}."))),
            };
            if let Ok((digest, _)) = &mut content {
                self.logs.add_listed(number, &digest.logs.take());
            }
            let mut metadata = origin.metadata;
            let generated = metadata.get("backfill-generation-timestamp").filter(|_| name.backfill);
            let generated = generated.and_then(|text| text.parse().ok());
            let digest = StoredDigest {
                location,
                name,
                content,
                signature: metadata.remove("signature"),
                signature_algorithm: metadata.remove("signature-algorithm"),
                generated,
                last_modified: origin.last_modified,
                version_id: origin.version_id,
                current,
                number,
            };
            self.digests.lock().unwrap_or_else(PoisonError::into_inner).push(DigestRecord(digest));
        }
        None
    }

    /// Whether a log was not read for the lowered limits alone.
    fn is_over_limit(&self, content: Option<&Result<Sha256Hash, GzipProblem>>, bytes: &[u8]) -> bool {
        matches!(content, Some(Err(GzipProblem::TooLarge))) && self.limits.are_lower_than(&gzip::Limits::default(), bytes)
    }
}

/// Whether the system could not read, rather than that something else lies there than should.
pub(super) fn is_trouble(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let elsewhere = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO, Errno::XDEV];
    error.raw_os_error().is_some_and(|number| !elsewhere.contains(&Errno::from_raw_os_error(number)))
}

/// What the ledger names, path by path.
#[derive(Debug, Default)]
struct ByPath {
    /// SHA-256 of every artifact.
    recorded: HashMap<String, Sha256Hash>,
    /// Those that it names again with other bytes.
    twice: Vec<String>,
    /// Those that it names again with the same, and how many these are.
    restored: Vec<(String, u64)>,
}

/// A map of a large case takes much memory: it is made only where something does not add up.
fn recorded_by_path(files: &dyn CaseFiles) -> Result<ByPath, CaseError> {
    let mut all = ByPath::default();
    let ledger: Box<dyn std::io::Read + Send + '_> = match files.open(LEDGER) {
        Err(error) if error.is_not_found() => Box::new(std::io::empty()),
        opened => opened?,
    };
    let reader = BufReader::with_capacity(256 * 1024, ledger);
    read_ledger(reader, &files.describe(LEDGER), &mut |line| {
        if let Event::ArtifactAcquired(artifact) = &line.entry.event {
            match all.recorded.insert(artifact.path.to_string(), artifact.sha256) {
                Some(before) if before == artifact.sha256 => all.restored.push((artifact.path.to_string(), artifact.size)),
                Some(_) => all.twice.push(artifact.path.to_string()),
                None => {}
            }
        }
    })?;
    Ok(all)
}

impl Checked {
    /// Finds the files that no line names, and the lines that name one file twice.
    fn compare_one_by_one(&mut self, files: &dyn CaseFiles) -> Result<(), CaseError> {
        let ByPath { recorded, twice, restored } = recorded_by_path(files)?;
        self.twice = twice;
        self.count_once(restored);
        files.walk(&mut |found| {
            if let Found::File { path } = found
                && path.starts_with("data/")
                && !recorded.contains_key(path)
            {
                self.report.unlisted.push(path.to_owned());
            }
        })
    }

    /// Counts files that were recorded again once.
    fn count_once(&mut self, restored: Vec<(String, u64)>) {
        let report = &self.report;
        let not_read: HashSet<&str> = [&report.modified, &report.missing].into_iter().flatten().map(String::as_str).collect();
        let is_valid = |path: &str| !not_read.contains(path) && !self.unreadable.iter().any(|(unread, _)| unread == path);
        let (mut valid, mut bytes) = (0, 0);
        for (_, size) in restored.iter().filter(|(path, _)| is_valid(path)) {
            valid += 1;
            bytes += size;
        }
        let lines = u64::try_from(restored.len()).unwrap_or(u64::MAX);
        self.report.total = self.report.total.saturating_sub(lines);
        self.report.valid = self.report.valid.saturating_sub(valid);
        self.report.bytes = self.report.bytes.saturating_sub(bytes);
        self.restored = restored.into_iter().map(|(path, _)| path).collect();
        self.restored.sort();
        self.restored.dedup();
    }

    /// The paths that the ledger names with another hash than the manifest, or not at all. `manifest` shows its lines, as often as asked.
    pub(super) fn disagreements(&self, files: &dyn CaseFiles, manifest: &ManifestLines<'_>) -> Result<Vec<String>, CaseError> {
        let (mut listed, mut wrong) = (Fingerprint::default(), Vec::new());
        manifest(&mut |path, sha256| listed.add(&self.keys, (path, sha256)));
        if listed != self.recorded {
            let recorded = recorded_by_path(files)?.recorded;
            manifest(&mut |path, sha256| {
                if recorded.get(path) != Some(&sha256) {
                    wrong.push(path.to_owned());
                }
            });
        }
        Ok(wrong)
    }

    /// Whether nothing lies under `data/`.
    pub(super) fn is_bare(&self) -> bool {
        self.report.total == 0 && self.report.unlisted.is_empty() && self.foreign.is_empty()
    }

    /// Whether it holds more than counts.
    fn has_anything(&self) -> bool {
        let Self { report, events, history, object_events, delete_markers, responses, .. } = self;
        let Self { unreadable, unreadable_objects, over_limit, unsearched, misplaced, contradicted, regions_disabled, .. } =
            self;
        let paths = [&report.modified, &report.missing, unreadable_objects, over_limit, misplaced, contradicted];
        let told = [events.len(), history.len(), object_events.len(), delete_markers.len(), responses.len()];
        paths.iter().any(|paths| !paths.is_empty())
            || told.iter().any(|count| *count > 0)
            || !(unreadable.is_empty() && unsearched.is_empty() && regions_disabled.is_empty())
    }

    fn merge(&mut self, other: Self) {
        self.report.valid += other.report.valid;
        self.report.bytes += other.report.bytes;
        self.report.modified.extend(other.report.modified);
        self.report.missing.extend(other.report.missing);
        self.misplaced.extend(other.misplaced);
        self.contradicted.extend(other.contradicted);
        self.unreadable.extend(other.unreadable);
        self.unreadable_objects.extend(other.unreadable_objects);
        self.over_limit.extend(other.over_limit);
        self.unsearched.extend(other.unsearched);
        self.events.extend(other.events);
        self.history.extend(other.history);
        self.regions_disabled.extend(other.regions_disabled);
        self.object_events.extend(other.object_events);
        self.delete_markers.extend(other.delete_markers);
        self.responses.extend(other.responses);
    }

    /// Takes what an artifact came to, and gives the memory back that it took.
    fn take(&mut self, job: &Job<'_>, opened: Opened<'_>) -> Scratch {
        let Opened { number, artifact, mut scratch, file, content, whole, .. } = opened;
        let path = artifact.path.as_str();
        let hashed = match file {
            Ok(hashed) => hashed,
            Err(CaseError::Io(PathError { source, .. })) if is_trouble(&source) => {
                self.could_not_read(&artifact, &source);
                return scratch;
            }
            // One finding for the whole part, and it is not gone for all that is known.
            Err(_) if job.files.is_in_missing_part(path) => {
                self.note_unread(&artifact);
                return scratch;
            }
            Err(_) => {
                self.report.missing.push(path.to_owned());
                return scratch;
            }
        };
        match hashed {
            Ok((sha256, size)) => {
                self.report.bytes += size;
                if sha256 == artifact.sha256 && size == artifact.size {
                    self.report.valid += 1;
                } else {
                    self.report.modified.push(path.to_owned());
                }
            }
            // The disk failed, which says nothing about the bytes.
            Err(error) if is_trouble(&error) => {
                self.could_not_read(&artifact, &error);
                return scratch;
            }
            // The file is there, but its bytes cannot be read back, so it is not what was stored.
            Err(_) => self.report.modified.push(path.to_owned()),
        }
        let current = !artifact.path.as_str().starts_with("data/s3-versions/");
        if let Origin::S3Object(origin) = &artifact.source {
            if !is_in_its_place(&artifact, origin, current) {
                self.misplaced.push(artifact.path.to_string());
            }
            if origin.aws_digest == Agreement::Mismatch {
                self.contradicted.push(artifact.path.to_string());
            }
        }
        let bytes = &mut scratch.bytes;
        if job.is_over_limit(content.as_ref(), bytes) {
            self.over_limit.push(path.to_owned());
            self.note_unread(&artifact);
            return scratch;
        }
        match artifact.source {
            Origin::S3Object(origin) => match content {
                Some(content) => {
                    let location = S3Location::new(origin.bucket.clone(), origin.key.clone());
                    self.unsearched.extend((!whole).then(|| location.clone()));
                    self.take_log(*origin, &location, (number, current), (content, &scratch.content), job);
                }
                None => {
                    if let Some(location) = job.take_digest(*origin, (number, current), &mut scratch) {
                        self.over_limit.push(artifact.path.to_string());
                        self.unreadable_objects.push(location.to_string());
                    }
                }
            },
            Origin::ApiResponse(origin) if artifact.size <= RESPONSE => {
                match (origin.service.as_str(), origin.operation.as_str()) {
                    // These answers are long and many, so only what they tell is kept. One that cannot be read is told of later.
                    ("cloudtrail", "LookupEvents") if origin.status == 200 => match events_in_history(bytes) {
                        Ok(events) => {
                            self.history.extend(events);
                            self.regions_disabled.extend(regions_disabled_in_history(bytes, origin.account));
                        }
                        Err(_) => self.responses.push(StoredResponse { origin: *origin, body: std::mem::take(bytes) }),
                    },
                    ("cloudtrail", _) => self.responses.push(StoredResponse { origin: *origin, body: std::mem::take(bytes) }),
                    ("s3", "ListObjectVersions") => {
                        let bucket = origin.parameters.get("Bucket").map(String::as_str);
                        self.delete_markers.extend(delete_markers(bytes, bucket));
                    }
                    _ => {}
                }
            }
            Origin::ApiResponse(_) => {}
        }
        scratch
    }

    fn could_not_read(&mut self, artifact: &Artifact, why: &std::io::Error) {
        self.unreadable.push((artifact.path.to_string(), why.to_string()));
        self.note_unread(artifact);
    }

    fn note_unread(&mut self, artifact: &Artifact) {
        if let Origin::S3Object(origin) = &artifact.source {
            self.unreadable_objects.push(S3Location::new(origin.bucket.clone(), origin.key.clone()).to_string());
        }
    }

    /// Takes the log that the key gave when it was fetched, if `current`, or an older version of it.
    fn take_log(
        &mut self,
        origin: ObjectOrigin,
        location: &S3Location,
        (number, current): (u64, bool),
        (sha256, content): (Result<Sha256Hash, GzipProblem>, &[u8]),
        job: &Job<'_>,
    ) {
        let version = origin.version_id.as_deref().filter(|_| !current);
        let (trails, objects) = events_in_log(content, location, version);
        self.events.extend(trails);
        self.object_events.extend(objects);
        let log = StoredLog { content: sha256, received: origin.last_modified, version_id: origin.version_id.map(Into::into) };
        if current {
            job.logs.add_current(location, number, log);
        } else {
            job.logs.add_older(location, number, log);
        }
    }
}
