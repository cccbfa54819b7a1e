//! What was overwritten or deleted: recovered from earlier versions, or told of by name.

use super::*;
use crate::sim::Upload;

fn log_keys(stage: &Stage) -> Vec<String> {
    stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/"))
}

fn version_path(key: &str, id: &str) -> String {
    PayloadPath::for_version(&S3Location::new(TRAIL_BUCKET, key), id).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_log_is_recovered_beside_what_replaced_it() {
    let stage = Stage::new();
    let (objects, key) = (stage.account.objects(), log_keys(&stage).remove(3));
    let genuine = objects.get(TRAIL_BUCKET, &key).unwrap();
    let forged = gzipped(b"{\"Records\":[]}");
    objects.put_new_version(TRAIL_BUCKET, &key, Upload::like(&genuine, forged.clone())).unwrap();
    let planned = plan(&stage.session().await, &stage.request()).await.unwrap();
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!((planned.totals.found, planned.totals.found_bytes), (outcome.totals.stored, outcome.totals.stored_bytes));
    assert_eq!(stored_bytes(&stage.case(), path_of(&key).as_str()), forged);
    assert_eq!(stored_bytes(&stage.case(), &version_path(&key, &genuine.version_id)), genuine.body);
    let recovered = stage.artifacts().into_iter().filter_map(|artifact| match artifact.source {
        Origin::S3Object(origin) if artifact.path.as_str().starts_with("data/s3-versions/") => Some(origin),
        _ => None,
    });
    let recovered: Vec<_> = recovered.collect();
    assert_eq!(recovered.len(), 1);
    assert_eq!((recovered[0].key.as_str(), recovered[0].version_id.as_deref()), (&*key, Some(&*genuine.version_id)));
    assert!(stage.answers().iter().any(|answer| answer.contains("ListObjectVersions")), "the listing itself is kept");
    let again = stage.collect(&stage.request()).await;
    assert_eq!((again.totals.stored, again.totals.already_stored), (0, outcome.totals.stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_called_null_that_was_replaced_is_not_taken_for_the_one_that_was_stored() {
    let stage = Stage::new();
    let (objects, key) = (stage.account.objects(), log_keys(&stage).remove(3));
    let current = objects.get(TRAIL_BUCKET, &key).unwrap();
    let again = |body: Vec<u8>| Upload { at: Some(current.last_modified), ..Upload::like(&current, body) };
    let store_before_it = |body: Vec<u8>| {
        assert!(objects.erase(TRAIL_BUCKET, &key));
        objects.put_new_version(TRAIL_BUCKET, &key, again(body)).unwrap();
        assert!(objects.change(TRAIL_BUCKET, &key, |object| "null".clone_into(&mut object.version_id)));
        objects.put_new_version(TRAIL_BUCKET, &key, again(current.body.to_vec())).unwrap();
    };
    store_before_it(b"as it was stored".to_vec());
    assert!(stage.collect(&stage.request()).await.complete);
    assert!(stage.collect(&stage.request()).await.complete, "it is still the same");
    store_before_it(b"of the same size".to_vec());
    let outcome = stage.collect(&stage.request()).await;
    let changed = gaps(&outcome, GapReason::ChangedDuringAcquisition);
    assert!(matches!(changed[..], [one] if one.contains(&key) && one.contains("null")), "{:#?}", outcome.gaps);
    assert_eq!(stored_bytes(&stage.case(), &version_path(&key, "null")), b"as it was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_logs_and_digests_are_recovered_and_told_of() {
    let stage = Stage::new();
    let (objects, log, digest) = (stage.account.objects(), log_keys(&stage).remove(3), digest_keys(&stage).remove(4));
    let (log_before, digest_before) = (objects.get(TRAIL_BUCKET, &log).unwrap(), objects.get(TRAIL_BUCKET, &digest).unwrap());
    assert!(objects.delete(TRAIL_BUCKET, &log) && objects.delete(TRAIL_BUCKET, &digest));
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(stored_bytes(&stage.case(), &version_path(&log, &log_before.version_id)), log_before.body);
    assert_eq!(stored_bytes(&stage.case(), &version_path(&digest, &digest_before.version_id)), digest_before.body);
    let told: Vec<_> =
        gaps(&outcome, GapReason::Empty).into_iter().filter(|what| what.starts_with("current versions of 1")).collect();
    assert_eq!(told.len(), 2, "{:#?}", outcome.gaps);
}

/// Deletes every object below a prefix as a client does, and collects CloudTrail's evidence: the paths of the versions that must come.
async fn collect_after_deleting(stage: &Stage, prefix: impl Fn(&str) -> bool) -> (CollectOutcome, BTreeSet<String>) {
    let objects = stage.account.objects();
    let gone: Vec<String> = objects.keys(TRAIL_BUCKET, "").into_iter().filter(|key| prefix(key)).collect();
    let version = |key: &String| version_path(key, &objects.get(TRAIL_BUCKET, key).unwrap().version_id);
    let versions = gone.iter().filter(|key| !key.ends_with('/')).map(version).collect();
    assert!(gone.iter().all(|key| objects.delete(TRAIL_BUCKET, key)));
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    let planned = plan(&stage.session().await, &request).await.unwrap();
    let outcome = stage.collect(&request).await;
    assert_eq!((planned.totals.found, planned.totals.gaps), (outcome.totals.stored, outcome.totals.gaps.clone()));
    (outcome, versions)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_was_deleted_as_a_whole_is_found_among_the_versions() {
    let stage = Stage::new();
    let (outcome, versions) = collect_after_deleting(&stage, |key| key.contains("/eu-central-1/")).await;
    let stored: BTreeSet<String> = stage.objects().into_keys().collect();
    assert!(versions.len() > 10 && versions.is_subset(&stored), "{:#?}", versions.difference(&stored));
    let told = outcome.gaps.iter().filter(|gap| gap.what.starts_with("current versions of "));
    assert_eq!(told.filter(|gap| gap.region == Some("eu-central-1".parse().unwrap())).count(), 2, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_was_deleted_is_found_among_the_versions() {
    let stage = Stage::new();
    stage.account.objects().set_page_limit(7);
    let (outcome, versions) = collect_after_deleting(&stage, |_| true).await;
    assert_eq!(stage.objects().into_keys().collect::<BTreeSet<_>>(), versions);
    assert!(versions.len() > 40);
    assert!(!gaps(&outcome, GapReason::Empty).iter().any(|what| what.starts_with("logs under ")), "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_group_its_versions_names_the_folders_all_the_same() {
    let stage = Stage::new();
    let flat = r"<ListVersionsResult><IsTruncated>false</IsTruncated><DeleteMarker>
        <Key>AWSLogs/111122223333/CloudTrail/eu-central-1/2026/03/02/any</Key><VersionId>1</VersionId><IsLatest>true</IsLatest>
        </DeleteMarker></ListVersionsResult>";
    stage.server.faults().add(Fault::replace("s3:ListObjectVersions", flat).of_prefix("AWSLogs/111122223333/CloudTrail/"));
    let (_, versions) = collect_after_deleting(&stage, |key| key.contains("/CloudTrail/eu-central-1/")).await;
    let stored: BTreeSet<String> = stage.objects().into_keys().collect();
    assert!(versions.len() > 5 && versions.is_subset(&stored), "{:#?}", versions.difference(&stored));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_which_all_expired_long_ago_leaves_the_collection_complete() {
    let stage = Stage::new();
    for region in ["eu-central-1", "sa-east-1"] {
        let name = format!("{ACCOUNT_ID}_CloudTrail_{region}_20250301T0305Z_AbCdEfGh01234567.json.gz");
        let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/{region}/2025/03/01/{name}");
        stage.account.objects().put_new_version(TRAIL_BUCKET, &key, Upload::new("x")).unwrap();
        assert!(stage.account.objects().delete(TRAIL_BUCKET, &key));
    }
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(!stage.objects().keys().any(|path| path.starts_with("data/s3-versions/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_log_without_any_version_left_makes_the_collection_incomplete() {
    let stage = Stage::new();
    let (objects, key) = (stage.account.objects(), log_keys(&stage).remove(3));
    assert!(objects.erase(TRAIL_BUCKET, &key));
    objects.put_new_version(TRAIL_BUCKET, &key, Upload::new("x")).unwrap();
    assert!(objects.change(TRAIL_BUCKET, &key, |object| object.delete_marker = true));
    let outcome = stage.collect(&stage.request()).await;
    let lost = outcome.gaps.iter().find(|gap| gap.reason == GapReason::Failed && gap.what.starts_with("1 deleted")).unwrap();
    assert!(lost.detail.as_ref().unwrap().contains(&key), "{lost:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_may_not_be_listed_are_a_gap() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("s3:ListObjectVersions").on(TRAIL_BUCKET));
    let outcome = stage.collect(&stage.request()).await;
    let denied = gaps(&outcome, GapReason::Denied);
    assert!(!denied.is_empty() && denied.iter().all(|what| what.starts_with("earlier versions of ")), "{denied:#?}");
    assert!(outcome.totals.stored == outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_versions_is_not_asked_for_them() {
    let stage = Stage::new();
    stage.collect(&stage.request()).await;
    let asked = stage.server.requests();
    let asked: BTreeSet<&str> =
        asked.iter().filter(|request| request.operation == "ListObjectVersions").map(|request| &*request.target).collect();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [TRAIL_BUCKET]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_versions_of_many_keys_come_page_by_page_and_none_is_lost_or_doubled() {
    let stage = Stage::new();
    let objects = stage.account.objects();
    for number in 0..600 {
        let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_{number:016}.json.gz");
        let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
        for version in 0..3 {
            let body = gzipped(format!("{{\"Records\":[{number}, {version}]}}").as_bytes());
            objects.put_new_version(TRAIL_BUCKET, &key, Upload::new(body)).unwrap();
        }
    }
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let versions = stage.objects().into_keys().filter(|path| path.starts_with("data/s3-versions/")).count();
    assert_eq!(versions, 1200);
    assert_eq!(outcome.totals.stored, outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_is_only_recovered_leads_to_what_it_names_all_the_same() {
    let stage = Stage::new();
    let (objects, key) = (stage.account.objects(), digest_keys(&stage).remove(4));
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260309T0405Z_LateLateLateLate.json.gz");
    let late = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/09/{name}");
    objects.put_new_version(TRAIL_BUCKET, &late, Upload::new(gzipped(b"{\"Records\":[]}"))).unwrap();
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, &key).unwrap().body);
    digest["logFiles"].as_array_mut().unwrap().push(serde_json::json!({
        "s3Bucket": TRAIL_BUCKET, "s3Object": late, "hashAlgorithm": "SHA-256", "hashValue": "00",
        "oldestEventTime": "2026-03-02T03:00:00Z", "newestEventTime": "2026-03-02T03:01:00Z",
    }));
    digest["previousDigestS3Bucket"] = "example-corp-elsewhere".into();
    assert!(objects.put(TRAIL_BUCKET, &key, gzipped(digest.to_string().as_bytes())));
    // Overwritten with what nobody can read, and then deleted.
    objects.put_new_version(TRAIL_BUCKET, &key, Upload::new("no digest")).unwrap();
    assert!(objects.delete(TRAIL_BUCKET, &key));
    let outcome = stage.collect(&stage.request()).await;
    let failed = gaps(&outcome, GapReason::Failed);
    assert_eq!(failed, ["logs or digests in another place, in bucket example-corp-elsewhere below AWSLogs/"]);
    assert!(stage.objects().contains_key(path_of(&late).as_str()), "{:#?}", outcome.gaps);
}
