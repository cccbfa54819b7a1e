//! The time-stamp of a seal.

use crate::model::{Finding, Severity};
use crate::seal::{AuthorityRoots, SealFile, StampProblem, check_stamp};

use super::report::{SealReport, SignatureState};

/// Checks the time-stamp of a seal, if it has one.
pub(super) fn check(seal: &SealFile, roots: Option<&AuthorityRoots>, report: &mut SealReport, findings: &mut Vec<Finding>) {
    let (Some(statement), Some(response)) = (&seal.statement, &seal.timestamp) else { return };
    let mut find =
        |severity, kind, detail: &str| findings.push(Finding::new(severity, kind, &format!("{}.tsr", seal.path), detail));
    match check_stamp(statement, response, roots) {
        Ok(stamp) => {
            report.timestamp = SignatureState::Valid;
            report.stamped = Some(stamp.time);
            match stamp.trusted {
                Some(true) => {}
                Some(false) => {
                    report.timestamp = SignatureState::Invalid;
                    let detail = "Its authority's certificate did not lead to any of the roots you gave at the time it names.";
                    find(Severity::Failure, "timestamp-untrusted", detail);
                }
                None => {
                    let detail = "Nobody vouched for the authority that stamped the time. The stamp is over exactly this seal; \
                                  give the authority's root certificate with --tsa-roots to check who made it.";
                    find(Severity::Notice, "timestamp-authority-unknown", detail);
                }
            }
        }
        Err(StampProblem::NotChecked) => {
            report.timestamp = SignatureState::Unchecked;
            find(Severity::Notice, "timestamp-not-checked", &format!("{}.", StampProblem::NotChecked));
        }
        Err(problem) => {
            report.timestamp = SignatureState::Invalid;
            find(Severity::Failure, "timestamp-invalid", &format!("The time-stamp does not hold: {problem}."));
        }
    }
}
