//! gzip as CloudTrail writes it: exactly one member, whole, and nothing after it (RFC 1952).
//!
//! A second member, or junk behind the first, smuggles in what one reader shows and another does not; a cut trailer hides that the
//! content was cut. All of these are problems here, though lenient readers accept them.

use std::cell::Cell;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use libdeflater::Decompressor;
use memchr::memmem;

use crate::model::{Sha256Hash, Sha256Hasher};

/// Content is unpacked and hashed in pieces of this size: most logs are one piece, so that nothing of it has to be kept for the next.
const PIECE: usize = 256 * 1024;

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

impl Limits {
    /// The same for digests, which are held in memory as a whole.
    #[must_use]
    pub fn of_digests(&self) -> Self {
        Self { content: self.content.min(self.digest), ..*self }
    }

    /// Whether these bytes may unpack to less than under the `usual` limits: what exceeds that is not read, and therefore accused of nothing.
    #[must_use]
    pub fn are_lower_than(&self, usual: &Self, bytes: &[u8]) -> bool {
        self.allowed(bytes) < usual.allowed(bytes)
    }

    /// How much these bytes may unpack to.
    #[must_use]
    pub fn allowed(&self, bytes: &[u8]) -> u64 {
        let compressed = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.content.min(compressed.saturating_mul(self.ratio).max(self.ratio_from))
    }
}

/// Why bytes are not one whole gzip member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
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
    let mut hasher = Sha256Hasher::default();
    let length = unpack_member(bytes, limits, &mut |content| {
        hasher.update(content);
        piece(content);
    })?;
    Ok((hasher.finish(), length))
}

/// The content of one whole member, given piece by piece to `piece`, with its length.
pub fn unpack_member(bytes: &[u8], limits: &Limits, piece: &mut dyn FnMut(&[u8])) -> Result<u64, GzipProblem> {
    inflate_member(bytes, limits.allowed(bytes), piece)
}

/// Unpacks one whole member of at most `most` bytes of content at once, where that is sure to be right; no says nothing.
///
/// The decoder is a third faster than the one of [`unpack_member`], and checks that the CRC-32 and the length of what it gave follow the
/// compressed data, but not where: anything might come after. The last four bytes are that length if nothing does. So where they
/// stand nowhere else, the decoder has found them at the end.
#[must_use]
pub fn unpack_at_once(bytes: &[u8], most: u64, content: &mut Vec<u8>) -> bool {
    /// A header without anything optional.
    const PLAIN: [u8; 4] = [0x1f, 0x8b, 8, 0];

    let Some(amount) = bytes.last_chunk::<4>() else { return false };
    let length = u32::from_le_bytes(*amount);
    let Ok(held) = usize::try_from(length) else { return false };
    let ends_there_alone = memmem::find(bytes, amount) == Some(bytes.len() - amount.len());
    if u64::from(length) > most || !bytes.starts_with(&PLAIN) || !ends_there_alone {
        return false;
    }
    content.resize(held, 0);
    let unpacked = with_inflater(|inflater| inflater.at_once.gzip_decompress(bytes, content));
    if unpacked == Ok(held) {
        return true;
    }
    content.clear();
    false
}

/// What unpacking needs, kept by each thread: to make it anew costs as much as a small log.
struct Inflater {
    stream: Decompress,
    buffer: Vec<u8>,
    at_once: Decompressor,
}

thread_local! {
    static INFLATER: Cell<Option<Box<Inflater>>> = const { Cell::new(None) };
}

/// Unpacks one whole member of at most `allowed` bytes of content, and gives its length.
pub(crate) fn inflate_member(bytes: &[u8], allowed: u64, piece: &mut dyn FnMut(&[u8])) -> Result<u64, GzipProblem> {
    with_inflater(|inflater| inflater.inflate(bytes, allowed, piece))
}

fn with_inflater<T>(work: impl FnOnce(&mut Inflater) -> T) -> T {
    let mut inflater = INFLATER.take().unwrap_or_else(|| {
        Box::new(Inflater { stream: Decompress::new(false), buffer: vec![0; PIECE], at_once: Decompressor::new() })
    });
    let done = work(&mut inflater);
    INFLATER.set(Some(inflater));
    done
}

impl Inflater {
    fn inflate(&mut self, bytes: &[u8], allowed: u64, piece: &mut dyn FnMut(&[u8])) -> Result<u64, GzipProblem> {
        let mut rest = after_header(bytes)?;
        self.stream.reset(false);
        let (mut checksum, mut length) = (Crc::new(), 0);
        loop {
            let (taken, given) = (self.stream.total_in(), self.stream.total_out());
            // All the input there is goes in at once, which is what this word means.
            let status = self.stream.decompress(rest, &mut self.buffer, FlushDecompress::Finish);
            let status = status.map_err(|_| GzipProblem::Corrupt)?;
            let taken = usize::try_from(self.stream.total_in() - taken).map_err(|_| GzipProblem::Corrupt)?;
            let given = usize::try_from(self.stream.total_out() - given).map_err(|_| GzipProblem::Corrupt)?;
            rest = rest.get(taken..).unwrap_or_default();
            let content = self.buffer.get(..given).unwrap_or_default();
            length += u64::try_from(given).unwrap_or(u64::MAX);
            if length > allowed {
                return Err(GzipProblem::TooLarge);
            }
            checksum.update(content);
            piece(content);
            if status == Status::StreamEnd {
                break;
            }
            if (taken, given) == (0, 0) {
                return Err(GzipProblem::Truncated);
            }
        }
        let (sum, after) = rest.split_first_chunk::<4>().ok_or(GzipProblem::Truncated)?;
        let (amount, after) = after.split_first_chunk::<4>().ok_or(GzipProblem::Truncated)?;
        if (u32::from_le_bytes(*sum), u32::from_le_bytes(*amount)) != (checksum.sum(), checksum.amount()) {
            return Err(GzipProblem::Corrupt);
        }
        match after {
            [] => Ok(length),
            [0x1f, 0x8b, ..] => Err(GzipProblem::SecondMember),
            _ => Err(GzipProblem::TrailingData),
        }
    }
}

/// What follows the header of a member (RFC 1952, section 2.3).
fn after_header(bytes: &[u8]) -> Result<&[u8], GzipProblem> {
    const CHECKSUM: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;

    let cut = GzipProblem::Truncated;
    let mut rest = bytes.strip_prefix(&[0x1f, 0x8b]).ok_or(GzipProblem::NotGzip)?;
    let ([method, flags, ..], after) = rest.split_first_chunk::<8>().ok_or(cut)?;
    // Another method than deflate, or flags that nobody has given a meaning.
    if *method != 8 || flags & RESERVED != 0 {
        return Err(GzipProblem::Corrupt);
    }
    rest = after;
    if flags & EXTRA != 0 {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(cut)?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..).ok_or(cut)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0).ok_or(cut)?;
            rest = rest.get(end + 1..).ok_or(cut)?;
        }
    }
    if flags & CHECKSUM != 0 {
        let header = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        let (expected, after) = rest.split_first_chunk::<2>().ok_or(cut)?;
        let mut checksum = Crc::new();
        checksum.update(header);
        if checksum.sum() & 0xffff != u32::from(u16::from_le_bytes(*expected)) {
            return Err(GzipProblem::Corrupt);
        }
        rest = after;
    }
    Ok(rest)
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

    fn at_once(bytes: &[u8], most: u64) -> Option<Vec<u8>> {
        let mut content = b"of the log before".to_vec();
        let sure = unpack_at_once(bytes, most, &mut content);
        sure.then_some(content)
    }

    #[test]
    fn a_whole_member_is_unpacked_at_once_if_it_holds_no_more_than_is_allowed() {
        for size in [1, 3, 300, 70_000, PIECE + 5] {
            let content: Vec<u8> = (0..size).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
            let (whole, most) = (member(&content), u64::try_from(size).unwrap());
            assert_eq!(at_once(&whole, most), Some(content), "{size}");
            assert_eq!(at_once(&whole, most - 1), None, "{size}");
        }
    }

    #[test]
    fn nothing_is_unpacked_at_once_that_anything_is_wrong_with() {
        let content = b"{\"Records\":[{\"eventVersion\":\"1.11\"}]}".repeat(9);
        let whole = member(&content);
        let (rest, trailer) = whole.split_at(whole.len() - 8);
        let amount = &trailer[4..];
        let mut named = whole.clone();
        named[3] = 8;
        named.splice(10..10, *b"name\0");
        let wrong_sum = [rest, &[!trailer[0]], &trailer[1..]].concat();
        for (what, bytes) in [
            ("nothing", Vec::new()),
            ("no gzip", content.clone()),
            ("a cut trailer", whole[..whole.len() - 1].to_vec()),
            ("cut data", [&rest[..rest.len() - 1], trailer].concat()),
            ("another checksum", wrong_sum.clone()),
            ("a byte behind", [&whole[..], b"\0"].concat()),
            ("the length once more", [&whole[..], amount].concat()),
            ("a trailer once more", [&whole[..], trailer].concat()),
            ("junk and the trailer once more", [&whole[..], b"junk", trailer].concat()),
            ("junk between the data and the trailer", [rest, b"junk", trailer].concat()),
            ("a second member", [&whole[..], &member(b"abc")].concat()),
            ("the same member again", whole.repeat(2)),
            ("a wrong member and the right one", [&wrong_sum[..], &whole].concat()),
            ("a right member and the wrong one", [&whole[..], &wrong_sum].concat()),
        ] {
            assert_eq!(at_once(&bytes, 1 << 20), None, "{what}");
            assert!(problem(&bytes).is_some(), "{what}");
        }
        // Right, but left to the other decoder.
        assert_eq!((at_once(&named, 1 << 20), problem(&named)), (None, None));
        let empty = member(b"");
        assert_eq!(problem(&empty), None);
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
    fn every_field_of_a_header_is_read_and_its_checksum_kept() {
        let plain = member(b"abc");
        let mut header = vec![0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 255];
        header.extend_from_slice(b"\x03\0xyzname\0comment\0");
        let mut checksum = Crc::new();
        checksum.update(&header);
        let sum = u16::try_from(checksum.sum() & 0xffff).unwrap();
        let whole = [&header[..], &sum.to_le_bytes(), &plain[10..]].concat();
        let (hash, _) = read_member(&whole, &Limits::default(), &mut |_| {}).unwrap();
        assert_eq!(hash, Sha256Hash::of(b"abc"));
        for length in 2..whole.len() {
            assert_eq!(problem(&whole[..length]), Some(GzipProblem::Truncated), "cut at {length}");
        }
        assert_eq!(problem(&[&header[..], &(!sum).to_le_bytes(), &plain[10..]].concat()), Some(GzipProblem::Corrupt));
        for (place, value) in [(2, 7), (3, 0x20), (3, 0x80)] {
            let mut changed = plain.clone();
            changed[place] = value;
            assert_eq!(problem(&changed), Some(GzipProblem::Corrupt), "byte {place}");
        }
    }

    #[test]
    fn no_bit_of_the_trailer_may_differ() {
        let whole = member(b"abc");
        for bit in 0..64 {
            let mut changed = whole.clone();
            let place = changed.len() - 8 + bit / 8;
            changed[place] ^= 1 << (bit % 8);
            assert_eq!(problem(&changed), Some(GzipProblem::Corrupt), "bit {bit}");
        }
    }

    #[test]
    fn a_member_may_be_larger_than_a_piece_and_unpacked_within_another() {
        let content: Vec<u8> = (0..3 * PIECE + 5).map(|at| u8::try_from(at * at % 251).unwrap()).collect();
        let (outer, inner) = (member(&content), member(b"abc"));
        let mut seen = Vec::new();
        let read = read_member(&outer, &Limits::default(), &mut |piece| {
            seen.extend_from_slice(piece);
            assert!(read_member(&inner, &Limits::default(), &mut |_| {}).is_ok());
        });
        assert_eq!((read.unwrap().0, seen), (Sha256Hash::of(&content), content));
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
        fn it_agrees_with_a_lenient_reader_on_whole_members(content in prop::collection::vec(any::<u8>(), 0..2000), place in 0..2000_usize, bit in 0..8) {
            let mut bytes = member(&content);
            let place = place % bytes.len();
            bytes[place] ^= 1_u8 << bit;
            let mut lenient = Vec::new();
            let read = std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(&bytes[..]), &mut lenient);
            let mut strict = Vec::new();
            if read_member(&bytes, &Limits::default(), &mut |piece| strict.extend_from_slice(piece)).is_ok() {
                prop_assert!(read.is_ok());
                prop_assert_eq!(strict, lenient);
            }
        }

        #[test]
        fn whatever_is_unpacked_at_once_is_one_whole_member_piece_by_piece_too(
            content in prop::collection::vec(any::<u8>(), 0..2000),
            behind in prop::collection::vec(any::<u8>(), 0..12),
            again in 0..12_usize,
            place in 0..4000_usize,
            bit in 0..16_u32,
        ) {
            let mut bytes = member(&content);
            let end = bytes[bytes.len() - again..].to_vec();
            bytes.extend_from_slice(&behind);
            bytes.extend_from_slice(&end);
            let place = place % bytes.len();
            // Half of them stay as they are.
            bytes[place] ^= 1_u8.checked_shl(bit).unwrap_or(0);
            if let Some(unpacked) = at_once(&bytes, 1 << 20) {
                let mut strict = Vec::new();
                prop_assert!(read_member(&bytes, &Limits::default(), &mut |piece| strict.extend_from_slice(piece)).is_ok());
                prop_assert_eq!(unpacked, strict);
            }
        }

        #[test]
        fn no_input_panics_or_exceeds_its_limit(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes = [&[0x1f, 0x8b, 8][..], &bytes].concat();
            let mut seen = 0;
            let _outcome = read_member(&bytes, &Limits::default(), &mut |piece| seen += piece.len());
            prop_assert!(seen <= 2 << 20);
        }
    }
}
