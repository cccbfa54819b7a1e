//! What lies in a folder.

use std::ffi::{CStr, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};

/// The names in a folder and what they are, links not followed. In no order.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<(OsString, FileType)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    list_in(openat(CWD, folder, flags, Mode::empty())?.as_fd())
}

/// The same, of a folder that is open.
pub(crate) fn list_in(folder: BorrowedFd<'_>) -> io::Result<Vec<(OsString, FileType)>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Some file systems do not say it here.
            FileType::Unknown => FileType::from_raw_mode(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode),
            kind => kind,
        };
        names.push((OsStr::from_bytes(name.to_bytes()).to_owned(), kind));
    }
    Ok(names)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn everything_is_listed_for_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("folder", folder.path().join("link")).unwrap();
        let mut found = list(folder.path()).unwrap();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [("file", FileType::RegularFile), ("folder", FileType::Directory), ("link", FileType::Symlink)];
        assert_eq!(found, expected.map(|(name, kind)| (name.into(), kind)));
        assert!(list(&folder.path().join("none")).is_err());
    }
}
