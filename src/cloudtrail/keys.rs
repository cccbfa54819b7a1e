//! The public keys with which CloudTrail signs, by region and time, and whether a signature is by one of them. Who gave the answers is for
//! the caller to know.

use std::collections::{BTreeMap, HashMap, HashSet};

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

/// From when, until when; none is the present.
type Asked = (Option<Timestamp>, Option<Timestamp>);

/// The keys of every region that was asked.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: HashMap<(Region, String), PublicKey>,
    /// Fingerprints that an answer names beside something that cannot be used as that key.
    unusable: HashSet<(Region, String)>,
    /// For which times each region was asked for its keys, and answered in full.
    asked: HashMap<Region, Vec<Asked>>,
}

/// What can be said of a key that signed something.
#[derive(Clone, Copy, Debug)]
pub enum KeyStanding<'a> {
    /// It was published.
    Published(&'a PublicKey),
    /// An answer names it, but what stands there is not this key.
    Unusable,
    /// The region was asked for the keys of that time, answered, and did not name it.
    Unknown,
    /// The region was never asked for the keys of that time, or did not answer.
    NotAsked,
}

/// Why one key of an answer cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
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
    /// A key that another answer gave another value.
    #[error("two answers give different keys for the fingerprint {fingerprint}")]
    Contradiction {
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
    /// Takes the keys of one answer of `ListPublicKeys` given by `region`; says what is wrong with those it cannot use.
    ///
    /// An answer that does not parse gives no keys at all and is an error.
    pub fn add_answer(&mut self, region: &Region, body: &[u8]) -> Result<Vec<KeyProblem>, serde_json::Error> {
        let answer: Answer = serde_json::from_slice(body)?;
        let mut problems = Vec::new();
        for listed in answer.public_key_list {
            let place = (region.clone(), listed.fingerprint.clone());
            match listed.key() {
                Ok(key) if self.keys.get(&place).is_some_and(|known| known.der != key.der) => {
                    problems.push(KeyProblem::Contradiction { fingerprint: crate::model::printable(&key.fingerprint) });
                }
                Ok(key) => drop(self.keys.insert(place, key)),
                Err(problem) => {
                    self.unusable.insert(place);
                    problems.push(problem);
                }
            }
        }
        Ok(problems)
    }

    /// Notes that `region` was asked for all keys of a time, and answered. Without bounds: the keys in use at that moment.
    pub fn note_asked(&mut self, region: &Region, from: Option<Timestamp>, until: Option<Timestamp>) {
        self.asked.entry(region.clone()).or_default().push((from, until));
    }

    /// What can be said of the key with this fingerprint, with which `region` is to have signed at `at`.
    #[must_use]
    pub fn standing(&self, region: &Region, fingerprint: &str, at: Timestamp) -> KeyStanding<'_> {
        let place = (region.clone(), fingerprint.to_owned());
        if let Some(key) = self.keys.get(&place) {
            return KeyStanding::Published(key);
        }
        if self.unusable.contains(&place) {
            return KeyStanding::Unusable;
        }
        let asked = self.asked.get(region).into_iter().flatten();
        let covers = |(from, until): &(Option<Timestamp>, Option<Timestamp>)| {
            from.is_none_or(|from| from <= at) && until.is_none_or(|until| at <= until)
        };
        if asked.into_iter().any(covers) { KeyStanding::Unknown } else { KeyStanding::NotAsked }
    }

    /// The key with this fingerprint, published by this region.
    #[must_use]
    pub fn get(&self, region: &Region, fingerprint: &str) -> Option<&PublicKey> {
        self.keys.get(&(region.clone(), fingerprint.to_owned()))
    }

    /// Every region that was asked, with the earliest and the latest time it was asked about.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<&Region, (Option<Timestamp>, Option<Timestamp>)> {
        let span = |asked: &Vec<Asked>| {
            (asked.iter().filter_map(|(from, _)| *from).min(), asked.iter().filter_map(|(_, until)| *until).max())
        };
        self.asked.iter().map(|(region, asked)| (region, span(asked))).collect()
    }

    /// Every key with the region that published it.
    pub fn iter(&self) -> impl Iterator<Item = (&Region, &PublicKey)> {
        self.keys.iter().map(|((region, _), key)| (region, key))
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

impl Listed {
    fn key(self) -> Result<PublicKey, KeyProblem> {
        let fingerprint = crate::model::printable(&self.fingerprint);
        let not_a_key = || KeyProblem::NotAKey { fingerprint: fingerprint.clone() };
        let value = STANDARD.decode(&self.value).map_err(|_| not_a_key())?;
        if hex::encode(Md5::digest(&value)) != self.fingerprint.to_ascii_lowercase() {
            return Err(KeyProblem::Fingerprint { fingerprint });
        }
        let (der, wrapped) = match unwrapped(&value) {
            Some(inner) => (inner.to_vec(), true),
            None if is_public_key(&value) => (value, false),
            None => return Err(not_a_key()),
        };
        Ok(PublicKey {
            der,
            wrapped,
            valid_from: epoch(self.validity_start_time).ok_or_else(not_a_key)?,
            valid_until: epoch(self.validity_end_time).ok_or_else(not_a_key)?,
            fingerprint: self.fingerprint,
        })
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
    /// The key itself, whichever way it was published.
    #[must_use]
    pub fn public_bytes(&self) -> &[u8] {
        &self.der
    }

    /// Verifies RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2.2) over `text`.
    pub fn verify(&self, text: &str, signature: &str) -> Result<(), SignatureProblem> {
        let signature = hex::decode(signature).map_err(|_| SignatureProblem::NotHexadecimal)?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.der)
            .verify(text.as_bytes(), &signature)
            .map_err(|_| SignatureProblem::Invalid)
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

/// Whether `bytes` are a PKCS#1 `RSAPublicKey`: a sequence of two integers, the first of at least 2,048 bits.
fn is_public_key(bytes: &[u8]) -> bool {
    let parts = sequence(bytes).and_then(|content| {
        let (modulus, rest) = element(content, 0x02)?;
        let (exponent, rest) = element(rest, 0x02)?;
        Some((modulus.len(), exponent.len(), rest.len()))
    });
    parts.is_some_and(|(modulus, exponent, rest)| modulus >= 256 && exponent > 0 && rest == 0)
}

/// The `RSAPublicKey` inside a `SubjectPublicKeyInfo` (RFC 5280 section 4.1), if `bytes` are one.
fn unwrapped(bytes: &[u8]) -> Option<&[u8]> {
    let (_algorithm, rest) = element(sequence(bytes)?, 0x30)?;
    let (bits, rest) = element(rest, 0x03)?;
    let inner = bits.strip_prefix(&[0])?;
    (rest.is_empty() && is_public_key(inner)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The public keys that AWS published in its user guide ("custom implementations") and in the CLI's example of `list-public-keys`.
    const PUBLISHED: &str = include_str!("../../tests/vectors/aws-published-keys.json");

    fn region() -> Region {
        "us-east-2".parse().unwrap()
    }

    fn problems(body: &str) -> Vec<KeyProblem> {
        KeyRing::default().add_answer(&region(), body.as_bytes()).unwrap()
    }

    #[test]
    fn keys_that_aws_published_are_read_in_both_encodings() {
        let mut ring = KeyRing::default();
        assert_eq!(ring.add_answer(&region(), PUBLISHED.as_bytes()).unwrap(), []);
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
    fn a_key_beside_another_keys_fingerprint_is_refused_and_the_others_are_kept() {
        let body = PUBLISHED.replace("31e8b5433410dfb61a9dc45cc65b22ff", "31e8b5433410dfb61a9dc45cc65b22fe");
        let mut ring = KeyRing::default();
        let problems = ring.add_answer(&region(), body.as_bytes()).unwrap();
        assert!(matches!(problems.as_slice(), [KeyProblem::Fingerprint { .. }]) && ring.len() == 3);
        let standing = ring.standing(&region(), "31e8b5433410dfb61a9dc45cc65b22fe", "2015-07-01T00:00:00Z".parse().unwrap());
        assert!(matches!(standing, KeyStanding::Unusable));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let body = r#"{"PublicKeyList":[{"Value":"AAAA","ValidityStartTime":1,"ValidityEndTime":2,"Fingerprint":"693e9af84d3dfcc71e640e005bdc5e2e"}]}"#;
        assert!(matches!(problems(body).as_slice(), [KeyProblem::NotAKey { .. }]));
    }

    #[test]
    fn a_key_is_unknown_only_for_times_that_were_asked_about() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let mut ring = KeyRing::default();
        ring.note_asked(&region(), Some(at("2026-03-01T00:00:00Z")), Some(at("2026-03-02T00:00:00Z")));
        let standing = |time: &str| ring.standing(&region(), "00", at(time));
        assert!(matches!(standing("2026-03-01T12:00:00Z"), KeyStanding::Unknown));
        assert!(matches!(standing("2026-02-01T12:00:00Z"), KeyStanding::NotAsked));
    }
}
