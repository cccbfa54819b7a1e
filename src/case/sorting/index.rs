//! Sorted things that are looked up one by one, without all of them being held.

use std::cmp::Ordering;
use std::io;

use super::record::{Bytes, Record};
use super::scratch::Scratch;
use super::{Workspace, unread};
use crate::case::CaseError;

/// How many lie together: the first of each block is held.
const BLOCK: usize = 128;
const BLOCK_LONG: u64 = 128;

/// Sorted things of which any can be found again. All of them must take the same number of bytes.
#[derive(Debug)]
pub(crate) struct Index<T> {
    written: Option<Written<T>>,
    /// What comes behind that: everything, where it is little or cannot be written.
    held: Vec<T>,
}

/// Whole blocks in a scratch file.
#[derive(Debug)]
struct Written<T> {
    scratch: Scratch,
    /// Bytes of each.
    size: usize,
    /// The first of each block.
    firsts: Vec<T>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self { written: None, held: Vec::new() }
    }
}

impl<T: Record> Index<T> {
    /// Takes what comes in its order. It goes to a scratch file if it is `large`, and stays in memory if there is none.
    pub(crate) fn new(
        records: impl Iterator<Item = Result<T, CaseError>>,
        large: bool,
        space: &Workspace<'_>,
    ) -> Result<Self, CaseError> {
        let scratch = if large { Scratch::create(&space.folder()).ok() } else { None };
        let mut written = scratch.map(|scratch| Written { scratch, size: 0, firsts: Vec::new() });
        let (mut held, mut bytes) = (Vec::with_capacity(BLOCK), Vec::new());
        let mut fails = written.is_none();
        for record in records {
            held.push(record?);
            if let Some(written) = written.as_mut().filter(|_| !fails && held.len() == BLOCK) {
                bytes.clear();
                for record in &held {
                    record.write(&mut bytes);
                }
                // What could not be written is held from here on.
                match written.scratch.append(&bytes) {
                    Ok(()) => {
                        written.size = bytes.len() / BLOCK;
                        written.firsts.extend(held.drain(..).next());
                    }
                    Err(_) => fails = true,
                }
            }
        }
        Ok(Self { written, held })
    }

    /// All for which `order` is equal, each with its place in the order; it must agree with the order of the whole.
    pub(crate) fn equal(&self, order: impl Fn(&T) -> Ordering) -> Result<Vec<(usize, T)>, CaseError>
    where
        T: Clone,
    {
        let mut found = Vec::new();
        let mut before = 0;
        if let Some(written) = &self.written {
            before = written.firsts.len() * BLOCK;
            let after = written.firsts.partition_point(|first| order(first) == Ordering::Less);
            // It may begin in the block before the first that begins with it, and go on in the next.
            for block in after.saturating_sub(1)..written.firsts.len() {
                if written.firsts.get(block).is_none_or(|first| order(first) == Ordering::Greater) {
                    return Ok(found);
                }
                let ends = written.look(block, &order, &mut found).map_err(|error| unread(error, None))?;
                if ends {
                    return Ok(found);
                }
            }
        }
        let from = self.held.partition_point(|record| order(record) == Ordering::Less);
        let same = self.held.iter().enumerate().skip(from).take_while(|(_, record)| order(record) == Ordering::Equal);
        found.extend(same.map(|(at, record)| (before + at, record.clone())));
        Ok(found)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.written.as_ref().map_or(0, |written| written.firsts.len() * BLOCK) + self.held.len()
    }

    /// The one at a place.
    pub(crate) fn get(&self, at: usize) -> Result<Option<T>, CaseError>
    where
        T: Clone,
    {
        let before = self.written.as_ref().map_or(0, |written| written.firsts.len() * BLOCK);
        match (&self.written, at.checked_sub(before)) {
            (_, Some(at)) => Ok(self.held.get(at).cloned()),
            (Some(written), None) => {
                let mut bytes = vec![0; written.size];
                let from = u64::try_from(at * written.size).unwrap_or(u64::MAX);
                written.scratch.read(&mut bytes, from).map_err(|error| unread(error, None))?;
                Ok(T::read(&mut Bytes(&bytes)))
            }
            (None, None) => Ok(None),
        }
    }
}

impl<T: Record> Written<T> {
    /// Adds what a block holds of it. Whether nothing of it can come behind this block.
    fn look(&self, block: usize, order: &impl Fn(&T) -> Ordering, found: &mut Vec<(usize, T)>) -> io::Result<bool> {
        let mut bytes = vec![0; self.size * BLOCK];
        let from = u64::try_from(block).unwrap_or(u64::MAX).saturating_mul(BLOCK_LONG);
        self.scratch.read(&mut bytes, from.saturating_mul(u64::try_from(self.size).unwrap_or(u64::MAX)))?;
        let read = |at: usize| {
            let record = bytes.get(at * self.size..).and_then(|bytes| T::read(&mut Bytes(bytes)));
            record.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
        };
        let (mut from, mut to) = (0, BLOCK);
        while from < to {
            let middle = usize::midpoint(from, to);
            if order(&read(middle)?) == Ordering::Less { from = middle + 1 } else { to = middle }
        }
        for at in from..BLOCK {
            let record = read(at)?;
            if order(&record) != Ordering::Equal {
                return Ok(true);
            }
            found.push((block * BLOCK + at, record));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Sorting;
    use super::*;

    fn index(numbers: impl Iterator<Item = u64>, folder: &Path, held: usize) -> Index<u64> {
        let space = Workspace { folder: Some(folder), held };
        let mut sorting = Sorting::new(&space);
        numbers.for_each(|number| sorting.push(number));
        let sorted = sorting.finish();
        let large = sorted.is_on_disk();
        Index::new(sorted.merge(), large, &space).unwrap()
    }

    #[test]
    fn everything_is_found_in_its_place_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        // A great many of one, so that they go over several blocks.
        let numbers: Vec<u64> = (0..2_000).map(|number| number * 2).chain(std::iter::repeat_n(1_000, 500)).collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        for (folder, held) in [(folder.path(), 64), (folder.path(), 1 << 20), (Path::new("/nowhere"), 64)] {
            let index = index(numbers.iter().copied().rev(), folder, held);
            assert_eq!(index.written.is_some(), held == 64 && folder != Path::new("/nowhere"));
            assert_eq!(index.len(), sorted.len());
            for wanted in 0..4_002_u64 {
                let expected: Vec<(usize, u64)> =
                    sorted.iter().copied().enumerate().filter(|(_, number)| *number == wanted).collect();
                assert_eq!(index.equal(|number| number.cmp(&wanted)).unwrap(), expected, "{wanted}");
            }
            for (at, number) in sorted.iter().enumerate() {
                assert_eq!(index.get(at).unwrap(), Some(*number));
            }
            assert_eq!(index.get(sorted.len()).unwrap(), None);
        }
    }

    #[test]
    fn what_no_longer_fits_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let space = Workspace { folder: Some(folder.path()), held: 64 };
        let mut sorting = Sorting::new(&space);
        (0..1_000_u64).for_each(|number| sorting.push(number));
        // The folder is there while it is sorted, and not when it is to be looked up.
        let sorted = sorting.finish();
        assert!(sorted.is_on_disk());
        let nowhere = Workspace { folder: Some(Path::new("/nowhere")), held: 64 };
        let index = Index::new(sorted.merge(), true, &nowhere).unwrap();
        assert!(index.written.is_none());
        assert_eq!(index.equal(|number| number.cmp(&999)).unwrap(), [(999, 999)]);
    }
}
