//! Giving a package its name, once it is whole and on disk, and never over another file.
#![expect(clippy::disallowed_methods, reason = "writes the package, outside the case and never over an existing file")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use crate::case::{IoContext as _, PathError, name_without_replacing};
use crate::model::{HashingReader, Sha256Hash};

use super::archive::Written;
#[cfg(feature = "encrypt")]
use super::archive::unnamed;
#[cfg(feature = "encrypt")]
use super::encryption::{Recipient, encrypt};
use super::{PackageError, PackageSummary, Progress};

/// How a package comes to lie where it was asked for: as it is, or encrypted and in no other form.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    progress: &'a Progress,
    #[cfg(feature = "encrypt")]
    recipients: &'a [Recipient],
}

impl<'a> Delivery<'a> {
    /// As it is; `progress` tells how far its writing has come.
    #[must_use]
    pub fn plain(progress: &'a Progress) -> Self {
        Self {
            progress,
            #[cfg(feature = "encrypt")]
            recipients: &[],
        }
    }

    /// Encrypted for these recipients, under the package's name with `.age` added; as it is where there are none.
    ///
    /// The package itself then never has a name: its bytes are on the disk only as long as this process runs.
    #[cfg(feature = "encrypt")]
    #[must_use]
    pub fn encrypted_for(self, recipients: &'a [Recipient]) -> Self {
        Self { recipients, ..self }
    }

    /// Whether writing it again gives the same bytes, so that what lies there can be held against it.
    #[cfg_attr(
        not(feature = "encrypt"),
        expect(clippy::trivially_copy_pass_by_ref, clippy::unused_self, reason = "there is more of it with encryption")
    )]
    pub(super) fn is_repeatable(&self) -> bool {
        #[cfg(feature = "encrypt")]
        {
            self.recipients.is_empty()
        }
        #[cfg(not(feature = "encrypt"))]
        {
            true
        }
    }

    /// Refuses to encrypt into what is there: encrypting the same twice gives two files, so that it is another.
    ///
    /// Better said before the work than after it.
    #[cfg_attr(
        not(feature = "encrypt"),
        expect(clippy::trivially_copy_pass_by_ref, reason = "there is more of it with encryption")
    )]
    pub(super) fn refuse_taken(&self, out: &Path) -> Result<(), PackageError> {
        let path = with_suffix(out, ".age");
        if !self.is_repeatable() && path.symlink_metadata().is_ok() {
            return Err(PackageError::Exists { path });
        }
        Ok(())
    }

    #[cfg_attr(
        not(feature = "encrypt"),
        expect(clippy::trivially_copy_pass_by_ref, reason = "there is more of it with encryption")
    )]
    pub(super) fn progress(&self) -> &'a Progress {
        self.progress
    }
}

/// The encrypted file that was made of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedPackage {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, which also stands in the `.sha256` file beside it.
    pub sha256: Sha256Hash,
}

/// What came out of publishing.
#[derive(Debug)]
pub(super) struct Published {
    written: Written,
    encrypted: Option<EncryptedPackage>,
}

impl Published {
    /// A summary of the package of that name, which carries `seal`.
    pub(super) fn summary(self, path: PathBuf, seal: String) -> PackageSummary {
        let Written { members: files, size, sha256 } = self.written;
        PackageSummary { path, size, sha256, files, seal, encrypted: self.encrypted }
    }
}

/// Writes a package with `write`, and publishes it as `out` or, encrypted, as `out` with `.age` added.
#[cfg_attr(
    not(feature = "encrypt"),
    expect(clippy::trivially_copy_pass_by_ref, reason = "without encryption there is one way to deliver")
)]
pub(super) fn publish(
    out: &Path,
    delivery: &Delivery<'_>,
    write: impl FnOnce(&Part) -> Result<Written, PackageError>,
) -> Result<Published, PackageError> {
    prepare(out, delivery, write)?.publish()
}

/// Writes a package with `write`, up to where it lacks nothing but its name.
#[cfg_attr(
    not(feature = "encrypt"),
    expect(unused_variables, clippy::trivially_copy_pass_by_ref, reason = "without encryption there is one way to deliver")
)]
pub(super) fn prepare(
    out: &Path,
    delivery: &Delivery<'_>,
    write: impl FnOnce(&Part) -> Result<Written, PackageError>,
) -> Result<Prepared, PackageError> {
    #[cfg(feature = "encrypt")]
    if !delivery.recipients.is_empty() {
        return prepare_encrypted(out, delivery, write);
    }
    Ok(Prepared { file: PreparedFile::write(out, write)?, within: None })
}

#[cfg(feature = "encrypt")]
fn prepare_encrypted(
    out: &Path,
    delivery: &Delivery<'_>,
    write: impl FnOnce(&Part) -> Result<Written, PackageError>,
) -> Result<Prepared, PackageError> {
    delivery.refuse_taken(out)?;
    let mut package = None;
    let file = PreparedFile::write(&with_suffix(out, ".age"), |target| {
        let plain = Part::without_name(target)?;
        let written = write(&plain)?;
        package = Some(written);
        encrypt(&plain, written, target, delivery.recipients, delivery.progress)
    })?;
    Ok(Prepared { file, within: Some(package.ok_or(PackageError::Unfinished)?) })
}

/// A package that is whole and on the disk, and has no name yet. Without getting one it is removed.
#[derive(Debug)]
pub(super) struct Prepared {
    file: PreparedFile,
    /// The package that is in it, where it is encrypted.
    within: Option<Written>,
}

impl Prepared {
    /// Closes the file, of which there may be thousands. Whoever does so keeps others from the name by another lock.
    pub(super) fn close(&mut self) {
        self.file.part.file = None;
    }

    /// Gives the package its name.
    pub(super) fn publish(self) -> Result<Published, PackageError> {
        let path = self.file.out.clone();
        let written = self.file.publish()?;
        let Some(package) = self.within else { return Ok(Published { written, encrypted: None }) };
        let encrypted = EncryptedPackage { path, size: written.size, sha256: written.sha256 };
        Ok(Published { written: package, encrypted: Some(encrypted) })
    }
}

/// A file that is whole and on the disk, and lies there under its temporary name.
#[derive(Debug)]
struct PreparedFile {
    part: Part,
    out: PathBuf,
    list: PathBuf,
    /// What the list will say.
    line: String,
    written: Written,
}

impl PreparedFile {
    /// Writes a file with `write` that is to have the name `out`.
    fn write(out: &Path, write: impl FnOnce(&Part) -> Result<Written, PackageError>) -> Result<Self, PackageError> {
        let name = file_name(out)?;
        let list = with_suffix(out, ".sha256");
        // The list is written last, so that it is never there alone.
        if list.symlink_metadata().is_ok() && out.symlink_metadata().is_err() {
            return Err(PackageError::Exists { path: list });
        }
        let part = Part::create(out)?;
        let written = write(&part)?;
        part.file()?.set_permissions(fs::Permissions::from_mode(0o444)).doing("protect", &part.path)?;
        part.file()?.sync_all().doing("flush", &part.path)?;
        let line = format!("{}  {name}\n", written.sha256);
        Ok(Self { part, out: out.to_owned(), list, line, written })
    }

    /// Gives it its name, and writes beside it a list with its SHA-256.
    ///
    /// A file that lies there already is fine if it is the same, so that an attempt that was cut off is simply made again.
    fn publish(self) -> Result<Written, PackageError> {
        let Self { part, out, list, line, written } = self;
        match part.name(&out) {
            Err(PackageError::Exists { .. }) if holds(&out, &written.sha256)? => {}
            other => other?,
        }
        write_list(&list, &line)?;
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).doing("flush", folder)?;
        Ok(written)
    }
}

fn holds(path: &Path, sha256: &Sha256Hash) -> Result<bool, PathError> {
    let file = File::open(path).doing("open", path)?;
    Ok(HashingReader::new(file).finish().doing("read", path)?.0 == *sha256)
}

/// Writes the package's SHA-256 beside it. It has its name only once it is whole.
fn write_list(path: &Path, line: &str) -> Result<(), PackageError> {
    let part = write_aside(path, line.as_bytes())?;
    match name_without_replacing(CWD, &part, CWD, path) {
        Err(Errno::EXIST) => {
            let same = fs::read(path).doing("read", path)? == line.as_bytes();
            fs::remove_file(&part).doing("discard", &part)?;
            if same { Ok(()) } else { Err(PackageError::Exists { path: path.to_owned() }) }
        }
        other => Ok(other.doing("name", path)?),
    }
}

/// Writes a small file whole, under a name of its own beside `path` until it gets that. Gives where it lies.
pub(super) fn write_aside(path: &Path, bytes: &[u8]) -> Result<PathBuf, PathError> {
    let part = with_suffix(path, ".part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(PathError::new("discard the unfinished", part, error));
        }
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&part).doing("create", &part)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).doing("write", &part)?;
    Ok(part)
}

/// The package under its temporary name; removed unless it gets its own.
#[derive(Debug)]
pub(super) struct Part {
    /// Until it is closed.
    file: Option<File>,
    path: PathBuf,
    /// It has its own name, or needs none.
    named: bool,
}

impl Part {
    /// The open file.
    pub(super) fn file(&self) -> Result<&File, PackageError> {
        self.file.as_ref().ok_or(PackageError::Unfinished)
    }

    /// Where it lies until it has its name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file that never has a name for others: it is gone with this process, however that ends.
    #[cfg(feature = "encrypt")]
    fn without_name(beside: &Self) -> Result<Self, PackageError> {
        let file = unnamed(&beside.path, ".plain")?;
        Ok(Self { file: Some(file), path: with_suffix(&beside.path, ".plain"), named: true })
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
        Ok(Self { file: Some(file), path, named: false })
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

#[cfg(feature = "encrypt")]
#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &[u8]) -> Written {
        Written { members: 1, size: u64::try_from(content.len()).unwrap(), sha256: Sha256Hash::of(content) }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_package_to_be_encrypted_has_no_name_at_any_time() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("p.zip");
        let identity = age::x25519::Identity::generate();
        let recipients = [Recipient::parse(&identity.to_public().to_string()).unwrap()];
        let progress = Progress::default();
        let delivery = Delivery::plain(&progress).encrypted_for(&recipients);
        let published = publish(&out, &delivery, |part| {
            part.file().unwrap().write_all(b"plaintext").unwrap();
            // Whoever cuts it off here finds nothing but an empty file to be encrypted into.
            assert_eq!(names(folder.path()), ["p.zip.age.part"]);
            let unfinished = fs::metadata(folder.path().join("p.zip.age.part")).unwrap();
            assert_eq!((unfinished.len(), unfinished.permissions().mode() & 0o777), (0, 0o600));
            Ok(written(b"plaintext"))
        })
        .unwrap();
        assert_eq!(names(folder.path()), ["p.zip.age", "p.zip.age.sha256"]);
        let encrypted = fs::read(folder.path().join("p.zip.age")).unwrap();
        assert_eq!(published.encrypted.unwrap().sha256, Sha256Hash::of(&encrypted));
        let plain = age::decrypt(&identity, &encrypted).unwrap();
        assert_eq!(plain, b"plaintext");
        assert_eq!(progress.done(), progress.expected());
    }

    #[test]
    fn what_is_not_published_leaves_nothing_closed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let recipients = [Recipient::parse(&age::x25519::Identity::generate().to_public().to_string()).unwrap()];
        let progress = Progress::default();
        let delivery = Delivery::plain(&progress).encrypted_for(&recipients);
        let prepared = |name: &str| {
            let out = folder.path().join(name);
            prepare(&out, &delivery, |part| {
                part.file()?.write_all(b"plaintext").unwrap();
                Ok(written(b"plaintext"))
            })
            .unwrap()
        };
        let (first, mut second, mut third) = (prepared("a.zip"), prepared("b.zip"), prepared("c.zip"));
        second.close();
        third.close();
        assert_eq!(names(folder.path()), ["a.zip.age.part", "b.zip.age.part", "c.zip.age.part"]);
        third.publish().unwrap();
        drop((first, second));
        assert_eq!(names(folder.path()), ["c.zip.age", "c.zip.age.sha256"]);
    }

    #[test]
    fn nothing_is_written_where_an_encrypted_package_lies_already() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("p.zip");
        fs::write(folder.path().join("p.zip.age"), "another").unwrap();
        let recipients = [Recipient::parse(&age::x25519::Identity::generate().to_public().to_string()).unwrap()];
        let progress = Progress::default();
        let delivery = Delivery::plain(&progress).encrypted_for(&recipients);
        let refused = publish(&out, &delivery, |_| panic!("the package is not even written")).unwrap_err();
        assert!(matches!(refused, PackageError::Exists { .. }), "{refused}");
        assert_eq!(names(folder.path()), ["p.zip.age"]);
    }
}
