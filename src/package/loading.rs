//! The threads under a package being written: each takes the next few members, reads and hashes them, and writes them into the zip.
//!
//! The order of members is kept by the archive itself, which goes from the one who has taken the members before to the one who has taken
//! those after. While it is elsewhere, the others read, compare hashes and write.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::case::{CaseFiles as _, CaseFolder, FileOpener, IoContext as _, PathError};
use crate::model::Sha256Hash;

use super::PackageError;
use super::archive::{Archive, Output, Written, unnamed};
use super::large::Large;
use super::load::Load;

/// Bytes after which a load is full.
const LOAD: u64 = 512 * 1024;
/// Members after which a load is full: their files are open at the same time.
const MEMBERS: usize = 64;
/// What is larger never lies in memory whole.
pub(super) const LARGE: u64 = 16 * 1024 * 1024;
/// Members asked for together.
const REQUESTS: usize = 64;
/// Most threads: hashing the zip is for one at a time, and is a good third of the work.
const WORKERS: usize = 4;

/// What comes into the zip next, as the member `name`.
#[derive(Debug)]
enum Request {
    /// A file of the case, or its first `bytes`.
    File { name: String, path: String, sha256: Option<Sha256Hash>, bytes: Option<u64> },
    /// A text.
    Text { name: String, bytes: Vec<u8> },
    /// A long one.
    Spooled(Large),
}

/// What was asked for, and is open.
#[derive(Debug)]
enum Source {
    File { name: String, path: String, sha256: Option<Sha256Hash>, size: u64, file: File },
    Text { name: String, bytes: Vec<u8> },
    Large(Large, String),
}

impl Source {
    fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            Self::Text { bytes, .. } => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            Self::Large(large, _) => large.size,
        }
    }
}

/// The archive, or why there is none any more.
type Turn = Result<Archive, PackageError>;

/// Members on their way into the zip, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Loading {
    requests: Option<SyncSender<Vec<Request>>>,
    next: Vec<Request>,
    text: Option<Text>,
    /// Where a text lies aside that is too long for memory.
    aside: PathBuf,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

/// A text that comes piece by piece.
#[derive(Debug)]
struct Text {
    name: String,
    bytes: Vec<u8>,
    /// What does not fit into memory, and how much that is.
    spool: Option<(File, u64)>,
}

#[derive(Debug)]
struct Shared {
    case: CaseFolder,
    output: Arc<Output>,
    queue: Mutex<Queue>,
    /// What first went wrong in writing. The archive went on, but never comes to its end.
    failure: Mutex<Option<(u64, PackageError)>>,
}

#[derive(Debug)]
struct Queue {
    /// None once nobody asks, or nobody cares, any more.
    asked: Option<Receiver<Vec<Request>>>,
    requests: VecDeque<Request>,
    opener: FileOpener,
    /// What was opened and found too large to go with those before it.
    opened: Option<Result<Source, PackageError>>,
    /// Where the archive comes to after what was taken last.
    turn: Receiver<Turn>,
}

/// Members that somebody has taken, and his place in the order.
struct Taken {
    sources: Result<Vec<Source>, PackageError>,
    turn: Receiver<Turn>,
    next: SyncSender<Turn>,
}

impl Loading {
    pub(super) fn begin(case: &CaseFolder, archive: Archive) -> Self {
        let (requests, asked) = sync_channel(2);
        let (first, turn) = sync_channel(1);
        let output = archive.output();
        let aside = output.path().to_owned();
        // There is room for one.
        let _sent = first.send(Ok(archive));
        let opener = FileOpener::new(case.clone());
        let queue = Queue { asked: Some(asked), requests: VecDeque::new(), opener, opened: None, turn };
        let shared = Shared { case: case.clone(), output, queue: Mutex::new(queue), failure: Mutex::default() };
        let shared = Arc::new(shared);
        // Not fewer than two, so that one can wait for the disk.
        let count = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, WORKERS));
        let workers = (0..count).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.work())
        });
        Self { requests: Some(requests), next: Vec::new(), text: None, aside, workers: workers.collect(), shared }
    }

    /// Adds a file of the case, or its first `bytes`, whose hash must be `sha256`, as the member `name`.
    pub(super) fn add(
        &mut self,
        name: String,
        path: &str,
        sha256: Option<Sha256Hash>,
        bytes: Option<u64>,
    ) -> Result<(), PackageError> {
        self.end_text()?;
        self.ask(Request::File { name, path: path.to_owned(), sha256, bytes })
    }

    /// Begins a member that is no file; its bytes follow.
    pub(super) fn begin_member(&mut self, name: String) -> Result<(), PackageError> {
        self.end_text()?;
        self.text = Some(Text { name, bytes: Vec::new(), spool: None });
        Ok(())
    }

    /// The next bytes of the member that was begun.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        let Some(text) = &mut self.text else { return Ok(()) };
        text.bytes.extend_from_slice(bytes);
        let waiting = u64::try_from(text.bytes.len()).unwrap_or(u64::MAX);
        if waiting < LARGE && (text.spool.is_none() || waiting < LOAD) {
            return Ok(());
        }
        let (spool, size) = match &mut text.spool {
            Some(spool) => spool,
            none => none.insert((unnamed(&self.aside, ".member")?, 0)),
        };
        spool.write_all(&text.bytes).doing("write", &self.aside)?;
        *size = size.saturating_add(waiting);
        text.bytes.clear();
        Ok(())
    }

    fn end_text(&mut self) -> Result<(), PackageError> {
        match self.text.take() {
            None => Ok(()),
            Some(Text { name, bytes, spool: None }) => self.ask(Request::Text { name, bytes }),
            Some(Text { name, bytes, spool: Some((mut file, size)) }) => {
                file.write_all(&bytes).doing("write", &self.aside)?;
                let size = size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                self.ask(Request::Spooled(Large { name, size, file, place: self.aside.clone(), sha256: None }))
            }
        }
    }

    /// Waits until everything is in the zip, and ends it.
    pub(super) fn finish(mut self) -> Result<Written, PackageError> {
        self.end_text()?;
        self.send();
        let written = self.end()?.finish()?;
        let output = Arc::clone(&self.shared.output);
        drop(self);
        Arc::into_inner(output).ok_or(PackageError::Unfinished)?.finish()?;
        Ok(written)
    }

    fn ask(&mut self, request: Request) -> Result<(), PackageError> {
        self.next.push(request);
        if self.next.len() < REQUESTS || self.send() { Ok(()) } else { self.end().map(drop) }
    }

    /// Whether somebody still takes what is asked for.
    fn send(&mut self) -> bool {
        let next = std::mem::take(&mut self.next);
        self.requests.as_ref().is_some_and(|requests| requests.send(next).is_ok())
    }

    /// Waits for all threads, and gives the archive with everything that was asked for, or what went wrong first.
    fn end(&mut self) -> Turn {
        drop(self.requests.take());
        for worker in self.workers.drain(..) {
            let _ended = worker.join();
        }
        // What failed to be written came before what ended the archive.
        let failure = lock(&self.shared.failure).take();
        let turn = lock(&self.shared.queue).turn.try_recv();
        match failure {
            Some((_, problem)) => Err(problem),
            None => turn.unwrap_or(Err(PackageError::Unfinished)),
        }
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        // Nothing is written any more once the file is discarded.
        let _ended = self.end();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn work(&self) {
        let mut load = Load::default();
        while let Some(taken) = self.take() {
            if !self.add(taken, &mut load) {
                self.stop();
                return;
            }
            load.clear();
        }
    }

    /// Takes the next members, as many as make a load.
    fn take(&self) -> Option<Taken> {
        let mut queue = lock(&self.queue);
        let (mut sources, mut bytes) = (Vec::new(), 0_u64);
        while bytes < LOAD && sources.len() < MEMBERS {
            let opened = match queue.opened.take() {
                Some(opened) => opened,
                None => match queue.next() {
                    Some(request) => self.open(request, &mut queue.opener),
                    None => break,
                },
            };
            match opened {
                Ok(source) if sources.is_empty() || bytes.saturating_add(source.size()) <= 2 * LOAD => {
                    bytes = bytes.saturating_add(source.size());
                    sources.push(source);
                }
                Err(problem) if sources.is_empty() => return Some(queue.taken(Err(problem))),
                // What goes wrong here does so after all that comes before.
                other => {
                    queue.opened = Some(other);
                    break;
                }
            }
        }
        if sources.is_empty() { None } else { Some(queue.taken(Ok(sources))) }
    }

    fn open(&self, request: Request, opener: &mut FileOpener) -> Result<Source, PackageError> {
        let (name, path, sha256, bytes) = match request {
            Request::File { name, path, sha256, bytes } => (name, path, sha256, bytes),
            Request::Text { name, bytes } => return Ok(Source::Text { name, bytes }),
            Request::Spooled(large) => return Ok(Source::Large(large, String::new())),
        };
        let (file, length) = match opener.open_file(&path) {
            Err(error) if error.is_not_found() => {
                return Err(self.not_as_sealed(&path, "the seal covers it, and it is not there"));
            }
            opened => opened?,
        };
        let size = bytes.unwrap_or(length);
        if size <= LARGE {
            return Ok(Source::File { name, path, sha256, size, file });
        }
        let place = self.case.describe(&path);
        Ok(Source::Large(Large { name, size, file, place, sha256 }, path))
    }

    /// Adds what was taken. Whether there is any use in going on.
    fn add(&self, taken: Taken, load: &mut Load) -> bool {
        let Taken { sources, turn, next } = taken;
        let read = sources.and_then(|sources| self.read(sources, load));
        let archive = loop {
            match turn.try_recv() {
                Err(TryRecvError::Empty) if read.is_ok() && load.hash_some() => {}
                Err(TryRecvError::Empty) => break turn.recv().unwrap_or(Err(PackageError::Unfinished)),
                Err(TryRecvError::Disconnected) => break Err(PackageError::Unfinished),
                Ok(archive) => break archive,
            }
        };
        let added = archive.and_then(|mut archive| {
            let large = match read {
                Ok(large) => large,
                // One of those before it may be wrong, too.
                Err(problem) => {
                    while load.hash_some() {}
                    return Err(load.changed().map_or(problem, |path| self.changed(path)));
                }
            };
            if let Some((large, path)) = large {
                if !archive.add_large(&large)? {
                    return Err(self.changed(&path));
                }
                return Ok((archive, None));
            }
            let at = archive.add(load)?;
            match load.changed() {
                Some(path) => Err(self.changed(path)),
                None => Ok((archive, Some(at))),
            }
        });
        match added {
            Err(problem) => {
                // Whoever comes next passes it on.
                let _sent = next.send(Err(problem));
                false
            }
            Ok((archive, at)) => {
                let _sent = next.send(Ok(archive));
                at.is_none_or(|at| self.write(load, at))
            }
        }
    }

    /// Reads what fits into memory; gives back what does not, which is always alone.
    fn read(&self, sources: Vec<Source>, load: &mut Load) -> Result<Option<(Large, String)>, PackageError> {
        for source in sources {
            match source {
                Source::Large(large, path) => return Ok(Some((large, path))),
                Source::Text { name, bytes } => load.add_text(name, &bytes),
                Source::File { name, path, sha256, size, file } => {
                    let size = usize::try_from(size).unwrap_or(usize::MAX);
                    let whole = load.add_file(name, path.clone(), size, sha256, file);
                    if !whole.map_err(|source| self.unread(&path, source))? {
                        return Err(self.changed(&path));
                    }
                }
            }
        }
        Ok(None)
    }

    fn write(&self, load: &Load, at: u64) -> bool {
        let Err(problem) = self.output.write(load.bytes(), at) else { return true };
        let mut failure = lock(&self.failure);
        if failure.as_ref().is_none_or(|(earliest, _)| at < *earliest) {
            *failure = Some((at, problem.into()));
        }
        false
    }

    fn stop(&self) {
        let mut queue = lock(&self.queue);
        queue.asked = None;
        queue.requests.clear();
        queue.opened = None;
    }

    fn unread(&self, path: &str, source: io::Error) -> PathError {
        PathError::new("read", self.case.describe(path), source)
    }

    fn changed(&self, path: &str) -> PackageError {
        self.not_as_sealed(path, "its bytes are not those that were sealed")
    }

    fn not_as_sealed(&self, path: &str, problem: &str) -> PackageError {
        PackageError::NotAsSealed { path: self.case.describe(path), problem: problem.to_owned() }
    }
}

impl Queue {
    /// What was asked for next; waits for it. None when there is nothing more.
    fn next(&mut self) -> Option<Request> {
        while self.requests.is_empty() {
            match self.asked.as_ref()?.recv() {
                Ok(requests) => self.requests.extend(requests),
                Err(_) => self.asked = None,
            }
        }
        self.requests.pop_front()
    }

    /// What was taken, with the place in the order that comes next.
    fn taken(&mut self, sources: Result<Vec<Source>, PackageError>) -> Taken {
        let (next, after) = sync_channel(1);
        Taken { sources, turn: std::mem::replace(&mut self.turn, after), next }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write a case and a package of their own")]
mod tests;
