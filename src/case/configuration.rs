//! The settings of a run that came from a file, as the ledger records them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Sha256Hash;

/// Settings of a run that came from a file, not from the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The file, as it was named or found.
    pub file: String,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Hash,
    /// Of its settings, those that were used, by the file's own keys.
    pub settings: BTreeMap<String, Setting>,
}

/// The value of one setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// A text or a path.
    Text(String),
    /// Several texts.
    Several(Vec<String>),
    /// A number.
    Number(u64),
}
