//! Earlier versions of objects, and the marks that deletions leave: what was overwritten or deleted is still there.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Failure, Halt, ListQuery, ListedVersion, Wanted};
use crate::case::event::{GapReason, Listing};
use crate::case::gap::{Place, Subject};
use crate::model::{S3Location, printable};

use super::bucket::LogBucket;
use super::errand::{Errand, join_all};
use super::pages::Tokens;
use super::sweep::{Below, Sweep, Swept, list_below};

/// Names of deleted objects, as far as a gap names them.
const NAMED: usize = 5;

/// Chooses keys.
pub(crate) type InScope = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Deleted objects of one kind.
#[derive(Debug, Default)]
struct Deleted {
    count: u64,
    names: Vec<String>,
}

impl Deleted {
    fn add(&mut self, key: &str) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(printable(&key.chars().take(200).collect::<String>()));
        }
    }
}

/// What is known so far of the key that the listing has reached.
#[derive(Debug)]
struct Key {
    name: String,
    deleted: bool,
    has_versions: bool,
}

/// Where a listing of versions goes on, as one word. No key holds a NUL.
fn as_token((key, version): &(String, Option<String>)) -> String {
    format!("{key}\0{}", version.as_deref().unwrap_or_default())
}

/// The folders directly below a prefix with such names, without their slashes: those that hold anything, be it only what was deleted. All
/// pages of them.
async fn folders_ever(
    errand: &Errand,
    query: &ListQuery,
    is_known: impl Fn(&str) -> bool,
) -> Result<Result<Vec<String>, Failure>, Halt> {
    let (mut folders, mut tokens) = (BTreeSet::new(), Tokens::default());
    let _permit = errand.discovery().await?;
    let (mut after, mut number) = (None::<(String, Option<String>)>, 1);
    loop {
        let page = match errand.list_versions_page(query, number, after.as_ref()).await? {
            Ok(page) => page,
            Err(failure) => return Ok(Err(failure)),
        };
        let names = page.folders.iter().filter_map(|folder| folder.strip_prefix(&query.prefix)?.strip_suffix('/'));
        // Not every store groups versions by folder when it is asked to.
        let of_versions = page.versions.iter().filter_map(|version| version.key.strip_prefix(&query.prefix)?.split_once('/'));
        let all = names.chain(of_versions.map(|(folder, _)| folder)).filter(|name| is_known(name));
        folders.extend(all.map(str::to_owned));
        let is_empty = page.folders.is_empty() && page.versions.is_empty();
        let Some(next) = page.next else { return Ok(Ok(folders.into_iter().collect())) };
        if let Err(repeated) = tokens.take(&as_token(&next), is_empty) {
            return Ok(Err(repeated));
        }
        (after, number) = (Some(next), number + 1);
    }
}

/// What lies below a prefix, and the folders with known names that lay there at any time.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) now: Result<Below, Failure>,
    pub(crate) ever: Result<Vec<String>, Failure>,
}

/// Looks below a prefix. What was deleted folder by folder is in no listing of what is there: where the bucket keeps versions, or does
/// not say, they are asked for their folders, too.
pub(crate) async fn see(
    errand: &Errand,
    log_bucket: &LogBucket,
    query: &ListQuery,
    is_known: impl Fn(&str) -> bool,
) -> Result<Seen, Halt> {
    let ever = async {
        if log_bucket.keeps_versions().await { folders_ever(errand, query, &is_known).await } else { Ok(Ok(Vec::new())) }
    };
    let (now, ever) = tokio::try_join!(list_below(errand, query, &is_known), ever)?;
    Ok(Seen { now, ever })
}

/// Lists all versions below a prefix, and fetches those in scope that are not current.
///
/// The sweep is that of the current objects; what it stops before, its place, its words and who reads the bodies are the same.
pub(crate) async fn sweep_versions(errand: &Arc<Errand>, sweep: &Sweep, in_scope: InScope) -> Result<(), Halt> {
    let mut swept = Swept::default();
    let (mut recovered, mut lost) = (Deleted::default(), Deleted::default());
    let mut current: Option<Key> = None;
    let mut tasks = JoinSet::new();
    let (mut after, mut tokens) = (None::<(String, Option<String>)>, Tokens::default());
    let permit = errand.sweeping().await?;
    let failure = loop {
        let page = match errand.list_versions_page(&sweep.query, swept.pages + 1, after.as_ref()).await? {
            Ok(page) => page,
            Err(failure) => break Some(failure),
        };
        swept.pages += 1;
        let (mut wanted, mut size) = (Vec::new(), 0);
        let is_empty = page.versions.is_empty();
        let mut beyond = false;
        for version in page.versions {
            if version.key.as_str() >= sweep.stop_before.as_str() {
                beyond = true;
                break;
            }
            swept.listed += 1;
            if !in_scope(&version.key) {
                continue;
            }
            if current.as_ref().is_none_or(|key| key.name != version.key) {
                settle(current.take(), &mut recovered, &mut lost);
                current = Some(Key { name: version.key.clone(), deleted: false, has_versions: false });
            }
            if let Some(key) = &mut current {
                key.deleted |= version.latest && version.size.is_none();
                key.has_versions |= version.size.is_some();
            }
            if let (false, Some(bytes)) = (version.latest, version.size) {
                size += bytes;
                wanted.push(version);
            }
        }
        let count = u64::try_from(wanted.len()).unwrap_or(u64::MAX);
        swept.in_scope += count;
        swept.bytes += size;
        errand.intake.found(&sweep.row, count, size).await?;
        for version in wanted {
            errand.want(&mut tasks, &sweep.query.region, wanted_version(sweep, version), sweep.on_body.clone()).await?;
        }
        match page.next {
            None => break None,
            Some(_) if beyond => break None,
            Some(next) => {
                if let Err(repeated) = tokens.take(&as_token(&next), is_empty) {
                    break Some(repeated);
                }
                after = Some(next);
            }
        }
    };
    swept.whole = failure.is_none();
    drop(permit);
    settle(current, &mut recovered, &mut lost);
    join_all(&mut tasks).await?;
    let (kind, place) = (sweep.what.clone(), Place::new(&sweep.query.bucket, &sweep.query.prefix));
    if let Some(failure) = &failure {
        errand.failed(&sweep.row, &Subject::earlier_versions(&kind, place.clone()), failure).await?;
    }
    if recovered.count > 0 {
        let what = Subject::Recoverable { count: recovered.count, kind: kind.clone(), place: place.clone() };
        let detail = format!("they were deleted; their earlier versions were asked for: {}", recovered.names.join(", "));
        errand.gap(&sweep.row, &what, GapReason::Empty, Some(&detail)).await?;
    }
    if lost.count > 0 {
        let what = Subject::Deleted { count: lost.count, kind, place };
        let detail = format!("only their delete markers are left, no version: {}", lost.names.join(", "));
        errand.gap(&sweep.row, &what, GapReason::Failed, Some(&detail)).await?;
    }
    errand.intake.listing(sweep.listing(swept, Listing::rule_for_versions(&sweep.rule))).await
}

fn settle(key: Option<Key>, recovered: &mut Deleted, lost: &mut Deleted) {
    if let Some(key) = key.filter(|key| key.deleted) {
        if key.has_versions { recovered.add(&key.name) } else { lost.add(&key.name) }
    }
}

fn wanted_version(sweep: &Sweep, version: ListedVersion) -> Wanted {
    Wanted {
        size: version.size,
        etag: version.etag,
        last_modified: version.last_modified,
        archived: version.archived,
        version: Some(version.version_id),
        ..sweep.row.wanted(S3Location::new(&sweep.query.bucket, version.key))
    }
}
