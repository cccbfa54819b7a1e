//! Whether two collections are the same, in no memory: the sum of the keyed hashes of what is in them.
//!
//! The keys are random and new in every run, so that nobody can make up a collection that has the sum of another (a chance of one in
//! 2^128). Two that differ are compared item by item afterwards, at the price of remembering one of them.

use std::hash::{BuildHasher as _, Hash, RandomState};

/// The keys of one run.
#[derive(Debug, Default)]
pub(super) struct Keys {
    first: RandomState,
    second: RandomState,
}

/// The fingerprint of a collection, whatever its order; an item that is in it twice counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fingerprint {
    count: u64,
    sums: [u64; 2],
}

impl Fingerprint {
    /// Adds an item.
    pub(super) fn add(&mut self, keys: &Keys, item: impl Hash) {
        self.count += 1;
        let [first, second] = &mut self.sums;
        *first = first.wrapping_add(keys.first.hash_one(&item));
        *second = second.wrapping_add(keys.second.hash_one(&item));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(keys: &Keys, items: &[&str]) -> Fingerprint {
        let mut fingerprint = Fingerprint::default();
        for item in items {
            fingerprint.add(keys, item);
        }
        fingerprint
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let keys = Keys::default();
        let whole = of(&keys, &["a", "b", "c"]);
        assert_eq!(whole, of(&keys, &["c", "a", "b"]));
        for other in [&["a", "b"][..], &["a", "b", "d"], &["a", "b", "b"], &["a", "b", "c", "c"], &[]] {
            assert_ne!(whole, of(&keys, other), "{other:?}");
        }
    }
}
