//! Whether a folder holds a case, may become one, or is what is left of one; nothing is written to find out.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::listing::list;
use super::writer::README;
use super::{CASE_TOML, CaseError, IoContext as _, LEDGER};

/// Of a first line, most that is looked at.
const LONGEST: u64 = 1024 * 1024;

/// Looks whether a new case may be made in `root`, as far as that can be told without writing anything.
pub fn check_vacant(root: &Path) -> Result<(), CaseError> {
    if !root.exists() {
        let above = folders_above(root).pop().unwrap_or_default();
        let may = if above.is_dir() { access(&above, Access::WRITE_OK | Access::EXEC_OK) } else { Err(Errno::NOTDIR) };
        return Ok(may.doing("make the folder", root)?);
    }
    if !root.is_dir() || !is_vacant(root)? {
        let path = root.to_owned();
        // A case that has begun: another process made it between the caller's look at the folder and now.
        return Err(if is_begun(root) {
            CaseError::Locked { path }
        } else if is_ledger_gone(root) {
            CaseError::LedgerGone { path }
        } else {
            CaseError::NotACase { path }
        });
    }
    Ok(access(root, Access::WRITE_OK | Access::EXEC_OK).doing("write into", root)?)
}

/// Whether the case in `root` has been made: its ledger has a first line, whole.
///
/// Until then nothing of it was acknowledged, and [`CaseWriter::create`](super::CaseWriter::create) makes it again.
#[must_use]
pub fn is_begun(root: &Path) -> bool {
    let path = root.join(LEDGER);
    match path.metadata() {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return false,
        // A pipe would be waited for forever.
        Ok(ledger) if ledger.is_file() => {}
        Ok(_) | Err(_) => return true,
    }
    let Ok(ledger) = File::open(path) else { return true };
    let (mut ledger, mut first, mut next) = (BufReader::new(ledger), Vec::new(), [0]);
    let read = ledger.by_ref().take(LONGEST).read_until(b'\n', &mut first);
    let is_whole = first.last() == Some(&b'\n') || first.len() >= usize::try_from(LONGEST).unwrap_or(usize::MAX);
    // Blocks of it that a power cut kept from the disk are zeros. What follows a line shows that it was on the disk once.
    let mut is_alone = || first.contains(&0) && matches!(ledger.read(&mut next), Ok(0));
    // What cannot be read is not taken for nothing.
    read.is_err() || (is_whole && !is_alone())
}

/// Whether the ledger of a case is gone: its folder tells of evidence that no line of a ledger acknowledges.
///
/// Nothing of all this is there before the first line is: a run that was cut off does not leave it.
#[must_use]
pub fn is_ledger_gone(root: &Path) -> bool {
    let has_any = |folder: &str| list(&root.join(folder)).is_ok_and(|names| !names.is_empty());
    root.join(CASE_TOML).is_file() && !is_begun(root) && (has_any("data") || has_any("custody/seals"))
}

/// Whether a folder is empty, but for what a run leaves that was cut off before its ledger began.
fn is_vacant(root: &Path) -> Result<bool, CaseError> {
    for (name, _) in list(root).doing("list", root)? {
        let beginning = match name.to_str() {
            Some("README.txt") => fs::read(root.join("README.txt")).is_ok_and(|text| text == README.as_bytes()),
            Some("README.txt.part") => true,
            Some("reports") => holds_reports_only(&root.join("reports"))?,
            Some("data") => list(&root.join("data")).doing("list", root)?.is_empty(),
            Some("custody") => {
                let names = list(&root.join("custody")).doing("list", root)?;
                let known = ["case.toml", "case.toml.part", "ledger.jsonl"];
                names.iter().all(|(name, _)| known.iter().any(|known| name == known)) && !is_begun(root)
            }
            _ => false,
        };
        if !beginning {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a folder of reports holds nothing but what `caselock report` writes there, which it does of a case that never began as well.
fn holds_reports_only(folder: &Path) -> Result<bool, CaseError> {
    const REPORTS: [&str; 4] = ["report.html", "artifacts.csv", "artifacts.jsonl", "case-uco.jsonld"];
    if !folder.symlink_metadata().doing("look at", folder)?.is_dir() {
        return Ok(false);
    }
    Ok(list(folder).doing("list", folder)?.iter().all(|(name, _)| REPORTS.iter().any(|report| name == report)))
}

/// The folders above a new one whose names must be on disk for it to be found: those that are new too, and the one they are in.
///
/// They are few. To wait for the whole file system would be to wait for whatever else was written to it.
pub(super) fn folders_above(root: &Path) -> Vec<PathBuf> {
    let mut above = Vec::new();
    for folder in root.ancestors().skip(1) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        above.push(folder.to_owned());
        if folder.exists() {
            break;
        }
    }
    above
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests plant what a crash or a hand would")]
mod tests {
    use super::*;

    /// A folder with these files, each with its content.
    fn holding(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("data")).unwrap();
        for (path, content) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    #[test]
    fn a_ledger_that_is_gone_is_told_from_one_that_never_began() {
        let evidence = ("data/s3/example/key", "evidence");
        for gone in [
            &[(CASE_TOML, ""), evidence][..],
            &[(CASE_TOML, ""), evidence, (LEDGER, "")],
            &[(CASE_TOML, ""), evidence, (LEDGER, "{\"at\":")],
            &[(CASE_TOML, ""), ("custody/seals/0001.json", "{}")],
        ] {
            let folder = holding(gone);
            assert!(is_ledger_gone(folder.path()), "{gone:?}");
            assert!(matches!(check_vacant(folder.path()), Err(CaseError::LedgerGone { .. })), "{gone:?}");
        }
        // The last is what a power cut leaves of a line whose end came to the disk before its middle.
        for ledger in [None, Some(""), Some("{\"at\":"), Some("{\"at\"\0\0\0}\n")] {
            let cut_off: Vec<(&str, &str)> = [(CASE_TOML, "")].into_iter().chain(ledger.map(|text| (LEDGER, text))).collect();
            let folder = holding(&cut_off);
            assert!(!is_ledger_gone(folder.path()), "{cut_off:?}");
            check_vacant(folder.path()).unwrap();
        }
        for begun in ["{}\n", "{\0\0}\n{}\n"] {
            let whole = holding(&[(CASE_TOML, ""), evidence, (LEDGER, begun)]);
            assert!(is_begun(whole.path()) && !is_ledger_gone(whole.path()), "{begun:?}");
        }
        let reported = holding(&[(CASE_TOML, ""), (LEDGER, ""), ("reports/report.html", "")]);
        check_vacant(reported.path()).unwrap();
        for strange in ["reports/evidence.html", "reports/report.html/x", "reports/x/report.html"] {
            let strange = holding(&[(CASE_TOML, ""), (LEDGER, ""), (strange, "")]);
            let told = check_vacant(strange.path());
            assert_eq!(told.is_ok(), strange.path().join("reports/report.html").is_dir(), "{told:?}");
        }
        let other = holding(&[evidence]);
        assert!(matches!(check_vacant(other.path()), Err(CaseError::NotACase { .. })));
    }

    #[test]
    fn where_no_folder_can_be_made_is_found_out_without_making_one() {
        let folder = holding(&[("file", "")]);
        for possible in ["new", "new/below/another"] {
            check_vacant(&folder.path().join(possible)).unwrap();
        }
        assert!(matches!(check_vacant(&folder.path().join("file/case")), Err(CaseError::Io(_))));
        assert!(matches!(check_vacant(&folder.path().join("file")), Err(CaseError::NotACase { .. })));
        assert!(!folder.path().join("new").exists());
    }
}
