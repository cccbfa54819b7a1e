//! Disclosure: chosen artifacts, their lines of the ledger, the proofs that these were sealed, and nothing about the rest.
//!
//! What is left out on purpose: the manifests, `case.toml` and the seal itself, which count and hash what is not disclosed. In the seal's
//! place stands its checkpoint. A line holds the hash of the line before it, and a proof those of its neighbours; every line of a ledger
//! has a random salt, so neither can be guessed.

use std::io::BufReader;
use std::path::Path;

use crate::case::event::{Artifact, Event, Origin};
use crate::case::ledger::{canonical, read_ledger};
use crate::case::merkle::MerkleProver;
use crate::case::{CaseError, CaseFiles as _, CaseFolder, IoContext as _, LEDGER, read_bounded};
use crate::model::{S3Location, Sha256Hash, Sha256Hasher, printable};
use crate::seal::bag::tag_manifest;
use crate::seal::{
    ArtifactTotals, Checkpoint, DISCLOSURE, DisclosedLine, MANIFEST, SealStatement, SignatureProblem, TAG_MANIFEST,
    checkpoint_path, disclosed_texts, manifest, verify_signature,
};

use super::publish::{Delivery, publish};
use super::writing::{BUFFER, Members, covering_seals};
use super::{Glob, PackageError, PackageSummary, Progress, top_folder};

/// Largest checkpoint or signature that is read.
const CHECKPOINT_LIMIT: u64 = 1024 * 1024;

/// Writes a disclosure of a sealed case to `out`: the artifacts that one of `include` stands for, and what proves them.
///
/// Every pattern must stand for something. The same choice from the same sealed case gives the same bytes.
pub fn write_disclosure(case: &CaseFolder, include: &[Glob], out: &Path) -> Result<PackageSummary, PackageError> {
    write_disclosure_with(case, include, out, &Delivery::plain(&Progress::default()))
}

/// Writes a disclosure as [`write_disclosure`] does, plain or encrypted, and tells how far it has come.
pub fn write_disclosure_with(
    case: &CaseFolder,
    include: &[Glob],
    out: &Path,
    delivery: &Delivery<'_>,
) -> Result<PackageSummary, PackageError> {
    let progress = delivery.progress();
    let (_, statement, seal) = covering_seals(case)?;
    let disclosure = Disclosure::of(case, &statement, include)?;
    let published = publish(out, delivery, |part| {
        let mut members = Members::begin(case, part, &disclosure.top, progress)?;
        disclosure.write(&mut members, include, progress)?;
        members.finish()
    })?;
    Ok(published.summary(out.to_owned(), seal))
}

/// A file under `data/` that is disclosed.
#[derive(Debug)]
struct Disclosed {
    path: String,
    sha256: Sha256Hash,
    size: u64,
}

/// What a disclosure will hold.
#[derive(Debug)]
struct Disclosure<'a> {
    case: &'a CaseFolder,
    top: String,
    prover: MerkleProver,
    checkpoint: Checkpoint,
    checkpoint_bytes: Vec<u8>,
    signature: Vec<u8>,
    /// Sorted by path.
    artifacts: Vec<Disclosed>,
    /// Size and SHA-256 of `custody/disclosure.jsonl`, which may be too large for memory.
    lines: (u64, Sha256Hash),
}

/// What is shown each line, and the artifact that it is about.
type VisitLine<'a> = &'a mut dyn FnMut(&[u8], &Artifact) -> Result<(), PackageError>;

impl<'a> Disclosure<'a> {
    fn of(case: &'a CaseFolder, statement: &SealStatement, include: &[Glob]) -> Result<Self, PackageError> {
        let (checkpoint, checkpoint_bytes, signature) = checkpoint_of(case, statement)?;
        let place = case.describe(LEDGER);
        let reader = BufReader::with_capacity(BUFFER, case.open(LEDGER)?);
        let prover = MerkleProver::read(reader, checkpoint.ledger.lines).doing("read", &place)?;
        if prover.root(checkpoint.ledger.lines) != Some(checkpoint.ledger.root) {
            return Err(PackageError::NotAsSealed { path: place, problem: "its sealed lines were changed".to_owned() });
        }
        let top = disclosure_folder(&checkpoint);
        let lines = (0, Sha256Hash::ZERO);
        let mut disclosure = Self { case, top, prover, checkpoint, checkpoint_bytes, signature, artifacts: Vec::new(), lines };
        let (mut size, mut hasher, mut artifacts) = (0, Sha256Hasher::default(), Vec::new());
        let mut unmet: Vec<&Glob> = include.iter().collect();
        disclosure.each_line(include, &mut |line, artifact| {
            size += u64::try_from(line.len()).unwrap_or(0);
            hasher.update(line);
            unmet.retain(|glob| !is_meant(glob, artifact));
            artifacts.push(Disclosed { path: artifact.path.to_string(), sha256: artifact.sha256, size: artifact.size });
            Ok(())
        })?;
        if let Some(glob) = unmet.first() {
            return Err(PackageError::NothingIncluded { pattern: printable(glob.as_str()) });
        }
        artifacts.sort_by(|a, b| a.path.cmp(&b.path));
        artifacts.dedup_by(|a, b| a.path == b.path);
        disclosure.artifacts = artifacts;
        disclosure.lines = (size, hasher.finish());
        Ok(disclosure)
    }

    /// Shows every disclosed line as it will stand in the disclosure, its newline included, and the artifact that it is about.
    fn each_line(&self, include: &[Glob], visit: VisitLine<'_>) -> Result<(), PackageError> {
        let size = self.checkpoint.ledger.lines;
        let place = self.case.describe(LEDGER);
        let mut problem = None;
        let reader = BufReader::with_capacity(BUFFER, self.case.open(LEDGER)?);
        read_ledger(reader, &place, &mut |line| {
            let index = line.tree.size().saturating_sub(1);
            if let Event::ArtifactAcquired(artifact) = &line.entry.event
                && problem.is_none()
                && index < size
                && include.iter().any(|glob| is_meant(glob, artifact))
            {
                problem = self.line(index, line.bytes).and_then(|line| visit(&line, artifact)).err();
            }
        })?;
        problem.map_or(Ok(()), Err)
    }

    fn line(&self, index: u64, bytes: &[u8]) -> Result<Vec<u8>, PackageError> {
        let proof = self.prover.inclusion(index, self.checkpoint.ledger.lines);
        let text = std::str::from_utf8(bytes).ok().zip(proof);
        let encoded = text.and_then(|(text, proof)| canonical(&DisclosedLine { index, line: text.to_owned(), proof }).ok());
        let Some(mut encoded) = encoded else {
            let problem = format!("its line {} cannot be proven", index + 1);
            return Err(CaseError::Malformed { path: self.case.describe(LEDGER), problem }.into());
        };
        encoded.push(b'\n');
        Ok(encoded)
    }

    fn write(&self, members: &mut Members<'_>, include: &[Glob], progress: &Progress) -> Result<(), PackageError> {
        let checkpoint_file = checkpoint_path(self.checkpoint.number);
        let manifest: String = self.artifacts.iter().map(|file| manifest::line(&file.sha256, &file.path)).collect();
        let count = u64::try_from(self.artifacts.len()).unwrap_or(u64::MAX);
        let bytes = self.artifacts.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size));
        let mut texts = vec![
            (checkpoint_file.clone(), self.checkpoint_bytes.clone()),
            (format!("{checkpoint_file}.sig"), self.signature.clone()),
            (MANIFEST.to_owned(), manifest.into_bytes()),
        ];
        let derived = disclosed_texts(&self.checkpoint, ArtifactTotals { count, bytes });
        texts.extend(derived.map(|(path, text)| (path.to_owned(), text.into_bytes())));
        let mut hashes: Vec<(&str, Sha256Hash)> =
            texts.iter().map(|(path, bytes)| (path.as_str(), Sha256Hash::of(bytes))).collect();
        hashes.push((DISCLOSURE, self.lines.1));
        hashes.sort_by_key(|(path, _)| *path);
        texts.push((TAG_MANIFEST.to_owned(), tag_manifest(&hashes).into_bytes()));
        texts.sort();
        progress.expect_texts(texts.iter().map(|(_, bytes)| bytes.as_slice()));
        progress.expect(count.saturating_add(1), bytes.saturating_add(self.lines.0));
        let mut texts = texts.into_iter().peekable();
        while let Some((path, bytes)) = texts.next_if(|(path, _)| path.as_str() < DISCLOSURE) {
            members.add_bytes(&path, &bytes)?;
        }
        members.begin_member(DISCLOSURE)?;
        self.each_line(include, &mut |line, _| members.write(line))?;
        for file in &self.artifacts {
            members.add(&file.path, Some(file.sha256), None)?;
        }
        for (path, bytes) in texts {
            members.add_bytes(&path, &bytes)?;
        }
        Ok(())
    }
}

/// The name of a disclosure's top folder.
pub(super) fn disclosure_folder(checkpoint: &Checkpoint) -> String {
    format!("{}-disclosure", top_folder(&checkpoint.case_number))
}

/// The checkpoint of a seal, which must say what the seal says, and its signature.
fn checkpoint_of(case: &CaseFolder, statement: &SealStatement) -> Result<(Checkpoint, Vec<u8>, Vec<u8>), PackageError> {
    let path = checkpoint_path(statement.number);
    let read = |path: &str| match read_bounded(case, path, CHECKPOINT_LIMIT) {
        Err(error) if error.is_not_found() => Err(PackageError::NoCheckpoint { seal: statement.number }),
        other => Ok(other?),
    };
    let (bytes, signature) = (read(&path)?, read(&format!("{path}.sig"))?);
    let not_as_sealed = |problem: &str| PackageError::NotAsSealed { path: case.describe(&path), problem: problem.to_owned() };
    let checkpoint = Checkpoint::parse(&bytes).ok().filter(|checkpoint| *checkpoint == Checkpoint::of(statement));
    let checkpoint = checkpoint.ok_or_else(|| not_as_sealed("it does not say what the seal says"))?;
    match verify_signature(&bytes, &signature) {
        Ok(signer) if signer.public_key == statement.signer.public_key => {}
        Err(SignatureProblem::NotChecked { .. }) => {}
        _ => return Err(not_as_sealed("its signature does not hold")),
    }
    Ok((checkpoint, bytes, signature))
}

fn is_meant(glob: &Glob, artifact: &Artifact) -> bool {
    match &artifact.source {
        Origin::S3Object(object) if glob.as_str().starts_with("s3://") => {
            glob.matches(&S3Location::new(object.bucket.clone(), object.key.clone()).to_string())
        }
        _ => glob.matches(artifact.path.as_str()),
    }
}
