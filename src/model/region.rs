//! The code of an AWS region.

use std::fmt;
use std::str::FromStr;

use super::serde_as_text;

/// The code of an AWS region, such as `eu-central-1` or `us-gov-west-1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(String);

/// The text is not a region code.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an AWS region code such as `eu-central-1`")]
pub struct ParseRegionError {
    text: String,
}

impl FromStr for Region {
    type Err = ParseRegionError;

    /// Accepts the form of a region code, not a list of today's regions: new ones appear every year.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let (last, words) = parts.split_last().unwrap_or((&"", &[]));
        let number = !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit());
        let named = words.len() >= 2 && words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()));
        if number && named && text.len() <= 32 {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseRegionError { text: text.chars().take(64).collect() })
        }
    }
}

impl Region {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Region);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_form_of_every_partition() {
        for text in ["us-east-1", "ap-southeast-4", "us-gov-west-1", "cn-northwest-1", "us-isob-east-1", "eusc-de-east-1"] {
            assert_eq!(text.parse::<Region>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_names_that_could_escape_into_a_path_or_a_host() {
        for text in
            ["", "us", "us-east", "us-east-", "US-EAST-1", "../us-east-1", "us-east-1/x", "us-east-1.example.com", "us--1"]
        {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }
}
