use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::aws::{Halt, ListQuery, ListedObject, Wanted};
use crate::case::event::GapReason;
use crate::case::gap::{Place, Subject};
use crate::cloudtrail::names::digest_file;
use crate::model::{AccountId, Region, S3Location, Timestamp, printable};

use super::super::bucket::{self, LogBucket};
use super::super::errand::{Errand, OnBody, join_all};
use super::super::keys::{DayLayout, StampRange, day_folder, log_stamp};
use super::super::sweep::{Choose, Chosen, Sweep, sweep};
use super::super::tally::RowKey;
use super::super::versions::{InScope, sweep_versions};
use super::digests::{DigestRule, names_in};
use super::elsewhere::cut;
use super::folders::{DIGESTS, Folder, LOGS, discover};
use super::{NAME, ask_for_keys};

/// CloudTrail cuts a file every five minutes, so the file that holds the first event may be stamped that much earlier.
const BEFORE: i64 = 5 * 60;
/// How long after the window's end deliveries are waited for. Later ones are found through the digests that name them.
const SLACK: i64 = 2 * 3600;
/// How far ahead of the window day folders, and digests, are looked into.
const MARGIN: i64 = 15 * 60;
/// How far back the listing of digests starts, to find the predecessor of the first.
const DIGESTS_BEFORE: i64 = 26 * 3600;
/// Digests that a gap names one by one.
const NAMED: usize = 5;

/// A bucket and prefix to which trails deliver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Store {
    pub(super) bucket: String,
    /// Empty, or ending in `/`.
    pub(super) prefix: String,
}

impl Store {
    /// Whether a trail that delivers here could have put an object there.
    fn holds(&self, location: &S3Location) -> bool {
        location.bucket == self.bucket && location.key.starts_with(&format!("{}AWSLogs/", self.prefix))
    }

    /// What lies in its bucket below a prefix.
    pub(super) fn place(&self, prefix: &str) -> Place {
        Place::new(&self.bucket, prefix)
    }

    /// All of it.
    pub(super) fn root(&self) -> Place {
        self.place(&format!("{}AWSLogs/", self.prefix))
    }

    pub(super) fn new(bucket: String, prefix: Option<&str>) -> Self {
        let prefix = prefix.unwrap_or_default().trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { bucket, prefix }
    }
}

/// Sweeps a store: finds its accounts and regions by their folders, and fetches what the window asks for.
///
/// Which regions there are is never taken from what is enabled today: of each that has digests, the keys are asked for. `kinds` are the
/// folders that the asking account should have there.
pub(super) async fn sweep_store(errand: &Arc<Errand>, store: &Store, kinds: &[&str]) -> Result<(), Halt> {
    let owner = errand.caller().account;
    if !errand.notes.claim(format!("{NAME} in s3://{}/{}", store.bucket, store.prefix)) {
        return Ok(()); // another identity has been through it, and had the help of all
    }
    let mut tasks = JoinSet::new();
    let Some(log_bucket) = bucket::describe(errand, &mut tasks, NAME, owner, &store.bucket).await? else { return Ok(()) };
    errand.notes.elsewhere.sweeps(&store.bucket, &store.prefix);
    let (tell, mut folders) = mpsc::unbounded_channel();
    {
        let (errand, store, log_bucket) = (Arc::clone(errand), store.clone(), log_bucket.clone());
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        tasks.spawn(async move { Box::pin(discover(&errand, &store, &log_bucket, &kinds, tell)).await });
    }
    // Whoever has many accounts need not wait until the last of them has been looked into.
    while let Some(folder) = folders.recv().await {
        if folder.kind == DIGESTS {
            ask_for_keys(errand, &folder.region, &mut tasks);
        }
        let (errand, store, log_bucket) = (Arc::clone(errand), store.clone(), log_bucket.clone());
        tasks.spawn(async move {
            if folder.kind == DIGESTS {
                sweep_digests(&errand, &store, &log_bucket, &folder).await
            } else {
                sweep_logs(&errand, &store, &log_bucket, &folder).await
            }
        });
    }
    join_all(&mut tasks).await
}

pub(super) fn query(store: &Store, bucket_region: &Region, account: AccountId, prefix: String, folders: bool) -> ListQuery {
    let bucket = store.bucket.clone();
    ListQuery { source: NAME, account, region: bucket_region.clone(), bucket, prefix, folders, start_after: None }
}

fn log_range(errand: &Errand) -> StampRange {
    StampRange::around(errand.window(), BEFORE, SLACK, MARGIN)
}

async fn sweep_logs(errand: &Arc<Errand>, store: &Store, log_bucket: &LogBucket, folder: &Folder) -> Result<(), Halt> {
    let range = log_range(errand);
    let row = RowKey { source: NAME, account: Some(folder.account), region: Some(folder.region.clone()) };
    let mut query = query(store, &log_bucket.region, folder.account, folder.prefix.clone(), false);
    query.start_after = Some(format!("{}{}", folder.prefix, range.first_folder(DayLayout::Plain)));
    let listing = Sweep {
        row: row.clone(),
        query,
        stop_before: format!("{}{}", folder.prefix, range.folder_after(DayLayout::Plain)),
        rule: "day folders from 15 minutes before the window to 2 hours after it; of these, logs stamped from 5 minutes before the \
               window to 2 hours after it; and any other log that a collected digest names for events in the window"
            .to_owned(),
        what: format!("{} logs", folder.kind),
        on_body: None,
    };
    let mut rule =
        LogRule { account: folder.account, region: folder.region.clone(), kind: folder.kind.clone(), range, oldest: None };
    let swept = sweep(errand, &listing, &mut rule).await?;
    let mut oldest = rule.oldest;
    if swept.whole && swept.in_scope == 0 {
        let what = Subject::objects(&listing.what, store.place(&folder.prefix));
        errand.gap(&row, &what, GapReason::Empty, Some("the folder holds none that the window asks for")).await?;
    }
    if log_bucket.keeps_versions().await {
        let earlier: Arc<Mutex<Option<Timestamp>>> = Arc::default();
        let (folder, met) = (folder.clone(), Arc::clone(&earlier));
        let in_scope: InScope = Arc::new(move |key| {
            let name = key.rsplit('/').next().unwrap_or_default();
            let stamp = log_stamp(name, folder.account, &folder.kind, &folder.region).filter(|stamp| range.holds(*stamp));
            if let Some(stamp) = stamp {
                older(&mut met.lock().unwrap_or_else(PoisonError::into_inner), stamp);
            }
            stamp.is_some()
        });
        sweep_versions(errand, &listing, in_scope).await?;
        if let Some(stamp) = *earlier.lock().unwrap_or_else(PoisonError::into_inner) {
            older(&mut oldest, stamp);
        }
    }
    if let Some(oldest) = oldest {
        errand.notes.trails.sees_logs(store, folder.account, oldest);
    }
    Ok(())
}

/// Keeps the older of two stamps.
fn older(oldest: &mut Option<Timestamp>, stamp: Timestamp) {
    *oldest = Some(oldest.map_or(stamp, |known| known.min(stamp)));
}

/// Chooses logs by the stamp in their names.
struct LogRule {
    account: AccountId,
    region: Region,
    kind: String,
    range: StampRange,
    /// The oldest stamp of those chosen.
    oldest: Option<Timestamp>,
}

impl Choose for LogRule {
    fn choose(&mut self, object: ListedObject) -> Chosen {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() && object.size == 0 {
            return Chosen::InScope(Vec::new()); // the console's folder
        }
        match log_stamp(name, self.account, &self.kind, &self.region) {
            Some(stamp) if self.range.holds(stamp) => {
                older(&mut self.oldest, stamp);
                Chosen::InScope(vec![object])
            }
            Some(_) => Chosen::InScope(Vec::new()),
            None => Chosen::Stranger(object),
        }
    }
}

async fn sweep_digests(errand: &Arc<Errand>, store: &Store, log_bucket: &LogBucket, folder: &Folder) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(folder.account), region: Some(folder.region.clone()) };
    let anchor = errand.window().start().plus_seconds(-MARGIN);
    let mut query = query(store, &log_bucket.region, folder.account, folder.prefix.clone(), false);
    query.start_after = Some(format!("{}{}", folder.prefix, day_folder(anchor.plus_seconds(-DIGESTS_BEFORE))));
    let only = errand.request.scope.trail_arn.clone();
    let mut rule = DigestRule::new(folder.account, folder.region.clone(), anchor, only.clone());
    let named: Arc<Mutex<Named>> = Arc::default();
    let reading = Reading {
        errand: Arc::clone(errand),
        store: store.clone(),
        folder: folder.clone(),
        row: row.clone(),
        anchor,
        listed_after: query.start_after.clone().unwrap_or_default(),
    };
    let on_body = {
        let (named, unanchored) = (Arc::clone(&named), rule.unanchored());
        OnBody::of_all(move |key, body| {
            let first = unanchored.lock().unwrap_or_else(PoisonError::into_inner).contains(key);
            reading.take(key, body, first, &mut named.lock().unwrap_or_else(PoisonError::into_inner));
        })
    };
    let listing = Sweep {
        row: row.clone(),
        query,
        // Sorts after every year.
        stop_before: format!("{}~", folder.prefix),
        rule:
            "of each chain, from the predecessor of the first digest that ends later than 15 minutes before the window, to the \
               newest; the listing starts a day earlier"
                .to_owned(),
        what: "digests".to_owned(),
        on_body: Some(on_body),
    };
    let swept = sweep(errand, &listing, &mut rule).await?;
    if swept.whole && swept.in_scope == 0 {
        let what = Subject::objects(&listing.what, store.place(&folder.prefix));
        errand.gap(&row, &what, GapReason::Empty, Some("the folder holds none that the window asks for")).await?;
    }
    if log_bucket.keeps_versions().await {
        let folder = folder.clone();
        let in_scope: InScope = Arc::new(move |key| {
            let name = key.rsplit('/').next().unwrap_or_default();
            digest_file(name, folder.account, &folder.region).is_some_and(|digest| {
                only.as_ref().is_none_or(|arn| arn.name() == digest.trail && *arn.home_region() == digest.home_region)
            })
        });
        sweep_versions(errand, &listing, in_scope).await?;
    }
    let named = std::mem::take(&mut *named.lock().unwrap_or_else(PoisonError::into_inner));
    fetch_named(errand, store, log_bucket, folder, named).await
}

/// What digests name and no listing by stamps would bring.
#[derive(Debug, Default)]
struct Named {
    /// Logs with events in the window that were delivered long after it.
    late: BTreeSet<S3Location>,
    /// Digests to which the first listed ones link.
    anchors: BTreeSet<S3Location>,
    /// Digests that could not be read for what they name, in one version at least.
    unread: BTreeSet<String>,
    /// Digests that could.
    read: BTreeSet<String>,
}

/// Reads out of the digests of a folder where else to look.
struct Reading {
    errand: Arc<Errand>,
    store: Store,
    folder: Folder,
    row: RowKey,
    /// Up to here, what lies before says nothing about the window.
    anchor: Timestamp,
    /// What sorts before it was not listed.
    listed_after: String,
}

impl Reading {
    /// Takes a digest that was stored, or an earlier version of one; `first` says whether it is the first of its chain here.
    fn take(&self, key: &str, body: Option<&[u8]>, first: bool, named: &mut Named) {
        let digest = digest_file(key.rsplit('/').next().unwrap_or_default(), self.folder.account, &self.folder.region);
        let is_digest = digest.is_some();
        if let Some(digest) = digest {
            self.errand.notes.trails.sees_digest(&self.store, self.folder.account, digest);
        }
        let Some(names) = body.and_then(|body| names_in(body, self.errand.window())) else {
            if is_digest {
                named.unread.insert(key.to_owned());
            }
            return;
        };
        named.read.insert(key.to_owned());
        let elsewhere = &self.errand.notes.elsewhere;
        for log in names.logs {
            let location = S3Location::new(log.bucket, log.key);
            if !self.store.holds(&location) {
                let (_, below) = cut(&location.key);
                elsewhere.note(&self.row, &location, self.is_swept(below));
            } else if !location.key.strip_prefix(&self.store.prefix).is_some_and(|below| self.is_swept(below)) {
                named.late.insert(location);
            }
        }
        // The digest before one whose time begins ahead of the window has nothing of the window.
        let of_window = names.start.is_none_or(|start| start > self.anchor);
        match names.predecessor {
            Some(location) if self.store.holds(&location) => {
                // Of a recovered digest nobody knows whether it is the first, but what was not listed nobody else brings.
                let is_unlisted = of_window && location.key.as_str() <= self.listed_after.as_str();
                named.anchors.extend((first || is_unlisted).then_some(location));
            }
            // The digests in between lie there, as far as this one can tell.
            Some(location) if first || of_window => elsewhere.note(&self.row, &location, true),
            _ => {}
        }
    }

    /// Whether the sweep of the logs beside the folder takes a key anyway; it is given without its store's prefix.
    fn is_swept(&self, below: &str) -> bool {
        let (folder, range) = (&self.folder, log_range(&self.errand));
        let digests = folder.prefix.strip_prefix(&self.store.prefix);
        let beside = digests.and_then(|digests| digests.strip_suffix(&format!("{DIGESTS}/{}/", folder.region)));
        let Some((kind, below)) = beside.and_then(|beside| below.strip_prefix(beside)?.split_once('/')) else { return false };
        let Some(day) = below.strip_prefix(&format!("{}/", folder.region)) else { return false };
        let days = range.first_folder(DayLayout::Plain)..range.folder_after(DayLayout::Plain);
        let name = day.rsplit('/').next().unwrap_or_default();
        kind.starts_with(LOGS)
            && days.contains(&day.to_owned())
            && log_stamp(name, folder.account, kind, &folder.region).is_some_and(|stamp| range.holds(stamp))
    }
}

/// Fetches what digests name and the listings did not bring.
async fn fetch_named(
    errand: &Arc<Errand>,
    store: &Store,
    log_bucket: &LogBucket,
    folder: &Folder,
    named: Named,
) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(folder.account), region: Some(folder.region.clone()) };
    let mut tasks = JoinSet::new();
    let mut late = BTreeSet::new();
    // A predecessor may have expired long ago, which says nothing about the window; a log of the window must be there.
    let all = named.anchors.into_iter().map(|location| (location, true));
    for (location, optional) in all.chain(named.late.into_iter().map(|location| (location, false))) {
        if !optional {
            late.insert(location.key.clone());
        }
        let wanted = Wanted {
            source: NAME,
            account: Some(folder.account),
            region: Some(folder.region.clone()),
            location,
            size: None,
            etag: None,
            last_modified: None,
            version: None,
            optional,
        };
        errand.want(&mut tasks, &log_bucket.region, wanted, None).await?;
    }
    // One that was overwritten is as good as any version of it that can be read.
    let unread: Vec<&String> = named.unread.difference(&named.read).collect();
    if !unread.is_empty() {
        let names: Vec<String> = unread.iter().take(NAMED).map(|key| printable(key)).collect();
        let detail =
            format!("they are too large or cannot be read, so what they name was not looked for: {}", names.join(", "));
        let digests = u64::try_from(unread.len()).unwrap_or(u64::MAX);
        let what = Subject::LateLogs { digests, place: Place::new(&store.bucket, &folder.prefix) };
        errand.gap(&row, &what, GapReason::Failed, Some(&detail)).await?;
    }
    join_all(&mut tasks).await?;
    if log_bucket.keeps_versions().await {
        for key in late {
            versions_of_late_log(errand, store, log_bucket, &row, key).await?;
        }
    }
    Ok(())
}

/// Fetches the earlier versions of a log that no listing by stamps brings.
async fn versions_of_late_log(
    errand: &Arc<Errand>,
    store: &Store,
    log_bucket: &LogBucket,
    row: &RowKey,
    key: String,
) -> Result<(), Halt> {
    let account = row.account.unwrap_or(errand.caller().account);
    let listing = Sweep {
        row: row.clone(),
        query: query(store, &log_bucket.region, account, key.clone(), false),
        // The first key that sorts after it.
        stop_before: format!("{key}\0"),
        rule: "a log that a collected digest names for events in the window".to_owned(),
        what: "late logs".to_owned(),
        on_body: None,
    };
    let in_scope: InScope = Arc::new(move |listed| listed == key);
    sweep_versions(errand, &listing, in_scope).await
}
