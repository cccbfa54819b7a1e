//! The time-stamp of a seal.

use crate::model::{Finding, Severity, Timestamp};
use crate::seal::{AuthorityRoots, SealFile, StampProblem, check_stamp, is_authority_trusted_at};

use super::report::{RenewalReport, SealReport, SignatureState};

/// Checks the time-stamp of a seal, if it has one, and its renewals.
pub(super) fn check(seal: &SealFile, roots: Option<&AuthorityRoots>, report: &mut SealReport, findings: &mut Vec<Finding>) {
    let (Some(statement), Some(response)) = (&seal.statement, &seal.timestamp) else { return };
    (report.timestamp, report.stamped) = check_one(statement, response, &format!("{}.tsr", seal.path), roots, findings);
    let mut before = (response, report.timestamp);
    for (at, renewal) in seal.renewals.iter().enumerate() {
        let place = seal.renewal_path(at);
        let (state, time) = check_one(&seal.stamped_before(at), renewal, &place, roots, findings);
        if let (Some(roots), Some(time), (renewed, SignatureState::Valid), SignatureState::Valid) = (roots, time, before, state)
            && !is_authority_trusted_at(renewed, roots, time)
        {
            let detail = format!(
                "It was made {time}, when the certificate of the authority whose stamp it renews had ended: that the one before was \
                 there while only that authority could have made it, it does not show."
            );
            findings.push(Finding::new(Severity::Gap, "timestamp-renewed-late", &place, &detail));
        }
        before = (renewal, state);
        report.renewals.push(RenewalReport { file: place, timestamp: state, stamped: time });
    }
}

/// The time of a stamp that holds, if its authority is vouched for.
pub(super) fn trusted_time(
    roots: Option<&AuthorityRoots>,
    state: SignatureState,
    time: Option<Timestamp>,
) -> Option<Timestamp> {
    time.filter(|_| roots.is_some() && state == SignatureState::Valid)
}

/// Checks one time-stamp over `statement`, which lies at `place`.
pub(super) fn check_one(
    statement: &[u8],
    response: &[u8],
    place: &str,
    roots: Option<&AuthorityRoots>,
    findings: &mut Vec<Finding>,
) -> (SignatureState, Option<Timestamp>) {
    let mut find = |severity, kind, detail: &str| findings.push(Finding::new(severity, kind, &place, detail));
    let mut state = SignatureState::Valid;
    match check_stamp(statement, response, roots) {
        Ok(stamp) => {
            match stamp.trusted {
                Some(true) => {}
                Some(false) => {
                    state = SignatureState::Invalid;
                    let detail = "Its authority's certificate did not lead to any of the roots you gave at the time it names.";
                    find(Severity::Failure, "timestamp-untrusted", detail);
                }
                None => {
                    let detail = "Nobody vouched for the authority that stamped the time. The stamp is over exactly this seal; \
                                  give the authority's root certificate with --tsa-roots to check who made it.";
                    find(Severity::Notice, "timestamp-authority-unknown", detail);
                }
            }
            (state, Some(stamp.time))
        }
        Err(StampProblem::NotChecked) => {
            // Who said whom to trust asked for more than a notice.
            let severity = if roots.is_some() { Severity::Gap } else { Severity::Notice };
            find(severity, "timestamp-not-checked", &format!("{}.", StampProblem::NotChecked));
            (SignatureState::Unchecked, None)
        }
        Err(problem) => {
            find(Severity::Failure, "timestamp-invalid", &format!("The time-stamp does not hold: {problem}."));
            (SignatureState::Invalid, None)
        }
    }
}
