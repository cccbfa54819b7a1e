//! What only somebody with AWS's key could do to digests, or AWS by mistake.

use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{Collection, HOME};

/// Changes the newest digest of the home region, and signs it anew.
fn resigned(it: &Collection, change: impl FnOnce(&mut Value)) {
    it.resign(HOME, &it.digest(HOME, -1), change);
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "digest-swapped-for-another-signed-one",
            about: "A digest is replaced by another one for the same place, validly signed, that leaves a log out. validate-logs: exit 0, \
                    for it never compares the links.",
            failures: &["digest-link-mismatch"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.resign(HOME, &it.digest(HOME, 4), |document| {
                    document["logFiles"].as_array_mut().unwrap().remove(0);
                });
            }),
        },
        Defect {
            name: "link-with-another-hash",
            about: "A signed digest records a hash of its predecessor that is not the predecessor's.",
            failures: &["digest-link-mismatch"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| document["previousDigestHashValue"] = json!("00".repeat(32)))),
        },
        Defect {
            name: "link-with-another-signature",
            about: "A signed digest records a signature of its predecessor that is not the predecessor's.",
            failures: &["digest-link-mismatch"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| document["previousDigestSignature"] = json!("00".repeat(256)))),
        },
        Defect {
            name: "link-to-a-newer-digest",
            about: "A signed digest names as its predecessor one that is newer.",
            failures: &["digest-order"],
            others: &["digest-time-hole"],
            make: Make::Quiet(|it| {
                let newest = it.digest(HOME, -1);
                it.rechain(HOME, 0, |number, document| {
                    if number == 8 - 1 {
                        document["previousDigestS3Object"] = json!(newest.key);
                    }
                });
            }),
        },
        Defect {
            name: "link-to-a-digest-that-is-not-there",
            about: "A signed digest names as its predecessor one in another bucket, which was never listed: nobody looked for it there.",
            failures: &[],
            others: &["not-looked-for"],
            make: Make::Quiet(|it| {
                it.rechain(HOME, 8, |number, document| {
                    if number == 8 {
                        document["previousDigestS3Bucket"] = json!("example-corp-cloudtrail-old");
                    }
                });
            }),
        },
        Defect {
            name: "digest-without-logfiles",
            about: "A signed digest has no list of logs at all. validate-logs: crashes.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| drop(document.as_object_mut().unwrap().remove("logFiles")))),
        },
        Defect {
            name: "digest-with-half-a-link",
            about: "Of a signed digest's five fields about its predecessor one is null.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| document["previousDigestHashValue"] = Value::Null)),
        },
        Defect {
            name: "digest-with-a-key-twice",
            about: "A signed digest has its list of logs twice: one reader takes the first, another the last.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let newest = it.digest(HOME, -1);
                let text = String::from_utf8(it.content(&newest)).unwrap();
                it.publish(HOME, text.replacen('{', r#"{"logFiles":[],"#, 1).as_bytes(), None);
            }),
        },
        Defect {
            name: "digest-with-another-hash-algorithm",
            about: "A signed digest gives a log's hash by an algorithm other than SHA-256.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| document["logFiles"][0]["hashAlgorithm"] = json!("MD5"))),
        },
        Defect {
            name: "digest-with-another-signature-algorithm",
            about: "A signed digest itself names SHA1withRSA.",
            failures: &["digest-algorithm"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| document["digestSignatureAlgorithm"] = json!("SHA1withRSA"))),
        },
        Defect {
            name: "digest-that-lists-a-log-twice",
            about: "A signed digest lists one log twice.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                resigned(it, |document| {
                    let again = document["logFiles"][0].clone();
                    document["logFiles"].as_array_mut().unwrap().push(again);
                });
            }),
        },
        Defect {
            name: "log-in-two-digests-with-different-hashes",
            about: "Two signed digests list one log with different hashes.",
            failures: &[],
            others: &["log-listed-twice"],
            make: Make::Quiet(|it| {
                let mut again = it.document(&it.digest(HOME, -2))["logFiles"][0].clone();
                again["hashValue"] = json!("00".repeat(32));
                resigned(it, |document| document["logFiles"].as_array_mut().unwrap().push(again));
            }),
        },
        Defect {
            name: "log-in-two-digests-with-different-hashes-the-older-one-wrong",
            about: "Two signed digests list one log with different hashes, and it agrees with the newer one.",
            failures: &[],
            others: &["log-listed-twice"],
            make: Make::Quiet(|it| {
                let mut again = it.document(&it.digest(HOME, -2))["logFiles"][0].clone();
                again["hashValue"] = json!("00".repeat(32));
                it.rechain(HOME, 0, |number, document| {
                    if number == 3 {
                        document["logFiles"].as_array_mut().unwrap().push(again.clone());
                    }
                });
            }),
        },
        Defect {
            name: "digest-that-ends-before-it-starts",
            about: "A signed digest's interval is reversed.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| document["digestStartTime"] = json!("2026-03-02T23:00:00Z"))),
        },
        Defect {
            name: "digest-whose-name-tells-another-time",
            about: "A signed digest ends at another time than its name says.",
            failures: &["digest-name-mismatch"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| resigned(it, |document| document["digestEndTime"] = json!("2026-03-02T10:41:22Z"))),
        },
        Defect {
            name: "digest-that-starts-late",
            about: "A signed digest starts half an hour after its predecessor ended: the time between is in no digest.",
            failures: &[],
            others: &["digest-time-hole"],
            make: Make::Quiet(|it| {
                let newest = it.digest(HOME, -1);
                let late = it.after(&newest, -30);
                it.resign(HOME, &newest, |document| document["digestStartTime"] = json!(late));
            }),
        },
    ]
}
