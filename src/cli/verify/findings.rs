//! Findings by weight: what each is, what it is of, and once what several have in common.

use std::collections::HashMap;

use crate::model::{Finding, Severity};

use super::super::output::{Output, width, wrapped};

/// How many findings of a kind are shown unless everything is.
const SHOWN: usize = 3;

/// The findings of one weight under their title.
pub(super) fn lines(findings: &[Finding], severity: Severity, verbose: bool) -> Vec<String> {
    let chosen: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == severity).collect();
    if chosen.is_empty() {
        return Vec::new();
    }
    let title = match severity {
        Severity::Failure => "Changed, removed or forged",
        Severity::Gap => "Cannot be proven",
        Severity::Notice => "To know",
    };
    let mut lines = vec![String::new(), Output::bold(&format!("{title} ({})", chosen.len()))];
    let mut at = 0;
    while let Some(first) = chosen.get(at) {
        let same = chosen.iter().skip(at).take_while(|finding| finding.kind == first.kind).count();
        let groups = by_detail(chosen.get(at..at + same).unwrap_or_default());
        let shown = if verbose { groups.len() } else { groups.len().min(SHOWN) };
        for (detail, objects) in groups.iter().take(shown) {
            let named = if verbose { objects.len() } else { objects.len().min(SHOWN) };
            lines.extend(object_lines(&first.kind, objects.get(..named).unwrap_or_default()));
            if named < objects.len() {
                lines.push(format!("  {}  and {} more of the same (--verbose shows all)", first.kind, objects.len() - named));
            }
            lines.push(wrapped(detail, "      "));
        }
        if shown < groups.len() {
            lines.push(format!("  {}  and {} more (--verbose shows all)", first.kind, groups.len() - shown));
        }
        at += same;
    }
    lines
}

/// What a finding is of, after its kind; below it where the line would be too wide, and then what several objects begin with once.
fn object_lines(kind: &str, objects: &[&str]) -> Vec<String> {
    let beside: Vec<String> = objects.iter().map(|object| format!("  {kind}  {object}")).collect();
    if beside.iter().all(|line| line.chars().count() <= width()) {
        return beside;
    }
    let mut lines = vec![format!("  {kind}")];
    let mut before = "";
    for object in objects {
        // An ARN has no blanks; what follows it is where in the account. A name in a bucket may have some.
        let (thing, place) = object.split_once(' ').filter(|_| object.starts_with("arn:")).unwrap_or((object, ""));
        if thing != before {
            lines.push(format!("    {thing}"));
            before = thing;
        }
        if !place.is_empty() {
            lines.push(wrapped(place, "    "));
        }
    }
    lines
}

/// Findings that say the same of several objects, such as a trail's regions, are told once.
fn by_detail<'a>(findings: &[&'a Finding]) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for finding in findings {
        let place = *places.entry(finding.detail.as_str()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, objects)) => objects.push(&finding.object),
            None => groups.push((&finding.detail, vec![&finding.object])),
        }
    }
    groups
}
