//! The name of a bucket of S3, as S3 allows it or once allowed it.

use std::fmt;
use std::str::FromStr;

/// The name of a bucket of S3, as S3 allows it or once allowed it.
///
/// Old buckets of us-east-1 may have capitals, underscores, and up to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName(String);

/// Why a text is no bucket's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}{}", proposed.as_ref().map_or_else(String::new, |name| format!("; the bucket in it is `{name}`")))]
pub struct ParseBucketNameError {
    problem: &'static str,
    /// The name that was meant, where the text has one in it.
    proposed: Option<String>,
}

/// How long a name may be.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=255;

impl BucketName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BucketName {
    type Err = ParseBucketNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        // `arn:PARTITION:s3:::NAME/KEY`; that of an access point names no bucket.
        let of_arn = || text.strip_prefix("arn:")?.split_once(":s3:::").map(|(_, resource)| resource);
        let (problem, rest) = if let Some(location) = text.strip_prefix("s3://") {
            ("this is a location, and a bucket's plain name is wanted", location)
        } else if let Some(resource) = of_arn() {
            ("this is an ARN, and a bucket's plain name is wanted", resource)
        } else if text.starts_with("arn:") || text.contains("://") {
            ("a bucket's plain name is wanted", "")
        } else if text.contains('/') {
            ("a bucket's name has no `/`", text)
        } else {
            ("a bucket's name has 3 to 255 letters, digits, dots, hyphens and underscores", "")
        };
        let name = rest.split('/').next().unwrap_or_default();
        Err(ParseBucketNameError { problem, proposed: is_name(name).then(|| name.to_owned()) })
    }
}

fn is_name(text: &str) -> bool {
    LENGTHS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> ParseBucketNameError {
        text.parse::<BucketName>().unwrap_err()
    }

    #[test]
    fn every_name_that_s3_ever_allowed_is_one() {
        let long = "a".repeat(255);
        for name in ["example-corp-cloudtrail", "logs.example.com", "Example_Corp", "abc", "123", &long] {
            assert_eq!(name.parse::<BucketName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_s3_never_allowed_is_none() {
        let long = "a".repeat(256);
        for text in ["", "ab", "example corp", "example*", "exämple", "a:b", &long, "example\n"] {
            assert_eq!(refused(text).proposed, None, "{text}");
        }
    }

    #[test]
    fn the_name_in_a_location_or_an_arn_is_proposed() {
        for text in [
            "s3://example-corp",
            "s3://example-corp/AWSLogs/",
            "arn:aws:s3:::example-corp",
            "arn:aws-us-gov:s3:::example-corp/*",
            "example-corp/AWSLogs",
        ] {
            assert!(refused(text).to_string().ends_with("; the bucket in it is `example-corp`"), "{text}: {}", refused(text));
        }
        for text in ["s3://x", "arn:aws:s3:us-east-1:111122223333:accesspoint/reader", "https://example.com/example-corp"] {
            assert_eq!(refused(text).proposed, None, "{text}");
        }
    }
}
