//! Objects that lie among logs and have no name of AWS's: taken where they were written in the window, and told of either way.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Halt, ListQuery, ListedObject};
use crate::case::event::GapReason;
use crate::case::gap::{AMONG_FOLDERS, Place, Subject};
use crate::model::{Window, printable};

use super::errand::{Errand, join_all};
use super::pages::Tokens;
use super::sweep::{Choose, Chosen, Sweep, sweep};
use super::tally::RowKey;

/// Names, as far as they are told one by one.
const NAMED: usize = 5;
/// How long after the window such an object may have been written and still count as of the window.
const SLACK: i64 = 2 * 3600;

/// Folders with strange names that are gone through at one place: whoever may write there can make any number of them.
const FOLDERS_GONE_THROUGH: usize = 500;

/// Folders whose names AWS does not give, at one place.
#[derive(Debug, Default)]
pub(crate) struct StrangeFolders {
    names: Vec<String>,
    beyond: Told,
}

impl StrangeFolders {
    pub(crate) fn add(&mut self, name: &str) {
        if self.names.len() < FOLDERS_GONE_THROUGH { self.names.push(name.to_owned()) } else { self.beyond.add(name) }
    }
}

/// The strays of one place.
#[derive(Debug, Default)]
pub(crate) struct Strays {
    taken: Told,
    left: Told,
}

#[derive(Debug, Default)]
struct Told {
    count: u64,
    names: Vec<String>,
}

impl Told {
    fn add(&mut self, key: &str) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(printable(&key.chars().take(200).collect::<String>()));
        }
    }

    fn names(&self) -> String {
        let more = if self.count > u64::try_from(self.names.len()).unwrap_or(u64::MAX) { ", …" } else { "" };
        format!("{}{more}", self.names.join(", "))
    }
}

impl Strays {
    /// Takes note of an object; says whether it was written in the window, or nobody knows when.
    pub(crate) fn judge(&mut self, object: &ListedObject, window: Window) -> bool {
        let last = window.end().plus_seconds(SLACK);
        let taken = object.last_modified.is_none_or(|written| window.start() <= written && written <= last);
        let told = if taken { &mut self.taken } else { &mut self.left };
        told.add(&object.key);
        taken
    }

    /// Tells of them, who lie among objects of a kind.
    pub(crate) async fn report(&self, errand: &Errand, row: &RowKey, kind: &str, place: Place) -> Result<(), Halt> {
        if self.taken.count > 0 {
            let text = format!(
                "{} objects among {kind} under {place} have no name that AWS gives; written in the window, they were taken: {}",
                self.taken.count,
                self.taken.names()
            );
            errand.notice(row, text).await?;
        }
        if self.left.count > 0 {
            let what = Subject::Strays { count: self.left.count, kind: kind.to_owned(), place };
            let detail = format!(
                "their names are not ones that AWS gives, and they were not written in the window, so they were not fetched: {}",
                self.left.names()
            );
            errand.gap(row, &what, GapReason::Skipped, Some(&detail)).await?;
        }
        Ok(())
    }
}

/// Fetches those of the objects that are of the window; they lie at a level of folders where AWS puts none. Those that were too many to be
/// held are listed once more, page by page.
pub(crate) async fn take_strays(
    errand: &Arc<Errand>,
    row: &RowKey,
    query: &ListQuery,
    objects: Option<Vec<ListedObject>>,
) -> Result<(), Halt> {
    let mut strays = Strays::default();
    let mut tasks = JoinSet::new();
    let place = Place::new(&query.bucket, &query.prefix);
    if let Some(objects) = objects {
        take_page(errand, row, query, objects, (&mut strays, &mut tasks)).await?;
    } else {
        let (mut token, mut number, mut tokens) = (None::<String>, 1, Tokens::default());
        let permit = errand.sweeping().await?;
        let failure = loop {
            let page = match errand.list_page(query, number, token.as_deref()).await? {
                Ok(page) => page,
                Err(failure) => break Some(failure),
            };
            let is_empty = page.folders.is_empty() && page.objects.is_empty();
            take_page(errand, row, query, page.objects, (&mut strays, &mut tasks)).await?;
            let Some(next) = page.next else { break None };
            if let Err(repeated) = tokens.take(&next, is_empty) {
                break Some(repeated);
            }
            (token, number) = (Some(next), number + 1);
        };
        drop(permit);
        if let Some(failure) = failure {
            errand.failed(row, &Subject::Listing(place.clone()), &failure).await?;
        }
    }
    join_all(&mut tasks).await?;
    strays.report(errand, row, AMONG_FOLDERS, place).await
}

/// Fetches what is of the window of some objects.
async fn take_page(
    errand: &Arc<Errand>,
    row: &RowKey,
    query: &ListQuery,
    objects: Vec<ListedObject>,
    (strays, tasks): (&mut Strays, &mut JoinSet<Result<(), Halt>>),
) -> Result<(), Halt> {
    // The console leaves empty objects that stand for folders.
    for object in objects.into_iter().filter(|object| object.size > 0 || !object.key.ends_with('/')) {
        if strays.judge(&object, errand.window()) {
            errand.intake.found(row, 1, object.size).await?;
            errand.want(tasks, &query.region, row.wanted_as_listed(&query.bucket, object), None).await?;
        }
    }
    Ok(())
}

/// Sweeps the folders at a place that have no names of AWS's, side by side; a gap names those that are beyond what is gone through.
pub(crate) async fn sweep_stray_folders(
    errand: &Arc<Errand>,
    row: &RowKey,
    query: &ListQuery,
    folders: StrangeFolders,
) -> Result<(), Halt> {
    let StrangeFolders { names, beyond } = folders;
    let mut tasks = JoinSet::new();
    for name in names {
        let (errand, row, query) = (Arc::clone(errand), row.clone(), query.clone());
        let prefix = format!("{}{name}/", query.prefix);
        tasks.spawn(async move { Box::pin(sweep_stray_folder(&errand, &row, &query, prefix)).await });
    }
    join_all(&mut tasks).await?;
    if beyond.count == 0 {
        return Ok(());
    }
    let kind = format!("{} folders with strange names", beyond.count);
    let detail = format!(
        "their names are not ones that AWS gives, and only {FOLDERS_GONE_THROUGH} such folders were gone through; the others begin with: {}",
        beyond.names()
    );
    let what = Subject::within(&kind, Place::new(&query.bucket, &query.prefix));
    errand.gap(row, &what, GapReason::Failed, Some(&detail)).await
}

/// Sweeps a folder that has no name of AWS's.
async fn sweep_stray_folder(errand: &Arc<Errand>, row: &RowKey, query: &ListQuery, prefix: String) -> Result<(), Halt> {
    let listing = Sweep {
        row: row.clone(),
        // What follows the slash in the order of keys: nothing below the folder is beyond it, whatever its name.
        stop_before: format!("{}0", prefix.strip_suffix('/').unwrap_or(&prefix)),
        query: ListQuery { prefix, folders: false, start_after: None, ..query.clone() },
        rule: "objects written in the window, up to 2 hours after it: the folder's name is not one that AWS gives".to_owned(),
        what: "strange objects".to_owned(),
        on_body: None,
    };
    sweep(errand, &listing, &mut StrayRule).await.map(drop)
}

struct StrayRule;

impl Choose for StrayRule {
    fn choose(&mut self, object: ListedObject) -> Chosen {
        Chosen::by_name(object, |_| None)
    }
}
