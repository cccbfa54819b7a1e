//! Ways to tamper, and what each tool says of them.

use caselock::sim::{Account, TRAIL_BUCKET, Upload};
use serde_json::{Value, json};

use super::{HOME, a_digest, a_log, change, digests, document, erase, pack, rewrite, unpack};

/// One way to tamper with an account, and what comes of it.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Tampers; gives the object that was tampered with.
    pub(super) tamper: fn(&Account) -> String,
    /// Whether `validate-logs` calls that object, or anything, invalid.
    pub(super) peer_sees: bool,
    /// A finding that caselock has to make.
    pub(super) kind: &'static str,
    /// Whether that finding is about the object itself, not about what a chain lacks.
    pub(super) on_object: bool,
}

/// What each tool says.
pub(super) const CASES: [Case; 27] = [
    Case {
        name: "a byte of a log's content is changed, its gzip member made anew",
        tamper: |account| {
            let key = a_log(account);
            rewrite(account, &key, |bytes| {
                let mut content = unpack(&bytes);
                let at = content.len() / 2;
                content[at] = if content[at] == b'x' { b'y' } else { b'x' };
                pack(&content)
            });
            key
        },
        peer_sees: true,
        kind: "log-modified",
        on_object: true,
    },
    Case {
        name: "a log is deleted",
        tamper: |account| {
            let key = a_log(account);
            erase(account, &key);
            key
        },
        peer_sees: true,
        kind: "log-missing",
        on_object: true,
    },
    Case {
        name: "a log is cut in half",
        tamper: |account| {
            let key = a_log(account);
            rewrite(account, &key, |bytes| bytes[..bytes.len() / 2].to_vec());
            key
        },
        peer_sees: true,
        kind: "log-malformed-gzip",
        on_object: true,
    },
    Case {
        name: "the trailer is cut off a log's gzip member",
        tamper: |account| {
            let key = a_log(account);
            rewrite(account, &key, |bytes| bytes[..bytes.len() - 8].to_vec());
            key
        },
        peer_sees: false,
        kind: "log-malformed-gzip",
        on_object: true,
    },
    Case {
        name: "a second gzip member is appended to a digest",
        tamper: |account| {
            let key = a_digest(account);
            rewrite(account, &key, |bytes| [bytes, pack(b"{}")].concat());
            key
        },
        peer_sees: false,
        kind: "digest-malformed-gzip",
        on_object: true,
    },
    Case {
        name: "a digest is deleted in mid chain",
        tamper: |account| {
            let key = a_digest(account);
            erase(account, &key);
            key
        },
        peer_sees: true,
        kind: "digest-missing",
        on_object: true,
    },
    Case {
        name: "a digest's content is changed",
        tamper: |account| {
            let key = a_digest(account);
            rewrite(account, &key, |bytes| {
                let mut digest: Value = serde_json::from_slice(&unpack(&bytes)).unwrap();
                digest["logFiles"] = json!([]);
                pack(digest.to_string().as_bytes())
            });
            key
        },
        peer_sees: true,
        kind: "digest-link-mismatch",
        on_object: true,
    },
    Case {
        name: "a digest's signature is changed",
        tamper: |account| {
            let key = a_digest(account);
            change(account, &key, |object| {
                let signature = object.metadata.get_mut("signature").unwrap();
                let last = if signature.ends_with('0') { "1" } else { "0" };
                signature.replace_range(signature.len() - 1.., last);
            });
            key
        },
        peer_sees: true,
        kind: "digest-link-mismatch",
        on_object: true,
    },
    Case {
        name: "the newest digest's signature is removed",
        tamper: |account| {
            let key = digests(account, HOME).pop().unwrap();
            change(account, &key, |object| drop(object.metadata.remove("signature")));
            key
        },
        peer_sees: true,
        kind: "digest-signature-missing",
        on_object: true,
    },
    Case {
        name: "a digest is replaced by another one of the chain",
        tamper: |account| {
            let digests = digests(account, HOME);
            let key = a_digest(account);
            let other = account.objects().get(TRAIL_BUCKET, &digests[1]).unwrap();
            change(account, &key, |object| {
                object.body = other.body;
                object.metadata = other.metadata;
            });
            key
        },
        peer_sees: true,
        kind: "digest-moved",
        on_object: true,
    },
    Case {
        name: "the newest digest is deleted",
        tamper: |account| {
            let key = digests(account, HOME).pop().unwrap();
            erase(account, &key);
            key
        },
        peer_sees: false,
        kind: "newest-digests-missing",
        on_object: false,
    },
    Case {
        name: "all digests of the window and after it are deleted",
        tamper: |account| {
            let digests = digests(account, HOME);
            for key in &digests[2..] {
                erase(account, key);
            }
            digests[2].clone()
        },
        peer_sees: false,
        kind: "newest-digests-missing",
        on_object: false,
    },
    Case {
        name: "all digests of the region are deleted",
        tamper: |account| {
            let digests = digests(account, HOME);
            for key in &digests {
                erase(account, key);
            }
            digests[0].clone()
        },
        peer_sees: false,
        kind: "all-digests-missing",
        on_object: false,
    },
    Case {
        name: "a log is added that no digest lists",
        tamper: |account| {
            let log = a_log(account);
            let stored = account.objects().get(TRAIL_BUCKET, &log).unwrap();
            let key = log.replace(log.rsplit(['_', '.']).nth(2).unwrap(), "AbCdEfGhIjKlMnOp");
            // When the others of its slot were delivered: the digest of that time does not list it.
            let upload = Upload { at: Some(stored.last_modified), ..Upload::like(&stored, pack(br#"{"Records":[]}"#)) };
            account.objects().put_new_version(TRAIL_BUCKET, &key, upload).unwrap();
            key
        },
        peer_sees: false,
        kind: "log-uncovered",
        on_object: true,
    },
    Case {
        name: "a log is deleted and its digest swapped for a validly signed one without it",
        tamper: |account| {
            let (key, log) = (a_digest(account), a_log(account));
            let mut digest = document(account, &key);
            digest["logFiles"].as_array_mut().unwrap().retain(|listed| listed["s3Object"] != *log);
            erase(account, &log);
            account.publish_digest(HOME, digest.to_string().as_bytes()).unwrap();
            key
        },
        peer_sees: false,
        kind: "digest-link-mismatch",
        on_object: true,
    },
    Case {
        name: "a digest is swapped for a validly signed one that begins the chain, and all before it are deleted",
        tamper: |account| {
            let digests = digests(account, HOME);
            let key = a_digest(account);
            let at = digests.iter().position(|digest| *digest == key).unwrap();
            let mut first = document(account, &key);
            for field in ["Bucket", "Object"] {
                first[format!("previousDigestS3{field}")] = Value::Null;
            }
            for field in ["HashValue", "HashAlgorithm", "Signature"] {
                first[format!("previousDigest{field}")] = Value::Null;
            }
            account.publish_digest(HOME, first.to_string().as_bytes()).unwrap();
            for key in &digests[..at] {
                erase(account, key);
            }
            key
        },
        // The next digest still names the one that was there, by its hash; the tool compares only where the digest lies.
        peer_sees: false,
        kind: "digest-link-mismatch",
        on_object: true,
    },
    Case {
        name: "a digest is moved under the key of another minute",
        tamper: |account| {
            let key = a_digest(account);
            let stored = account.objects().get(TRAIL_BUCKET, &key).unwrap();
            let moved = key.replace("4121Z", "4021Z");
            account.objects().put_new_version(TRAIL_BUCKET, &moved, Upload::like(&stored, stored.body.clone())).unwrap();
            erase(account, &key);
            moved
        },
        peer_sees: true,
        kind: "digest-moved",
        on_object: true,
    },
    Case {
        name: "a digest is copied under the key of another minute",
        tamper: |account| {
            let key = a_digest(account);
            let stored = account.objects().get(TRAIL_BUCKET, &key).unwrap();
            let moved = key.replace("4121Z", "4521Z");
            account.objects().put_new_version(TRAIL_BUCKET, &moved, Upload::like(&stored, stored.body.clone())).unwrap();
            moved
        },
        peer_sees: false,
        kind: "digest-moved",
        on_object: true,
    },
    Case {
        name: "two adjacent digests are deleted",
        tamper: |account| {
            let digests = digests(account, HOME);
            let at = digests.len() / 2;
            erase(account, &digests[at - 1]);
            erase(account, &digests[at]);
            digests[at].clone()
        },
        peer_sees: true,
        kind: "digest-missing",
        on_object: true,
    },
    Case {
        name: "the newest digest is deleted together with its logs",
        tamper: |account| {
            let key = digests(account, HOME).pop().unwrap();
            for log in document(account, &key)["logFiles"].as_array().unwrap() {
                erase(account, log["s3Object"].as_str().unwrap());
            }
            erase(account, &key);
            key
        },
        peer_sees: false,
        kind: "newest-digests-missing",
        on_object: false,
    },
    Case {
        name: "a log is replaced by another genuine one",
        tamper: |account| {
            let key = a_log(account);
            let other = document(account, &a_digest(account))["logFiles"][1]["s3Object"].as_str().unwrap().to_owned();
            let body = account.objects().get(TRAIL_BUCKET, &other).unwrap().body.to_vec();
            rewrite(account, &key, |_| body);
            key
        },
        peer_sees: true,
        kind: "log-modified",
        on_object: true,
    },
    Case {
        name: "a log is stored unpacked",
        tamper: |account| {
            let key = a_log(account);
            rewrite(account, &key, |bytes| unpack(&bytes));
            key
        },
        peer_sees: true,
        kind: "log-malformed-gzip",
        on_object: true,
    },
    Case {
        name: "a log is emptied",
        tamper: |account| {
            let key = a_log(account);
            rewrite(account, &key, |_| Vec::new());
            key
        },
        peer_sees: true,
        kind: "log-malformed-gzip",
        on_object: true,
    },
    Case {
        name: "the trailer is cut off a digest's gzip member",
        tamper: |account| {
            let key = a_digest(account);
            rewrite(account, &key, |bytes| bytes[..bytes.len() - 8].to_vec());
            key
        },
        peer_sees: true,
        kind: "digest-malformed-gzip",
        on_object: true,
    },
    Case {
        name: "a digest's metadata name an algorithm that there is not",
        tamper: |account| {
            let key = a_digest(account);
            change(account, &key, |object| drop(object.metadata.insert("signature-algorithm".to_owned(), "ROT13".to_owned())));
            key
        },
        peer_sees: false,
        kind: "digest-algorithm",
        on_object: true,
    },
    Case {
        name: "a digest's object is no JSON",
        tamper: |account| {
            let key = a_digest(account);
            rewrite(account, &key, |_| pack(b"no digest"));
            key
        },
        peer_sees: true,
        kind: "digest-malformed",
        on_object: true,
    },
    Case {
        name: "a digest is swapped for a validly signed one that begins later",
        tamper: |account| {
            let key = a_digest(account);
            let mut digest = document(account, &key);
            let starts: chrono::DateTime<chrono::Utc> = digest["digestStartTime"].as_str().unwrap().parse().unwrap();
            let later = starts + chrono::TimeDelta::minutes(20);
            digest["digestStartTime"] = json!(later.format("%Y-%m-%dT%H:%M:%SZ").to_string());
            account.publish_digest(HOME, digest.to_string().as_bytes()).unwrap();
            key
        },
        peer_sees: false,
        kind: "digest-link-mismatch",
        on_object: true,
    },
];
