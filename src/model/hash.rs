//! SHA-256 of what is in memory, of what comes piece by piece, of what is read, and of two things side by side.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::serde_as_text;

/// A SHA-256 hash (FIPS 180-4), written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Hash([u8; 32]);

/// The text is not a SHA-256 hash.
#[derive(Debug, thiserror::Error)]
#[error("not a SHA-256 hash: 64 hexadecimal digits are expected")]
pub struct ParseSha256HashError;

impl Sha256Hash {
    /// Thirty-two zero bytes: what stands where a hash would, before anything was hashed.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hashes of two texts, which take less time side by side than one after the other.
    #[must_use]
    pub fn of_both(one: &[u8], other: &[u8]) -> (Self, Self) {
        let (mut first, mut second) = (Sha256Hasher::default(), Sha256Hasher::default());
        first.update_beside(one, &mut second, other);
        (first.finish(), second.finish())
    }

    /// The hash with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The thirty-two bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Sha256Hash {
    type Err = ParseSha256HashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseSha256HashError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(Sha256Hash);

/// Hashes what comes piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Sha256Hasher {
    inner: Sha256,
    /// Bytes of a block that are not hashed yet, because the block is not whole.
    begun: usize,
}

/// SHA-256 takes so many bytes at a time.
const BLOCK: usize = 64;

impl Sha256Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
        self.begun = (self.begun + bytes.len() % BLOCK) % BLOCK;
    }

    /// Takes the next piece, and another the next of its own.
    ///
    /// Each step of a hash waits for the step before, so that one alone leaves a processor with SHA extensions half idle. Block by block in
    /// turn, the steps of one are done while the other's wait: both take three quarters of the time that they take one after the other.
    pub fn update_beside(&mut self, mine: &[u8], other: &mut Self, others: &[u8]) {
        // From here on each takes whole blocks, wherever these begin.
        let (first, mut mine) = mine.split_at(self.missing().min(mine.len()));
        self.update(first);
        let (first, mut others) = others.split_at(other.missing().min(others.len()));
        other.update(first);
        while let (Some((block, rest)), Some((others_block, others_rest))) =
            (mine.split_first_chunk::<BLOCK>(), others.split_first_chunk::<BLOCK>())
        {
            self.inner.update(block);
            other.inner.update(others_block);
            (mine, others) = (rest, others_rest);
        }
        self.update(mine);
        other.update(others);
    }

    /// Bytes until the next block begins.
    fn missing(&self) -> usize {
        (BLOCK - self.begun) % BLOCK
    }

    /// The hash of all pieces in order.
    #[must_use]
    pub fn finish(self) -> Sha256Hash {
        Sha256Hash(self.inner.finalize().into())
    }
}

/// A reader that hashes and counts what passes through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Sha256Hasher,
    bytes: u64,
}

impl<R: Read> HashingReader<R> {
    /// Wraps `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Sha256Hasher::default(), bytes: 0 }
    }

    /// Reads the rest and gives the hash and the number of all bytes.
    pub fn finish(mut self) -> io::Result<(Sha256Hash, u64)> {
        let mut buffer = vec![0; 256 * 1024];
        while self.read(&mut buffer)? > 0 {}
        Ok((self.hasher.finish(), self.bytes))
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        self.bytes += u64::try_from(count).unwrap_or(0);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 example: "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_published_vector_is_met_whole_and_in_pieces() {
        assert_eq!(Sha256Hash::of(b"abc").to_string(), ABC);
        let mut pieces = Sha256Hasher::default();
        pieces.update(b"a");
        pieces.update(b"bc");
        assert_eq!(pieces.finish(), ABC.parse().unwrap());
    }

    #[test]
    fn two_hashes_side_by_side_are_those_of_one_after_the_other() {
        let bytes: Vec<u8> = (0..1000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        for before in [0, 1, 63, 64, 65] {
            for others_before in [0, 1, 30, 63, 64, 100] {
                for count in [0, 1, 63, 64, 65, 127, 128, 129, 500] {
                    let (mut one, mut other) = (Sha256Hasher::default(), Sha256Hasher::default());
                    one.update(&bytes[..before]);
                    other.update(&bytes[..others_before]);
                    let (mine, others) = (&bytes[200..200 + count], &bytes[300..430]);
                    one.update_beside(mine, &mut other, others);
                    one.update_beside(b"and on", &mut other, mine);
                    let (expected, others_expected) =
                        ([&bytes[..before], mine, b"and on"].concat(), [&bytes[..others_before], others, mine].concat());
                    assert_eq!(one.finish(), Sha256Hash::of(&expected), "{before} {others_before} {count}");
                    assert_eq!(other.finish(), Sha256Hash::of(&others_expected), "{before} {others_before} {count}");
                }
            }
        }
    }

    #[test]
    fn a_hashing_reader_hashes_what_was_read_and_the_rest() {
        let mut reader = HashingReader::new(&b"abc"[..]);
        let mut first = [0; 1];
        reader.read_exact(&mut first).unwrap();
        assert_eq!(reader.finish().unwrap(), (ABC.parse().unwrap(), 3));
    }

    #[test]
    fn other_lengths_are_refused() {
        assert!("ba78".parse::<Sha256Hash>().is_err());
        assert!(format!("{ABC}00").parse::<Sha256Hash>().is_err());
    }
}
