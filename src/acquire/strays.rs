//! Objects that lie among logs and have no name of AWS's: taken where they were written in the window, and told of either way.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Halt, ListQuery, ListedObject};
use crate::case::event::GapReason;
use crate::case::gap::{AMONG_FOLDERS, Place, Subject};
use crate::model::{Window, printable};

use super::errand::{Errand, join_all};
use super::sweep::{Choose, Chosen, Sweep, sweep};
use super::tally::RowKey;

/// Names, as far as they are told one by one.
const NAMED: usize = 5;
/// How long after the window such an object may have been written and still count as of the window.
const SLACK: i64 = 2 * 3600;

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

/// Fetches those of the objects that are of the window; they lie at a level of folders where AWS puts none.
pub(crate) async fn take_strays(
    errand: &Arc<Errand>,
    row: &RowKey,
    query: &ListQuery,
    objects: Vec<ListedObject>,
) -> Result<(), Halt> {
    let mut strays = Strays::default();
    let mut tasks = JoinSet::new();
    // The console leaves empty objects that stand for folders.
    for object in objects.into_iter().filter(|object| object.size > 0 || !object.key.ends_with('/')) {
        if strays.judge(&object, errand.window()) {
            errand.intake.found(row, 1, object.size).await?;
            errand.want(&mut tasks, &query.region, row.wanted_as_listed(&query.bucket, object), None).await?;
        }
    }
    join_all(&mut tasks).await?;
    strays.report(errand, row, AMONG_FOLDERS, Place::new(&query.bucket, &query.prefix)).await
}

/// Sweeps a folder that has no name of AWS's.
pub(crate) async fn sweep_stray_folder(
    errand: &Arc<Errand>,
    row: &RowKey,
    query: &ListQuery,
    prefix: String,
) -> Result<(), Halt> {
    let listing = Sweep {
        row: row.clone(),
        // Nothing sorts after it.
        stop_before: format!("{prefix}\u{10ffff}"),
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
