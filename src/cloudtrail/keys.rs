use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use md5::{Digest as _, Md5};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde::Deserialize;

use crate::model::{Region, Timestamp};

/// One public key of CloudTrail, from an answer of `ListPublicKeys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// AWS's name for it.
    pub fingerprint: String,
    /// DER of a PKCS#1 `RSAPublicKey` (RFC 8017 appendix A.1.1).
    der: Vec<u8>,
    /// Whether it was published as an X.509 `SubjectPublicKeyInfo` instead, which AWS has done at least once.
    pub wrapped: bool,
    /// The first instant of its validity.
    pub valid_from: Timestamp,
    /// The last instant of its validity.
    pub valid_until: Timestamp,
}

/// The keys of every region that was asked.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: HashMap<(Region, String), PublicKey>,
}

/// Why an answer of `ListPublicKeys` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysProblem {
    /// It does not parse.
    #[error("it does not parse: {0}")]
    Json(#[from] serde_json::Error),
    /// A key's fingerprint is not the MD5 of its value, as it is for every key that AWS published.
    #[error("the fingerprint {fingerprint} is not that of the key it stands beside")]
    Fingerprint {
        /// Which.
        fingerprint: String,
    },
    /// A key's value is neither form of an RSA public key.
    #[error("the value of key {fingerprint} is not an RSA public key")]
    NotAKey {
        /// Which.
        fingerprint: String,
    },
}

/// Why a signature does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    /// It is not hexadecimal.
    #[error("the signature is not hexadecimal")]
    NotHexadecimal,
    /// It is not by this key over this text.
    #[error("the signature is not by this key over this content")]
    Invalid,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    public_key_list: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    value: String,
    validity_start_time: f64,
    validity_end_time: f64,
    fingerprint: String,
}

impl KeyRing {
    /// Takes the keys of one answer of `ListPublicKeys` given by `region`.
    pub fn add_answer(&mut self, region: &Region, body: &[u8]) -> Result<usize, KeysProblem> {
        let answer: Answer = serde_json::from_slice(body)?;
        let count = answer.public_key_list.len();
        for listed in answer.public_key_list {
            let not_a_key = || KeysProblem::NotAKey { fingerprint: crate::model::printable(&listed.fingerprint) };
            let value = STANDARD.decode(&listed.value).map_err(|_| not_a_key())?;
            if hex::encode(Md5::digest(&value)) != listed.fingerprint.to_ascii_lowercase() {
                return Err(KeysProblem::Fingerprint { fingerprint: crate::model::printable(&listed.fingerprint) });
            }
            let (der, wrapped) = match unwrapped(&value) {
                Some(inner) => (inner.to_vec(), true),
                None if sequence(&value).is_some() => (value, false),
                None => return Err(not_a_key()),
            };
            let key = PublicKey {
                fingerprint: listed.fingerprint.clone(),
                der,
                wrapped,
                valid_from: epoch(listed.validity_start_time).ok_or_else(not_a_key)?,
                valid_until: epoch(listed.validity_end_time).ok_or_else(not_a_key)?,
            };
            self.keys.insert((region.clone(), listed.fingerprint), key);
        }
        Ok(count)
    }

    /// The key with this fingerprint, published by this region.
    #[must_use]
    pub fn get(&self, region: &Region, fingerprint: &str) -> Option<&PublicKey> {
        self.keys.get(&(region.clone(), fingerprint.to_owned()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// Seconds since 1970, with a fraction, as AWS's JSON protocol writes instants.
fn epoch(seconds: f64) -> Option<Timestamp> {
    if !seconds.is_finite() || seconds.abs() > 1e11 {
        return None;
    }
    let duration = std::time::Duration::try_from_secs_f64(seconds.max(0.0)).ok()?;
    DateTime::<Utc>::UNIX_EPOCH.checked_add_signed(chrono::TimeDelta::from_std(duration).ok()?).map(Timestamp::new)
}

impl PublicKey {
    /// Verifies RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2) over `text`.
    pub fn verify(&self, text: &str, signature: &str) -> Result<(), SignatureProblem> {
        let signature = hex::decode(signature).map_err(|_| SignatureProblem::NotHexadecimal)?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.der)
            .verify(text.as_bytes(), &signature)
            .map_err(|_| SignatureProblem::Invalid)
    }

    /// Whether `at` lies in its validity.
    #[must_use]
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.valid_from <= at && at <= self.valid_until
    }
}

/// The content of a DER element with `tag` at the start of `bytes`, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if length.is_empty() || length.len() > 4 {
            return None;
        }
        (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    (found == tag).then(|| rest.split_at_checked(length))?
}

/// The content, if `bytes` are exactly one DER sequence.
fn sequence(bytes: &[u8]) -> Option<&[u8]> {
    element(bytes, 0x30).and_then(|(content, rest)| rest.is_empty().then_some(content))
}

/// The `RSAPublicKey` inside a `SubjectPublicKeyInfo` (RFC 5280 section 4.1), if `bytes` are one.
fn unwrapped(bytes: &[u8]) -> Option<&[u8]> {
    let (_algorithm, rest) = element(sequence(bytes)?, 0x30)?;
    let (bits, rest) = element(rest, 0x03)?;
    let inner = bits.strip_prefix(&[0])?;
    (rest.is_empty() && sequence(inner).is_some()).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public keys that AWS published in its user guide ("custom implementations") and in the CLI's example of `list-public-keys`.
    const PUBLISHED: &str = include_str!("../../tests/vectors/aws-published-keys.json");

    fn region() -> Region {
        "us-east-2".parse().unwrap()
    }

    #[test]
    fn keys_that_aws_published_are_read_in_both_encodings() {
        let mut ring = KeyRing::default();
        assert_eq!(ring.add_answer(&region(), PUBLISHED.as_bytes()).unwrap(), 4);
        let wrapped = ring.get(&region(), "31e8b5433410dfb61a9dc45cc65b22ff").unwrap();
        assert!(wrapped.wrapped && wrapped.der.len() == 270);
        assert_eq!(ring.keys.values().filter(|key| !key.wrapped).count(), 3);
    }

    #[test]
    fn a_key_belongs_to_the_region_that_published_it() {
        let mut ring = KeyRing::default();
        ring.add_answer(&region(), PUBLISHED.as_bytes()).unwrap();
        assert!(ring.get(&"us-east-1".parse().unwrap(), "31e8b5433410dfb61a9dc45cc65b22ff").is_none());
    }

    #[test]
    fn a_fingerprint_of_another_key_is_refused() {
        let body = PUBLISHED.replace("31e8b5433410dfb61a9dc45cc65b22ff", "31e8b5433410dfb61a9dc45cc65b22fe");
        assert!(matches!(KeyRing::default().add_answer(&region(), body.as_bytes()), Err(KeysProblem::Fingerprint { .. })));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let body = r#"{"PublicKeyList":[{"Value":"AAAA","ValidityStartTime":1,"ValidityEndTime":2,"Fingerprint":"693e9af84d3dfcc71e640e005bdc5e2e"}]}"#;
        assert!(matches!(KeyRing::default().add_answer(&region(), body.as_bytes()), Err(KeysProblem::NotAKey { .. })));
    }
}
