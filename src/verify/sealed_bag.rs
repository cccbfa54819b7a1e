//! The bag that seals cover: its two manifests, and the tag files that one of them lists.

use std::io::BufReader;

use crate::case::{CaseError, CaseFiles, ChangedMember};
use crate::model::{Finding, HashingReader, Severity, Sha256Hash};
use crate::seal::manifest::{Lists, ManifestError, ManifestReader};
use crate::seal::{MANIFEST, SealFile, SealStatement, TAG_MANIFEST};

use super::artifacts::{Checked, is_trouble};
use super::report::ArtifactReport;

/// The bag that seals cover, looked at once for all of them.
pub(super) struct Bag {
    manifest: Hashed,
    tag_manifest: Hashed,
    /// Lines of the payload manifest, if it reads.
    lines: Option<u64>,
}

impl Bag {
    /// Compares the files that the tag manifest lists with it, and the payload manifest with the ledger.
    pub(super) fn look(files: &dyn CaseFiles, checked: &Checked, findings: &mut Vec<Finding>) -> Result<Self, CaseError> {
        if let Ok(list) = files.open(TAG_MANIFEST) {
            let mut reader = ManifestReader::new(BufReader::new(list), Lists::Tags);
            loop {
                match reader.next_line() {
                    Ok(Some(line)) => check_tag_file(files, &line.path, line.sha256, findings),
                    Ok(None) => break,
                    Err(problem) => {
                        findings.push(unread(&problem, TAG_MANIFEST));
                        break;
                    }
                }
            }
        }
        let read = |visit: &mut dyn FnMut(&str, Sha256Hash)| {
            let Ok(list) = files.open(MANIFEST) else { return Ok(None) };
            let mut reader = ManifestReader::new(BufReader::new(list), Lists::Payload);
            let mut lines = 0;
            while let Some(line) = reader.next_line()? {
                lines += 1;
                visit(&line.path, line.sha256);
            }
            Ok::<_, ManifestError>(Some(lines))
        };
        let lines = read(&mut |_, _| {}).unwrap_or_else(|problem| {
            findings.push(unread(&problem, MANIFEST));
            None
        });
        if lines.is_some() {
            // It was just read to its end.
            for path in checked.disagreements(files, &|visit| drop(read(visit)))? {
                let detail = "The manifest and the ledger disagree on it.";
                findings.push(Finding::new(Severity::Failure, "manifest-mismatch", &path, detail));
            }
        }
        Ok(Self { manifest: hash_of(files, MANIFEST), tag_manifest: hash_of(files, TAG_MANIFEST), lines })
    }

    /// Compares it with what one seal says, and that with how many artifacts there are; and of how many bytes, where all of them are as they
    /// were recorded and, as far as seals say, always were. A false count is as grave as the `word` of its signer.
    pub(super) fn check(
        &self,
        (seal, word): (&SealFile, Severity),
        statement: &SealStatement,
        (artifacts, is_as_sealed): (&ArtifactReport, bool),
        findings: &mut Vec<Finding>,
    ) {
        compare(MANIFEST, &self.manifest, statement.manifest_sha256, findings);
        compare(TAG_MANIFEST, &self.tag_manifest, statement.tagmanifest_sha256, findings);
        let Some(lines) = self.lines else { return };
        let (counted, total) = (statement.artifacts, artifacts.total);
        let is_whole = is_as_sealed && artifacts.valid == total;
        if lines != counted.count || lines != total {
            let detail = format!("It counts {} artifacts; the manifest lists {lines} and the ledger {total}.", counted.count);
            let severity = if lines == total { word } else { Severity::Failure };
            findings.push(Finding::new(severity, "manifest-mismatch", &seal.path, &detail));
        } else if is_whole && artifacts.bytes != counted.bytes {
            let detail = format!("It counts {} bytes of artifacts, and there are {}.", counted.bytes, artifacts.bytes);
            findings.push(Finding::new(word, "manifest-mismatch", &seal.path, &detail));
        }
    }
}

pub(super) fn unread(problem: &ManifestError, path: &str) -> Finding {
    let (severity, kind) = match problem {
        ManifestError::Io { source, .. } if is_trouble(source) => (Severity::Gap, "tag-file-unreadable"),
        _ => (Severity::Failure, "manifest-malformed"),
    };
    Finding::new(severity, kind, &path, &format!("It cannot be read: {problem}."))
}

/// The hash of a file, or why there is none.
type Hashed = Result<Sha256Hash, Unhashed>;

/// Why a file has no hash.
enum Unhashed {
    /// The disk's trouble with it.
    Trouble(String),
    /// It is there, and not as it was packed.
    Changed,
    /// It is not there.
    Missing,
}

fn hash_of(files: &dyn CaseFiles, path: &str) -> Hashed {
    let why = |why: &std::io::Error| match why {
        why if is_trouble(why) => Unhashed::Trouble(format!("The seal covers it, and it could not be read: {why}.")),
        why if ChangedMember::is_why(why) => Unhashed::Changed,
        _ => Unhashed::Missing,
    };
    match files.open(path) {
        Ok(file) => HashingReader::new(file).finish().map(|(sha256, _)| sha256).map_err(|error| why(&error)),
        Err(CaseError::Io(error)) => Err(why(&error.source)),
        Err(_) => Err(Unhashed::Missing),
    }
}

/// One file that a seal covers by its hash.
pub(super) fn check_tag_file(files: &dyn CaseFiles, path: &str, sealed: Sha256Hash, findings: &mut Vec<Finding>) {
    compare(path, &hash_of(files, path), sealed, findings);
}

fn compare(path: &str, hashed: &Hashed, sealed: Sha256Hash, findings: &mut Vec<Finding>) {
    let (severity, kind, detail) = match hashed {
        Ok(found) if *found == sealed => return,
        Ok(_) | Err(Unhashed::Changed) => {
            (Severity::Failure, "tag-file-modified", "Its bytes are not those that were sealed.".to_owned())
        }
        Err(Unhashed::Trouble(trouble)) => (Severity::Gap, "tag-file-unreadable", trouble.clone()),
        Err(Unhashed::Missing) => {
            (Severity::Failure, "tag-file-missing", "The seal covers it, and it is not there.".to_owned())
        }
    };
    findings.push(Finding::new(severity, kind, &path, &detail));
}
