//! Which trail is meant: the ARN of a trail, and of nothing else.

use std::fmt;
use std::str::FromStr;

use super::{AccountId, Region, serde_as_text};

/// The ARN of a CloudTrail trail: `arn:PARTITION:cloudtrail:HOME-REGION:ACCOUNT:trail/NAME`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrailArn {
    partition: String,
    home_region: Region,
    account: AccountId,
    name: String,
}

/// The text is not the ARN of a trail.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not the ARN of a trail (`arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME` is expected)")]
pub struct ParseTrailArnError {
    text: String,
}

impl FromStr for TrailArn {
    type Err = ParseTrailArnError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseTrailArnError { text: super::printable(&text.chars().take(256).collect::<String>()) };
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (scheme, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
        let name = resource.strip_prefix("trail/").ok_or_else(refuse)?;
        if scheme != "arn" || !partition.starts_with("aws") || service != "cloudtrail" || !valid_trail_name(name) {
            return Err(refuse());
        }
        if !partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') {
            return Err(refuse());
        }
        Ok(Self {
            partition: partition.to_owned(),
            home_region: region.parse().map_err(|_| refuse())?,
            account: account.parse().map_err(|_| refuse())?,
            name: name.to_owned(),
        })
    }
}

/// 3 to 128 of `[A-Za-z0-9._-]`, first and last alphanumeric (CloudTrail API reference, `CreateTrail`, `Name`).
fn valid_trail_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (3..=128).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

impl TrailArn {
    /// The region in which the trail was created; the same for all its shadow trails.
    #[must_use]
    pub fn home_region(&self) -> &Region {
        &self.home_region
    }

    /// The account that owns the trail; for an organization trail, the management account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The trail's name, which stands in the keys of its digests.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TrailArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:cloudtrail:{}:{}:trail/{}", self.partition, self.home_region, self.account, self.name)
    }
}

impl fmt::Debug for TrailArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(TrailArn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_arn_is_taken_apart_and_put_together() {
        let text = "arn:aws-us-gov:cloudtrail:us-gov-west-1:111122223333:trail/man.age_ment-1";
        let arn: TrailArn = text.parse().unwrap();
        assert_eq!(arn.to_string(), text);
        assert_eq!((arn.name(), arn.home_region().as_str()), ("man.age_ment-1", "us-gov-west-1"));
    }

    #[test]
    fn other_arns_are_refused() {
        for text in [
            "",
            "arn:aws:s3:::example-corp",
            "arn:aws:cloudtrail:us-east-1:111122223333:trail/",
            "arn:aws:cloudtrail:us-east-1:111122223333:trail/../x",
            "arn:aws:cloudtrail:us-east-1:1111:trail/abc",
            "arn:aws:cloudtrail:us-east-1:111122223333:eventdatastore/abc",
        ] {
            assert!(text.parse::<TrailArn>().is_err(), "{text}");
        }
    }
}
