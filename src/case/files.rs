//! Reading a case, wherever it lies: in a folder or, later, in a package.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::error::IoContext;
use super::listing::list;
use super::{CASE_TOML, CaseError, LEDGER};

/// The files of a case, for those who only read.
pub trait CaseFiles: Sync + std::fmt::Debug {
    /// Shows every file once, in the order of its path's bytes; paths have `/` and start below the case.
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError>;

    /// Opens a regular file by its path below the case. No link is followed.
    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError>;

    /// How a person finds this file: the folder or package and the path in it.
    fn describe(&self, path: &str) -> PathBuf;

    /// The parts of a package that are not at hand.
    fn missing_parts(&self) -> Vec<MissingPart> {
        Vec::new()
    }

    /// Whether an artifact belongs into a part that is not at hand.
    fn is_in_missing_part(&self, _path: &str) -> bool {
        false
    }
}

/// A part of a package that is not at hand, as the other parts tell of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingPart {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
    /// How many artifacts it has.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// One thing that lies in a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A regular file.
    File {
        /// Its path below the case.
        path: &'a str,
        /// Its bytes.
        size: u64,
    },
    /// Something that no case has: a link, a device, a pipe, a name that is not UTF-8.
    Foreign {
        /// Its path below the case, as far as it can be written.
        path: &'a str,
        /// What it is.
        what: &'static str,
    },
}

/// Reads a whole file of at most `limit` bytes.
pub fn read_bounded(files: &dyn CaseFiles, path: &str, limit: u64) -> Result<Vec<u8>, CaseError> {
    let place = files.describe(path);
    let mut bytes = Vec::new();
    files.open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes).doing("read", &place)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limit {
        return Err(CaseError::Malformed { path: place, problem: format!("it is larger than {limit} bytes") });
    }
    Ok(bytes)
}

/// A case in a folder.
#[derive(Clone, Debug)]
pub struct CaseFolder {
    root: PathBuf,
}

impl CaseFolder {
    /// The case in `root`, which must hold a `custody/case.toml`, or at least a ledger that misses it.
    pub fn open(root: &Path) -> Result<Self, CaseError> {
        // A ledger without its `case.toml` is a damaged case, which verification reports; it is no other folder.
        let begun = root.join(LEDGER).metadata().is_ok_and(|ledger| ledger.is_file() && ledger.len() > 0);
        let case_toml = root.join(CASE_TOML);
        match case_toml.metadata() {
            Ok(metadata) if metadata.is_file() => {}
            _ if begun => {}
            // A disclosure has neither: it shows some lines and proves that they were sealed.
            _ if root.join("custody/disclosure.jsonl").is_file() => {}
            // What could not be looked at is not therefore absent.
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(error).doing("look at", &case_toml);
            }
            _ => return Err(CaseError::NoCase { path: root.to_owned() }),
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Shows every file below one folder of the case, as [`CaseFiles::walk`] does.
    pub fn walk_below(&self, folder: &str, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        self.walk_folder(folder, visit)
    }

    fn walk_folder(&self, below: &str, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        let folder = if below.is_empty() { self.root.clone() } else { self.root.join(below) };
        let mut entries = list(&folder).doing("list", &folder)?;
        // A folder sorts as if its name ended with the `/` that follows it in every path below, so that paths come in byte order.
        entries.sort_by_cached_key(|(name, kind)| {
            let mut name = name.as_encoded_bytes().to_vec();
            if kind.is_dir() {
                name.push(b'/');
            }
            name
        });
        for (name, kind) in entries {
            let lossy = name.to_string_lossy();
            let path = if below.is_empty() { lossy.clone().into_owned() } else { format!("{below}/{lossy}") };
            if name.to_str().is_none() {
                visit(Found::Foreign { path: &path, what: "a name that is not UTF-8" });
            } else if kind.is_dir() {
                self.walk_folder(&path, visit)?;
            } else if kind.is_file() {
                let place = folder.join(&name);
                let size = place.symlink_metadata().doing("look at", &place)?.len();
                visit(Found::File { path: &path, size });
            } else {
                let what = if kind.is_symlink() { "a symbolic link" } else { "a device, pipe or socket" };
                visit(Found::Foreign { path: &path, what });
            }
        }
        Ok(())
    }
}

impl CaseFiles for CaseFolder {
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        self.walk_folder("", visit)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
        use rustix::fs::{CWD, Mode, OFlags, openat};
        let place = self.describe(path);
        // Component by component: neither the file nor a folder on the way may be a link.
        let folder_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root_flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut folder = openat(CWD, &self.root, root_flags, Mode::empty()).doing("open", &self.root)?;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            folder = openat(&folder, part, folder_flags, Mode::empty()).doing("open", &place)?;
        }
        // Without O_NONBLOCK, a planted pipe would be waited for forever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&folder, name, flags, Mode::empty()).doing("open", &place)?);
        if !file.metadata().doing("look at", &place)?.is_file() {
            return Err(io::Error::other("it is not a regular file")).doing("open", &place);
        }
        Ok(Box::new(file))
    }

    fn describe(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}
