//! Finding members by path without remembering them: names stay in the package, and what leads to them in a scratch file if it is much.

use std::hash::{BuildHasher as _, RandomState};

use crate::case::sorting::{Bytes, Index, Record, Sorting};
use crate::case::{CaseError, Workspace};

/// Where a member's central header lies, by the keyed hash of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    hash: u64,
    /// From the start of the central directory.
    pub(super) central_offset: u32,
    /// Bytes between the name in the local header and the member's own.
    pub(super) extra: u8,
}

impl Record for Place {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.hash.write(bytes);
        bytes.extend_from_slice(&self.central_offset.to_le_bytes());
        bytes.push(self.extra);
    }

    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let (hash, central_offset) = (u64::read(bytes)?, u32::from_le_bytes(bytes.array()?));
        Some(Self { hash, central_offset, extra: bytes.byte()? })
    }
}

/// The members of a package, while it is opened.
#[derive(Debug)]
pub(super) struct Members<'a> {
    workspace: &'a Workspace<'a>,
    state: RandomState,
    by_hash: Sorting<Place>,
    /// Hashes of all paths and of the folders above them, case folded.
    folded: Sorting<u64>,
    previous: String,
    count: usize,
}

impl<'a> Members<'a> {
    pub(super) fn new(workspace: &'a Workspace<'a>) -> Self {
        Self {
            workspace,
            state: RandomState::new(),
            by_hash: Sorting::new(workspace),
            folded: Sorting::new(workspace),
            previous: String::new(),
            count: 0,
        }
    }

    /// Adds the next member; paths come in ascending order.
    pub(super) fn add(&mut self, path: &str, central_offset: u32, extra: u8) {
        self.count += 1;
        self.by_hash.push(Place { hash: self.state.hash_one(path), central_offset, extra });
        self.folded.push(folded_hash(&self.state, path));
        // Paths below one folder follow one another, so each folder is met once: where the path leaves the one before.
        let shared = path.bytes().zip(self.previous.bytes()).take_while(|(a, b)| a == b).count();
        for (slash, _) in path.match_indices('/').filter(|(slash, _)| *slash >= shared) {
            let folder = path.get(..slash).unwrap_or_default();
            self.folded.push(folded_hash(&self.state, folder));
        }
        path.clone_into(&mut self.previous);
    }

    /// Ends the adding. Gives with it the hash of two names that are one where case is folded, or of which one is the folder of the other.
    pub(super) fn finish(self) -> Result<(Lookup, Option<u64>), CaseError> {
        let (mut twin, mut previous) = (None, None);
        for hash in self.folded.finish().merge() {
            let hash = Some(hash?);
            if hash == previous {
                twin = hash;
                break;
            }
            previous = hash;
        }
        let sorted = self.by_hash.finish();
        let large = sorted.is_on_disk();
        let by_hash = Index::new(sorted.merge(), large, self.workspace)?;
        Ok((Lookup { state: self.state, by_hash, count: self.count }, twin))
    }
}

/// The members of a package, by the keyed hash of their paths.
#[derive(Debug)]
pub(super) struct Lookup {
    state: RandomState,
    by_hash: Index<Place>,
    count: usize,
}

impl Lookup {
    pub(super) fn folded_hash(&self, path: &str) -> u64 {
        folded_hash(&self.state, path)
    }

    /// Members that may be the one at `path`; almost always one or none. Whoever asks compares the name.
    pub(super) fn candidates(&self, path: &str) -> Result<impl Iterator<Item = Place> + use<>, CaseError> {
        let wanted = self.state.hash_one(path);
        let found = self.by_hash.equal(|place| place.hash.cmp(&wanted))?;
        Ok(found.into_iter().map(|(_, place)| place))
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }
}

fn folded_hash(state: &RandomState, path: &str) -> u64 {
    state.hash_one(path.to_ascii_lowercase())
}
