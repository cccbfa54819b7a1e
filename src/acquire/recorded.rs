//! What the ledger says of files that are not in the case any more.

use std::hash::{BuildHasher as _, RandomState};
use std::io::BufReader;

use crate::case::event::{Event, Origin};
use crate::case::ledger::read_ledger;
use crate::case::{CaseError, CaseFiles as _, CaseFolder, LEDGER};
use crate::model::{PayloadPath, Sha256Hash};

/// The hashes that a ledger names of the objects that were stored, half of each: still none that anybody could aim at.
///
/// They are wanted only where a file is lost, and a million of them must fit.
#[derive(Debug, Default)]
pub(crate) struct RecordedHashes {
    hasher: RandomState,
    /// In the order of their paths' hashes.
    known: Vec<(u64, [u8; 16])>,
}

impl RecordedHashes {
    /// Reads the ledger, to which somebody may be appending.
    pub(crate) fn read(folder: &CaseFolder) -> Result<Self, CaseError> {
        let mut hashes = Self::default();
        let reader = BufReader::with_capacity(64 * 1024, folder.open(LEDGER)?);
        read_ledger(reader, &folder.describe(LEDGER), &mut |line| {
            if let Event::ArtifactAcquired(artifact) = &line.entry.event
                && matches!(artifact.source, Origin::S3Object(_))
            {
                hashes.add(&artifact.path, artifact.sha256);
            }
        })?;
        hashes.sort();
        Ok(hashes)
    }

    fn add(&mut self, path: &PayloadPath, sha256: Sha256Hash) {
        self.known.push((self.hasher.hash_one(path.as_str()), half(sha256)));
    }

    /// Of what was recorded twice, the first counts.
    fn sort(&mut self) {
        self.known.sort_by_key(|(path, _)| *path);
        self.known.dedup_by_key(|(path, _)| *path);
    }

    /// Whether these are the bytes that were stored under this path.
    pub(crate) fn are(&self, path: &PayloadPath, sha256: Sha256Hash) -> bool {
        let path = self.hasher.hash_one(path.as_str());
        let found = self.known.binary_search_by_key(&path, |(path, _)| *path).ok().and_then(|place| self.known.get(place));
        found.is_some_and(|(_, recorded)| *recorded == half(sha256))
    }
}

fn half(sha256: Sha256Hash) -> [u8; 16] {
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(sha256.as_bytes()) {
        *to = *from;
    }
    half
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::S3Location;

    #[test]
    fn only_the_bytes_that_were_recorded_first_are_those_of_a_path() {
        let path = |key: &str| PayloadPath::for_object(&S3Location::new("example-logs", key));
        let (first, other) = (Sha256Hash::of(b"first"), Sha256Hash::of(b"other"));
        let mut hashes = RecordedHashes::default();
        for (key, sha256) in [("b", other), ("a", first), ("c", other), ("a", other)] {
            hashes.add(&path(key), sha256);
        }
        hashes.sort();
        assert!(hashes.are(&path("a"), first) && hashes.are(&path("b"), other));
        assert!(!hashes.are(&path("a"), other) && !hashes.are(&path("d"), other));
    }
}
