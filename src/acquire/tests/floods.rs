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
