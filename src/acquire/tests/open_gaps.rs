//! What stays open in a case, and what a later run closes.

use super::*;
use crate::case::gap::Subject;
use crate::sim::Upload;

/// What is open in the case and makes it incomplete.
fn open(outcome: &CollectOutcome) -> Vec<&str> {
    outcome.case_gaps.iter().filter(|gap| gap.reason.is_incompleteness()).map(|gap| gap.what.as_str()).collect()
}

fn of_source(stage: &Stage, source: &str) -> Request {
    let mut request = stage.request();
    request.scope.sources = vec![source.to_owned()];
    request
}

/// Overwrites a log, whose genuine bytes are an earlier version by then; gives its key and that version's id.
fn overwrite_a_log(stage: &Stage) -> (String, String) {
    let objects = stage.account.objects();
    let key = objects.keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/")).remove(3);
    let genuine = objects.get(TRAIL_BUCKET, &key).unwrap();
    objects.put_new_version(TRAIL_BUCKET, &key, Upload::like(&genuine, b"encrypted by somebody".to_vec())).unwrap();
    (key, genuine.version_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overwritten_log_that_cannot_be_read_stays_missing_though_its_earlier_version_is_there() {
    let stage = Stage::new();
    let (key, version) = overwrite_a_log(&stage);
    let objects = stage.account.objects();
    assert!(objects.change(TRAIL_BUCKET, &key, |object| "DEEP_ARCHIVE".clone_into(&mut object.storage_class)));
    for run in 0..2 {
        let outcome = stage.collect(&of_source(&stage, "cloudtrail")).await;
        assert_eq!((outcome.complete, open(&outcome)), (false, vec![&*format!("s3://{TRAIL_BUCKET}/{key}")]), "run {run}");
    }
    let recovered = PayloadPath::for_version(&S3Location::new(TRAIL_BUCKET, &*key), &version);
    assert!(stage.objects().contains_key(recovered.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_version_that_is_had_later_is_not_missing_any_more() {
    let stage = Stage::new();
    let (key, version) = overwrite_a_log(&stage);
    stage.server.faults().add(Fault::deny("s3:GetObjectVersion"));
    let first = stage.collect(&of_source(&stage, "cloudtrail")).await;
    assert_eq!(open(&first), [format!("s3://{TRAIL_BUCKET}/{key} version {version}")]);
    stage.server.faults().clear();
    let second = stage.collect(&of_source(&stage, "cloudtrail")).await;
    assert!(second.complete, "{:#?}", second.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_does_not_come_to_a_question_leaves_it_open_and_one_that_does_closes_it() {
    let stage = Stage::new();
    for operation in ["s3:ListObjectsV2", "s3:ListObjectVersions"] {
        stage.server.faults().add(Fault::deny(operation).on(TRAIL_BUCKET));
    }
    let first = stage.collect(&of_source(&stage, "cloudtrail")).await;
    assert!(open(&first).iter().any(|what| what.starts_with("listing of s3://")), "{:#?}", first.case_gaps);
    stage.server.faults().clear();
    // As if the trail was gone, and nothing led to its bucket.
    let second = stage.collect(&of_source(&stage, "ebs")).await;
    assert_eq!((second.complete, second.totals.incompleteness()), (false, 0), "{:#?}", second.gaps);
    assert_eq!(open(&second), open(&first));
    let third = stage.collect(&of_source(&stage, "cloudtrail")).await;
    assert!(third.complete, "{:#?}", third.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_questions_of_one_operation_are_two_gaps() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("ec2:DescribeSnapshots").in_region("us-east-1"));
    let outcome = stage.collect(&of_source(&stage, "ebs")).await;
    let denied: BTreeSet<&str> = open(&outcome).into_iter().collect();
    assert_eq!(
        denied.into_iter().collect::<Vec<_>>(),
        ["DescribeSnapshots with OwnerIds self", "DescribeSnapshots with RestorableByUserIds self"]
    );
    stage.server.faults().clear();
    let second = stage.collect(&of_source(&stage, "ebs")).await;
    assert!(second.complete, "{:#?}", second.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_buckets_without_digests_are_two_gaps() {
    let stage = Stage::new();
    let objects = stage.account.objects();
    for key in digest_keys(&stage) {
        assert!(objects.erase(TRAIL_BUCKET, &key));
    }
    objects.create_bucket("example-corp-old", "us-east-1", false, stage.account.scenario().start());
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_OldOldOldOldOld0.json.gz");
    let old = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
    objects.put_new_version("example-corp-old", &old, Upload::new(gzipped(b"{\"Records\":[]}"))).unwrap();
    let mut request = of_source(&stage, "cloudtrail");
    request.scope.bucket = Some("example-corp-old".to_owned());
    let outcome = stage.collect(&request).await;
    let without: Vec<&str> = outcome
        .case_gaps
        .iter()
        .filter(|gap| gap.what.starts_with("digests in s3://") && gap.region.as_ref().unwrap().as_str() == "us-east-1")
        .map(|gap| gap.what.as_str())
        .collect();
    for bucket in [TRAIL_BUCKET, "example-corp-old"] {
        assert!(without.contains(&&*format!("digests in s3://{bucket}/AWSLogs/")), "{:#?}", outcome.case_gaps);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_refused_can_be_read_out_of_its_words() {
    let stage = Stage::new();
    for action in ["s3:GetObject", "s3:GetBucket*", "s3:List*", "ec2:*", "cloudtrail:Get*", "cloudtrail:L*", "kms:*", "logs:*"]
    {
        stage.server.faults().add(Fault::deny(action));
    }
    let outcome = stage.collect(&stage.request()).await;
    let denied: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Denied).collect();
    assert!(denied.len() > 20, "{denied:#?}");
    for gap in denied {
        assert!(!matches!(gap.subject(), Subject::Other(_)), "{gap:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_history_told_once_stays_missing_though_it_is_refused_or_has_forgotten_it() {
    let stage = Stage::new();
    stage.account.delete_trail();
    let request = of_source(&stage, "cloudtrail");
    let lost = ["logs and digests of trail management-events"];
    assert_eq!(open(&stage.collect(&request).await), lost);
    stage.server.faults().add(Fault::deny("cloudtrail:LookupEvents"));
    let refused = stage.collect(&request).await;
    assert!(open(&refused).contains(&lost[0]), "{:#?}", refused.case_gaps);
    stage.server.faults().clear();
    stage.server.faults().add(Fault::replace("cloudtrail:LookupEvents", r#"{"Events":[]}"#));
    assert_eq!(open(&stage.collect(&request).await), lost);
}
