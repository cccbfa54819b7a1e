//! One store gone through: logs by the stamps in their names, digests chain by chain, then what the digests name and no listing brought.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::aws::{Halt, ListQuery, ListedObject, Wanted};
use crate::case::event::{GapReason, Listing};
use crate::case::gap::{Place, Subject};
use crate::cloudtrail::coverage::{STAMPED_AFTER, STAMPED_BEFORE};
use crate::cloudtrail::names::{DigestFile, digest_file};
use crate::model::{AccountId, S3Location, Timestamp, printable};

use super::super::bucket::{self, LogBucket};
use super::super::errand::{Absent, Errand, join_all};
use super::super::log_files::{DayLayout, StampRange, day_folder, file_name, log_stamp};
use super::super::on_body::OnBody;
use super::super::shared::Shared;
use super::super::sweep::{Choose, Chosen, Sweep, sweep};
use super::super::tally::RowKey;
use super::super::versions::sweep_versions;
use super::digests::{DigestRule, names_in};
use super::elsewhere::cut;
use super::folders::{DIGESTS, Folder, LOGS, discover};
use super::trails::Trail;
use super::{NAME, ask_for_keys};

/// How far ahead of the window day folders, and digests, are looked into.
const MARGIN: i64 = 15 * 60;
/// How far back the listing of digests starts, to find the predecessor of the first.
const DIGESTS_BEFORE: i64 = 26 * 3600;
/// Logs that the digests of one folder name, and that are looked for though no listing brought them. AWS names as many of a region where it
/// could not deliver for days; whoever may write there can name any number.
const LATE: usize = 10_000;
/// Whose versions are listed at once.
const LISTED_AT_ONCE: usize = 16;
/// Longest key that S3 has.
const LONGEST_KEY: usize = 1_024;
/// Digests, or logs, that a gap names one by one.
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

    /// The one to which a trail delivers.
    pub(super) fn of(trail: &Trail) -> Self {
        Self::new(trail.bucket.clone(), trail.prefix.as_deref())
    }

    pub(super) fn new(bucket: String, prefix: Option<&str>) -> Self {
        let prefix = prefix.unwrap_or_default().trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { bucket, prefix }
    }
}

/// A store that is gone through, and as whom.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) errand: Arc<Errand>,
    pub(super) store: Store,
    pub(super) log_bucket: LogBucket,
}

impl Visit {
    /// What to list below a prefix: its folders, or all objects.
    pub(super) fn query(&self, account: AccountId, prefix: String, folders: bool) -> ListQuery {
        let (region, bucket) = (self.log_bucket.region.clone(), self.store.bucket.clone());
        ListQuery { source: NAME, account, region, bucket, prefix, folders, start_after: None }
    }
}

/// Sweeps a store: finds its accounts and regions by their folders, and fetches what the window asks for.
///
/// Which regions there are is never taken from what is enabled today: of each that has digests, the keys are asked for. `kinds` are the
/// folders that the asking account should have there.
pub(super) async fn sweep_store(errand: Arc<Errand>, store: Store, kinds: Vec<&'static str>) -> Result<(), Halt> {
    if !errand.notes.claim(format!("{NAME} in s3://{}/{}", store.bucket, store.prefix)) {
        return Ok(()); // another identity has been through it, and had the help of all
    }
    let (owner, mut tasks) = (errand.caller().account, JoinSet::new());
    let Some(log_bucket) = bucket::describe(&errand, &mut tasks, NAME, owner, &store.bucket).await? else {
        errand.notes.homes.cannot_reach(&store);
        return Ok(());
    };
    errand.notes.elsewhere.sweeps(&store.bucket, &store.prefix);
    let visit = Arc::new(Visit { errand, store, log_bucket });
    let (tell, mut folders) = mpsc::unbounded_channel();
    tasks.spawn(Box::pin(discover(Arc::clone(&visit), kinds, tell)));
    // Whoever has many accounts need not wait until the last of them has been looked into.
    while let Some(folder) = folders.recv().await {
        let row = RowKey { source: NAME, account: Some(folder.account), region: Some(folder.region.clone()) };
        let inside = Inside { visit: Arc::clone(&visit), folder, row };
        if inside.folder.kind == DIGESTS {
            ask_for_keys(&visit.errand, &inside.folder.region, &mut tasks);
            // It is a large future, which would be copied into the task.
            tasks.spawn(async move { Box::pin(inside.sweep_digests()).await });
        } else {
            tasks.spawn(async move { inside.sweep_logs().await });
        }
    }
    join_all(&mut tasks).await
}

fn log_range(errand: &Errand) -> StampRange {
    StampRange::around(errand.window(), STAMPED_BEFORE, STAMPED_AFTER, MARGIN)
}

/// A folder that is gone through.
#[derive(Clone, Debug)]
struct Inside {
    visit: Arc<Visit>,
    folder: Folder,
    row: RowKey,
}

impl Inside {
    /// A listing of what sorts behind one place in the folder, and before another.
    fn listing(&self, behind: &str, before: &str, rule: &str, what: String) -> Sweep {
        let prefix = &self.folder.prefix;
        let query = self.visit.query(self.folder.account, prefix.clone(), false);
        let query = ListQuery { start_after: Some(format!("{prefix}{behind}")), ..query };
        Sweep {
            row: self.row.clone(),
            query,
            stop_before: format!("{prefix}{before}"),
            rule: rule.to_owned(),
            what,
            on_body: None,
        }
    }

    /// Fetches what a rule chooses of what is there, and says where that is nothing.
    async fn sweep(&self, listing: &Sweep, rule: &mut dyn Choose) -> Result<(), Halt> {
        let swept = sweep(&self.visit.errand, listing, rule).await?;
        if swept.whole && swept.in_scope == 0 {
            let what = Subject::objects(&listing.what, self.visit.store.place(&self.folder.prefix));
            let detail = "the folder holds none that the window asks for";
            self.visit.errand.gap(&self.row, &what, GapReason::Empty, Some(detail)).await?;
        }
        Ok(())
    }

    /// Fetches the earlier versions of such keys, where the bucket keeps any.
    async fn sweep_earlier(
        &self,
        listing: &Sweep,
        in_scope: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Result<(), Halt> {
        if self.visit.log_bucket.keeps_versions().await {
            sweep_versions(&self.visit.errand, listing, Arc::new(in_scope)).await?;
        }
        Ok(())
    }

    async fn sweep_logs(&self) -> Result<(), Halt> {
        let range = log_range(&self.visit.errand);
        let listing = self.listing(
            &range.first_folder(DayLayout::Plain),
            &range.folder_after(DayLayout::Plain),
            &Listing::rule_for_days(
                "from 15 minutes before the window to 2 hours after it; of these, logs stamped from 5 minutes before the window to 2 hours \
                 after it; and any other log that a collected digest names for events in the window",
            ),
            format!("{} logs", self.folder.kind),
        );
        let rule = LogRule { folder: self.folder.clone(), range, oldest: Arc::default() };
        self.sweep(&listing, &mut rule.clone()).await?;
        let oldest = Arc::clone(&rule.oldest);
        self.sweep_earlier(&listing, move |key| rule.is_of_window(key) == Some(true)).await?;
        if let Some(oldest) = oldest.take() {
            self.visit.errand.notes.trails.sees_logs(&self.visit.store, self.folder.account, oldest);
        }
        Ok(())
    }

    async fn sweep_digests(&self) -> Result<(), Halt> {
        let (errand, folder) = (&self.visit.errand, &self.folder);
        let anchor = errand.window().start().plus_seconds(-MARGIN);
        let listing = self.listing(
            &day_folder(anchor.plus_seconds(-DIGESTS_BEFORE)),
            // Sorts after every year.
            "~",
            "of each chain, from the predecessor of the first digest that ends later than 15 minutes before the window, to the \
             newest; the listing starts a day earlier",
            "digests".to_owned(),
        );
        let only = errand.request.scope.trail_arn.clone();
        let mut rule = DigestRule::new(folder.account, folder.region.clone(), anchor, only.clone());
        let named: Arc<Shared<Named>> = Arc::default();
        let on_body = {
            let listed_after = listing.query.start_after.clone().unwrap_or_default();
            let reading = Reading { inside: self.clone(), anchor, listed_after };
            let (named, unanchored) = (Arc::clone(&named), rule.unanchored());
            OnBody::of_all(move |key, body| {
                let first = unanchored.lock().contains(key);
                reading.take(key, body, first, &mut named.lock());
            })
        };
        let listing = Sweep { on_body: Some(on_body), ..listing };
        self.sweep(&listing, &mut rule).await?;
        let folder = folder.clone();
        let is_wanted = move |digest: DigestFile| {
            only.as_ref().is_none_or(|arn| arn.name() == digest.trail && *arn.home_region() == digest.home_region)
        };
        self.sweep_earlier(&listing, move |key| {
            digest_file(file_name(key), folder.account, &folder.region).is_some_and(&is_wanted)
        })
        .await?;
        self.fetch_named(named.take()).await
    }

    /// Fetches what digests name and the listings did not bring.
    async fn fetch_named(&self, named: Named) -> Result<(), Halt> {
        let Visit { errand, store, log_bucket } = &*self.visit;
        let mut tasks = JoinSet::new();
        for location in named.anchors {
            // It may have expired long ago, which says nothing about the window.
            let wanted = Wanted { optional: true, ..self.row.wanted(location) };
            errand.want(&mut tasks, &log_bucket.region, wanted, None).await?;
        }
        let absent = Absent::default();
        for key in &named.late {
            let wanted = self.row.wanted(S3Location::new(&store.bucket, key));
            errand.want_if_there(&mut tasks, &log_bucket.region, wanted, &absent).await?;
        }
        // One that was overwritten is as good as any version of it that can be read.
        let unread: Vec<&String> = named.unread.difference(&named.read).collect();
        if !unread.is_empty() {
            let names: Vec<String> = unread.iter().take(NAMED).map(|key| printable(key)).collect();
            let detail =
                format!("they are too large or cannot be read, so what they name was not looked for: {}", names.join(", "));
            let digests = u64::try_from(unread.len()).unwrap_or(u64::MAX);
            let what = Subject::LateLogs { digests, place: store.place(&self.folder.prefix) };
            errand.gap(&self.row, &what, GapReason::Failed, Some(&detail)).await?;
        }
        join_all(&mut tasks).await?;
        self.sweep_versions_of(named.late, &absent).await?;
        self.say_what_is_named(named.beyond, &absent.take()).await
    }

    /// Fetches the earlier versions of logs, of which no listing by stamps brings any; those that have some are not absent.
    async fn sweep_versions_of(&self, keys: BTreeSet<String>, absent: &Absent) -> Result<(), Halt> {
        let mut listings = JoinSet::new();
        for key in keys {
            if listings.len() >= LISTED_AT_ONCE
                && let Some(done) = listings.join_next().await
            {
                done??;
            }
            let (inside, absent) = (self.clone(), Arc::clone(absent));
            listings.spawn(async move {
                let listing = Sweep {
                    row: inside.row.clone(),
                    query: inside.visit.query(inside.folder.account, key.clone(), false),
                    // The first key that sorts after it.
                    stop_before: format!("{key}\0"),
                    rule: "a log that a collected digest names for events in the window".to_owned(),
                    what: "late logs".to_owned(),
                    on_body: None,
                };
                let is_it = move |listed: &str| {
                    absent.lock().remove(listed);
                    listed == key
                };
                inside.sweep_earlier(&listing, is_it).await
            });
        }
        join_all(&mut listings).await
    }

    /// Gaps for the logs that digests name and that are not there, or were too many to be looked for. Until a digest is proven, what it names is
    /// only said to be missing: one gap for them all, which is closed when nobody names them any more.
    async fn say_what_is_named(&self, beyond: bool, absent: &BTreeSet<String>) -> Result<(), Halt> {
        let place = self.visit.store.place(&self.folder.prefix);
        if let Some(first) = absent.first() {
            let detail = format!("{} logs with events of the window, such as {}", absent.len(), printable(first));
            let what = Subject::NamedLogs { absent: true, place: place.clone() };
            self.visit.errand.gap(&self.row, &what, GapReason::Failed, Some(&detail)).await?;
        }
        if beyond {
            let detail = format!("{LATE} were looked for; whoever can write digests can name any number");
            let what = Subject::NamedLogs { absent: false, place };
            self.visit.errand.gap(&self.row, &what, GapReason::Failed, Some(&detail)).await?;
        }
        Ok(())
    }
}

/// Chooses logs by the stamp in their names.
#[derive(Clone)]
struct LogRule {
    folder: Folder,
    range: StampRange,
    /// The oldest stamp of those chosen.
    oldest: Arc<Shared<Option<Timestamp>>>,
}

impl LogRule {
    /// Whether a log is one that the window asks for; nothing where its name is not one of AWS's.
    fn is_of_window(&self, key: &str) -> Option<bool> {
        let stamp = log_stamp(file_name(key), self.folder.account, &self.folder.kind, &self.folder.region)?;
        let holds = self.range.holds(stamp);
        if holds {
            let mut oldest = self.oldest.lock();
            *oldest = Some(oldest.map_or(stamp, |known| known.min(stamp)));
        }
        Some(holds)
    }
}

impl Choose for LogRule {
    fn choose(&mut self, object: ListedObject) -> Chosen {
        Chosen::by_name(object, |key| self.is_of_window(key))
    }
}

/// What digests name and no listing by stamps would bring.
#[derive(Debug, Default)]
struct Named {
    /// The keys of logs with events in the window that were delivered long after it.
    late: BTreeSet<String>,
    /// Whether there are more of them.
    beyond: bool,
    /// Digests to which the first listed ones link.
    anchors: BTreeSet<S3Location>,
    /// Digests that could not be read for what they name, in one version at least.
    unread: BTreeSet<String>,
    /// Digests that could.
    read: BTreeSet<String>,
}

impl Named {
    /// Takes a log, as long as there are not too many.
    fn name(&mut self, key: String) {
        // S3 has no key that is longer.
        if key.len() <= LONGEST_KEY && (self.late.len() < LATE || self.late.contains(&key)) {
            self.late.insert(key);
        } else {
            self.beyond = true;
        }
    }
}

/// Reads out of the digests of a folder where else to look.
struct Reading {
    inside: Inside,
    /// Up to here, what lies before says nothing about the window.
    anchor: Timestamp,
    /// What sorts before it was not listed.
    listed_after: String,
}

impl Reading {
    /// Takes a digest that was stored, or an earlier version of one; `first` says whether it is the first of its chain here.
    fn take(&self, key: &str, body: Option<&[u8]>, first: bool, named: &mut Named) {
        let Inside { visit, folder, row } = &self.inside;
        let (errand, store) = (&visit.errand, &visit.store);
        let digest = digest_file(file_name(key), folder.account, &folder.region);
        let is_digest = digest.is_some();
        if let Some(digest) = digest {
            errand.notes.trails.sees_digest(store, folder.account, digest);
        }
        let elsewhere = &errand.notes.elsewhere;
        let mut take_log = |location: S3Location| {
            if !store.holds(&location) {
                let (_, below) = cut(&location.key);
                elsewhere.note(row, &location, self.is_swept(below));
            } else if !location.key.strip_prefix(&store.prefix).is_some_and(|below| self.is_swept(below)) {
                named.name(location.key);
            }
        };
        let Some(names) = body.and_then(|body| names_in(body, errand.window(), &mut take_log)) else {
            if is_digest {
                named.unread.insert(key.to_owned());
            }
            return;
        };
        named.read.insert(key.to_owned());
        // If a digest's time begins ahead of the window, the digest before it has nothing of the window.
        let of_window = names.start.is_none_or(|start| start > self.anchor);
        match names.predecessor {
            Some(location) if store.holds(&location) => {
                // Nobody knows whether a recovered digest is the first, but nothing else brings a digest that was not listed.
                let is_unlisted = of_window && location.key.as_str() <= self.listed_after.as_str();
                named.anchors.extend((first || is_unlisted).then_some(location));
            }
            // As far as this digest can tell, those in between lie there.
            Some(location) if first || of_window => elsewhere.note(row, &location, true),
            _ => {}
        }
    }

    /// Whether the sweep of the logs beside the folder takes a key anyway; it is given without its store's prefix.
    fn is_swept(&self, below: &str) -> bool {
        let Inside { visit, folder, .. } = &self.inside;
        let range = log_range(&visit.errand);
        let digests = folder.prefix.strip_prefix(&visit.store.prefix);
        let beside = digests.and_then(|digests| digests.strip_suffix(&format!("{DIGESTS}/{}/", folder.region)));
        let Some((kind, below)) = beside.and_then(|beside| below.strip_prefix(beside)?.split_once('/')) else { return false };
        let Some(day) = below.strip_prefix(&format!("{}/", folder.region)) else { return false };
        let days = range.first_folder(DayLayout::Plain)..range.folder_after(DayLayout::Plain);
        kind.starts_with(LOGS)
            && days.contains(&day.to_owned())
            && log_stamp(file_name(day), folder.account, kind, &folder.region).is_some_and(|stamp| range.holds(stamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_logs_that_digests_name_no_more_are_noted_than_are_looked_for() {
        let mut named = Named::default();
        for number in 0..LATE {
            named.name(format!("k{number}"));
        }
        named.name("k0".to_owned());
        assert_eq!((named.late.len(), named.beyond), (LATE, false));
        named.name("another".to_owned());
        assert_eq!((named.late.len(), named.beyond), (LATE, true));
        let mut named = Named::default();
        named.name("k".repeat(LONGEST_KEY + 1));
        assert_eq!((named.late.len(), named.beyond), (0, true));
    }
}
