//! Public keys that are not what they should be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection};

/// Changes every key in the answer of the region abroad, which has but one.
fn key(it: &mut Collection, change: impl Fn(&mut Value)) {
    for answer in it.answers_of("ListPublicKeys", ABROAD) {
        answer.body["PublicKeyList"].as_array_mut().unwrap().iter_mut().for_each(&change);
    }
}

/// DER of an element.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, length[0], length[1]], content].concat()
}

/// The X.509 `SubjectPublicKeyInfo` around a PKCS#1 key.
fn wrapped(key: &[u8]) -> Vec<u8> {
    let algorithm = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let bits = element(0x03, &[&[0], key].concat());
    element(0x30, &[&algorithm[..], &bits].concat())
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "keys-from-another-endpoint",
            about: "AWS was asked at an endpoint that is not its own: whoever answered there gave the public keys as well.",
            failures: &[],
            others: &["keys-from-another-endpoint"],
            make: Make::Quiet(|it| it.endpoints = [Some("http://192.0.2.7:4566"), None]),
        },
        Defect {
            name: "keys-from-another-endpoint-of-cloudtrail-alone",
            about: "The same, for CloudTrail alone, under a name that only looks like one of AWS's.",
            failures: &[],
            others: &["keys-from-another-endpoint"],
            make: Make::Quiet(|it| it.endpoints = [None, Some("https://cloudtrail.us-east-1.amazonaws.com.example.com/")]),
        },
        Defect {
            name: "keys-from-an-endpoint-of-aws-inside-a-private-network",
            about: "AWS was asked for its keys at an endpoint of its own inside a private network, and another server for all else.",
            failures: &[],
            others: &["answers-from-another-endpoint"],
            make: Make::Quiet(|it| {
                let own = "https://vpce-0123456789abcdef0-abcdefgh.cloudtrail.us-east-1.vpce.amazonaws.com";
                it.endpoints = [Some("http://192.0.2.7:4566"), Some(own)];
            }),
        },
        Defect {
            name: "key-nobody-published",
            about: "A region's answer does not hold the key with which its digests are signed.",
            failures: &["key-unknown"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                for answer in it.answers_of("ListPublicKeys", ABROAD) {
                    answer.body = json!({"PublicKeyList": []});
                }
            }),
        },
        Defect {
            name: "key-of-another-region",
            about: "The keys of one region stand in the answer of another: a key belongs to the region that published it.",
            failures: &["key-unknown"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let home = it.answers_of("ListPublicKeys", crate::memory_case::HOME).next().unwrap().body.clone();
                it.answers_of("ListPublicKeys", ABROAD).for_each(|answer| answer.body = home.clone());
            }),
        },
        Defect {
            name: "keys-not-collected",
            about: "A region was not asked for its keys: nothing that it signed can be checked. A gap, not a failure.",
            failures: &[],
            others: &["keys-unavailable", "log-unproven"],
            make: Make::Quiet(|it| it.forget("ListPublicKeys", ABROAD)),
        },
        Defect {
            name: "keys-of-another-time",
            about: "A region was asked for the keys of another month: that this key is not among them says nothing.",
            failures: &[],
            others: &["keys-unavailable", "log-unproven"],
            make: Make::Quiet(|it| {
                for answer in it.answers_of("ListPublicKeys", ABROAD) {
                    answer.parameters.insert("EndTime".to_owned(), "2026-02-01T00:00:00Z".to_owned());
                    answer.parameters.insert("StartTime".to_owned(), "2026-01-01T00:00:00Z".to_owned());
                    answer.body = json!({"PublicKeyList": []});
                }
            }),
        },
        Defect {
            name: "keys-of-which-a-page-is-missing",
            about: "A region's answer went on, and the page after the first is not in the case.",
            failures: &[],
            others: &["keys-unavailable", "log-unproven"],
            make: Make::Quiet(|it| {
                for answer in it.answers_of("ListPublicKeys", ABROAD) {
                    answer.body = json!({"PublicKeyList": [], "NextToken": "more"});
                    answer.last = false;
                }
            }),
        },
        Defect {
            name: "key-beside-another-fingerprint",
            about: "A key's fingerprint is not the MD5 of its value, as it is for every key that AWS published.",
            failures: &[],
            others: &["key-unusable", "log-unproven"],
            make: Make::Quiet(|it| {
                let other = it.account.keys("us-east-1")[0].public_der.clone();
                key(it, |key| key["Value"] = json!(STANDARD.encode(&other)));
            }),
        },
        Defect {
            name: "key-that-is-none",
            about: "A key's value is not an RSA public key.",
            failures: &[],
            others: &["key-unusable", "log-unproven"],
            make: Make::Quiet(|it| key(it, |key| key["Value"] = json!("AAAA"))),
        },
        Defect {
            name: "key-outside-its-validity",
            about: "A key ceased to be valid before the digests it signed. AWS's own documentation shows such digests, so it is only noted.",
            failures: &[],
            others: &["key-outside-validity"],
            make: Make::Quiet(|it| key(it, |key| key["ValidityEndTime"] = json!(1_772_000_000))),
        },
        Defect {
            name: "key-published-in-the-other-encoding",
            about: "A key is published as an X.509 SubjectPublicKeyInfo, as AWS did at least once. validate-logs: \"Unable to load PKCS #1 key\".",
            failures: &[],
            others: &["key-encoding"],
            make: Make::Quiet(|it| {
                // The fingerprint is that of the value, so digests that name it are signed anew.
                let fingerprint = |value: &[u8]| hex::encode(Md5::digest(value));
                let bare = it.account.keys(ABROAD)[0].clone();
                let value = wrapped(&bare.public_der);
                let name = fingerprint(&value);
                key(it, |key| {
                    key["Value"] = json!(STANDARD.encode(&value));
                    key["Fingerprint"] = json!(name);
                });
                let mut previous: Option<(Value, String, String)> = None;
                for digest in it.digests(ABROAD) {
                    let mut document = it.document(&digest);
                    document["digestPublicKeyFingerprint"] = json!(name);
                    if let Some((object, hash, signature)) = &previous {
                        document["previousDigestS3Object"] = object.clone();
                        document["previousDigestHashValue"] = json!(hash);
                        document["previousDigestSignature"] = json!(signature);
                    }
                    let bytes = serde_json::to_vec(&document).unwrap();
                    let hash = caselock::model::Sha256Hash::of(&bytes).to_string();
                    let linked = document["previousDigestSignature"].as_str().unwrap_or("null").to_owned();
                    let (end, object) =
                        (document["digestEndTime"].as_str().unwrap(), document["digestS3Object"].as_str().unwrap());
                    let bucket = document["digestS3Bucket"].as_str().unwrap();
                    let signature = bare.sign(format!("{end}\n{bucket}/{object}\n{hash}\n{linked}").as_bytes());
                    it.rewrite(&digest, &bytes);
                    it.metadata(&digest, "signature", Some(&signature));
                    previous = Some((document["digestS3Object"].clone(), hash, signature));
                }
            }),
        },
        Defect {
            name: "keys-that-do-not-parse",
            about: "A region's answer is not what ListPublicKeys answers.",
            failures: &[],
            others: &["answer-unusable", "keys-unavailable", "log-unproven"],
            make: Make::Quiet(|it| it.answers_of("ListPublicKeys", ABROAD).for_each(|answer| answer.body = json!([1]))),
        },
    ]
}
