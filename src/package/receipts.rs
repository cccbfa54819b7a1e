//! Receipts beside a package: found by name, written without ever replacing a file.
#![expect(clippy::disallowed_methods, reason = "writes receipts, outside the case and never over an existing file")]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::case::{IoContext as _, PathError, name_without_replacing};
use crate::model::HashingReader;
use crate::seal::{PackageHead, RECEIPT_LIMIT, ReceiptFile};

use super::parts::{PART, part_name, part_of};
use super::publish::{with_suffix, write_aside};
use super::{PackageError, PackageFiles};

/// Without `NONBLOCK`, a pipe that somebody put there would be waited for forever.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

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
/// All parts of a package have the same receipts, which are named after the whole. Copies count once. What cannot be read is told by what is
/// given for it: it says nothing about the package.
#[must_use]
pub fn read_receipts(package: &Path, others: &[PathBuf]) -> Vec<ReceiptFile> {
    let (mut paths, unlisted) = match receipt_places(package) {
        Ok(paths) => (paths, None),
        Err(problem) => (Vec::new(), Some(unlisted(package, &problem))),
    };
    // A receipt given with --receipt that also lies beside the package counts once.
    let mut places: HashSet<PathBuf> = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let is_new = |path: &&PathBuf| path.canonicalize().map_or(true, |place| places.insert(place));
    let more: Vec<PathBuf> = others.iter().filter(is_new).cloned().collect();
    paths.extend(more);
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let mut receipts: Vec<ReceiptFile> = Vec::new();
    for receipt in paths.iter().map(|path| read_receipt(path)) {
        match receipts.iter_mut().find(|known| known.is_copy_of(&receipt)) {
            Some(known) => add_copy(known, receipt),
            None => receipts.push(receipt),
        }
    }
    receipts.extend(unlisted);
    receipts
}

/// Takes from a copy what the one before has not.
fn add_copy(known: &mut ReceiptFile, copy: ReceiptFile) {
    let has_more = |known: &Option<Vec<u8>>, copy: &Option<Vec<u8>>| known.is_none() && copy.is_some();
    if has_more(&known.signature, &copy.signature) || has_more(&known.timestamp, &copy.timestamp) {
        let (signature, timestamp) = (known.signature.take(), known.timestamp.take());
        *known = copy;
        known.signature = known.signature.take().or(signature);
        known.timestamp = known.timestamp.take().or(timestamp);
    }
}

/// What stands for the receipts of a package in a folder that cannot be looked into.
fn unlisted(package: &Path, problem: &PackageError) -> ReceiptFile {
    let path = with_suffix(&receipts_of(package), ".receipt-*.json");
    let source = std::error::Error::source(problem).map(|source| format!(": {source}")).unwrap_or_default();
    ReceiptFile { unread: Some(format!("what lies beside the package cannot be listed{source}")), ..named(&path) }
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

/// A receipt of which nothing is known but where it lies.
fn named(path: &Path) -> ReceiptFile {
    ReceiptFile {
        name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        path: path.to_owned(),
        unread: None,
        statement: Vec::new(),
        signature: None,
        timestamp: None,
    }
}

/// Reads the receipt in the file `path`, with the signature and the time-stamp that lie beside it.
#[must_use]
pub fn read_receipt(path: &Path) -> ReceiptFile {
    let mut receipt = named(path);
    match read(path) {
        Ok(statement) => receipt.statement = statement,
        Err(problem) => {
            receipt.unread = Some(problem.to_string());
            return receipt;
        }
    }
    for (extension, part) in [(".sig", &mut receipt.signature), (".tsr", &mut receipt.timestamp)] {
        match read(&with_suffix(path, extension)) {
            Ok(bytes) => *part = Some(bytes),
            Err(problem) if problem.kind() == ErrorKind::NotFound => {}
            Err(problem) => receipt.unread = Some(format!("{}{extension}: {problem}", receipt.name)),
        }
    }
    receipt
}

/// Reads a file of a receipt; of one that is too large for that, as much as shows that it is.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::from(rustix::fs::open(path, FILE, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(u64::try_from(RECEIPT_LIMIT).unwrap_or(u64::MAX).saturating_add(1)).read_to_end(&mut bytes)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_a_pipe_and_a_loop_in_the_place_of_a_receipt_are_unread_and_wait_for_nobody() {
        let folder = folder_with(&[("p.zip", b"")]);
        let place = |number: u32| folder.path().join(format!("p.zip.receipt-{number:04}.json"));
        fs::create_dir(place(1)).unwrap();
        rustix::fs::mknodat(CWD, place(2), rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink(place(3), place(3)).unwrap();
        fs::write(place(4), b"{}").unwrap();
        fs::create_dir(with_suffix(&place(4), ".sig")).unwrap();
        let receipts = read_receipts(&folder.path().join("p.zip"), &[]);
        assert!(receipts.len() == 4 && receipts.iter().all(|receipt| receipt.unread.is_some()), "{receipts:?}");
        assert_eq!(receipts[3].statement, b"{}");
        assert!(receipts[3].unread.as_ref().unwrap().starts_with("p.zip.receipt-0004.json.sig: "), "{receipts:?}");
    }

    #[test]
    fn copies_count_once_with_the_signature_that_one_of_them_has() {
        let (beside, elsewhere) = ("p.zip.receipt-0001.json", "dup/p.zip.receipt-0001.json");
        let signed = "dup/p.zip.receipt-0001.json.sig";
        let of = |files: &[(&str, &[u8])]| {
            let folder = folder_with(files);
            read_receipts(&folder.path().join("p.zip"), &[folder.path().join(elsewhere)])
        };
        let one = of(&[(beside, b"{}"), (elsewhere, b"{}"), (signed, b"s")]);
        assert!(one.len() == 1 && one[0].path.ends_with(elsewhere), "{one:?}");
        assert_eq!(one[0].signature.as_deref(), Some(&b"s"[..]));
        let two = of(&[(beside, b"{}"), (elsewhere, b"{} ")]);
        assert_eq!(two.len(), 2, "{two:?}");
        let two = of(&[(beside, b"{}"), (elsewhere, b"{}"), (signed, b"s"), ("p.zip.receipt-0001.json.sig", b"t")]);
        assert_eq!(two.len(), 2, "{two:?}");
    }
}
