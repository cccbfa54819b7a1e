//! What a window and a scope bring, and what they leave: late logs, other accounts, strangers, named buckets, refused listings.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn regions_out_of_scope_are_named_as_skipped_and_left_alone() {
    let stage = Stage::new();
    let mut request = stage.request();
    request.scope.regions = vec!["eu-central-1".parse().unwrap()];
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(gaps(&outcome, GapReason::Skipped).contains(&"other regions"));
    for artifact in stage.artifacts() {
        if let Origin::S3Object(origin) = artifact.source {
            assert_eq!(origin.region.unwrap().as_str(), "eu-central-1");
        }
    }
    assert!(outcome.totals.stored > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_came_late_is_found_through_the_digest_that_names_it() {
    let stage = Stage::new();
    let (objects, last) = (stage.account.objects(), digest_keys(&stage).pop().unwrap());
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260309T0405Z_LateLateLateLate.json.gz");
    let late = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/09/{name}");
    objects.put_new_version(TRAIL_BUCKET, &late, crate::sim::Upload::new(gzipped(b"{\"Records\":[]}"))).unwrap();
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, &last).unwrap().body);
    digest["logFiles"].as_array_mut().unwrap().push(serde_json::json!({
        "s3Bucket": TRAIL_BUCKET, "s3Object": late, "hashAlgorithm": "SHA-256", "hashValue": "00",
        "oldestEventTime": "2026-03-02T03:00:00Z", "newestEventTime": "2026-03-02T03:01:00Z",
    }));
    assert!(objects.put(TRAIL_BUCKET, &last, gzipped(digest.to_string().as_bytes())));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(stage.objects().contains_key(path_of(&late).as_str()));
    assert_eq!(outcome.totals.stored, outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_log_that_was_overwritten_is_recovered_from_its_earlier_version() {
    let stage = Stage::new();
    let (objects, last) = (stage.account.objects(), digest_keys(&stage).pop().unwrap());
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260309T0405Z_LateLateLateLate.json.gz");
    let late = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/09/{name}");
    let genuine = gzipped(b"{\"Records\":[]}");
    let first = objects.put_new_version(TRAIL_BUCKET, &late, crate::sim::Upload::new(genuine.clone())).unwrap();
    objects.put_new_version(TRAIL_BUCKET, &late, crate::sim::Upload::new(gzipped(b"{}"))).unwrap();
    // A neighbour whose name begins with the same key is not of the window.
    objects.put_new_version(TRAIL_BUCKET, &format!("{late}.bak"), crate::sim::Upload::new("x")).unwrap();
    objects.put_new_version(TRAIL_BUCKET, &format!("{late}.bak"), crate::sim::Upload::new("y")).unwrap();
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, &last).unwrap().body);
    digest["logFiles"].as_array_mut().unwrap().push(serde_json::json!({
        "s3Bucket": TRAIL_BUCKET, "s3Object": late, "hashAlgorithm": "SHA-256", "hashValue": "00",
        "oldestEventTime": "2026-03-02T03:00:00Z", "newestEventTime": "2026-03-02T03:01:00Z",
    }));
    assert!(objects.put(TRAIL_BUCKET, &last, gzipped(digest.to_string().as_bytes())));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let earlier = PayloadPath::for_version(&S3Location::new(TRAIL_BUCKET, late), &first);
    assert_eq!(stored_bytes(&stage.case(), earlier.as_str()), genuine);
    let versions = stage.objects().into_keys().filter(|path| path.starts_with("data/s3-versions/")).count();
    assert_eq!((versions, outcome.totals.stored), (1, outcome.totals.found));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_digest_names_in_another_bucket_is_not_followed_but_told() {
    let stage = Stage::new();
    let (objects, last) = (stage.account.objects(), digest_keys(&stage).pop().unwrap());
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, &last).unwrap().body);
    digest["logFiles"].as_array_mut().unwrap().push(serde_json::json!({
        "s3Bucket": "example-corp-elsewhere", "s3Object": "AWSLogs/a", "hashAlgorithm": "SHA-256", "hashValue": "00",
        "oldestEventTime": "2026-03-02T03:00:00Z", "newestEventTime": "2026-03-02T03:01:00Z",
    }));
    assert!(objects.put(TRAIL_BUCKET, &last, gzipped(digest.to_string().as_bytes())));
    let outcome = stage.collect(&stage.request()).await;
    assert!(
        gaps(&outcome, GapReason::Failed).iter().any(|what| what.contains("example-corp-elsewhere")),
        "{:#?}",
        outcome.gaps
    );
    assert!(!stage.server.requests().iter().any(|request| format!("{request:?}").contains("example-corp-elsewhere")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_digest_brings_the_predecessor_that_it_links_to_however_old() {
    let stage = Stage::new();
    let (objects, keys) = (stage.account.objects(), digest_keys(&stage));
    let before = keys.first().unwrap();
    let old_name = format!("{ACCOUNT_ID}_CloudTrail-Digest_us-east-1_management-events_us-east-1_20260101T044121Z.json.gz");
    let old = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/us-east-1/2026/01/01/{old_name}");
    objects.put_new_version(TRAIL_BUCKET, &old, crate::sim::Upload::new(gzipped(b"{\"logFiles\":[]}"))).unwrap();
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, before).unwrap().body);
    digest["previousDigestS3Bucket"] = TRAIL_BUCKET.into();
    digest["previousDigestS3Object"] = old.clone().into();
    assert!(objects.put(TRAIL_BUCKET, before, gzipped(digest.to_string().as_bytes())));
    // A window that starts so early that nothing of the chain lies before it.
    let mut request = stage.request();
    request.window = Window::new("2026-03-01T12:00:00Z".parse().unwrap(), request.window.end()).unwrap();
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(stage.objects().contains_key(path_of(&old).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn member_accounts_of_an_organization_and_every_kind_of_log_are_found_by_their_folders() {
    let stage = Stage::new();
    let member = crate::sim::FOREIGN_ACCOUNT_ID;
    for kind in ["CloudTrail", "CloudTrail-Insight", "CloudTrail-NetworkActivity"] {
        let name = format!("{member}_{kind}_ap-southeast-2_20260302T0305Z_AbCdEfGh01234567.json.gz");
        let key = format!("AWSLogs/o-exampleorgid/{member}/{kind}/ap-southeast-2/2026/03/02/{name}");
        stage.account.objects().put_new_version(TRAIL_BUCKET, &key, crate::sim::Upload::new(gzipped(b"{}"))).unwrap();
    }
    let outcome = stage.collect(&stage.request()).await;
    let row = outcome
        .rows
        .iter()
        .find(|row| row.account == Some(member.parse().unwrap()) && row.region == Some("ap-southeast-2".parse().unwrap()));
    assert_eq!(row.unwrap().stored, 3, "a region that is not enabled today had logs then");
    let mut request = stage.request();
    request.scope.accounts = vec![ACCOUNT_ID.parse().unwrap()];
    let narrowed = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
    let outcome = narrowed.collect(&request).await;
    assert!(narrowed.objects().keys().all(|path| !path.contains(member)));
    assert!(gaps(&outcome, GapReason::Skipped).iter().any(|what| what.starts_with("other accounts")), "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_asked_for_and_has_no_folder_is_a_gap_of_its_own() {
    let stage = Stage::new();
    let (own, other): (crate::model::AccountId, _) =
        (ACCOUNT_ID.parse().unwrap(), crate::sim::FOREIGN_ACCOUNT_ID.parse().unwrap());
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    request.scope.accounts = vec![own, other];
    let outcome = stage.collect(&request).await;
    let whose = |what: &str| outcome.gaps.iter().filter(|gap| gap.what == what).map(|gap| gap.account).collect::<Vec<_>>();
    assert_eq!(whose("logs and digests of the account"), [Some(other)], "{:#?}", outcome.gaps);
    assert!(stage.events().iter().any(|event| matches!(event, Event::GapRecorded(gap) if gap.account == Some(other))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_asked_for_and_as_which_nobody_asks_is_a_gap_of_each_source() {
    let stage = Stage::new();
    let (own, other): (crate::model::AccountId, crate::model::AccountId) =
        (ACCOUNT_ID.parse().unwrap(), crate::sim::FOREIGN_ACCOUNT_ID.parse().unwrap());
    let mut request = stage.request();
    request.scope.accounts = vec![own, other];
    let planned = plan(&stage.session().await, &request).await.unwrap();
    let outcome = stage.collect(&request).await;
    assert!(!outcome.complete && planned.totals.gaps == outcome.totals.gaps, "{:#?}", outcome.gaps);
    let mut failed: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed).collect();
    failed.sort_by_key(|gap| &gap.source);
    assert!(failed.iter().all(|gap| gap.account == Some(other) && gap.detail.as_ref().unwrap().contains("--role-arn")));
    let what: Vec<&str> = failed.iter().map(|gap| gap.what.as_str()).collect();
    assert_eq!(what, ["event history", "snapshots and volumes", "flow logs"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_objects_and_strangers_are_named() {
    let stage = Stage::new();
    let folder = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/");
    let key = stage.account.objects().keys(TRAIL_BUCKET, &folder).pop().unwrap();
    assert!(stage.account.objects().change(TRAIL_BUCKET, &key, |object| "DEEP_ARCHIVE".clone_into(&mut object.storage_class)));
    let stranger = format!("{folder}2026/03/02/notes.txt");
    let old = crate::sim::Upload { at: Some("2026-01-01T00:00:00Z".parse().unwrap()), ..crate::sim::Upload::new("x") };
    stage.account.objects().put_new_version(TRAIL_BUCKET, &stranger, old).unwrap();
    let planned = plan(&stage.session().await, &stage.request()).await.unwrap();
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(gaps(&outcome, GapReason::Archived), [format!("s3://{TRAIL_BUCKET}/{key}")]);
    assert_eq!((planned.totals.found, planned.totals.found_bytes), (outcome.totals.stored, outcome.totals.stored_bytes));
    assert_eq!((planned.totals.gaps, planned.missing_permissions), (outcome.totals.gaps.clone(), Vec::<String>::new()));
    let skipped = outcome.gaps.iter().find(|gap| gap.reason == GapReason::Skipped).unwrap();
    assert!(skipped.detail.as_ref().unwrap().contains("notes.txt"), "{skipped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_aws_did_not_name_are_taken_wherever_they_lie_if_written_in_the_window() {
    let stage = Stage::new();
    let root = format!("AWSLogs/{ACCOUNT_ID}");
    let strange = [
        "AWSLogs/tool.exe".to_owned(),
        "AWSLogs/staging/a/b.bin".to_owned(),
        // The last of all characters.
        "AWSLogs/staging/\u{10ffff}secret.gz".to_owned(),
        format!("{root}/readme.txt"),
        format!("{root}/CloudTrail/list.txt"),
        format!("{root}/CloudTrail/nowhere/list.txt"),
        format!("{root}/CloudTrail/us-east-1/zzz.gz"),
        format!("{root}/CloudTrail/us-east-1/old/zzz.gz"),
        format!("{root}/CloudTrail/us-east-1/2026/03/02/copy.json.gz"),
        format!("{root}/CloudTrail-Digest/us-east-1/2026/03/02/digest.json.gz"),
    ];
    let upload = |at: &str| crate::sim::Upload { at: Some(at.parse().unwrap()), ..crate::sim::Upload::new("strange") };
    for key in &strange {
        stage.account.objects().put_new_version(TRAIL_BUCKET, key, upload("2026-03-02T03:00:00Z")).unwrap();
        stage.account.objects().put_new_version(TRAIL_BUCKET, &format!("{key}.old"), upload("2026-02-02T03:00:00Z")).unwrap();
    }
    let planned = plan(&stage.session().await, &stage.request()).await.unwrap();
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let stored = stage.objects();
    for key in &strange {
        assert!(stored.contains_key(path_of(key).as_str()), "{key}");
        assert!(!stored.contains_key(path_of(&format!("{key}.old")).as_str()), "{key}.old");
    }
    let strays = outcome.notices.iter().filter(|notice| notice.text.contains("no name that AWS gives"));
    let told = strays.map(|notice| notice.text.split(' ').next().unwrap().parse::<usize>().unwrap());
    assert_eq!(told.sum::<usize>(), strange.len(), "{:#?}", outcome.notices);
    assert_eq!(planned.totals.found, outcome.totals.stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_objects_come_page_by_page_and_none_is_lost_or_doubled() {
    let stage = Stage::new();
    for number in 0..2_300 {
        let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_{number:016}.json.gz");
        let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
        let body = gzipped(format!("{{\"Records\":[{number}]}}").as_bytes());
        stage.account.objects().put_new_version(TRAIL_BUCKET, &key, crate::sim::Upload::new(body)).unwrap();
    }
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(outcome.totals.stored > 2_300 && outcome.totals.stored == outcome.totals.found);
    assert_eq!(stage.objects().len(), usize::try_from(outcome.totals.stored).unwrap());
    let listings = stage.events().into_iter().filter_map(|event| match event {
        Event::ListingRecorded(listing) => Some(listing),
        _ => None,
    });
    assert!(listings.map(|listing| listing.pages).max().unwrap() >= 3);
}

/// The digests of the home region that end in the window, and what they say; the trail was moved away before `away` and back after it.
fn move_away_and_back(stage: &Stage, away: usize) -> String {
    let (objects, keys) = (stage.account.objects(), digest_keys(stage));
    let elsewhere = "example-corp-elsewhere";
    objects.create_bucket(elsewhere, "us-east-1", false, stage.account.scenario().start());
    let gone = objects.get(TRAIL_BUCKET, &keys[away]).unwrap();
    objects.put_new_version(elsewhere, &keys[away], crate::sim::Upload::like(&gone, gone.body.clone())).unwrap();
    assert!(objects.erase(TRAIL_BUCKET, &keys[away]));
    let mut back = gunzipped(&objects.get(TRAIL_BUCKET, &keys[away + 1]).unwrap().body);
    back["previousDigestS3Bucket"] = elsewhere.into();
    let log = back["logFiles"][0]["s3Object"].as_str().unwrap().to_owned();
    back["logFiles"][0]["s3Bucket"] = elsewhere.into();
    let moved = objects.get(TRAIL_BUCKET, &log).unwrap();
    objects.put_new_version(elsewhere, &log, crate::sim::Upload::like(&moved, moved.body.clone())).unwrap();
    assert!(objects.erase(TRAIL_BUCKET, &log));
    assert!(objects.put(TRAIL_BUCKET, &keys[away + 1], gzipped(back.to_string().as_bytes())));
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_was_sent_elsewhere_and_back_leaves_a_gap_that_names_the_place() {
    let stage = Stage::new();
    move_away_and_back(&stage, 3);
    let outcome = stage.collect(&stage.request()).await;
    let failed = gaps(&outcome, GapReason::Failed);
    assert_eq!(failed, ["logs or digests in another place, in bucket example-corp-elsewhere below AWSLogs/"]);
    assert!(!stage.server.requests().iter().any(|request| format!("{request:?}").contains("example-corp-elsewhere")));
    // The bucket is named besides.
    let stage = Stage::new();
    let log = move_away_and_back(&stage, 3);
    let mut request = stage.request();
    request.scope.bucket = Some("example-corp-elsewhere".to_owned());
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let path = PayloadPath::for_object(&S3Location::new("example-corp-elsewhere", log));
    assert!(stage.objects().contains_key(path.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_was_over_before_the_window_is_no_gap() {
    let stage = Stage::new();
    move_away_and_back(&stage, 0);
    let mut request = stage.request();
    let end = request.window.end();
    request.window = Window::new("2026-03-02T04:30:00Z".parse().unwrap(), end).unwrap();
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_named_is_gone_through_besides_those_of_the_trails() {
    let stage = Stage::new();
    let whole = Stage::new();
    whole.collect(&whole.request()).await;
    let objects = stage.account.objects();
    objects.create_bucket("example-corp-old", "us-east-1", false, stage.account.scenario().start());
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_OldOldOldOldOld0.json.gz");
    let old = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
    objects.put_new_version("example-corp-old", &old, crate::sim::Upload::new(gzipped(b"{\"Records\":[]}"))).unwrap();
    let mut request = stage.request();
    request.scope.bucket = Some("example-corp-old".to_owned());
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let mut expected: BTreeSet<String> = whole.objects().into_keys().collect();
    expected.insert(PayloadPath::for_object(&S3Location::new("example-corp-old", old)).to_string());
    assert_eq!(stage.objects().into_keys().collect::<BTreeSet<_>>(), expected);
}

/// What is said to be empty, but for the event history, which remembers no account of the past.
fn said_to_be_empty(outcome: &CollectOutcome) -> Vec<&str> {
    gaps(outcome, GapReason::Empty).into_iter().filter(|what| *what != "older event history").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_list_only_below_an_account_still_gets_its_logs_and_no_word_of_emptiness() {
    let (whole, stage) = (Stage::new(), Stage::new());
    whole.collect(&whole.request()).await;
    for operation in ["s3:ListObjectsV2", "s3:ListObjectVersions"] {
        stage.server.faults().add(Fault::deny(operation).on(TRAIL_BUCKET).of_prefix("AWSLogs/"));
    }
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(stage.objects(), whole.objects());
    assert_eq!(said_to_be_empty(&outcome), Vec::<&str>::new(), "{:#?}", outcome.gaps);
    assert_eq!(gaps(&outcome, GapReason::Denied).len(), 2, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_may_not_be_listed_nobody_says_that_it_is_empty() {
    let own = format!("AWSLogs/{ACCOUNT_ID}/");
    for refused in [own.clone(), format!("{own}CloudTrail-Digest/"), format!("{own}CloudTrail/")] {
        let stage = Stage::new();
        for operation in ["s3:ListObjectsV2", "s3:ListObjectVersions"] {
            stage.server.faults().add(Fault::deny(operation).on(TRAIL_BUCKET).of_prefix(&refused));
        }
        let outcome = stage.collect(&stage.request()).await;
        assert_eq!(said_to_be_empty(&outcome), Vec::<&str>::new(), "{refused}: {:#?}", outcome.gaps);
        assert!(gaps(&outcome, GapReason::Denied).contains(&format!("listing of s3://{TRAIL_BUCKET}/{refused}").as_str()));
        // The folders of its kinds were asked for by their names.
        let is_whole = refused == own;
        let logs = stage.objects().into_keys().filter(|path| path.contains("/CloudTrail/")).count();
        assert_eq!(logs > 0, is_whole || refused.ends_with("Digest/"), "{refused}");
    }
}

/// Makes the last digest name a late log among so many others, and gives its key.
fn name_late_log(stage: &Stage, others: usize) -> String {
    let (objects, last) = (stage.account.objects(), digest_keys(stage).pop().unwrap());
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260309T0405Z_LateLateLateLate.json.gz");
    let late = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/09/{name}");
    objects.put_new_version(TRAIL_BUCKET, &late, crate::sim::Upload::new(gzipped(b"{\"Records\":[]}"))).unwrap();
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, &last).unwrap().body);
    let entry = |key: &str, hash: &str, day: u32| {
        serde_json::json!({"s3Bucket": TRAIL_BUCKET, "s3Object": key, "hashAlgorithm": "SHA-256", "hashValue": hash,
            "oldestEventTime": format!("2026-03-{day:02}T03:00:00Z"), "newestEventTime": format!("2026-03-{day:02}T03:01:00Z")})
    };
    let logs = digest["logFiles"].as_array_mut().unwrap();
    logs.push(entry(&late, "00", 2));
    for number in 0..others {
        // What cannot be compressed makes it as large as a busy hour does.
        logs.push(entry(&format!("other-{number}"), &Sha256Hash::of(&number.to_le_bytes()).to_string(), 9));
    }
    assert!(objects.put(TRAIL_BUCKET, &last, gzipped(digest.to_string().as_bytes())));
    late
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_came_late_is_found_through_a_digest_of_any_size_in_the_first_run() {
    let stage = Stage::new();
    let late = name_late_log(&stage, 20_000);
    let size = stage.account.objects().get(TRAIL_BUCKET, &digest_keys(&stage).pop().unwrap()).unwrap().body.len();
    assert!(size > 600 * 1024, "{size}");
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(stage.objects().contains_key(path_of(&late).as_str()));
    let again = stage.collect(&stage.request()).await;
    assert_eq!((again.complete, again.totals.stored), (true, 0), "{:#?}", again.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_cannot_be_read_for_what_it_names_is_a_gap_in_every_run() {
    let stage = Stage::new();
    let last = digest_keys(&stage).pop().unwrap();
    assert!(stage.account.objects().put(TRAIL_BUCKET, &last, gzipped(b"no digest")));
    for _ in 0..2 {
        let outcome = stage.collect(&stage.request()).await;
        let failed: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed).collect();
        assert!(failed.len() == 1 && failed[0].what.starts_with("late logs that 1 digests"), "{failed:#?}");
        assert!(failed[0].detail.as_ref().unwrap().contains(&last), "{failed:#?}");
    }
}
