//! Sorting more than memory should hold: what is too much goes to a file without a name in the system's temporary folder.
//!
//! Never beside the evidence, which may be on a medium that nobody may write to. Where no such file can be made or written, memory takes
//! everything, as it did before it was too much. The order is the same either way: of sorted runs that are merged, one may lie on disk
//! and another in memory.

mod index;
mod record;
mod scratch;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::path::{Path, PathBuf};

use super::{CaseError, PathError};

pub(crate) use index::Index;
pub(crate) use record::{Bytes, Record, put_instant, put_location, put_number, put_option, put_text};
use scratch::Scratch;

/// The most memory that is set aside before it is needed.
const RESERVED: usize = 4 * 1024 * 1024;
/// Bytes written at once.
const PIECE: usize = 64 * 1024;
/// What all runs together hold of themselves while they are merged, and the least and the most that one of them does.
const MERGED: usize = 1024 * 1024;
const LEAST: usize = 4 * 1024;
const MOST: usize = 64 * 1024;

/// Where that is put which grows with the number of artifacts.
#[derive(Clone, Copy, Debug)]
pub struct Workspace<'a> {
    /// The folder for files without a name; the system's temporary folder if none is given.
    pub folder: Option<&'a Path>,
    /// Bytes of one kind of thing that are held in memory before they are put into such a file.
    pub held: usize,
}

impl Default for Workspace<'_> {
    /// The system's temporary folder, from 1 MiB on: what some thousand artifacts need stays in memory.
    fn default() -> Self {
        Self { folder: None, held: 1024 * 1024 }
    }
}

impl Workspace<'_> {
    fn folder(&self) -> Cow<'_, Path> {
        self.folder.map_or_else(|| Cow::Owned(std::env::temp_dir()), Cow::Borrowed)
    }
}

/// What could be written could not be read back: trouble with the disk, which says nothing of the evidence.
fn unread(source: io::Error, folder: Option<&Path>) -> PathError {
    let path = folder.map_or_else(std::env::temp_dir, Path::to_owned);
    let source = if source.raw_os_error().is_some() { source } else { rustix::io::Errno::IO.into() };
    PathError::new("read back a temporary file in", path, source)
}

/// Things on their way to being sorted.
#[derive(Debug)]
pub(crate) struct Sorting<T> {
    folder: PathBuf,
    held: usize,
    /// What `waiting` takes in memory.
    weight: usize,
    waiting: Vec<T>,
    runs: Vec<Run>,
    medium: Medium,
}

/// Where a sorted run lies in the scratch file.
#[derive(Clone, Copy, Debug)]
struct Run {
    from: u64,
    to: u64,
}

#[derive(Debug)]
enum Medium {
    /// Nothing was too much so far.
    Unneeded,
    /// What is written there counts; whether more can be written.
    File(Scratch, bool),
    /// There is none to be had.
    None,
}

impl<T: Record> Sorting<T> {
    pub(crate) fn new(space: &Workspace<'_>) -> Self {
        Self {
            folder: space.folder().into_owned(),
            held: space.held,
            weight: 0,
            waiting: Vec::new(),
            runs: Vec::new(),
            medium: Medium::Unneeded,
        }
    }

    /// Adds one.
    pub(crate) fn push(&mut self, record: T) {
        if self.waiting.capacity() == 0 {
            // At once, as growing would take twice the room: what is not used yet takes none.
            self.waiting.reserve_exact(self.held.min(RESERVED) / size_of::<T>() + 1);
        }
        self.weight += size_of::<T>() + record.held();
        self.waiting.push(record);
        if self.weight > self.held {
            self.write_run();
        }
    }

    /// Puts what waits into the scratch file, in order; keeps it if that cannot be done.
    fn write_run(&mut self) {
        if matches!(self.medium, Medium::Unneeded) {
            self.medium = Scratch::create(&self.folder).map_or(Medium::None, |scratch| Medium::File(scratch, true));
        }
        let Medium::File(scratch, goes @ true) = &mut self.medium else { return };
        self.waiting.sort_unstable();
        let from = scratch.length();
        match write_all(&self.waiting, scratch) {
            Ok(()) => {
                self.runs.push(Run { from, to: scratch.length() });
                self.waiting.clear();
                self.weight = 0;
            }
            // A full disk: what is there stays there, and the rest goes to memory.
            Err(_) => *goes = false,
        }
    }

    /// Ends the adding.
    pub(crate) fn finish(mut self) -> Sorted<T> {
        self.waiting.sort_unstable();
        let scratch = match self.medium {
            Medium::File(scratch, _) => Some(scratch),
            Medium::Unneeded | Medium::None => None,
        };
        Sorted { folder: self.folder, scratch, runs: self.runs, held: self.waiting }
    }
}

fn write_all<T: Record>(records: &[T], scratch: &mut Scratch) -> io::Result<()> {
    let (mut bytes, mut record_bytes) = (Vec::with_capacity(PIECE), Vec::new());
    for record in records {
        record_bytes.clear();
        record.write(&mut record_bytes);
        let length = u32::try_from(record_bytes.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if bytes.len() + record_bytes.len() + 4 > PIECE {
            scratch.append(&bytes)?;
            bytes.clear();
        }
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&record_bytes);
    }
    scratch.append(&bytes)
}

/// Things in order.
#[derive(Debug)]
pub(crate) struct Sorted<T> {
    folder: PathBuf,
    scratch: Option<Scratch>,
    runs: Vec<Run>,
    /// The run that is in memory.
    held: Vec<T>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { folder: PathBuf::new(), scratch: None, runs: Vec::new(), held: Vec::new() }
    }
}

impl<T: Record> Sorted<T> {
    /// Whether it was too much for memory.
    pub(crate) fn is_on_disk(&self) -> bool {
        !self.runs.is_empty()
    }

    /// One after the other. An error is the last.
    pub(crate) fn merge(self) -> Merge<T> {
        let share = MERGED.checked_div(self.runs.len()).unwrap_or(0).clamp(LEAST, MOST);
        let runs = self.runs.iter().map(|run| Reader { at: run.from, end: run.to, share, bytes: Vec::new(), used: 0 });
        Merge {
            folder: self.folder,
            scratch: self.scratch,
            runs: runs.collect(),
            held: self.held.into_iter(),
            next: BinaryHeap::new(),
            state: State::New,
        }
    }
}

/// The part of a run that is being read.
#[derive(Debug)]
struct Reader {
    at: u64,
    end: u64,
    /// Read at once.
    share: usize,
    bytes: Vec<u8>,
    used: usize,
}

impl Reader {
    fn next<T: Record>(&mut self, scratch: &Scratch) -> io::Result<Option<T>> {
        if !self.has(4, scratch)? {
            return Ok(None);
        }
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let length = self.rest().first_chunk().copied().map(u32::from_le_bytes);
        let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(broken)?;
        self.used += 4;
        if !self.has(length, scratch)? {
            return Err(broken());
        }
        let record = T::read(&mut Bytes(self.rest().get(..length).unwrap_or_default())).ok_or_else(broken)?;
        self.used += length;
        Ok(Some(record))
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// Whether so many bytes follow; reads them if they are not there yet.
    fn has(&mut self, count: usize, scratch: &Scratch) -> io::Result<bool> {
        if self.rest().len() >= count {
            return Ok(true);
        }
        self.bytes.drain(..self.used.min(self.bytes.len()));
        self.used = 0;
        let before = self.bytes.len();
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let more = left.min(self.share.max(count).saturating_sub(before));
        self.bytes.resize(before + more, 0);
        scratch.read(self.bytes.get_mut(before..).unwrap_or_default(), self.at)?;
        self.at += u64::try_from(more).unwrap_or(0);
        Ok(self.bytes.len() >= count)
    }
}

/// Reads the runs side by side.
#[derive(Debug)]
pub(crate) struct Merge<T> {
    folder: PathBuf,
    scratch: Option<Scratch>,
    runs: Vec<Reader>,
    held: std::vec::IntoIter<T>,
    /// The first of each run that is left, with the run's number. The run in memory comes behind all others.
    next: BinaryHeap<Reverse<(T, usize)>>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Begun,
    Failed,
}

impl<T: Record> Merge<T> {
    fn next_of(&mut self, run: usize) -> io::Result<Option<T>> {
        match (self.runs.get_mut(run), &self.scratch) {
            (Some(reader), Some(scratch)) => reader.next(scratch),
            _ => Ok(self.held.next()),
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        for run in 0..=self.runs.len() {
            if let Some(record) = self.next_of(run)? {
                self.next.push(Reverse((record, run)));
            }
        }
        Ok(())
    }

    fn take(&mut self) -> io::Result<Option<T>> {
        if self.state == State::New {
            self.begin()?;
            self.state = State::Begun;
        }
        let Some(Reverse((_, run))) = self.next.peek() else { return Ok(None) };
        let following = self.next_of(*run)?;
        let Some(mut top) = self.next.peek_mut() else { return Ok(None) };
        Ok(Some(match following {
            Some(following) => std::mem::replace(&mut top.0.0, following),
            None => PeekMut::pop(top).0.0,
        }))
    }
}

impl<T: Record> Iterator for Merge<T> {
    type Item = Result<T, CaseError>;

    fn next(&mut self) -> Option<Self::Item> {
        // All of it is in memory: nothing is to be merged.
        if self.runs.is_empty() {
            return self.held.next().map(Ok);
        }
        if self.state == State::Failed {
            return None;
        }
        let taken = self.take();
        taken
            .map_err(|error| {
                self.state = State::Failed;
                unread(error, Some(&self.folder)).into()
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Of any length, so that records lie across the pieces that are read.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Word(String);

    impl Record for Word {
        fn write(&self, bytes: &mut Vec<u8>) {
            put_text(bytes, &self.0);
        }

        fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
            bytes.text().map(Self)
        }

        fn held(&self) -> usize {
            self.0.capacity()
        }
    }

    fn sorted(words: &[String], folder: Option<&Path>, held: usize) -> Sorted<Word> {
        let mut sorting = Sorting::new(&Workspace { folder, held });
        for word in words {
            sorting.push(Word(word.clone()));
        }
        sorting.finish()
    }

    fn merged(sorted: Sorted<Word>) -> Vec<String> {
        sorted.merge().map(|word| word.unwrap().0).collect()
    }

    proptest! {
        #[test]
        fn the_order_is_the_same_on_disk_and_in_memory(words in proptest::collection::vec("[a-c]{0,4}", 0..300), held in 1_usize..3_000) {
            let mut expected = words.clone();
            expected.sort();
            prop_assert_eq!(&merged(sorted(&words, None, usize::MAX)), &expected);
            prop_assert_eq!(&merged(sorted(&words, None, held)), &expected);
            prop_assert_eq!(&merged(sorted(&words, Some(Path::new("/nowhere")), held)), &expected);
        }
    }

    #[test]
    fn records_longer_than_what_is_read_at_once_come_back_whole() {
        let words: Vec<String> = (0..64).rev().map(|number| format!("{number:02}").repeat(1 + number * number * 40)).collect();
        let on_disk = sorted(&words, None, 8 * PIECE);
        assert!(on_disk.runs.len() > 2);
        let mut expected = words;
        expected.sort();
        assert_eq!(merged(on_disk), expected);
    }

    #[test]
    fn a_disk_that_fills_up_leaves_what_it_has_and_memory_takes_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorting = Sorting::new(&Workspace { folder: Some(folder.path()), held: 512 });
        for number in 0..100_u64 {
            sorting.push(number);
        }
        let Medium::File(_, goes) = &mut sorting.medium else { panic!("nothing was written") };
        *goes = false;
        for number in 0..100_u64 {
            sorting.push(number);
        }
        assert!(!sorting.runs.is_empty() && sorting.waiting.len() >= 100);
        let numbers: Vec<u64> = sorting.finish().merge().map(Result::unwrap).collect();
        assert_eq!(numbers, (0..100).flat_map(|number| [number, number]).collect::<Vec<_>>());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_read_back_is_an_error_and_not_an_end() {
        let mut on_disk = sorted(&["b".to_owned(), "a".to_owned(), "c".to_owned()], None, 1);
        on_disk.runs.iter_mut().for_each(|run| run.to += 1 << 20);
        let mut merge = on_disk.merge();
        assert!(matches!(merge.next(), Some(Err(CaseError::Io(_)))));
        assert!(merge.next().is_none());
    }
}
