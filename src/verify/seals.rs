//! The seals: each signature, and everything a seal says against the ledger, the manifests and the files they list.

use std::collections::BTreeSet;

use crate::case::{CaseError, CaseFiles, CaseIdentity, ChangedMember, LEDGER, PathError, read_bounded};
use crate::model::{Finding, Severity, Sha256Hash};
use crate::seal::{
    ALLOWED_SIGNERS, CHECKPOINTS, Checkpoint, LedgerHead, MISSING, NOT_THERE, SEALS, SealFile, SealNumbers, SealStatement,
    SignatureProblem, Signer, TAG_FILES, TAG_MANIFEST, UNSIGNED, bag, checkpoint_path, verify_signature,
};

use super::acts::Acts;
use super::admissions::{Admissions, Signed, admissions_of, believed, is_admitted};
use super::artifacts::{Checked, is_trouble};
use super::report::{SealReport, SignatureState};
use super::sealed_bag::{Bag, check_tag_file};
use super::{Options, bag_info, checkpoints, stamps, tag_manifest, trust};

/// What caselock writes into `reports/`, where nothing is ever evidence.
const REPORTS: [&str; 5] = ["snapshots.json", "report.html", "artifacts.csv", "artifacts.jsonl", "case-uco.jsonld"];

/// Checks every seal of the case, and the bag that they cover. Gives what each says that it found damaged, too.
pub(super) fn check(
    files: &dyn CaseFiles,
    (acts, identity): (&Acts, Option<&CaseIdentity>),
    checked: &Checked,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(Vec<SealReport>, Signed), CaseError> {
    let mut numbers = SealNumbers::default();
    for path in &checked.tags {
        numbers.observe(path);
    }
    let seals = read(&numbers, files, findings)?;
    // A crash leaves a seal half made, but only as the last thing that happened, and a package is written of whole ones alone.
    let may_be_cut_off = |path: &str| !files.is_package() && acts.sealing.as_deref() == Some(path);
    not_covered(files, checked, &seals, acts, findings);
    let mut reports = Vec::with_capacity(seals.len());
    let (mut bag, mut first_key) = (None, None::<String>);
    let admissions: Vec<Admissions> = seals.iter().map(admissions_of).collect();
    // A seal's `damage` excuses a finding only if its signature holds and its signer is trusted, where it was said who is.
    let believed: Vec<Admissions> = seals.iter().zip(&admissions).map(|(seal, said)| believed(seal, said, options)).collect();
    // The statements before, each with what it says of the ledger, if it reads.
    let mut before: Vec<(&str, Sha256Hash, Option<LedgerHead>)> = Vec::with_capacity(seals.len());
    for (at, seal) in seals.iter().enumerate() {
        let expected = u32::try_from(at + 1).unwrap_or(u32::MAX);
        if seal.number != expected {
            let detail = format!("Seal number {expected} should stand here: a seal was taken away.");
            findings.push(Finding::new(Severity::Failure, "seal-missing", &seal.path, &detail));
        }
        // An interrupted attempt says nothing yet, so its statement is not judged.
        if seal.statement.is_some() && seal.signature.is_none() && may_be_cut_off(&seal.path) {
            let detail = "It has no signature, and nothing came after: sealing was interrupted, or the signature was taken away. Seal again.";
            findings.push(Finding::new(Severity::Gap, "seal-unsigned", &seal.path, detail));
            reports.push(SealReport::of(&seal.path));
            continue;
        }
        let own = admissions.get(at..=at).unwrap_or_default();
        let later = believed.get(at + 1..).unwrap_or_default();
        let admitted = is_admitted(later, if seal.statement.is_some() { UNSIGNED } else { MISSING }, &seal.path);
        // A seal does not follow one that its own `damage` calls missing, even if that one was found again.
        let followed = || before.iter().rev().filter(|(path, ..)| !is_admitted(own, MISSING, path));
        let previous = followed().next().map(|(_, sha256, _)| *sha256);
        let covered = followed().find_map(|(.., ledger)| *ledger);
        let (mut report, statement, signer) = check_seal(seal, acts, previous, admitted, findings);
        stamps::check(seal, options.authority_roots, &mut report, findings);
        let mut ledger = None;
        if let Some(statement) = statement {
            check_signer(&statement, signer.as_ref(), acts, options, &mut report, findings);
            if expected == 1 && seal.number == 1 {
                first_key = Some(statement.signer.public_key.clone());
                check_allowed_signers(files, &statement, findings);
                bag_info::check(files, &statement, identity, findings);
            }
            let bag = match &bag {
                Some(bag) => bag,
                None => bag.insert(Bag::look(files, checked, findings)?),
            };
            // A bag of what was found damaged is of other sizes than what was put right since, as a seal up to this one says.
            let is_as_sealed = !admissions.iter().take(at + 1).flatten().any(|told| told.contains(" data/"));
            let word = match report.trusted {
                // A false word by somebody whom nobody trusts changes nothing of what the others sealed.
                Some(false) => Severity::Notice,
                // Nobody said whom to trust, and anybody can add a seal to what somebody else sealed.
                None if at > 0 && first_key.as_ref().is_some_and(|first| *first != statement.signer.public_key) => {
                    Severity::Gap
                }
                _ => Severity::Failure,
            };
            bag.check((seal, word), &statement, (&checked.report, is_as_sealed), findings);
            check_extension(seal, &statement, covered, findings);
            // An edited seal has a finding already, so only what was signed for is compared.
            if report.signature != SignatureState::Invalid {
                check_checkpoint(files, (seal, later), &statement, &report, findings);
            }
            ledger = Some(statement.ledger);
        }
        before.extend(seal.statement.as_deref().map(|bytes| (seal.path.as_str(), Sha256Hash::of(bytes), ledger)));
        reports.push(report);
    }
    for path in acts.sealed.keys() {
        if !seals.iter().any(|seal| seal.path == *path) {
            let (severity, detail) = if may_be_cut_off(path) {
                (
                    Severity::Gap,
                    "The ledger announces it, and nothing came after: sealing was interrupted, or the seal was taken away. Seal again.",
                )
            } else {
                (Severity::Failure, "The ledger says that the case was sealed with it, and it is not there.")
            };
            findings.push(Finding::new(severity, "seal-missing", path, detail));
        }
    }
    checkpoints::without_a_seal(files, checked, &seals, acts, findings);
    replaced(acts, findings);
    if files.is_package() && reports.is_empty() {
        let detail = "A package is written of a sealed case alone, and nobody signed for this one: its seals were taken away.";
        findings.push(Finding::new(Severity::Failure, "seal-absent", &"custody/seals", detail));
    } else {
        trust::of_seals(options.allowed_signers, &reports, findings);
    }
    if options.authority_roots.is_some() {
        stamps::check_presence(&reports, findings);
    }
    // Where it was said whom to trust, what anybody else says of the case counts for nothing, whichever way it is.
    let counts = |(seal, report): (&SealFile, &SealReport)| seal.is_complete() && report.trusted != Some(false);
    let signed = seals.iter().zip(&reports).zip(admissions).filter(|(sealed, _)| counts(*sealed));
    let signed = signed.map(|((seal, _), admissions)| (seal.path.clone(), admissions)).collect();
    Ok((reports, signed))
}

/// Reads all seals. What is no file of a seal, such as one that is too large, stands as an empty one: the rest is checked all the same.
fn read(numbers: &SealNumbers, files: &dyn CaseFiles, findings: &mut Vec<Finding>) -> Result<Vec<SealFile>, CaseError> {
    let mut trouble = None;
    let seals = numbers.read_each(files, &mut |path, error| {
        let why = match error {
            CaseError::Malformed { problem, .. } => problem,
            error if error.is_changed_member() => ChangedMember.to_string(),
            error => {
                trouble = trouble.take().or(Some(error));
                return;
            }
        };
        findings.push(Finding::new(Severity::Failure, "seal-malformed", &path, &format!("It was not read: {why}.")));
    });
    trouble.map_or(Ok(seals), Err)
}

/// Names the files outside `data/` that neither ledger nor seal covers: anybody can have put them there. A package never has one.
fn not_covered(files: &dyn CaseFiles, checked: &Checked, seals: &[SealFile], acts: &Acts, findings: &mut Vec<Finding>) {
    let severity = if files.is_package() { Severity::Failure } else { Severity::Notice };
    // An attempt to seal that was cut off leaves a checkpoint, which belongs to the case though its seal is not there yet.
    let attempted = acts.sealing.iter().filter_map(|path| path.strip_prefix(SEALS)).map(|name| format!("{CHECKPOINTS}{name}"));
    let signed = |path: String| [format!("{path}.sig"), path];
    let mut known: BTreeSet<String> = attempted.flat_map(signed).collect();
    for seal in seals {
        known.insert(format!("{}.tsr", seal.path));
        known.extend((0..seal.renewals.len()).map(|renewal| seal.renewal_path(renewal)));
        known.extend(signed(seal.path.clone()));
        let said = seal.statement.as_deref().and_then(|statement| SealStatement::parse(statement).ok());
        // The checkpoint of a lost seal may be left.
        if seal.statement.is_none() || said.is_some_and(|statement| statement.checkpoint_sha256.is_some()) {
            known.extend(signed(checkpoint_path(seal.number)));
        }
    }
    let listed = if seals.is_empty() { None } else { tag_manifest::listed(files, findings) };
    for path in &checked.tags {
        let is_tag_file = TAG_FILES.contains(&path.as_str());
        if is_tag_file && listed.as_ref().is_some_and(|listed| !listed.contains(path.as_str())) {
            let detail =
                "The tag manifest that was sealed does not list it, so no seal covers it: anybody can have put it there.";
            findings.push(Finding::new(Severity::Failure, "file-not-covered", path, detail));
            continue;
        }
        let of_the_case = is_tag_file || path == TAG_MANIFEST || path == LEDGER || known.contains(path);
        let detail = match path.strip_prefix("reports/") {
            _ if of_the_case => continue,
            // Whoever can exchange a report of an unsealed case can exchange the whole case. In a sealed one it lies among files that
            // nobody can exchange unnoticed.
            Some(name) if REPORTS.contains(&name) && seals.is_empty() => continue,
            Some(name) if REPORTS.contains(&name) => {
                "It was derived from the case, and no seal covers it: anybody can have changed it. Rather make it again than believe it."
            }
            _ => "It is no part of a case: no ledger, manifest or seal covers it.",
        };
        findings.push(Finding::new(severity, "file-not-covered", path, detail));
    }
}

/// The proof that a seal carries of the ledger having only grown since the seal before.
fn check_extension(seal: &SealFile, statement: &SealStatement, before: Option<LedgerHead>, findings: &mut Vec<Finding>) {
    let Some(extension) = &statement.extends else { return };
    if before.is_none_or(|before| !extension.proves(before, statement.ledger)) {
        let detail = "Its proof that the ledger only grew since the seal before does not hold.";
        findings.push(Finding::new(Severity::Failure, "seal-not-an-extension", &seal.path, detail));
    }
}

/// The checkpoint of a seal: it must say what the seal says, signed with the same key.
fn check_checkpoint(
    files: &dyn CaseFiles,
    (seal, later): (&SealFile, &[Admissions]),
    statement: &SealStatement,
    report: &SealReport,
    findings: &mut Vec<Finding>,
) {
    const LIMIT: u64 = 1024 * 1024;
    // Only disclosures need it, and earlier versions made none.
    let Some(sealed) = statement.checkpoint_sha256 else { return };
    let path = checkpoint_path(seal.number);
    let signature_path = format!("{path}.sig");
    check_tag_file(files, &path, sealed, findings);
    let expected = Checkpoint::of(statement).encode().unwrap_or_default();
    if Sha256Hash::of(&expected) != sealed {
        let detail = "The checkpoint that it names does not say what it says of the ledger.";
        findings.push(Finding::new(Severity::Failure, "checkpoint-mismatch", &seal.path, detail));
    }
    let (severity, kind, detail) = match read_bounded(files, &signature_path, LIMIT) {
        Ok(signature) => match verify_signature(&expected, &signature) {
            Ok(signer) if signer.public_key == statement.signer.public_key => return,
            // caselock does not check this kind of key, and the finding says so, unless the key is not the seal's to begin with.
            Err(SignatureProblem::NotChecked { signer, .. })
                if signer
                    .as_ref()
                    .map_or(report.signer.is_none(), |signer| signer.public_key == statement.signer.public_key) =>
            {
                findings.push(trust::not_checked(&signature_path));
                return;
            }
            _ => (Severity::Failure, "checkpoint-mismatch", "It is not the signature of the seal's key over the checkpoint."),
        },
        Err(CaseError::Io(PathError { source, .. })) if is_trouble(&source) => {
            (Severity::Gap, "tag-file-unreadable", "It is there and could not be read.")
        }
        Err(error) if error.is_not_found() && is_admitted(later, NOT_THERE, &signature_path) => (
            Severity::Gap,
            NOT_THERE,
            "It belongs to the seal's checkpoint and is not there, as a later seal says that it was found.",
        ),
        Err(error) if error.is_not_found() => {
            (Severity::Failure, NOT_THERE, "It belongs to the seal's checkpoint, and it is not there.")
        }
        Err(_) => (Severity::Failure, "tag-file-modified", "Its bytes are not those that were written."),
    };
    findings.push(Finding::new(severity, kind, &signature_path, detail));
}

/// Whether the times that the seal says and the key that made it are to be believed.
fn check_signer(
    statement: &SealStatement,
    signer: Option<&Signer>,
    acts: &Acts,
    options: &Options<'_>,
    report: &mut SealReport,
    findings: &mut Vec<Finding>,
) {
    let place = report.file.clone();
    let signed = trust::Signed {
        place: &place,
        signer,
        signature: report.signature,
        principal: &statement.signer.principal,
        said: statement.sealed_at,
        stamped: stamps::trusted_time(options.authority_roots, report.timestamp, report.stamped),
        misnamed: "seal-principal-mismatch",
    };
    let trust = trust::judge(&signed, options.allowed_signers, findings);
    (report.trusted, report.vouched_as) = (trust.trusted, trust.vouched_as);
    report.principal = Some(statement.signer.principal.clone());
    // An edited seal has a finding already, so its time is not judged.
    if report.signature != SignatureState::Invalid {
        let head = (statement.ledger.lines, statement.ledger.root);
        let covers = acts.announced(&place).find(|announced| announced.head == head).and_then(|announced| announced.after);
        let covers = covers.map(|at| (at, "it covers a line of the ledger that was written"));
        let dated = trust::Dated {
            place: &place,
            kind: "seal-time-mismatch",
            done: "sealed",
            said: statement.sealed_at,
            after: covers.as_slice(),
            stamped: signed.stamped,
            ahead: acts.clock_ahead,
        };
        trust::check_time(&dated, findings);
    }
}

/// `custody/allowed_signers` is what steps by hand rely on, so it has the first seal's key and nothing else.
fn check_allowed_signers(files: &dyn CaseFiles, statement: &SealStatement, findings: &mut Vec<Finding>) {
    const LIMIT: u64 = 1024 * 1024;
    // A file that is not there, or cannot be read, has a finding already.
    let Ok(found) = read_bounded(files, ALLOWED_SIGNERS, LIMIT) else { return };
    if bag::allowed_signers_of(&statement.signer).is_none_or(|line| line.as_bytes() != found) {
        let detail = "It is not the one line with name and key that the first seal gives, so whoever checks by hand would rely on another key.";
        findings.push(Finding::new(Severity::Failure, "allowed-signers-mismatch", &ALLOWED_SIGNERS, detail));
    }
}

/// A seal that the ledger announces again under another key was put in the place of the first.
fn replaced(acts: &Acts, findings: &mut Vec<Finding>) {
    for path in acts.sealed.keys() {
        let signers: BTreeSet<&str> = acts.announced(path).map(|announced| announced.signer.as_str()).collect();
        if signers.len() > 1 {
            let signers: Vec<&str> = signers.into_iter().collect();
            let detail = format!(
                "The ledger says more than once that the case was sealed with it, by different keys: {}.",
                signers.join(", ")
            );
            findings.push(Finding::new(Severity::Failure, "seal-replaced", path, &detail));
        }
    }
}

fn check_seal(
    seal: &SealFile,
    acts: &Acts,
    previous: Option<Sha256Hash>,
    admitted: bool,
    findings: &mut Vec<Finding>,
) -> (SealReport, Option<SealStatement>, Option<Signer>) {
    if admitted && seal.statement.is_some() && seal.signature.is_none() {
        let detail = "It has no signature, and the next seal says that it was found so: sealing was interrupted, or the signature was taken away.";
        findings.push(Finding::new(Severity::Gap, "seal-unsigned", &seal.path, detail));
    }
    let mut report = SealReport::of(&seal.path);
    let mut fail = |kind: &str, detail: &str| findings.push(Finding::new(Severity::Failure, kind, &seal.path, detail));
    let Some(bytes) = &seal.statement else {
        if admitted {
            let detail = "Its signature or its time-stamp is there, the seal itself is not, as the next one says that it was found: it was lost or taken away.";
            findings.push(Finding::new(Severity::Gap, MISSING, &seal.path, detail));
        } else {
            fail(MISSING, "Its signature is there, the seal itself is not.");
        }
        return (report, None, None);
    };
    let statement = match SealStatement::parse(bytes) {
        Ok(statement) => Some(statement),
        Err(problem) => {
            fail("seal-malformed", &format!("It cannot be read: {problem}."));
            None
        }
    };
    let unsigned = "It has no signature: sealing was interrupted, or the signature was taken away.";
    let signed = trust::Statement {
        place: &seal.path,
        bytes,
        signature: seal.signature.as_deref(),
        names: statement.as_ref().map(|statement| &statement.signer),
        unsigned: (!admitted).then_some(("seal-unsigned", unsigned)),
        invalid: "seal-signature-invalid",
        by_another: "seal-signer-mismatch",
    };
    let (signature, signer) = trust::check_signature(&signed, findings);
    report.signature = signature;
    report.signer = signer.as_ref().map(|signer| signer.fingerprint.clone());
    let Some(statement) = statement else { return (report, None, signer) };
    report.time = Some(statement.sealed_at);
    report.ledger_size = Some(statement.ledger.lines);
    let mut fail = |kind: &str, detail: &str| findings.push(Finding::new(Severity::Failure, kind, &seal.path, detail));
    if bag::allowed_signers_of(&statement.signer).is_none() {
        fail(
            "seal-malformed",
            "The name or the key that it gives its signer is none that caselock writes: other programs could take it for something else.",
        );
    }
    if statement.number != seal.number {
        fail("seal-number-mismatch", "It is not the seal that its name says.");
    }
    if statement.previous_seal_sha256 != previous {
        fail("seal-chain-broken", "It does not name the seal before it: one of the two was exchanged or taken away.");
    }
    if acts.case_number.as_ref().is_some_and(|number| *number != statement.case_number) {
        fail("seal-case-mismatch", "It is the seal of another case.");
    }
    let head = (statement.ledger.lines, statement.ledger.root);
    match acts.announced(&seal.path).find(|announced| announced.head == head) {
        None => fail(
            "seal-ledger-mismatch",
            "The ledger is not the one that was sealed: its lines up to the seal give another Merkle root.",
        ),
        Some(announced) if announced.signer != statement.signer.fingerprint => fail(
            "seal-signer-mismatch",
            &format!("The line of the ledger that announces it names another key: {}.", announced.signer),
        ),
        Some(_) => {}
    }
    (report, Some(statement), signer)
}
