//! Digests that somebody without AWS's keys made, and what their metadata, which nobody signs, are to make believe.

use caselock::model::S3Location;
use caselock::sim::Upload;
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{Collection, HOME};
use crate::tampering::{at, gzip};

/// The key of whoever forges: no region published it.
const KEY: &str = "00112233445566778899aabbccddeeff";

/// Stores a digest like `document`, signed with a key that nobody published, where it says it lies.
fn forge(it: &Collection, mut document: Value, generated: Option<&str>) -> S3Location {
    document["digestPublicKeyFingerprint"] = json!(KEY);
    let location = S3Location::new(document["digestS3Bucket"].as_str().unwrap(), document["digestS3Object"].as_str().unwrap());
    let signature = "5a".repeat(256);
    let mut metadata = vec![("signature", signature.as_str()), ("signature-algorithm", "SHA256withRSA")];
    metadata.extend(generated.map(|time| ("backfill-generation-timestamp", time)));
    let upload = Upload {
        metadata: metadata.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        at: Some(at("2026-03-02T11:50:00Z")),
        ..Upload::new(gzip(&serde_json::to_vec(&document).unwrap()))
    };
    it.account.objects().put_new_version(&location.bucket, &location.key, upload).unwrap();
    location
}

/// A forged digest in the place of a digest of another end.
fn forge_for(it: &Collection, like: &S3Location, end: &str) -> S3Location {
    let mut document = it.document(like);
    let was = document["digestEndTime"].as_str().unwrap().to_owned();
    let compact = |time: &str| time.replace(['-', ':'], "");
    let object = document["digestS3Object"].as_str().unwrap().replace(&compact(&was), &compact(end));
    document["digestS3Object"] = json!(object.replace("/2026/03/02/", &format!("/{}/", end[..10].replace('-', "/"))));
    document["digestStartTime"] = json!(was);
    document["digestEndTime"] = json!(end);
    forge(it, document, None)
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "newest-digest-forged-with-a-time-of-generation",
            about: "The newest digest is replaced by one signed with a key of the opponent's own, and its metadata say that it was generated \
                    long ago, when nobody asked for keys. Only backfill digests have such a time.",
            failures: &["key-unknown"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let newest = it.digest(HOME, -1);
                forge(it, it.document(&newest), Some("2001-01-01T00:00:00Z"));
            }),
        },
        Defect {
            name: "backfill-digest-forged-with-a-time-long-ago",
            about: "A backfill digest is planted whose metadata say that it was generated before the hour that it is of.",
            failures: &["key-unknown"],
            others: &[],
            make: Make::Quiet(|it| {
                let mut document = it.document(&it.digest(HOME, 5));
                let object = document["digestS3Object"].as_str().unwrap().replace(".json.gz", "_backfill.json.gz");
                document["digestS3Object"] = json!(object);
                document["logFiles"] = json!([]);
                forge(it, document, Some("2001-01-01T00:00:00Z"));
            }),
        },
        Defect {
            name: "digest-forged-for-tomorrow",
            about: "The three newest digests are deleted, and one is planted that is dated tomorrow, so that the chain seems to reach beyond \
                    the window, and its key to be one that nobody could have asked for yet.",
            failures: &["digest-ahead-of-its-time", "key-unknown", "newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                let newest = digests.len() - 3;
                digests[newest..].iter().for_each(|digest| it.delete(digest));
                forge_for(it, &digests[newest - 1], "2026-03-03T11:41:21Z");
            }),
        },
        Defect {
            name: "log-planted-beside-a-forged-digest",
            about: "A log is planted, and with it a forged digest of its hour, so that the hour should count as one of which nothing is known. The \
                    verified digests cover it without a hole.",
            failures: &["key-unknown", "log-uncovered"],
            others: &[],
            make: Make::Quiet(|it| {
                let key = it.log(HOME, 4).key;
                let unique = key.rsplit('_').next().unwrap();
                it.plant(&key.replace(unique, "PlantedPlanted00.json.gz"), gzip(br#"{"Records":[]}"#));
                let end = it.after(&it.digest(HOME, 4), -5);
                forge_for(it, &it.digest(HOME, 3), &end);
            }),
        },
        Defect {
            name: "digest-forged-behind-those-deleted",
            about: "The three newest digests are deleted, and a forged one lies where the last of them would end: it does not stand for those \
                    before it.",
            failures: &["key-unknown", "newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                let newest = digests.len() - 3;
                digests[newest..].iter().for_each(|digest| it.delete(digest));
                let end = it.after(&digests[newest - 1], 175);
                forge_for(it, &digests[newest - 1], &end);
            }),
        },
    ]
}
