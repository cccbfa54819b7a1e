//! A file without a name in the system's temporary folder: it is gone with the process, however that ends.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

/// A file that only this process can reach, and that is only appended to.
#[derive(Debug)]
pub(super) struct Scratch {
    file: File,
    length: u64,
}

impl Scratch {
    /// Makes one on the file system of `folder`.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        let mode = Mode::RUSR | Mode::WUSR;
        // Exclusive: it can never be given a name.
        let unnamed = OFlags::TMPFILE | OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
        let file = match openat(CWD, folder, unnamed, mode) {
            // Overlay, network and older file systems cannot hold a file without a name: it loses its name before anything is in it.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => named(folder, mode)?,
            opened => opened?,
        };
        Ok(Self { file: File::from(file), length: 0 })
    }

    /// Where the next bytes will lie.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at the end. After a failure none of them count.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.length)?;
        self.length += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    /// Reads bytes that were written.
    pub(super) fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }
}

/// A file that has a name for as long as it takes to take it away.
fn named(folder: &Path, mode: Mode) -> io::Result<OwnedFd> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let path = folder.join(format!("caselock-{}", hex::encode(random)));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(CWD, &path, flags, mode)?;
    unlinkat(CWD, &path, AtFlags::empty())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_back_and_no_name_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let without_unnamed_files = named(folder.path(), Mode::RUSR | Mode::WUSR).unwrap();
        let without_unnamed_files = Scratch { file: File::from(without_unnamed_files), length: 0 };
        for mut scratch in [Scratch::create(folder.path()).unwrap(), without_unnamed_files] {
            scratch.append(b"one").unwrap();
            scratch.append(b"two").unwrap();
            let mut bytes = [0; 4];
            scratch.read(&mut bytes, 2).unwrap();
            assert_eq!((&bytes, scratch.length()), (b"etwo", 6));
            assert_eq!(folder.path().read_dir().unwrap().count(), 0);
            assert!(scratch.read(&mut bytes, 3).is_err());
        }
        assert!(Scratch::create(&folder.path().join("none")).is_err());
    }
}
