//! EBS: which snapshots and volumes there are, and who may copy each snapshot.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_sdk_ec2::types::SnapshotAttributeName;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::aws::{Call, Failure, FailureKind, Halt};
use crate::case::event::GapReason;
use crate::model::{AccountId, Region, printable};

use super::Source;
use super::errand::{Errand, join_all};
use super::tally::RowKey;

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
        "EBS snapshots, who they are shared with, and volumes"
    }

    fn gather(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(gather(errand))
    }
}

async fn gather(errand: Arc<Errand>) -> Result<(), Halt> {
    let account = errand.caller().account;
    if !errand.wants_account(account) {
        let row = RowKey { source: NAME, account: Some(account), region: None };
        return errand.gap(&row, "snapshots and volumes", GapReason::Skipped, Some("the account was left out of scope")).await;
    }
    let questions = Arc::new(Semaphore::new(QUESTIONS));
    let mut tasks = JoinSet::new();
    for region in errand.regions.clone() {
        let (errand, questions) = (Arc::clone(&errand), Arc::clone(&questions));
        tasks.spawn(async move {
            let permit = errand.discovery().await?;
            volumes(&errand, account, &region).await?;
            let snapshots = snapshots(&errand, account, &region).await?;
            drop(permit);
            permissions(&errand, account, &region, snapshots, &questions).await
        });
    }
    join_all(&mut tasks).await
}

fn row(account: AccountId, region: &Region) -> RowKey {
    RowKey { source: NAME, account: Some(account), region: Some(region.clone()) }
}

fn repeated_token() -> Failure {
    Failure::found(FailureKind::Other, "the answer repeats itself: the same continuation token came twice")
}

/// Keeps every page of `DescribeSnapshots`; gives the ids of the account's own snapshots.
async fn snapshots(errand: &Errand, account: AccountId, region: &Region) -> Result<Vec<String>, Halt> {
    let row = row(account, region);
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeSnapshots", account, region)
        .with("OwnerIds", "self")
        .with("MaxResults", PAGE.to_string());
    let (mut ids, mut token, mut page) = (Vec::new(), None::<String>, 1);
    loop {
        let answer = errand
            .recorder
            .call(
                &call,
                page,
                |output: &aws_sdk_ec2::operation::describe_snapshots::DescribeSnapshotsOutput| {
                    output.next_token().is_none_or(str::is_empty)
                },
                |tap| {
                    let asked = client.describe_snapshots().owner_ids("self").max_results(PAGE);
                    asked.set_next_token(token.clone()).customize().interceptor(tap).send()
                },
            )
            .await?;
        let output = match answer {
            Ok(output) => output,
            Err(failure) => {
                errand.failed(&row, "DescribeSnapshots", &failure).await?;
                return Ok(ids);
            }
        };
        ids.extend(output.snapshots().iter().filter_map(|snapshot| snapshot.snapshot_id().map(str::to_owned)));
        let next = output.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            break;
        }
        if next == token {
            errand.failed(&row, "DescribeSnapshots", &repeated_token()).await?;
            break;
        }
        (token, page) = (next, page + 1);
    }
    if ids.is_empty() {
        errand.gap(&row, "snapshots", GapReason::Empty, Some("the account owns none in this region")).await?;
    }
    Ok(ids)
}

/// Keeps every page of `DescribeVolumes`.
async fn volumes(errand: &Errand, account: AccountId, region: &Region) -> Result<(), Halt> {
    let row = row(account, region);
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeVolumes", account, region).with("MaxResults", PAGE.to_string());
    let (mut count, mut token, mut page) = (0, None::<String>, 1);
    loop {
        let answer = errand
            .recorder
            .call(
                &call,
                page,
                |output: &aws_sdk_ec2::operation::describe_volumes::DescribeVolumesOutput| {
                    output.next_token().is_none_or(str::is_empty)
                },
                |tap| {
                    let asked = client.describe_volumes().max_results(PAGE).set_next_token(token.clone());
                    asked.customize().interceptor(tap).send()
                },
            )
            .await?;
        let output = match answer {
            Ok(output) => output,
            Err(failure) => return errand.failed(&row, "DescribeVolumes", &failure).await,
        };
        count += output.volumes().len();
        let next = output.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            break;
        }
        if next == token {
            return errand.failed(&row, "DescribeVolumes", &repeated_token()).await;
        }
        (token, page) = (next, page + 1);
    }
    if count == 0 {
        errand.gap(&row, "volumes", GapReason::Empty, Some("the account has none in this region")).await?;
    }
    Ok(())
}

/// Asks of every snapshot who may make volumes of it, which is who may read the disk.
async fn permissions(
    errand: &Arc<Errand>,
    account: AccountId,
    region: &Region,
    snapshots: Vec<String>,
    questions: &Arc<Semaphore>,
) -> Result<(), Halt> {
    let mut tasks = JoinSet::new();
    for id in snapshots {
        while let Some(done) = tasks.try_join_next() {
            let done: Result<Result<(), Halt>, _> = done;
            done.map_err(|_| Halt::TaskLost)??;
        }
        let permit = Arc::clone(questions).acquire_owned().await.map_err(|_| Halt::Closed)?;
        let (errand, region) = (Arc::clone(errand), region.clone());
        tasks.spawn(async move {
            let asked = permission(&errand, account, &region, &id).await;
            drop(permit);
            asked
        });
    }
    join_all(&mut tasks).await
}

async fn permission(errand: &Errand, account: AccountId, region: &Region, id: &str) -> Result<(), Halt> {
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
    if let Err(failure) = answer {
        let what = format!("createVolumePermission of {}", printable(id));
        errand.failed(&row(account, region), &what, &failure).await?;
    }
    Ok(())
}
