//! A writer under the `zip` crate, which panics once its writer has failed: it never fails, and says afterwards that it did.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Writes to a file until that fails; from then on it only keeps count of where it would be.
#[derive(Debug)]
pub(super) struct Steady {
    file: BufWriter<File>,
    failure: Failure,
    position: u64,
    end: u64,
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
    /// Writes to `file` from `position` on, which is its end.
    pub(super) fn new(file: File, position: u64, buffer: usize) -> (Self, Failure) {
        let failure = Failure::default();
        let file = BufWriter::with_capacity(buffer, file);
        (Self { file, failure: failure.clone(), position, end: position }, failure)
    }
}

impl Write for Steady {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.failure.has_happened()
            && let Err(error) = self.file.write_all(bytes)
        {
            self.failure.note(error);
        }
        self.position = self.position.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.end = self.end.max(self.position);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.failure.has_happened()
            && let Err(error) = self.file.flush()
        {
            self.failure.note(error);
        }
        Ok(())
    }
}

impl Seek for Steady {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let wanted = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        let Some(wanted) = wanted else { return Err(io::ErrorKind::InvalidInput.into()) };
        if !self.failure.has_happened()
            && let Err(error) = self.file.seek(SeekFrom::Start(wanted))
        {
            self.failure.note(error);
        }
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
        assert_eq!(failure.check().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(failure.check().is_err(), "it does not forget");
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
