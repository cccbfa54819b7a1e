use std::io::Read as _;
use std::path::Path;

use crate::case::{CaseFiles, CaseFolder, LEDGER};
use crate::model::printable;
use crate::package::{JoinedParts, PackageError, PackageFiles};
use crate::seal::DISCLOSURE;

use super::super::{CliError, Exit};

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
fn refuse_what_is_no_package(path: &Path) -> Result<(), CliError> {
    let mut first = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(100).read_to_end(&mut first));
    let starts = |with: &[u8]| read.is_ok() && first.starts_with(with);
    let refused = |what: &str| {
        let path = printable(&path.display().to_string());
        CliError::usage(format!("`{path}` {what}")).meaning("Nothing was checked: this says nothing about the package.")
    };
    if starts(b"age-encryption.org/v1\n") || starts(b"-----BEGIN AGE ENCRYPTED FILE-----") {
        return Err(refused("is encrypted").next(format!(
            "Decrypt it first, then name what that wrote: age --decrypt -i KEY -o FILE.zip {}",
            printable(&path.display().to_string())
        )));
    }
    let beside = path.with_extension("");
    let is_hash = first.iter().take_while(|byte| byte.is_ascii_hexdigit()).count() == 64;
    if is_hash && path.extension().is_some_and(|extension| extension == "sha256") {
        return Err(refused("holds the SHA-256 of a package, and is none")
            .next(format!("Name the package: {}", printable(&beside.display().to_string()))));
    }
    Ok(())
}

/// Whether this is a disclosure: a part of a case, shown with its proofs.
pub(in crate::cli) fn is_disclosure(files: &dyn CaseFiles) -> bool {
    files.open(DISCLOSURE).is_ok() && files.open(LEDGER).is_err()
}
