//! Files that are written past the system's page cache, as far as what comes is whole blocks.
//!
//! What is written once and large is then on the disk's way at once: nothing is copied into fresh pages, little is left to wait for at the
//! end, an error is told to whoever wrote, and what is read of it later comes from the disk and not from memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

/// What disks take as it is: whole blocks of this size, out of memory that begins at a multiple of it (open(2), `O_DIRECT`).
pub(crate) const BLOCK: usize = 4096;

/// Memory that a disk can take as it is. It is filled from its beginning, up to a whole number of blocks.
#[cfg(any(feature = "acquire", test))]
#[derive(Debug)]
pub(crate) struct BlockBuffer {
    /// What lies before `start` is only there so that the rest lies where it should.
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

#[cfg(any(feature = "acquire", test))]
impl BlockBuffer {
    /// Room for so many blocks.
    pub(crate) fn new(blocks: usize) -> Self {
        let size = blocks * BLOCK;
        let mut memory: Vec<u8> = Vec::with_capacity(size + BLOCK);
        // Where it cannot be told, the file is written through the page cache.
        let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        memory.resize(start, 0);
        Self { memory, start, end: start + size }
    }

    /// Takes as much of `bytes` as there is room for; says how much that is.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> usize {
        let (taken, _) = bytes.split_at(bytes.len().min(self.end - self.memory.len()));
        self.memory.extend_from_slice(taken);
        taken.len()
    }

    /// Whether there is no more room.
    pub(crate) fn is_full(&self) -> bool {
        self.memory.len() == self.end
    }

    /// What it was filled with.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    /// Makes room again.
    pub(crate) fn clear(&mut self) {
        self.memory.truncate(self.start);
    }
}

/// A file that is written past the page cache until something comes that is not whole blocks, or the file system will not have it.
#[derive(Debug)]
pub(crate) struct DirectFile {
    file: File,
    /// Whether a write may still go past the page cache.
    may: AtomicBool,
    /// Whether the file is set to.
    does: AtomicBool,
}

impl DirectFile {
    /// Nothing was written yet to `file`.
    pub(crate) fn new(file: File) -> Self {
        Self { file, may: AtomicBool::new(true), does: AtomicBool::new(false) }
    }

    /// The file. What was not begun past the page cache may be written as any other.
    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// Writes all bytes at their place, which is theirs alone. Nothing but the last bytes should come in less than whole blocks.
    pub(crate) fn write_all_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        if !is_whole_blocks(bytes, at) {
            self.end()?;
        } else if self.may.load(Ordering::Relaxed) && !self.does.load(Ordering::Relaxed) {
            let set = fcntl_getfl(&self.file).and_then(|flags| fcntl_setfl(&self.file, flags | OFlags::DIRECT));
            self.may.store(set.is_ok(), Ordering::Relaxed);
            self.does.store(set.is_ok(), Ordering::Relaxed);
        }
        while !bytes.is_empty() {
            match self.file.write_at(bytes, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = bytes.get(count..).unwrap_or_default();
                    at = at.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // This disk wants larger blocks, or another begins within one.
                Err(error) if is_refusal(&error) && self.does.load(Ordering::Relaxed) => self.end()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on through the page cache.
    fn end(&self) -> io::Result<()> {
        self.may.store(false, Ordering::Relaxed);
        if self.does.load(Ordering::Relaxed) {
            go_through_page_cache(&self.file)?;
            self.does.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Has a file read and written as any other again: past the page cache only whole blocks can be.
pub(crate) fn go_through_page_cache(file: &File) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags.difference(OFlags::DIRECT))?)
}

fn is_refusal(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::INVAL.raw_os_error())
}

fn is_whole_blocks(bytes: &[u8], at: u64) -> bool {
    let place = at.checked_rem(u64::try_from(BLOCK).unwrap_or(1));
    place == Some(0) && bytes.len().is_multiple_of(BLOCK) && bytes.as_ptr().addr().is_multiple_of(BLOCK)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};
    use std::path::Path;

    use super::*;

    /// What lies in a file that was written in pieces of these sizes, each out of a buffer; and whether the last went past the page cache.
    fn written(folder: &Path, sizes: &[usize]) -> (Vec<u8>, bool) {
        let file = DirectFile::new(tempfile::tempfile_in(folder).unwrap());
        let (mut buffer, mut all) = (BlockBuffer::new(3), Vec::new());
        for (number, size) in sizes.iter().enumerate() {
            let piece: Vec<u8> = (0..*size).map(|at| u8::try_from((at + number) % 251).unwrap()).collect();
            assert_eq!(buffer.fill(&piece), piece.len());
            file.write_all_at(buffer.bytes(), u64::try_from(all.len()).unwrap()).unwrap();
            buffer.clear();
            all.extend(piece);
        }
        let direct = file.does.load(Ordering::Relaxed);
        let (mut file, mut there) = (file.into_file(), Vec::new());
        file.rewind().unwrap();
        go_through_page_cache(&file).unwrap();
        file.read_to_end(&mut there).unwrap();
        assert_eq!(there, all, "{sizes:?}");
        (there, direct)
    }

    #[test]
    fn every_byte_lies_where_it_belongs_whatever_the_pieces_and_the_file_system() {
        for folder in [std::env::temp_dir(), Path::new("/dev/shm").to_owned()] {
            for sizes in [&[][..], &[1], &[BLOCK], &[3 * BLOCK, BLOCK, 5], &[BLOCK, 5, BLOCK, 2 * BLOCK], &[0, 5, 0, BLOCK]] {
                written(&folder, sizes);
            }
        }
    }

    #[test]
    fn whole_blocks_go_past_the_page_cache_until_something_else_comes() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = tempfile::tempfile_in(here).unwrap();
        if fcntl_setfl(&file, OFlags::DIRECT).is_err() {
            // This file system has nothing of the kind: then nothing may go past the page cache at all.
            assert!(!written(here, &[BLOCK]).1);
            return;
        }
        assert!(written(here, &[BLOCK, 3 * BLOCK]).1);
        assert!(!written(here, &[BLOCK, 3 * BLOCK, 1]).1);
        assert!(!written(here, &[BLOCK, 1, BLOCK]).1);
    }

    #[test]
    fn a_buffer_takes_what_there_is_room_for_and_lies_at_a_block() {
        let mut buffer = BlockBuffer::new(2);
        assert_eq!((buffer.fill(&[1; BLOCK + 1]), buffer.is_full()), (BLOCK + 1, false));
        assert_eq!((buffer.fill(&[2; BLOCK]), buffer.is_full()), (BLOCK - 1, true));
        assert!(is_whole_blocks(buffer.bytes(), 4096) && !is_whole_blocks(buffer.bytes(), 1));
        buffer.clear();
        assert_eq!((buffer.fill(&[3; 9]), buffer.bytes()), (9, &[3; 9][..]));
        assert!(!is_whole_blocks(buffer.bytes(), 0) && !is_whole_blocks(&buffer.bytes()[1..], 0));
    }
}
