//! The account as it is made: the same for the same scenario, and signed and linked as AWS's own would be.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::*;

fn end() -> DateTime<Utc> {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut content).unwrap();
    content
}

fn digest_keys(account: &Account, region: &str) -> Vec<String> {
    account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/{region}/"))
}

fn digest(account: &Account, key: &str) -> Value {
    serde_json::from_slice(&gunzip(&account.objects().get(TRAIL_BUCKET, key).unwrap().body)).unwrap()
}

/// Checks signature, links and logs of a digest with nothing but `ring` and the published keys.
fn check(account: &Account, region: &str, key: &str) {
    let object = account.objects().get(TRAIL_BUCKET, key).unwrap();
    let document = gunzip(&object.body);
    let digest: Value = serde_json::from_slice(&document).unwrap();
    let text = |name: &str| digest[name].as_str().unwrap_or("null").to_owned();
    assert_eq!(text("digestS3Object"), key);
    let hash = hex::encode(Sha256::digest(&document));
    let signed = [text("digestEndTime"), format!("{TRAIL_BUCKET}/{key}"), hash, text("previousDigestSignature")].join("\n");
    let public = account.keys(region).iter().find(|key| key.fingerprint == text("digestPublicKeyFingerprint")).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &public.public_der)
        .verify(signed.as_bytes(), &hex::decode(&object.metadata["signature"]).unwrap())
        .unwrap();
    if let Some(previous) = digest["previousDigestS3Object"].as_str() {
        let previous = account.objects().get(TRAIL_BUCKET, previous).unwrap();
        assert_eq!(text("previousDigestHashValue"), hex::encode(Sha256::digest(gunzip(&previous.body))));
        assert_eq!(text("previousDigestSignature"), previous.metadata["signature"]);
    }
    for log in digest["logFiles"].as_array().unwrap() {
        let stored = account.objects().get(TRAIL_BUCKET, log["s3Object"].as_str().unwrap()).unwrap();
        assert_eq!(log["hashValue"], hex::encode(Sha256::digest(gunzip(&stored.body))));
    }
}

#[test]
fn equal_scenarios_give_equal_accounts() {
    let all = |account: &Account| -> Vec<(String, StoredObject)> {
        let objects = account.objects();
        let keys = objects
            .buckets()
            .into_iter()
            .flat_map(|bucket| objects.keys(&bucket, "").into_iter().map(move |key| (bucket.clone(), key)));
        keys.map(|(bucket, key)| (key.clone(), objects.get(&bucket, &key).unwrap())).collect()
    };
    let scenario = Scenario::quiet(end());
    let (first, second) = (Account::simulate(&scenario), Account::simulate(&scenario));
    assert!(all(&first).len() > 50);
    assert_eq!(all(&first), all(&second));
    let other = Account::simulate(&Scenario { seed: 3, ..scenario });
    assert_ne!(all(&first), all(&other));
}

#[test]
fn every_digest_is_signed_linked_and_right_about_its_logs() {
    let account = Account::simulate(&Scenario::incident(end()));
    for region in &account.scenario().regions {
        let keys = digest_keys(&account, region);
        assert!(keys.len() > 20, "{region} has {} digests", keys.len());
        for key in &keys {
            check(&account, region, key);
        }
    }
}

#[test]
fn digests_cover_each_log_exactly_once_but_for_the_newest() {
    let account = Account::simulate(&Scenario::quiet(end()));
    for region in &account.scenario().regions {
        let listed: Vec<String> = digest_keys(&account, region)
            .iter()
            .flat_map(|key| digest(&account, key)["logFiles"].as_array().unwrap().clone())
            .map(|log| log["s3Object"].as_str().unwrap().to_owned())
            .collect();
        let distinct: BTreeSet<&String> = listed.iter().collect();
        assert_eq!(distinct.len(), listed.len());
        let last_end = "2026-03-02T10:41:21Z".parse::<DateTime<Utc>>().unwrap();
        for key in account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/{region}/")) {
            let delivered = account.objects().get(TRAIL_BUCKET, &key).unwrap().last_modified;
            assert_eq!(distinct.contains(&key), delivered <= last_end, "{key}");
        }
    }
}

#[test]
fn a_stopped_trail_falls_silent_and_then_begins_a_new_chain() {
    let account = Account::simulate(&Scenario::incident(end()));
    let (stopped, started) = account.scenario().outage();
    for region in &account.scenario().regions {
        let starting: Vec<Value> = digest_keys(&account, region)
            .iter()
            .map(|key| digest(&account, key))
            .filter(|digest| digest["previousDigestS3Object"].is_null())
            .collect();
        assert_eq!(starting.len(), 2);
        assert_eq!(starting[1]["digestEndTime"], record::timestamp(started));
        assert_eq!(starting[1]["logFiles"], json!([]));
        let logs = account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/{region}/"));
        for key in logs {
            let delivered = account.objects().get(TRAIL_BUCKET, &key).unwrap().last_modified;
            assert!(delivered < stopped + Duration::minutes(12) || delivered > started, "{key}");
        }
    }
    let unseen = account.state().events.iter().any(|event| stopped < event.time && event.time < started);
    assert!(unseen, "the event history goes on");
}

#[test]
fn a_published_forgery_is_validly_signed() {
    let account = Account::simulate(&Scenario::quiet(end()));
    let key = digest_keys(&account, "us-east-1").remove(1);
    let mut forged = digest(&account, &key);
    forged["logFiles"] = json!([]);
    let signature = account.publish_digest("us-east-1", forged.to_string().as_bytes()).unwrap();
    assert_eq!(account.objects().get(TRAIL_BUCKET, &key).unwrap().metadata["signature"], signature);
    assert_eq!(account.objects().versions(TRAIL_BUCKET, &key).len(), 2);
    check(&account, "us-east-1", &key);
}

#[test]
fn the_theft_shows_in_flow_logs_and_snapshots() {
    let account = Account::simulate(&Scenario::incident(end()));
    let stolen = account.objects().keys(FLOW_BUCKET, "AWSLogs/").iter().any(|key| {
        let body = gunzip(&account.objects().get(FLOW_BUCKET, key).unwrap().body);
        String::from_utf8(body).unwrap().contains(story::EXFILTRATION_ADDRESS)
    });
    assert!(stolen);
    let disks = account.state().disks();
    let shared = disks.snapshots.iter().filter(|snapshot| !snapshot.shared_with.is_empty());
    assert_eq!(shared.count(), 1);
}

#[test]
fn a_trail_nobody_restarts_stays_silent() {
    let scenario = Scenario { stop_logging: true, restart_logging: false, ..Scenario::quiet(end()) };
    let account = Account::simulate(&scenario);
    let (stopped, _) = scenario.outage();
    let newest = account.objects().keys(TRAIL_BUCKET, "").into_iter();
    let newest = newest.map(|key| account.objects().get(TRAIL_BUCKET, &key).unwrap().last_modified).max();
    assert!(newest.unwrap() < stopped + Duration::minutes(46));
}
