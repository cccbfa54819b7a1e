//! What lies around a region's snapshots: volumes, images, foreign snapshots, locks, the recycle bin, and the region's settings.

use std::collections::BTreeSet;

use aws_sdk_ec2::operation::describe_images::DescribeImagesOutput;
use aws_sdk_ec2::operation::describe_snapshots::DescribeSnapshotsOutput;
use aws_sdk_ec2::operation::describe_volumes::DescribeVolumesOutput;

use crate::aws::{Call, Halt};
use crate::case::event::GapReason;
use crate::model::{AccountId, Region};

use super::super::errand::Errand;
use super::super::pages::every_page_or_gap;
use super::{NAME, PAGE, row};

/// Most results of one answer about fast restores.
const SMALL_PAGE: i32 = 200;

/// Keeps every page of one listing.
macro_rules! keep {
    ($errand:ident, $account:ident, $region:ident, $client:ident, $operation:literal, $method:ident, $page:expr
        $(, $set:ident: $value:expr, $name:literal)*) => {
        keep!($errand, $account, $region, $client, $operation, $method, $page $(, $set: $value, $name)*; |_| ())
    };
    ($errand:ident, $account:ident, $region:ident, $client:ident, $operation:literal, $method:ident, $page:expr
        $(, $set:ident: $value:expr, $name:literal)*; $take:expr) => {
        // In a place of its own: the futures of all the questions together would be large.
        Box::pin(async {
            let call = Call::new(NAME, "ec2", $operation, $account, $region).with("MaxResults", $page.to_string())
                $(.with($name, $value.to_string()))*;
            let send = |token, tap| {
                let asked = $client.$method().max_results($page) $(.$set($value))*;
                asked.set_next_token(token).customize().interceptor(tap).send()
            };
            every_page_or_gap($errand, &row($account, $region), &call, send, |output| output.next_token(), $take).await
        })
    };
}

/// Keeps one answer.
macro_rules! ask {
    ($errand:ident, $account:ident, $region:ident, $client:ident, $operation:literal, $method:ident) => {
        Box::pin(async {
            let call = Call::new(NAME, "ec2", $operation, $account, $region);
            let answer =
                $errand.recorder.call(&call, 1, |_| true, |tap| $client.$method().customize().interceptor(tap).send()).await?;
            if let Err(failure) = answer {
                $errand.failed(&row($account, $region), $operation, &failure).await?;
            }
            Ok::<_, Halt>(())
        })
    };
}

/// What the listings name that further questions are about.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// The account's own images.
    pub(super) images: BTreeSet<String>,
    /// The keys of its volumes.
    pub(super) keys: BTreeSet<String>,
}

/// Keeps everything about one region's disks but its own snapshots.
pub(super) async fn collect(errand: &Errand, account: AccountId, region: &Region) -> Result<Named, Halt> {
    let (mut keys, mut images) = (BTreeSet::new(), BTreeSet::new());
    let lineage = &errand.notes.lineage;
    let client = errand.session().ec2(region);
    // Side by side: what they ask is independent, and a far region is waited for once.
    tokio::try_join!(
        Box::pin(volumes(errand, account, region, &mut keys)),
        keep!(errand, account, region, client, "DescribeVolumesModifications", describe_volumes_modifications, 500),
        keep!(
            errand, account, region, client, "DescribeImages", describe_images, PAGE,
            owners: "self", "Owners",
            include_deprecated: true, "IncludeDeprecated",
            include_disabled: true, "IncludeDisabled";
            |output: &DescribeImagesOutput| {
                lineage.images(region, output.images());
                images.extend(output.images().iter().filter_map(|image| image.image_id().map(str::to_owned)));
            }
        ),
        // What others have shared with this account.
        keep!(
            errand, account, region, client, "DescribeSnapshots", describe_snapshots, PAGE,
            restorable_by_user_ids: "self", "RestorableByUserIds";
            |output: &DescribeSnapshotsOutput| lineage.restorable_snapshots(region, output.snapshots())
        ),
        keep!(errand, account, region, client, "DescribeSnapshotTierStatus", describe_snapshot_tier_status, PAGE),
        keep!(errand, account, region, client, "DescribeLockedSnapshots", describe_locked_snapshots, PAGE),
        keep!(errand, account, region, client, "ListSnapshotsInRecycleBin", list_snapshots_in_recycle_bin, PAGE),
        keep!(errand, account, region, client, "ListImagesInRecycleBin", list_images_in_recycle_bin, PAGE),
        keep!(errand, account, region, client, "ListVolumesInRecycleBin", list_volumes_in_recycle_bin, PAGE),
        keep!(errand, account, region, client, "DescribeFastSnapshotRestores", describe_fast_snapshot_restores, SMALL_PAGE),
        ask!(errand, account, region, client, "GetSnapshotBlockPublicAccessState", get_snapshot_block_public_access_state),
        ask!(errand, account, region, client, "GetEbsEncryptionByDefault", get_ebs_encryption_by_default),
        ask!(errand, account, region, client, "GetEbsDefaultKmsKeyId", get_ebs_default_kms_key_id),
    )?;
    Ok(Named { images, keys })
}

/// Keeps every page of `DescribeVolumes`, attachments included.
async fn volumes(errand: &Errand, account: AccountId, region: &Region, keys: &mut BTreeSet<String>) -> Result<(), Halt> {
    let row = row(account, region);
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeVolumes", account, region).with("MaxResults", PAGE.to_string());
    let mut count = 0;
    let whole = every_page_or_gap(
        errand,
        &row,
        &call,
        |token, tap| client.describe_volumes().max_results(PAGE).set_next_token(token).customize().interceptor(tap).send(),
        |output: &DescribeVolumesOutput| output.next_token(),
        |output| {
            count += output.volumes().len();
            keys.extend(output.volumes().iter().filter_map(|volume| volume.kms_key_id().map(str::to_owned)));
            errand.notes.lineage.volumes(region, output.volumes());
        },
    )
    .await?;
    if whole && count == 0 {
        errand.gap(&row, "volumes", GapReason::Empty, Some("the account has none in this region")).await?;
    }
    Ok(())
}
