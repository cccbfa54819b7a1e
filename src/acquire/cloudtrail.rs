//! CloudTrail: trails and their state, signing keys, and every log and digest that the window asks for.

mod coverage;
mod digests;
mod elsewhere;
mod folders;
mod history;
mod homes;
mod public_keys;
mod store;
mod traces;
mod trails;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::aws::Halt;
use crate::case::event::GapReason;
use crate::model::Region;

use super::Source;
use super::errand::{Errand, join_all};
use super::tally::RowKey;
use super::unasked::say_not_asked;
pub(super) use elsewhere::Elsewhere;
pub use history::EVENTS_UNTIL_NOW;
#[cfg(test)]
pub(super) use history::defining_events;
pub(super) use homes::TrailHomes;
use store::Store;
pub(super) use traces::TrailTraces;
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

    fn conclude(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(async move {
            follow(&errand).await?;
            errand.notes.elsewhere.say(&errand).await?;
            errand.notes.trails.say(&errand).await?;
            errand.notes.homes.say(&errand).await?;
            say_which_accounts_are_missing(&errand).await?;
            say_not_asked(&errand, NAME, "event history").await
        })
    }
}

/// Gaps for the accounts that were asked for by their numbers, and of which no bucket has a folder.
async fn say_which_accounts_are_missing(errand: &Errand) -> Result<(), Halt> {
    for account in errand.request.scope.accounts.iter().filter(|account| !errand.notes.has_met(**account)) {
        let row = RowKey { source: NAME, account: Some(*account), region: None };
        let detail = "no bucket that could be looked into has a folder of this account: either nothing was ever delivered there, or it \
                      was removed";
        errand.gap(&row, "logs and digests of the account", GapReason::Empty, Some(detail)).await?;
    }
    Ok(())
}

/// Goes through the stores to which the event history says that trails delivered: it is AWS's own word, unlike that of a digest.
async fn follow(errand: &Arc<Errand>) -> Result<(), Halt> {
    let (told, beyond) = errand.notes.trails.stores(errand.window(), &errand.request.scope);
    let (mut stores, mut tasks) = (Stores::default(), JoinSet::new());
    for store in told {
        stores.sweep(errand, store, Vec::new(), &mut tasks);
    }
    if beyond > 0 {
        let row = RowKey { source: NAME, account: Some(errand.caller().account), region: None };
        let what = format!("logs and digests in {beyond} further places that trails were sent to");
        let detail = "the event history names more than are gone through; whoever can change a trail can name any";
        errand.gap(&row, &what, GapReason::Failed, Some(detail)).await?;
    }
    join_all(&mut tasks).await
}

/// Stores that are gone through at once.
const STORES: usize = 4;

async fn gather(errand: Arc<Errand>) -> Result<(), Halt> {
    let (mut stores, mut tasks) = (Stores::default(), JoinSet::new());
    let (tell, standing) = watch::channel(None);
    {
        // Paced by AWS's quota, so it begins before anything else is known, and goes on beside it.
        let errand = Arc::clone(&errand);
        tasks.spawn(async move { history::look_up(&errand, standing).await });
    }
    for region in &errand.regions {
        ask_for_keys(&errand, region, &mut tasks);
    }
    for region in &errand.regions_left_out {
        ask_about_trails(&errand, region, &mut tasks);
    }
    if let Some(bucket) = errand.request.scope.bucket.clone() {
        // A bucket that the user named needs no trail: the one that filled it may be gone. The buckets of trails come besides.
        let store = Store::new(bucket, errand.request.scope.prefix.as_deref());
        stores.sweep(&errand, store, Vec::new(), &mut tasks);
    }
    let (found, mut trails) = mpsc::unbounded_channel();
    let mut finding = JoinSet::new();
    {
        let errand = Arc::clone(&errand);
        finding.spawn(async move { find_trails(&errand, &found).await });
    }
    let mut questions = JoinSet::new();
    // One region may be far away, so a trail that another region has named is looked into at once.
    while let Some(trail) = trails.recv().await {
        let store = Store::of(&trail);
        stores.sweep(&errand, store, trail.kinds_of(errand.caller().account), &mut tasks);
        // Another account's history tells what is done to its trails.
        if trail.arn.account() == errand.caller().account {
            ask_about_trails(&errand, trail.arn.home_region(), &mut tasks);
        }
        let errand = Arc::clone(&errand);
        questions.spawn(async move {
            let standing = trails::question(&errand, &trail).await?;
            Ok::<_, Halt>((trail, standing))
        });
    }
    join_all(&mut finding).await?;
    tasks.spawn(async move {
        let mut standings = Vec::new();
        while let Some(done) = questions.join_next().await {
            standings.push(done??);
        }
        tell.send_replace(Some(Arc::new(standings)));
        Ok(())
    });
    join_all(&mut tasks).await
}

/// Asks a region for its public keys, if this identity has not yet.
fn ask_for_keys(errand: &Arc<Errand>, region: &Region, tasks: &mut JoinSet<Result<(), Halt>>) {
    if errand.notes.claim(format!("public keys of {region} as {}", errand.caller().account)) {
        let (errand, region) = (Arc::clone(errand), region.clone());
        tasks.spawn(async move { public_keys::collect(&errand, &region).await });
    }
}

/// Asks a region that was left out of scope what was done to the trails at home there, which may record those in scope, if this identity has
/// not yet: a trail is changed and deleted at home, and remembered nowhere else.
fn ask_about_trails(errand: &Arc<Errand>, region: &Region, tasks: &mut JoinSet<Result<(), Halt>>) {
    let (scope, account) = (&errand.request.scope, errand.caller().account);
    let is_wanted = scope.trail_arn.as_ref().is_none_or(|arn| arn.home_region() == region) && errand.wants_account(account);
    if is_wanted && !errand.regions.contains(region) && errand.notes.claim(format!("trails of {region} as {account}")) {
        let (errand, region) = (Arc::clone(errand), region.clone());
        tasks.spawn(async move { history::look_up_trails(&errand, region).await });
    }
}

/// Where logs may lie, each place once: trails may share a bucket and prefix.
#[derive(Debug)]
struct Stores {
    known: Vec<Store>,
    turns: Arc<Semaphore>,
}

impl Default for Stores {
    fn default() -> Self {
        Self { known: Vec::new(), turns: Arc::new(Semaphore::new(STORES)) }
    }
}

impl Stores {
    /// Goes through a store, unless somebody does already. `kinds` are the folders that the asking account should have in it.
    fn sweep(&mut self, errand: &Arc<Errand>, store: Store, kinds: Vec<&'static str>, tasks: &mut JoinSet<Result<(), Halt>>) {
        if self.known.contains(&store) {
            return;
        }
        self.known.push(store.clone());
        let (errand, turns) = (Arc::clone(errand), Arc::clone(&self.turns));
        tasks.spawn(async move {
            let _turn = turns.acquire().await.map_err(|_| Halt::Closed)?;
            store::sweep_store(errand, store, kinds).await
        });
    }
}

/// Finds the trails in scope and tells of each as soon as a region names it; gaps where there are none.
async fn find_trails(errand: &Arc<Errand>, tell: &mpsc::UnboundedSender<Trail>) -> Result<(), Halt> {
    let scope = &errand.request.scope;
    let mut chosen = 0;
    let found = trails::find(errand, |trail| {
        errand.notes.trails.describes(&trail.arn, &Store::of(&trail));
        if scope.trail_arn.as_ref().is_none_or(|arn| trail.arn == *arn) {
            chosen += 1;
            // Whoever does not listen any more has met what ends the run.
            let _ended = tell.send(trail);
        }
    });
    let found = found.await?;
    let account = errand.caller().account;
    let row = RowKey { source: NAME, account: Some(account), region: None };
    if let Some(arn) = &scope.trail_arn {
        let others = found.trails - chosen;
        if others > 0 {
            let detail = format!("only {arn} was asked for; {others} other trails were left out");
            errand.gap(&row, "other trails", GapReason::Skipped, Some(&detail)).await?;
        }
        if chosen == 0 && scope.bucket.is_none() {
            let detail = "no region in scope knows this trail; collect what it left in a case of its own, with its bucket named, and its prefix if it had one";
            errand.gap(&row, &format!("trail {arn}"), GapReason::Failed, Some(detail)).await?;
        }
    } else if found.trails == 0 && !found.refused {
        let detail = "no region in scope has a trail now, so CloudTrail delivers no logs of them to S3";
        errand.gap(&row, "trails", GapReason::NotEnabled, Some(detail)).await?;
    }
    Ok(())
}
