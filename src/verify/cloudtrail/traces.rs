//! Who deleted or overwrote what, and when, as far as the evidence says.

use std::collections::BTreeMap;

use crate::model::{Finding, Severity};
use crate::verify::artifacts::Checked;

use super::logs::LogVerdicts;

/// How many traces one finding tells of; whoever writes to the bucket can leave any number.
const TOLD: usize = 20;

/// Adds to every failure about a log or digest, and to what somebody had deleted, what delete markers and events tell of it.
pub(super) fn add(checked: &Checked, verdicts: &LogVerdicts, findings: &mut [Finding]) {
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
    let told: BTreeMap<String, String> = told.into_iter().map(|(object, traces)| (object, joined(traces))).collect();
    let is_told = |finding: &&mut Finding| finding.severity == Severity::Failure || finding.kind == "file-deleted";
    for finding in findings.iter_mut().filter(is_told) {
        if let Some(traces) = told.get(&finding.object) {
            finding.detail.push_str(traces);
        }
    }
}

/// The traces of one object in words, the first in order.
fn joined(mut traces: Vec<String>) -> String {
    traces.sort();
    traces.dedup();
    let more = traces.len().saturating_sub(TOLD);
    traces.truncate(TOLD);
    if more > 0 {
        traces.push(format!("The case holds {more} more such traces of it."));
    }
    crate::model::printable(&format!(" {}", traces.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_tells_of_so_many_traces_and_counts_the_rest() {
        let traces: Vec<String> = (0..1_000).chain(0..1_000).map(|number| format!("Trace {number:04}.")).collect();
        let text = joined(traces);
        assert!(text.starts_with(" Trace 0000. Trace 0001."), "{text}");
        assert!(text.ends_with(" Trace 0019. The case holds 980 more such traces of it."), "{text}");
        assert_eq!(joined(vec!["One.".to_owned()]), " One.");
    }
}
