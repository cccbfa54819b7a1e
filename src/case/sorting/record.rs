//! What is sorted, as bytes in a scratch file: written and read back by the same process, so that no format has to be kept.

use crate::model::{S3Location, Sha256Hash, Timestamp};

/// Something that can be sorted on disk.
///
/// Its order must be total, and tell apart whatever is not the same: where things come in does not decide how they come out.
pub(crate) trait Record: Ord + Sized {
    /// Writes it behind what is there.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Reads one back; none if the bytes are not one, which only a broken disk brings about.
    fn read(bytes: &mut Bytes<'_>) -> Option<Self>;

    /// How many bytes of memory it holds besides its own.
    fn held(&self) -> usize {
        0
    }
}

impl Record for u64 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }

    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        bytes.array().map(Self::from_le_bytes)
    }
}

/// Bytes that are read from their beginning.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

/// Bytes that are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl Bytes<'_> {
    /// The next so many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// A number that [`put_number`] wrote.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    /// The same, of one that fits into four bytes.
    pub(crate) fn short(&mut self) -> Option<u32> {
        self.number().and_then(|number| number.try_into().ok())
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A text that [`put_text`] wrote.
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.number()?).ok()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).ok()
    }

    /// What [`put_option`] wrote.
    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Result<Option<T>, Broken> {
        match self.byte().ok_or(Broken)? {
            0 => Ok(None),
            _ => read(self).map(Some).ok_or(Broken),
        }
    }

    /// A hash.
    pub(crate) fn hash(&mut self) -> Option<Sha256Hash> {
        self.array().map(Sha256Hash::from_bytes)
    }

    /// An instant that [`put_instant`] wrote.
    pub(crate) fn instant(&mut self) -> Option<Timestamp> {
        let seconds = self.number()?.cast_signed();
        chrono::DateTime::from_timestamp(seconds, self.short()?).map(Timestamp::new)
    }

    /// A location that [`put_location`] wrote.
    pub(crate) fn location(&mut self) -> Option<S3Location> {
        Some(S3Location::new(self.text()?, self.text()?))
    }
}

/// Writes a number in as many bytes as it needs, seven bits in each.
pub(crate) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            return bytes.push(low & 0x7f);
        }
        bytes.push(low | 0x80);
    }
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, u64::try_from(text.len()).unwrap_or(u64::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_option<T>(bytes: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    bytes.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(bytes, value);
    }
}

pub(crate) fn put_instant(bytes: &mut Vec<u8>, at: Timestamp) {
    // Those before 1970 take ten bytes, all others five.
    put_number(bytes, at.instant().timestamp().cast_unsigned());
    put_number(bytes, at.instant().timestamp_subsec_nanos().into());
}

pub(crate) fn put_location(bytes: &mut Vec<u8>, location: &S3Location) {
    put_text(bytes, &location.bucket);
    put_text(bytes, &location.key);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_read_as_it_was_written() {
        let at: Timestamp = "2016-12-31T23:59:60.250Z".parse().unwrap();
        let location = S3Location::new("bucket", "k\u{e9}y");
        let mut bytes = Vec::new();
        put_instant(&mut bytes, at);
        put_location(&mut bytes, &location);
        put_option(&mut bytes, Some("text"), put_text);
        put_option(&mut bytes, None, put_text);
        7_u64.write(&mut bytes);
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        for number in &numbers {
            put_number(&mut bytes, *number);
        }
        put_instant(&mut bytes, "1969-12-31T23:59:59Z".parse().unwrap());
        let mut read = Bytes(&bytes);
        assert_eq!(read.instant(), Some(at));
        assert_eq!(read.location(), Some(location));
        assert_eq!(read.option(Bytes::text), Ok(Some("text".to_owned())));
        assert_eq!(read.option(Bytes::text), Ok(None));
        assert_eq!(u64::read(&mut read), Some(7));
        assert_eq!(numbers.map(|_| read.number()), numbers.map(Some));
        assert_eq!(read.instant(), Some("1969-12-31T23:59:59Z".parse().unwrap()));
        assert_eq!(read.byte(), None);
        assert_eq!(Bytes(&[0xff; 20]).number(), None);
    }
}
