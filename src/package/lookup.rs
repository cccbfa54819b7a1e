//! Finding members by path in a few bytes a member: names stay in the file.

use std::hash::{BuildHasher as _, RandomState};

/// Where a member's bytes lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) data_offset: u64,
    pub(super) size: u64,
    /// From the start of the central directory.
    pub(super) central_offset: u32,
    pub(super) crc: u32,
}

/// The members of a package, by the keyed hash of their paths.
#[derive(Debug)]
pub(super) struct Lookup {
    state: RandomState,
    members: Vec<Member>,
    /// Hash of the path and place in `members`, sorted.
    by_hash: Vec<(u64, u32)>,
    /// Hashes of all paths and of the folders above them, case folded; while the package is opened.
    folded: Vec<u64>,
    previous: String,
}

impl Lookup {
    pub(super) fn with_capacity(members: usize) -> Self {
        Self {
            state: RandomState::new(),
            members: Vec::with_capacity(members),
            by_hash: Vec::with_capacity(members),
            folded: Vec::with_capacity(members),
            previous: String::new(),
        }
    }

    /// Adds the next member; paths come in ascending order.
    pub(super) fn add(&mut self, path: &str, member: Member) {
        let at = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        self.members.push(member);
        self.by_hash.push((self.state.hash_one(path), at));
        self.folded.push(self.folded_hash(path));
        // Paths below one folder follow one another, so each folder is met once: where the path leaves the one before.
        let shared = path.bytes().zip(self.previous.bytes()).take_while(|(a, b)| a == b).count();
        for (slash, _) in path.match_indices('/').filter(|(slash, _)| *slash >= shared) {
            let folder = path.get(..slash).unwrap_or_default();
            self.folded.push(self.folded_hash(folder));
        }
        path.clone_into(&mut self.previous);
    }

    pub(super) fn folded_hash(&self, path: &str) -> u64 {
        self.state.hash_one(path.to_ascii_lowercase())
    }

    /// Ends the adding. Gives the hash of two names that are one where case is folded, or of which one is the folder of the other.
    pub(super) fn finish(&mut self) -> Option<u64> {
        self.by_hash.sort_unstable();
        let mut folded = std::mem::take(&mut self.folded);
        folded.sort_unstable();
        folded.array_windows().find(|[a, b]| a == b).map(|[twin, _]| *twin)
    }

    /// Members that may be the one at `path`; almost always one or none. Whoever asks compares the name.
    pub(super) fn candidates(&self, path: &str) -> impl Iterator<Item = Member> + '_ {
        let hash = self.state.hash_one(path);
        let from = self.by_hash.partition_point(|(other, _)| *other < hash);
        let same = self.by_hash.get(from..).unwrap_or_default().iter().take_while(move |(other, _)| *other == hash);
        same.filter_map(|(_, at)| self.members.get(usize::try_from(*at).ok()?).copied())
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }
}
