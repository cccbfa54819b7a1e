//! What fails on the way: refusals, throttling, bodies that break off, objects that change, runs that are cut off.
#![expect(clippy::disallowed_methods, reason = "the tests damage cases on purpose")]

use crate::aws::{Failure, FailureKind};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_becomes_a_gap_and_the_rest_goes_on() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("ec2:DescribeVolumes").in_region("eu-central-1"));
    // However often it is asked for: what the short way is refused, the SDK asks for again.
    stage.server.faults().add(Fault::deny("s3:GetObject").on(&digest_keys(&stage)[2]));
    let outcome = stage.collect(&stage.request()).await;
    let denied: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Denied).collect();
    assert_eq!(denied.len(), 2, "{denied:#?}");
    assert!(denied.iter().any(|gap| gap.source == "ebs" && gap.what == "DescribeVolumes"));
    assert!(denied.iter().all(|gap| gap.request_id.is_some() && gap.account.is_some() && gap.region.is_some()));
    assert!(!outcome.complete && outcome.totals.stored + 1 == outcome.totals.found, "{:?}", outcome.totals);
    let refused = |artifact: &Artifact| matches!(&artifact.source, Origin::ApiResponse(origin) if origin.operation == "DescribeVolumes" && origin.status == 403);
    assert!(stage.artifacts().iter().any(refused), "the refusal itself is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_waited_out() {
    let stage = Stage::new();
    for action in ["s3:GetObject", "s3:ListObjectsV2", "ec2:DescribeSnapshotAttribute", "cloudtrail:ListPublicKeys"] {
        stage.server.faults().add(Fault::throttle(action).after(1).times(2));
    }
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(stage.artifacts().iter().any(|artifact| match &artifact.source {
        Origin::S3Object(origin) => origin.exchange.attempts > 1,
        Origin::ApiResponse(_) => false,
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_are_fetched_again() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::cut("s3:GetObject", 100).times(6));
    stage.server.faults().add(Fault::cut("s3:ListObjectsV2", 50).times(1));
    stage.server.faults().add(Fault::reset("s3:GetObject").times(2));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(outcome.totals.stored, outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_always_breaks_off_becomes_a_gap() {
    let stage = Stage::new();
    let key = stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/")).pop().unwrap();
    stage.server.faults().add(Fault::cut("s3:GetObject", 20).on(&key));
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(gaps(&outcome, GapReason::Failed), [format!("s3://{TRAIL_BUCKET}/{key}")]);
    assert!(!stage.case().join(path_of(&key).as_str()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_ends_as_an_undisturbed_one() {
    let whole = Stage::new();
    whole.collect(&whole.request()).await;
    let (stage, all) = (Stage::new(), whole.server.requests().len());
    // A run that has nothing left to fetch asks for more than three eighths of what the first asks for.
    for share in [1, 2, 3, 3] {
        let (session, request) = (stage.session().await, stage.request());
        let case = stage.open(&request);
        let (_switch, stop) = Stop::pair();
        let (run, enough) = (context(), stage.server.requests().len() + all * share / 8);
        tokio::select! {
            ended = collect(&session, case, &request, &run, Arc::new(Silent), stop) => panic!("not cut off: {ended:?}"),
            () = stage.server.until(|asked| asked.len() >= enough) => {}
        }
        released(&stage).await;
    }
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(stage.objects(), whole.objects());
    assert_eq!(stage.answers(), whole.answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_is_asked_again_and_stored_by_the_next_run() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("s3:ListObjectsV2").on(FLOW_BUCKET));
    let first = stage.collect(&stage.request()).await;
    assert!(!first.complete);
    stage.server.faults().clear();
    let second = stage.collect(&stage.request()).await;
    assert!(second.complete, "{:#?}", second.gaps);
    assert!(second.totals.stored > 0);
}

/// Waits until what had begun to be written when a run was cut off has ended: until then it holds the case.
async fn released(stage: &Stage) {
    let ledger = std::fs::File::open(stage.case().join("custody/ledger.jsonl")).unwrap();
    tokio::task::spawn_blocking(move || ledger.lock().unwrap()).await.unwrap();
}

/// Collects until an object was brought whose bucket and key contain `target`; no other one of them ever comes.
async fn interrupted(stage: &Stage, target: &str) -> CollectOutcome {
    stage.server.faults().add(Fault::silence("s3:GetObject").on(target).after(1));
    let (session, request) = (stage.session().await, stage.request());
    let case = stage.open(&request);
    let (switch, stop) = Stop::pair();
    let stopping = async {
        let is_it = |asked: &crate::sim::Request| asked.operation == "GetObject" && asked.target.contains(target);
        stage.server.until(|asked| asked.iter().any(is_it)).await;
        switch.stop();
    };
    let run = context();
    let (outcome, ()) = tokio::join!(collect(&session, case, &request, &run, Arc::new(Silent), stop), stopping);
    stage.server.faults().clear();
    outcome.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_signal_leaves_a_case_that_can_be_resumed() {
    let stage = Stage::new();
    let outcome = interrupted(&stage, "").await;
    assert!(outcome.interrupted.is_some() && !outcome.complete);
    assert!(matches!(stage.events().last(), Some(Event::CollectionInterrupted(_))));
    assert!(stage.collect(&stage.request()).await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_no_network_are_told_apart() {
    let stage = Stage::new();
    let key = AccessKey { id: "AKIAIOSFODNN7OTHER00".to_owned(), secret: "wrong".to_owned(), session_token: None };
    let mut connection = Connection { access_key: Some(key), ..stage.connection() };
    let refused = Session::connect(&connection).await.unwrap_err();
    assert!(matches!(refused, AwsError::WrongCredentials(_)), "{refused:?}");
    connection.endpoint_url = Some("http://127.0.0.1:9".to_owned());
    let unreachable = tokio::time::timeout(Duration::from_secs(120), Session::connect(&connection)).await.unwrap().unwrap_err();
    assert!(matches!(unreachable, AwsError::Unreachable { .. }), "{unreachable:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_gone_is_a_gap_and_the_rest_goes_on() {
    let stage = Stage::new();
    let mut request = stage.request();
    request.scope.bucket = Some("example-corp-gone".to_owned());
    let outcome = stage.collect(&request).await;
    assert_eq!(gaps(&outcome, GapReason::Failed), ["bucket example-corp-gone"]);
    assert!(!outcome.complete && outcome.totals.stored > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changed_since_it_was_stored_is_a_gap_and_the_first_bytes_stay() {
    changes_after_it_was_stored(|objects, key| assert!(objects.put(TRAIL_BUCKET, key, "changed"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_replaced_by_one_of_the_same_size_is_noticed() {
    changes_after_it_was_stored(|objects, key| {
        let mut body = objects.get(TRAIL_BUCKET, key).unwrap().body.to_vec();
        body[20] ^= 1;
        assert!(objects.put(TRAIL_BUCKET, key, body));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_written_again_with_the_same_bytes_is_noticed_by_its_time() {
    changes_after_it_was_stored(|objects, key| {
        assert!(objects.change(TRAIL_BUCKET, key, |object| object.last_modified += chrono::TimeDelta::minutes(1)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_overwritten_between_listing_and_fetching_is_a_gap_and_never_mixed() {
    let stage = Stage::new();
    let objects = stage.account.objects();
    let folder = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/");
    let last = objects.keys(TRAIL_BUCKET, &folder).pop().unwrap();
    let genuine = objects.get(TRAIL_BUCKET, &last).unwrap();
    // Whoever asks for it has listed it, and does not get it before it is another one.
    stage.server.faults().add(Fault::throttle("s3:GetObject").on(&last));
    let overwriting = async {
        let is_it = |asked: &crate::sim::Request| asked.operation == "GetObject" && asked.target.contains(&last);
        stage.server.until(|asked| asked.iter().any(is_it)).await;
        objects.put_new_version(TRAIL_BUCKET, &last, crate::sim::Upload::like(&genuine, gzipped(b"{}"))).unwrap();
        stage.server.faults().clear();
    };
    let request = stage.request();
    let (outcome, ()) = tokio::join!(stage.collect(&request), overwriting);
    assert_eq!(gaps(&outcome, GapReason::ChangedDuringAcquisition), [format!("s3://{TRAIL_BUCKET}/{last}")]);
    assert!(!stage.objects().contains_key(path_of(&last).as_str()));
    // The listing of versions came later, and brings what was listed first.
    let earlier = PayloadPath::for_version(&S3Location::new(TRAIL_BUCKET, last), &genuine.version_id);
    assert_eq!(stored_bytes(&stage.case(), earlier.as_str()), genuine.body);
}

async fn changes_after_it_was_stored(change: impl FnOnce(&crate::sim::Objects, &str)) {
    let stage = Stage::new();
    stage.collect(&stage.request()).await;
    let before = stage.objects();
    let key = stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/")).pop().unwrap();
    change(stage.account.objects(), &key);
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(gaps(&outcome, GapReason::ChangedDuringAcquisition), [format!("s3://{TRAIL_BUCKET}/{key}")]);
    assert_eq!(stage.objects(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_streamed_and_survives_a_cut() {
    let stage = Stage::new();
    // Bytes that do not compress, so that the object stays large.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(3 << 20)
    .collect();
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_LARGELARGELARGEX.json.gz");
    let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
    stage.account.objects().put_new_version(TRAIL_BUCKET, &key, crate::sim::Upload::new(gzipped(&noise))).unwrap();
    stage.server.faults().add(Fault::cut("s3:GetObject", 2 << 20).on("LARGELARGE").times(2));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let artifact = stage.artifacts().into_iter().find(|artifact| artifact.path == path_of(&key)).unwrap();
    assert_eq!(artifact.content_sha256, Some(Sha256Hash::of(&noise)));
    let Origin::S3Object(origin) = artifact.source else { panic!("an object") };
    assert_eq!((origin.exchange.attempts, origin.aws_digest), (3, Agreement::Match));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_fail_in_one_region_only_do_not_end_the_run() {
    let stage = Stage::new();
    let session = stage.session().await;
    let refused = || Failure::found(FailureKind::Credentials, "the security token is invalid");
    assert_eq!(session.judge(refused()).await.unwrap().kind, FailureKind::Denied);
    stage.server.faults().add(Fault::deny("sts:GetCallerIdentity"));
    assert!(matches!(session.judge(refused()).await, Err(Halt::Credentials(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn failure_after_failure_ends_the_run_only_where_nobody_says_who_we_are() {
    let stage = Stage::new();
    let session = stage.session().await;
    let unanswered = || Failure::found(FailureKind::Network, "connection refused");
    // One service behind a firewall, or bodies that never come whole.
    for _ in 0..100 {
        assert!(session.judge(unanswered()).await.is_ok());
    }
    session.answered();
    stage.server.faults().add(Fault::reset("sts:GetCallerIdentity"));
    for _ in 0..15 {
        assert!(session.judge(unanswered()).await.is_ok());
    }
    assert!(matches!(session.judge(unanswered()).await, Err(Halt::Unreachable(_))));
    stage.server.faults().clear();
    assert!(session.judge(unanswered()).await.is_ok(), "it answers again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_refused_and_is_gone_when_it_is_asked_for_again_leaves_the_case_incomplete() {
    let stage = Stage::new();
    let key = stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/")).pop().unwrap();
    stage.server.faults().add(Fault::deny("s3:GetObject").on(&key));
    assert!(!stage.collect(&stage.request()).await.complete);
    stage.server.faults().clear();
    assert!(stage.account.objects().erase(TRAIL_BUCKET, &key));
    let second = stage.collect(&stage.request()).await;
    assert_eq!(second.totals.incompleteness(), 0, "this run met nothing that it could not have");
    let open: Vec<_> = second.case_gaps.iter().filter(|gap| gap.reason.is_incompleteness()).map(|gap| &gap.what).collect();
    assert_eq!((second.complete, open), (false, vec![&format!("s3://{TRAIL_BUCKET}/{key}")]));
}

/// A log that is delivered for the last minutes of the window.
fn deliver_late(stage: &Stage) -> String {
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0555Z_LATELATELATELATE.json.gz");
    let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
    let body = crate::sim::Upload::new(gzipped(b"{\"Records\":[]}"));
    stage.account.objects().put_new_version(TRAIL_BUCKET, &key, body).unwrap();
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_after_a_finished_run_is_taken_by_the_next_at_once() {
    let stage = Stage::new();
    assert!(stage.collect(&stage.request()).await.complete);
    let key = deliver_late(&stage);
    let second = stage.collect(&stage.request()).await;
    assert_eq!((second.complete, second.totals.stored), (true, 1), "{:#?}", second.gaps);
    assert!(stage.objects().contains_key(path_of(&key).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_delivered_while_a_run_lay_interrupted_is_taken_when_it_goes_on() {
    let stage = Stage::new();
    // The day of logs has been listed by then.
    assert!(interrupted(&stage, "CloudTrail/us-east-1").await.interrupted.is_some());
    let (key, stored, asked) = (deliver_late(&stage), stage.objects(), stage.server.requests().len());
    let listed_before = stage.events().iter().filter(|event| matches!(event, Event::ListingRecorded(_))).count();
    assert!(stage.collect(&stage.request()).await.complete);
    assert!(stage.objects().contains_key(path_of(&key).as_str()));
    // Whatever the ledger says was listed by this run, this run listed.
    let again = stage.server.requests().split_off(asked);
    let listings = stage.events().into_iter().filter_map(|event| match event {
        Event::ListingRecorded(listing) => Some(listing),
        _ => None,
    });
    let listed: Vec<_> = listings.collect();
    for listing in &listed[listed_before..] {
        let operation = if listing.is_of_versions() { "ListObjectVersions" } else { "ListObjectsV2" };
        assert!(again.iter().any(|request| request.operation == operation && request.target.contains(&listing.bucket)));
    }
    // And nothing that was stored is fetched again.
    let fetched = again.iter().filter(|request| request.operation == "GetObject");
    for request in fetched {
        let key = request.target.split_once('/').unwrap().1;
        assert!(!stored.contains_key(path_of(key).as_str()), "{}", request.target);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_case_that_cannot_be_written_ends_the_run_with_that_error() {
    let stage = Stage::new();
    drop(stage.open(&stage.request()));
    // A file where a folder has to be.
    std::fs::write(stage.case().join("data/s3"), "in the way").unwrap();
    let failed = stage.try_collect(&stage.request()).await.unwrap_err();
    assert!(matches!(failed, AcquireError::Case(_)), "{failed:?}");
    assert!(matches!(stage.events().last(), Some(Event::CollectionInterrupted(ended)) if ended.cause.is_some()));
}
