//! What verification found, as the tests ask about it.

use std::collections::BTreeSet;

use caselock::model::Severity;
use caselock::verify::Report;
use serde_json::Value;

/// Whether there is a finding of this kind.
pub(crate) fn has(report: &Report, kind: &str) -> bool {
    report.findings.iter().any(|finding| finding.kind == kind)
}

/// The kinds of the findings of a severity.
pub(crate) fn kinds(report: &Report, severity: Severity) -> BTreeSet<&str> {
    of(report, severity).map(|(kind, _)| kind).collect()
}

/// The findings of a severity, as kind and object.
pub(crate) fn of(report: &Report, severity: Severity) -> impl Iterator<Item = (&str, &str)> {
    let of_it = report.findings.iter().filter(move |finding| finding.severity == severity);
    of_it.map(|finding| (finding.kind.as_str(), finding.object.as_str()))
}

/// The findings of a severity in a printed report, as kind and object.
pub(crate) fn printed(report: &Value, severity: &str) -> Vec<(String, String)> {
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let all = report["findings"].as_array().unwrap().iter();
    all.filter(|finding| finding["severity"] == severity)
        .map(|finding| (text(finding, "kind"), text(finding, "object")))
        .collect()
}

/// The kinds of all findings in a printed report.
pub(crate) fn printed_kinds(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}
