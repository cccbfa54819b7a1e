//! A writer under the `zip` crate, which panics once its writer has failed: it never fails, and says afterwards that it did.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Writes to a file until that fails; from then on it only keeps count of where it would be.
///
/// The last bytes wait in memory, so that the header of a small member is mended there once its checksum is known.
#[derive(Debug)]
pub(super) struct Steady {
    file: File,
    failure: Failure,
    /// What is not in the file yet, and where it belongs: all before is there.
    waiting: Vec<u8>,
    from: u64,
    limit: usize,
    position: u64,
}

/// The first error, to be asked for after every step.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    /// Fails if the writer did.
    pub(super) fn check(&self) -> io::Result<()> {
        let failure = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failure {
            None => Ok(()),
            Some(error) => Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)),
        }
    }

    fn has_happened(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn note(&self, error: io::Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

impl Steady {
    /// Writes to `file` from `position` on, which is its end; `limit` bytes wait at most.
    pub(super) fn new(file: File, position: u64, limit: usize) -> (Self, Failure) {
        let failure = Failure::default();
        (Self { file, failure: failure.clone(), waiting: Vec::with_capacity(limit), from: position, limit, position }, failure)
    }

    fn write_at(&self, bytes: &[u8], at: u64) {
        if !self.failure.has_happened()
            && let Err(error) = self.file.write_all_at(bytes, at)
        {
            self.failure.note(error);
        }
    }

    /// Puts everything that waits into the file.
    fn empty(&mut self) {
        self.write_at(&self.waiting, self.from);
        self.from = self.end();
        self.waiting.clear();
    }

    fn end(&self) -> u64 {
        self.from.saturating_add(length(&self.waiting))
    }

    /// Writes over what was written before, as far as there is any; gives back what comes after.
    fn overwrite<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let room = |to: u64| usize::try_from(to.saturating_sub(self.position)).unwrap_or(usize::MAX).min(bytes.len());
        let (in_file, rest) = bytes.split_at(room(self.from));
        self.write_at(in_file, self.position);
        let at =
            usize::try_from((self.position.saturating_add(length(in_file))).saturating_sub(self.from)).unwrap_or(usize::MAX);
        let place = self.waiting.get_mut(at..).unwrap_or_default();
        let (waits, beyond) = rest.split_at(place.len().min(rest.len()));
        for (old, new) in place.iter_mut().zip(waits) {
            *old = *new;
        }
        beyond
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let beyond = if self.position < self.end() { self.overwrite(bytes) } else { bytes };
        if self.waiting.len() + beyond.len() > self.limit {
            self.empty();
        }
        if beyond.len() > self.limit {
            self.write_at(beyond, self.from);
            self.from = self.from.saturating_add(length(beyond));
        } else {
            self.waiting.extend_from_slice(beyond);
        }
        self.position = self.position.saturating_add(length(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.empty();
        Ok(())
    }
}

impl Seek for Steady {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.end().checked_add_signed(by),
        };
        // No zip has holes.
        let Some(wanted) = wanted.filter(|at| *at <= self.end()) else { return Err(io::ErrorKind::InvalidInput.into()) };
        self.position = wanted;
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device on which there is no room for a single byte.
    #[expect(clippy::disallowed_methods, reason = "no case is concerned")]
    fn full() -> File {
        std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap()
    }

    #[test]
    fn a_full_disk_is_told_of_afterwards() {
        let (mut steady, failure) = Steady::new(full(), 0, 4);
        assert_eq!(steady.write(b"more than the buffer takes").unwrap(), 26);
        assert_eq!(steady.seek(SeekFrom::Current(-6)).unwrap(), 20);
        assert_eq!(steady.seek(SeekFrom::End(0)).unwrap(), 26);
        assert!(steady.seek(SeekFrom::End(1)).is_err());
        assert_eq!(failure.check().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(failure.check().is_err(), "it does not forget");
    }

    #[test]
    fn what_is_written_over_lies_where_it_was_written_whether_it_still_waits_or_not() {
        let mut file = tempfile::tempfile().unwrap();
        for limit in [1, 4, 10, 100] {
            file.set_len(0).unwrap();
            let (mut steady, failure) = Steady::new(file.try_clone().unwrap(), 0, limit);
            for text in ["abc", "defgh", "ij"] {
                steady.write_all(text.as_bytes()).unwrap();
            }
            steady.seek(SeekFrom::Start(1)).unwrap();
            steady.write_all(b"BCDEFGHI").unwrap();
            steady.seek(SeekFrom::End(-1)).unwrap();
            steady.write_all(b"JKL").unwrap();
            steady.flush().unwrap();
            failure.check().unwrap();
            let mut written = String::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            std::io::Read::read_to_string(&mut file, &mut written).unwrap();
            assert_eq!(written, "aBCDEFGHIJKL", "{limit}");
        }
    }

    #[test]
    fn the_zip_crate_ends_without_a_panic_on_a_full_disk() {
        let (steady, failure) = Steady::new(full(), 0, 4);
        let mut zip = zip::ZipWriter::new(steady);
        zip.start_file("name", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&[0; 100]).unwrap();
        drop(zip);
        assert!(failure.check().is_err());
    }
}
