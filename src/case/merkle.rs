//! The Merkle tree of RFC 9162 section 2.1 over the ledger's lines, with SHA-256.

use std::io::{self, BufRead, Read as _};

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

/// Longest leaf that is read from a ledger; no line is longer.
const LEAF_LIMIT: u64 = 4 * 1024 * 1024;

/// A tree that keeps the root of every complete subtree, so that it can prove things about its leaves and about its past.
///
/// It takes 64 bytes a leaf; [`MerkleTree`] is enough for who only wants the root.
#[derive(Clone, Debug, Default)]
pub struct MerkleProver {
    /// Of each height, the roots of the complete subtrees from left to right. The leaves have height 0.
    levels: Vec<Vec<Sha256Hash>>,
}

impl MerkleProver {
    /// Reads the first `lines` lines as leaves, without their newlines. Fails if there are fewer.
    pub fn read(mut reader: impl BufRead, lines: u64) -> io::Result<Self> {
        let mut prover = Self::default();
        let mut line = Vec::new();
        for _ in 0..lines {
            prover.push(read_leaf(&mut reader, &mut line)?);
        }
        Ok(prover)
    }

    /// Adds the next leaf.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut hash = leaf_hash(bytes);
        for height in 0.. {
            if height == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let Some(level) = self.levels.get_mut(height) else { return };
            level.push(hash);
            match level.as_slice() {
                [.., left, right] if level.len().is_multiple_of(2) => hash = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::try_from(self.levels.first().map_or(0, Vec::len)).unwrap_or(u64::MAX)
    }

    /// The root over the first `size` leaves; none if there are not so many.
    #[must_use]
    pub fn root(&self, size: u64) -> Option<Sha256Hash> {
        match usize::try_from(size).ok()? {
            0 => Some(Sha256Hash::of(b"")),
            size => self.subtree(0, size),
        }
    }

    /// The inclusion proof of the leaf `index`, counted from 0, in the tree of the first `size` leaves (section 2.1.3.1).
    #[must_use]
    pub fn inclusion(&self, index: u64, size: u64) -> Option<Vec<Sha256Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let index = usize::try_from(index).ok()?;
        let (mut start, mut end) = (0, usize::try_from(size).ok()?);
        let mut path = Vec::new();
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                path.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        path.reverse();
        Some(path)
    }

    /// The consistency proof between the trees of the first `from` and the first `to` leaves (section 2.1.4.1).
    #[must_use]
    pub fn consistency(&self, from: u64, to: u64) -> Option<Vec<Sha256Hash>> {
        if to > self.size() {
            return None;
        }
        consistency_parts(from, to)?.into_iter().map(|(start, end)| self.subtree(start, end)).collect()
    }

    /// The root over the leaves from `start` to `end`, where `start` is a place at which a subtree of that size begins.
    fn subtree(&self, start: usize, end: usize) -> Option<Sha256Hash> {
        let size = end - start;
        if size.is_power_of_two() {
            let height = usize::try_from(size.trailing_zeros()).ok()?;
            return self.levels.get(height)?.get(start / size).copied();
        }
        let middle = start + split(size);
        Some(node_hash(&self.subtree(start, middle)?, &self.subtree(middle, end)?))
    }
}

/// The leaves of which the roots make up the consistency proof between the trees of the first `from` and the first `to` leaves, in its order.
fn consistency_parts(from: u64, to: u64) -> Option<Vec<(usize, usize)>> {
    if from == 0 || from > to {
        return None;
    }
    let from = usize::try_from(from).ok()?;
    let (mut start, mut end) = (0, usize::try_from(to).ok()?);
    let mut parts = Vec::new();
    // Until the old tree ends where a subtree of the new one does.
    while end != from {
        let middle = start + split(end - start);
        if from <= middle {
            parts.push((middle, end));
            end = middle;
        } else {
            parts.push((start, middle));
            start = middle;
        }
    }
    // Whoever checks knows the old root, so it is left out where it is that subtree.
    if start > 0 {
        parts.push((start, end));
    }
    parts.reverse();
    Some(parts)
}

/// The consistency proof between the trees of the first `from` and the first `to` lines, without holding either; none if `from` is no
/// earlier tree. Fails if there are fewer lines.
pub fn consistency_in(mut reader: impl BufRead, from: u64, to: u64) -> io::Result<Option<Vec<Sha256Hash>>> {
    let Some(parts) = consistency_parts(from, to) else { return Ok(None) };
    let mut trees: Vec<_> = parts.into_iter().map(|part| (part, MerkleTree::default())).collect();
    let mut line = Vec::new();
    for at in 0..usize::try_from(to).unwrap_or(usize::MAX) {
        let leaf = read_leaf(&mut reader, &mut line)?;
        // No two parts share a leaf.
        if let Some((_, tree)) = trees.iter_mut().find(|((start, end), _)| (*start..*end).contains(&at)) {
            tree.push(leaf);
        }
    }
    Ok(Some(trees.into_iter().map(|(_, tree)| tree.root()).collect()))
}

/// The next line without its newline.
fn read_leaf<'a>(reader: &mut impl BufRead, line: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
    line.clear();
    reader.take(LEAF_LIMIT).read_until(b'\n', line)?;
    Ok(line.strip_suffix(b"\n").ok_or(io::ErrorKind::UnexpectedEof)?)
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// Whether `path` proves that the leaf with this hash is number `index`, counted from 0, of the tree of `size` leaves with this root
/// (section 2.1.3.2).
#[must_use]
pub fn is_included(leaf: &Sha256Hash, index: u64, size: u64, path: &[Sha256Hash], root: &Sha256Hash) -> bool {
    let Some(mut last) = size.checked_sub(1).filter(|last| index <= *last) else { return false };
    let (mut at, mut hash) = (index, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if is_odd(at) || at == last {
            hash = node_hash(sibling, &hash);
            while !is_odd(at) && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `proof` proves that the tree `new` (leaves and root) begins with all leaves of the tree `old` (section 2.1.4.2).
#[must_use]
pub fn is_consistent(old: (u64, Sha256Hash), new: (u64, Sha256Hash), proof: &[Sha256Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    let mut hashes = proof.iter();
    // The proof leaves out the old root where that is a subtree of the new tree.
    let first = if old_size.is_power_of_two() { Some(&old_root) } else { hashes.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while is_odd(at) {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if is_odd(at) || at == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while !is_odd(at) && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

fn is_odd(number: u64) -> bool {
    number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    // The reference leaves, roots, paths and proofs of the Certificate Transparency project
    // (github.com/google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc), which RFC 6962's implementers test against.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
    const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
    const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
    const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
    const F: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

    fn hashes(texts: &[&str]) -> Vec<Sha256Hash> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn reference() -> MerkleProver {
        let mut prover = MerkleProver::default();
        for leaf in LEAVES {
            prover.push(&hex::decode(leaf).unwrap());
        }
        prover
    }

    #[test]
    fn the_published_roots_are_met() {
        let mut tree = MerkleTree::default();
        let prover = reference();
        for (size, expected) in (0..).zip(ROOTS) {
            if size > 0 {
                tree.push(&hex::decode(LEAVES[usize::try_from(size - 1).unwrap()]).unwrap());
            }
            assert_eq!((tree.size(), tree.root().to_string().as_str()), (size, expected));
            assert_eq!(prover.root(size).unwrap().to_string(), expected);
        }
        assert_eq!(prover.root(9), None);
    }

    #[test]
    fn the_published_inclusion_proofs_are_met() {
        let prover = reference();
        // Leaves are counted from 1 there.
        let vectors: [(u64, u64, &[&str]); 5] =
            [(1, 1, &[]), (1, 8, &[A, B, C]), (6, 8, &[D, E, ROOTS[4]]), (3, 3, &[ROOTS[2]]), (2, 5, &[ROOTS[1], B, D])];
        for (leaf, size, expected) in vectors {
            let path = prover.inclusion(leaf - 1, size).unwrap();
            assert_eq!(path, hashes(expected), "{leaf} of {size}");
            let hash = leaf_hash(&hex::decode(LEAVES[usize::try_from(leaf - 1).unwrap()]).unwrap());
            assert!(is_included(&hash, leaf - 1, size, &path, &prover.root(size).unwrap()), "{leaf} of {size}");
        }
        assert_eq!((prover.inclusion(0, 0), prover.inclusion(8, 8), prover.inclusion(0, 9)), (None, None, None));
    }

    #[test]
    fn the_published_consistency_proofs_are_met() {
        let prover = reference();
        let vectors: [(u64, u64, &[&str]); 4] = [(1, 1, &[]), (1, 8, &[A, B, C]), (6, 8, &[F, E, ROOTS[4]]), (2, 5, &[B, D])];
        for (from, to, expected) in vectors {
            let proof = prover.consistency(from, to).unwrap();
            assert_eq!(proof, hashes(expected), "{from} to {to}");
            let head = |size| (size, prover.root(size).unwrap());
            assert!(is_consistent(head(from), head(to), &proof), "{from} to {to}");
        }
        assert_eq!((prover.consistency(0, 8), prover.consistency(5, 4), prover.consistency(1, 9)), (None, None, None));
    }

    fn numbered(size: u64) -> MerkleProver {
        let mut prover = MerkleProver::default();
        (0..size).for_each(|number| prover.push(&number.to_be_bytes()));
        prover
    }

    #[test]
    fn every_proof_of_a_small_tree_holds_and_no_other_place_or_size_does() {
        const MOST: u64 = 33;
        let prover = numbered(MOST);
        let root = |size: u64| prover.root(size).unwrap();
        for size in 1..=MOST {
            for index in 0..size {
                let path = prover.inclusion(index, size).unwrap();
                let leaf = leaf_hash(&index.to_be_bytes());
                assert!(is_included(&leaf, index, size, &path, &root(size)), "{index} of {size}");
                for other in (0..size).filter(|other| *other != index) {
                    assert!(!is_included(&leaf, other, size, &path, &root(size)), "{index} as {other} of {size}");
                }
                let mut longer = path.clone();
                longer.push(leaf);
                assert!(!is_included(&leaf, index, size, &longer, &root(size)));
                assert!(path.is_empty() || !is_included(&leaf, index, size, &path[1..], &root(size)));
            }
            for from in 1..=size {
                let proof = prover.consistency(from, size).unwrap();
                assert!(is_consistent((from, root(from)), (size, root(size)), &proof), "{from} to {size}");
                for other in (1..=size).filter(|other| *other != from) {
                    assert!(!is_consistent((other, root(from)), (size, root(size)), &proof), "{from} as {other} to {size}");
                }
                let mut wrong = proof.clone();
                wrong.push(root(from));
                assert!(!is_consistent((from, root(from)), (size, root(size)), &wrong));
                assert!(!is_consistent((from, root(from)), (size, Sha256Hash::ZERO), &proof));
                assert!(!is_consistent((from, Sha256Hash::ZERO), (size, root(size)), &proof));
            }
        }
        assert!(!is_consistent((0, root(1)), (1, root(1)), &[]));
        assert!(!is_included(&root(1), 0, 0, &[], &root(1)));
    }

    #[test]
    fn the_consistency_proof_of_lines_is_that_of_the_whole_tree() {
        let text = (0..40).map(|number| format!("line {number}\n")).collect::<Vec<_>>().concat();
        let whole = MerkleProver::read(text.as_bytes(), 40).unwrap();
        for to in 0..=40 {
            for from in 0..=to + 1 {
                assert_eq!(consistency_in(text.as_bytes(), from, to).unwrap(), whole.consistency(from, to), "{from} {to}");
            }
        }
        assert!(consistency_in(text.as_bytes(), 1, 41).is_err());
    }

    #[test]
    fn lines_are_read_as_leaves() {
        let prover = MerkleProver::read(&b"one\ntwo\nthree\n"[..], 2).unwrap();
        let mut tree = MerkleTree::default();
        tree.push(b"one");
        tree.push(b"two");
        assert_eq!((prover.size(), prover.root(2)), (2, Some(tree.root())));
        assert!(MerkleProver::read(&b"one\ntwo"[..], 2).is_err());
    }

    proptest::proptest! {
        /// Agreement with the crate `ct-merkle`, which others wrote.
        #[test]
        fn an_independent_implementation_gives_and_takes_the_same_proofs(
            leaves in proptest::collection::vec(proptest::collection::vec(proptest::num::u8::ANY, 0..20), 1..150),
            one in proptest::num::usize::ANY,
            other in proptest::num::usize::ANY,
        ) {
            type Theirs = ct_merkle::mem_backed_tree::MemoryBackedTree<sha2_of_ct_merkle::Sha256, Vec<u8>>;
            let (mut ours, mut theirs, mut their_past) = (MerkleProver::default(), Theirs::new(), Theirs::new());
            let (index, old) = (one % leaves.len(), 1 + other % leaves.len());
            for (at, leaf) in leaves.iter().enumerate() {
                ours.push(leaf);
                theirs.push(leaf.clone());
                if at < old {
                    their_past.push(leaf.clone());
                }
            }
            let bytes = |hashes: &[Sha256Hash]| -> Vec<u8> { hashes.iter().flat_map(|hash| *hash.as_bytes()).collect() };
            let number = |number: usize| u64::try_from(number).unwrap();
            let root = ours.root(ours.size()).unwrap();
            proptest::prop_assert_eq!(theirs.root().as_bytes().to_vec(), root.as_bytes().to_vec());
            let path = ours.inclusion(number(index), ours.size()).unwrap();
            let proof = theirs.prove_inclusion(index);
            proptest::prop_assert_eq!(proof.as_bytes().to_vec(), bytes(&path));
            let taken = ct_merkle::InclusionProof::try_from_bytes(bytes(&path)).unwrap();
            proptest::prop_assert!(theirs.root().verify_inclusion(&leaves[index], number(index), &taken).is_ok());
            if old < leaves.len() {
                let proof = theirs.prove_consistency(leaves.len() - old);
                let ours_proof = ours.consistency(number(old), ours.size()).unwrap();
                proptest::prop_assert_eq!(proof.as_bytes().to_vec(), bytes(&ours_proof));
                let taken = ct_merkle::ConsistencyProof::try_from_bytes(bytes(&ours_proof)).unwrap();
                proptest::prop_assert!(theirs.root().verify_consistency(&their_past.root(), &taken).is_ok());
                let head = |size: u64| (size, ours.root(size).unwrap());
                proptest::prop_assert!(is_consistent(head(number(old)), head(ours.size()), &ours_proof));
            }
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
