//! Trails that were deleted or sent elsewhere: what is still found of them, and what is a gap.

use super::*;

const MOVED_TO: &str = "example-corp-elsewhere";

fn only_cloudtrail(stage: &Stage) -> Request {
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    request
}

/// What is missing of trails that are gone or were sent elsewhere.
fn lost(outcome: &CollectOutcome) -> Vec<(&str, &str)> {
    let failed = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed);
    failed.map(|gap| (gap.what.as_str(), gap.detail.as_deref().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_trail_is_a_gap_and_its_bucket_can_still_be_named() {
    for after_the_window in [0, 24] {
        let stage = Stage::new();
        let at = stage.account.scenario().start() + chrono::Duration::hours(3 + after_the_window);
        stage.account.delete_trail_at(at);
        let outcome = stage.collect(&only_cloudtrail(&stage)).await;
        assert!(gaps(&outcome, GapReason::NotEnabled).contains(&"trails"), "{:#?}", outcome.gaps);
        let told = format!("was deleted at {}", Timestamp::new(at));
        assert!(
            matches!(&lost(&outcome)[..], [("logs and digests of trail management-events", detail)] if detail.contains(&told)),
            "{:#?}",
            outcome.gaps
        );
        assert!(!outcome.complete);
        let named = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
        let mut request = only_cloudtrail(&named);
        request.scope.bucket = Some(TRAIL_BUCKET.to_owned());
        request.scope.trail_arn = Some(named.account.trail_arn().parse().unwrap());
        let outcome = named.collect(&request).await;
        assert!(outcome.complete && outcome.totals.stored > 20, "{:#?}", outcome.gaps);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_trail_is_a_gap_also_where_its_home_was_left_out_of_scope() {
    let stage = Stage::new();
    stage.account.delete_trail();
    let mut request = only_cloudtrail(&stage);
    request.scope.regions = vec!["eu-central-1".parse().unwrap()];
    let outcome = stage.collect(&request).await;
    assert!(
        matches!(&lost(&outcome)[..], [("logs and digests of trail management-events", detail)]
            if detail.contains("was deleted at 2026-03-02T03:00:00Z; its home was left out of scope")),
        "{:#?}",
        outcome.gaps
    );
    // What lies in its bucket shows where it delivered, and nothing but what was asked for is taken.
    let named = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
    request.scope.bucket = Some(TRAIL_BUCKET.to_owned());
    let outcome = named.collect(&request).await;
    assert!(outcome.complete && outcome.totals.stored > 0, "{:#?}", outcome.gaps);
    assert!(named.objects().keys().all(|path| !path.contains("/us-east-1/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_trail_without_digests_is_found_by_the_logs_in_the_bucket_that_is_named() {
    let stage = Stage::new();
    stage.account.delete_trail();
    let objects = stage.account.objects();
    for key in objects.keys(TRAIL_BUCKET, "").iter().filter(|key| key.contains("CloudTrail-Digest")) {
        assert!(objects.erase(TRAIL_BUCKET, key));
    }
    let mut request = only_cloudtrail(&stage);
    request.scope.bucket = Some(TRAIL_BUCKET.to_owned());
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_was_sent_elsewhere_for_good_is_a_gap_and_its_old_bucket_can_be_named() {
    let stage = Stage::new();
    let scenario = stage.account.scenario().clone();
    stage.account.objects().create_bucket(MOVED_TO, "us-east-1", false, scenario.start());
    stage.account.send_trail(MOVED_TO, scenario.start() + chrono::Duration::hours(3));
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    assert!(
        matches!(&lost(&outcome)[..], [("logs and digests of trail management-events", detail)]
            if detail.contains("was sent to bucket example-corp-elsewhere below AWSLogs/ at 2026-03-02T03:00:00Z")),
        "{:#?}",
        outcome.gaps
    );
    let named = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
    let mut request = only_cloudtrail(&named);
    request.scope.bucket = Some(TRAIL_BUCKET.to_owned());
    let outcome = named.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_the_history_names_is_gone_through_though_the_trail_delivers_there_no_more() {
    let stage = Stage::new();
    let (scenario, objects) = (stage.account.scenario().clone(), stage.account.objects());
    let hours = |hours| scenario.start() + chrono::Duration::hours(hours);
    objects.create_bucket(MOVED_TO, "us-east-1", false, scenario.start());
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_AwayAwayAwayAway.json.gz");
    let away = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
    objects.put_new_version(MOVED_TO, &away, crate::sim::Upload::new(gzipped(b"{\"Records\":[]}"))).unwrap();
    stage.account.send_trail(MOVED_TO, hours(3));
    stage.account.send_trail(TRAIL_BUCKET, hours(4));
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let path = PayloadPath::for_object(&S3Location::new(MOVED_TO, away));
    assert!(stage.objects().contains_key(path.as_str()));
    let keys = stage.answers().into_iter().filter(|answer| answer.starts_with("us-east-1 ListPublicKeys"));
    assert_eq!(keys.count(), 1, "what was asked for already is not asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_was_told_where_it_delivers_already_is_no_gap() {
    let stage = Stage::new();
    stage.account.send_trail(TRAIL_BUCKET, stage.account.scenario().start() + chrono::Duration::hours(3));
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn trails_that_are_sent_to_any_number_of_places_lead_to_a_few_and_a_gap() {
    let stage = Stage::new();
    let start = stage.account.scenario().start();
    for number in 0..25 {
        let bucket = format!("example-corp-{number:02}");
        stage.account.objects().create_bucket(&bucket, "us-east-1", false, start);
        stage.account.send_trail(&bucket, start + chrono::Duration::minutes(60 + number));
    }
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    let what: Vec<&str> = lost(&outcome).into_iter().map(|(what, _)| what).collect();
    assert!(what.contains(&"logs and digests in 5 further places that trails were sent to"), "{what:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_is_listed_and_not_described_is_a_gap() {
    let stage = Stage::new();
    let listed = ["management-events", "audit-2"].map(|name| {
        let arn = format!("arn:aws:cloudtrail:us-east-1:{ACCOUNT_ID}:trail/{name}");
        serde_json::json!({"TrailARN": arn, "Name": name, "HomeRegion": "us-east-1"})
    });
    let answer = serde_json::json!({"Trails": listed}).to_string();
    stage.server.faults().add(Fault::replace("cloudtrail:ListTrails", answer.leak()));
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    let what = format!("trail arn:aws:cloudtrail:us-east-1:{ACCOUNT_ID}:trail/audit-2");
    assert!(matches!(&lost(&outcome)[..], [(told, _)] if *told == what), "{:#?}", outcome.gaps);
    assert!(!outcome.complete);
}
