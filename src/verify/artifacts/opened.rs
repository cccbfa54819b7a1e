//! Artifacts are opened two at a time, because two hashes side by side take less time than one after the other.

use std::io::{self, Read};

use crate::case::event::{Artifact, ObjectOrigin, Origin};
use crate::case::{CaseError, CaseFiles};
use crate::cloudtrail::LogName;
use crate::cloudtrail::gzip::{self, GzipProblem, Limits};
use crate::model::{PayloadPath, S3Location, Sha256Hash, Sha256Hasher};

/// Artifacts up to this size are read into memory; CloudTrail's files are far below, and larger ones are only hashed.
const IN_MEMORY: u64 = 128 * 1024 * 1024;
/// Read at once where a file is only hashed.
const PIECE: usize = 128 * 1024;
/// Files up to this size are held in memory two at a time, with what they unpack to.
const BESIDE: u64 = 512 * 1024;
/// Memory that is kept from one file to the next.
const KEPT: usize = 1024 * 1024;

/// Memory that is used again for every file.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The file, where more is read in it than its hash.
    pub(super) bytes: Vec<u8>,
    /// What a log unpacks to, as far as it is searched.
    pub(super) content: Vec<u8>,
    /// Where a file is only hashed: never emptied, so that it need not be filled again.
    piece: Vec<u8>,
}

impl Scratch {
    /// The same for the next file, without what only a rare large one needed.
    fn emptied(mut self) -> Self {
        for buffer in [&mut self.bytes, &mut self.content] {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
        self
    }
}

/// The hash and length of a file, or why it cannot be read to its end.
pub(super) type Hashed = io::Result<(Sha256Hash, u64)>;

/// An artifact whose file was opened and read.
pub(super) struct Opened<'a> {
    pub(super) number: u64,
    pub(super) artifact: Artifact,
    pub(super) scratch: Scratch,
    /// The hash of the file, or why it was not opened.
    pub(super) file: Result<Hashed, CaseError>,
    is_log: bool,
    /// The hash of what a log unpacks to.
    pub(super) content: Option<Result<Sha256Hash, GzipProblem>>,
    /// Whether all of that is searched.
    pub(super) whole: bool,
    pending: Pending<'a>,
}

/// What is still to be hashed.
enum Pending<'a> {
    Nothing,
    /// All that is in memory.
    Bytes,
    /// All that is to be read.
    Reader(Box<dyn Read + Send + 'a>),
}

impl<'a> Opened<'a> {
    /// Opens the file, and reads it if more is read in it than its hash.
    pub(super) fn new(files: &'a dyn CaseFiles, number: u64, artifact: Artifact, scratch: Scratch) -> Self {
        let mut opened = Self {
            number,
            is_log: matches!(&artifact.source, Origin::S3Object(origin) if origin.key.parse::<LogName>().is_ok()),
            artifact,
            scratch: scratch.emptied(),
            file: Ok(Ok((Sha256Hash::ZERO, 0))),
            content: None,
            whole: true,
            pending: Pending::Nothing,
        };
        let reader = match files.open(opened.artifact.path.as_str()) {
            Ok(reader) => reader,
            Err(error) => {
                opened.file = Err(error);
                return opened;
            }
        };
        let size = opened.artifact.size;
        if size >= IN_MEMORY || !is_read_further(&opened.artifact.source) {
            opened.pending = Pending::Reader(reader);
            return opened;
        }
        let bytes = &mut opened.scratch.bytes;
        opened.file = Ok(reader.take(size.saturating_add(1)).read_to_end(bytes).map(|_| (Sha256Hash::ZERO, length(bytes))));
        // A file that is longer is another one, whatever its hash.
        if length(bytes) <= size && matches!(opened.file, Ok(Ok(_))) {
            opened.pending = Pending::Bytes;
        }
        opened
    }

    /// Hashes what was opened, and what the logs among them unpack to.
    pub(super) fn hash(one: &mut Self, other: Option<&mut Self>, limits: &Limits) {
        let Some(other) = other else {
            one.hash_file();
            one.unpack(limits);
            one.hash_content();
            return;
        };
        match (&mut one.pending, &mut other.pending) {
            (Pending::Bytes, Pending::Bytes) => {
                let (first, second) = Sha256Hash::of_both(&one.scratch.bytes, &other.scratch.bytes);
                one.set_hash(first);
                other.set_hash(second);
            }
            (Pending::Reader(first), Pending::Reader(second)) => {
                let mut first = Stream::new(first, &mut one.scratch.piece);
                let mut second = Stream::new(second, &mut other.scratch.piece);
                first.hash_beside(&mut second);
                let (first, second) = (first.finish(), second.finish());
                (one.file, one.pending) = (Ok(first), Pending::Nothing);
                (other.file, other.pending) = (Ok(second), Pending::Nothing);
            }
            _ => {
                one.hash_file();
                other.hash_file();
            }
        }
        one.unpack(limits);
        other.unpack(limits);
        if one.content_is_pending() && other.content_is_pending() {
            let (first, second) = Sha256Hash::of_both(&one.scratch.content, &other.scratch.content);
            (one.content, other.content) = (Some(Ok(first)), Some(Ok(second)));
        } else {
            one.hash_content();
            other.hash_content();
        }
    }

    fn set_hash(&mut self, sha256: Sha256Hash) {
        self.file = Ok(Ok((sha256, length(&self.scratch.bytes))));
        self.pending = Pending::Nothing;
    }

    fn hash_file(&mut self) {
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Nothing => {}
            Pending::Bytes => self.set_hash(Sha256Hash::of(&self.scratch.bytes)),
            Pending::Reader(mut reader) => self.file = Ok(Stream::new(&mut reader, &mut self.scratch.piece).finish()),
        }
    }

    /// Unpacks a log, whole or not.
    fn unpack(&mut self, limits: &Limits) {
        // Of what was not opened nothing is said.
        if self.file.is_err() || !self.is_log {
            return;
        }
        let Scratch { bytes, content, .. } = &mut self.scratch;
        let searched = u64::try_from(limits.searched).unwrap_or(u64::MAX);
        if gzip::unpack_at_once(bytes, limits.allowed(bytes).min(searched), content) {
            return;
        }
        let mut whole = true;
        let unpacked = gzip::unpack_member(bytes, limits, &mut |piece| {
            whole &= content.len() + piece.len() <= limits.searched;
            if whole {
                content.extend_from_slice(piece);
            }
        });
        self.whole = whole;
        self.content = match unpacked {
            Err(problem) => Some(Err(problem)),
            // Not all of it was kept, so it is hashed while it is unpacked once more.
            Ok(_) if !whole => Some(gzip::read_member(bytes, limits, &mut |_| {}).map(|(sha256, _)| sha256)),
            Ok(_) => None,
        };
    }

    fn content_is_pending(&self) -> bool {
        self.content.is_none() && self.file.is_ok() && self.is_log
    }

    fn hash_content(&mut self) {
        if self.content_is_pending() {
            self.content = Some(Ok(Sha256Hash::of(&self.scratch.content)));
        }
    }
}

/// Whether an object lies at the one path that its bucket, key and version give: else one object could be in the case twice.
pub(super) fn is_in_its_place(artifact: &Artifact, origin: &ObjectOrigin, current: bool) -> bool {
    let location = S3Location::new(origin.bucket.clone(), origin.key.clone());
    let place = match (current, &origin.version_id) {
        (true, _) => PayloadPath::for_object(&location),
        (false, Some(version)) => PayloadPath::for_version(&location, version),
        (false, None) => return false,
    };
    place == artifact.path
}

/// Whether an artifact may be held in memory while another one is.
pub(super) fn goes_beside(artifact: &Artifact) -> bool {
    artifact.size <= BESIDE || !is_read_further(&artifact.source)
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

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// What a reader still gives, hashed through memory that is used again.
struct Stream<'a, R> {
    reader: &'a mut R,
    buffer: &'a mut Vec<u8>,
    /// What was read and is not hashed yet.
    unhashed: std::ops::Range<usize>,
    hasher: Sha256Hasher,
    length: u64,
    /// Whether there is nothing more to read.
    ended: bool,
    error: Option<io::Error>,
}

impl<'a, R: Read> Stream<'a, R> {
    fn new(reader: &'a mut R, buffer: &'a mut Vec<u8>) -> Self {
        buffer.resize(PIECE, 0);
        Self { reader, buffer, unhashed: 0..0, hasher: Sha256Hasher::default(), length: 0, ended: false, error: None }
    }

    /// Reads more if all is hashed that was read.
    fn fill(&mut self) {
        while self.unhashed.is_empty() && !self.ended {
            match self.reader.read(self.buffer) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.unhashed = 0..count;
                    self.length += u64::try_from(count).unwrap_or(0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.error = Some(error);
                    self.ended = true;
                }
            }
        }
    }

    /// The next bytes to hash, at most so many.
    fn take(&mut self, count: usize) -> &[u8] {
        let from = self.unhashed.start;
        self.unhashed.start += count.min(self.unhashed.len());
        self.buffer.get(from..self.unhashed.start).unwrap_or_default()
    }

    /// Hashes both, until one of them ends.
    fn hash_beside<S: Read>(&mut self, other: &mut Stream<'_, S>) {
        loop {
            self.fill();
            other.fill();
            let count = self.unhashed.len().min(other.unhashed.len());
            if count == 0 {
                return;
            }
            let (mut mine, mut others) = (std::mem::take(&mut self.hasher), std::mem::take(&mut other.hasher));
            mine.update_beside(self.take(count), &mut others, other.take(count));
            (self.hasher, other.hasher) = (mine, others);
        }
    }

    /// Hashes what is left.
    fn finish(mut self) -> Hashed {
        loop {
            self.fill();
            let count = self.unhashed.len();
            if count == 0 {
                break;
            }
            let mut hasher = std::mem::take(&mut self.hasher);
            hasher.update(self.take(count));
            self.hasher = hasher;
        }
        self.error.map_or(Ok((self.hasher.finish(), self.length)), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and may end in an error.
    struct Dripping<'a> {
        bytes: &'a [u8],
        count: usize,
        fails: bool,
    }

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.count.min(self.bytes.len()).min(buffer.len());
            if count == 0 && self.fails {
                return Err(io::Error::other("bad sector"));
            }
            buffer[..count].copy_from_slice(&self.bytes[..count]);
            self.bytes = &self.bytes[count..];
            Ok(count)
        }
    }

    #[test]
    fn two_streams_side_by_side_give_the_hashes_of_each() {
        let bytes: Vec<u8> = (0..400_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        for (one, other) in [(0, 0), (0, 5), (1, 400_000), (131_072, 131_073), (399_999, 200_000)] {
            for (slow, slower) in [(1_000_000, 1_000_000), (7_000, 64), (100, 99_991)] {
                let (mut first, mut second) = (
                    Dripping { bytes: &bytes[..one], count: slow, fails: false },
                    Dripping { bytes: &bytes[..other], count: slower, fails: false },
                );
                let (mut buffer, mut another) = (Vec::new(), Vec::new());
                let (mut first, mut second) = (Stream::new(&mut first, &mut buffer), Stream::new(&mut second, &mut another));
                first.hash_beside(&mut second);
                assert_eq!(first.finish().unwrap(), (Sha256Hash::of(&bytes[..one]), length(&bytes[..one])));
                assert_eq!(second.finish().unwrap(), (Sha256Hash::of(&bytes[..other]), length(&bytes[..other])));
            }
        }
    }

    #[test]
    fn the_error_of_one_is_not_the_others() {
        let bytes = vec![7; 300];
        let mut first = Dripping { bytes: &bytes[..100], count: 64, fails: true };
        let mut second = Dripping { bytes: &bytes, count: 64, fails: false };
        let (mut buffer, mut another) = (Vec::new(), Vec::new());
        let (mut first, mut second) = (Stream::new(&mut first, &mut buffer), Stream::new(&mut second, &mut another));
        first.hash_beside(&mut second);
        assert!(first.finish().is_err());
        assert_eq!(second.finish().unwrap(), (Sha256Hash::of(&bytes), 300));
    }
}
