//! The key pairs with which each region signs its digests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use chrono::{DateTime, Duration, Utc};
use md5::Md5;
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding, Signer};
use sha2::{Digest, Sha256};

use super::chance;
use super::scenario::Scenario;

/// How long a published key is valid.
const VALIDITY: Duration = Duration::days(30);

/// A key pair of one region, with its public half as `ListPublicKeys` shows it.
#[derive(Debug, Clone)]
pub struct RegionKey {
    /// The public key: DER of a PKCS#1 `RSAPublicKey`.
    pub public_der: Vec<u8>,
    /// MD5 of that DER, in hexadecimal.
    pub fingerprint: String,
    /// When the key became valid.
    pub valid_from: DateTime<Utc>,
    /// When it ceases to be.
    pub valid_until: DateTime<Utc>,
    pair: Arc<SigningKey<Sha256>>,
}

impl RegionKey {
    /// Signs a message as CloudTrail does: RSASSA-PKCS1-v1_5 with SHA-256, in hexadecimal.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        hex::encode(self.pair.sign(message).to_bytes())
    }
}

/// All keys of all regions, oldest first.
#[derive(Debug)]
pub(super) struct Keys {
    regions: BTreeMap<String, Vec<RegionKey>>,
}

impl Keys {
    /// Makes the keys. The home region's key is replaced in the middle of the history, all others
    /// are some days into their validity.
    pub(super) fn generate(scenario: &Scenario) -> Self {
        let half = Duration::hours(i64::from(scenario.hours / 2)) + Duration::seconds(227);
        let rotation = scenario.start() + half;
        let mut wanted = Vec::new();
        for (number, region) in (0_i64..).zip(&scenario.regions) {
            if region == scenario.home_region() {
                wanted.push((region, rotation - VALIDITY));
                wanted.push((region, rotation));
            } else {
                wanted.push((region, scenario.start() - Duration::seconds(777_777 + 43_210 * number)));
            }
        }
        let made: Vec<(String, RegionKey)> = thread::scope(|scope| {
            let running: Vec<_> = wanted
                .into_iter()
                .enumerate()
                .map(|(number, (region, from))| {
                    let label = format!("key {number} {region}");
                    scope.spawn(move || (region.clone(), generate_key(scenario.seed, &label, from)))
                })
                .collect();
            running.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let mut regions: BTreeMap<String, Vec<RegionKey>> = BTreeMap::new();
        for (region, key) in made {
            regions.entry(region).or_default().push(key);
        }
        Self { regions }
    }

    pub(super) fn of_region(&self, region: &str) -> &[RegionKey] {
        self.regions.get(region).map(Vec::as_slice).unwrap_or_default()
    }

    /// The key a region signs with at an instant.
    pub(super) fn at(&self, region: &str, instant: DateTime<Utc>) -> Option<&RegionKey> {
        let valid = |key: &&RegionKey| key.valid_from <= instant && instant < key.valid_until;
        self.of_region(region).iter().rev().find(valid)
    }

    pub(super) fn by_fingerprint(&self, region: &str, fingerprint: &str) -> Option<&RegionKey> {
        self.of_region(region).iter().find(|key| key.fingerprint == fingerprint)
    }
}

fn generate_key(seed: u64, label: &str, valid_from: DateTime<Utc>) -> RegionKey {
    let private = private_key(seed, label);
    let public_der = private.to_public_key().to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default();
    RegionKey {
        fingerprint: hex::encode(Md5::digest(&public_der)),
        public_der,
        valid_from,
        valid_until: valid_from + VALIDITY,
        pair: Arc::new(SigningKey::new(private)),
    }
}

/// Finding primes is most of the work of simulating an account, so a process that simulates
/// several with one seed finds them once.
fn private_key(seed: u64, label: &str) -> RsaPrivateKey {
    static FOUND: Mutex<BTreeMap<(u64, String), RsaPrivateKey>> = Mutex::new(BTreeMap::new());
    let name = (seed, label.to_owned());
    if let Some(known) = FOUND.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
        return known.clone();
    }
    let private = find_primes(seed, label);
    FOUND.lock().unwrap_or_else(PoisonError::into_inner).insert(name, private.clone());
    private
}

fn find_primes(seed: u64, label: &str) -> RsaPrivateKey {
    let mut generator = chance::generator(seed, label);
    loop {
        if let Ok(private) = RsaPrivateKey::new(&mut generator, 2048) {
            return private;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_seeds_find_equal_primes() {
        assert_eq!(find_primes(1, "a"), find_primes(1, "a"));
    }

    #[test]
    fn the_home_region_changes_its_key_within_the_history_and_others_do_not() {
        let scenario = Scenario::quiet("2026-03-02T12:00:00Z".parse().unwrap());
        let keys = Keys::generate(&scenario);
        let used = |region: &str| {
            let at = |instant| keys.at(region, instant).unwrap().fingerprint.clone();
            (at(scenario.start()), at(scenario.end))
        };
        let (first, last) = used("us-east-1");
        assert_ne!(first, last);
        let (first, last) = used("eu-central-1");
        assert_eq!(first, last);
    }
}
