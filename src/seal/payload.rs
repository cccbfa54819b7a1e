//! The payload against the ledger: every file is hashed, on all cores, while its line of the manifest is written.

use std::io::Write;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::case::event::{Artifact, Event};
use crate::case::sorting::{Bytes, Index, Record, Sorting};
use crate::case::{CaseError, CaseFiles, CaseFolder, CaseWriter, Found, IoContext as _, PathError, Workspace};
use crate::model::{HashingReader, Sha256Hash};

use super::{ArtifactTotals, SealError, manifest};

/// Files that wait for a worker.
const QUEUE: usize = 1024;

/// What the ledger records of the payload, while it is read.
#[derive(Debug)]
pub(super) struct Recording<'a> {
    workspace: &'a Workspace<'a>,
    entries: Sorting<Entry>,
}

/// What the ledger records of the payload.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Each path once.
    entries: Index<Entry>,
    /// A bit for each that was met.
    seen: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// The first half of the path's hash. Two paths that share it would be refused, never confused.
    key: [u8; 16],
    size: u64,
    sha256: Sha256Hash,
}

impl Record for Entry {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.key);
        self.size.write(bytes);
        bytes.extend_from_slice(self.sha256.as_bytes());
    }

    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        Some(Self { key: bytes.array()?, size: u64::read(bytes)?, sha256: bytes.hash()? })
    }
}

struct Job {
    path: String,
    size: u64,
    sha256: Sha256Hash,
}

fn key(path: &str) -> [u8; 16] {
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(Sha256Hash::of(path.as_bytes()).as_bytes()) {
        *to = *from;
    }
    key
}

impl<'a> Recording<'a> {
    pub(super) fn new(workspace: &'a Workspace<'a>) -> Self {
        Self { workspace, entries: Sorting::new(workspace) }
    }

    pub(super) fn add(&mut self, artifact: &Artifact) {
        self.entries.push(Entry { key: key(artifact.path.as_str()), size: artifact.size, sha256: artifact.sha256 });
    }

    /// Makes the entries ready for looking up.
    pub(super) fn finish(self, writer: &CaseWriter) -> Result<Recorded, SealError> {
        let sorted = self.entries.finish();
        let large = sorted.is_on_disk();
        let (mut previous, mut twice) = (None::<Entry>, None);
        let once = sorted.merge().filter(|entry| {
            let Ok(entry) = entry else { return true };
            let before = previous.replace(*entry).filter(|before| before.key == entry.key);
            if before.is_some_and(|before| before != *entry) {
                twice.get_or_insert(entry.key);
            }
            before.is_none()
        });
        let entries = Index::new(once, large, self.workspace)?;
        if let Some(key) = twice {
            let path = path_of(writer, key)?;
            return Err(SealError::RecordedTwice { path });
        }
        let count = entries.len();
        if count == 0 { Err(SealError::Empty) } else { Ok(Recorded { entries, seen: vec![0; count.div_ceil(64)] }) }
    }
}

impl Recorded {
    fn take(&mut self, path: &str) -> Result<Option<Entry>, CaseError> {
        let wanted = key(path);
        let Some((at, entry)) = self.entries.equal(|entry| entry.key.cmp(&wanted))?.pop() else { return Ok(None) };
        if let Some(bits) = self.seen.get_mut(at / 64) {
            *bits |= 1 << (at % 64);
        }
        Ok(Some(entry))
    }

    /// The first that was not met.
    fn missing(&self) -> Result<Option<Entry>, CaseError> {
        let is_seen = |at: &usize| self.seen.get(at / 64).is_some_and(|bits| bits >> (at % 64) & 1 == 1);
        match (0..self.entries.len()).find(|at| !is_seen(at)) {
            Some(at) => self.entries.get(at),
            None => Ok(None),
        }
    }
}

/// The recorded path with this key.
fn path_of(writer: &CaseWriter, wanted: [u8; 16]) -> Result<String, CaseError> {
    let mut found = String::new();
    writer.read_ledger(&mut |line| {
        if let Event::ArtifactAcquired(artifact) = &line.entry.event
            && key(artifact.path.as_str()) == wanted
        {
            artifact.path.as_str().clone_into(&mut found);
        }
    })?;
    Ok(found)
}

/// Hashes every file under `data/`, compares it with the ledger, and writes the payload manifest to `manifest`.
///
/// Nothing that was written counts when this fails.
pub(super) fn check(
    writer: &CaseWriter,
    files: &CaseFolder,
    mut recorded: Recorded,
    manifest: &mut dyn Write,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ArtifactTotals, SealError> {
    let workers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let first_problem: Mutex<Option<SealError>> = Mutex::new(None);
    let stop = AtomicBool::new(false);
    let report = |problem: SealError| {
        stop.store(true, Ordering::Relaxed);
        first_problem.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(problem);
    };
    let mut totals = ArtifactTotals::default();
    let (sender, receiver) = sync_channel::<Job>(QUEUE);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(job) = next_job(&receiver) {
                    if stop.load(Ordering::Relaxed) {
                        continue;
                    }
                    if let Err(problem) = check_file(files, &job) {
                        report(problem);
                    }
                    progress(1, job.size);
                }
            });
        }
        let walked = files.walk_below("data", &mut |found| {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let outcome = match found {
                Found::Foreign { path, what } => Err(SealError::Foreign { path: path.to_owned(), what }),
                Found::File { path } => match recorded.take(path) {
                    Err(error) => Err(error.into()),
                    Ok(None) => Err(SealError::Unlisted { path: path.to_owned() }),
                    Ok(Some(entry)) => {
                        totals.count += 1;
                        totals.bytes = totals.bytes.saturating_add(entry.size);
                        let written = manifest.write_all(manifest::line(&entry.sha256, path).as_bytes());
                        let job = Job { path: path.to_owned(), size: entry.size, sha256: entry.sha256 };
                        written
                            .map_err(|source| PathError::new("write", files.describe(super::MANIFEST), source).into())
                            // The workers live as long as the sender, so that nothing sent is lost.
                            .map(|()| drop(sender.send(job)))
                    }
                },
            };
            if let Err(problem) = outcome {
                report(problem);
            }
        });
        drop(sender);
        if let Err(error) = walked {
            report(error.into());
        }
    });
    if let Some(problem) = first_problem.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(problem);
    }
    match recorded.missing()? {
        Some(missing) => Err(SealError::Missing { path: path_of(writer, missing.key)? }),
        None => Ok(totals),
    }
}

/// Hashes every file under `data/` as it is found, whatever the ledger says of it, and writes the payload manifest to `manifest`.
pub(super) fn list(
    files: &CaseFolder,
    manifest: &mut dyn Write,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ArtifactTotals, SealError> {
    let mut totals = ArtifactTotals::default();
    let mut problem = None;
    files.walk_below("data", &mut |found| {
        let Found::File { path } = found else { return };
        if problem.is_none() {
            let before = totals.bytes;
            problem = list_file(files, path, manifest, &mut totals).err();
            progress(1, totals.bytes - before);
        }
    })?;
    match problem {
        Some(problem) => Err(problem),
        None => Ok(totals),
    }
}

fn list_file(files: &CaseFolder, path: &str, manifest: &mut dyn Write, totals: &mut ArtifactTotals) -> Result<(), SealError> {
    let (sha256, size) = HashingReader::new(files.open(path)?).finish().doing("read", &files.describe(path))?;
    let written = manifest.write_all(manifest::line(&sha256, path).as_bytes());
    written.doing("write", &files.describe(super::MANIFEST))?;
    totals.count += 1;
    totals.bytes += size;
    Ok(())
}

fn next_job(receiver: &Mutex<Receiver<Job>>) -> Option<Job> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

fn check_file(files: &CaseFolder, job: &Job) -> Result<(), SealError> {
    let modified = |difference: String| Err(SealError::Modified { path: job.path.clone(), difference });
    let (file, size) = files.open_file(&job.path)?;
    if size != job.size {
        return modified(format!("it has {size} bytes where {} were stored", job.size));
    }
    let hashed = HashingReader::new(file).finish();
    let (sha256, _) = hashed.doing("read", &files.describe(&job.path))?;
    if sha256 == job.sha256 { Ok(()) } else { modified(format!("its SHA-256 is {sha256} where {} was stored", job.sha256)) }
}
