//! The Merkle tree of RFC 9162 section 2.1 over the ledger's lines, with SHA-256.

use sha2::{Digest, Sha256};

use crate::model::Sha256Hash;

/// The hash of a leaf: SHA-256 of `0x00` and the leaf's bytes.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Sha256Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(bytes);
    Sha256Hash::from_bytes(hash.finalize().into())
}

fn node_hash(left: &Sha256Hash, right: &Sha256Hash) -> Sha256Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left.as_bytes());
    hash.update(right.as_bytes());
    Sha256Hash::from_bytes(hash.finalize().into())
}

/// A tree that grows leaf by leaf and keeps only the roots of its complete subtrees.
#[derive(Clone, Debug, Default)]
pub struct MerkleTree {
    /// Roots of complete subtrees from the largest to the smallest, with the number of leaves in each.
    peaks: Vec<(u64, Sha256Hash)>,
}

impl MerkleTree {
    /// Adds the next leaf.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut size = 1;
        let mut hash = leaf_hash(bytes);
        while let Some((peak_size, peak)) = self.peaks.last().copied() {
            if peak_size != size {
                break;
            }
            hash = node_hash(&peak, &hash);
            size += peak_size;
            self.peaks.pop();
        }
        self.peaks.push((size, hash));
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.peaks.iter().map(|(size, _)| size).sum()
    }

    /// The root over all leaves so far; of no leaves, the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Sha256Hash {
        let mut peaks = self.peaks.iter().rev().map(|(_, hash)| *hash);
        let Some(last) = peaks.next() else { return Sha256Hash::of(b"") };
        peaks.fold(last, |right, left| node_hash(&left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference leaves and roots of the Certificate Transparency test suite, sizes 0 to 8 (first and last two bytes of each root).
    #[test]
    fn the_published_roots_are_met() {
        let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "e3b0c442…b855",
            "6e340b9c…a01d",
            "fac54203…c125",
            "aeb6bcfe…6e77",
            "d37ee418…14b7",
            "4e3bbb1f…64d4",
            "76e67dad…87ef",
            "ddb89be4…4c8c",
            "5dc9da79…4328",
        ];
        let mut tree = MerkleTree::default();
        for (size, expected) in roots.iter().enumerate() {
            if size > 0 {
                tree.push(&hex::decode(leaves[size - 1]).unwrap());
            }
            let root = tree.root().to_string();
            let (head, tail) = expected.split_once('…').unwrap();
            assert_eq!(tree.size(), u64::try_from(size).unwrap());
            assert!(root.starts_with(head) && root.ends_with(tail), "{size}: {root}");
        }
    }

    /// RFC 9162 section 2.1.1 as written, recursively: another road to the same root.
    fn defined(leaves: &[Vec<u8>]) -> Sha256Hash {
        match leaves {
            [] => Sha256Hash::of(b""),
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&defined(&leaves[..split]), &defined(&leaves[split..]))
            }
        }
    }

    #[test]
    fn growing_leaf_by_leaf_gives_the_root_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..200_u32).map(|n| n.to_be_bytes().to_vec()).collect();
        let mut tree = MerkleTree::default();
        for size in 0..leaves.len() {
            assert_eq!(tree.root(), defined(&leaves[..size]), "{size}");
            tree.push(&leaves[size]);
        }
    }
}
