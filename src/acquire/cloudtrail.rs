//! CloudTrail: trails and their state, signing keys, and every log and digest that the window asks for.

mod digests;
mod folders;
mod history;
mod public_keys;
mod store;
mod trails;

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::Halt;
use crate::case::event::GapReason;
use crate::model::Region;

use super::Source;
use super::errand::{Errand, join_all};
use super::tally::RowKey;
#[cfg(test)]
pub(super) use history::DEFINING_EVENTS;
use store::Store;
use trails::Trail;

pub(super) const NAME: &str = "cloudtrail";

/// The source `cloudtrail`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloudTrail;

impl Source for CloudTrail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "trails, their state and signing keys, log files and digests"
    }

    fn gather(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(gather(errand))
    }
}

async fn gather(errand: Arc<Errand>) -> Result<(), Halt> {
    let trails = find_trails(&errand).await?;
    let mut questions = JoinSet::new();
    for trail in &trails {
        let (errand, trail) = (Arc::clone(&errand), trail.clone());
        questions.spawn(async move {
            let standing = trails::question(&errand, &trail).await?;
            Ok::<_, Halt>((trail, standing))
        });
    }
    let stores = stores(&errand, &trails);
    let mut regions: BTreeSet<Region> = errand.regions.iter().cloned().collect();
    let mut tasks = JoinSet::new();
    {
        // Paced by AWS's quota, so it goes on beside everything else.
        let errand = Arc::clone(&errand);
        tasks.spawn(async move {
            let mut standing = Vec::new();
            while let Some(done) = questions.join_next().await {
                standing.push(done.map_err(|_| Halt::TaskLost)??);
            }
            history::look_up(&errand, &standing).await
        });
    }
    for store in stores {
        regions.extend(store::sweep_store(&errand, &store).await?);
    }
    // Keys are asked for last: by then every region that has digests is known.
    for region in regions {
        let errand = Arc::clone(&errand);
        tasks.spawn(async move { public_keys::collect(&errand, &region).await });
    }
    join_all(&mut tasks).await
}

/// The trails in scope, and gaps where there are none.
async fn find_trails(errand: &Arc<Errand>) -> Result<Vec<Trail>, Halt> {
    let scope = &errand.request.scope;
    let mut found = trails::find(errand).await?;
    let account = errand.caller().account;
    let row = RowKey { source: NAME, account: Some(account), region: None };
    if let Some(arn) = &scope.trail_arn {
        let all = found.trails.len();
        found.trails.retain(|trail| trail.arn == *arn);
        let others = all - found.trails.len();
        if others > 0 {
            let detail = format!("only {arn} was asked for; {others} other trails were left out");
            errand.gap(&row, "other trails", GapReason::Skipped, Some(&detail)).await?;
        }
        if found.trails.is_empty() && scope.bucket.is_none() {
            let detail =
                "no region in scope knows this trail; name its bucket, and its prefix if it had one, to collect what it left";
            errand.gap(&row, &format!("trail {arn}"), GapReason::Failed, Some(detail)).await?;
        }
    } else if found.trails.is_empty() && !found.refused {
        let detail = "no region in scope has a trail, so CloudTrail delivers no logs of them to S3";
        errand.gap(&row, "trails", GapReason::NotEnabled, Some(detail)).await?;
    }
    Ok(found.trails)
}

/// Where logs may lie, each place once: trails may share a bucket and prefix.
fn stores(errand: &Errand, trails: &[Trail]) -> Vec<Store> {
    let scope = &errand.request.scope;
    let mut stores: Vec<Store> = Vec::new();
    let named = scope.bucket.clone().map(|bucket| Store::new(bucket, scope.prefix.as_deref()));
    // A bucket named by the user stands for itself: the trail that filled it may be gone.
    let of_trails = trails.iter().filter(|_| named.is_none());
    for store in of_trails.map(|trail| Store::new(trail.bucket.clone(), trail.prefix.as_deref())).chain(named.clone()) {
        if !stores.contains(&store) {
            stores.push(store);
        }
    }
    stores
}
