//! Lists a prefix page by page, and fetches of it what is in scope while the listing goes on.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Failure, Halt, ListQuery, ListedObject};
use crate::case::event::Listing;
use crate::case::gap::{Place, Subject};

use super::errand::{Errand, join_all};
use super::on_body::OnBody;
use super::pages::Tokens;
use super::strays::{StrangeFolders, Strays};
use super::tally::RowKey;

/// What to sweep, and what for.
#[derive(Clone)]
pub(crate) struct Sweep {
    pub(crate) row: RowKey,
    pub(crate) query: ListQuery,
    /// The first key that is of no interest any more.
    pub(crate) stop_before: String,
    /// How keys are chosen, in words.
    pub(crate) rule: String,
    /// What is looked for, in words.
    pub(crate) what: String,
    pub(crate) on_body: Option<OnBody>,
}

impl Sweep {
    /// What the ledger says of it.
    pub(crate) fn listing(&self, swept: Swept, rule: String) -> Listing {
        Listing {
            source: self.row.source.to_owned(),
            account: self.row.account,
            region: self.row.region.clone(),
            bucket: self.query.bucket.clone(),
            prefix: self.query.prefix.clone(),
            start_after: self.query.start_after.clone(),
            listed: swept.listed,
            in_scope: swept.in_scope,
            bytes: swept.bytes,
            pages: swept.pages,
            rule,
            whole: Some(swept.whole),
        }
    }
}

/// Chooses objects out of a listing, in the order of their keys.
pub(crate) trait Choose: Send {
    /// Shows the next object; gives back those that are now known to be in scope.
    fn choose(&mut self, object: ListedObject) -> Chosen;

    /// Ends the listing.
    fn finish(&mut self) -> Vec<ListedObject> {
        Vec::new()
    }
}

/// What became of a listed object.
pub(crate) enum Chosen {
    /// These are in scope.
    InScope(Vec<ListedObject>),
    /// Its name is not one of those that belong here.
    Stranger(ListedObject),
}

impl Chosen {
    /// Chooses an object by its name, which says whether it is of the window, or that AWS did not give it.
    pub(crate) fn by_name(object: ListedObject, is_of_window: impl FnOnce(&str) -> Option<bool>) -> Self {
        if object.size == 0 && object.key.ends_with('/') {
            return Self::InScope(Vec::new()); // the console's folder
        }
        match is_of_window(&object.key) {
            Some(true) => Self::InScope(vec![object]),
            Some(false) => Self::InScope(Vec::new()),
            None => Self::Stranger(object),
        }
    }
}

/// What a sweep came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) listed: u64,
    pub(crate) in_scope: u64,
    pub(crate) bytes: u64,
    pub(crate) pages: u32,
    /// Whether the listing came to its end.
    pub(crate) whole: bool,
}

/// Sweeps a prefix. Everything in scope has been fetched, or has become a gap, when this returns.
pub(crate) async fn sweep(errand: &Arc<Errand>, sweep: &Sweep, choose: &mut dyn Choose) -> Result<Swept, Halt> {
    let mut swept = Swept::default();
    let mut tasks = JoinSet::new();
    let mut strays = Strays::default();
    let mut tokens = Tokens::default();
    let permit = errand.sweeping().await?;
    let mut listed = errand.list_page(&sweep.query, 1, None).await?;
    let failure = loop {
        let page = match listed {
            Ok(page) => page,
            Err(failure) => break Some(failure),
        };
        swept.pages += 1;
        let mut beyond = false;
        let (mut objects, mut bytes) = (0, 0);
        let mut chosen = Vec::new();
        let is_empty = page.objects.is_empty();
        for object in page.objects {
            if object.key.as_str() >= sweep.stop_before.as_str() {
                beyond = true;
                break;
            }
            swept.listed += 1;
            match choose.choose(object) {
                Chosen::InScope(these) => chosen.extend(these),
                Chosen::Stranger(object) => {
                    if strays.judge(&object, errand.window()) {
                        chosen.push(object);
                    }
                }
            }
        }
        let last = beyond || page.next.is_none();
        if last {
            chosen.extend(choose.finish());
        }
        for object in &chosen {
            objects += 1;
            bytes += object.size;
        }
        swept.in_scope += objects;
        swept.bytes += bytes;
        errand.intake.found(&sweep.row, objects, bytes).await?;
        let repeated = page.next.as_deref().and_then(|next| tokens.take(next, is_empty).err());
        let token = page.next;
        // While these are fetched, the next page is asked for: one ahead, no more.
        let next = async {
            if last || repeated.is_some() {
                Ok(None)
            } else {
                errand.list_page(&sweep.query, swept.pages + 1, token.as_deref()).await.map(Some)
            }
        };
        let fetching = async {
            for object in chosen {
                let wanted = sweep.row.wanted_as_listed(&sweep.query.bucket, object);
                errand.want(&mut tasks, &sweep.query.region, wanted, sweep.on_body.clone()).await?;
            }
            Ok(())
        };
        let (next, ()) = tokio::try_join!(next, fetching)?;
        listed = match next {
            Some(listed) => listed,
            None => {
                swept.whole = last;
                break if last { None } else { repeated };
            }
        };
    };
    // What is still being fetched keeps no other place from being listed.
    drop(permit);
    join_all(&mut tasks).await?;
    let place = Place::new(&sweep.query.bucket, &sweep.query.prefix);
    if let Some(failure) = &failure {
        errand.failed(&sweep.row, &Subject::objects(&sweep.what, place.clone()), failure).await?;
    }
    strays.report(errand, &sweep.row, &sweep.what, place).await?;
    errand.intake.listing(sweep.listing(swept, sweep.rule.clone())).await?;
    Ok(swept)
}

/// Objects beside folders that are held until they are taken: where AWS puts none, anybody who may write can put any number.
const OBJECTS_HELD: usize = 1_000;

/// What lies directly below a prefix.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// The folders with known names, without their slashes.
    pub(crate) folders: Vec<String>,
    /// Those with other names.
    pub(crate) strange: StrangeFolders,
    /// The objects; none where they are too many to be held, and have to be listed again when they are taken.
    pub(crate) objects: Option<Vec<ListedObject>>,
}

/// What lies directly below a prefix, all pages of it.
pub(crate) async fn list_below(
    errand: &Errand,
    query: &ListQuery,
    is_known: impl Fn(&str) -> bool,
) -> Result<Result<Below, Failure>, Halt> {
    let (mut level, mut tokens) = (Below { objects: Some(Vec::new()), ..Below::default() }, Tokens::default());
    let _permit = errand.discovery().await?;
    let (mut token, mut number) = (None::<String>, 1);
    loop {
        let page = match errand.list_page(query, number, token.as_deref()).await? {
            Ok(page) => page,
            Err(failure) => return Ok(Err(failure)),
        };
        let is_empty = page.folders.is_empty() && page.objects.is_empty();
        for name in page.folders.iter().filter_map(|folder| folder.strip_prefix(&query.prefix)?.strip_suffix('/')) {
            if is_known(name) {
                level.folders.push(name.to_owned());
            } else {
                level.strange.add(name);
            }
        }
        level.objects = level.objects.filter(|held| held.len() + page.objects.len() <= OBJECTS_HELD);
        if let Some(held) = &mut level.objects {
            held.extend(page.objects);
        }
        let Some(next) = page.next else { return Ok(Ok(level)) };
        if let Err(repeated) = tokens.take(&next, is_empty) {
            return Ok(Err(repeated));
        }
        (token, number) = (Some(next), number + 1);
    }
}
