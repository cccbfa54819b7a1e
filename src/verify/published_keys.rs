//! The preserved public keys beside those that AWS publishes now.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::event::KeyComparison;
use crate::cloudtrail::{KeyRing, PublicKey};
use crate::model::{Finding, Region, Severity};

/// What a region says of its keys now; or, in words, why it says nothing.
pub type Published = BTreeMap<Region, Result<KeyRing, String>>;

/// Compares the keys that the case holds with those that AWS publishes now for the same time.
#[must_use]
pub fn compare_keys(preserved: &KeyRing, published: &Published) -> (KeyComparison, Vec<Finding>) {
    let (mut comparison, mut findings) = (KeyComparison::default(), Vec::new());
    for (region, answer) in published {
        comparison.regions += 1;
        match answer {
            Ok(now) => {
                comparison.answered += 1;
                compare_region(region, preserved, now, &mut comparison, &mut findings);
            }
            Err(why) => {
                let detail =
                    format!("{region} was asked again for its public keys, and did not say: {why}. Nothing is compared there.");
                let object = format!("public keys of {region}");
                findings.push(Finding::new(Severity::Gap, "keys-not-compared", &object, &detail));
            }
        }
    }
    (comparison, findings)
}

fn compare_region(
    region: &Region,
    preserved: &KeyRing,
    now: &KeyRing,
    comparison: &mut KeyComparison,
    findings: &mut Vec<Finding>,
) {
    // AWS forgets the oldest keys first: a key as old as one that AWS still lists is listed as well, or was never published.
    let oldest = now.iter().filter(|(of, _)| *of == region).map(|(_, key)| key.valid_from).min();
    let mut held = BTreeSet::new();
    for key in preserved.iter().filter(|(of, _)| *of == region).map(|(_, key)| key) {
        held.insert(key.fingerprint.as_str());
        let object = format!("key {} of {region}", key.fingerprint);
        let mut find = |severity, kind: &str, detail: &str| findings.push(Finding::new(severity, kind, &object, detail));
        match now.get(region, &key.fingerprint) {
            Some(listed) if listed.is_the_same_as(key) => {
                comparison.confirmed += 1;
                if (listed.valid_from, listed.valid_until) != (key.valid_from, key.valid_until) {
                    let detail = format!(
                        "AWS publishes the same key as valid {} to {}; the case has {} to {}.",
                        listed.valid_from, listed.valid_until, key.valid_from, key.valid_until
                    );
                    find(Severity::Gap, "key-validity-differs", &detail);
                }
            }
            Some(_) => {
                comparison.contradicted += 1;
                let detail = "AWS publishes another key under this fingerprint than the case holds.";
                find(Severity::Failure, "key-not-published", detail);
            }
            None if oldest.is_some_and(|oldest| oldest <= key.valid_from) => {
                comparison.contradicted += 1;
                let detail = "The case holds it as published by AWS, and AWS does not list it, though it lists keys as old: what it \
                              signed is not proven by AWS.";
                find(Severity::Failure, "key-not-published", detail);
            }
            None => {
                comparison.forgotten += 1;
                let detail = "AWS does not list it any more, nor any key as old: whether it ever did cannot be asked any more.";
                find(Severity::Gap, "key-no-longer-published", detail);
            }
        }
    }
    for key in now.iter().filter(|(of, key)| *of == region && !held.contains(key.fingerprint.as_str())).map(|(_, key)| key) {
        comparison.unheld += 1;
        let detail =
            "AWS publishes it for the time of the case, and the case does not hold it; whatever it signed is told of apart.";
        let object = format!("key {} of {region}", key.fingerprint);
        findings.push(Finding::new(Severity::Notice, "key-not-held", &object, detail));
    }
}

impl PublicKey {
    fn is_the_same_as(&self, other: &Self) -> bool {
        self.public_bytes() == other.public_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHED: &str = include_str!("../../tests/vectors/aws-published-keys.json");

    fn region() -> Region {
        "us-east-2".parse().unwrap()
    }

    fn ring(keep: impl Fn(usize) -> bool) -> KeyRing {
        let mut body: serde_json::Value = serde_json::from_str(PUBLISHED).unwrap();
        let keys = body["PublicKeyList"].as_array().unwrap().clone();
        let kept = keys.into_iter().enumerate().filter(|(number, _)| keep(*number)).map(|(_, key)| key);
        body["PublicKeyList"] = kept.collect();
        let mut ring = KeyRing::default();
        ring.add_answer(&region(), body.to_string().as_bytes()).unwrap();
        ring
    }

    fn compare(preserved: &KeyRing, now: Result<KeyRing, String>) -> (KeyComparison, Vec<(Severity, String)>) {
        let (comparison, findings) = compare_keys(preserved, &[(region(), now)].into());
        (comparison, findings.into_iter().map(|finding| (finding.severity, finding.kind)).collect())
    }

    /// The number of the key that became valid first, or last.
    fn extreme(newest: bool) -> usize {
        let body: serde_json::Value = serde_json::from_str(PUBLISHED).unwrap();
        let starts = body["PublicKeyList"].as_array().unwrap().iter().map(|key| key["ValidityStartTime"].as_f64().unwrap());
        let starts: Vec<f64> = starts.collect();
        let better = |a: f64, b: f64| if newest { a > b } else { a < b };
        (1..starts.len()).fold(0, |best, number| if better(starts[number], starts[best]) { number } else { best })
    }

    #[test]
    fn the_same_keys_are_confirmed_without_a_word() {
        let (comparison, findings) = compare(&ring(|_| true), Ok(ring(|_| true)));
        assert_eq!((comparison.confirmed, findings), (4, vec![]));
    }

    #[test]
    fn a_key_that_aws_does_not_list_beside_older_ones_was_never_published() {
        let newest = extreme(true);
        let (comparison, findings) = compare(&ring(|_| true), Ok(ring(|number| number != newest)));
        assert_eq!((comparison.confirmed, comparison.contradicted), (3, 1));
        assert_eq!(findings, [(Severity::Failure, "key-not-published".to_owned())]);
    }

    #[test]
    fn a_key_older_than_all_that_aws_lists_may_be_forgotten() {
        let oldest = extreme(false);
        let (comparison, findings) = compare(&ring(|_| true), Ok(ring(|number| number != oldest)));
        assert_eq!((comparison.confirmed, comparison.forgotten), (3, 1));
        assert_eq!(findings, [(Severity::Gap, "key-no-longer-published".to_owned())]);
    }

    #[test]
    fn a_key_that_the_case_does_not_hold_is_a_notice() {
        let oldest = extreme(false);
        let (comparison, findings) = compare(&ring(|number| number != oldest), Ok(ring(|_| true)));
        assert_eq!((comparison.unheld, findings), (1, vec![(Severity::Notice, "key-not-held".to_owned())]));
    }

    #[test]
    fn a_region_that_does_not_answer_is_a_gap() {
        let (comparison, findings) = compare(&ring(|_| true), Err("AccessDenied".to_owned()));
        assert_eq!((comparison.regions, comparison.answered), (1, 0));
        assert_eq!(findings, [(Severity::Gap, "keys-not-compared".to_owned())]);
    }

    #[test]
    fn another_validity_of_the_same_key_is_told() {
        let changed = PUBLISHED.replacen("1438909441", "1438909442", 1);
        let mut now = KeyRing::default();
        now.add_answer(&region(), changed.as_bytes()).unwrap();
        let (comparison, findings) = compare(&ring(|_| true), Ok(now));
        assert_eq!(comparison.confirmed, 4);
        assert_eq!(findings, [(Severity::Gap, "key-validity-differs".to_owned())]);
    }
}
