//! Tag files written piece by piece: a manifest of a million artifacts does not belong in memory.
#![expect(clippy::disallowed_methods, reason = "this module is where the case is written")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;

use crate::model::{HashingReader, Sha256Hash, Sha256Hasher};

use super::naming::name_without_replacing;
use super::{CaseError, IoContext as _, PathError};

/// A file of the case that is not evidence, while it is being written.
#[derive(Debug)]
pub struct TagFile {
    file: BufWriter<File>,
    hasher: Sha256Hasher,
    part: PathBuf,
    path: PathBuf,
    covered: Covered,
}

/// What stands over a file that is about to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Covered {
    /// Nothing yet: what is there may be replaced.
    Nothing,
    /// A signed seal: what is there stays, and what is lost may be put back.
    BySeal,
    /// The signature or the time-stamp of this very statement: no other is ever put under it.
    ByItsSignature,
}

impl TagFile {
    pub(crate) fn begin(root: &Path, path: &str) -> Result<Self, CaseError> {
        let full_path = root.join(path);
        if let Some(folder) = full_path.parent() {
            fs::create_dir_all(folder).doing("create the folder", folder)?;
            // A planted link must not lead out of the case.
            for folder in folder.ancestors().take_while(|folder| *folder != root) {
                if folder.symlink_metadata().doing("look at", folder)?.is_symlink() {
                    let problem = "it is a symbolic link".to_owned();
                    return Err(CaseError::Malformed { path: folder.to_owned(), problem });
                }
            }
        }
        let part = root.join(format!("{path}.part"));
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PathError::new("replace the unfinished", part, error).into());
            }
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&part).doing("create", &part)?;
        Ok(Self {
            file: BufWriter::with_capacity(256 * 1024, file),
            hasher: Sha256Hasher::default(),
            part,
            path: full_path,
            covered: Covered::of(root, path),
        })
    }

    /// Fails if the file could not be given its name, so that this is known before anything depends on it.
    pub(crate) fn check_free(&self) -> Result<(), CaseError> {
        match self.path.symlink_metadata() {
            Ok(there) if there.is_dir() => {
                Err(CaseError::Malformed { path: self.path.clone(), problem: "it is a folder".to_owned() })
            }
            Ok(_) if self.covered != Covered::Nothing => Err(CaseError::AlreadyWritten { path: self.path.clone() }),
            _ if self.covered == Covered::ByItsSignature => Err(CaseError::AlreadyWritten { path: self.path.clone() }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(PathError::new("look at", &self.path, error).into()),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Writes the whole of it and finishes.
    pub(crate) fn finish_with(mut self, bytes: &[u8]) -> Result<Sha256Hash, CaseError> {
        self.write_all(bytes).doing("write", &self.part)?;
        self.finish()
    }

    /// Makes the file durable and gives it its name. Gives its SHA-256.
    ///
    /// The same bytes again are fine. Other bytes are replaced only as long as no signed seal covers them.
    pub fn finish(mut self) -> Result<Sha256Hash, CaseError> {
        self.file.flush().doing("write", &self.part)?;
        self.file.get_ref().sync_all().doing("flush", &self.part)?;
        let sha256 = std::mem::take(&mut self.hasher).finish();
        if self.covered == Covered::Nothing {
            fs::rename(&self.part, &self.path).doing("name", &self.path)?;
        } else {
            match File::open(&self.path) {
                Ok(there) => {
                    let (there, _) = HashingReader::new(there).finish().doing("read", &self.path)?;
                    if there != sha256 {
                        return Err(CaseError::AlreadyWritten { path: self.path.clone() });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if self.covered == Covered::ByItsSignature {
                        return Err(CaseError::AlreadyWritten { path: self.path.clone() });
                    }
                    name_without_replacing(CWD, &self.part, CWD, &self.path).doing("name", &self.path)?;
                }
                Err(error) => return Err(PathError::new("open", &self.path, error).into()),
            }
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        File::open(folder).and_then(|folder| folder.sync_all()).doing("flush", folder)?;
        Ok(sha256)
    }
}

impl Covered {
    /// What stands over `path`: a seal's own signature or time-stamp over the seal, that of any seal over any other tag file.
    fn of(root: &Path, path: &str) -> Self {
        let of_a_seal = ["custody/seals/", "custody/checkpoints/"].iter().find_map(|folder| path.strip_prefix(folder));
        let Some((number, extension)) = of_a_seal.and_then(|name| name.split_once('.')) else {
            return if has_signed_seal(root) { Self::BySeal } else { Self::Nothing };
        };
        let is_there =
            |extension: &str| root.join(format!("custody/seals/{number}.json.{extension}")).symlink_metadata().is_ok();
        // What was stamped had been signed.
        if !is_there("sig") && !is_there("tsr") {
            Self::Nothing
        } else if extension == "json" && path.starts_with("custody/seals/") {
            Self::ByItsSignature
        } else {
            Self::BySeal
        }
    }
}

/// Whether there is the signature of a seal, of whichever: that of the first may be lost. What cannot be looked at may hold one.
fn has_signed_seal(root: &Path) -> bool {
    let entries = match fs::read_dir(root.join("custody/seals")) {
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
        Ok(entries) => entries,
    };
    entries.into_iter().any(|entry| entry.map_or(true, |entry| entry.file_name().as_encoded_bytes().ends_with(b".json.sig")))
}

impl Write for TagFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for TagFile {
    fn drop(&mut self) {
        // A leftover is harmless: it is no part of the bag, and the next attempt replaces it.
        let _removed = fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) -> Result<Sha256Hash, CaseError> {
        let mut file = TagFile::begin(root, path)?;
        file.write_all(text.as_bytes()).unwrap();
        file.finish()
    }

    #[test]
    fn what_no_signature_covers_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "bag-info.txt", "one").unwrap();
        assert_eq!(write(folder.path(), "bag-info.txt", "two").unwrap(), Sha256Hash::of(b"two"));
        assert_eq!(fs::read(folder.path().join("bag-info.txt")).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_signature_covers_stays() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["bag-info.txt", "custody/seals/0001.json", "custody/seals/0001.json.sig", "custody/seals/0002.json"] {
            write(folder.path(), path, "one").unwrap();
        }
        for path in ["bag-info.txt", "custody/seals/0001.json", "custody/seals/0001.json.sig"] {
            assert!(matches!(write(folder.path(), path, "two"), Err(CaseError::AlreadyWritten { .. })), "{path}");
            assert!(write(folder.path(), path, "one").is_ok(), "{path}");
            assert_eq!(fs::read(folder.path().join(path)).unwrap(), b"one");
        }
        assert!(write(folder.path(), "custody/seals/0002.json", "two").is_ok());
    }

    #[test]
    fn nothing_is_put_under_a_signature_whose_statement_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "custody/seals/0001.json.sig", "a signature").unwrap();
        let refused = TagFile::begin(folder.path(), "custody/seals/0001.json").unwrap().check_free();
        assert!(matches!(refused, Err(CaseError::AlreadyWritten { .. })));
        assert!(matches!(write(folder.path(), "custody/seals/0001.json", "two"), Err(CaseError::AlreadyWritten { .. })));
        assert!(!folder.path().join("custody/seals/0001.json").exists());
        // What follows from the seal may be put back.
        assert!(TagFile::begin(folder.path(), "custody/checkpoints/0001.json").unwrap().check_free().is_ok());
        assert!(write(folder.path(), "custody/checkpoints/0001.json", "a checkpoint").is_ok());
        assert!(TagFile::begin(folder.path(), "custody/checkpoints/0001.json").unwrap().check_free().is_err());
        assert!(TagFile::begin(folder.path(), "custody/seals/0002.json").unwrap().check_free().is_ok());
    }

    #[test]
    fn what_any_seal_covers_or_an_authority_stamped_stays_though_a_signature_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["bag-info.txt", "custody/seals/0001.json", "custody/seals/0001.json.tsr", "custody/seals/0002.json.sig"] {
            write(folder.path(), path, "one").unwrap();
        }
        for path in ["bag-info.txt", "custody/seals/0001.json"] {
            assert!(matches!(write(folder.path(), path, "two"), Err(CaseError::AlreadyWritten { .. })), "{path}");
        }
    }
}
