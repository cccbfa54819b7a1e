//! Who a case is: written once from a template, and read so strictly that a field nobody knows is an error. What was acquired stands in the
//! ledger alone.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, Region, Timestamp, TrailArn, Window};

use super::CaseError;

/// The version of the case format that this build writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// Largest `case.toml` that is read: far more than people write.
pub(crate) const CASE_TOML_LIMIT: u64 = 1024 * 1024;

const TEMPLATE: &str = include_str!("../../case-template/custody/case.toml");

/// Who the case is, what it asks about, and by whose authority: `custody/case.toml`, written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CaseIdentity {
    /// Version of the case format.
    pub format_version: u32,
    /// The number under which the organization files the case.
    pub case_number: String,
    /// The exhibit's number, if it has one.
    #[serde(default)]
    pub evidence_number: String,
    /// Who acquires the evidence.
    #[serde(default)]
    pub examiner: String,
    /// For which organization.
    #[serde(default)]
    pub organization: String,
    /// By whose authority: a warrant, a consent, an instruction.
    #[serde(default)]
    pub authority: String,
    /// What the case is about.
    #[serde(default)]
    pub description: String,
    /// Anything else.
    #[serde(default)]
    pub notes: String,
    /// When the case folder was made, by this machine's clock.
    pub opened_at: Timestamp,
    /// The window asked about.
    pub window: Window,
    /// What is asked, where.
    pub scope: Scope,
}

/// What a case asks for, and where. An empty list means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scope {
    /// The sources, by name.
    #[serde(default)]
    pub sources: Vec<String>,
    /// The regions.
    #[serde(default)]
    pub regions: Vec<Region>,
    /// The accounts.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
    /// The one trail asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trail_arn: Option<TrailArn>,
    /// The bucket of a trail that AWS no longer knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The key prefix in that bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Whether the whole event history is asked for, not only where no trail covers a region.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lookup_events: bool,
    /// What the event history is asked for besides, as `KEY=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookup_attributes: Vec<String>,
}

/// All that is read of a file before its format is known.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Version {
    format_version: u32,
}

impl CaseIdentity {
    /// Reads `case.toml`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CaseError> {
        let malformed = |problem: String| CaseError::Malformed { path: path.to_owned(), problem };
        // The version first: a later format may well have other fields.
        let version: Version = toml::from_str(text).map_err(|error| malformed(error.message().to_owned()))?;
        if version.format_version != FORMAT_VERSION {
            return Err(malformed(format!(
                "it has case format version {}; this caselock reads version {FORMAT_VERSION}",
                version.format_version
            )));
        }
        toml::from_str(text).map_err(|error| malformed(error.message().to_owned()))
    }

    /// The text of `case.toml`: the template with this case's values.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = TEMPLATE.to_owned();
        let optional = |name: &str, value: Option<String>| {
            value.map_or_else(String::new, |value| format!("{name} = {}\n", quoted(&value)))
        };
        let attributes = &self.scope.lookup_attributes;
        let attributes =
            if attributes.is_empty() { String::new() } else { format!("lookup-attributes = {}\n", quoted_list(attributes)) };
        let values = [
            ("{{format-version}}", self.format_version.to_string()),
            ("{{case-number}}", quoted(&self.case_number)),
            ("{{evidence-number}}", quoted(&self.evidence_number)),
            ("{{examiner}}", quoted(&self.examiner)),
            ("{{organization}}", quoted(&self.organization)),
            ("{{authority}}", quoted(&self.authority)),
            ("{{description}}", quoted(&self.description)),
            ("{{notes}}", quoted(&self.notes)),
            ("{{opened-at}}", quoted(&self.opened_at.to_string())),
            ("{{window-start}}", quoted(&self.window.start().to_string())),
            ("{{window-end}}", quoted(&self.window.end().to_string())),
            ("{{sources}}", quoted_list(&self.scope.sources)),
            ("{{regions}}", quoted_list(&self.scope.regions)),
            ("{{accounts}}", quoted_list(&self.scope.accounts)),
            (
                "{{trail}}\n",
                optional("trail-arn", self.scope.trail_arn.as_ref().map(ToString::to_string))
                    + &optional("bucket", self.scope.bucket.clone())
                    + &optional("prefix", self.scope.prefix.clone())
                    + if self.scope.lookup_events { "lookup-events = true\n" } else { "" }
                    + &attributes,
            ),
        ];
        // One pass: a value that holds another placeholder must stay as it is.
        let mut filled = String::new();
        while let Some(at) = text.find("{{") {
            let rest = text.split_off(at);
            filled.push_str(&text);
            let found = values.iter().find(|(placeholder, _)| rest.starts_with(placeholder));
            let (taken, value) = found.map_or((2, "{{"), |(placeholder, value)| (placeholder.len(), value.as_str()));
            filled.push_str(value);
            rest.get(taken..).unwrap_or_default().clone_into(&mut text);
        }
        filled.push_str(&text);
        filled
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn quoted_list<T: ToString>(values: &[T]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(&value.to_string())).collect();
    format!("[{}]", values.join(", "))
}

#[cfg(test)]
impl CaseIdentity {
    /// The identity of a case of which only the window is known, for tests of other things.
    pub(crate) fn unnamed(window: Window) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            case_number: String::new(),
            evidence_number: String::new(),
            examiner: String::new(),
            organization: String::new(),
            authority: String::new(),
            description: String::new(),
            notes: String::new(),
            opened_at: window.end(),
            window,
            scope: Scope::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> CaseIdentity {
        CaseIdentity {
            format_version: FORMAT_VERSION,
            case_number: "IR-2026-014".to_owned(),
            evidence_number: String::new(),
            examiner: "A. Examiner \"the first\"\n{{notes}}".to_owned(),
            organization: "Example Corp".to_owned(),
            authority: String::new(),
            description: "'''".to_owned(),
            notes: "[scope]\nregions = 1".to_owned(),
            opened_at: "2026-03-01T10:00:00Z".parse().unwrap(),
            window: Window::new("2026-02-28T00:00:00Z".parse().unwrap(), "2026-03-01T00:00:00Z".parse().unwrap()).unwrap(),
            scope: Scope {
                sources: vec!["cloudtrail".to_owned()],
                regions: vec!["us-east-1".parse().unwrap()],
                trail_arn: Some("arn:aws:cloudtrail:us-east-1:111122223333:trail/management-events".parse().unwrap()),
                lookup_events: true,
                lookup_attributes: vec!["Username=a \"b\"".to_owned(), "AccessKeyId=AKIAIOSFODNN7EXAMPLE".to_owned()],
                ..Scope::default()
            },
        }
    }

    #[test]
    fn what_is_written_is_read_back_whatever_the_values_hold() {
        let text = identity().to_toml();
        assert_eq!(CaseIdentity::parse(&text, Path::new("case.toml")).unwrap(), identity(), "{text}");
    }

    #[test]
    fn a_later_format_is_refused_by_its_version() {
        let text = identity().to_toml().replace("format-version = 1", "format-version = 2\nlater = true");
        let refused = CaseIdentity::parse(&text, Path::new("case.toml")).unwrap_err().to_string();
        assert!(refused.contains("version 2"), "{refused}");
    }

    #[test]
    fn unknown_fields_and_reversed_windows_are_refused() {
        let text = identity().to_toml();
        assert!(CaseIdentity::parse(&text.replace("notes = ", "remarks = "), Path::new("case.toml")).is_err());
        assert!(CaseIdentity::parse(&text.replace("2026-02-28T", "2026-03-28T"), Path::new("case.toml")).is_err());
    }
}
