//! Who deleted or overwrote what, and when, as far as the evidence says.

use std::collections::BTreeMap;

use crate::model::{Finding, Severity};
use crate::verify::artifacts::Checked;

use super::logs::LogVerdicts;

/// Adds to every failure about a log or digest what delete markers and events tell of it.
pub(super) fn add(checked: &Checked, verdicts: &LogVerdicts<'_>, findings: &mut [Finding]) {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for marker in &checked.delete_markers {
        let at = marker.at.map_or_else(String::new, |at| format!(" of {at}"));
        let trace = format!("The listing of versions shows its delete marker {}{at}.", marker.version_id);
        told.entry(marker.location.to_string()).or_default().push(trace);
    }
    for event in &checked.object_events {
        let sure = if verdicts.is_proven(&event.telling.witness) { "" } else { " The log that says so is itself not proven." };
        let trace = format!("{}.{sure}", event.telling.describe());
        told.entry(event.location.to_string()).or_default().push(trace);
    }
    for traces in told.values_mut() {
        traces.sort();
        traces.dedup();
    }
    for finding in findings.iter_mut().filter(|finding| finding.severity == Severity::Failure) {
        for trace in told.get(&finding.object).into_iter().flatten() {
            finding.detail = crate::model::printable(&format!("{} {trace}", finding.detail));
        }
    }
}
