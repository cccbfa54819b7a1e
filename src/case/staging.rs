//! The write path: an artifact is staged without a name, hashed while it streams, and named without ever replacing a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat, unlinkat};
use rustix::io::Errno;

use crate::model::{PayloadPath, Sha256Hash, Sha256Hasher};

use super::direct::{DirectFile, go_through_page_cache};
use super::naming::name_without_replacing;
use super::protection::make_writable;
use super::{CaseError, IoContext as _, PathError};

/// What a file's name begins with while it has not got its own. No payload path has such a component.
pub(crate) const TEMPORARY: &str = "~part-";
/// File systems in user space: `syncfs` does not reach the program behind them.
const FUSE: u64 = 0x6573_5546;

/// How many open folders are kept at hand.
const FOLDERS_KEPT: usize = 256;

/// Where fetchers write, each on its own thread; what they write counts only once the case has committed it.
#[derive(Clone, Debug)]
pub struct Staging {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: OwnedFd,
    root_path: PathBuf,
    /// Whether a file can be held without a name, and named through `/proc`.
    unnamed_files: bool,
    /// Whether one call flushes the whole file system. If not, every file and folder is flushed by itself.
    group_sync: bool,
    folders: Mutex<HashMap<String, Arc<OwnedFd>>>,
    next_name: AtomicU64,
}

/// A file that is being written and has no name yet.
#[derive(Debug)]
pub struct StagedFile {
    file: DirectFile,
    hasher: Sha256Hasher,
    size: u64,
    place: Place,
}

/// A file that is written and hashed, and waits for its name.
#[derive(Debug)]
pub struct Staged {
    file: File,
    place: Place,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Hash,
    /// How many there are.
    pub size: u64,
}

/// Bytes in memory with their hash: whoever has them need not hash them again.
#[derive(Debug)]
pub struct HashedBytes {
    bytes: Vec<u8>,
    sha256: Sha256Hash,
}

impl HashedBytes {
    /// Hashes `bytes`.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let sha256 = Sha256Hash::of(&bytes);
        Self { bytes, sha256 }
    }

    /// Hashes two at a time, which takes less time than one after the other.
    #[must_use]
    pub fn both(one: Vec<u8>, other: Vec<u8>) -> (Self, Self) {
        let (first, second) = Sha256Hash::of_both(&one, &other);
        (Self { bytes: one, sha256: first }, Self { bytes: other, sha256: second })
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Their SHA-256.
    #[must_use]
    pub fn sha256(&self) -> Sha256Hash {
        self.sha256
    }
}

#[derive(Debug)]
struct Place {
    path: PayloadPath,
    full_path: PathBuf,
    folder: Arc<OwnedFd>,
    name: String,
    /// The name it has meanwhile, where the file system cannot hold a file without one.
    temporary_name: Option<String>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(temporary) = self.temporary_name.take() {
            // A leftover is harmless: it has no ledger line, and the next run discards it.
            let _unlinked = unlinkat(&*self.folder, temporary, AtFlags::empty());
        }
    }
}

impl Staging {
    pub(crate) fn new(root: &Path) -> Result<Self, CaseError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, root, flags, Mode::empty()).doing("open", root)?;
        let kind = rustix::fs::fstatfs(&fd).doing("look at", root)?.f_type;
        Ok(Self {
            inner: Arc::new(Inner {
                root: fd,
                root_path: root.to_owned(),
                unnamed_files: Path::new("/proc/self/fd").exists(),
                group_sync: u64::try_from(kind).ok() != Some(FUSE),
                folders: Mutex::default(),
                next_name: AtomicU64::new(0),
            }),
        })
    }

    /// Opens a file that will be named `path` when it is committed. Missing folders are made; links are not followed.
    pub fn stage(&self, path: &PayloadPath) -> Result<StagedFile, CaseError> {
        let full_path = self.inner.root_path.join(path.as_str());
        let (folder_path, name) = path.as_str().rsplit_once('/').unwrap_or(("data", path.as_str()));
        let folder = self.folder(folder_path)?;
        let mode = Mode::RUSR | Mode::RGRP | Mode::ROTH;
        let unnamed = if self.inner.unnamed_files {
            openat(&*folder, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, mode)
        } else {
            Err(Errno::OPNOTSUPP)
        };
        let (fd, temporary_name) = match unnamed {
            Ok(fd) => (fd, None),
            // Network, overlay and older file systems cannot hold a file without a name.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => {
                let number = self.inner.next_name.fetch_add(1, Ordering::Relaxed);
                let temporary = format!("{TEMPORARY}{}-{number}", std::process::id());
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                (openat(&*folder, &temporary, flags, mode).doing("create", &full_path)?, Some(temporary))
            }
            Err(errno) => return Err(PathError::new("create", full_path, errno).into()),
        };
        let place = Place { path: path.clone(), full_path, folder, name: name.to_owned(), temporary_name };
        Ok(StagedFile { file: DirectFile::new(File::from(fd)), hasher: Sha256Hasher::default(), size: 0, place })
    }

    /// Writes a whole file that will be named `path` when it is committed.
    pub fn stage_whole(&self, path: &PayloadPath, content: &HashedBytes) -> Result<Staged, CaseError> {
        let StagedFile { file, place, .. } = self.stage(path)?;
        let mut file = file.into_file();
        file.write_all(content.bytes()).doing("write", &place.full_path)?;
        let size = u64::try_from(content.bytes().len()).unwrap_or(u64::MAX);
        Ok(Staged { file, place, sha256: content.sha256(), size })
    }

    /// Opens a folder of the case, component by component, so that a planted link cannot lead out of it.
    fn folder(&self, path: &str) -> Result<Arc<OwnedFd>, CaseError> {
        let mut kept = self.inner.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = kept.get(path) {
            return Ok(Arc::clone(folder));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let full_path = self.inner.root_path.join(path);
        let mut folder: Option<OwnedFd> = None;
        for part in path.split('/') {
            let parent = folder.as_ref().unwrap_or(&self.inner.root);
            match mkdirat(parent, part, Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH) {
                Ok(()) if !self.inner.group_sync => rustix::fs::fsync(parent).doing("flush", &full_path)?,
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(PathError::new("create the folder", full_path, errno).into()),
            }
            let opened = openat(parent, part, flags, Mode::empty()).doing("open the folder", &full_path)?;
            make_writable(&opened).doing("open the folder", &full_path)?;
            folder = Some(opened);
        }
        let Some(folder) = folder else {
            return Err(CaseError::Malformed { path: full_path, problem: "it names no folder".to_owned() });
        };
        if kept.len() >= FOLDERS_KEPT {
            kept.clear();
        }
        let folder = Arc::new(folder);
        kept.insert(path.to_owned(), Arc::clone(&folder));
        Ok(folder)
    }

    /// Waits until these files and everything else written to the case's file system so far, names included, are on disk.
    pub(crate) fn sync(&self, named: &[Staged]) -> Result<(), CaseError> {
        if self.inner.group_sync {
            return Ok(rustix::fs::syncfs(&self.inner.root).doing("flush", &self.inner.root_path)?);
        }
        for staged in named {
            staged.file.sync_all().doing("flush", &staged.place.full_path)?;
            rustix::fs::fsync(&*staged.place.folder).doing("flush the folder of", &staged.place.full_path)?;
        }
        Ok(())
    }
}

impl StagedFile {
    /// Writes and hashes the next piece. Whole blocks go past the page cache.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), CaseError> {
        self.file.write_all_at(bytes, self.size).doing("write", &self.place.full_path)?;
        self.hasher.update(bytes);
        self.size += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }

    /// Ends the file.
    #[must_use]
    pub fn finish(self) -> Staged {
        Staged { file: self.file.into_file(), place: self.place, sha256: self.hasher.finish(), size: self.size }
    }
}

/// What came of giving a staged file its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// It has its name.
    New,
    /// The same bytes lie there already.
    Same,
    /// Other bytes lie there; they stay.
    Different,
}

impl Staged {
    /// The path it is meant for.
    #[must_use]
    pub fn path(&self) -> &PayloadPath {
        &self.place.path
    }

    /// Its bytes, read again; none where there are more than `limit`.
    pub fn read_again(&self, limit: u64) -> Result<Option<Vec<u8>>, CaseError> {
        let Some(size) = usize::try_from(self.size).ok().filter(|_| self.size <= limit) else { return Ok(None) };
        go_through_page_cache(&self.file).doing("read", &self.place.full_path)?;
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, 0).doing("read", &self.place.full_path)?;
        Ok(Some(bytes))
    }

    /// Gives the file its name, never replacing one.
    pub(crate) fn name(&mut self) -> Result<Named, CaseError> {
        let place = &mut self.place;
        let outcome = match &place.temporary_name {
            None => {
                let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                linkat(CWD, unnamed, &*place.folder, &place.name, AtFlags::SYMLINK_FOLLOW)
            }
            Some(temporary) => name_without_replacing(&*place.folder, temporary, &*place.folder, &place.name),
        };
        match outcome {
            Ok(()) => {
                place.temporary_name = None;
                Ok(Named::New)
            }
            Err(Errno::EXIST) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let there = openat(&*place.folder, &place.name, flags, Mode::empty()).doing("open", &place.full_path)?;
                let there = crate::model::HashingReader::new(File::from(there));
                let (sha256, _) = there.finish().doing("read", &place.full_path)?;
                Ok(if sha256 == self.sha256 { Named::Same } else { Named::Different })
            }
            Err(errno) => Err(PathError::new("name", &place.full_path, errno).into()),
        }
    }
}
