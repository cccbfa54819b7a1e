//! A member that is too large for memory: read once for its checksum, which stands before it, and once more to be hashed and written.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use crate::case::{IoContext as _, PathError};
use crate::model::{Sha256Hash, Sha256Hasher};

use super::archive::Output;
use super::{PackageError, Progress};

/// Read and written at once.
const PIECE: usize = 512 * 1024;
/// Pieces under way.
const PIECES: usize = 4;

/// A member that is too large for memory.
#[derive(Debug)]
pub(super) struct Large {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) file: File,
    /// What messages call the file.
    pub(super) place: PathBuf,
    pub(super) sha256: Option<Sha256Hash>,
}

impl Large {
    /// Shows the content piece by piece. Says whether there is as much of it as there should be.
    pub(super) fn read(&self, show: &mut dyn FnMut(&[u8]) -> Result<(), PathError>) -> Result<bool, PathError> {
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        while at < self.size {
            let count = self.fill(&mut piece, at)?;
            if count == 0 {
                return Ok(false);
            }
            show(piece.get(..count).unwrap_or_default())?;
            at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        }
        Ok(true)
    }

    /// Reads what lies at `at`; less than a piece only at the end.
    fn fill(&self, piece: &mut [u8], at: u64) -> Result<usize, PathError> {
        let wanted = usize::try_from(self.size.saturating_sub(at)).unwrap_or(usize::MAX).min(piece.len());
        let mut filled = 0;
        while filled < wanted {
            let place = piece.get_mut(filled..wanted).unwrap_or_default();
            match self.file.read_at(place, at.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX))) {
                Ok(0) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => filled += other.doing("read", &self.place)?,
            }
        }
        Ok(filled)
    }

    /// Writes the content to `output` from `start` on, and hashes it. Says whether it is what it should be, and what it was before.
    pub(super) fn copy(
        &self,
        output: &Output,
        start: u64,
        zip: &mut Sha256Hasher,
        crc: u32,
        progress: &Progress,
    ) -> Result<bool, PackageError> {
        let mut hasher = Sha256Hasher::default();
        let mut checksum = flate2::Crc::new();
        let whole = std::thread::scope(|scope| {
            let (loads, loaded) = sync_channel::<(Vec<u8>, usize)>(PIECES);
            let (spent, again) = channel();
            // One thread hashes, the other does all the rest.
            let carrier = scope.spawn(move || self.carry(output, start, &loads, &again));
            for (piece, count) in loaded {
                let bytes = piece.get(..count).unwrap_or_default();
                checksum.update(bytes);
                if self.sha256.is_some() {
                    zip.update_beside(bytes, &mut hasher, bytes);
                } else {
                    zip.update(bytes);
                }
                progress.add(0, u64::try_from(count).unwrap_or(u64::MAX));
                // Fails when the other has failed, which says why.
                let _sent = spent.send((piece, count));
            }
            drop(spent);
            carrier.join().unwrap_or(Err(PackageError::Unfinished))
        })?;
        Ok(whole && checksum.sum() == crc && self.sha256.is_none_or(|expected| expected == hasher.finish()))
    }

    /// Reads pieces, and writes those that were hashed, in order.
    fn carry(
        &self,
        output: &Output,
        start: u64,
        loads: &SyncSender<(Vec<u8>, usize)>,
        hashed: &Receiver<(Vec<u8>, usize)>,
    ) -> Result<bool, PackageError> {
        let mut free: Vec<Vec<u8>> = (0..PIECES).map(|_| vec![0; PIECE]).collect();
        let (mut read, mut written) = (0, 0);
        while written < self.size {
            if read < self.size
                && let Some(mut piece) = free.pop()
            {
                let count = self.fill(&mut piece, read)?;
                if count == 0 {
                    return Ok(false);
                }
                read = read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                if loads.send((piece, count)).is_err() {
                    return Err(PackageError::Unfinished);
                }
            }
            let next = if free.is_empty() || read >= self.size { hashed.recv().ok() } else { hashed.try_recv().ok() };
            if let Some((piece, count)) = next {
                output.write(piece.get(..count).unwrap_or_default(), start.saturating_add(written))?;
                written = written.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                free.push(piece);
            } else if free.is_empty() || read >= self.size {
                return Err(PackageError::Unfinished);
            }
        }
        Ok(true)
    }
}
