//! The receipts of a package: those that lie beside it and those that were named, and what stands in the way of one more.

use std::path::{Path, PathBuf};

use crate::model::{Severity, printable};
use crate::package::{PackageError, package_head, package_places, read_receipt, read_receipts};
use crate::seal::{PackageHead, ReceiptFile};
use crate::verify::Report;

use super::super::output::Output;
use super::super::{CliError, Exit, shell};

/// The packages, or parts, that receipts are for, and the receipts.
pub(in crate::cli) type Receipts = (Vec<PackageHead>, Vec<ReceiptFile>);

/// The receipts of a package, those that are named and those that lie beside it; none are named of a case folder.
pub(in crate::cli) fn receipts_of(path: &Path, named: &[PathBuf], output: &Output) -> Result<Option<Receipts>, CliError> {
    if !path.is_file() {
        if named.is_empty() {
            return Ok(None);
        }
        return Err(CliError::usage("--receipt is for a package; a case folder has its transfers in the ledger")
            .meaning("Nothing was checked, and nothing was written.")
            .next("Leave --receipt out, or name the package."));
    }
    refuse_what_is_no_receipt(named)?;
    let receipts = read_receipts(path, named);
    if receipts.is_empty() {
        return Ok(None);
    }
    Ok(Some((hashed(path, output)?, receipts)))
}

/// What a package is as a whole, or each of its parts that are there: they are read through once for that.
pub(in crate::cli) fn hashed(package: &Path, output: &Output) -> Result<Vec<PackageHead>, CliError> {
    let (lines, _) = super::super::progress::line(output, "hashing");
    let heads = package_places(package).and_then(|places| places.iter().map(|place| package_head(place)).collect());
    lines.finish();
    heads.map_err(|error: PackageError| explain(&error))
}

/// What stood in the way of reading a package as a whole.
pub(super) fn explain(error: &PackageError) -> CliError {
    CliError::new(Exit::of_package(error), error)
        .meaning("Nothing was written, and nothing was found out about the package: not all of it was read.")
        .next("Mend the cause, then run the same command again.")
}

/// Refuses what was named as a receipt and is none: that says nothing about the package.
pub(super) fn refuse_what_is_no_receipt(named: &[PathBuf]) -> Result<(), CliError> {
    for path in named {
        let receipt = read_receipt(path);
        let shown = printable(&path.display().to_string());
        let refused = |what: String| {
            CliError::usage(what).meaning("Nothing was checked, and nothing was written: this says nothing about the package.")
        };
        // What stands in the way of its signature alone is found with the package.
        if let Some(problem) = receipt.unread.as_ref().filter(|_| receipt.statement.is_empty()) {
            return Err(refused(format!("cannot read the receipt `{shown}`: {problem}"))
                .next("Check the path, and whether you may read it."));
        }
        if !receipt.is_one() {
            let is_beside_one = path.extension().is_some_and(|extension| extension == "sig" || extension == "tsr");
            let next = if is_beside_one {
                let statement = shell::path(&path.with_extension(""));
                format!("Name the receipt; its signature and time-stamp are read from beside it: --receipt {statement}")
            } else {
                "Name the file that the receiver signed, PACKAGE.receipt-NNNN.json.".to_owned()
            };
            return Err(refused(format!("`{shown}` is not a receipt")).next(next));
        }
    }
    Ok(())
}

/// Refuses to sign for what follows a receipt that nobody can read, and warns where one is not here.
pub(super) fn check_receipts(receipts: &[ReceiptFile], report: &Report, output: &Output) -> Result<(), CliError> {
    if let Some((receipt, problem)) = receipts.iter().find_map(|receipt| Some((receipt, receipt.unread.as_ref()?))) {
        let name = printable(&receipt.name);
        return Err(CliError::failed(format!("the receipt {name} could not be read: {problem}"))
            .meaning("Nothing was recorded, and nothing was signed. The package itself is not concerned.")
            .next("Put it there as it was written, or let somebody sign who may read it: what is signed now holds the hash of the receipt before."));
    }
    for missing in report.findings.iter().filter(|finding| finding.kind == "receipt-missing") {
        output.note(&format!(
            "WARNING: not here: {}. Verification will say so (receipt-missing); name with --receipt what lies elsewhere.",
            missing.object
        ));
    }
    Ok(())
}

/// What is told where receipts do not hold, and the package does.
pub(super) fn refuse_receipts(report: &Report) -> Option<CliError> {
    let damage = &report.damage;
    let of_receipts =
        damage.iter().all(|finding| finding.severity == Severity::Failure && finding.kind.starts_with("receipt-"));
    (of_receipts && !damage.is_empty()).then(|| {
        let named = report.name_damage(3).join("; ");
        CliError { exit: Exit::Integrity, ..CliError::failed(format!("the receipts beside the package do not hold: {named}")) }
            .meaning("Nothing was recorded: whoever signs for it would sign for holders that do not follow from one another.")
            .next(
                "Ask whoever held it before for the receipts as they were written. If these are all there are, --despite-damage records it as it \
                 was received.",
            )
    })
}

/// Those that `verify` does not find beside the package, and is to be told of.
pub(super) fn not_beside<'a>(package: &Path, places: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
    };
    let beside = folder(package);
    places.filter(|place| folder(place) != beside).map(Path::to_owned).collect()
}
