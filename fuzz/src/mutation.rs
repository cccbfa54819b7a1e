//! Inputs from a seed and a corpus: bytes flipped, taken out, put in, doubled and spliced, the same ones for the same seed.

/// Chance that is the same every time (xorshift64).
pub(crate) struct Chance(u64);

/// Pieces that formats are made of, or stumble over.
const PIECES: [&[u8]; 18] = [
    b"\0\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"../",
    b"data/",
    b"~",
    b"\xff\xfe",
    b"PK\x01\x02",
    b"PK\x05\x06",
    b"99999999999999999999",
    b"-1",
    b"2026-02-30T25:61:61Z",
    b"\xe2\x80\xae",
    b"'''",
];

impl Chance {
    /// Chance from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// One of the corpus, changed a few times.
    pub(crate) fn input(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = corpus.get(self.below(corpus.len())).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            match self.below(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => bytes[at] = u8::try_from(self.below(256)).unwrap(),
                2 => bytes.truncate(at),
                3 => {
                    let to = at + self.below(bytes.len() - at + 1);
                    drop(bytes.drain(at..to));
                }
                4 => {
                    let piece = PIECES[self.below(PIECES.len())];
                    drop(bytes.splice(at..at, piece.iter().copied()));
                }
                5 => {
                    let to = at + self.below(bytes.len() - at + 1);
                    let copy = bytes[at..to].to_vec();
                    drop(bytes.splice(at..at, copy));
                }
                _ => {
                    let other = corpus.get(self.below(corpus.len())).cloned().unwrap_or_default();
                    let from = self.below(other.len() + 1);
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
            }
        }
        bytes
    }
}
