//! CloudTrail's delivery: events become log files, log files become digests.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, DurationRound, Utc};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::chance::Chance;
use super::keys::Keys;
use super::objects::{Objects, Upload};
use super::record::{Event, timestamp};
use super::scenario::Scenario;
use super::{ACCOUNT_ID, TRAIL_BUCKET, TRAIL_NAME, gzip};

/// How long after its end a digest is delivered.
const DIGEST_DELAY: Duration = Duration::seconds(26 * 60 + 7);

/// What was delivered last, by region.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastDelivery {
    pub(super) log: Option<DateTime<Utc>>,
    pub(super) digest: Option<DateTime<Utc>>,
}

/// Delivers everything the trail recorded, up to the scenario's end.
pub(super) fn deliver(scenario: &Scenario, events: &[Event], keys: &Keys, objects: &Objects) -> BTreeMap<String, LastDelivery> {
    let deliver_region = |region: &String| {
        let mut chance = Chance::new(scenario.seed, &format!("delivery {region}"));
        let logs = deliver_logs(scenario, region, events, &mut chance, objects);
        let digest = deliver_digests(scenario, region, &logs, keys, &mut chance, objects);
        let log = logs.iter().map(|log| log.delivered).max();
        (region.clone(), LastDelivery { log, digest })
    };
    scenario.regions.iter().map(deliver_region).collect()
}

/// A delivered log file, as a digest remembers it.
struct Log {
    delivered: DateTime<Utc>,
    entry: LogEntry,
    oldest: DateTime<Utc>,
    newest: DateTime<Utc>,
}

fn deliver_logs(scenario: &Scenario, region: &str, events: &[Event], chance: &mut Chance, objects: &Objects) -> Vec<Log> {
    let mut slots: BTreeMap<DateTime<Utc>, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.region == region && scenario.logging_at(event.time)) {
        // Most events wait a few minutes for their file, some nearly ten.
        let wait = chance.below(270).min(chance.below(270));
        slots.entry(next_slot(event.time + Duration::seconds(i64::from(wait)))).or_default().push(event);
    }
    let mut logs = Vec::new();
    for (slot, events) in slots {
        // A busy slot sometimes takes two files.
        let split = if events.len() > 6 && chance.below(8) == 0 { events.len() / 2 } else { events.len() };
        let (first, second) = events.split_at(split);
        for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
            if let Some(log) = deliver_log(scenario, region, slot, part, chance, objects) {
                logs.push(log);
            }
        }
    }
    logs
}

fn deliver_log(
    scenario: &Scenario,
    region: &str,
    slot: DateTime<Utc>,
    events: &[&Event],
    chance: &mut Chance,
    objects: &Objects,
) -> Option<Log> {
    let oldest = events.iter().map(|event| event.time).min()?;
    let newest = events.iter().map(|event| event.time).max()?;
    // The minute in a file's name is a rounded one: the upload may come before or after it.
    let delivered = slot + Duration::seconds(i64::from(chance.below(160)) - 100);
    let delivered = delivered.max(newest + Duration::seconds(5));
    let key = format!(
        "AWSLogs/{ACCOUNT_ID}/CloudTrail/{region}/{}/{ACCOUNT_ID}_CloudTrail_{region}_{}_{}.json.gz",
        slot.format("%Y/%m/%d"),
        slot.format("%Y%m%dT%H%MZ"),
        chance.suffix(),
    );
    if delivered > scenario.end {
        return None;
    }
    let records: Vec<&str> = events.iter().map(|event| event.record.as_str()).collect();
    let document = format!("{{\"Records\":[{}]}}", records.join(","));
    let entry = LogEntry {
        s3_bucket: TRAIL_BUCKET.to_owned(),
        s3_object: key.clone(),
        hash_value: sha256(document.as_bytes()),
        hash_algorithm: "SHA-256",
        newest_event_time: timestamp(newest),
        oldest_event_time: timestamp(oldest),
    };
    objects.put_new_version(TRAIL_BUCKET, &key, json_upload(document.as_bytes(), delivered));
    Some(Log { delivered, entry, oldest, newest })
}

/// Writes a region's digests and returns when the last one was delivered.
fn deliver_digests(
    scenario: &Scenario,
    region: &str,
    logs: &[Log],
    keys: &Keys,
    chance: &mut Chance,
    objects: &Objects,
) -> Option<DateTime<Utc>> {
    let (stopped, started) = scenario.outage();
    let mut previous: Option<Previous> = None;
    let mut last_delivery = None;
    let mut end = scenario.first_digest_end();
    while end + DIGEST_DELAY <= scenario.end {
        let start = end - Duration::hours(1);
        // After the final digest, which takes what was still under way, there is silence.
        let silent = start > stopped && (end < started || !scenario.restart_logging);
        if scenario.stop_logging && silent {
            previous = None;
            end += Duration::hours(1);
            continue;
        }
        let delivered = end + DIGEST_DELAY + Duration::seconds(i64::from(chance.below(72)));
        let covered: Vec<&Log> = logs.iter().filter(|log| start < log.delivered && log.delivered <= end).collect();
        let Some(key) = keys.at(region, delivered) else {
            return last_delivery;
        };
        let object = digest_object(region, scenario.home_region(), end);
        let digest = Document {
            aws_account_id: ACCOUNT_ID,
            digest_start_time: timestamp(start),
            digest_end_time: timestamp(end),
            digest_s3_bucket: TRAIL_BUCKET,
            digest_s3_object: &object,
            digest_public_key_fingerprint: &key.fingerprint,
            digest_signature_algorithm: "SHA256withRSA",
            newest_event_time: covered.iter().map(|log| log.newest).max().map(timestamp),
            oldest_event_time: covered.iter().map(|log| log.oldest).min().map(timestamp),
            previous_digest_s3_bucket: previous.as_ref().map(|_| TRAIL_BUCKET),
            previous_digest_s3_object: previous.as_ref().map(|previous| previous.object.as_str()),
            previous_digest_hash_value: previous.as_ref().map(|previous| previous.hash.as_str()),
            previous_digest_hash_algorithm: previous.as_ref().map(|_| "SHA-256"),
            previous_digest_signature: previous.as_ref().map(|previous| previous.signature.as_str()),
            log_files: covered.iter().map(|log| &log.entry).collect(),
        };
        let document = serde_json::to_vec(&digest).unwrap_or_default();
        let Some(signature) = data_to_sign(&document).map(|data| key.sign(&data)) else {
            return last_delivery;
        };
        objects.put_new_version(TRAIL_BUCKET, &object, digest_upload(&document, &signature, Some(delivered)));
        previous = Some(Previous { hash: sha256(&document), object, signature });
        last_delivery = Some(delivered);
        end += Duration::hours(1);
    }
    last_delivery
}

/// What a digest says about the one before it.
struct Previous {
    object: String,
    hash: String,
    signature: String,
}

fn digest_object(region: &str, home: &str, end: DateTime<Utc>) -> String {
    format!(
        "AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/{region}/{}/{ACCOUNT_ID}_CloudTrail-Digest_{region}_{TRAIL_NAME}_{home}_{}.json.gz",
        end.format("%Y/%m/%d"),
        end.format("%Y%m%dT%H%M%SZ"),
    )
}

/// The four lines AWS signs for a digest, or nothing when it is no digest.
pub(super) fn data_to_sign(document: &[u8]) -> Option<Vec<u8>> {
    let digest: Value = serde_json::from_slice(document).ok()?;
    let text = |name: &str| digest.get(name)?.as_str();
    let previous = match digest.get("previousDigestSignature")? {
        Value::Null => "null",
        signature => signature.as_str()?,
    };
    let (end, bucket, object) = (text("digestEndTime")?, text("digestS3Bucket")?, text("digestS3Object")?);
    Some(format!("{end}\n{bucket}/{object}\n{}\n{previous}", sha256(document)).into_bytes())
}

/// A digest as CloudTrail stores it: compressed, with its signature as metadata.
pub(super) fn digest_upload(document: &[u8], signature: &str, at: Option<DateTime<Utc>>) -> Upload {
    let metadata = [("signature", signature), ("signature-algorithm", "SHA256withRSA")];
    Upload {
        body: gzip(document).into(),
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        metadata: metadata.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        storage_class: None,
        at,
    }
}

fn json_upload(document: &[u8], at: DateTime<Utc>) -> Upload {
    Upload {
        body: gzip(document).into(),
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("gzip".to_owned()),
        at: Some(at),
        ..Upload::default()
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The five-minute slot at or after an instant.
pub(super) fn next_slot(instant: DateTime<Utc>) -> DateTime<Utc> {
    let slot = Duration::minutes(5);
    instant.duration_trunc(slot).map_or(instant, |begun| if begun == instant { begun } else { begun + slot })
}

/// A digest, its fields in CloudTrail's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    aws_account_id: &'a str,
    digest_start_time: String,
    digest_end_time: String,
    #[serde(rename = "digestS3Bucket")]
    digest_s3_bucket: &'a str,
    #[serde(rename = "digestS3Object")]
    digest_s3_object: &'a str,
    digest_public_key_fingerprint: &'a str,
    digest_signature_algorithm: &'a str,
    newest_event_time: Option<String>,
    oldest_event_time: Option<String>,
    #[serde(rename = "previousDigestS3Bucket")]
    previous_digest_s3_bucket: Option<&'a str>,
    #[serde(rename = "previousDigestS3Object")]
    previous_digest_s3_object: Option<&'a str>,
    previous_digest_hash_value: Option<&'a str>,
    previous_digest_hash_algorithm: Option<&'a str>,
    previous_digest_signature: Option<&'a str>,
    log_files: Vec<&'a LogEntry>,
}

/// A log file as a digest lists it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    #[serde(rename = "s3Bucket")]
    s3_bucket: String,
    #[serde(rename = "s3Object")]
    s3_object: String,
    hash_value: String,
    hash_algorithm: &'static str,
    newest_event_time: String,
    oldest_event_time: String,
}
