//! Giving a finished file its name, never replacing one.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, RenameFlags, linkat, renameat_with, unlinkat};
use rustix::io::Errno;

/// Moves `from` to `to`, and fails with `EXIST` if there is something under that name.
///
/// Linking works on every file system of Unix; those of other systems, such as exFAT, know no links and rename instead.
pub(crate) fn name_without_replacing(
    from_folder: impl AsFd,
    from: impl AsRef<Path>,
    to_folder: impl AsFd,
    to: impl AsRef<Path>,
) -> rustix::io::Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    match linkat(&from_folder, from, &to_folder, to, AtFlags::empty()) {
        Ok(()) => {
            // A leftover is harmless: it has another name, and nothing counts it.
            let _unlinked = unlinkat(&from_folder, from, AtFlags::empty());
            Ok(())
        }
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            renameat_with(&from_folder, from, &to_folder, to, RenameFlags::NOREPLACE)
        }
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
mod tests {
    use std::fs;

    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn a_file_gets_its_name_and_loses_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("part"), folder.path().join("whole"));
        fs::write(&from, "one").unwrap();
        name_without_replacing(CWD, &from, CWD, &to).unwrap();
        assert_eq!((fs::read(&to).unwrap().as_slice(), from.exists()), (&b"one"[..], false));
    }

    #[test]
    fn what_has_the_name_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("part"), folder.path().join("whole"));
        fs::write(&from, "one").unwrap();
        fs::write(&to, "two").unwrap();
        assert_eq!(name_without_replacing(CWD, &from, CWD, &to), Err(Errno::EXIST));
        assert_eq!((fs::read(&from).unwrap().as_slice(), fs::read(&to).unwrap().as_slice()), (&b"one"[..], &b"two"[..]));
    }
}
