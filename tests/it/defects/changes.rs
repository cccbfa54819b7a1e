//! Digests and logs that are not what CloudTrail wrote.

use caselock::cloudtrail::gzip::Limits;
use caselock::model::S3Location;
use caselock::sim::TRAIL_BUCKET;
use caselock::verify::Options;
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, quiet};
use crate::tampering::{gzip, gzip_at};

/// Changes the digest in the middle of the home region's chain, without a new signature.
fn digest(it: &Collection) -> S3Location {
    it.digest(HOME, 4)
}

fn resigned(it: &Collection, change: impl FnOnce(&mut Value)) {
    it.resign(HOME, &it.digest(HOME, -1), change);
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = logs();
    all.extend(digests());
    all.extend(signed_digests());
    all
}

fn logs() -> Vec<Defect> {
    vec![
        Defect {
            name: "log-edited",
            about: "An address in a log is changed, and the log is compressed again.",
            failures: &["log-modified"],
            others: &[],
            make: Make::Quiet(|it| it.edit(&it.log(HOME, 4), "sourceIPAddress\":\"1", "sourceIPAddress\":\"2")),
        },
        Defect {
            name: "log-replaced-by-another",
            about: "A genuine log is put in the place of another one.",
            failures: &["log-modified"],
            others: &[],
            make: Make::Quiet(|it| it.copy(&it.log(HOME, 5), &it.log(HOME, 4))),
        },
        Defect {
            name: "log-with-a-second-gzip-member",
            about: "A second gzip member with more records is appended to a log. validate-logs before 1.45.12: exit 0.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.append(&it.log(HOME, 4), &gzip(br#"{"Records":[]}"#))),
        },
        Defect {
            name: "log-with-junk-behind-it",
            about: "Bytes are appended to a log behind the gzip member.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.append(&it.log(HOME, 4), b"\0")),
        },
        Defect {
            name: "log-without-its-trailer",
            about: "The gzip trailer, with checksum and length, is cut off a log. validate-logs: valid.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.cut(&it.log(HOME, 4), 8)),
        },
        Defect {
            name: "log-with-a-wrong-checksum",
            about: "The CRC-32 in a log's gzip trailer is changed.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| {
                let log = it.log(HOME, 4);
                let mut body = it.object(&log).unwrap().body.to_vec();
                let at = body.len() - 8;
                body[at] ^= 1;
                it.overwrite(&log, body);
            }),
        },
        Defect {
            name: "log-not-compressed",
            about: "A log is stored without compression.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), it.content(&it.log(HOME, 4)))),
        },
        Defect {
            name: "log-of-no-bytes",
            about: "A log is overwritten with nothing.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), Vec::new())),
        },
        Defect {
            name: "log-that-is-a-bomb",
            about: "A log is replaced by one that unfolds to far more than its size allows.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), gzip(&vec![b' '; 8 << 20]))),
        },
        Defect {
            name: "log-that-is-too-long-to-be-searched",
            about: "A genuine log unpacks to more than is searched for events: it is verified, and what it may tell of is not known.",
            failures: &[],
            others: &["log-not-searched"],
            make: Make::Own(|| {
                let it = Collection::of(&quiet());
                let keys = it.account.objects().keys(TRAIL_BUCKET, "AWSLogs/111122223333/CloudTrail/");
                let lengths = keys.into_iter().map(|key| it.content(&S3Location::new(TRAIL_BUCKET, key)).len());
                let limits = Limits { searched: lengths.max().unwrap() - 1, ..Limits::default() };
                it.case().verify_with(&Options { limits, ..Options::default() })
            }),
        },
        Defect {
            name: "digest-longer-than-any",
            about: "A digest is replaced by one that unpacks to more than a digest may: it is not read to its end.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Own(|| {
                let it = Collection::of(&quiet());
                let mut content = it.content(&digest(&it));
                content.resize(200 * 1024, b' ');
                it.rewrite(&digest(&it), &content);
                let limits = Limits { digest: 100 * 1024, ..Limits::default() };
                it.case().verify_with(&Options { limits, ..Options::default() })
            }),
        },
        Defect {
            name: "log-recompressed",
            about: "A log is compressed anew; its content is the same. AWS vouches for the content, so nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), gzip_at(&it.content(&it.log(HOME, 4)), 1))),
        },
        Defect {
            name: "log-planted",
            about: "A log is planted that CloudTrail never delivered. validate-logs: exit 0, unseen.",
            failures: &["log-uncovered"],
            others: &[],
            make: Make::Quiet(|it| {
                let key = it.log(HOME, 4).key;
                let unique = key.rsplit('_').next().unwrap();
                it.plant(&key.replace(unique, "PlantedPlanted00.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-delivered-too-late-for-the-newest-digest",
            about: "A log of an hour that digests cover was received after the end of the newest digest: the one that will list it was not \
                    due when the evidence was collected. Nobody is accused of planting it, and it is not proven.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let key = it.log(HOME, 4).key;
                let unique = key.rsplit('_').next().unwrap();
                it.plant_at(
                    &key.replace(unique, "DeliveredLate000.json.gz"),
                    gzip(br#"{"Records":[]}"#),
                    "2026-03-02T11:50:00Z",
                );
            }),
        },
        Defect {
            name: "log-delivered-late-while-a-digest-is-missing",
            about: "A log of an hour that digests cover was received hours later, and the digest of that time is deleted: it may have listed it.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, 6));
                let key = it.log(HOME, 2).key;
                let unique = key.rsplit('_').next().unwrap();
                let time = it.after(&it.digest(HOME, 6), -30);
                it.plant_at(&key.replace(unique, "DeliveredLate000.json.gz"), gzip(br#"{"Records":[]}"#), &time);
            }),
        },
        Defect {
            name: "log-planted-where-a-digest-is-missing",
            about: "A log is planted in an hour whose digest is deleted: it cannot be told from that hour's own logs, and that is said.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, 4));
                let key = it.log(HOME, 4).key;
                let unique = key.rsplit('_').next().unwrap();
                it.plant(&key.replace(unique, "PlantedPlanted00.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-of-a-trail-without-validation",
            about: "A second trail, without log file validation, delivers to the same bucket and prefix. Its logs are in no digest, and \
                    nobody is accused of planting them.",
            failures: &[],
            others: &["log-unproven", "validation-off"],
            make: Make::Quiet(|it| {
                let answer = it.answers_of("DescribeTrails", HOME).next().unwrap();
                let mut second = answer.body["trailList"][0].clone();
                second["Name"] = json!("unsigned");
                second["TrailARN"] = json!("arn:aws:cloudtrail:us-east-1:111122223333:trail/unsigned");
                second["LogFileValidationEnabled"] = json!(false);
                answer.body["trailList"].as_array_mut().unwrap().push(second);
                let key = it.log(HOME, 4).key;
                let unique = key.rsplit('_').next().unwrap();
                it.plant(&key.replace(unique, "SecondTrail00000.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-of-a-region-whose-trails-nobody-described",
            about: "DescribeTrails was answered in one region only. A log of another that no digest lists may be of a trail of that region \
                    alone, and unsigned: nobody is accused of planting it.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.answers_of("DescribeTrails", HOME).for_each(|answer| answer.region = ABROAD.to_owned());
                let key = it.log(HOME, 4).key;
                let unique = key.rsplit('_').next().unwrap();
                it.plant(&key.replace(unique, "OneRegionTrail00.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-planted-behind-the-window",
            about: "A log is planted after the newest digest, named for an hour behind the window that digests cover: its events may be of \
                    the window. That the next digest will list it is not taken for granted.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let key = it.log(HOME, -1).key;
                let [slot, unique] = [1, 0].map(|place| key.rsplit('_').nth(place).unwrap());
                let key = key.replace(slot, "20260302T1020Z").replace(unique, "PlantedPlanted00.json.gz");
                it.plant_at(&key, gzip(br#"{"Records":[]}"#), "2026-03-02T11:50:00Z");
            }),
        },
        Defect {
            name: "log-of-a-trail-out-of-scope",
            about: "Only one trail's digests were asked for, and another trail delivers to the same place: its logs are not called planted.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.scope.trail_arn = Some(it.account.trail_arn().parse().unwrap());
                let key = it.log(HOME, 4).key;
                let unique = key.rsplit('_').next().unwrap();
                it.plant(&key.replace(unique, "AnotherTrail0000.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
    ]
}

fn digests() -> Vec<Defect> {
    vec![
        Defect {
            name: "digest-edited",
            about: "In a digest a log's bucket is changed.",
            failures: &["digest-link-mismatch", "digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.edit(&digest(it), "[{\"s3Bucket\":\"example", "[{\"s3Bucket\":\"exemple")),
        },
        Defect {
            name: "newest-digest-edited",
            about: "The newest digest is changed; no successor vouches for it.",
            failures: &["digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.edit(&it.digest(HOME, -1), "newestEventTime\":\"2026", "newestEventTime\":\"2025")),
        },
        Defect {
            name: "digest-with-a-second-gzip-member",
            about: "A second gzip member is appended to a digest. validate-logs: exit 0, valid.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.append(&digest(it), &gzip(b"{}"))),
        },
        Defect {
            name: "digest-with-junk-behind-it",
            about: "A byte is appended to a digest.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.append(&digest(it), b"x")),
        },
        Defect {
            name: "digest-without-its-trailer",
            about: "The gzip trailer is cut off a digest.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.cut(&digest(it), 8)),
        },
        Defect {
            name: "digest-that-is-no-json",
            about: "A digest is overwritten with text.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.rewrite(&digest(it), b"no digest")),
        },
        Defect {
            name: "digest-with-another-signature",
            about: "A digit of the signature in a digest's metadata is changed.",
            failures: &["digest-link-mismatch", "digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let signature = it.object(&digest(it)).unwrap().metadata["signature"].clone();
                let other = if signature.starts_with('0') { "1" } else { "0" };
                it.metadata(&digest(it), "signature", Some(&format!("{other}{}", &signature[1..])));
            }),
        },
        Defect {
            name: "digest-whose-signature-is-no-hexadecimal",
            about: "The signature of the newest digest is cut to an odd number of digits.",
            failures: &["digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let newest = it.digest(HOME, -1);
                let signature = it.object(&newest).unwrap().metadata["signature"].clone();
                it.metadata(&newest, "signature", Some(&signature[1..]));
            }),
        },
        Defect {
            name: "newest-digest-without-signature",
            about: "The newest digest has lost its metadata; nothing else holds its signature.",
            failures: &["digest-signature-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.metadata(&it.digest(HOME, -1), "signature", None)),
        },
        Defect {
            name: "digest-without-signature-and-successor-has-it",
            about: "A digest in mid chain was copied without its metadata. Its successor, itself signed, holds the same signature: a full \
                    substitute. validate-logs: invalid.",
            failures: &[],
            others: &["digest-signature-from-successor"],
            make: Make::Quiet(|it| {
                it.metadata(&digest(it), "signature", None);
                it.metadata(&digest(it), "signature-algorithm", None);
            }),
        },
        Defect {
            name: "digest-of-a-nonsense-algorithm",
            about: "The metadata names an algorithm that does not exist. validate-logs: valid.",
            failures: &["digest-algorithm"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.metadata(&digest(it), "signature-algorithm", Some("ROT13"))),
        },
        Defect {
            name: "digest-without-an-algorithm",
            about: "The metadata holds a signature and no algorithm. validate-logs: invalid.",
            failures: &["digest-algorithm"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.metadata(&digest(it), "signature-algorithm", None)),
        },
        Defect {
            name: "digest-in-the-place-of-another",
            about: "A genuine digest is put in the place of another one.",
            failures: &["digest-link-mismatch", "digest-moved", "digest-name-mismatch"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.copy(&it.digest(HOME, 3), &digest(it))),
        },
        Defect {
            name: "digest-of-another-region",
            about: "A genuine digest of another region is put in the place of one of this region.",
            failures: &["digest-link-mismatch", "digest-moved", "key-unknown"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.copy(&it.digest(ABROAD, 4), &digest(it))),
        },
    ]
}

/// What only somebody with AWS's key could do, or AWS by mistake.
fn signed_digests() -> Vec<Defect> {
    vec![
        Defect {
            name: "digest-swapped-for-another-signed-one",
            about: "A digest is replaced by another one for the same place, validly signed, that leaves a log out. validate-logs: exit 0, \
                    for it never compares the links.",
            failures: &["digest-link-mismatch"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.resign(HOME, &digest(it), |document| {
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
