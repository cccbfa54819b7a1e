//! What seals say that they found otherwise than it should be, held against what is found now.

use std::collections::BTreeSet;

use crate::model::{Finding, Severity, printable};
use crate::seal::{CHECKPOINTS, SEALS, SealFile, SealStatement, verify_signature};

use super::report::{SealReport, SignatureState};
use super::{Options, stamps, trust};

/// What one seal says that it found so: `kind object` of each. What nobody signed says nothing.
pub(super) type Admissions = BTreeSet<String>;

pub(super) fn admissions_of(seal: &SealFile) -> Admissions {
    let said = seal.statement.as_deref().filter(|_| seal.is_complete()).and_then(|bytes| SealStatement::parse(bytes).ok());
    said.map(|said| said.damage.into_iter().collect()).unwrap_or_default()
}

/// Those of its admissions that excuse anything: all if its signature holds and, where it was said who may seal, is by one of them.
pub(super) fn believed(seal: &SealFile, said: &Admissions, options: &Options<'_>) -> Admissions {
    let signed = || {
        let (bytes, signature) = (seal.statement.as_deref()?, seal.signature.as_deref()?);
        let (statement, signer) = (SealStatement::parse(bytes).ok()?, verify_signature(bytes, signature).ok()?);
        (signer.public_key == statement.signer.public_key).then_some((statement, signer))
    };
    let Some((statement, signer)) = (if said.is_empty() { None } else { signed() }) else { return Admissions::default() };
    let (mut report, mut told_elsewhere) = (SealReport::of(&seal.path), Vec::new());
    stamps::check(seal, options.authority_roots, &mut report, &mut told_elsewhere);
    let signed = trust::Signed {
        place: &seal.path,
        signer: Some(&signer),
        signature: SignatureState::Valid,
        principal: &statement.signer.principal,
        said: statement.sealed_at,
        stamped: stamps::trusted_time(options.authority_roots, report.timestamp, report.stamped),
        misnamed: "seal-principal-mismatch",
    };
    let trust = trust::judge(&signed, options.allowed_signers, &mut told_elsewhere);
    if trust.trusted == Some(false) { Admissions::default() } else { said.clone() }
}

/// Whether one of these seals says that it found this of the file at `path`.
pub(super) fn is_admitted(by: &[Admissions], kind: &str, path: &str) -> bool {
    let told = format!("{kind} {path}");
    by.iter().any(|admissions| admissions.contains(&told))
}

/// The seals that somebody signed, in their order, each with what it says that it found.
pub(super) type Signed = Vec<(String, Admissions)>;

/// Names the seals that say of damage to the case what nothing that was found bears out.
///
/// Somebody signed for another state of the case then. As long as no later seal is over the case without that damage, nobody signed for it as it is.
pub(super) fn check(signed: &[(String, Admissions)], findings: &mut Vec<Finding>) {
    if signed.iter().all(|(_, damage)| damage.is_empty()) {
        return;
    }
    let found: BTreeSet<(&str, &str)> =
        findings.iter().map(|finding| (finding.object.as_str(), finding.kind.as_str())).collect();
    let wrong = findings.iter().filter(|finding| finding.severity != Severity::Notice);
    let wrong: BTreeSet<&str> = wrong.map(|finding| finding.object.as_str()).collect();
    // A file that was changed when the seal was made may be missing now, so any finding about it counts.
    let is_there = |told: &str| {
        told.split_once(' ').is_some_and(|(kind, object)| wrong.contains(object) || found.contains(&(object, kind)))
    };
    // Damage to files of seals shows in these files alone; once it is made good, nothing of it is left to find.
    let is_of_seals = |told: &str| {
        let within = |folder: &str, object: &str| object.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        told.split_once(' ').is_some_and(|(_, object)| within(SEALS, object) || within(CHECKPOINTS, object))
    };
    let Some(((last, damage), before)) = signed.split_last() else { return };
    let gone = |damage: &Admissions| -> Vec<String> {
        damage.iter().filter(|told| !is_of_seals(told) && !is_there(told)).cloned().collect()
    };
    let mut of_seals = Vec::new();
    for (path, earlier) in before {
        of_seals.push((Severity::Notice, path, gone(&earlier.difference(damage).cloned().collect())));
    }
    of_seals.push((Severity::Gap, last, gone(damage)));
    for (severity, path, gone) in of_seals {
        let Some(first) = gone.first() else { continue };
        let more = if gone.len() > 1 { format!(", and {} more", gone.len() - 1) } else { String::new() };
        let since = if severity == Severity::Notice {
            "A later seal is over the case without it."
        } else {
            "Nobody has signed for the case as it is: let whoever put it right seal it again."
        };
        let detail = format!(
            "It says what was damaged when it was sealed, and of this nothing is found: {}{more}. It was put right since, from a copy, or it never \
             was so. {since}",
            printable(first)
        );
        findings.push(Finding::new(severity, "seal-damage-not-found", path, &detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(damage: &[&[&str]]) -> Signed {
        let of = |(at, told): (usize, &&[&str])| {
            (format!("custody/seals/{:04}.json", at + 1), told.iter().map(|told| (*told).to_owned()).collect())
        };
        damage.iter().enumerate().map(of).collect()
    }

    /// What is said of the seals where these findings are there already: kind and object.
    fn said(damage: &[&[&str]], there: &[(Severity, &str, &str)]) -> Vec<(Severity, String)> {
        let mut findings: Vec<Finding> =
            there.iter().map(|(severity, kind, object)| Finding::new(*severity, kind, object, "It was found.")).collect();
        check(&signed(damage), &mut findings);
        findings.drain(..there.len());
        assert!(findings.iter().all(|finding| finding.kind == "seal-damage-not-found"), "{findings:#?}");
        findings.into_iter().map(|finding| (finding.severity, finding.object)).collect()
    }

    const MODIFIED: &str = "artifact-modified data/x";

    #[test]
    fn damage_that_is_still_there_is_told_of_once() {
        let (failure, notice) = (Severity::Failure, Severity::Notice);
        assert_eq!(said(&[&[], &[MODIFIED]], &[(failure, "artifact-modified", "data/x")]), []);
        assert_eq!(said(&[&[MODIFIED]], &[(failure, "artifact-missing", "data/x")]), [], "it is gone altogether since");
        assert_eq!(said(&[&["file-not-covered notes.txt"]], &[(notice, "file-not-covered", "notes.txt")]), []);
    }

    #[test]
    fn damage_that_is_not_there_leaves_nobody_who_signed_for_the_case_until_it_is_sealed_again() {
        let (first, second) = ("custody/seals/0001.json".to_owned(), "custody/seals/0002.json".to_owned());
        assert_eq!(said(&[&[MODIFIED]], &[]), [(Severity::Gap, first.clone())]);
        assert_eq!(
            said(&[&[MODIFIED]], &[(Severity::Notice, "artifact-contradicted", "data/x")]),
            [(Severity::Gap, first.clone())]
        );
        assert_eq!(said(&[&[MODIFIED], &[]], &[]), [(Severity::Notice, first)]);
        assert_eq!(said(&[&[MODIFIED], &[MODIFIED]], &[]), [(Severity::Gap, second)], "once, by the last who says so");
    }

    #[test]
    fn losses_of_seals_that_were_made_good_are_nothing() {
        let losses = ["seal-unsigned custody/seals/0001.json", "tag-file-missing custody/checkpoints/0001.json.sig"];
        assert_eq!(said(&[&[], &losses], &[]), []);
    }
}
