//! A disclosure: chosen artifacts, with the proofs that their lines stand in the ledger that was sealed.
//!
//! What is signed is the ledger's size and root. Each line is proven to belong to it, and each file is what its line says. The bag around
//! them is checked against itself; nothing signed covers it.

use std::collections::{BTreeMap, BTreeSet, btree_map};
use std::io::{BufRead as _, BufReader, Read as _};

use crate::case::event::Event;
use crate::case::ledger::{Entry, canonical};
use crate::case::merkle::{is_included, leaf_hash};
use crate::case::{CaseError, CaseFiles, ChangedMember, Found, PathError, read_bounded};
use crate::cloudtrail::KeyRing;
use crate::model::{Finding, HashingReader, Severity, Sha256Hash, strict_json};
use crate::seal::manifest::{Lists, ManifestReader};
use crate::seal::{
    ArtifactTotals, CHECKPOINTS, Checkpoint, DISCLOSURE, DisclosedLine, LedgerHead, MANIFEST, PROGRAM, TAG_MANIFEST,
    VERIFY_TXT, checkpoint_path, disclosed_texts,
};

use super::artifacts::is_trouble;
use super::report::{ArtifactReport, DisclosureReport, LedgerReport, Report, SealReport};
use super::verdict::{failures_of, verdict};
use super::{Options, custody, holder_keys, sealed_bag, trust};

/// Longest line that is read: the longest line of a ledger, escaped, and its proof.
const LINE_LIMIT: u64 = 9 * 1024 * 1024;
/// Largest checkpoint or signature that is read.
const CHECKPOINT_LIMIT: u64 = 1024 * 1024;

/// Most lines with something wrong that are named one by one: a small file can have millions.
const NAMED: u64 = 100;

/// What is kept of a line that is proven: a disclosure may have been made to hold more than fits into memory.
struct Shown {
    size: u64,
    sha256: Sha256Hash,
}

/// The artifacts whose lines are proven, by their paths.
type ShownArtifacts = BTreeMap<String, Shown>;

/// Whether the files are those of a disclosure: shown lines, and no ledger.
pub(super) fn is_one(files: &dyn CaseFiles) -> bool {
    let there = |path: &str| !matches!(files.open(path), Err(error) if error.is_not_found());
    there(DISCLOSURE) && !there(crate::case::LEDGER)
}

/// Verifies a disclosure.
pub(super) fn check(files: &dyn CaseFiles, options: &Options<'_>) -> Result<Report, CaseError> {
    let mut findings = Vec::new();
    let mut paths = BTreeSet::new();
    files.walk(&mut |found| match found {
        Found::File { path } => {
            paths.insert(path.to_owned());
        }
        Found::Foreign { path, what } => {
            let detail = format!("It is {what}; a case holds regular files only.");
            findings.push(Finding::new(Severity::Failure, "foreign-file", &path, &detail));
        }
    })?;
    let (checkpoint, seal) = check_checkpoint(files, &paths, options, &mut findings)?;
    let head = checkpoint.as_ref().map(|checkpoint| checkpoint.ledger);
    let (shown, lines_shown) = read_lines(files, head, &mut findings)?;
    let artifacts = check_artifacts(files, &paths, &shown, options, &mut findings);
    check_bag(files, &paths, &shown, &mut findings);
    if let Some(checkpoint) = &checkpoint {
        check_texts(files, &paths, checkpoint, &shown, &mut findings);
    }
    let case_number = checkpoint.map(|checkpoint| checkpoint.case_number);
    let mut holders = Vec::new();
    if let Some((package, receipts)) = options.receipts {
        holders = {
            let seals = std::slice::from_ref(&seal);
            let of_the_case = custody::Received { case_number: case_number.as_deref(), seals, clock_ahead: 0 };
            custody::of_receipts(package, receipts, &of_the_case, options, &mut findings)
        };
        custody::check_chain(&holders, &mut findings);
        holder_keys::check(&holders, std::slice::from_ref(&seal), "", &mut findings);
    }
    findings.sort();
    findings.dedup();
    let damage = failures_of(&findings);
    let lines = head.map_or(0, |head| head.lines);
    let about_proofs = ["disclosure-unproven", "disclosure-malformed", "checkpoint-malformed", "checkpoint-signature-invalid"];
    let valid = !findings.iter().any(|finding| about_proofs.contains(&finding.kind.as_str()));
    Ok(Report {
        verdict: verdict(&findings, options.strict),
        online: None,
        keys: KeyRing::default(),
        case_number,
        window: None,
        ledger: LedgerReport {
            entries: artifacts.total,
            lines,
            root: head.map_or(crate::model::Sha256Hash::ZERO, |head| head.root),
            valid,
            expected_root_at: head
                .filter(|head| options.expected_root.is_some_and(|expected| expected.is_met_by(&head.root)))
                .map(|head| head.lines),
        },
        disclosure: Some(DisclosureReport { lines_shown, lines_sealed: lines }),
        artifacts,
        seals: vec![seal],
        custody: holders,
        cloudtrail: Vec::new(),
        findings,
        gaps: Vec::new(),
        damage,
    })
}

/// Why something that is there was not read, which says something of it; the error, if that is the disk's.
fn unread(error: CaseError) -> Result<String, CaseError> {
    match error {
        CaseError::Malformed { problem, .. } => Ok(problem),
        error if error.is_changed_member() => Ok(ChangedMember.to_string()),
        error => Err(error),
    }
}

/// The one checkpoint, and its signature.
fn check_checkpoint(
    files: &dyn CaseFiles,
    paths: &BTreeSet<String>,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(Option<Checkpoint>, SealReport), CaseError> {
    let mut found = paths.iter().filter(|path| path.starts_with(CHECKPOINTS) && path.strip_suffix(".json").is_some());
    let path = found.next().cloned().unwrap_or_else(|| format!("{CHECKPOINTS}/0001.json"));
    let mut report = SealReport::of(&path);
    let mut fail = |kind: &str, detail: &str| findings.push(Finding::new(Severity::Failure, kind, &path, detail));
    if found.next().is_some() {
        fail("checkpoint-malformed", "There is more than one checkpoint; a disclosure has one.");
    }
    let bytes = match read_bounded(files, &path, CHECKPOINT_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => {
            fail("checkpoint-malformed", "It is not there, so nothing says which ledger was sealed.");
            return Ok((None, report));
        }
        Err(error) => {
            fail("checkpoint-malformed", &format!("It was not read: {}.", unread(error)?));
            return Ok((None, report));
        }
    };
    let checkpoint = match Checkpoint::parse(&bytes) {
        Ok(checkpoint) => checkpoint,
        Err(problem) => {
            fail("checkpoint-malformed", &format!("It cannot be read: {problem}."));
            return Ok((None, report));
        }
    };
    report.time = Some(checkpoint.sealed_at);
    report.ledger_size = Some(checkpoint.ledger.lines);
    let signature = match read_bounded(files, &format!("{path}.sig"), CHECKPOINT_LIMIT) {
        Ok(signature) => Some(signature),
        Err(error) if error.is_not_found() => None,
        Err(error) => {
            fail("checkpoint-signature-invalid", &format!("Its signature was not read: {}.", unread(error)?));
            Some(Vec::new())
        }
    };
    let statement = trust::Statement {
        place: &path,
        bytes: &bytes,
        signature: signature.as_deref(),
        names: Some(&checkpoint.signer),
        unsigned: Some(("checkpoint-signature-invalid", "It has no signature, so nobody signed for the ledger.")),
        invalid: "checkpoint-signature-invalid",
        by_another: "checkpoint-signature-invalid",
    };
    let (signature, signer) = trust::check_signature(&statement, findings);
    report.signature = signature;
    report.signer = signer.as_ref().map(|signer| signer.fingerprint.clone());
    let signed = trust::Signed {
        place: &path,
        signer: signer.as_ref(),
        signature: report.signature,
        principal: &checkpoint.signer.principal,
        said: checkpoint.sealed_at,
        stamped: None,
        misnamed: "seal-principal-mismatch",
    };
    let judged = trust::judge(&signed, options.allowed_signers, findings);
    (report.trusted, report.vouched_as) = (judged.trusted, judged.vouched_as);
    if options.expected_root.is_some_and(|expected| !expected.is_met_by(&checkpoint.ledger.root)) {
        let detail = "Whether the ledger had the root that you expect cannot be told: a disclosure shows the root at the seal alone, and that of \
                      every line before is another. The whole case shows it.";
        findings.push(Finding::new(Severity::Gap, "expected-root-not-shown", &path, detail));
    }
    trust::of_seals(options.allowed_signers, std::slice::from_ref(&report), findings);
    Ok((Some(checkpoint), report))
}

/// What the lines that are proven say, and how many lines are shown, proven or not.
fn read_lines(
    files: &dyn CaseFiles,
    head: Option<LedgerHead>,
    findings: &mut Vec<Finding>,
) -> Result<(ShownArtifacts, u64), CaseError> {
    let mut shown = BTreeMap::new();
    let (mut next_index, mut lines) = (0, 0_u64);
    let opened = match files.open(DISCLOSURE) {
        Err(CaseError::Io(error)) if is_trouble(&error.source) => return Err(error.into()),
        Err(error) => {
            let detail = format!("It was not read: {error}.");
            findings.push(Finding::new(Severity::Failure, "disclosure-malformed", &DISCLOSURE, &detail));
            return Ok((shown, 0));
        }
        Ok(opened) => opened,
    };
    let mut reader = BufReader::with_capacity(256 * 1024, opened);
    let mut buffer = Vec::new();
    let (mut wrong, mut unnamed_since) = (0_u64, None);
    let mut fail = |kind: &str, number: u64, detail: &str| {
        wrong += 1;
        if wrong <= NAMED {
            findings.push(Finding::new(Severity::Failure, kind, &DISCLOSURE, &format!("Line {number} {detail}")));
        } else {
            unnamed_since.get_or_insert(number);
        }
    };
    for number in 1.. {
        buffer.clear();
        match (&mut reader).take(LINE_LIMIT).read_until(b'\n', &mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(source) if is_trouble(&source) => {
                return Err(PathError::new("read", files.describe(DISCLOSURE), source).into());
            }
            Err(problem) => {
                fail("disclosure-malformed", number, &format!("cannot be read: {problem}."));
                break;
            }
        }
        let Some((line, path, artifact)) = parse(&buffer) else {
            fail(
                "disclosure-malformed",
                number,
                "is not a line of the ledger about an artifact, with its proof, as caselock writes it.",
            );
            continue;
        };
        lines += 1;
        if line.index < next_index {
            fail("disclosure-malformed", number, "is out of order, or shown twice.");
            continue;
        }
        next_index = line.index.saturating_add(1);
        let leaf = leaf_hash(line.line.as_bytes());
        let proven = head.is_some_and(|head| is_included(&leaf, line.index, head.lines, &line.proof, &head.root));
        if !proven {
            fail("disclosure-unproven", number, "is not proven to belong to the ledger that was sealed.");
            continue;
        }
        match shown.entry(path) {
            btree_map::Entry::Occupied(_) => {
                fail("disclosure-malformed", number, "is about a file that a line before is about.");
            }
            btree_map::Entry::Vacant(place) => {
                place.insert(artifact);
            }
        }
    }
    if lines == 0 {
        fail("disclosure-malformed", 1, "is not there: nothing is shown.");
    }
    if let Some(number) = unnamed_since {
        let detail = format!("From line {number} on, {} more are not as they should be.", wrong - NAMED);
        findings.push(Finding::new(Severity::Failure, "disclosure-malformed", &DISCLOSURE, &detail));
    }
    Ok((shown, lines))
}

/// Reads a line in its one spelling, RFC 8785: what stands in another could say two things to two readers.
fn parse(bytes: &[u8]) -> Option<(DisclosedLine, String, Shown)> {
    let bytes = bytes.strip_suffix(b"\n")?;
    let line: DisclosedLine = serde_json::from_value(strict_json::parse(bytes).ok()?).ok()?;
    let text = line.line.as_bytes();
    let is_canonical = canonical(&line).ok()? == bytes && canonical(&strict_json::parse(text).ok()?).ok()? == text;
    match Entry::decode(text).ok().filter(|_| is_canonical)?.event {
        Event::ArtifactAcquired(artifact) => {
            Some((line, artifact.path.to_string(), Shown { size: artifact.size, sha256: artifact.sha256 }))
        }
        _ => None,
    }
}

/// Each file against the line about it.
fn check_artifacts(
    files: &dyn CaseFiles,
    paths: &BTreeSet<String>,
    shown: &ShownArtifacts,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
) -> ArtifactReport {
    let mut report = ArtifactReport { total: u64::try_from(shown.len()).unwrap_or(u64::MAX), ..ArtifactReport::default() };
    for (path, artifact) in shown {
        let read = match files.open(path) {
            Ok(reader) => HashingReader::new(reader).finish(),
            Err(CaseError::Io(error)) => Err(error.source),
            Err(other) => Err(std::io::Error::other(other)),
        };
        match read {
            Ok((sha256, size)) => {
                report.bytes += size;
                if (sha256, size) == (artifact.sha256, artifact.size) {
                    report.valid += 1;
                } else {
                    report.modified.push(path.clone());
                }
            }
            Err(error) if is_trouble(&error) => {
                let detail = format!("It is there and could not be read: {error}.");
                findings.push(Finding::new(Severity::Gap, "artifact-unreadable", path, &detail));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => report.missing.push(path.clone()),
            Err(_) => report.modified.push(path.clone()),
        }
        (options.progress)(1, artifact.size);
    }
    report.unlisted = paths.iter().filter(|path| path.starts_with("data/") && !shown.contains_key(*path)).cloned().collect();
    for (kind, paths, detail) in [
        (
            "artifact-modified",
            &report.modified,
            "Its bytes are not those that were acquired: they differ from the line that is shown.",
        ),
        ("artifact-missing", &report.missing, "A line about it is shown, and it is not there."),
        ("artifact-unlisted", &report.unlisted, "No line that is proven is about it: nothing proves where it comes from."),
    ] {
        findings.extend(paths.iter().map(|path| Finding::new(Severity::Failure, kind, path, detail)));
    }
    report
}

/// The bag against itself and against the lines that are shown.
fn check_bag(files: &dyn CaseFiles, paths: &BTreeSet<String>, shown: &ShownArtifacts, findings: &mut Vec<Finding>) {
    let mut listed = BTreeMap::new();
    for (manifest, lists) in [(MANIFEST, Lists::Payload), (TAG_MANIFEST, Lists::Tags)] {
        let file = match files.open(manifest) {
            Ok(file) => file,
            Err(CaseError::Io(PathError { source, .. })) if is_trouble(&source) => {
                let detail = "It is there and could not be read, so nothing can be compared with it.";
                findings.push(Finding::new(Severity::Gap, "tag-file-unreadable", &manifest, detail));
                return;
            }
            Err(_) => {
                findings.push(Finding::new(Severity::Failure, "tag-file-missing", &manifest, "It is not there."));
                continue;
            }
        };
        let mut reader = ManifestReader::new(BufReader::new(file), lists);
        loop {
            match reader.next_line() {
                Ok(Some(line)) => {
                    listed.insert(line.path, line.sha256);
                }
                Ok(None) => break,
                Err(problem) => {
                    findings.push(sealed_bag::unread(&problem, manifest));
                    break;
                }
            }
        }
    }
    let mut mismatch =
        |path: &str, detail: &str| findings.push(Finding::new(Severity::Failure, "manifest-mismatch", &path, detail));
    for (path, artifact) in shown {
        if listed.get(path) != Some(&artifact.sha256) {
            mismatch(path, "The manifest and the line about it disagree.");
        }
    }
    for path in paths.iter().filter(|path| !path.starts_with("data/") && *path != TAG_MANIFEST && !listed.contains_key(*path)) {
        mismatch(path, "It lies in the disclosure, and no manifest lists it.");
    }
    for path in listed.keys().filter(|path| path.starts_with("data/") && !shown.contains_key(*path)) {
        mismatch(path, "The manifest lists it, and no line about it is shown.");
    }
    for (path, sha256) in listed.iter().filter(|(path, _)| !path.starts_with("data/")) {
        sealed_bag::check_tag_file(files, path, *sha256, findings);
    }
}

/// The rest of the bag, which nobody signed: it follows from the checkpoint and from what is shown.
fn check_texts(
    files: &dyn CaseFiles,
    paths: &BTreeSet<String>,
    checkpoint: &Checkpoint,
    shown: &ShownArtifacts,
    findings: &mut Vec<Finding>,
) {
    let bytes = shown.values().fold(0, |sum: u64, artifact| sum.saturating_add(artifact.size));
    let totals = ArtifactTotals { count: u64::try_from(shown.len()).unwrap_or(u64::MAX), bytes };
    let derived = disclosed_texts(checkpoint, totals);
    for (path, text) in &derived {
        let limit = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let found = match read_bounded(files, path, limit) {
            Ok(found) => Some(found),
            Err(CaseError::Io(PathError { source, .. })) if is_trouble(&source) => {
                let detail = "It is there and could not be read.";
                findings.push(Finding::new(Severity::Gap, "tag-file-unreadable", path, detail));
                continue;
            }
            Err(error) if error.is_not_found() => {
                findings.push(Finding::new(Severity::Failure, "tag-file-missing", path, "It is not there."));
                continue;
            }
            // It is longer than it can be.
            Err(_) => None,
        };
        if found.as_deref() == Some(text.as_bytes()) {
            continue;
        }
        if [VERIFY_TXT, PROGRAM].contains(path) {
            let detail = "It is not what this caselock writes: another version made the disclosure, or somebody exchanged it. Neither follow nor \
                          run it; take one from elsewhere.";
            findings.push(Finding::new(Severity::Gap, "disclosure-text-unknown", path, detail));
        } else {
            let detail = "It does not follow from what was signed and from what is shown.";
            findings.push(Finding::new(Severity::Failure, "tag-file-modified", path, detail));
        }
    }
    let is_known = |path: &str| {
        [MANIFEST, TAG_MANIFEST, DISCLOSURE].contains(&path)
            || derived.iter().any(|(derived, _)| *derived == path)
            || path.strip_prefix(&checkpoint_path(checkpoint.number)).is_some_and(|rest| ["", ".sig"].contains(&rest))
    };
    for path in paths.iter().filter(|path| !path.starts_with("data/") && !is_known(path)) {
        let detail = "It is no part of a disclosure: nothing that was signed speaks of it.";
        findings.push(Finding::new(Severity::Failure, "file-not-covered", path, detail));
    }
}
