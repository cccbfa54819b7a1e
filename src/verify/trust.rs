//! Whether somebody vouched for the keys that signed, under the names they signed with.

use crate::case::Order;
use crate::model::{Finding, Severity, Timestamp, counted};
use crate::seal::{AllowedSigners, SealedBy, SignatureProblem, Signer, Vouched, verify_signature};

use super::report::{SealReport, SignatureState};

/// How it is told of that nothing but its signer's own clock says that a key signed in the time for which it is vouched for.
pub(super) const UNPROVEN: &str = "signing-time-unproven";

/// A statement that somebody is to have signed.
pub(super) struct Statement<'a> {
    /// Its file.
    pub(super) place: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) signature: Option<&'a [u8]>,
    /// The key that it names, where it could be read.
    pub(super) names: Option<&'a SealedBy>,
    /// How it is told of that there is no signature, where that is not said already.
    pub(super) unsigned: Option<(&'static str, &'static str)>,
    /// How it is told of that the signature does not hold.
    pub(super) invalid: &'static str,
    /// How it is told of that another key signed than it names.
    pub(super) by_another: &'static str,
}

/// Whether the key that the statement names signed it, and which key did.
pub(super) fn check_signature(statement: &Statement<'_>, findings: &mut Vec<Finding>) -> (SignatureState, Option<Signer>) {
    let mut fail = |kind: &str, detail: &str| findings.push(Finding::new(Severity::Failure, kind, &statement.place, detail));
    let (state, signer) = match statement.signature.map(|signature| verify_signature(statement.bytes, signature)) {
        None => {
            if let Some((kind, detail)) = statement.unsigned {
                fail(kind, detail);
            }
            (SignatureState::Absent, None)
        }
        Some(Ok(signer)) => (SignatureState::Valid, Some(signer)),
        Some(Err(SignatureProblem::NotChecked { signer, .. })) => (SignatureState::Unchecked, signer.map(|signer| *signer)),
        Some(Err(problem)) => {
            fail(statement.invalid, &format!("Its signature does not hold: {problem}."));
            (SignatureState::Invalid, None)
        }
    };
    if let (Some(signer), Some(named)) = (&signer, statement.names)
        && (signer.public_key != named.public_key || signer.fingerprint != named.fingerprint)
    {
        fail(statement.by_another, "It was signed with another key than the one it names.");
    }
    if state == SignatureState::Unchecked {
        findings.push(not_checked(statement.place));
    }
    (state, signer)
}

/// A signature that is checked with `ssh-keygen` and not here, so that nothing here shows who made it.
pub(super) fn not_checked(what: &str) -> Finding {
    let detail = "Whether its signature holds is not known: it is by a kind of key that ssh-keygen checks and caselock does not. \
                  VERIFY.txt has the command; or let somebody seal it again with another key.";
    Finding::new(Severity::Gap, "signature-not-checked", &what, detail)
}

/// What was signed, and how that is told of.
pub(super) struct Signed<'a> {
    /// The file of what was signed.
    pub(super) place: &'a str,
    /// The key that signed it, where that is known.
    pub(super) signer: Option<&'a Signer>,
    pub(super) signature: SignatureState,
    /// The name that the signer gave.
    pub(super) principal: &'a str,
    /// When it was signed, by the signer's own clock.
    pub(super) said: Timestamp,
    /// A time by which it existed, by an authority that is trusted; it may have been signed long before.
    pub(super) stamped: Option<Timestamp>,
    /// How it is told of that the key is somebody else's.
    pub(super) misnamed: &'static str,
}

/// What those who were vouched for come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// Whether somebody vouched for it; none when nobody was asked, or when the key is vouched for and its signature was not checked.
    pub(super) trusted: Option<bool>,
    /// The names that the allowed signers give the key.
    pub(super) vouched_as: Option<String>,
}

/// Holds what was signed against those who are vouched for.
pub(super) fn judge(signed: &Signed<'_>, allowed: Option<&AllowedSigners>, findings: &mut Vec<Finding>) -> Trust {
    let Some(allowed) = allowed else { return Trust::default() };
    let unchecked = signed.signature == SignatureState::Unchecked;
    let Some(signer) = signed.signer else {
        // A certificate is not read. It can only be that of an authority which the list has.
        let perhaps = unchecked && !allowed.notices().is_empty();
        return Trust { trusted: (unchecked && !perhaps).then_some(false), vouched_as: None };
    };
    if !unchecked && signed.signature != SignatureState::Valid {
        return Trust { trusted: Some(false), vouched_as: None };
    }
    // A stamp shows that it was signed by then, and nothing more: anybody can have one added years later.
    let by = signed.stamped.map_or(signed.said, |stamped| stamped.min(signed.said));
    let vouched = allowed.vouch(signer, signed.principal, by);
    let is_confirmed =
        signed.stamped.is_some_and(|stamped| matches!(allowed.vouch(signer, signed.principal, stamped), Vouched::Yes { .. }));
    let mut find = |severity, kind, detail: &str| findings.push(Finding::new(severity, kind, &signed.place, detail));
    let names = match vouched {
        Vouched::No => None,
        Vouched::Yes { names, .. } | Vouched::AtAnotherTime { names } | Vouched::UnderAnotherName { names } => Some(names),
    };
    match vouched {
        Vouched::Yes { names, for_a_time: true } if !is_confirmed => {
            let detail = format!(
                "The allowed signers you gave have its key ({names}) for a time only, and that it was signed in that time its signer's own \
                 clock says and nothing else: no time-stamp of that time by an authority that you trust (--tsa-roots) does."
            );
            find(Severity::Notice, UNPROVEN, &detail);
        }
        Vouched::UnderAnotherName { names } => {
            let detail = format!(
                "It was signed in the name of {}, and the allowed signers you gave have its key as that of {names}.",
                signed.principal
            );
            find(Severity::Failure, signed.misnamed, &detail);
        }
        _ => {}
    }
    let is_listed = matches!(vouched, Vouched::Yes { .. });
    Trust { trusted: (!unchecked || !is_listed).then_some(is_listed), vouched_as: names.map(str::to_owned) }
}

/// Whether somebody vouched for the keys that sealed.
pub(super) fn of_seals(allowed: Option<&AllowedSigners>, reports: &[SealReport], findings: &mut Vec<Finding>) {
    let mut find = |severity, kind, subject: &str, detail: &str| findings.push(Finding::new(severity, kind, &subject, detail));
    let is_valid = |report: &SealReport| report.signature == SignatureState::Valid;
    if allowed.is_none() {
        if reports.iter().any(is_valid) {
            let detail = "Nobody vouched for the key that sealed the case. The signature proves that whoever holds the key signed \
                          exactly this; compare its fingerprint with what the signer tells you, or give --allowed-signers.";
            find(Severity::Notice, "seal-signer-unknown", "custody/seals", detail);
        }
        return;
    }
    if reports.is_empty() {
        let detail = "You said who may seal, and the case has no seal: none of them vouches for it. Either it was never sealed, or its seals \
                      were taken away.";
        find(Severity::Gap, "seal-absent", "custody/seals", detail);
    } else if reports.iter().any(|report| report.trusted == Some(true)) {
        let may_hold = |report: &&SealReport| is_valid(report) || report.signature == SignatureState::Unchecked;
        for report in reports.iter().filter(may_hold).filter(|report| report.trusted == Some(false)) {
            let detail = if report.vouched_as.is_some() {
                "The allowed signers you gave do not have the key of this seal under its name and for its time; they do have that of another."
            } else {
                "The key of this seal is not among the allowed signers you gave; that of another seal is."
            };
            find(Severity::Notice, "seal-signer-unknown", &report.file, detail);
        }
    } else if !reports.iter().any(|report| report.signature == SignatureState::Unchecked && report.trusted.is_none()) {
        let detail = if reports.iter().any(|report| report.vouched_as.is_some()) {
            "None of the keys that sealed this case is among the allowed signers you gave under the name it sealed with and for that time."
        } else {
            "None of the keys that sealed this case is among the allowed signers you gave."
        };
        find(Severity::Failure, "seal-untrusted", "custody/seals", detail);
    }
}

/// What was signed at a time that its signer says, and what else tells of that time.
pub(super) struct Dated<'a> {
    /// The file of what was signed.
    pub(super) place: &'a str,
    /// How it is told of that the times contradict each other.
    pub(super) kind: &'static str,
    /// What was done then.
    pub(super) done: &'static str,
    /// When that was, by the signer's own clock.
    pub(super) said: Timestamp,
    /// What must have been before, each with its time, which ends the sentence.
    pub(super) after: &'a [(Timestamp, &'a str)],
    /// When it existed, by an authority that is trusted: anybody can have a stamp of any time made by an authority of their own.
    pub(super) stamped: Option<Timestamp>,
    /// By how many seconds a clock was ahead that the case was collected by, as its ledger says.
    pub(super) ahead: i64,
}

/// Whether the time that the signer says fits what must have been before it and what an authority stamped.
pub(super) fn check_time(dated: &Dated<'_>, findings: &mut Vec<Finding>) {
    let Dated { done, said, ahead, .. } = *dated;
    let mut compare = |earlier: Timestamp, later: Timestamp, mut detail: String| {
        let severity = match Order::of(earlier, later, ahead) {
            Order::Holds => return,
            Order::Explained => Severity::Notice,
            Order::Contradicted => Severity::Failure,
        };
        if severity == Severity::Notice {
            let hours = counted(u64::try_from(ahead / 3600).unwrap_or_default(), "hour");
            for part in
                [" The ledger says that a clock by which the case was collected was ", &hours, " ahead, which explains it."]
            {
                detail.push_str(part);
            }
        }
        findings.push(Finding::new(severity, dated.kind, &dated.place, &detail));
    };
    for (before, what) in dated.after {
        compare(*before, said, format!("It says that it was {done} {said}, and {what} {before}."));
    }
    if let Some(stamped) = dated.stamped {
        let detail = format!("It says that it was {done} {said}, and a time-stamp says that it was there {stamped}.");
        compare(said, stamped, detail);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS: i64 = 86_400;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn found(said: &str, covers: Option<&str>, stamped: Option<&str>, ahead: i64) -> Vec<Severity> {
        let mut findings = Vec::new();
        let after: Vec<(Timestamp, &str)> = covers.map(|covers| (at(covers), "it covers")).into_iter().collect();
        let (place, kind, done) = ("seal", "seal-time-mismatch", "sealed");
        let dated = Dated { place, kind, done, said: at(said), after: &after, stamped: stamped.map(at), ahead };
        check_time(&dated, &mut findings);
        findings.iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn clocks_that_are_off_by_minutes_or_a_time_zone_contradict_nothing() {
        let said = "2026-03-02T10:00:00Z";
        assert_eq!(found(said, None, None, 0), []);
        assert_eq!(found(said, Some("2026-03-01T10:00:00Z"), Some("2026-03-02T10:00:05Z"), 0), []);
        assert_eq!(found(said, Some("2026-03-02T23:59:00Z"), Some("2026-03-01T20:00:00Z"), 0), []);
        // A stamp may come at any time afterwards.
        assert_eq!(found(said, Some("2026-03-02T09:00:00Z"), Some("2031-03-02T10:00:05Z"), 0), []);
    }

    #[test]
    fn a_seal_is_made_after_what_it_covers_and_before_it_is_stamped() {
        assert_eq!(found("2024-06-01T10:00:00Z", Some("2026-03-02T10:00:00Z"), None, 0), [Severity::Failure]);
        assert_eq!(found("2027-06-01T10:00:00Z", None, Some("2026-03-02T10:00:00Z"), 0), [Severity::Failure]);
    }

    #[test]
    fn a_difference_that_the_ledger_explains_is_a_notice_and_a_larger_one_is_not() {
        // Collected by a clock three days fast, sealed by one that is right; and the other way round, stamped.
        assert_eq!(found("2026-03-02T10:00:00Z", Some("2026-03-05T09:00:00Z"), None, 3 * DAYS), [Severity::Notice]);
        assert_eq!(found("2026-03-05T10:00:00Z", None, Some("2026-03-02T10:00:00Z"), 3 * DAYS), [Severity::Notice]);
        assert_eq!(found("2026-03-02T10:00:00Z", Some("2026-03-07T09:00:00Z"), None, 3 * DAYS), [Severity::Failure]);
    }

    fn of(signature: SignatureState, trusted: Option<bool>) -> SealReport {
        SealReport { signature, trusted, ..SealReport::of("custody/seals/0001.json") }
    }

    fn said_of(reports: &[SealReport]) -> Vec<(Severity, String)> {
        let mut findings = Vec::new();
        of_seals(Some(&AllowedSigners::default()), reports, &mut findings);
        findings.into_iter().map(|finding| (finding.severity, finding.kind)).collect()
    }

    #[test]
    fn a_signature_that_is_not_checked_is_no_excuse_for_a_key_that_is_not_listed() {
        let untrusted = [(Severity::Failure, "seal-untrusted".to_owned())];
        assert_eq!(said_of(&[of(SignatureState::Unchecked, Some(false))]), untrusted);
        assert_eq!(said_of(&[of(SignatureState::Unchecked, None)]), []);
        let beside_another = [of(SignatureState::Valid, Some(true)), of(SignatureState::Unchecked, Some(false))];
        assert_eq!(said_of(&beside_another), [(Severity::Notice, "seal-signer-unknown".to_owned())]);
    }

    fn judged(
        line: &str,
        principal: &str,
        signature: SignatureState,
        key: Option<&str>,
    ) -> (Option<bool>, Option<String>, usize) {
        let allowed = AllowedSigners::parse(line).unwrap();
        let signer = key.map(|key| Signer { algorithm: String::new(), fingerprint: String::new(), public_key: key.to_owned() });
        let signed = Signed {
            place: "seal",
            signer: signer.as_ref(),
            signature,
            principal,
            said: at("2026-03-02T10:00:00Z"),
            stamped: None,
            misnamed: "seal-principal-mismatch",
        };
        let mut findings = Vec::new();
        let trust = judge(&signed, Some(&allowed), &mut findings);
        (trust.trusted, trust.vouched_as, findings.len())
    }

    /// What comes of a key that is good in 2026 alone: whether it is trusted, and what is said of its time.
    fn in_its_year(said: &str, stamped: Option<&str>) -> (Option<bool>, Vec<String>) {
        const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBdVnGRvWk9A+h4yd/G7dK/Rup4GuUTqbidg+TAqeN2w";
        let line = format!("a@example.com valid-after=\"20260101Z\",valid-before=\"20270101Z\" {KEY}");
        let allowed = AllowedSigners::parse(&line).unwrap();
        let signer = Signer { algorithm: String::new(), fingerprint: String::new(), public_key: KEY.to_owned() };
        let signed = Signed {
            place: "seal",
            signer: Some(&signer),
            signature: SignatureState::Valid,
            principal: "a@example.com",
            said: at(said),
            stamped: stamped.map(at),
            misnamed: "seal-principal-mismatch",
        };
        let mut findings = Vec::new();
        let trust = judge(&signed, Some(&allowed), &mut findings);
        (trust.trusted, findings.into_iter().map(|finding| finding.kind).collect())
    }

    #[test]
    fn a_stamp_of_the_keys_time_confirms_it_and_a_later_one_is_as_good_as_none() {
        let unproven = (Some(true), vec!["signing-time-unproven".to_owned()]);
        let (within, later) = ("2026-03-02T10:00:00Z", "2031-03-02T10:00:00Z");
        assert_eq!(in_its_year(within, None), unproven);
        assert_eq!(in_its_year(within, Some("2026-03-02T10:00:05Z")), (Some(true), vec![]));
        assert_eq!(in_its_year(within, Some(later)), unproven, "whoever has it may have had it stamped since");
        assert_eq!(in_its_year(later, Some(within)), (Some(true), vec![]), "it was there by then, whatever its clock said");
    }

    #[test]
    fn no_stamp_makes_a_key_good_for_what_was_signed_out_of_its_time() {
        let (early, within, later) = ("2025-03-02T10:00:00Z", "2026-03-02T10:00:00Z", "2031-03-02T10:00:00Z");
        let untrusted = (Some(false), vec![]);
        assert_eq!(in_its_year(later, None), untrusted);
        assert_eq!(in_its_year(later, Some(later)), untrusted);
        assert_eq!(in_its_year(early, Some(within)), untrusted, "it was signed before, and stamped since");
        assert_eq!(in_its_year(within, Some(early)), untrusted, "it was there before the key was good");
    }

    #[test]
    fn of_a_signature_that_is_not_checked_the_key_is_held_against_the_list() {
        const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBdVnGRvWk9A+h4yd/G7dK/Rup4GuUTqbidg+TAqeN2w";
        const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeT/g29uYEGpv7BQdOzvd4hEr0ANoM34VoG0YsSd/5l";
        let (line, name) = (format!("examiner@example.com {KEY}"), "examiner@example.com");
        let unchecked = SignatureState::Unchecked;
        assert_eq!(judged(&line, name, unchecked, Some(KEY)), (None, Some(name.to_owned()), 0));
        assert_eq!(judged(&line, name, unchecked, Some(OTHER)), (Some(false), None, 0));
        assert_eq!(judged(&line, "counsel@example.com", unchecked, Some(KEY)), (Some(false), Some(name.to_owned()), 1));
        // A certificate, whose key is not read.
        assert_eq!(judged(&line, name, unchecked, None), (Some(false), None, 0));
        assert_eq!(judged(&format!("* cert-authority {KEY}"), name, unchecked, None), (None, None, 0));
        assert_eq!(judged(&line, name, SignatureState::Absent, None), (None, None, 0));
    }
}
