//! What AWS, and the network before it, do to clients: in every case all bytes are right, or a gap says why not.

use super::*;

fn log_key(stage: &Stage) -> String {
    stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/")).pop().unwrap()
}

/// Collects while one log is served as the fault says, then checks that whatever is stored is right.
async fn collect_with(stage: &Stage, fault: Fault) -> CollectOutcome {
    stage.server.faults().add(fault);
    let outcome = tokio::time::timeout(Duration::from_secs(100), stage.collect(&stage.request())).await;
    let outcome = outcome.expect("an end");
    let objects = stage.account.objects();
    for artifact in stage.artifacts() {
        if let Origin::S3Object(origin) = artifact.source {
            let served = objects.get(&origin.bucket, &origin.key).unwrap().body;
            assert_eq!(artifact.sha256, Sha256Hash::of(&served), "{}", origin.key);
            assert_eq!(stored_bytes(&stage.case(), artifact.path.as_str()), served);
        }
    }
    outcome
}

/// Expects that the one log became a gap, and everything else was stored.
async fn becomes_a_gap(fault: impl FnOnce(&str) -> Fault, reason: GapReason) -> CollectOutcome {
    let stage = Stage::new();
    let key = log_key(&stage);
    let outcome = collect_with(&stage, fault("s3:GetObject").on(&key)).await;
    assert_eq!(gaps(&outcome, reason), [format!("s3://{TRAIL_BUCKET}/{key}")], "{:#?}", outcome.gaps);
    assert!(!stage.case().join(path_of(&key).as_str()).exists());
    assert_eq!(outcome.totals.stored + 1, outcome.totals.found);
    assert!(!outcome.complete);
    outcome
}

/// Expects that the fault passed and everything was stored.
async fn is_overcome(fault: Fault) {
    let stage = Stage::new();
    let outcome = collect_with(&stage, fault).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(outcome.totals.stored, outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checksum_that_the_bytes_do_not_have_is_asked_again_and_never_stored() {
    is_overcome(Fault::wrong_checksum("s3:GetObject").times(5)).await;
    becomes_a_gap(Fault::wrong_checksum, GapReason::Failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_body_of_unannounced_length_is_asked_again_and_never_stored() {
    is_overcome(Fault::shorten("s3:GetObject", 40).times(5)).await;
    let outcome = becomes_a_gap(|action| Fault::shorten(action, 40), GapReason::Failed).await;
    let gap = outcome.gaps.iter().find(|gap| gap.reason == GapReason::Failed).unwrap();
    assert!(gap.detail.as_ref().unwrap().contains("how long"), "{gap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn internal_errors_pass() {
    is_overcome(Fault::refuse("s3:GetObject", 500, "InternalError", "We encountered an internal error.").times(4)).await;
    is_overcome(Fault::refuse("ec2:DescribeImages", 500, "InternalError", "An internal error has occurred").times(2)).await;
    is_overcome(Fault::refuse("cloudtrail:LookupEvents", 500, "InternalFailure", "again").times(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_under_a_key_that_may_not_be_used_is_denied() {
    let message = "User is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext";
    becomes_a_gap(|action| Fault::refuse(action, 403, "AccessDenied", message), GapReason::Denied).await;
    becomes_a_gap(|action| Fault::refuse(action, 400, "KMS.DisabledException", "the key is disabled"), GapReason::Denied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_object_is_a_gap_of_its_own_kind() {
    let message = "The operation is not valid for the object's storage class";
    becomes_a_gap(|action| Fault::refuse(action, 403, "InvalidObjectState", message), GapReason::Archived).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_or_another_one_since_it_was_listed_is_never_mixed() {
    for (status, code) in [(404, "NoSuchKey"), (412, "PreconditionFailed")] {
        becomes_a_gap(|action| Fault::refuse(action, status, code, "changed"), GapReason::ChangedDuringAcquisition).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_says_nothing_is_a_gap_and_not_an_empty_folder() {
    let empty = r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>"#;
    let stage = Stage::new();
    let outcome = collect_with(&stage, Fault::replace("s3:ListObjectsV2", empty).on(TRAIL_BUCKET)).await;
    assert!(!outcome.complete);
    let failed: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed).collect();
    assert!(failed.iter().any(|gap| gap.what.starts_with("listing of s3://")), "{failed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_cannot_be_read_are_gaps_and_their_bytes_are_kept() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::replace("ec2:DescribeVolumes", "<html>Bad gateway</html>").in_region("us-east-1"));
    let outcome = collect_with(&stage, Fault::replace("cloudtrail:ListPublicKeys", "not JSON").in_region("us-east-1")).await;
    let mut failed = gaps(&outcome, GapReason::Failed);
    failed.sort_unstable();
    assert_eq!(failed, ["DescribeVolumes", "ListPublicKeys"], "{:#?}", outcome.gaps);
    let kept = stage.artifacts().into_iter().filter(|artifact| artifact.path.as_str().contains("/ListPublicKeys/"));
    assert!(kept.into_iter().any(|artifact| stored_bytes(&stage.case(), artifact.path.as_str()) == b"not JSON"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_broke_off_without_an_announced_length_is_asked_for_again() {
    for action in [
        "ec2:DescribeRegions",
        "ec2:DescribeSnapshots",
        "s3:GetBucketVersioning",
        "s3:ListObjectVersions",
        "s3:ListObjectsV2",
        "sts:GetCallerIdentity",
        "cloudtrail:DescribeTrails",
    ] {
        is_overcome(Fault::shorten(action, 150).times(1)).await;
    }
    is_overcome(Fault::replace("cloudtrail:ListTrails", "").times(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_always_breaks_off_is_a_gap_and_no_end_of_an_answer() {
    let stage = Stage::new();
    let outcome = collect_with(&stage, Fault::shorten("ec2:DescribeSnapshots", 600).in_region("us-east-1")).await;
    let failed: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed).collect();
    assert!(!failed.is_empty() && failed.iter().all(|gap| gap.what.starts_with("DescribeSnapshots")), "{failed:#?}");
    assert!(failed.iter().all(|gap| gap.detail.as_ref().unwrap().contains("broke off")), "{failed:#?}");
    let kept = stage.artifacts().into_iter().filter_map(|artifact| match artifact.source {
        Origin::ApiResponse(origin) if artifact.path.as_str().contains("/us-east-1/DescribeSnapshots/") => Some(origin),
        _ => None,
    });
    let kept: Vec<_> = kept.collect();
    assert!(!kept.is_empty() && kept.iter().all(|origin| !origin.last), "{kept:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_comes_again_ends_the_paging_as_a_gap() {
    let stage = Stage::new();
    let page = r#"{"Events":[],"NextToken":"again"}"#;
    stage.server.faults().add(Fault::replace("cloudtrail:LookupEvents", page).in_region("us-east-1"));
    let page = r#"<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><volumeSet/><nextToken>again</nextToken></DescribeVolumesResponse>"#;
    stage.server.faults().add(Fault::replace("ec2:DescribeVolumes", page).in_region("us-east-1"));
    let page = r"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>again</NextContinuationToken></ListBucketResult>";
    let outcome = collect_with(&stage, Fault::replace("s3:ListObjectsV2", page).on(FLOW_BUCKET)).await;
    let repeated =
        outcome.gaps.iter().filter(|gap| gap.detail.as_ref().is_some_and(|detail| detail.contains("repeats itself")));
    assert!(repeated.count() >= 3, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_token_ends_the_paging_and_is_not_asked_with() {
    let stage = Stage::new();
    let page = r#"<DescribeVolumesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><volumeSet/><nextToken></nextToken></DescribeVolumesResponse>"#;
    let outcome = collect_with(&stage, Fault::replace("ec2:DescribeVolumes", page).in_region("us-east-1")).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let asked = stage.server.requests();
    let asked = asked.iter().filter(|request| request.operation == "DescribeVolumes" && request.region == "us-east-1");
    assert_eq!(asked.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_never_answered_is_asked_again() {
    is_overcome(Fault::silence("cloudtrail:DescribeTrails").in_region("us-east-1").times(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_one_bring_the_same_as_whole_ones() {
    let whole = Stage::new();
    let first = whole.collect(&whole.request()).await;
    let stage = Stage::new();
    stage.account.objects().set_page_limit(1);
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(stage.objects(), whole.objects());
    assert!(outcome.totals.answers > first.totals.answers + 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_in_another_region_is_asked_there() {
    let stage = Stage::new();
    let created = stage.account.scenario().start();
    stage.account.objects().create_bucket(TRAIL_BUCKET, "eu-west-1", true, created);
    let outcome = collect_with(&stage, Fault::deny("s3:GetBucketLocation").on(TRAIL_BUCKET)).await;
    let denied: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Denied).collect();
    assert_eq!(denied.len(), 1, "{denied:#?}");
    assert!(
        denied[0].what.starts_with("GetBucketLocation of bucket") && denied[0].detail.as_ref().unwrap().contains("eu-west-1")
    );
    // Who may not ask where it lies still learns it, from the answer to HeadBucket.
    assert!(outcome.totals.stored == outcome.totals.found && outcome.totals.found > 50, "{:?}", outcome.totals);
    let asked = stage.server.requests();
    let elsewhere = asked.iter().filter(|request| request.operation == "GetObject" && request.target.starts_with(TRAIL_BUCKET));
    assert!(elsewhere.into_iter().all(|request| request.region == "eu-west-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_has_to_be_asked_in_its_own_region_has_said_where_it_lies() {
    let stage = Stage::new();
    let created = stage.account.scenario().start();
    stage.account.objects().create_bucket(TRAIL_BUCKET, "eu-west-1", true, created);
    let message = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'";
    let fault = Fault::refuse("s3:GetBucketLocation", 400, "AuthorizationHeaderMalformed", message).on(TRAIL_BUCKET);
    let outcome = collect_with(&stage, fault).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let asked = stage.server.requests();
    let mut objects =
        asked.iter().filter(|request| request.operation == "GetObject" && request.target.starts_with(TRAIL_BUCKET));
    assert!(objects.all(|request| request.region == "eu-west-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_redirects_is_a_gap() {
    let stage = Stage::new();
    let moved = "The bucket is in this region: eu-west-1. Please use this region to retry the request";
    let fault = Fault::refuse("s3:ListObjectsV2", 301, "PermanentRedirect", moved).on(FLOW_BUCKET);
    let outcome = collect_with(&stage, fault).await;
    assert!(gaps(&outcome, GapReason::Failed).iter().any(|what| what.contains(FLOW_BUCKET)), "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_expire_in_mid_run_end_it_and_renewed_ones_finish_it() {
    let stage = Stage::new();
    // With few in flight, few of those that were good are lost with the run.
    let request = Request { concurrency: NonZeroUsize::new(4), ..stage.request() };
    stage.server.faults().add(Fault::refuse("s3:GetObject", 400, "ExpiredToken", "The provided token has expired.").after(20));
    stage.server.faults().add(Fault::refuse("sts:GetCallerIdentity", 403, "ExpiredToken", "expired").after(2));
    let stopped = stage.try_collect(&request).await.unwrap_err();
    assert!(matches!(stopped, AcquireError::Halted(Halt::Credentials(_))), "{stopped:?}");
    assert!(matches!(stage.events().last(), Some(Event::CollectionInterrupted(_))));
    assert!(stage.objects().len() >= 10, "what came before is safe");
    stage.server.faults().clear();
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(outcome.totals.stored + outcome.totals.already_stored, outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_goes_silent_is_asked_for_again() {
    let begun = std::time::Instant::now();
    is_overcome(Fault::stall("s3:GetObject", 30).times(1)).await;
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_goes_silent_ends_the_run_in_well_under_a_minute_and_it_can_be_resumed() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::silence("*").after(80));
    let begun = std::time::Instant::now();
    let ended = stage.try_collect(&stage.request()).await;
    assert!(matches!(ended, Err(AcquireError::Halted(Halt::Unreachable(_)))), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    stage.server.faults().clear();
    assert!(stage.collect(&stage.request()).await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_the_network_ends_the_run_in_well_under_a_minute_and_it_can_be_resumed() {
    let stage = Stage::new();
    let (session, request) = (stage.session().await, stage.request());
    let case = stage.open(&request);
    stage.server.faults().set_latency(Duration::from_millis(5));
    let Stage { account, server, folder } = stage;
    let begun = std::time::Instant::now();
    let cut = async {
        server.until(|answered| answered.iter().filter(|request| request.operation == "GetObject").count() >= 5).await;
        tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    };
    let (_switch, stop) = Stop::pair();
    let run = context();
    let (ended, ()) = tokio::join!(collect(&session, case, &request, &run, Arc::new(Silent), stop), cut);
    assert!(matches!(ended, Err(AcquireError::Halted(Halt::Unreachable(_)))), "{ended:?}");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let stage = Stage { server: Server::start(account.clone()).unwrap(), account, folder };
    assert!(matches!(stage.events().last(), Some(Event::CollectionInterrupted(_))));
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
}
