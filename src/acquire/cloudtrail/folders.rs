//! Which accounts and regions a store has files of, organizations' included: seen by their folders, or looked for by name where a level may
//! not be listed. The logs and digests in the folders are not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, JoinSet};

use crate::aws::{Failure, Halt, ListQuery};
use crate::case::event::GapReason;
use crate::case::gap::{DIGEST_FILES, EVERYTHING, FOLDERS, LOG_FILES, Subject};
use crate::model::{AccountId, Region};

use super::super::errand::join_all;
use super::super::log_files::DayLayout;
use super::super::shared::Shared;
use super::super::strays::{sweep_stray_folders, take_strays};
use super::super::sweep::{Below, list_below};
use super::super::tally::RowKey;
use super::super::versions::{Seen, see};
use super::NAME;
use super::store::Visit;

pub(super) const DIGESTS: &str = "CloudTrail-Digest";
pub(super) const LOGS: &str = "CloudTrail";
/// Flow logs, which may share a bucket.
const FLOWS: &str = "vpcflowlogs";
/// How the folder of an account's flow logs begins in the layout of Hive.
const HIVE_ACCOUNT: &str = "aws-account-id=";

/// A folder of one kind of file of one account in one region.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) kind: String,
    /// Up to and including the region's `/`.
    pub(super) prefix: String,
}

/// Looks that are on their way before it is known that they are needed, by prefix: nearly always they are.
#[derive(Debug, Default)]
struct Ahead {
    looks: Shared<BTreeMap<String, Asked>>,
}

/// A look that was asked for.
type Asked = JoinHandle<Result<Seen, Halt>>;

impl Ahead {
    fn ask(&self, visit: &Arc<Visit>, query: ListQuery, is_known: fn(&str) -> bool) {
        let (visit, prefix) = (Arc::clone(visit), query.prefix.clone());
        let asked = tokio::spawn(async move { see(&visit.errand, &visit.log_bucket, &query, is_known).await });
        self.looks.lock().insert(prefix, asked);
    }

    fn take(&self, prefix: &str) -> Option<Asked> {
        self.looks.lock().remove(prefix)
    }

    /// Waits for those that nobody needed: their answers are kept like all others. What was not there is for other looks to say.
    async fn finish(&self) -> Result<(), Halt> {
        let left = self.looks.take();
        for asked in left.into_values() {
            let _nothing = asked.await??;
        }
        Ok(())
    }
}

/// One that ends the run ends them too.
impl Drop for Ahead {
    fn drop(&mut self) {
        for asked in self.looks.lock().values() {
            asked.abort();
        }
    }
}

/// Looks below prefixes: their folders, after whatever else lies there has been taken.
#[derive(Clone)]
struct Look {
    visit: Arc<Visit>,
    row: RowKey,
    ahead: Arc<Ahead>,
}

impl Look {
    fn query(&self, prefix: &str) -> ListQuery {
        let account = self.row.account.unwrap_or(self.visit.errand.caller().account);
        self.visit.query(account, prefix.to_owned(), true)
    }

    fn of(&self, row: RowKey) -> Self {
        Self { row, ..self.clone() }
    }

    /// The folders below a prefix whose names are AWS's, those included of which only deleted objects are left. None where it could not
    /// be listed, which is a gap by then: nobody knows what is there. Objects there, and folders with other names, are strays.
    async fn below(&self, prefix: &str, is_known: impl Fn(&str) -> bool) -> Result<Option<Vec<String>>, Halt> {
        let query = self.query(prefix);
        let seen = match self.ahead.take(prefix) {
            Some(asked) => asked.await?,
            None => see(&self.visit.errand, &self.visit.log_bucket, &query, &is_known).await,
        };
        let Seen { now, ever } = seen?;
        let now = self.taken(&query, now).await?;
        let ever = match ever {
            Ok(folders) => folders,
            Err(failure) => {
                let what = Subject::earlier_versions(FOLDERS, self.visit.store.place(prefix));
                self.visit.errand.failed(&self.row, &what, &failure).await?;
                Vec::new()
            }
        };
        if now.is_none() && ever.is_empty() {
            return Ok(None);
        }
        let all: BTreeSet<String> = now.into_iter().flatten().chain(ever).collect();
        Ok(Some(all.into_iter().collect()))
    }

    /// Takes what lies below a prefix where only folders with such names should: one that was deleted is not looked for.
    async fn strays(&self, prefix: &str, is_known: impl Fn(&str) -> bool) -> Result<(), Halt> {
        let query = self.query(prefix);
        let now = list_below(&self.visit.errand, &query, is_known).await?;
        self.taken(&query, now).await.map(drop)
    }

    /// Takes the strays of a level; gives its folders with known names. None where it could not be listed.
    async fn taken(&self, query: &ListQuery, level: Result<Below, Failure>) -> Result<Option<Vec<String>>, Halt> {
        let Visit { errand, store, .. } = &*self.visit;
        let Below { folders, strange, objects } = match level {
            Ok(level) => level,
            Err(failure) => {
                let what = Subject::Listing(store.place(&query.prefix));
                errand.failed(&self.row, &what, &failure).await?;
                return Ok(None);
            }
        };
        take_strays(errand, &self.row, query, objects).await?;
        sweep_stray_folders(errand, &self.row, query, strange).await?;
        Ok(Some(folders))
    }
}

fn is_region(name: &str) -> bool {
    name.parse::<Region>().is_ok()
}

fn is_account(name: &str) -> bool {
    name.parse::<AccountId>().is_ok()
}

fn is_organization(name: &str) -> bool {
    name.starts_with("o-")
}

/// The folders of one account, as far as they are known.
#[derive(Debug, Default)]
struct OfAccount {
    prefixes: Vec<String>,
    /// Whether somebody saw them, or they only should be there: where nobody may list all accounts, each may be listed by itself.
    seen: bool,
}

/// Finds the folders of all accounts and regions in scope, and tells of those of each account together.
///
/// The asking account is expected to have folders of `kinds`, so they are looked into before it is known that they are there.
pub(super) async fn discover(visit: Arc<Visit>, kinds: Vec<&'static str>, tell: UnboundedSender<Folder>) -> Result<(), Halt> {
    let (errand, store) = (&visit.errand, &visit.store);
    let owner = errand.caller().account;
    let row = RowKey { source: NAME, account: Some(owner), region: Some(visit.log_bucket.region.clone()) };
    let root = format!("{}AWSLogs/", store.prefix);
    let look = Look { visit: Arc::clone(&visit), row: row.clone(), ahead: Arc::default() };
    if !kinds.is_empty() && errand.wants_account(owner) {
        let own = format!("{root}{owner}/");
        for kind in &kinds {
            look.ahead.ask(&visit, visit.query(owner, format!("{own}{kind}/"), true), is_region);
        }
        look.ahead.ask(&visit, visit.query(owner, own, true), |_| true);
    }
    let accounts = Box::pin(accounts_below(&look, &root)).await?;
    errand.notes.meet(accounts.iter().filter(|(_, of)| of.seen).map(|(account, _)| *account));
    if accounts.is_empty() {
        let detail = "the bucket has no folder of any account there: either nothing was ever delivered, or it was removed";
        errand.gap(&row, &Subject::objects(EVERYTHING, store.place(&root)), GapReason::Empty, Some(detail)).await?;
    }
    let skipped: Vec<String> =
        accounts.keys().filter(|account| !errand.wants_account(**account)).map(ToString::to_string).collect();
    if !skipped.is_empty() {
        let detail = format!("left out of scope: {}", skipped.join(", "));
        errand.gap(&row, &Subject::within("other accounts", store.place(&root)), GapReason::Skipped, Some(&detail)).await?;
    }
    let mut tasks = JoinSet::new();
    for (account, folders) in accounts.into_iter().filter(|(account, _)| errand.wants_account(*account)) {
        let expected = if account == owner { kinds.clone() } else { Vec::new() };
        let look = look.of(RowKey { source: NAME, account: Some(account), region: None });
        tasks.spawn(Box::pin(folders_of_account(look, account, folders, expected, tell.clone())));
    }
    drop(tell);
    join_all(&mut tasks).await?;
    look.ahead.finish().await
}

/// The accounts that have folders below the root of a store, organizations' included. Where a level may not be listed, the accounts of those
/// who ask, and those asked for, are looked for by their names.
async fn accounts_below(look: &Look, root: &str) -> Result<BTreeMap<AccountId, OfAccount>, Halt> {
    let mut accounts: BTreeMap<AccountId, OfAccount> = BTreeMap::new();
    let mut add = |account: AccountId, prefix: String, seen: bool| {
        let of = accounts.entry(account).or_default();
        of.prefixes.push(prefix);
        of.seen |= seen;
    };
    let likely = look.visit.errand.likely_accounts();
    // Flow logs in Hive folders may share the bucket.
    let is_known = |name: &str| is_account(name) || is_organization(name) || name.starts_with(HIVE_ACCOUNT);
    let Some(names) = look.below(root, is_known).await? else {
        for account in likely {
            add(account, format!("{root}{account}/"), false);
        }
        return Ok(accounts);
    };
    for name in names {
        let below = format!("{root}{name}/");
        if let Ok(account) = name.parse() {
            add(account, below, true);
        } else if is_organization(&name) {
            match look.below(&below, is_account).await? {
                Some(members) => {
                    for (account, member) in members.iter().filter_map(|member| Some((member.parse().ok()?, member))) {
                        add(account, format!("{below}{member}/"), true);
                    }
                }
                None => likely.iter().for_each(|account| add(*account, format!("{below}{account}/"), false)),
            }
        } else if let Some(account) = name.strip_prefix(HIVE_ACCOUNT).and_then(|account| account.parse().ok())
            && look.visit.errand.collects_flow_logs_of(account)
        {
            let folder = format!("{below}aws-service=vpcflowlogs/");
            let Visit { errand, store, log_bucket } = &*look.visit;
            errand.notes.traces.folder(log_bucket, &store.bucket, folder, account, DayLayout::Hive);
        }
    }
    Ok(accounts)
}

/// Tells of the folders of one account, by kind and region; gaps for those that are missing or left out.
///
/// Where the account's folder may not be listed, those of the `expected` kinds are looked for by their names.
async fn folders_of_account(
    look: Look,
    account: AccountId,
    of_account: OfAccount,
    expected: Vec<&'static str>,
    tell: UnboundedSender<Folder>,
) -> Result<(), Halt> {
    let (Visit { errand, store, log_bucket }, whole) = (&*look.visit, &look.row);
    let mut others = BTreeSet::new();
    let (mut kinds, mut years) = (JoinSet::new(), JoinSet::new());
    let (mut listed, mut is_empty) = (true, true);
    for prefix in of_account.prefixes {
        let below = look.below(&prefix, |_| true).await?;
        listed &= below.is_some();
        // Other services deliver beside CloudTrail, each to a folder of its name.
        for kind in below.unwrap_or_else(|| expected.iter().map(|kind| (*kind).to_owned()).collect()) {
            is_empty = false;
            if kind == FLOWS && errand.collects_flow_logs_of(account) {
                errand.notes.traces.folder(log_bucket, &store.bucket, format!("{prefix}{kind}/"), account, DayLayout::Plain);
                continue;
            }
            // Lake query results are not of a region.
            if !kind.starts_with(LOGS) || kind == "CloudTrail-Lake" {
                others.insert(kind);
                continue;
            }
            let (look, below) = (look.clone(), format!("{prefix}{kind}/"));
            kinds.spawn(async move {
                let names = look.below(&below, is_region).await?;
                Ok::<_, Halt>((kind, below, names))
            });
        }
    }
    if !of_account.seen {
        if listed && is_empty {
            let detail = "the bucket has no folder of this account there";
            let what = Subject::within(&format!("logs of {account}"), store.root());
            return errand.gap(whole, &what, GapReason::Empty, Some(detail)).await;
        }
        errand.notes.meet((!is_empty && listed).then_some(account).into_iter());
    }
    let (mut found, mut skipped, mut known, mut unknown) = (Vec::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    while let Some(done) = kinds.join_next().await {
        let (kind, below, names) = done??;
        if names.is_some() {
            known.insert(kind.clone())
        } else {
            unknown.insert(kind.clone())
        };
        for region in names.unwrap_or_default().iter().filter_map(|name| name.parse::<Region>().ok()) {
            if !errand.wants_region(&region) {
                skipped.insert(region);
                continue;
            }
            let prefix = format!("{below}{region}/");
            let (look, above) = (look.of(RowKey { region: Some(region.clone()), ..whole.clone() }), prefix.clone());
            // Strange objects beside the years have nothing to do with what lies below the years.
            years.spawn(async move {
                look.strays(&above, |name| name.len() == 4 && name.bytes().all(|digit| digit.is_ascii_digit())).await
            });
            let folder = Folder { account, region, kind: kind.clone(), prefix };
            // Whoever does not listen any more has met what ends the run.
            let _ended = tell.send(folder.clone());
            found.push(folder);
        }
    }
    drop(tell);
    if account == errand.caller().account && known.is_empty() && !(listed && unknown.is_empty()) {
        errand.notes.homes.cannot_reach(store);
    }
    if !skipped.is_empty() {
        let names: Vec<&str> = skipped.iter().map(Region::as_str).collect();
        let detail = format!("left out of scope: {}", names.join(", "));
        errand.gap(whole, &Subject::within("other regions", store.root()), GapReason::Skipped, Some(&detail)).await?;
    }
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|name| crate::model::printable(name)).collect();
        let detail = format!("folders that are not CloudTrail's lie beside its own: {}", names.join(", "));
        let what = Subject::within("logs of other services", store.root());
        errand.gap(whole, &what, GapReason::Skipped, Some(&detail)).await?;
    }
    for region in &errand.regions {
        for (kind, what) in [(LOGS, LOG_FILES), (DIGESTS, DIGEST_FILES)] {
            // Only a listing shows that there is none.
            let is_told = !unknown.contains(kind) && (listed || known.contains(kind));
            if is_told && !found.iter().any(|folder| folder.region == *region && folder.kind == kind) {
                let row = RowKey { region: Some(region.clone()), ..whole.clone() };
                let detail = format!("s3://{} has no {kind} folder of this account and region", store.bucket);
                errand.gap(&row, &Subject::within(what, store.root()), GapReason::Empty, Some(&detail)).await?;
            }
        }
    }
    join_all(&mut years).await
}
