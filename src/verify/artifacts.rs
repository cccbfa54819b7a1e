//! Reads every artifact once: its custody hash, its gzip member, its content's hash and what CloudTrail says in it, together.

use std::collections::HashMap;
use std::io::{BufReader, Read as _};
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::case::event::{Artifact, Event, ObjectOrigin, Origin, ResponseOrigin};
use crate::case::ledger::{LedgerState, read_ledger};
use crate::case::sorting::{Sorted, Sorting};
use crate::case::{CaseError, CaseFiles, Found, LEDGER, is_temporary};
use crate::cloudtrail::chain::StoredDigest;
use crate::cloudtrail::gzip;
use crate::cloudtrail::{
    Digest, DigestName, LogName, ObjectEvent, RegionDisabled, TrailEvent, events_in_history, events_in_log,
    regions_disabled_in_history,
};
use crate::model::{Finding, PayloadPath, S3Location, Severity, Sha256Hash, Sha256Hasher};

use super::delete_markers::{DeleteMarker, delete_markers};
use super::digest_records::{DigestRecord, MALFORMED, MALFORMED_GZIP};
use super::fingerprint::{Fingerprint, Keys};
use super::log_records::{LogRecord, LogRecords, Places, StoredLog};
use super::presence::Presence;
use super::{ArtifactReport, Options};

/// Artifacts up to this size are read into memory; CloudTrail's files are far below, and larger ones are only hashed.
const IN_MEMORY: u64 = 128 * 1024 * 1024;
/// Responses up to this size are kept to be read.
const RESPONSE: u64 = 32 * 1024 * 1024;
/// Read at once where a file is only hashed.
const PIECE: usize = 128 * 1024;
/// Artifacts handed to a worker together, unless fewer have so many bytes.
const BATCH: usize = 64;
const BATCH_BYTES: u64 = 1024 * 1024;
/// Batches that wait.
const BATCHES: usize = 16;
/// Memory that is kept from one file to the next.
const KEPT: usize = 1024 * 1024;

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
    /// Logs that hold more than is searched for events.
    pub(super) unsearched: Vec<S3Location>,
    twice: Vec<String>,
    /// Stored at a path that is not the one of the object which the ledger says it is.
    misplaced: Vec<String>,
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
            if batch.artifacts.len() >= BATCH || bytes >= BATCH_BYTES {
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
    whole.report.modified.sort();
    whole.report.missing.sort();
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

/// Memory that a worker uses again for every file.
#[derive(Debug, Default)]
struct Scratch {
    bytes: Vec<u8>,
    content: Vec<u8>,
    /// Where a file is only hashed: never emptied, so that it need not be filled again.
    piece: Vec<u8>,
}

impl Scratch {
    /// Gives back what only a rare large file needed.
    fn shrink(&mut self) {
        for buffer in [&mut self.bytes, &mut self.content] {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
    }
}

impl Job<'_> {
    /// What the batches came to that this worker took; those that there is something to say of besides counts, one by one.
    fn work(&self, done: &mut dyn FnMut(u64)) -> Vec<Part> {
        let (mut parts, mut counts, mut scratch) = (Vec::new(), Checked::default(), Scratch::default());
        loop {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(batch) = next else { break };
            let mut checked = Checked::default();
            for (number, artifact) in (batch.first..).zip(batch.artifacts) {
                let bytes = artifact.size;
                checked.take(self, number, artifact, &mut scratch);
                scratch.shrink();
                done(bytes);
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
}

/// Whether the system could not read, rather than that something else lies there than should.
pub(super) fn is_trouble(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let elsewhere = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NXIO, Errno::XDEV];
    error.raw_os_error().is_some_and(|number| !elsewhere.contains(&Errno::from_raw_os_error(number)))
}

/// Whether an object lies at the one path that its bucket, key and version give: else one object could be in the case twice.
fn is_in_its_place(artifact: &Artifact, origin: &ObjectOrigin, current: bool) -> bool {
    let location = S3Location::new(origin.bucket.clone(), origin.key.clone());
    let place = match (current, &origin.version_id) {
        (true, _) => PayloadPath::for_object(&location),
        (false, Some(version)) => PayloadPath::for_version(&location, version),
        (false, None) => return false,
    };
    place == artifact.path
}

/// Whether more is read in a file than its hash: CloudTrail's files, and the answers that tell about them.
fn is_read_further(source: &Origin) -> bool {
    match source {
        Origin::S3Object(origin) => origin.key.contains("CloudTrail"),
        Origin::ApiResponse(origin) => {
            origin.service == "cloudtrail" || (origin.service == "s3" && origin.operation == "ListObjectVersions")
        }
    }
}

/// SHA-256 and length of what `reader` still gives, read through memory that is used again.
fn hashed_through(mut reader: impl std::io::Read, buffer: &mut Vec<u8>) -> std::io::Result<(Sha256Hash, u64)> {
    buffer.resize(PIECE, 0);
    let (mut hasher, mut length) = (Sha256Hasher::default(), 0);
    loop {
        let count = match reader.read(buffer) {
            Ok(0) => break,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        hasher.update(buffer.get(..count).unwrap_or_default());
        length += u64::try_from(count).unwrap_or(0);
    }
    Ok((hasher.finish(), length))
}

/// SHA-256 of every artifact that the ledger names, by its path, and the paths that it names twice.
///
/// A map of a large case takes much memory: it is made only where something does not add up.
fn recorded_by_path(files: &dyn CaseFiles) -> Result<(HashMap<String, Sha256Hash>, Vec<String>), CaseError> {
    let (mut recorded, mut twice) = (HashMap::new(), Vec::new());
    let ledger: Box<dyn std::io::Read + Send + '_> = match files.open(LEDGER) {
        Err(error) if error.is_not_found() => Box::new(std::io::empty()),
        opened => opened?,
    };
    let reader = BufReader::with_capacity(256 * 1024, ledger);
    read_ledger(reader, &files.describe(LEDGER), &mut |line| {
        if let Event::ArtifactAcquired(artifact) = &line.entry.event
            && recorded.insert(artifact.path.to_string(), artifact.sha256).is_some()
        {
            twice.push(artifact.path.to_string());
        }
    })?;
    Ok((recorded, twice))
}

impl Checked {
    /// Finds the files that no line names, and the lines that name one file twice.
    fn compare_one_by_one(&mut self, files: &dyn CaseFiles) -> Result<(), CaseError> {
        let (recorded, twice) = recorded_by_path(files)?;
        self.twice = twice;
        files.walk(&mut |found| {
            if let Found::File { path } = found
                && path.starts_with("data/")
                && !recorded.contains_key(path)
            {
                self.report.unlisted.push(path.to_owned());
            }
        })
    }

    /// The paths that the ledger names with another hash than the manifest, or not at all. `manifest` shows its lines, as often as asked.
    pub(super) fn disagreements(&self, files: &dyn CaseFiles, manifest: &ManifestLines<'_>) -> Result<Vec<String>, CaseError> {
        let (mut listed, mut wrong) = (Fingerprint::default(), Vec::new());
        manifest(&mut |path, sha256| listed.add(&self.keys, (path, sha256)));
        if listed != self.recorded {
            let (recorded, _) = recorded_by_path(files)?;
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
        let Self { unreadable, unreadable_objects, unsearched, misplaced, regions_disabled, .. } = self;
        let paths = [&report.modified, &report.missing, unreadable_objects, misplaced];
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
        self.unreadable.extend(other.unreadable);
        self.unreadable_objects.extend(other.unreadable_objects);
        self.unsearched.extend(other.unsearched);
        self.events.extend(other.events);
        self.history.extend(other.history);
        self.regions_disabled.extend(other.regions_disabled);
        self.object_events.extend(other.object_events);
        self.delete_markers.extend(other.delete_markers);
        self.responses.extend(other.responses);
    }

    fn take(&mut self, job: &Job<'_>, number: u64, artifact: Artifact, scratch: &mut Scratch) {
        let path = artifact.path.as_str();
        let mut reader = match job.files.open(path) {
            Ok(reader) => reader,
            Err(CaseError::Io { source, .. }) if is_trouble(&source) => {
                self.could_not_read(&artifact, &source);
                return;
            }
            // One finding for the whole part, and it is not gone for all that is known.
            Err(_) if job.files.is_in_missing_part(path) => {
                self.note_unread(&artifact);
                return;
            }
            Err(_) => {
                self.report.missing.push(path.to_owned());
                return;
            }
        };
        let Scratch { bytes, content, piece } = scratch;
        let gathered = artifact.size < IN_MEMORY && is_read_further(&artifact.source);
        let limit = if gathered { artifact.size.saturating_add(1) } else { 0 };
        let read = reader.by_ref().take(limit).read_to_end(bytes);
        let hashed = match read {
            Ok(_) if gathered => {
                let longer = u64::try_from(bytes.len()).unwrap_or(u64::MAX) > artifact.size;
                let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                if longer { Ok((Sha256Hash::ZERO, size)) } else { Ok((Sha256Hash::of(bytes), size)) }
            }
            Ok(_) => hashed_through(reader, piece),
            Err(error) => Err(error),
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
            // The disk's trouble, which says nothing about the bytes.
            Err(error) if is_trouble(&error) => {
                self.could_not_read(&artifact, &error);
                return;
            }
            // There, but its bytes cannot be read back: not what was stored.
            Err(_) => self.report.modified.push(path.to_owned()),
        }
        let current = !artifact.path.as_str().starts_with("data/s3-versions/");
        if let Origin::S3Object(origin) = &artifact.source
            && !is_in_its_place(&artifact, origin, current)
        {
            self.misplaced.push(artifact.path.to_string());
        }
        match artifact.source {
            Origin::S3Object(origin) => self.take_object(*origin, (number, current), bytes, content, job),
            Origin::ApiResponse(origin) if artifact.size <= RESPONSE => {
                match (origin.service.as_str(), origin.operation.as_str()) {
                    // Long, and many of them: only what they tell is kept. One that cannot be read is told of later.
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

    /// Takes what the key gave when it was fetched, if `current`, or an older version of the object.
    fn take_object(
        &mut self,
        origin: ObjectOrigin,
        (number, current): (u64, bool),
        bytes: &[u8],
        content: &mut Vec<u8>,
        job: &Job<'_>,
    ) {
        let location = S3Location::new(origin.bucket, origin.key);
        if location.key.parse::<LogName>().is_ok() {
            let mut whole = true;
            let outcome = gzip::read_member(bytes, job.limits, &mut |piece| {
                whole &= content.len() + piece.len() <= job.limits.searched;
                if whole {
                    content.extend_from_slice(piece);
                }
            });
            self.unsearched.extend((!whole).then(|| location.clone()));
            let version = origin.version_id.as_deref().filter(|_| !current);
            let (trails, objects) = events_in_log(content, &location, version);
            self.events.extend(trails);
            self.object_events.extend(objects);
            let content = outcome.map(|(sha256, _)| sha256);
            let log = StoredLog { content, received: origin.last_modified, version_id: origin.version_id.map(Into::into) };
            if current {
                job.logs.add_current(&location, number, log);
            } else {
                job.logs.add_older(&location, number, log);
            }
        } else if let Ok(name) = location.key.parse::<DigestName>() {
            let limits = gzip::Limits { content: job.limits.content.min(job.limits.digest), ..*job.limits };
            let outcome = gzip::read_member(bytes, &limits, &mut |piece| content.extend_from_slice(piece));
            let mut content = match outcome {
                Ok((sha256, _)) => Digest::parse(content)
                    .map(|digest| (digest, sha256))
                    .map_err(|problem| (MALFORMED, format!("Its content is no digest: {problem}."))),
                Err(problem) => Err((MALFORMED_GZIP, format!("It is not one whole gzip member: {problem}."))),
            };
            if let Ok((digest, _)) = &mut content {
                job.logs.add_listed(number, &digest.logs.take());
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
            job.digests.lock().unwrap_or_else(PoisonError::into_inner).push(DigestRecord(digest));
        }
    }

    /// What is wrong with the files themselves.
    ///
    /// Files that no line names are what a crash leaves while a run is unfinished; the next run discards them.
    pub(super) fn findings(&self, run_unfinished: bool, sealed: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut fail = |kind: &str, path: &String, detail: &str| {
            findings.push(Finding::new(Severity::Failure, kind, path, detail));
        };
        for path in &self.report.modified {
            fail(
                "artifact-modified",
                path,
                "Its bytes are not those that were acquired: they differ from the ledger's SHA-256.",
            );
        }
        for path in &self.report.missing {
            fail("artifact-missing", path, "The ledger says that it was stored, and it is not there.");
        }
        for path in &self.twice {
            fail("artifact-twice", path, "The ledger says twice that it was stored.");
        }
        for path in &self.misplaced {
            fail(
                "artifact-misplaced",
                path,
                "The ledger says that it is an object of S3 whose place in a case is another: collect never stored it here.",
            );
        }
        for (path, what) in &self.foreign {
            fail("foreign-file", path, &format!("It is {what}; a case holds regular files only."));
        }
        for (path, why) in &self.unreadable {
            let detail =
                format!("It is there and could not be read: {why}. Read it from a copy, or mend the disk, and verify again.");
            findings.push(Finding::new(Severity::Gap, "artifact-unreadable", path, &detail));
        }
        for path in &self.report.unlisted {
            if (run_unfinished || is_temporary(path)) && !sealed {
                let detail = "No line of the ledger names it; the interrupted run left it, and the next one discards it.";
                findings.push(Finding::new(Severity::Gap, "artifact-unrecorded", path, detail));
            } else {
                let detail = "No line of the ledger names it: it was put there by something other than caselock.";
                findings.push(Finding::new(Severity::Failure, "artifact-unlisted", path, detail));
            }
        }
        findings
    }
}
