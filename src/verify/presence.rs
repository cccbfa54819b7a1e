//! What lies in a case, whatever its ledger says.

use crate::case::{CaseError, CaseFiles, Found};

use super::fingerprint::{Fingerprint, Keys};

/// What lies in a case.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Of the paths of its artifacts.
    pub(super) payload: Fingerprint,
    /// All other files.
    pub(super) tags: Vec<String>,
    pub(super) foreign: Vec<(String, &'static str)>,
}

impl Presence {
    pub(super) fn look(files: &dyn CaseFiles, keys: &Keys) -> Result<Self, CaseError> {
        let mut there = Self::default();
        files.walk(&mut |found| match found {
            Found::File { path } if path.starts_with("data/") => there.payload.add(keys, path),
            Found::File { path } => there.tags.push(path.to_owned()),
            Found::Foreign { path, what } => there.foreign.push((path.to_owned(), what)),
        })?;
        Ok(there)
    }
}
