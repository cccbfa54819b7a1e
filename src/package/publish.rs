//! Giving a package its name, once it is whole and on disk, and never over another file.
#![expect(clippy::disallowed_methods, reason = "writes the package, outside the case and never over an existing file")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::case::name_without_replacing;
use crate::model::{HashingReader, Sha256Hash};

use super::PackageError;
use super::archive::Written;
use super::error::IoContext as _;

/// Writes a file with `write` and gives it the name `out`, and beside it a list with its SHA-256.
///
/// A file that lies there already is fine if it is the same, so that an attempt that was cut off is simply made again.
pub(super) fn publish(out: &Path, write: impl FnOnce(&Part) -> Result<Written, PackageError>) -> Result<Written, PackageError> {
    let name = file_name(out)?;
    let list = with_suffix(out, ".sha256");
    // The list is written last, so that it is never there alone.
    if list.symlink_metadata().is_ok() && out.symlink_metadata().is_err() {
        return Err(PackageError::Exists { path: list });
    }
    let part = Part::create(out)?;
    let written = write(&part)?;
    part.file.set_permissions(fs::Permissions::from_mode(0o444)).doing("protect", &part.path)?;
    part.file.sync_all().doing("flush", &part.path)?;
    match part.name(out) {
        Err(PackageError::Exists { .. }) if holds(out, &written.sha256)? => {}
        other => other?,
    }
    write_list(&list, &format!("{}  {name}\n", written.sha256))?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).doing("flush", folder)?;
    Ok(written)
}

fn holds(path: &Path, sha256: &Sha256Hash) -> Result<bool, PackageError> {
    let file = File::open(path).doing("open", path)?;
    Ok(HashingReader::new(file).finish().doing("read", path)?.0 == *sha256)
}

/// Writes the package's SHA-256 beside it. It has its name only once it is whole.
fn write_list(path: &Path, line: &str) -> Result<(), PackageError> {
    let part = with_suffix(path, ".part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).doing("discard the unfinished", &part),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&part).doing("create", &part)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).doing("write", &part)?;
    match name_without_replacing(CWD, &part, CWD, path) {
        Err(Errno::EXIST) => {
            let same = fs::read(path).doing("read", path)? == line.as_bytes();
            fs::remove_file(&part).doing("discard", &part)?;
            if same { Ok(()) } else { Err(PackageError::Exists { path: path.to_owned() }) }
        }
        other => other.doing("name", path),
    }
}

/// The package under its temporary name; removed unless it gets its own.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    named: bool,
}

impl Part {
    /// The open file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where it lies until it has its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn create(out: &Path) -> Result<Self, PackageError> {
        let path = with_suffix(out, ".part");
        let create = || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Whoever is writing holds a lock; what nobody holds was left by a run that was cut off.
                let there = OpenOptions::new().read(true).open(&path).doing("open", &path)?;
                if flock(&there, FlockOperation::NonBlockingLockExclusive).is_err() {
                    return Err(PackageError::Busy { path });
                }
                fs::remove_file(&path).doing("discard the unfinished", &path)?;
                create()
            }
            other => other,
        };
        let file = file.doing("create", &path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).doing("lock", &path)?;
        Ok(Self { file, path, named: false })
    }

    /// Gives the package its name, never replacing a file.
    fn name(mut self, out: &Path) -> Result<(), PackageError> {
        match renameat_with(CWD, &self.path, CWD, out, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => return Err(PackageError::Exists { path: out.to_owned() }),
            // File systems that cannot rename this way can link.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                fs::hard_link(&self.path, out).doing("name", out)?;
                fs::remove_file(&self.path).doing("discard", &self.path)?;
            }
            other => other.doing("name", out)?,
        }
        self.named = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.named {
            // What stays behind says by its name that it is unfinished.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

fn file_name(out: &Path) -> Result<&str, PackageError> {
    let name = out.file_name().and_then(|name| name.to_str());
    name.filter(|name| !name.contains(|c: char| c.is_control() || c == '\\'))
        .ok_or_else(|| PackageError::Name { path: out.to_owned() })
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
