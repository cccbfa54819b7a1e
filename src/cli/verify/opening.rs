//! Opens what is to be verified, a folder or a package, and refuses what lies beside one.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::case::{CaseFiles, CaseFolder, LEDGER};
use crate::model::printable;
use crate::package::{JoinedParts, PackageError, PackageFiles};
use crate::seal::DISCLOSURE;

use super::super::{CliError, Exit, shell};

/// Opens a case where it lies: a folder, or a package.
pub(in crate::cli) fn open(path: &Path) -> Result<Box<dyn CaseFiles>, CliError> {
    let refused = |error: &PackageError| {
        // The disk's trouble is no tampering.
        if !error.is_integrity_failure() {
            return CliError::new(Exit::Failed, error)
                .meaning("Nothing was found out about the package: it could not be read.")
                .next("Read it from a copy, or as somebody who may read it, and verify again.");
        }
        CliError::new(Exit::Integrity, error)
            .meaning("A package that does not hold to the format proves nothing about what is in it.")
            .next("Compare its SHA-256 with the one that was handed over with it, and ask for another copy.")
    };
    if path.is_file() {
        refuse_what_is_no_package(path)?;
        let package = PackageFiles::open(path).map_err(|error| refused(&error))?;
        return match JoinedParts::open(path, package).map_err(|error| refused(&error))? {
            Ok(joined) => Ok(Box::new(joined)),
            Err(package) => Ok(Box::new(package)),
        };
    }
    match JoinedParts::open_folder(CaseFolder::open(path)?).map_err(|error| refused(&error))? {
        Ok(joined) => Ok(Box::new(joined)),
        Err(folder) => Ok(Box::new(folder)),
    }
}

/// Refuses what lies beside a package, or around one: it proves nothing against it.
pub(in crate::cli) fn refuse_what_is_no_package(path: &Path) -> Result<(), CliError> {
    let mut first = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(100).read_to_end(&mut first));
    let starts = |with: &[u8]| read.is_ok() && first.starts_with(with);
    let refused = |what: &str| {
        let path = printable(&path.display().to_string());
        CliError::usage(format!("`{path}` {what}")).meaning("Nothing was checked: this says nothing about the package.")
    };
    if starts(b"age-encryption.org/v1\n") || starts(b"-----BEGIN AGE ENCRYPTED FILE-----") {
        return Err(
            refused("is encrypted").next(format!("Decrypt it first, then name what that wrote: {}", shell::decrypt(path)))
        );
    }
    let beside = path.with_extension("");
    let is_hash = first.iter().take_while(|byte| byte.is_ascii_hexdigit()).count() == 64;
    if is_hash && path.extension().is_some_and(|extension| extension == "sha256") {
        return Err(
            refused("holds the SHA-256 of a package, and is none").next(format!("Name the package: {}", shell::path(&beside)))
        );
    }
    if let Some(package) = package_of_receipt(path) {
        let is_statement = path.extension().is_some_and(|extension| extension == "json");
        let statement = if is_statement { path.to_owned() } else { path.with_extension("") };
        let (package, receipt) = (shell::path(&package), shell::path(&statement));
        return Err(refused("is of a receipt for a package, and is none").next(format!(
            "Name the package; a receipt beside it is checked with it: caselock verify {package}. One that lies elsewhere: --receipt {receipt}"
        )));
    }
    // What is called a package and is a page was put in its place, or is what a portal sent instead.
    let is_zip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
    let text = String::from_utf8_lossy(&first).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    if !is_zip && (text.starts_with("<!doctype html") || text.starts_with("<html")) {
        return Err(refused("is a page for people, such as a report, and no package")
            .next("Open it in a browser; to verify, name the package or the case folder that it is about."));
    }
    Ok(())
}

/// The package that a file of a receipt is named after.
fn package_of_receipt(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let (package, rest) = name.rsplit_once(".receipt-")?;
    let number = [".json", ".json.sig", ".json.tsr"].iter().find_map(|ending| rest.strip_suffix(ending))?;
    let is_number = number.len() == 4 && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| path.with_file_name(package))
}

/// Whether this is a disclosure: a part of a case, shown with its proofs.
pub(in crate::cli) fn is_disclosure(files: &dyn CaseFiles) -> bool {
    files.open(DISCLOSURE).is_ok() && files.open(LEDGER).is_err()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files that are no packages")]
mod tests {
    use super::*;

    /// What is said of a file, with its exit code.
    fn refused(name: &str, content: &[u8]) -> Option<CliError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        refuse_what_is_no_package(&path).err()
    }

    #[test]
    fn what_lies_beside_a_package_is_told_by_its_name_and_is_no_damage() {
        let hash = format!("{}  p.zip\n", "0".repeat(64));
        for (name, content, said, next) in [
            ("p.zip.sha256", hash.as_str(), "holds the SHA-256", "p.zip"),
            ("p.zip.receipt-0001.json", "{}", "is of a receipt", "caselock verify "),
            ("p.zip.receipt-0012.json.sig", "-----BEGIN SSH SIGNATURE-----", "is of a receipt", "p.zip.receipt-0012.json"),
            ("p-report.html", "<!DOCTYPE html>\n<html>", "is a page", "browser"),
            ("p.zip.age", "age-encryption.org/v1\n", "is encrypted", "age --decrypt"),
        ] {
            let error = refused(name, content.as_bytes()).unwrap();
            let whole = (&error.what[0], error.next.as_deref().unwrap());
            assert!(error.exit == Exit::Usage && whole.0.contains(said) && whole.1.contains(next), "{name}: {whole:?}");
        }
    }

    #[test]
    fn a_package_that_is_damaged_or_was_exchanged_is_no_mistake_of_whoever_names_it() {
        for (name, content) in
            [("p.zip", "PK"), ("p.zip", ""), ("p.zip", "<!doctype html>"), ("p.zip.receipt-1.json", "x"), ("p", "x")]
        {
            assert!(refused(name, content.as_bytes()).is_none(), "{name}: {content}");
        }
    }
}
