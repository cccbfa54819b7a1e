//! What anybody who may write to a bucket can put in the way of a collection.

use super::*;
use crate::sim::Upload;

fn only_cloudtrail(stage: &Stage) -> Request {
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    request
}

/// Something strange that was written in the window.
fn put(stage: &Stage, key: &str) {
    let upload = Upload { at: Some("2026-03-02T03:00:00Z".parse().unwrap()), ..Upload::new("strange") };
    stage.account.objects().put_new_version(TRAIL_BUCKET, key, upload).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_folders_without_number_are_gone_through_up_to_a_bound_and_the_others_named() {
    let stage = Stage::new();
    for number in 0..520 {
        put(&stage, &format!("AWSLogs/x{number:03}/file"));
    }
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    let what = format!("20 folders with strange names in s3://{TRAIL_BUCKET}/AWSLogs/");
    assert_eq!(gaps(&outcome, GapReason::Failed), [what.as_str()]);
    let gap = outcome.gaps.iter().find(|gap| gap.what == what).unwrap();
    assert!(gap.detail.as_ref().unwrap().ends_with("x500, x501, x502, x503, x504, …"), "{gap:?}");
    let stored = stage.objects();
    assert!(stored.contains_key(path_of("AWSLogs/x499/file").as_str()));
    assert!(!stored.contains_key(path_of("AWSLogs/x500/file").as_str()));
    for number in 0..500 {
        assert!(stage.account.objects().erase(TRAIL_BUCKET, &format!("AWSLogs/x{number:03}/file")));
    }
    let second = stage.collect(&only_cloudtrail(&stage)).await;
    assert!(second.complete && stage.objects().contains_key(path_of("AWSLogs/x519/file").as_str()), "{:#?}", second.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_objects_beside_folders_than_are_held_are_taken_all_the_same() {
    let stage = Stage::new();
    let keys: Vec<String> = (0..1_100).map(|number| format!("AWSLogs/y{number:04}")).collect();
    for key in &keys {
        put(&stage, key);
    }
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let stored = stage.objects();
    assert!(keys.iter().all(|key| stored.contains_key(path_of(key).as_str())));
}

/// Puts a digest that nobody signed, and that names logs of the window; gives its key.
fn plant(stage: &Stage, logs: &[String]) -> String {
    let named: Vec<serde_json::Value> = logs
        .iter()
        .map(|key| {
            serde_json::json!({"s3Bucket": TRAIL_BUCKET, "s3Object": key,
                "oldestEventTime": "2026-03-02T02:00:00Z", "newestEventTime": "2026-03-02T02:01:00Z"})
        })
        .collect();
    let content = serde_json::json!({"digestStartTime": "2026-03-02T02:00:00Z", "logFiles": named}).to_string();
    let name = format!("{ACCOUNT_ID}_CloudTrail-Digest_us-east-1_planted_us-east-1_20260302T030000Z.json.gz");
    let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/us-east-1/2026/03/02/{name}");
    let upload = Upload { at: Some("2026-03-02T03:00:00Z".parse().unwrap()), ..Upload::new(gzipped(content.as_bytes())) };
    stage.account.objects().put_new_version(TRAIL_BUCKET, &key, upload).unwrap();
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_planted_digest_names_and_is_not_there_is_one_gap_that_goes_with_the_digest() {
    let stage = Stage::new();
    let folder = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/12/24");
    let logs: Vec<String> = (0..40).map(|number| format!("{folder}/x{number:02}.json.gz")).collect();
    let planted = plant(&stage, &logs);
    put(&stage, &logs[7]);
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    let place = format!("s3://{TRAIL_BUCKET}/AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/us-east-1/");
    assert_eq!(gaps(&outcome, GapReason::Failed), [format!("late logs that digests in {place} name and S3 does not have")]);
    let gap = outcome.gaps.iter().find(|gap| gap.reason == GapReason::Failed).unwrap();
    let told = format!("39 logs with events of the window, such as {}", logs[0]);
    assert_eq!(gap.detail.as_deref(), Some(told.as_str()));
    assert!(stage.objects().contains_key(path_of(&logs[7]).as_str()), "what is there is taken");
    assert!(stage.account.objects().erase(TRAIL_BUCKET, &planted));
    let second = stage.collect(&only_cloudtrail(&stage)).await;
    assert!(second.complete, "{:#?}", second.case_gaps);
}
