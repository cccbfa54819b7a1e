//! The file that says which case this is: damaged or gone, it is a finding, and the rest is checked without it.

use crate::case::{CASE_TOML, CaseError, CaseFiles, CaseIdentity, read_bounded, read_identity};
use crate::model::{Finding, Severity, Sha256Hash};

use super::artifacts::is_trouble;

/// The identity, or a finding: a damaged `case.toml` must not keep the rest from being checked.
pub(super) fn read(files: &dyn CaseFiles, findings: &mut Vec<Finding>) -> Result<Option<CaseIdentity>, CaseError> {
    match read_identity(files) {
        Ok(identity) => Ok(Some(identity)),
        Err(CaseError::Malformed { problem, .. }) => {
            findings.push(Finding::new(
                Severity::Failure,
                "case-file-malformed",
                &CASE_TOML,
                &format!("It does not read: {problem}."),
            ));
            Ok(None)
        }
        Err(error) if error.is_changed_member() => {
            let detail = "It does not read: its bytes are not those that were packed.";
            findings.push(Finding::new(Severity::Failure, "case-file-malformed", &CASE_TOML, detail));
            Ok(None)
        }
        Err(error) if error.is_not_found() => {
            findings.push(Finding::new(Severity::Failure, "case-file-missing", &CASE_TOML, "It is not there."));
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

/// Its hash, if it can be had; an error if only the system could not read it.
pub(super) fn hash(files: &dyn CaseFiles) -> Result<Option<Sha256Hash>, CaseError> {
    match read_bounded(files, CASE_TOML, 64 * 1024 * 1024) {
        Ok(bytes) => Ok(Some(Sha256Hash::of(&bytes))),
        Err(CaseError::Io(refused)) if is_trouble(&refused.source) => Err(refused.into()),
        Err(_) => Ok(None),
    }
}
