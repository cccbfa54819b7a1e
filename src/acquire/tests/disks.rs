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
    let listings = answers.iter().filter(|answer| answer.contains("us-east-1 DescribeSnapshots "));
    assert_eq!(listings.count(), 3, "own ones, those shared with us, and own ones again at the end");
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
