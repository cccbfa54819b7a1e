//! The operations that an acquisition uses, and the IAM actions that permit them: nothing else is ever asked.

use serde_json::{Value, json};

/// One operation and what permits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Service and operation, as they are called.
    pub operation: &'static str,
    /// The IAM actions that it takes; none where every principal may call it.
    pub actions: &'static [&'static str],
    /// The sources that use it; none where all do.
    pub sources: &'static [&'static str],
}

const fn of(sources: &'static [&'static str], operation: &'static str, actions: &'static [&'static str]) -> Permission {
    Permission { operation, actions, sources }
}

const ALL: &[&str] = &[];
const TRAILS: &[&str] = &["cloudtrail"];
const FLOWS: &[&str] = &["flow-logs"];
const DISKS: &[&str] = &["ebs"];
const BUCKETS: &[&str] = &["cloudtrail", "flow-logs"];

/// Every operation there is.
pub const PERMISSIONS: [Permission; 53] = [
    // Every principal may ask who it is.
    of(ALL, "sts:GetCallerIdentity", &[]),
    // Both are for whoever becomes the reader, so the reader's own policy need not permit them.
    of(ALL, "sts:AssumeRole", &[]),
    of(ALL, "sts:GetSessionToken", &[]),
    of(ALL, "ec2:DescribeRegions", &["ec2:DescribeRegions"]),
    // Trails, log buckets, snapshots and volumes name keys.
    of(ALL, "kms:DescribeKey", &["kms:DescribeKey"]),
    of(ALL, "kms:GetKeyPolicy", &["kms:GetKeyPolicy"]),
    of(TRAILS, "cloudtrail:DescribeTrails", &["cloudtrail:DescribeTrails"]),
    of(TRAILS, "cloudtrail:ListTrails", &["cloudtrail:ListTrails"]),
    of(TRAILS, "cloudtrail:GetTrailStatus", &["cloudtrail:GetTrailStatus"]),
    of(TRAILS, "cloudtrail:GetEventSelectors", &["cloudtrail:GetEventSelectors"]),
    of(TRAILS, "cloudtrail:GetInsightSelectors", &["cloudtrail:GetInsightSelectors"]),
    of(TRAILS, "cloudtrail:ListTags", &["cloudtrail:ListTags"]),
    of(TRAILS, "cloudtrail:ListPublicKeys", &["cloudtrail:ListPublicKeys"]),
    of(TRAILS, "cloudtrail:LookupEvents", &["cloudtrail:LookupEvents"]),
    of(FLOWS, "ec2:DescribeFlowLogs", &["ec2:DescribeFlowLogs"]),
    of(FLOWS, "ec2:DescribeVpcs", &["ec2:DescribeVpcs"]),
    of(FLOWS, "ec2:DescribeSubnets", &["ec2:DescribeSubnets"]),
    of(FLOWS, "ec2:DescribeNetworkInterfaces", &["ec2:DescribeNetworkInterfaces"]),
    of(FLOWS, "ec2:DescribeInstances", &["ec2:DescribeInstances"]),
    of(FLOWS, "ec2:DescribeSecurityGroups", &["ec2:DescribeSecurityGroups"]),
    of(FLOWS, "ec2:DescribeNetworkAcls", &["ec2:DescribeNetworkAcls"]),
    of(FLOWS, "logs:DescribeLogGroups", &["logs:DescribeLogGroups"]),
    of(FLOWS, "logs:FilterLogEvents", &["logs:FilterLogEvents"]),
    of(DISKS, "ec2:DescribeSnapshots", &["ec2:DescribeSnapshots"]),
    of(DISKS, "ec2:DescribeSnapshotAttribute", &["ec2:DescribeSnapshotAttribute"]),
    of(DISKS, "ec2:DescribeSnapshotTierStatus", &["ec2:DescribeSnapshotTierStatus"]),
    of(DISKS, "ec2:DescribeLockedSnapshots", &["ec2:DescribeLockedSnapshots"]),
    of(DISKS, "ec2:DescribeFastSnapshotRestores", &["ec2:DescribeFastSnapshotRestores"]),
    of(DISKS, "ec2:DescribeVolumes", &["ec2:DescribeVolumes"]),
    of(DISKS, "ec2:DescribeVolumesModifications", &["ec2:DescribeVolumesModifications"]),
    of(DISKS, "ec2:DescribeImages", &["ec2:DescribeImages"]),
    of(DISKS, "ec2:DescribeImageAttribute", &["ec2:DescribeImageAttribute"]),
    of(DISKS, "ec2:ListSnapshotsInRecycleBin", &["ec2:ListSnapshotsInRecycleBin"]),
    of(DISKS, "ec2:ListImagesInRecycleBin", &["ec2:ListImagesInRecycleBin"]),
    of(DISKS, "ec2:ListVolumesInRecycleBin", &["ec2:ListVolumesInRecycleBin"]),
    of(DISKS, "ec2:GetSnapshotBlockPublicAccessState", &["ec2:GetSnapshotBlockPublicAccessState"]),
    of(DISKS, "ec2:GetEbsEncryptionByDefault", &["ec2:GetEbsEncryptionByDefault"]),
    of(DISKS, "ec2:GetEbsDefaultKmsKeyId", &["ec2:GetEbsDefaultKmsKeyId"]),
    of(BUCKETS, "s3:GetBucketLocation", &["s3:GetBucketLocation"]),
    of(BUCKETS, "s3:HeadBucket", &["s3:ListBucket"]),
    of(BUCKETS, "s3:ListObjectsV2", &["s3:ListBucket"]),
    of(BUCKETS, "s3:ListObjectVersions", &["s3:ListBucketVersions"]),
    // An object under a KMS key is readable only with that key.
    of(BUCKETS, "s3:GetObject", &["s3:GetObject", "s3:GetObjectVersion", "kms:Decrypt"]),
    of(BUCKETS, "s3:GetBucketVersioning", &["s3:GetBucketVersioning"]),
    of(BUCKETS, "s3:GetBucketPolicy", &["s3:GetBucketPolicy"]),
    of(BUCKETS, "s3:GetBucketAcl", &["s3:GetBucketAcl"]),
    of(BUCKETS, "s3:GetPublicAccessBlock", &["s3:GetBucketPublicAccessBlock"]),
    of(BUCKETS, "s3:GetBucketOwnershipControls", &["s3:GetBucketOwnershipControls"]),
    of(BUCKETS, "s3:GetBucketEncryption", &["s3:GetEncryptionConfiguration"]),
    of(BUCKETS, "s3:GetBucketLogging", &["s3:GetBucketLogging"]),
    of(BUCKETS, "s3:GetBucketLifecycleConfiguration", &["s3:GetLifecycleConfiguration"]),
    of(BUCKETS, "s3:GetBucketReplication", &["s3:GetReplicationConfiguration"]),
    of(BUCKETS, "s3:GetObjectLockConfiguration", &["s3:GetBucketObjectLockConfiguration"]),
];

/// The operations that these sources use; no source means all.
pub fn permissions_of(sources: &[String]) -> impl Iterator<Item = &'static Permission> {
    let wanted = |permission: &&Permission| {
        sources.is_empty()
            || permission.sources.is_empty()
            || permission.sources.iter().any(|source| sources.iter().any(|wanted| wanted == source))
    };
    PERMISSIONS.iter().filter(wanted)
}

/// The IAM policy that permits what these sources use, and nothing else.
///
/// Named buckets narrow what may be read of S3; without any, every bucket may be, since trails and flow logs name them only when asked.
#[must_use]
pub fn policy(sources: &[String], buckets: &[String]) -> Value {
    let actions = |wanted: &dyn Fn(&str) -> bool| -> Vec<&'static str> {
        let mut actions: Vec<&str> = permissions_of(sources)
            .flat_map(|permission| permission.actions)
            .copied()
            .filter(|action| wanted(action))
            .collect();
        actions.sort_unstable();
        actions.dedup();
        actions
    };
    let is_object = |action: &str| action.starts_with("s3:GetObject");
    let resources = |suffix: &str| -> Vec<String> {
        let all = ["*".to_owned()];
        let names = if buckets.is_empty() { &all[..] } else { buckets };
        names.iter().map(|name| format!("arn:*:s3:::{name}{suffix}")).collect()
    };
    let mut statements = Vec::new();
    let mut allow = |sid: &str, actions: Vec<&'static str>, resource: Value, condition: Option<Value>| {
        if actions.is_empty() {
            return;
        }
        let mut statement = json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource});
        if let (Some(condition), Some(fields)) = (condition, statement.as_object_mut()) {
            fields.insert("Condition".to_owned(), condition);
        }
        statements.push(statement);
    };
    let decrypts = |action: &str| action == "kms:Decrypt";
    let elsewhere = |action: &str| !action.starts_with("s3:") && !decrypts(action);
    allow("ReadConfigurationAndHistory", actions(&elsewhere), json!("*"), None);
    let of_bucket = |action: &str| action.starts_with("s3:") && !is_object(action);
    allow("ReadLogBuckets", actions(&of_bucket), json!(resources("")), None);
    allow("ReadLogObjects", actions(&is_object), json!(resources("/*")), None);
    // Only through S3, and so only for the objects that may be read.
    let through_s3 = json!({"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}});
    allow("DecryptLogObjects", actions(&decrypts), json!("*"), Some(through_s3));
    json!({"Version": "2012-10-17", "Statement": statements})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_reads() {
        for action in PERMISSIONS.iter().flat_map(|permission| permission.actions) {
            let (_, name) = action.split_once(':').unwrap();
            let reads = ["Get", "List", "Describe", "Lookup", "Filter", "Decrypt"];
            assert!(reads.iter().any(|verb| name.starts_with(verb)), "{action}");
        }
    }

    #[test]
    fn a_policy_for_one_source_permits_nothing_of_the_others() {
        let text = policy(&["ebs".to_owned()], &[]).to_string();
        assert!(text.contains("ec2:DescribeSnapshots") && text.contains("ec2:DescribeRegions"));
        assert!(!text.contains("s3:") && !text.contains("cloudtrail:") && !text.contains("kms:Decrypt"), "{text}");
    }

    #[test]
    fn named_buckets_are_the_only_ones_that_may_be_read() {
        let text = policy(&[], &["example-logs".to_owned()]).to_string();
        assert!(text.contains("arn:*:s3:::example-logs/*") && !text.contains("arn:*:s3:::*"), "{text}");
    }
}
