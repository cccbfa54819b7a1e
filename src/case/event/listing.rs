//! What was looked through, and whether to its end.

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, Region};

/// `listing.recorded`: what was found under a prefix, and how much of it is in scope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// The evidence source.
    pub source: String,
    /// The account whose evidence it is, where the listing is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The region whose evidence it is, where the listing is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The bucket.
    pub bucket: String,
    /// The prefix.
    pub prefix: String,
    /// Keys after this one were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_after: Option<String>,
    /// Objects listed.
    pub listed: u64,
    /// Of these, objects in scope.
    pub in_scope: u64,
    /// Bytes of the objects in scope.
    pub bytes: u64,
    /// Response pages, each an artifact.
    pub pages: u32,
    /// How keys were chosen: the rule and the slack around the window.
    pub rule: String,
    /// Whether the listing came to its end. Ledgers of before it was said do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<bool>,
}

/// How the rule of a listing begins that goes through the folders of some days alone.
const OF_DAYS: &str = "day folders";
/// How the rule of a listing of earlier versions begins.
const OF_VERSIONS: &str = "noncurrent versions";

impl Listing {
    /// The rule of a listing of earlier versions whose keys are chosen by this one.
    #[must_use]
    pub fn rule_for_versions(rule: &str) -> String {
        format!("{OF_VERSIONS}, where the key is in scope; {rule}")
    }

    /// The rule of a listing that goes through the folders of some days alone.
    #[must_use]
    pub fn rule_for_days(rule: &str) -> String {
        format!("{OF_DAYS} {rule}")
    }

    /// Whether only the folders of some days were gone through, and in them what is stamped with a time around the window.
    #[must_use]
    pub fn is_of_days(&self) -> bool {
        self.rule.starts_with(OF_DAYS)
    }

    /// Whether the listing came to its end, as far as the line says it: an older one that has no page did not. Where it has some, only a gap
    /// of the same run about the place tells that it did not.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole.unwrap_or(self.pages > 0)
    }

    /// Whether versions were listed, and not the objects that there are.
    #[must_use]
    pub fn is_of_versions(&self) -> bool {
        self.rule.starts_with(OF_VERSIONS)
    }
}
