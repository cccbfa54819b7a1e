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

impl fmt::Display for S3Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", printable(&self.bucket), printable(&self.key))
    }
}
