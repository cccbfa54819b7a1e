//! Whether somebody vouched for the keys that signed, under the names they signed with.

use crate::model::{Finding, Severity, Timestamp};
use crate::seal::{AllowedSigners, Signer, Vouched};

use super::report::{SealReport, SignatureState};

/// How far clocks may be apart before two times contradict each other: those of honest machines are off by minutes, or by the hours of a time zone.
pub(super) const APART: i64 = 86_400;

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
    /// When it existed, by an authority that is trusted.
    pub(super) stamped: Option<Timestamp>,
    /// How it is told of that the key is somebody else's.
    pub(super) misnamed: &'static str,
}

/// What those who were vouched for come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    /// Whether somebody vouched for it; none when nobody was asked.
    pub(super) trusted: Option<bool>,
    /// The names that the allowed signers give the key.
    pub(super) vouched_as: Option<String>,
}

/// Holds what was signed against those who are vouched for.
pub(super) fn judge(signed: &Signed<'_>, allowed: Option<&AllowedSigners>, findings: &mut Vec<Finding>) -> Trust {
    let (Some(allowed), Some(signer)) = (allowed, signed.signer) else { return Trust::default() };
    if signed.signature != SignatureState::Valid {
        return Trust { trusted: Some(false), vouched_as: None };
    }
    // What its maker says of the time, its maker can make up; an authority's word outweighs it.
    let vouched = allowed.vouch(signer, signed.principal, signed.stamped.unwrap_or(signed.said));
    let mut find = |severity, kind, detail: &str| findings.push(Finding::new(severity, kind, &signed.place, detail));
    let names = match vouched {
        Vouched::No => None,
        Vouched::Yes { names, .. } | Vouched::AtAnotherTime { names } | Vouched::UnderAnotherName { names } => Some(names),
    };
    match vouched {
        Vouched::Yes { names, for_a_time: true } if signed.stamped.is_none() => {
            let detail = format!(
                "The allowed signers you gave have its key ({names}) for a time only, and that it was signed in that time its signer's own \
                 clock says and nothing else: no time-stamp by an authority that you trust (--tsa-roots) does."
            );
            find(Severity::Notice, "signing-time-unproven", &detail);
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
    Trust { trusted: Some(matches!(vouched, Vouched::Yes { .. })), vouched_as: names.map(str::to_owned) }
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
        for report in reports.iter().filter(|report| is_valid(report) && report.trusted != Some(true)) {
            let detail = if report.vouched_as.is_some() {
                "The allowed signers you gave do not have the key of this seal under its name and for its time; they do have that of another."
            } else {
                "The key of this seal is not among the allowed signers you gave; that of another seal is."
            };
            find(Severity::Notice, "seal-signer-unknown", &report.file, detail);
        }
    } else if !reports.iter().any(|report| report.signature == SignatureState::Unchecked) {
        let detail = if reports.iter().any(|report| report.vouched_as.is_some()) {
            "None of the keys that sealed this case is among the allowed signers you gave under the name it sealed with and for that time."
        } else {
            "None of the keys that sealed this case is among the allowed signers you gave."
        };
        find(Severity::Failure, "seal-untrusted", "custody/seals", detail);
    }
}

/// Whether the time that the signer says fits what it covers and what an authority stamped.
pub(super) fn check_time(
    place: &str,
    said: Timestamp,
    covers: Option<Timestamp>,
    stamped: Option<Timestamp>,
    findings: &mut Vec<Finding>,
) {
    let mut find = |detail: &str| findings.push(Finding::new(Severity::Failure, "seal-time-mismatch", &place, detail));
    if let Some(covers) = covers.filter(|covers| said.plus_seconds(APART) < *covers) {
        find(&format!("It says that it was sealed {said}, and it covers a line of the ledger that was written {covers}."));
    }
    if let Some(stamped) = stamped.filter(|stamped| stamped.plus_seconds(APART) < said) {
        find(&format!("It says that it was sealed {said}, and a time-stamp says that it was there {stamped}."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn contradictions(said: &str, covers: Option<&str>, stamped: Option<&str>) -> usize {
        let mut findings = Vec::new();
        check_time("seal", at(said), covers.map(at), stamped.map(at), &mut findings);
        findings.len()
    }

    #[test]
    fn clocks_that_are_off_by_minutes_or_a_time_zone_contradict_nothing() {
        let said = "2026-03-02T10:00:00Z";
        assert_eq!(contradictions(said, None, None), 0);
        assert_eq!(contradictions(said, Some("2026-03-01T10:00:00Z"), Some("2026-03-02T10:00:05Z")), 0);
        assert_eq!(contradictions(said, Some("2026-03-02T23:59:00Z"), Some("2026-03-01T20:00:00Z")), 0);
        // A stamp may come at any time afterwards.
        assert_eq!(contradictions(said, Some("2026-03-02T09:00:00Z"), Some("2031-03-02T10:00:05Z")), 0);
    }

    #[test]
    fn a_seal_is_made_after_what_it_covers_and_before_it_is_stamped() {
        assert_eq!(contradictions("2024-06-01T10:00:00Z", Some("2026-03-02T10:00:00Z"), None), 1);
        assert_eq!(contradictions("2027-06-01T10:00:00Z", None, Some("2026-03-02T10:00:00Z")), 1);
    }
}
