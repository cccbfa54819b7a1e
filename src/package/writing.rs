//! Writing a package: the members in the order of their names, hashed on the way and compared with what the seal covers.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use crate::case::merkle::MerkleTree;
use crate::case::{CaseFiles, CaseFolder, Found, IoContext as _, LEDGER, read_bounded, read_identity};
use crate::model::Sha256Hash;
use crate::seal::manifest::{Lists, ManifestReader};
use crate::seal::{
    MANIFEST, NOT_THERE, SealFile, SealNumbers, SealStatement, SignatureProblem, TAG_MANIFEST, checkpoint_path,
    verify_signature,
};

use super::archive::{Archive, Written};
use super::loading::Loading;
use super::publish::{Delivery, EncryptedPackage, Part, publish};
use super::{PackageError, Progress};

/// Largest tag manifest that is read.
const TAG_MANIFEST_LIMIT: u64 = 1024 * 1024;
/// Longest name of the top folder.
const TOP_LIMIT: usize = 40;
/// Read at once.
pub(super) const BUFFER: usize = 256 * 1024;

/// A package that was just written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSummary {
    /// The file; where it was encrypted, the name that it does not have.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256, which also stands in the `.sha256` file beside it.
    pub sha256: Sha256Hash,
    /// How many files it holds.
    pub files: u64,
    /// The seal it carries: the statement's file, from the case folder.
    pub seal: String,
    /// What lies there in its place, where it was encrypted.
    pub encrypted: Option<EncryptedPackage>,
}

/// Writes the package of a sealed case to `out`: exactly what the latest complete seal covers, and the seals up to it.
///
/// The same sealed case gives the same bytes, wherever its folder lies and however often it was packaged. Every file is hashed on
/// the way; one that is not what the seal covers stops the writing, and nothing is left at `out`. A package that lies at `out` already is
/// left as it is: fine if it is this one, so that an attempt that was cut off is simply made again, and an error if it is not.
pub fn write_package(case: &CaseFolder, out: &Path) -> Result<PackageSummary, PackageError> {
    write_package_with(case, out, &Delivery::plain(&Progress::default()))
}

/// Writes a package as [`write_package`] does, plain or encrypted, and tells how far it has come.
pub fn write_package_with(case: &CaseFolder, out: &Path, delivery: &Delivery<'_>) -> Result<PackageSummary, PackageError> {
    let progress = delivery.progress();
    let sealed = Contents::of(case)?;
    for (files, bytes) in [sealed.totals_of_payload(), sealed.totals_of_tags(case)] {
        progress.expect(files, bytes);
    }
    let published = publish(out, delivery, |part| write_members(case, &sealed, part, progress))?;
    Ok(published.summary(out.to_owned(), sealed.seal_path))
}

/// The name of a package's top folder: the case number with everything but letters, digits, `.`, `_` and `-` as `-`.
///
/// The case number and not the name of the case folder, so that a copy of the folder under another name gives the same package.
#[must_use]
pub fn top_folder(case_number: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = case_number.trim().chars().map(safe).take(TOP_LIMIT).collect();
    let name = name.trim_matches(['.', '-']);
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || (stem.len() == 4 && (stem.starts_with("COM") || stem.starts_with("LPT")));
    match name {
        "" => "case".to_owned(),
        name if device => format!("case-{name}"),
        name => name.to_owned(),
    }
}

/// What a package holds besides the payload.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) top: String,
    statement: SealStatement,
    pub(super) seal_path: String,
    /// Everything but the payload, in the order of the paths' bytes.
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug)]
pub(super) struct Tag {
    pub(super) path: String,
    /// What the seal says of it, where the seal covers it by a hash.
    pub(super) sha256: Option<Sha256Hash>,
    /// Only so many bytes of it: the ledger goes on after the seal.
    pub(super) bytes: Option<u64>,
}

impl Contents {
    pub(super) fn of(case: &CaseFolder) -> Result<Self, PackageError> {
        let changed =
            |path: &str, problem: &str| PackageError::NotAsSealed { path: case.describe(path), problem: problem.to_owned() };
        let (seals, statement, seal_path) = covering_seals(case)?;
        let identity = read_identity(case)?;
        if identity.case_number != statement.case_number {
            return Err(changed(crate::case::CASE_TOML, "its case number is not the one that was sealed"));
        }
        let tag_manifest = read_bounded(case, TAG_MANIFEST, TAG_MANIFEST_LIMIT)?;
        let hash = Sha256Hash::of(&tag_manifest);
        if hash != statement.tagmanifest_sha256 {
            return Err(changed(TAG_MANIFEST, "its SHA-256 is another"));
        }
        let mut tags = vec![Tag { path: TAG_MANIFEST.to_owned(), sha256: Some(hash), bytes: None }];
        let mut lines = ManifestReader::new(tag_manifest.as_slice(), Lists::Tags);
        while let Some(line) = lines.next_line().map_err(|error| changed(TAG_MANIFEST, &error.to_string()))? {
            tags.push(Tag { path: line.path, sha256: Some(line.sha256), bytes: None });
        }
        if !tags.iter().any(|tag| tag.path == MANIFEST && tag.sha256 == Some(statement.manifest_sha256)) {
            return Err(changed(TAG_MANIFEST, "it does not list the payload manifest that was sealed"));
        }
        let bytes = sealed_ledger_bytes(case, &statement)?;
        tags.push(Tag { path: LEDGER.to_owned(), sha256: None, bytes: Some(bytes) });
        let later = |number: u32| {
            let later = seals.iter().filter(move |seal| seal.number > number && seal.is_complete());
            later.filter_map(|seal| SealStatement::parse(seal.statement.as_deref()?).ok())
        };
        for seal in &seals {
            let parts = [("", &seal.statement), (".sig", &seal.signature)];
            for (extension, bytes) in parts {
                if let Some(bytes) = bytes {
                    let path = format!("{}{extension}", seal.path);
                    tags.push(Tag { path, sha256: Some(Sha256Hash::of(bytes)), bytes: None });
                }
            }
            // Those who sealed with an earlier caselock made no checkpoint.
            let said = seal.statement.as_deref().and_then(|statement| SealStatement::parse(statement).ok());
            if let Some(sha256) = said.and_then(|statement| statement.checkpoint_sha256) {
                let path = checkpoint_path(seal.number);
                let signature = format!("{path}.sig");
                // What a later seal says was lost is not waited for.
                let is_lost =
                    case.describe(&signature).symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
                if !is_lost || !later(seal.number).any(|said| said.admits(NOT_THERE, &signature)) {
                    tags.push(Tag { path: signature, sha256: None, bytes: None });
                }
                tags.push(Tag { path, sha256: Some(sha256), bytes: None });
            }
            if let Some(bytes) = &seal.timestamp {
                let path = seal.path.replace(".json", ".json.tsr");
                tags.push(Tag { path, sha256: Some(Sha256Hash::of(bytes)), bytes: None });
            }
            for (at, bytes) in seal.renewals.iter().enumerate() {
                tags.push(Tag { path: seal.renewal_path(at), sha256: Some(Sha256Hash::of(bytes)), bytes: None });
            }
        }
        tags.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { top: top_folder(&statement.case_number), statement, seal_path, tags })
    }

    /// Files and bytes of what is not payload.
    pub(super) fn totals_of_tags(&self, case: &CaseFolder) -> (u64, u64) {
        let size = |tag: &Tag| tag.bytes.or_else(|| Some(case.describe(&tag.path).symlink_metadata().ok()?.len())).unwrap_or(0);
        self.tags.iter().fold((0, 0), |(files, bytes), tag| (files + 1, bytes + size(tag)))
    }

    /// Files and bytes of the payload, as they were sealed.
    pub(super) fn totals_of_payload(&self) -> (u64, u64) {
        (self.statement.artifacts.count, self.statement.artifacts.bytes)
    }
}

/// The seals up to the latest complete one, and what that one says.
pub(super) fn covering_seals(case: &CaseFolder) -> Result<(Vec<SealFile>, SealStatement, String), PackageError> {
    let mut numbers = SealNumbers::default();
    if case.describe(crate::seal::SEALS).is_dir() {
        case.walk_below(crate::seal::SEALS, &mut |found| {
            if let Found::File { path } = found {
                numbers.observe(path);
            }
        })?;
    }
    let mut seals = numbers.read(case)?;
    while seals.last().is_some_and(|seal| !seal.is_complete()) {
        seals.pop();
    }
    let Some((statement, signature, path)) =
        seals.last().and_then(|seal| Some((seal.statement.as_deref()?, seal.signature.as_deref()?, seal.path.clone())))
    else {
        return Err(PackageError::Unsealed { path: case.root().to_owned() });
    };
    let broken = |problem: String| PackageError::NotAsSealed { path: case.describe(&path), problem };
    let parsed = SealStatement::parse(statement).map_err(|error| broken(error.to_string()))?;
    match verify_signature(statement, signature) {
        Ok(signer) if signer.public_key != parsed.signer.public_key => {
            return Err(broken(format!("it is signed with the key {}, not with the one it names", signer.fingerprint)));
        }
        Ok(_) | Err(SignatureProblem::NotChecked { .. }) => {}
        Err(problem) => return Err(broken(format!("as to its signature, {problem}"))),
    }
    Ok((seals, parsed, path))
}

/// How many bytes the sealed lines of the ledger have, which must be the ones that were sealed.
fn sealed_ledger_bytes(case: &CaseFolder, statement: &SealStatement) -> Result<u64, PackageError> {
    let place = case.describe(LEDGER);
    let changed = |problem: &str| PackageError::NotAsSealed { path: place.clone(), problem: problem.to_owned() };
    let mut reader = BufReader::with_capacity(BUFFER, case.open(LEDGER)?);
    let mut tree = MerkleTree::default();
    let mut line = Vec::new();
    let mut bytes = 0;
    for _ in 0..statement.ledger.lines {
        line.clear();
        let read = (&mut reader).take(4 * 1024 * 1024).read_until(b'\n', &mut line).doing("read", &place)?;
        let Some(content) = line.strip_suffix(b"\n") else { return Err(changed("it is shorter than it was")) };
        tree.push(content);
        bytes += u64::try_from(read).unwrap_or(0);
    }
    if tree.root() == statement.ledger.root { Ok(bytes) } else { Err(changed("its sealed lines were changed")) }
}

fn write_members(case: &CaseFolder, sealed: &Contents, part: &Part, progress: &Progress) -> Result<Written, PackageError> {
    let mut members = Members::begin(case, part, &sealed.top, progress)?;
    let (before, after): (Vec<&Tag>, Vec<&Tag>) = sealed.tags.iter().partition(|tag| tag.path.as_str() < "data/");
    for tag in before {
        members.add(&tag.path, tag.sha256, tag.bytes)?;
    }
    let place = case.describe(MANIFEST);
    let changed = |problem: String| PackageError::NotAsSealed { path: place.clone(), problem };
    let mut manifest = ManifestReader::new(BufReader::with_capacity(BUFFER, case.open(MANIFEST)?), Lists::Payload);
    let mut listed = 0;
    while let Some(line) = manifest.next_line().map_err(|error| changed(error.to_string()))? {
        members.add(&line.path, Some(line.sha256), None)?;
        listed += 1;
    }
    if listed != sealed.statement.artifacts.count {
        return Err(changed(format!("it lists {listed} files where {} were sealed", sealed.statement.artifacts.count)));
    }
    for tag in after {
        members.add(&tag.path, tag.sha256, tag.bytes)?;
    }
    let (written, found) = std::thread::scope(|scope| {
        let counted = scope.spawn(|| count_payload(case));
        (members.finish(), counted.join().unwrap_or(Err(PackageError::Unfinished)))
    });
    let written = written?;
    if found? != listed {
        refuse_unlisted(case)?;
    }
    Ok(written)
}

/// How many files the payload has.
fn count_payload(case: &CaseFolder) -> Result<u64, PackageError> {
    let mut found = 0;
    case.walk_below("data", &mut |_| found += 1)?;
    Ok(found)
}

/// Refuses a payload with more files than the manifest lists, every one of which was just read.
fn refuse_unlisted(case: &CaseFolder) -> Result<(), PackageError> {
    let mut manifest = ManifestReader::new(BufReader::new(case.open(MANIFEST)?), Lists::Payload);
    let mut next = manifest.next_line().ok().flatten();
    let mut unlisted = None;
    case.walk_below("data", &mut |found| {
        let (Found::File { path } | Found::Foreign { path, .. }) = found;
        if unlisted.is_none() {
            if next.as_ref().is_some_and(|line| line.path == path) {
                next = manifest.next_line().ok().flatten();
            } else {
                unlisted = Some(path.to_owned());
            }
        }
    })?;
    let path = case.describe(&unlisted.unwrap_or_else(|| "data".to_owned()));
    Err(PackageError::NotAsSealed { path, problem: "it is not in the manifest".to_owned() })
}

/// The zip on its way to disk.
pub(super) struct Members<'a> {
    loading: Loading,
    top: &'a str,
}

impl<'a> Members<'a> {
    /// Begins the zip of files of `case` under the folder `top`.
    pub(super) fn begin(case: &CaseFolder, part: &Part, top: &'a str, progress: &Progress) -> Result<Self, PackageError> {
        let archive = Archive::begin(part.file()?, part.path(), progress.clone())?;
        Ok(Self { loading: Loading::begin(case, archive), top })
    }

    /// Begins a member that is written piece by piece.
    pub(super) fn begin_member(&mut self, path: &str) -> Result<(), PackageError> {
        self.loading.begin_member(format!("{}/{path}", self.top))
    }

    /// Writes the next piece of the member.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), PackageError> {
        self.loading.write(bytes)
    }

    /// Adds a member that is not a file of the case.
    pub(super) fn add_bytes(&mut self, path: &str, bytes: &[u8]) -> Result<(), PackageError> {
        self.begin_member(path)?;
        self.write(bytes)
    }

    /// Ends the zip. An error may be about any member before.
    pub(super) fn finish(self) -> Result<Written, PackageError> {
        self.loading.finish()
    }

    /// Adds a file of the case, or its first `bytes`, and compares its hash.
    pub(super) fn add(&mut self, path: &str, sha256: Option<Sha256Hash>, bytes: Option<u64>) -> Result<(), PackageError> {
        self.add_as(path, path, sha256, bytes)
    }

    /// The same, under another path.
    pub(super) fn add_as(
        &mut self,
        name: &str,
        path: &str,
        sha256: Option<Sha256Hash>,
        bytes: Option<u64>,
    ) -> Result<(), PackageError> {
        self.loading.add(format!("{}/{name}", self.top), path, sha256, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_folder_is_a_safe_name_whatever_the_case_number_is() {
        for (number, expected) in [
            ("IR-2026-014", "IR-2026-014"),
            ("Müller ./. AG", "M-ller-.-.-AG"),
            ("../../etc", "etc"),
            ("con", "case-con"),
            ("Lpt1.x", "case-Lpt1.x"),
            ("...", "case"),
            ("", "case"),
        ] {
            assert_eq!(top_folder(number), expected);
        }
        assert_eq!(top_folder(&"x".repeat(100)).len(), 40);
    }
}
