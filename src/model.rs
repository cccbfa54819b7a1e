//! The words of the domain: values parsed once, and valid ever after.

mod account;
mod amount;
mod arn;
mod bucket;
mod finding;
mod hash;
mod location;
mod payload_path;
mod region;
pub mod strict_json;
mod timestamp;
mod window;

pub use account::{AccountId, ParseAccountIdError};
pub use amount::{counted, thousands};
pub use arn::{ParseTrailArnError, TrailArn};
pub use bucket::{BucketName, ParseBucketNameError};
pub use finding::{Finding, Severity};
pub use hash::{HashingReader, ParseSha256HashError, Sha256Hash, Sha256Hasher};
pub use location::{S3Location, url_decoded};
pub use payload_path::{ParsePayloadPathError, PayloadPath};
pub use region::{ParseRegionError, Region};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use window::{Bound, Window, WindowError, parse_bound};

/// Implements `Serialize` and `Deserialize` through `Display` and `FromStr`, so that there is one way in.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

/// Makes text from evidence fit for a terminal or a one-line message.
///
/// Control characters, terminal escapes, bidirectional overrides and whatever else is not seen become `\u{…}`, so that a hostile name can
/// neither move the cursor nor disguise itself.
#[must_use]
pub fn printable(text: &str) -> String {
    let hides = |c: char| c.is_control() || is_hidden(c);
    if !text.contains(hides) {
        return text.to_owned();
    }
    text.chars().map(|c| if hides(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// Whether a character shows nothing of itself or changes how others are shown: Unicode's category Cf, its `Default_Ignorable_Code_Point`,
/// and the separators of lines and paragraphs. `verify.html` and `verify_disclosure.py` have the same list.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn terminal_escapes_and_overrides_are_spelled_out() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\n"), r"a\u{1b}[2Jb\u{202e}c\u{a}");
        assert_eq!(printable("Grün/…"), "Grün/…");
    }

    #[test]
    fn what_is_not_seen_is_spelled_out() {
        for hidden in ['\u{ad}', '\u{61c}', '\u{115f}', '\u{180e}', '\u{2066}', '\u{3164}', '\u{fe0f}', '\u{e0041}'] {
            assert_eq!(printable(&format!("a{hidden}b")), format!("a{}b", hidden.escape_unicode()));
        }
        for seen in ["e\u{301}", "日本", "🔒", "a b"] {
            assert_eq!(printable(seen), seen);
        }
    }
}
