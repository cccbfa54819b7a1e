//! EBS: what is kept of snapshots, images and the keys they name, and what the report on their lineage says.

use super::*;

fn ebs_only(stage: &Stage) -> Request {
    let mut request = stage.request();
    request.scope.sources = vec!["ebs".to_owned()];
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_around_snapshots_is_kept_raw_in_every_region() {
    let stage = Stage::new();
    let outcome = stage.collect(&ebs_only(&stage)).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let answers = stage.answers();
    for operation in [
        "DescribeVolumes",
        "DescribeVolumesModifications",
        "DescribeImages",
        "DescribeImageAttribute",
        "DescribeKey",
        "GetKeyPolicy",
        "DescribeSnapshotTierStatus",
        "DescribeLockedSnapshots",
        "ListSnapshotsInRecycleBin",
        "ListImagesInRecycleBin",
        "ListVolumesInRecycleBin",
        "DescribeFastSnapshotRestores",
        "GetSnapshotBlockPublicAccessState",
        "GetEbsEncryptionByDefault",
        "GetEbsDefaultKmsKeyId",
    ] {
        for region in ["us-east-1", "eu-central-1"] {
            let asked = answers.iter().filter(|answer| answer.starts_with(&format!("{region} {operation} ")));
            assert_eq!(asked.count(), 1, "{region} {operation}");
        }
    }
    let listings = stage.artifacts().into_iter().filter_map(|artifact| match artifact.source {
        Origin::ApiResponse(origin) if origin.operation == "DescribeSnapshots" => Some(*origin),
        _ => None,
    });
    let listings: Vec<_> = listings.filter(|origin| origin.region.as_str() == "us-east-1").collect();
    assert_eq!(listings.len(), 3, "own ones, those shared with us, and own ones again at the end");
    let sent = ["MaxResults", "OwnerIds", "RestorableByUserIds"];
    for listing in listings {
        assert!(listing.parameters.keys().all(|name| sent.contains(&name.as_str())), "never sent: {listing:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_appears_meanwhile_is_told_of_and_asked_about() {
    let stage = Stage::new();
    stage.server.faults().set_latency(Duration::from_millis(20));
    let request = ebs_only(&stage);
    let (outcome, made) = tokio::join!(stage.collect(&request), make_one_later(&stage));
    let changed = outcome.gaps.iter().find(|gap| gap.reason == GapReason::ChangedDuringAcquisition).unwrap();
    assert!(changed.detail.as_ref().unwrap().contains(&format!("appeared: {made}")), "{changed:?}");
    let asked = stage.answers();
    assert!(asked.iter().any(|answer| answer.contains("DescribeSnapshotAttribute") && answer.contains(&made)));
    assert!(!outcome.complete);
}

/// Makes a snapshot as soon as the first listing is over, which the questions about what it named show.
async fn make_one_later(stage: &Stage) -> String {
    let is_over =
        |request: &crate::sim::Request| request.operation == "DescribeSnapshotAttribute" && request.region == "us-east-1";
    while !stage.server.requests().iter().any(is_over) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stage.account.create_snapshot("us-east-1").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_question_about_disks_is_one_gap_and_the_others_are_answered() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("ec2:ListVolumesInRecycleBin"));
    stage.server.faults().add(Fault::deny("ec2:GetEbsDefaultKmsKeyId").in_region("us-east-1"));
    let outcome = stage.collect(&ebs_only(&stage)).await;
    let mut denied = gaps(&outcome, GapReason::Denied);
    denied.sort_unstable();
    assert_eq!(denied, ["GetEbsDefaultKmsKeyId", "ListVolumesInRecycleBin", "ListVolumesInRecycleBin"]);
}

fn report(stage: &Stage) -> serde_json::Value {
    serde_json::from_slice(&stored_bytes(&stage.case(), "reports/snapshots.json")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_on_snapshots_tells_their_lineage_and_with_whom_they_are_shared() {
    let stage = Stage::new();
    stage.account.share_snapshot("us-east-1", "444455556666");
    let (source, copy) = stage.account.copy_snapshot("us-east-1").unwrap();
    stage.collect(&ebs_only(&stage)).await;
    let report = report(&stage);
    let find = |list: &str, field: &str, id: &str| {
        report[list].as_array().unwrap().iter().find(|entry| entry[field] == id).unwrap().clone()
    };
    let (from, to) = (find("snapshots", "snapshot_id", &source), find("snapshots", "snapshot_id", &copy));
    assert_eq!((&from["shared_with"], &from["copies"]), (&serde_json::json!(["444455556666"]), &serde_json::json!([copy])));
    assert_eq!(to["copied_from"], serde_json::json!({"snapshot_id": source, "region": "us-east-1"}));
    assert_eq!((&to["shared_with"], &to["volume_id"]), (&serde_json::json!([]), &serde_json::Value::Null));
    assert_eq!((&from["in_window"], &to["in_window"]), (&false.into(), &true.into()));
    let image = find("images", "image_id", &source.replacen("snap-", "ami-", 1));
    assert_eq!((&from["images"][0], &image["snapshots"][0]), (&image["image_id"], &from["snapshot_id"]));
    assert_eq!(image["shared_with"], serde_json::json!(["444455556666"]));
    let volume = find("volumes", "volume_id", from["volume_id"].as_str().unwrap());
    assert_eq!(volume["attached_to"], from["volume_attached_to"]);
    let order: Vec<String> = report["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["region"], entry["snapshot_id"]))
        .collect();
    assert!(order.is_sorted() && order.len() > 5, "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_is_the_same_when_it_is_made_again_and_no_evidence() {
    let stage = Stage::new();
    stage.collect(&ebs_only(&stage)).await;
    let first = stored_bytes(&stage.case(), "reports/snapshots.json");
    stage.collect(&ebs_only(&stage)).await;
    assert_eq!(stored_bytes(&stage.case(), "reports/snapshots.json"), first);
    assert!(stage.artifacts().iter().all(|artifact| artifact.path.as_str().starts_with("data/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_use_an_image_is_a_gap_where_it_is_refused_and_unknown_in_the_report() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("ec2:DescribeImageAttribute"));
    let outcome = stage.collect(&ebs_only(&stage)).await;
    assert!(gaps(&outcome, GapReason::Denied).iter().all(|what| what.starts_with("launchPermission of ami-")));
    assert!(report(&stage)["images"].as_array().unwrap().iter().all(|image| image["shared_with"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_trails_buckets_and_disks_name_are_described_once_each() {
    let stage = Stage::new();
    let key = |name: &str| format!("arn:aws:kms:us-east-1:{ACCOUNT_ID}:key/{name}");
    stage.account.set_trail_key(Some(key("of-the-trail")));
    stage.account.objects().set_encryption_key(TRAIL_BUCKET, Some(key("of-the-bucket")));
    stage.account.objects().set_encryption_key(FLOW_BUCKET, Some(key("of-the-bucket")));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let answers = stage.answers();
    for operation in ["DescribeKey", "GetKeyPolicy"] {
        let asked: Vec<_> = answers.iter().filter(|answer| answer.contains(&format!(" {operation} "))).collect();
        assert_eq!(asked.len(), 4, "the trail's, the buckets' and one of each region's disks: {asked:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_another_accounts_key_is_left_to_that_account() {
    let stage = Stage::new();
    stage.account.set_trail_key(Some("arn:aws:kms:us-east-1:444455556666:key/theirs".to_owned()));
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(gaps(&outcome, GapReason::Denied), ["DescribeKey of arn:aws:kms:us-east-1:444455556666:key/theirs"]);
    assert!(gaps(&outcome, GapReason::Skipped).contains(&"GetKeyPolicy of arn:aws:kms:us-east-1:444455556666:key/theirs"));
    assert!(!stage.server.requests().iter().any(|request| request.operation == "GetKeyPolicy" && request.status != 200));
}
