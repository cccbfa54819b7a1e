//! EBS: which snapshots and volumes there are, who may copy each snapshot, and what protects them.

mod inventory;
mod lineage;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_sdk_ec2::operation::describe_snapshots::DescribeSnapshotsOutput;
use aws_sdk_ec2::types::{ImageAttributeName, SnapshotAttributeName};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::aws::{Call, Halt};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{AccountId, Region, printable};

use super::Source;
use super::errand::{Errand, join_all};
use super::kms::describe_keys;
use super::pages::every_page_or_gap;
use super::tally::RowKey;
use super::unasked::say_not_asked;
pub(crate) use lineage::Lineage;

const NAME: &str = "ebs";
/// Questions about single snapshots at once, over all regions: EC2 throttles them hard.
const QUESTIONS: usize = 8;
const PAGE: i32 = 1000;

/// The source `ebs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ebs;

impl Source for Ebs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "EBS snapshots, who they are shared with, what protects them, and volumes and images"
    }

    fn gather(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(gather(errand))
    }

    fn conclude(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(async move { say_not_asked(&errand, NAME, "snapshots and volumes").await })
    }
}

async fn gather(errand: Arc<Errand>) -> Result<(), Halt> {
    let account = errand.caller().account;
    if !errand.wants_account(account) {
        let row = RowKey { source: NAME, account: Some(account), region: None };
        return errand.gap(&row, "snapshots and volumes", GapReason::Skipped, Some("the account was left out of scope")).await;
    }
    errand.notes.lineage.begin();
    let questions = Arc::new(Semaphore::new(QUESTIONS));
    let mut tasks = JoinSet::new();
    for region in errand.regions.clone() {
        let (errand, questions) = (Arc::clone(&errand), Arc::clone(&questions));
        tasks.spawn(async move {
            let permit = errand.survey().await?;
            let mut keys = BTreeSet::new();
            let (named, first) = tokio::try_join!(
                inventory::collect(&errand, account, &region),
                snapshots(&errand, account, &region, Listing::First, &mut keys),
            )?;
            drop(permit);
            keys.extend(named.keys);
            let images = named.images.into_iter().map(Shareable::Image);
            let asked = images.chain(first.iter().flatten().cloned().map(Shareable::Snapshot));
            tokio::try_join!(
                permissions(&errand, account, &region, asked, &questions),
                describe_keys(&errand, NAME, &region, keys),
            )?;
            let Some(first) = first else { return Ok(()) };
            repeat(&errand, account, &region, &first, &questions).await
        });
    }
    join_all(&mut tasks).await
}

fn row(account: AccountId, region: &Region) -> RowKey {
    RowKey { source: NAME, account: Some(account), region: Some(region.clone()) }
}

/// Which listing of the account's own snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listing {
    First,
    /// At the end.
    Repeated,
}

/// Keeps every page of `DescribeSnapshots`; gives the ids of the account's own snapshots, if the answer came whole.
async fn snapshots(
    errand: &Errand,
    account: AccountId,
    region: &Region,
    listing: Listing,
    keys: &mut BTreeSet<String>,
) -> Result<Option<BTreeSet<String>>, Halt> {
    let row = row(account, region);
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeSnapshots", account, region)
        .with("OwnerIds", "self")
        .with("MaxResults", PAGE.to_string());
    let mut ids = BTreeSet::new();
    let whole = every_page_or_gap(
        errand,
        &row,
        &call,
        |token, tap| {
            let asked = client.describe_snapshots().owner_ids("self").max_results(PAGE).set_next_token(token);
            asked.customize().interceptor(tap).send()
        },
        |output: &DescribeSnapshotsOutput| output.next_token(),
        |output| {
            let found = output.snapshots();
            ids.extend(found.iter().filter_map(|snapshot| snapshot.snapshot_id().map(str::to_owned)));
            keys.extend(found.iter().filter_map(|snapshot| snapshot.kms_key_id().map(str::to_owned)));
            errand.notes.lineage.snapshots(region, found);
        },
    )
    .await?;
    if whole && ids.is_empty() && listing == Listing::First {
        errand.gap(&row, "snapshots", GapReason::Empty, Some("the account owns none in this region")).await?;
    }
    // An answer may break off: of the snapshots that it did name, it is still asked who may copy them.
    Ok((whole || !ids.is_empty()).then_some(ids))
}

/// Lists the snapshots again, and tells what came and went meanwhile.
async fn repeat(
    errand: &Arc<Errand>,
    account: AccountId,
    region: &Region,
    first: &BTreeSet<String>,
    questions: &Arc<Semaphore>,
) -> Result<(), Halt> {
    if errand.is_plan() {
        return Ok(());
    }
    let mut keys = BTreeSet::new();
    let Some(now) = snapshots(errand, account, region, Listing::Repeated, &mut keys).await? else { return Ok(()) };
    let names = |ids: Vec<&String>| ids.into_iter().map(|id| printable(id)).collect::<Vec<_>>().join(", ");
    let (came, went): (Vec<&String>, Vec<&String>) = (now.difference(first).collect(), first.difference(&now).collect());
    if came.is_empty() && went.is_empty() {
        return Ok(());
    }
    let new: Vec<Shareable> = came.iter().map(|id| Shareable::Snapshot((*id).clone())).collect();
    let mut changes = Vec::new();
    if !came.is_empty() {
        changes.push(format!("appeared: {}", names(came)));
    }
    if !went.is_empty() {
        changes.push(format!("vanished: {}", names(went)));
    }
    let detail = format!("the listing at the end differs from the first; {}", changes.join("; "));
    errand.gap(&row(account, region), "snapshots", GapReason::ChangedDuringAcquisition, Some(&detail)).await?;
    describe_keys(errand, NAME, region, keys).await?;
    permissions(errand, account, region, new.into_iter(), questions).await
}

/// What can be shared with others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shareable {
    Snapshot(String),
    Image(String),
}

/// Asks of every snapshot who may make volumes of it, and of every image who may start it: who may read the disk.
async fn permissions(
    errand: &Arc<Errand>,
    account: AccountId,
    region: &Region,
    shared: impl Iterator<Item = Shareable>,
    questions: &Arc<Semaphore>,
) -> Result<(), Halt> {
    let mut tasks = JoinSet::new();
    for one in shared {
        while let Some(done) = tasks.try_join_next() {
            let done: Result<Result<(), Halt>, _> = done;
            done??;
        }
        let permit = Arc::clone(questions).acquire_owned().await.map_err(|_| Halt::Closed)?;
        let (errand, region) = (Arc::clone(errand), region.clone());
        tasks.spawn(async move {
            let asked = match one {
                Shareable::Snapshot(id) => snapshot_permission(&errand, account, &region, &id).await,
                Shareable::Image(id) => image_permission(&errand, account, &region, &id).await,
            };
            drop(permit);
            asked
        });
    }
    join_all(&mut tasks).await
}

async fn snapshot_permission(errand: &Errand, account: AccountId, region: &Region, id: &str) -> Result<(), Halt> {
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeSnapshotAttribute", account, region)
        .with("SnapshotId", id)
        .with("Attribute", "createVolumePermission");
    let answer = errand
        .recorder
        .call(
            &call,
            1,
            |_| true,
            |tap| {
                let asked = client.describe_snapshot_attribute().snapshot_id(id);
                asked.attribute(SnapshotAttributeName::CreateVolumePermission).customize().interceptor(tap).send()
            },
        )
        .await?;
    match answer {
        Ok(output) => errand.notes.lineage.snapshot_shared(region, id, output.create_volume_permissions()),
        Err(failure) => {
            let what = Subject::answer_about("createVolumePermission", id);
            errand.failed(&row(account, region), &what, &failure).await?;
        }
    }
    Ok(())
}

async fn image_permission(errand: &Errand, account: AccountId, region: &Region, id: &str) -> Result<(), Halt> {
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeImageAttribute", account, region)
        .with("ImageId", id)
        .with("Attribute", "launchPermission");
    let answer = errand
        .recorder
        .call(
            &call,
            1,
            |_| true,
            |tap| {
                let asked = client.describe_image_attribute().image_id(id);
                asked.attribute(ImageAttributeName::LaunchPermission).customize().interceptor(tap).send()
            },
        )
        .await?;
    match answer {
        Ok(output) => errand.notes.lineage.image_shared(region, id, output.launch_permissions()),
        Err(failure) => {
            let what = Subject::answer_about("launchPermission", id);
            errand.failed(&row(account, region), &what, &failure).await?;
        }
    }
    Ok(())
}
