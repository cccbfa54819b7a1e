//! Where an object lies in S3, and the keys of listings as they are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::printable;

/// Where an object lies in S3: a bucket and the exact key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct S3Location {
    /// The bucket's name.
    pub bucket: String,
    /// The key, as S3 gave it.
    pub key: String,
}

impl S3Location {
    /// The location `s3://bucket/key`.
    #[must_use]
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }
}

/// A key as it is, out of a listing that says that its keys are URL-encoded: `%XX`, and `+` for a space. None where it is not encoded so.
#[must_use]
pub fn url_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let mut decoded = [0];
                hex::decode_to_slice(digits, &mut decoded).ok()?;
                bytes.extend_from_slice(&decoded);
            }
            b'+' => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", printable(&self.bucket), printable(&self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_encoding_is_undone() {
        assert_eq!(url_decoded("a%01%2B+%C3%BC").as_deref(), Some("a\u{1}+ ü"));
        assert_eq!(url_decoded("a%0"), None);
        assert_eq!(url_decoded("a%FF"), None);
    }
}
