//! The number of an AWS account.

use std::fmt;
use std::str::FromStr;

use super::serde_as_text;

/// A twelve-digit AWS account number.
///
/// Kept as digits, not as an integer: leading zeros are part of the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; 12]);

/// The text is not an account number.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an AWS account number: twelve digits are expected")]
pub struct ParseAccountIdError {
    text: String,
}

impl FromStr for AccountId {
    type Err = ParseAccountIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 12]>::try_from(text.as_bytes()) {
            Ok(digits) if digits.iter().all(u8::is_ascii_digit) => Ok(Self(digits)),
            _ => Err(ParseAccountIdError { text: text.chars().take(64).collect() }),
        }
    }
}

impl AccountId {
    /// The twelve digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

serde_as_text!(AccountId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_leading_zeros() {
        assert_eq!("000000000012".parse::<AccountId>().unwrap().to_string(), "000000000012");
    }

    #[test]
    fn refuses_what_is_not_twelve_ascii_digits() {
        for text in ["", "11112222333", "1111222233334", " 11122223333", "１11122223333", "11112222333x"] {
            assert!(text.parse::<AccountId>().is_err(), "{text}");
        }
    }
}
