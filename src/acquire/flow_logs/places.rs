//! Where files of flow logs lie, whatever EC2 says of flow logs today: one that was deleted, or made anew with another layout, left its
//! files where they were.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Halt, ListQuery};
use crate::case::event::GapReason;
use crate::case::gap::{self, FOLDERS, Subject};
use crate::model::{AccountId, Region};

use super::super::bucket::{self, LogBucket};
use super::super::cloudtrail;
use super::super::errand::{Errand, join_all};
use super::super::log_files::DayLayout;
use super::super::tally::RowKey;
use super::super::versions::{Seen, see};
use super::traces::Folder;
use super::{NAME, Place, sweep_place};

/// The folder of an account's flow logs, up to where its regions begin. `root` is where `AWSLogs/` lies.
pub(super) fn folder_of(root: &str, account: AccountId, layout: DayLayout) -> String {
    match layout {
        DayLayout::Plain => format!("{root}AWSLogs/{account}/vpcflowlogs/"),
        DayLayout::Hive => format!("{root}AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/"),
    }
}

/// What stands before a region's name in the name of its folder.
fn before_region(layout: DayLayout) -> &'static str {
    match layout {
        DayLayout::Plain => "",
        DayLayout::Hive => "aws-region=",
    }
}

/// The place of a region's flow logs.
pub(super) fn place_of(bucket: &str, folder: &str, region: &Region, layout: DayLayout) -> Place {
    let prefix = format!("{folder}{}{region}/", before_region(layout));
    Place { bucket: bucket.to_owned(), prefix, hive: layout == DayLayout::Hive, region: region.clone() }
}

/// Sweeps what lies beside the places that EC2 names, in the same bucket: in either layout, below the same folders or below none.
pub(super) async fn sweep_beside(
    errand: &Arc<Errand>,
    account: AccountId,
    bucket: &str,
    log_bucket: &LogBucket,
    places: &[Place],
) -> Result<(), Halt> {
    let roots = places.iter().filter_map(|place| place.prefix.get(..place.prefix.rfind("AWSLogs/")?));
    let roots: BTreeSet<&str> = roots.chain([""]).collect();
    let mut tasks = JoinSet::new();
    for root in roots {
        for layout in [DayLayout::Plain, DayLayout::Hive] {
            let prefix = folder_of(root, account, layout);
            let folder = Folder { log_bucket: log_bucket.clone(), bucket: bucket.to_owned(), prefix, account, layout };
            let errand = Arc::clone(errand);
            tasks.spawn(async move { sweep_folder(&errand, folder).await.map(drop) });
        }
    }
    join_all(&mut tasks).await
}

/// Sweeps the bucket that was named, where the source `cloudtrail` does not go through it: for the accounts of those who ask, and those
/// asked for by their numbers.
pub(super) async fn sweep_named(errand: &Arc<Errand>) -> Result<(), Halt> {
    let scope = &errand.request.scope;
    let Some(bucket) = scope.bucket.clone().filter(|_| !errand.asks_for(cloudtrail::NAME)) else { return Ok(()) };
    let root = match scope.prefix.as_deref().unwrap_or_default().trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let mut tasks = JoinSet::new();
    let asking = errand.caller().account;
    let Some(log_bucket) = bucket::describe(errand, &mut tasks, NAME, asking, &bucket).await? else { return Ok(()) };
    for account in errand.likely_accounts() {
        let (errand, bucket, root, log_bucket) = (Arc::clone(errand), bucket.clone(), root.clone(), log_bucket.clone());
        tasks.spawn(async move {
            let folder = |layout| {
                let prefix = folder_of(&root, account, layout);
                Folder { log_bucket: log_bucket.clone(), bucket: bucket.clone(), prefix, account, layout }
            };
            let plain = sweep_folder(&errand, folder(DayLayout::Plain)).await?;
            let hive = sweep_folder(&errand, folder(DayLayout::Hive)).await?;
            if (plain, hive) == (Some(0), Some(0)) {
                let row = RowKey { source: NAME, account: Some(account), region: None };
                let what = format!("flow logs under s3://{bucket}/{root}AWSLogs/");
                let detail = "the bucket has no folder of flow logs of this account there";
                errand.gap(&row, &what, GapReason::Empty, Some(detail)).await?;
            }
            Ok(())
        });
    }
    join_all(&mut tasks).await
}

/// Sweeps the places in a folder that nobody has been through, those included of which only deleted files are left. Says how many regions
/// the folder has, where it could be listed.
pub(super) async fn sweep_folder(errand: &Arc<Errand>, folder: Folder) -> Result<Option<usize>, Halt> {
    let Folder { log_bucket, bucket, prefix, account, layout } = folder;
    let row = RowKey { source: NAME, account: Some(account), region: None };
    let query = ListQuery {
        source: NAME,
        account,
        region: log_bucket.region.clone(),
        bucket: bucket.clone(),
        prefix: prefix.clone(),
        folders: true,
        start_after: None,
    };
    let is_region =
        |name: &str| name.strip_prefix(before_region(layout)).is_some_and(|region| region.parse::<Region>().is_ok());
    let Seen { now, ever } = see(errand, &log_bucket, &query, is_region).await?;
    let (mut names, mut is_listed) = (BTreeSet::new(), true);
    match now {
        Ok(level) => names.extend(level.folders),
        Err(failure) => {
            is_listed = false;
            errand.failed(&row, &Subject::Listing(gap::Place::new(&bucket, &prefix)), &failure).await?;
        }
    }
    match ever {
        Ok(folders) => names.extend(folders),
        Err(failure) => {
            is_listed = false;
            errand.failed(&row, &Subject::earlier_versions(FOLDERS, gap::Place::new(&bucket, &prefix)), &failure).await?;
        }
    }
    let found = is_listed.then_some(names.len());
    let mut tasks = JoinSet::new();
    let regions = names.iter().filter_map(|name| name.strip_prefix(before_region(layout))?.parse::<Region>().ok());
    for region in regions.filter(|region| errand.wants_region(region)) {
        let place = place_of(&bucket, &prefix, &region, layout);
        if errand.notes.claim(place.claim()) {
            let (errand, log_bucket) = (Arc::clone(errand), log_bucket.clone());
            tasks.spawn(async move { sweep_place(&errand, account, &log_bucket, place, false).await });
        }
    }
    join_all(&mut tasks).await?;
    Ok(found)
}
