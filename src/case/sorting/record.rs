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
        bytes.number()
    }
}

/// Bytes that are read from their beginning.
#[derive(Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl Bytes<'_> {
    /// The next so many bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// A number of eight bytes.
    pub(crate) fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of four bytes.
    pub(crate) fn short(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A text that [`put_text`] wrote.
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.short()?).ok()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(taken.to_vec()).ok()
    }

    /// What [`put_option`] wrote.
    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.byte()? {
            0 => Some(None),
            _ => read(self).map(Some),
        }
    }

    /// A hash.
    pub(crate) fn hash(&mut self) -> Option<Sha256Hash> {
        self.array().map(Sha256Hash::from_bytes)
    }

    /// An instant that [`put_instant`] wrote.
    pub(crate) fn instant(&mut self) -> Option<Timestamp> {
        let seconds = self.array().map(i64::from_le_bytes)?;
        chrono::DateTime::from_timestamp(seconds, self.short()?).map(Timestamp::new)
    }

    /// A location that [`put_location`] wrote.
    pub(crate) fn location(&mut self) -> Option<S3Location> {
        Some(S3Location::new(self.text()?, self.text()?))
    }
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // Nothing that is read is longer: the longest is a digest, and those are bounded.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_option<T>(bytes: &mut Vec<u8>, value: Option<T>, write: impl FnOnce(&mut Vec<u8>, T)) {
    bytes.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(bytes, value);
    }
}

pub(crate) fn put_instant(bytes: &mut Vec<u8>, at: Timestamp) {
    bytes.extend_from_slice(&at.instant().timestamp().to_le_bytes());
    bytes.extend_from_slice(&at.instant().timestamp_subsec_nanos().to_le_bytes());
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
        let mut read = Bytes(&bytes);
        assert_eq!(read.instant(), Some(at));
        assert_eq!(read.location(), Some(location));
        assert_eq!(read.option(Bytes::text), Some(Some("text".to_owned())));
        assert_eq!(read.option(Bytes::text), Some(None));
        assert_eq!((u64::read(&mut read), read.byte()), (Some(7), None));
    }
}
