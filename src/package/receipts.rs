//! Receipts beside a package: found by name, written without ever replacing a file.
#![expect(clippy::disallowed_methods, reason = "writes receipts, outside the case and never over an existing file")]

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;

use crate::case::{IoContext as _, PathError, name_without_replacing};
use crate::model::HashingReader;
use crate::seal::{PackageHead, ReceiptFile};

use super::parts::{PART, part_name, part_of};
use super::publish::{with_suffix, write_aside};
use super::{PackageError, PackageFiles};

/// Largest file of a receipt that is read.
const LIMIT: u64 = 1024 * 1024;

/// Where a package lies: in its file, or in those of its parts that lie beside one another, in order.
pub fn package_places(package: &Path) -> Result<Vec<PathBuf>, PackageError> {
    let name = package.file_name().unwrap_or_default().to_string_lossy();
    let Some((whole, _, of)) = part_of(&name) else { return Ok(vec![package.to_owned()]) };
    // A name makes no part.
    if PackageFiles::open(package)?.size_of(PART)?.is_none() {
        return Ok(vec![package.to_owned()]);
    }
    let count = usize::try_from(of).unwrap_or(usize::MAX);
    let place = |number| part_name(&package.with_file_name(&whole), number, count);
    Ok((1..=of).map(place).filter(|place| place.is_file()).collect())
}

/// The name that receipts begin with: that of the package, whichever of its parts is named.
fn receipts_of(package: &Path) -> PathBuf {
    let part = package.file_name().and_then(|name| part_of(&name.to_string_lossy()));
    part.map_or_else(|| package.to_owned(), |(whole, _, _)| package.with_file_name(whole))
}

/// Size and SHA-256 of a package.
pub fn package_head(package: &Path) -> Result<PackageHead, PackageError> {
    let file = File::open(package).doing("open", package)?;
    let (sha256, size) = HashingReader::new(file).finish().doing("read", package)?;
    Ok(PackageHead { file: package.file_name().unwrap_or_default().to_string_lossy().into_owned(), size, sha256 })
}

/// Reads the receipts that lie beside a package, `PACKAGE.receipt-0001.json` and so on, and those in `others`, by their names' order.
///
/// All parts of a package have the same receipts, which are named after the whole.
pub fn read_receipts(package: &Path, others: &[PathBuf]) -> Result<Vec<ReceiptFile>, PackageError> {
    let mut paths = receipt_places(package)?;
    // A receipt given with --receipt that also lies beside the package counts once.
    let is_there = |path: &PathBuf| paths.iter().any(|there| there.canonicalize().ok() == path.canonicalize().ok());
    let more: Vec<PathBuf> = others.iter().filter(|path| !is_there(path)).cloned().collect();
    paths.extend(more);
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    paths.iter().map(|path| read_receipt(path)).collect()
}

/// The receipts of a package that lie where it does, or would lie: of its folder only the name counts, and of the package too.
pub fn receipt_places(package: &Path) -> Result<Vec<PathBuf>, PackageError> {
    let package = &*receipts_of(package);
    let mut paths = Vec::new();
    let folder = package.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = format!("{}.receipt-", package.file_name().unwrap_or_default().to_string_lossy());
    for entry in fs::read_dir(folder).doing("list", folder)? {
        let name = entry.doing("list", folder)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".json"));
        if number.is_some_and(|number| number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit())) {
            paths.push(folder.join(name));
        }
    }
    Ok(paths)
}

fn read_receipt(path: &Path) -> Result<ReceiptFile, PackageError> {
    let part = |extension: &str| match read(&with_suffix(path, extension)) {
        Err(PackageError::Io(error)) if error.is_not_found() => Ok(None),
        other => other.map(Some),
    };
    Ok(ReceiptFile {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        statement: read(path)?,
        signature: part(".sig")?,
        timestamp: part(".tsr")?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::new();
    File::open(path).doing("open", path)?.take(LIMIT + 1).read_to_end(&mut bytes).doing("read", path)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LIMIT {
        let problem = "it is larger than a receipt can be".to_owned();
        return Err(PackageError::Malformed { path: path.to_owned(), offset: LIMIT, problem });
    }
    Ok(bytes)
}

/// Writes a receipt beside its package, the signature first, so that no statement is ever there without one. Gives its path.
pub fn write_receipt(package: &Path, number: u32, receipt: &ReceiptFile) -> Result<PathBuf, PackageError> {
    let path = with_suffix(&receipts_of(package), &format!(".receipt-{number:04}.json"));
    if path.symlink_metadata().is_ok() {
        return Err(PackageError::Exists { path });
    }
    if let Some(signature) = &receipt.signature {
        write(&with_suffix(&path, ".sig"), signature)?;
    }
    if let Some(timestamp) = &receipt.timestamp {
        write(&with_suffix(&path, ".tsr"), timestamp)?;
    }
    write(&path, &receipt.statement)?;
    Ok(path)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let part = write_aside(path, bytes)?;
    match name_without_replacing(CWD, &part, CWD, path) {
        // A signature without a statement is what an attempt left that was cut off: nobody can have relied on it.
        Err(rustix::io::Errno::EXIST) if path.extension().is_some_and(|extension| extension != "json") => {
            fs::rename(&part, path).doing("name", path)?;
        }
        other => other.doing("name", path)?,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).doing("flush", folder)
}
