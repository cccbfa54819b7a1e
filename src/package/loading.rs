//! Two threads under a package being written: one reads and hashes the files of the case, the other writes them into the zip.

use std::io::{ErrorKind, Read as _};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use crate::case::{CaseFiles as _, CaseFolder};
use crate::model::{Sha256Hash, Sha256Hasher};

use super::PackageError;
use super::archive::{Archive, Written};
use super::error::IoContext as _;

/// Bytes that are handed on together.
const LOAD: usize = 1024 * 1024;
/// Loads that wait.
const WAITING: usize = 2;
/// Members asked for together.
const REQUESTS: usize = 64;

/// What comes into the zip next.
#[derive(Debug)]
enum Request {
    /// A file of the case, or its first `bytes`, as the member `name`.
    File { name: String, path: String, sha256: Option<Sha256Hash>, bytes: Option<u64> },
    /// A member of so many bytes, which follow.
    Begin { name: String, size: u64 },
    /// The next of them.
    Bytes(Vec<u8>),
    /// Nothing more.
    End,
}

/// Members on their way into the zip, in the order in which they were asked for.
#[derive(Debug)]
pub(super) struct Loading {
    requests: Option<SyncSender<Vec<Request>>>,
    next: Vec<Request>,
    reader: Option<JoinHandle<()>>,
    writer: Option<JoinHandle<Result<Written, PackageError>>>,
}

impl Loading {
    pub(super) fn begin(case: &CaseFolder, archive: Archive) -> Self {
        let (requests, asked) = sync_channel(2);
        let (loads, loaded) = sync_channel(WAITING);
        let (spent, again) = channel();
        let loader = Loader { case: case.clone(), loads, again, load: Load::default() };
        let reader = std::thread::spawn(move || loader.work(&asked));
        let writer = std::thread::spawn(move || write_loads(archive, &loaded, &spent));
        Self { requests: Some(requests), next: Vec::new(), reader: Some(reader), writer: Some(writer) }
    }

    /// Adds a file of the case, or its first `bytes`, whose hash must be `sha256`, as the member `name`.
    pub(super) fn add(
        &mut self,
        name: String,
        path: &str,
        sha256: Option<Sha256Hash>,
        bytes: Option<u64>,
    ) -> Result<(), PackageError> {
        self.ask(Request::File { name, path: path.to_owned(), sha256, bytes })
    }

    /// Begins a member of `size` bytes, which follow.
    pub(super) fn begin_member(&mut self, name: String, size: u64) -> Result<(), PackageError> {
        self.ask(Request::Begin { name, size })
    }

    /// The next bytes of the member that was begun.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        self.ask(Request::Bytes(bytes.to_vec()))
    }

    /// Waits until everything is in the zip, and ends it.
    pub(super) fn finish(mut self) -> Result<Written, PackageError> {
        self.next.push(Request::End);
        self.send();
        self.end()
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

    /// Waits for both threads; what stopped them is in what the second one says.
    fn end(&mut self) -> Result<Written, PackageError> {
        drop(self.requests.take());
        let _ended = self.reader.take().map(JoinHandle::join);
        let said = self.writer.take().and_then(|writer| writer.join().ok());
        said.unwrap_or(Err(PackageError::Unfinished))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        // Nothing is written any more once the file is discarded.
        let _ended = self.end();
    }
}

/// Bytes of members, one after the other.
#[derive(Debug, Default)]
struct Load {
    /// Never emptied, so that it need not be filled again.
    buffer: Vec<u8>,
    used: usize,
    segments: Vec<Segment>,
    ends: bool,
}

#[derive(Debug)]
struct Segment {
    /// Name and size of the member that begins here, unless the one before goes on.
    begins: Option<(String, u64)>,
    bytes: usize,
}

impl Load {
    fn begin_member(&mut self, name: String, size: u64) {
        self.segments.push(Segment { begins: Some((name, size)), bytes: 0 });
    }

    fn room(&mut self) -> &mut [u8] {
        self.buffer.resize(LOAD, 0);
        self.buffer.get_mut(self.used..).unwrap_or_default()
    }

    fn take(&mut self, count: usize) {
        self.used += count;
        match self.segments.last_mut() {
            Some(last) => last.bytes += count,
            None => self.segments.push(Segment { begins: None, bytes: count }),
        }
    }
}

/// Whether the other side has gone: it says why by itself.
struct Gone;

struct Loader {
    case: CaseFolder,
    loads: SyncSender<Result<Load, PackageError>>,
    again: Receiver<Load>,
    load: Load,
}

impl Loader {
    fn work(mut self, asked: &Receiver<Vec<Request>>) {
        for request in asked.iter().flatten() {
            let done = match request {
                Request::File { name, path, sha256, bytes } => match self.file(name, &path, sha256, bytes) {
                    Err(problem) => {
                        let _sent = self.loads.send(Err(problem));
                        return;
                    }
                    Ok(done) => done,
                },
                Request::Begin { name, size } => {
                    self.load.begin_member(name, size);
                    self.hand_on_if_full()
                }
                Request::Bytes(bytes) => self.bytes(&bytes),
                Request::End => {
                    self.load.ends = true;
                    self.hand_on()
                }
            };
            if done.is_err() {
                return;
            }
        }
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> Result<(), Gone> {
        while !bytes.is_empty() {
            self.hand_on_if_full()?;
            let room = self.load.room();
            let count = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            for (place, byte) in room.iter_mut().zip(now) {
                *place = *byte;
            }
            self.load.take(count);
            bytes = later;
        }
        Ok(())
    }

    fn file(
        &mut self,
        name: String,
        path: &str,
        sha256: Option<Sha256Hash>,
        bytes: Option<u64>,
    ) -> Result<Result<(), Gone>, PackageError> {
        let not_as_sealed =
            |problem: &str| PackageError::NotAsSealed { path: self.case.describe(path), problem: problem.to_owned() };
        let (file, length) = match self.case.open_file(path) {
            Err(error) if error.is_not_found() => return Err(not_as_sealed("the seal covers it, and it is not there")),
            opened => opened?,
        };
        let size = bytes.unwrap_or(length);
        self.load.begin_member(name, size);
        let mut reader = file.take(bytes.unwrap_or(u64::MAX));
        let (mut hasher, mut written) = (Sha256Hasher::default(), 0);
        loop {
            if self.hand_on_if_full().is_err() {
                return Ok(Err(Gone));
            }
            let room = self.load.room();
            let count = match reader.read(room) {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other.doing("read", &self.case.describe(path))?,
            };
            hasher.update(room.get(..count).unwrap_or_default());
            self.load.take(count);
            written += u64::try_from(count).unwrap_or(0);
        }
        if written != size || sha256.is_some_and(|expected| expected != hasher.finish()) {
            let problem = "its bytes are not those that were sealed".to_owned();
            return Err(PackageError::NotAsSealed { path: self.case.describe(path), problem });
        }
        Ok(Ok(()))
    }

    /// Hands on what is loaded once there is little room for more.
    fn hand_on_if_full(&mut self) -> Result<(), Gone> {
        let full = self.load.used + LOAD / 8 > LOAD || self.load.segments.len() >= 4096;
        if full { self.hand_on() } else { Ok(()) }
    }

    fn hand_on(&mut self) -> Result<(), Gone> {
        let mut fresh = self.again.try_recv().unwrap_or_default();
        fresh.used = 0;
        fresh.segments.clear();
        self.loads.send(Ok(std::mem::replace(&mut self.load, fresh))).map_err(|_| Gone)
    }
}

fn write_loads(
    mut archive: Archive,
    loaded: &Receiver<Result<Load, PackageError>>,
    spent: &Sender<Load>,
) -> Result<Written, PackageError> {
    for load in loaded {
        let mut load = load?;
        let mut rest = load.buffer.get(..load.used).unwrap_or_default();
        for Segment { begins, bytes } in load.segments.drain(..) {
            if let Some((name, size)) = begins {
                archive.begin_member(&name, size)?;
            }
            let (now, later) = rest.split_at(bytes.min(rest.len()));
            archive.write(now)?;
            rest = later;
        }
        if load.ends {
            return archive.finish();
        }
        // Fails when the reader is through.
        let _sent = spent.send(load);
    }
    Err(PackageError::Unfinished)
}
