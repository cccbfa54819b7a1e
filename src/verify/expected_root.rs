//! A root of the ledger as somebody noted it, all of it or its beginning.

use std::fmt;
use std::str::FromStr;

use crate::model::Sha256Hash;

/// Fewest digits that are accepted: sixteen cannot be met by chance, nor in any feasible number of attempts at another ledger.
const FEWEST: usize = 16;

/// A root of the ledger as somebody wrote it down or heard it: all of it, or at least its first sixteen digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedRoot(String);

/// It is no root, nor the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ledger's root is 64 hexadecimal digits, of which the first {FEWEST} or more must be given")]
pub struct ParseExpectedRootError;

impl ExpectedRoot {
    /// Whether `root` begins like this.
    #[must_use]
    pub fn is_met_by(&self, root: &Sha256Hash) -> bool {
        root.to_string().starts_with(&self.0)
    }
}

impl FromStr for ExpectedRoot {
    type Err = ParseExpectedRootError;

    /// Takes digits in either case, with spaces or hyphens between them where somebody grouped them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| c.to_ascii_lowercase()).collect();
        let valid = (FEWEST..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if valid { Ok(Self(digits)) } else { Err(ParseExpectedRootError) }
    }
}

impl fmt::Display for ExpectedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_digits_read_over_the_phone_are_enough() {
        let root = Sha256Hash::of(b"abc");
        for heard in ["ba7816bf8f01cfea", "BA78-16BF 8F01-CFEA 41", &root.to_string()] {
            assert!(heard.parse::<ExpectedRoot>().unwrap().is_met_by(&root), "{heard}");
        }
        assert!(!"ba7816bf8f01cfeb".parse::<ExpectedRoot>().unwrap().is_met_by(&root));
    }

    #[test]
    fn fewer_digits_and_other_letters_are_refused() {
        for text in ["", "ba7816bf8f01cfe", "ba7816bf8f01cfeg", &"a".repeat(65), "ba7816bf8f01cfe\u{e9}"] {
            assert_eq!(text.parse::<ExpectedRoot>(), Err(ParseExpectedRootError), "{text}");
        }
    }
}
