//! Nothing is changed at the source.

use std::collections::BTreeSet;

use crate::account::Simulated;

/// Every operation that caselock may ask AWS for. All of them read.
const READS: [&str; 27] = [
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetInsightSelectors",
    "cloudtrail:ListTrails",
    "cloudtrail:GetTrailStatus",
    "cloudtrail:ListPublicKeys",
    "cloudtrail:ListTags",
    "ec2:DescribeFlowLogs",
    "ec2:DescribeRegions",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumes",
    "s3:GetBucketAcl",
    "s3:GetBucketEncryption",
    "s3:GetBucketLifecycleConfiguration",
    "s3:GetBucketLocation",
    "s3:GetBucketLogging",
    "s3:GetBucketOwnershipControls",
    "s3:GetBucketPolicy",
    "s3:GetBucketReplication",
    "s3:GetBucketVersioning",
    "s3:GetObject",
    "s3:GetObjectLockConfiguration",
    "s3:GetPublicAccessBlock",
    "s3:HeadBucket",
    "s3:ListObjectsV2",
    "sts:GetCallerIdentity",
];

#[test]
fn every_request_only_reads() {
    let simulated = Simulated::incident();
    let [start, end] = simulated.window(10, 2);
    simulated.run(&["plan", "--start", &start, "--end", &end]).expect(0);
    assert!(simulated.requests("s3:GetObject").is_empty(), "a plan fetches nothing");
    simulated.collect("case", &[]).expect(0);
    let asked: BTreeSet<(String, String)> =
        simulated.server.requests().into_iter().map(|request| (request.action(), request.method)).collect();
    assert!(asked.len() > 15, "{asked:?}");
    for (action, method) in asked {
        assert!(READS.contains(&action.as_str()), "{action} is not among the reads");
        // The query and JSON protocols send every question by POST; S3 does not.
        assert!(method == "GET" || method == "HEAD" || !action.starts_with("s3:"), "{method} {action}");
    }
}
