//! Reproducible chance: the same seed and label always roll the same numbers.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// A labelled stream of pseudo-random choices.
///
/// Each part of the simulation draws from a stream of its own, so that a change to one part does
/// not reshuffle all others.
#[derive(Debug, Clone)]
pub(super) struct Chance {
    generator: ChaCha20Rng,
}

impl Chance {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        Self { generator: generator(seed, label) }
    }

    /// A number in `0..limit`; 0 when the limit is 0.
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        self.generator.next_u32().checked_rem(limit).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    pub(super) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let count = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        let index = usize::try_from(self.below(count)).unwrap_or(0);
        choices.get(index).copied().unwrap_or_default()
    }

    pub(super) fn hex(&mut self, digits: usize) -> String {
        self.text(digits, b"0123456789abcdef")
    }

    /// Sixteen characters as CloudTrail appends them to the names of its files.
    pub(super) fn suffix(&mut self) -> String {
        self.text(16, b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    }

    pub(super) fn uuid(&mut self) -> String {
        let digits = self.hex(30);
        let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
        format!("{}-{}-4{}-9{}-{}", part(0..8), part(8..12), part(12..15), part(15..18), part(18..30))
    }

    fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        let count = u32::try_from(alphabet.len()).unwrap_or(u32::MAX);
        (0..length)
            .filter_map(|_| alphabet.get(usize::try_from(self.below(count)).ok()?))
            .map(|byte| char::from(*byte))
            .collect()
    }
}

/// The generator behind a label, for those who need the numbers themselves.
pub(super) fn generator(seed: u64, label: &str) -> ChaCha20Rng {
    let digest = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(label).finalize();
    ChaCha20Rng::from_seed(digest.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_and_labels_roll_alike_and_different_ones_do_not() {
        let draw = |seed, label| Chance::new(seed, label).hex(32);
        assert_eq!(draw(7, "a"), draw(7, "a"));
        assert_ne!(draw(7, "a"), draw(7, "b"));
        assert_ne!(draw(7, "a"), draw(8, "a"));
    }

    #[test]
    fn between_stays_within_its_bounds_and_reaches_both() {
        let mut chance = Chance::new(1, "bounds");
        let rolled: Vec<u32> = (0..200).map(|_| chance.between(3, 5)).collect();
        assert!(rolled.iter().all(|number| (3..=5).contains(number)));
        assert!(rolled.contains(&3) && rolled.contains(&5));
    }
}
