//! What objects unpack to, hashed as they come, because CloudTrail's own hashes are over that. What is not one whole gzip member has no
//! such hash, and nobody is accused of it here.

use std::cell::Cell;
use std::io::{self, Write};

use flate2::write::GzDecoder;

use crate::case::HashedBytes;
use crate::cloudtrail::gzip::{GzipProblem, inflate_member, unpack_at_once};
use crate::model::{Sha256Hash, Sha256Hasher};

/// Most that an object is inflated to.
const LARGEST: u64 = 8 * 1024 * 1024 * 1024;
/// What may come out for each byte that goes in, and on top of it.
const RATIO: u64 = 300;
const ALLOWANCE: u64 = 4 * 1024 * 1024;

/// The same as a [`ContentHasher`] gives for bytes that are all there.
pub(crate) fn content_hash(bytes: &[u8]) -> Option<Sha256Hash> {
    let mut hasher = Sha256Hasher::default();
    let allowed = allowed(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    inflate_member(bytes, allowed, &mut |content| hasher.update(content)).ok().map(|_| hasher.finish())
}

/// What two bodies that are all there unpack to is held up to this size, to be hashed side by side.
const BESIDE: u64 = 512 * 1024;

thread_local! {
    /// Memory for that, kept by each thread.
    static CONTENTS: Cell<[Vec<u8>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// A body with its hash, and the hash of what it unpacks to where it is one whole gzip member.
pub(crate) type Hashed = (HashedBytes, Option<Sha256Hash>);

/// Hashes a body.
pub(crate) fn hash(body: Vec<u8>) -> Hashed {
    let content_sha256 = content_hash(&body);
    (HashedBytes::new(body), content_sha256)
}

/// Hashes two bodies side by side, and what they unpack to.
pub(crate) fn hash_both(one: Vec<u8>, other: Vec<u8>) -> (Hashed, Hashed) {
    let [mut mine, mut others] = CONTENTS.take();
    let unpacked = (unpack(&one, &mut mine), unpack(&other, &mut others));
    let (first, second) = if unpacked == (Unpacked::Whole, Unpacked::Whole) {
        let (first, second) = Sha256Hash::of_both(&mine, &others);
        (Some(first), Some(second))
    } else {
        let hash_of = |unpacked, content: &[u8], body: &[u8]| match unpacked {
            Unpacked::Whole => Some(Sha256Hash::of(content)),
            Unpacked::TooLarge => content_hash(body),
            Unpacked::Not => None,
        };
        (hash_of(unpacked.0, &mine, &one), hash_of(unpacked.1, &others, &other))
    };
    CONTENTS.set([mine, others]);
    let (one, other) = HashedBytes::both(one, other);
    ((one, first), (other, second))
}

/// What came of unpacking a body.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unpacked {
    Whole,
    /// It is larger than is held.
    TooLarge,
    /// It is not one whole gzip member.
    Not,
}

/// Unpacks a body into `content`.
fn unpack(body: &[u8], content: &mut Vec<u8>) -> Unpacked {
    if unpack_at_once(body, BESIDE, content) {
        return Unpacked::Whole;
    }
    content.clear();
    let unpacked = inflate_member(body, BESIDE, &mut |piece| content.extend_from_slice(piece));
    match unpacked {
        Ok(_) => Unpacked::Whole,
        Err(GzipProblem::TooLarge) => Unpacked::TooLarge,
        Err(_) => Unpacked::Not,
    }
}

/// What so many bytes may unpack to.
fn allowed(taken: u64) -> u64 {
    LARGEST.min(taken.saturating_mul(RATIO).saturating_add(ALLOWANCE))
}

/// Hashes what an object unpacks to, as its bytes come: only where it is one whole gzip member and nothing after it.
///
/// CloudTrail's own hashes are over the uncompressed content. A bomb, a damaged member or anything after it leaves no hash.
#[derive(Debug)]
pub(crate) struct ContentHasher {
    decoder: Option<GzDecoder<Sink>>,
}

#[derive(Debug, Default)]
struct Sink {
    hasher: Sha256Hasher,
    taken: u64,
    given: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.given = self.given.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.given > allowed(self.taken) {
            return Err(io::Error::other("it unpacks to more than any log does"));
        }
        self.hasher.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ContentHasher {
    pub(crate) fn new() -> Self {
        Self { decoder: Some(GzDecoder::new(Sink::default())) }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        let Some(decoder) = &mut self.decoder else { return };
        let sink = decoder.get_mut();
        sink.taken = sink.taken.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        // Bytes after the member are not taken, which `write_all` reports.
        if decoder.write_all(bytes).is_err() {
            self.decoder = None;
        }
    }

    pub(crate) fn finish(self) -> Option<Sha256Hash> {
        let sink = self.decoder?.finish().ok()?;
        (sink.taken > 0).then(|| sink.hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn hash(bytes: &[u8], piece: usize) -> Option<Sha256Hash> {
        let mut hasher = ContentHasher::new();
        for piece in bytes.chunks(piece) {
            hasher.update(piece);
        }
        let hash = hasher.finish();
        assert_eq!(content_hash(bytes), hash, "all at once or in pieces of {piece}");
        hash
    }

    #[test]
    fn one_whole_member_is_hashed_however_it_arrives() {
        let content = b"{\"Records\":[]}".repeat(1000);
        for piece in [1, 7, 1 << 20] {
            assert_eq!(hash(&packed(&content), piece), Some(Sha256Hash::of(&content)), "{piece}");
        }
    }

    #[test]
    fn anything_else_leaves_no_hash() {
        let whole = packed(b"{\"Records\":[]}");
        let mut two = whole.clone();
        two.extend_from_slice(&whole);
        let mut trailing = whole.clone();
        trailing.push(0);
        let mut damaged = whole.clone();
        let place = damaged.len() - 6;
        damaged[place] ^= 1;
        for (what, bytes) in [
            ("nothing", &b""[..]),
            ("plain text", b"{\"Records\":[]}"),
            ("cut in the data", &whole[..whole.len() - 10]),
            ("cut in the trailer", &whole[..whole.len() - 2]),
            ("two members", &two),
            ("a byte too many", &trailing),
            ("a wrong checksum", &damaged),
        ] {
            for piece in [1, 1 << 20] {
                assert_eq!(hash(bytes, piece), None, "{what} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_bomb_is_given_up() {
        assert_eq!(hash(&packed(&vec![0; 64 << 20]), 4096), None);
    }

    #[test]
    fn a_long_run_of_zeros_is_no_bomb_yet() {
        let content = vec![0; 4 << 20];
        assert_eq!(hash(&packed(&content), 1 << 20), Some(Sha256Hash::of(&content)));
    }
}
