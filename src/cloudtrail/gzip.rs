//! gzip as CloudTrail writes it: exactly one member, whole, and nothing after it (RFC 1952).
//!
//! A second member, or junk behind the first, smuggles in what one reader shows and another does not; a cut trailer hides that the
//! content was cut. All of these are problems here, though lenient readers accept them.

use std::io::{self, Read as _};

use flate2::bufread::GzDecoder;

use crate::model::{Sha256Hash, Sha256Hasher};

/// How much a member may hold, against bombs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of content.
    pub content: u64,
    /// Bytes of content for each compressed byte; deflate itself cannot exceed about 1,032.
    pub ratio: u64,
    /// Members smaller than this are not judged by their ratio.
    pub ratio_from: u64,
    /// Bytes of a digest's content, which is held in memory as a whole.
    pub digest: u64,
    /// Bytes of a log's content that are searched for events.
    pub searched: usize,
}

impl Default for Limits {
    /// 2 GiB, and 200 to 1 from 1 MiB on. CloudTrail delivers at most 50 MB compressed, at about 12 to 1.
    ///
    /// Of a digest 32 MiB, which list some 70,000 logs of one hour; of a log 64 MiB are searched.
    fn default() -> Self {
        Self { content: 2 << 30, ratio: 200, ratio_from: 1 << 20, digest: 32 << 20, searched: 64 << 20 }
    }
}

/// Why bytes are not one whole gzip member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GzipProblem {
    /// No gzip header.
    #[error("it is not gzip")]
    NotGzip,
    /// The compressed data or the trailer ends early.
    #[error("it is cut short: the end of the gzip member is missing")]
    Truncated,
    /// The compressed data, its CRC-32 or its length is wrong.
    #[error("its compressed data is damaged, or its CRC-32 or length is wrong")]
    Corrupt,
    /// Another gzip member follows.
    #[error("a second gzip member follows the first")]
    SecondMember,
    /// Other bytes follow.
    #[error("bytes follow the gzip member")]
    TrailingData,
    /// It holds more than the limits allow.
    #[error("it holds more than the limits on content allow: a decompression bomb, or no CloudTrail file")]
    TooLarge,
}

/// The content of one whole member, given piece by piece to `piece`, with its hash and length.
pub fn read_member(bytes: &[u8], limits: &Limits, piece: &mut dyn FnMut(&[u8])) -> Result<(Sha256Hash, u64), GzipProblem> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(GzipProblem::NotGzip);
    }
    let compressed = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let allowed = limits.content.min(compressed.saturating_mul(limits.ratio).max(limits.ratio_from));
    let mut decoder = GzDecoder::new(bytes);
    let mut hasher = Sha256Hasher::default();
    let mut length: u64 = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(GzipProblem::Truncated),
            Err(_) => return Err(GzipProblem::Corrupt),
        };
        let read = buffer.get(..count).unwrap_or_default();
        length += u64::try_from(count).unwrap_or(0);
        if length > allowed {
            return Err(GzipProblem::TooLarge);
        }
        hasher.update(read);
        piece(read);
    }
    match decoder.into_inner() {
        [] => Ok((hasher.finish(), length)),
        [0x1f, 0x8b, ..] => Err(GzipProblem::SecondMember),
        _ => Err(GzipProblem::TrailingData),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn problem(bytes: &[u8]) -> Option<GzipProblem> {
        read_member(bytes, &Limits::default(), &mut |_| {}).err()
    }

    #[test]
    fn one_whole_member_gives_its_content_and_hash() {
        let mut content = Vec::new();
        let (hash, length) =
            read_member(&member(b"abc"), &Limits::default(), &mut |piece| content.extend_from_slice(piece)).unwrap();
        assert_eq!((content.as_slice(), length, hash), (&b"abc"[..], 3, Sha256Hash::of(b"abc")));
    }

    #[test]
    fn what_follows_the_member_is_named() {
        assert_eq!(problem(&[member(b"abc"), member(b"def")].concat()), Some(GzipProblem::SecondMember));
        assert_eq!(problem(&[member(b"abc"), b"\0".to_vec()].concat()), Some(GzipProblem::TrailingData));
    }

    #[test]
    fn a_member_cut_anywhere_is_found() {
        let whole = member(b"abcabcabcabcabc");
        for length in 2..whole.len() {
            assert_eq!(problem(&whole[..length]), Some(GzipProblem::Truncated), "cut at {length}");
        }
        assert_eq!(problem(b""), Some(GzipProblem::NotGzip));
        assert_eq!(problem(b"{}"), Some(GzipProblem::NotGzip));
    }

    #[test]
    fn a_bomb_is_refused_before_it_unfolds() {
        let bomb = member(&vec![0; 8 << 20]);
        let mut seen = 0;
        let refused = read_member(&bomb, &Limits::default(), &mut |piece| seen += piece.len()).unwrap_err();
        assert_eq!(refused, GzipProblem::TooLarge);
        assert!(seen < 3 << 20, "{seen}");
    }

    proptest! {
        #[test]
        fn no_input_panics_or_exceeds_its_limit(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[0x1f, 0x8b, 8][..], &bytes].concat();
            let mut seen = 0;
            let _outcome = read_member(&bytes, &Limits::default(), &mut |piece| seen += piece.len());
            prop_assert!(seen <= 2 << 20);
        }
    }
}
