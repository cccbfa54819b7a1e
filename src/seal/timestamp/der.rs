//! Reading DER (X.690) strictly: definite lengths in their shortest form, nothing left over.

/// Tags that time-stamps use.
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const CONTEXT_0: u8 = 0xa0;
pub(super) const CONTEXT_1: u8 = 0xa1;
pub(super) const CONTEXT_3: u8 = 0xa3;

/// What comes next in a DER encoding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

/// One element: its tag, its content, and all its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

impl<'a> Element<'a> {
    pub(super) fn inside(self) -> Reader<'a> {
        Reader(self.content)
    }
}

impl<'a> Reader<'a> {
    /// The next element, whatever it is; none at the end.
    pub(super) fn any(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        // Tags of more than one byte have no place in a time-stamp.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let count = usize::from(first & 0x7f);
            if !(1..=3).contains(&count) {
                return None;
            }
            let (digits, behind) = rest.split_at_checked(count)?;
            length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            if length < 0x80 || digits.first() == Some(&0) {
                return None;
            }
            rest = behind;
        }
        let (content, behind) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - behind.len())?;
        self.0 = behind;
        Some(Element { tag, content, whole })
    }

    /// The next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<Element<'a>> {
        self.any().filter(|element| element.tag == tag)
    }

    /// The next element if it has this tag.
    pub(super) fn take_if(&mut self, tag: u8) -> Option<Element<'a>> {
        (self.0.first() == Some(&tag)).then(|| self.any()).flatten()
    }

    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The one element that these bytes are.
    pub(super) fn only(bytes: &'a [u8], tag: u8) -> Option<Element<'a>> {
        let mut reader = Self(bytes);
        let element = reader.take(tag)?;
        reader.is_empty().then_some(element)
    }
}

/// Encodes one element with this tag.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short @ ..0x80) => bytes.push(short),
        _ => {
            let digits = length.to_be_bytes();
            let skipped = digits.iter().take_while(|digit| **digit == 0).count();
            bytes.push(0x80 | u8::try_from(digits.len() - skipped).unwrap_or(8));
            bytes.extend(digits.iter().skip(skipped));
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_read_back() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let bytes = element(OCTETS, &content);
            let read = Reader::only(&bytes, OCTETS).unwrap();
            assert_eq!((read.content, read.whole), (&content[..], &bytes[..]));
        }
    }

    #[test]
    fn lengths_that_are_open_too_long_or_lie_are_refused() {
        let cases: [&[u8]; 7] =
            [b"\x04", b"\x04\x80\0\0", b"\x04\x81\x01a", b"\x04\x82\0\x80", b"\x04\x02a", b"\x1f\x81\x01a", b"\x04\xff"];
        for bytes in cases {
            assert!(Reader(bytes).any().is_none(), "{bytes:x?}");
        }
        assert!(Reader::only(b"\x04\x00x", OCTETS).is_none(), "something left over");
    }
}
