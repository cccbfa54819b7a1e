//! What verification reports: a finding, with its code and its weight.

use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something was changed, removed or forged.
    Failure,
    /// Something cannot be proven.
    Gap,
    /// Something to know; it takes nothing from the proof.
    Notice,
}

/// Something wrong or notable that verification reports. docs/verification.md explains every kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// Its stable code.
    pub kind: String,
    /// What it is about: `s3://…`, a path in the case, or a trail's ARN with account and region.
    pub object: String,
    /// What was found, in a sentence.
    pub detail: String,
}

impl Finding {
    /// A finding about `object`, whose text is made fit for a terminal.
    #[must_use]
    pub fn new(severity: Severity, kind: &str, object: &impl ToString, detail: &str) -> Self {
        Self {
            severity,
            kind: kind.to_owned(),
            object: super::printable(&object.to_string()),
            detail: super::printable(detail),
        }
    }
}
