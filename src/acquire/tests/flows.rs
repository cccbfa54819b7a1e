//! Flow logs: their records in S3 and in CloudWatch Logs, and what is found of flow logs that EC2 does not know any more.

use super::*;
use crate::sim::FlowDestination;

const GROUP: &str = "example/flows";

/// A group with a record a minute, and what the records are.
fn with_group(stage: &Stage) -> Vec<String> {
    let scenario = stage.account.scenario().clone();
    let mut messages = Vec::new();
    let records = (-30..360).map(|minute| {
        let at = scenario.start() + chrono::Duration::minutes(minute);
        let status = match minute {
            100 => "SKIPDATA",
            200 | 201 => "NODATA",
            _ => "OK",
        };
        let start = at.timestamp();
        let message = format!(
            "2 {ACCOUNT_ID} eni-0aa11bb22cc33dd44 192.0.2.10 198.51.100.7 443 50123 6 1 40 {start} {} ACCEPT {status}",
            start + 59
        );
        messages.push(message.clone());
        (at, "eni-0aa11bb22cc33dd44-all".to_owned(), message)
    });
    stage.account.add_log_group("us-east-1", GROUP, records.collect::<Vec<_>>());
    stage.account.add_flow_log("us-east-1", FlowDestination::LogGroup(GROUP.to_owned()));
    messages
}

fn flow_logs_only(stage: &Stage) -> Request {
    let mut request = stage.request();
    request.scope.sources = vec!["flow-logs".to_owned()];
    request
}

fn stored_messages(stage: &Stage) -> Vec<String> {
    let mut messages = Vec::new();
    for artifact in stage.artifacts() {
        if let Origin::ApiResponse(origin) = &artifact.source
            && origin.operation == "FilterLogEvents"
            && origin.status == 200
        {
            let page: serde_json::Value = serde_json::from_slice(&stored_bytes(&stage.case(), artifact.path.as_str())).unwrap();
            let events = page["events"].as_array().unwrap();
            messages.extend(events.iter().map(|event| event["message"].as_str().unwrap().to_owned()));
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn records_in_cloudwatch_logs_come_whole_through_empty_pages_and_from_ten_minutes_before_the_window() {
    let stage = Stage::new();
    let messages = with_group(&stage);
    let outcome = stage.collect(&flow_logs_only(&stage)).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(stored_messages(&stage), messages[20..], "each once, in order of time");
    let pages = stage.artifacts().into_iter().filter(|artifact| artifact.path.as_str().contains("/FilterLogEvents/"));
    assert!(pages.count() >= 14, "empty pages are kept too");
    let told: Vec<_> = outcome.notices.iter().filter(|notice| notice.text.contains(GROUP)).collect();
    assert!(told.len() == 1 && told[0].text.contains("1 SKIPDATA") && told[0].text.contains("2 NODATA"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_log_group_goes_on_at_the_hour_where_it_stopped() {
    let stage = Stage::new();
    let messages = with_group(&stage);
    stage.server.faults().add(Fault::refuse("logs:FilterLogEvents", 400, "ExpiredTokenException", "expired").after(7));
    stage.server.faults().add(Fault::refuse("sts:GetCallerIdentity", 403, "ExpiredToken", "expired").after(2));
    let stopped = stage.try_collect(&flow_logs_only(&stage)).await.unwrap_err();
    assert!(matches!(stopped, AcquireError::Halted(Halt::Credentials(_))), "{stopped:?}");
    let before = stored_messages(&stage);
    assert!(!before.is_empty() && messages[20..].starts_with(&before));
    stage.server.faults().clear();
    let outcome = stage.collect(&flow_logs_only(&stage)).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let stored: BTreeSet<String> = stored_messages(&stage).into_iter().collect();
    assert_eq!(stored, messages[20..].iter().cloned().collect());
    assert!(stored_messages(&stage).len() < messages.len() + 60, "hours that were whole are not asked for again");
}

/// What is open in the case of the records of the group: the stretches.
fn missing_records(outcome: &CollectOutcome) -> Vec<&str> {
    let open = outcome.case_gaps.iter().filter(|gap| gap.reason.is_incompleteness());
    open.filter_map(|gap| gap.what.strip_prefix("records in log group example/flows from ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_refusal_leaves_out_of_a_log_group_is_one_gap() {
    let stage = Stage::new();
    with_group(&stage);
    let request = flow_logs_only(&stage);
    let (start, end) = (request.window.start().plus_seconds(-600), request.window.end());
    stage.server.faults().add(Fault::deny("logs:FilterLogEvents"));
    let first = stage.collect(&request).await;
    assert_eq!(missing_records(&first), [format!("{start} to {end}")]);
    stage.server.faults().clear();
    let second = stage.collect(&request).await;
    assert!(second.complete, "{:#?}", second.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_a_log_group_that_failed_stays_open_until_that_hour_is_answered() {
    let stage = Stage::new();
    with_group(&stage);
    let request = flow_logs_only(&stage);
    let failing = || Fault::refuse("logs:FilterLogEvents", 400, "InvalidOperationException", "odd");
    stage.server.faults().add(failing().times(1));
    let first = stage.collect(&request).await;
    let hour = missing_records(&first).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(hour.len(), 1, "{:#?}", first.case_gaps);
    stage.server.faults().clear();
    stage.server.faults().add(Fault::deny("logs:FilterLogEvents"));
    let second = stage.collect(&request).await;
    assert_eq!(missing_records(&second), hour, "the others are in the case");
    stage.server.faults().clear();
    let third = stage.collect(&request).await;
    assert!(third.complete, "{:#?}", third.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_group_that_is_gone_and_a_firehose_stream_are_gaps_that_say_where_the_records_went() {
    let stage = Stage::new();
    stage.account.add_flow_log("us-east-1", FlowDestination::LogGroup("example/gone".to_owned()));
    stage.account.add_flow_log("eu-central-1", FlowDestination::Firehose("example-stream".to_owned()));
    let outcome = stage.collect(&flow_logs_only(&stage)).await;
    let failed: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed).collect();
    assert_eq!(failed.len(), 2, "{failed:#?}");
    assert!(failed.iter().any(|gap| gap.what.contains("example/gone")));
    assert!(failed.iter().any(|gap| gap.detail.as_ref().unwrap().contains("deliverystream/example-stream")));
}

#[tokio::test(flavor = "multi_thread")]
async fn skipped_and_empty_intervals_of_files_are_counted_and_told() {
    let stage = Stage::new();
    let outcome = stage.collect(&flow_logs_only(&stage)).await;
    let text = |region: &str| {
        let mut told = outcome.notices.iter().filter(|notice| notice.region == Some(region.parse().unwrap()));
        told.next().unwrap().text.clone()
    };
    // One file of 24 has one line of either; 72 files in one region, 36 in the other, but for the last ones still to be delivered.
    assert!(text("us-east-1").contains("3 NODATA") && text("us-east-1").contains("SKIPDATA"), "{}", text("us-east-1"));
    assert!(!text("us-east-1").contains("not searched"), "{}", text("us-east-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_interfaces_and_instances_are_kept_raw() {
    let stage = Stage::new();
    stage.collect(&flow_logs_only(&stage)).await;
    let answers = stage.answers();
    for operation in [
        "DescribeVpcs",
        "DescribeSubnets",
        "DescribeNetworkInterfaces",
        "DescribeInstances",
        "DescribeSecurityGroups",
        "DescribeNetworkAcls",
    ] {
        assert_eq!(answers.iter().filter(|answer| answer.contains(operation)).count(), 2, "{operation}: one a region");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_deleted_flow_log_are_found_beside_those_of_others() {
    let (whole, stage) = (Stage::new(), Stage::new());
    whole.collect(&flow_logs_only(&whole)).await;
    // The other one delivers below a folder of the same bucket, in the layout of Hive.
    assert_eq!(stage.account.delete_flow_logs("us-east-1").len(), 1);
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(gaps(&outcome, GapReason::NotEnabled).contains(&"flow logs"));
    let files = |stage: &Stage| {
        let objects = stage.objects().into_iter().filter(|(path, _)| path.contains("vpcflowlogs"));
        objects.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(files(&stage), files(&whole));
    let told = outcome.notices.iter().filter(|notice| notice.text.contains("no flow log delivers there now"));
    assert_eq!(told.count(), 1, "{:#?}", outcome.notices);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_deleted_flow_log_are_found_among_the_logs_of_a_trail_be_they_deleted() {
    for is_hive in [false, true] {
        let stage = Stage::new();
        let id = stage.account.delete_flow_logs("us-east-1").remove(0);
        stage.account.delete_flow_logs("eu-central-1");
        let objects = stage.account.objects();
        let folder = if is_hive {
            format!(
                "AWSLogs/aws-account-id={ACCOUNT_ID}/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=03/day=02"
            )
        } else {
            format!("AWSLogs/{ACCOUNT_ID}/vpcflowlogs/us-east-1/2026/03/02")
        };
        let key = format!("{folder}/{ACCOUNT_ID}_vpcflowlogs_us-east-1_{id}_20260302T0300Z_0a1b2c3d.log.gz");
        let version = objects.put_new_version(TRAIL_BUCKET, &key, crate::sim::Upload::new(gzipped(b"version\n2\n"))).unwrap();
        assert!(objects.delete(TRAIL_BUCKET, &key));
        let outcome = stage.collect(&stage.request()).await;
        let stored = PayloadPath::for_version(&S3Location::new(TRAIL_BUCKET, &*key), &version);
        assert!(stage.objects().contains_key(stored.as_str()), "{:#?}", outcome.gaps);
        // Of the other one nothing is known but that it was deleted.
        let failed = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed).collect::<Vec<_>>();
        assert!(matches!(&failed[..], [gap] if gap.region == Some("eu-central-1".parse().unwrap())), "{failed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_flow_log_of_which_nothing_is_found_is_a_gap_that_names_it() {
    let stage = Stage::new();
    let ids = [stage.account.delete_flow_logs("us-east-1"), stage.account.delete_flow_logs("eu-central-1")].concat();
    let outcome = stage.collect(&stage.request()).await;
    assert!(!outcome.complete);
    let mut expected: Vec<String> = ids.iter().map(|id| expected_of(id)).collect();
    expected.sort();
    assert_eq!(gaps(&outcome, GapReason::Failed), expected, "{:#?}", outcome.gaps);
    assert!(
        outcome
            .gaps
            .iter()
            .any(|gap| gap.detail.as_ref().is_some_and(|detail| detail.contains("was deleted at 2026-03-02T03")))
    );
    // The bucket can be named.
    let named = Stage::new();
    named.account.delete_flow_logs("us-east-1");
    named.account.delete_flow_logs("eu-central-1");
    let mut request = named.request();
    request.scope.bucket = Some(FLOW_BUCKET.to_owned());
    let outcome = named.collect(&request).await;
    let stored = named.objects().into_keys().filter(|path| path.contains("vpcflowlogs_us-east-1")).count();
    assert!(stored > 50, "{:#?}", outcome.gaps);
    assert_eq!(gaps(&outcome, GapReason::Failed), [expected_of(&ids[1])], "that one lies below a folder of its own");
}

fn expected_of(id: &str) -> String {
    format!("records of flow log {id}")
}

/// Asks for the flow logs in a bucket that is named, and gives the gaps that are said to be empty.
async fn collect_named(stage: &Stage, bucket: &str, prefix: Option<&str>) -> CollectOutcome {
    let mut request = flow_logs_only(stage);
    request.scope.bucket = Some(bucket.to_owned());
    request.scope.prefix = prefix.map(str::to_owned);
    stage.collect(&request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_named_is_gone_through_for_flow_logs_alone() {
    let (whole, stage) = (Stage::new(), Stage::new());
    whole.collect(&flow_logs_only(&whole)).await;
    stage.account.delete_flow_logs("us-east-1");
    stage.account.delete_flow_logs("eu-central-1");
    let outcome = collect_named(&stage, FLOW_BUCKET, None).await;
    let of = |stage: &Stage, region: &str| -> BTreeSet<String> {
        stage.objects().into_keys().filter(|path| path.contains(&format!("vpcflowlogs_{region}"))).collect()
    };
    assert!(!of(&stage, "us-east-1").is_empty());
    assert_eq!(of(&stage, "us-east-1"), of(&whole, "us-east-1"), "{:#?}", outcome.gaps);
    let below = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
    collect_named(&below, FLOW_BUCKET, Some("eu/")).await;
    assert_eq!(of(&below, "eu-central-1"), of(&whole, "eu-central-1"));
    assert!(of(&below, "us-east-1").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_named_and_holds_no_flow_logs_or_does_not_exist_is_told_of() {
    let stage = Stage::new();
    let outcome = collect_named(&stage, TRAIL_BUCKET, None).await;
    let what = format!("flow logs under s3://{TRAIL_BUCKET}/AWSLogs/");
    assert!(gaps(&outcome, GapReason::Empty).contains(&what.as_str()), "{:#?}", outcome.gaps);
    let stage = Stage::new();
    let outcome = collect_named(&stage, "example-corp-gone", None).await;
    assert_eq!(gaps(&outcome, GapReason::Failed), ["bucket example-corp-gone"], "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_log_that_was_deleted_after_the_window_is_a_gap() {
    let stage = Stage::new();
    stage.account.delete_flow_logs("us-east-1");
    stage.account.delete_flow_logs("eu-central-1");
    let mut request = stage.request();
    // They are deleted at 03:00.
    request.window = Window::new(request.window.start(), "2026-03-02T02:00:00Z".parse().unwrap()).unwrap();
    let outcome = stage.collect(&request).await;
    assert_eq!(gaps(&outcome, GapReason::Failed).len(), 2, "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_group_of_another_account_is_not_looked_for_in_the_own_one() {
    let stage = Stage::new();
    let at = stage.account.scenario().start() + chrono::Duration::minutes(5);
    stage.account.add_log_group("us-east-1", GROUP, [(at, "other".to_owned(), "other".to_owned())]);
    stage.account.add_flow_log("us-east-1", FlowDestination::ForeignLogGroup(GROUP.to_owned()));
    let outcome = stage.collect(&flow_logs_only(&stage)).await;
    let failed: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Failed).collect();
    assert!(failed.len() == 1 && failed[0].what.starts_with("records of flow log fl-"), "{failed:#?}");
    let detail = failed[0].detail.as_ref().unwrap();
    assert!(detail.contains("arn:aws:logs:us-east-1:444455556666:log-group:example/flows"), "{detail}");
    assert_eq!(stored_messages(&stage), Vec::<String>::new());
}
