//! What a log bucket says about itself: where it lies, who may read and change it, what becomes of old objects.

use std::sync::Arc;

use aws_sdk_s3::types::ServerSideEncryptionConfiguration;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::aws::{BucketRegion, Call, Failure, FailureKind, Halt, region_of_bucket};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{AccountId, Region};

use super::askers::{Asker, Door};
use super::errand::Errand;
use super::kms::describe_keys;
use super::tally::RowKey;

/// Asks one question about a bucket and keeps the answer. What is not configured is an answer, not a gap.
macro_rules! ask {
    ($errand:ident, $row:ident, $account:ident, $region:ident, $bucket:ident, $operation:literal, $method:ident) => {
        // In a place of its own: the futures of ten questions together would be large.
        Box::pin(async {
            let call = Call::new($row.source, "s3", $operation, $account, $region).with("Bucket", $bucket);
            let (call, door) = (&call, Door { act: $operation, bucket: $bucket, account: None });
            let asking = $errand.ask(door, |asker: Asker| async move {
                let client = asker.recorder.session().s3($region);
                let send = |tap| client.$method().bucket($bucket).customize().interceptor(tap).send();
                asker.recorder.call(call, 1, |_| true, send).await
            });
            let answer = asking.await?;
            if let Err(failure) = &answer
                && !is_not_configured(failure)
            {
                $errand.failed(&$row, &Subject::answer_about_bucket($operation, $bucket), failure).await?;
            }
            Ok::<_, Halt>(answer)
        })
    };
}

/// Whether S3 says in its own words that there is no such configuration: a status alone, anything on the way could give.
fn is_not_configured(failure: &Failure) -> bool {
    let is_named = failure.code.as_deref().is_some_and(|code| !matches!(code, "" | "NotFound"));
    is_named && matches!(failure.kind, FailureKind::NotFound | FailureKind::NotEnabled)
}

/// A bucket that there is.
#[derive(Clone, Debug)]
pub(crate) struct LogBucket {
    /// Where it lies.
    pub(crate) region: Region,
    /// Whether it keeps earlier versions, once that is known.
    keeps_versions: watch::Receiver<Option<bool>>,
}

impl LogBucket {
    /// Whether it keeps earlier versions, or may do so for all that is known.
    pub(crate) async fn keeps_versions(&self) -> bool {
        let mut answer = self.keeps_versions.clone();
        let known = match answer.wait_for(Option::is_some).await {
            Ok(known) => *known,
            Err(_) => None,
        };
        match known {
            Some(keeps) => keeps,
            // The question met what ends the run, and whoever asked it says so.
            None => std::future::pending().await,
        }
    }
}

/// Finds the region of a bucket, and keeps its configuration in one of `tasks`: nothing but earlier versions has to wait for it.
/// `None` when the bucket is gone, which is a gap by then.
///
/// What waits for [`LogBucket::keeps_versions`] has to be one of the same tasks, so that it ends with them.
pub(crate) async fn describe(
    errand: &Arc<Errand>,
    tasks: &mut JoinSet<Result<(), Halt>>,
    source: &'static str,
    account: AccountId,
    bucket: &str,
) -> Result<Option<LogBucket>, Halt> {
    let row = RowKey { source, account: Some(account), region: None };
    let region = match whereabouts(errand, source, account, bucket).await? {
        BucketRegion::Known(region) => region,
        BucketRegion::Inferred(region, mut failure) => {
            failure.message = format!("{}; HeadBucket told that it lies in {region}", failure.message);
            errand.failed(&row, &Subject::answer_about_bucket("GetBucketLocation", bucket), &failure).await?;
            region
        }
        BucketRegion::Gone(failure) => {
            let mut gap = super::errand::gap_of(&row, &Subject::Bucket(bucket.to_owned()), &failure);
            gap.reason = GapReason::Failed;
            gap.detail =
                Some("the bucket does not exist (any more), so nothing that was delivered to it can be collected".to_owned());
            errand.intake.gap(gap).await?;
            return Ok(None);
        }
        BucketRegion::Unknown(failure) => {
            errand.failed(&row, &Subject::answer_about_bucket("GetBucketLocation", bucket), &failure).await?;
            errand.session().region().clone()
        }
    };
    let (tell, keeps_versions) = watch::channel(None);
    let (errand, bucket, place) = (Arc::clone(errand), bucket.to_owned(), region.clone());
    tasks.spawn(async move { configuration(&errand, source, account, &bucket, &place, tell).await });
    Ok(Some(LogBucket { region, keeps_versions }))
}

/// Where a bucket lies, as whoever may ask says.
async fn whereabouts(errand: &Errand, source: &'static str, account: AccountId, bucket: &str) -> Result<BucketRegion, Halt> {
    let own = region_of_bucket(&errand.recorder, source, account, bucket).await?;
    let refused = match &own {
        BucketRegion::Inferred(_, failure) | BucketRegion::Unknown(failure) => failure.kind == FailureKind::Denied,
        BucketRegion::Known(_) | BucketRegion::Gone(_) => false,
    };
    let others = errand.notes.askers.all().iter().filter(|asker| asker.recorder.session().caller() != errand.caller());
    for other in others.filter(|_| refused) {
        let known = region_of_bucket(&other.recorder, source, account, bucket).await?;
        if matches!(known, BucketRegion::Known(_)) {
            return Ok(known);
        }
    }
    Ok(own)
}

/// Keeps everything that a bucket says about itself, and tells whether it keeps earlier versions.
async fn configuration(
    errand: &Arc<Errand>,
    source: &'static str,
    account: AccountId,
    bucket: &str,
    region: &Region,
    tell: watch::Sender<Option<bool>>,
) -> Result<(), Halt> {
    let row = RowKey { source, account: Some(account), region: Some(region.clone()) };
    // Side by side: what they ask is independent, and whoever is far from the bucket waits for each answer.
    let (versioning, encryption, ..) = tokio::try_join!(
        ask!(errand, row, account, region, bucket, "GetBucketVersioning", get_bucket_versioning),
        ask!(errand, row, account, region, bucket, "GetBucketEncryption", get_bucket_encryption),
        ask!(errand, row, account, region, bucket, "GetBucketPolicy", get_bucket_policy),
        ask!(errand, row, account, region, bucket, "GetBucketAcl", get_bucket_acl),
        ask!(errand, row, account, region, bucket, "GetPublicAccessBlock", get_public_access_block),
        ask!(errand, row, account, region, bucket, "GetBucketOwnershipControls", get_bucket_ownership_controls),
        ask!(errand, row, account, region, bucket, "GetBucketLogging", get_bucket_logging),
        ask!(errand, row, account, region, bucket, "GetBucketLifecycleConfiguration", get_bucket_lifecycle_configuration),
        ask!(errand, row, account, region, bucket, "GetBucketReplication", get_bucket_replication),
        ask!(errand, row, account, region, bucket, "GetObjectLockConfiguration", get_object_lock_configuration),
    )?;
    // Suspended versioning has a status too, and leaves the versions from before.
    tell.send_replace(Some(versioning.map_or(true, |answer| answer.status().is_some())));
    if let Ok(answer) = encryption {
        let rules = answer.server_side_encryption_configuration().map(ServerSideEncryptionConfiguration::rules);
        let defaults = rules.into_iter().flatten().filter_map(|rule| rule.apply_server_side_encryption_by_default());
        let keys = defaults.filter_map(|default| default.kms_master_key_id().map(str::to_owned)).collect();
        describe_keys(errand, source, region, keys).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_code_of_s3_s_own_says_that_something_is_not_configured() {
        let answer = |kind, code: Option<&str>| Failure { code: code.map(str::to_owned), ..Failure::found(kind, "") };
        assert!(is_not_configured(&answer(FailureKind::NotFound, Some("NoSuchBucketPolicy"))));
        assert!(is_not_configured(&answer(FailureKind::NotFound, Some("ReplicationConfigurationNotFoundError"))));
        for code in [None, Some(""), Some("NotFound")] {
            assert!(!is_not_configured(&answer(FailureKind::NotFound, code)), "{code:?}");
        }
        assert!(!is_not_configured(&answer(FailureKind::NotOfAws, None)));
        assert!(!is_not_configured(&answer(FailureKind::Denied, Some("AccessDenied"))));
    }
}
