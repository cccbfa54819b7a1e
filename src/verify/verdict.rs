//! What findings come to: which of them are failures, and the one word for all.

use crate::case::event::KeyComparison;
use crate::model::{Finding, Severity};

use super::report::{Report, Verdict};

/// Strictly, a notice is as good as a gap: it makes nothing a failure, but nothing notable passes.
pub(super) fn verdict(findings: &[Finding], strict: bool) -> Verdict {
    match findings.iter().map(|finding| finding.severity).min() {
        Some(Severity::Failure) => Verdict::Fail,
        Some(Severity::Gap) => Verdict::Incomplete,
        Some(Severity::Notice) if strict => Verdict::Incomplete,
        Some(Severity::Notice) | None => Verdict::Pass,
    }
}

/// The failures among what was found so far, each once.
pub(super) fn failures_of(findings: &[Finding]) -> Vec<Finding> {
    let mut failures: Vec<Finding> = findings.iter().filter(|finding| finding.severity == Severity::Failure).cloned().collect();
    failures.sort();
    failures.dedup();
    failures
}

impl Report {
    /// Takes in what AWS said of its keys when it was asked again.
    pub fn take_keys(&mut self, comparison: KeyComparison, findings: Vec<Finding>, strict: bool) {
        self.online = Some(comparison);
        self.findings.extend(findings);
        self.findings.sort();
        self.verdict = verdict(&self.findings, strict);
    }
}
