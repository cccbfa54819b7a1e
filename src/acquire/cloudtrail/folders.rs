use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::{JoinHandle, JoinSet};

use crate::aws::{Failure, Halt, ListQuery};
use crate::case::event::GapReason;
use crate::model::{AccountId, Region};

use super::super::errand::{Errand, join_all};
use super::super::strays::{sweep_stray_folder, take_strays};
use super::super::sweep::{Level, level_below};
use super::super::tally::RowKey;
use super::NAME;
use super::store::{Store, query};

pub(super) const DIGESTS: &str = "CloudTrail-Digest";
pub(super) const LOGS: &str = "CloudTrail";

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
    looks: Mutex<BTreeMap<String, Asked>>,
}

/// A look that was asked for.
type Asked = JoinHandle<Result<Result<Level, Failure>, Halt>>;

impl Ahead {
    fn ask(&self, errand: &Arc<Errand>, query: ListQuery) {
        let (errand, prefix) = (Arc::clone(errand), query.prefix.clone());
        let asked = tokio::spawn(async move { level_below(&errand, &query).await });
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).insert(prefix, asked);
    }

    fn take(&self, prefix: &str) -> Option<Asked> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).remove(prefix)
    }

    /// Waits for those that nobody needed: their answers are kept like all others. What was not there is for other looks to say.
    async fn finish(&self) -> Result<(), Halt> {
        let left = std::mem::take(&mut *self.looks.lock().unwrap_or_else(PoisonError::into_inner));
        for asked in left.into_values() {
            let _nothing = asked.await.map_err(|_| Halt::TaskLost)??;
        }
        Ok(())
    }
}

/// One that ends the run ends them too.
impl Drop for Ahead {
    fn drop(&mut self) {
        for asked in self.looks.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            asked.abort();
        }
    }
}

/// One look below a prefix: its folders, after whatever else lies there has been taken.
struct Look<'a> {
    errand: &'a Arc<Errand>,
    store: &'a Store,
    bucket_region: &'a Region,
    row: RowKey,
    ahead: &'a Ahead,
}

impl Look<'_> {
    fn query(&self, prefix: String) -> ListQuery {
        let account = self.row.account.unwrap_or(self.errand.caller().account);
        query(self.store, self.bucket_region, account, prefix, true)
    }

    /// The folders below a prefix whose names are AWS's. Objects there, and folders with other names, are strays.
    async fn below(&self, prefix: &str, is_known: impl Fn(&str) -> bool) -> Result<Vec<String>, Halt> {
        let query = self.query(prefix.to_owned());
        let level = match self.ahead.take(prefix) {
            Some(asked) => asked.await.map_err(|_| Halt::TaskLost)?,
            None => level_below(self.errand, &query).await,
        };
        let Level { folders, objects } = match level? {
            Ok(level) => level,
            Err(failure) => {
                let what = format!("listing of s3://{}/{prefix}", self.store.bucket);
                self.errand.failed(&self.row, &what, &failure).await?;
                return Ok(Vec::new());
            }
        };
        take_strays(self.errand, &self.row, &query, objects).await?;
        let (known, strange): (Vec<String>, Vec<String>) = folders.into_iter().partition(|name| is_known(name));
        for name in strange {
            sweep_stray_folder(self.errand, &self.row, &query, format!("{prefix}{name}/")).await?;
        }
        Ok(known)
    }
}

fn is_account(name: &str) -> bool {
    name.parse::<AccountId>().is_ok()
}

fn is_organization(name: &str) -> bool {
    name.starts_with("o-")
}

/// Finds the folders of all accounts and regions in scope, and tells of those of each account together.
///
/// The asking account is expected to have folders of `kinds`, so they are looked into before it is known that they are there.
pub(super) async fn discover(
    errand: &Arc<Errand>,
    store: &Store,
    bucket_region: &Region,
    kinds: &[String],
    tell: UnboundedSender<Folder>,
) -> Result<(), Halt> {
    let owner = errand.caller().account;
    let row = RowKey { source: NAME, account: Some(owner), region: Some(bucket_region.clone()) };
    let root = format!("{}AWSLogs/", store.prefix);
    let ahead = Arc::new(Ahead::default());
    if !kinds.is_empty() && errand.wants_account(owner) {
        let own = format!("{root}{owner}/");
        for prefix in kinds.iter().map(|kind| format!("{own}{kind}/")).chain([own.clone()]) {
            ahead.ask(errand, query(store, bucket_region, owner, prefix, true));
        }
    }
    let look = Look { errand, store, bucket_region, row: row.clone(), ahead: &ahead };
    let mut accounts: BTreeMap<AccountId, Vec<String>> = BTreeMap::new();
    // Flow logs in Hive folders may share the bucket.
    let is_known = |name: &str| is_account(name) || is_organization(name) || name.starts_with("aws-account-id=");
    for name in look.below(&root, is_known).await? {
        let below = format!("{root}{name}/");
        if let Ok(account) = name.parse() {
            accounts.entry(account).or_default().push(below);
        } else if is_organization(&name) {
            for member in look.below(&below, is_account).await? {
                if let Ok(account) = member.parse() {
                    accounts.entry(account).or_default().push(format!("{below}{member}/"));
                }
            }
        }
    }
    errand.notes.meet(accounts.keys().copied());
    if accounts.is_empty() {
        let detail = "the bucket has no folder of any account there: either nothing was ever delivered, or it was removed";
        errand.gap(&row, &format!("logs under s3://{}/{root}", store.bucket), GapReason::Empty, Some(detail)).await?;
    }
    let skipped: Vec<String> =
        accounts.keys().filter(|account| !errand.wants_account(**account)).map(ToString::to_string).collect();
    if !skipped.is_empty() {
        let detail = format!("left out of scope: {}", skipped.join(", "));
        errand.gap(&row, &format!("other accounts in s3://{}/{root}", store.bucket), GapReason::Skipped, Some(&detail)).await?;
    }
    let mut tasks = JoinSet::new();
    for (account, prefixes) in accounts.into_iter().filter(|(account, _)| errand.wants_account(*account)) {
        let (errand, store, bucket_region) = (Arc::clone(errand), store.clone(), bucket_region.clone());
        let (ahead, tell) = (Arc::clone(&ahead), tell.clone());
        tasks.spawn(async move { folders_of_account(&errand, &store, &bucket_region, account, prefixes, &ahead, tell).await });
    }
    drop(tell);
    join_all(&mut tasks).await?;
    ahead.finish().await
}

/// Tells of the folders of one account, by kind and region; gaps for those that are missing or left out.
async fn folders_of_account(
    errand: &Arc<Errand>,
    store: &Store,
    bucket_region: &Region,
    account: AccountId,
    prefixes: Vec<String>,
    ahead: &Arc<Ahead>,
    tell: UnboundedSender<Folder>,
) -> Result<(), Halt> {
    let whole = RowKey { source: NAME, account: Some(account), region: None };
    let look = Look { errand, store, bucket_region, row: whole.clone(), ahead };
    let mut others = BTreeSet::new();
    let (mut kinds, mut years) = (JoinSet::new(), JoinSet::new());
    for prefix in prefixes {
        // Other services deliver beside CloudTrail, each to a folder of its name.
        for kind in look.below(&prefix, |_| true).await? {
            // Lake query results are not of a region.
            if !kind.starts_with(LOGS) || kind == "CloudTrail-Lake" {
                others.insert(kind);
                continue;
            }
            let (errand, store, bucket_region) = (Arc::clone(errand), store.clone(), bucket_region.clone());
            let (row, ahead, below) = (whole.clone(), Arc::clone(ahead), format!("{prefix}{kind}/"));
            kinds.spawn(async move {
                let look = Look { errand: &errand, store: &store, bucket_region: &bucket_region, row, ahead: &ahead };
                let names = look.below(&below, |name| name.parse::<Region>().is_ok()).await?;
                Ok::<_, Halt>((kind, below, names))
            });
        }
    }
    let (mut found, mut skipped) = (Vec::new(), BTreeSet::new());
    while let Some(done) = kinds.join_next().await {
        let (kind, below, names) = done.map_err(|_| Halt::TaskLost)??;
        for region in names.iter().filter_map(|name| name.parse::<Region>().ok()) {
            if !errand.wants_region(&region) {
                skipped.insert(region);
                continue;
            }
            let prefix = format!("{below}{region}/");
            let row = RowKey { region: Some(region.clone()), ..whole.clone() };
            let (errand, store, bucket_region) = (Arc::clone(errand), store.clone(), bucket_region.clone());
            let (ahead, above) = (Arc::clone(ahead), prefix.clone());
            // What lies where only years should has nothing to do with what lies below them.
            years.spawn(async move {
                let look = Look { errand: &errand, store: &store, bucket_region: &bucket_region, row, ahead: &ahead };
                let is_year = |name: &str| name.len() == 4 && name.bytes().all(|digit| digit.is_ascii_digit());
                look.below(&above, is_year).await.map(drop)
            });
            let folder = Folder { account, region, kind: kind.clone(), prefix };
            // Whoever does not listen any more has met what ends the run.
            let _ended = tell.send(folder.clone());
            found.push(folder);
        }
    }
    drop(tell);
    if !skipped.is_empty() {
        let names: Vec<&str> = skipped.iter().map(Region::as_str).collect();
        let detail = format!("left out of scope: {}", names.join(", "));
        errand.gap(&whole, &format!("other regions in s3://{}", store.bucket), GapReason::Skipped, Some(&detail)).await?;
    }
    if !others.is_empty() {
        let names: Vec<String> = others.iter().map(|name| crate::model::printable(name)).collect();
        let detail = format!("folders that are not CloudTrail's lie beside its own: {}", names.join(", "));
        errand
            .gap(&whole, &format!("logs of other services in s3://{}", store.bucket), GapReason::Skipped, Some(&detail))
            .await?;
    }
    for region in &errand.regions {
        for (kind, what) in [(LOGS, "log files"), (DIGESTS, "digests")] {
            if !found.iter().any(|folder| folder.region == *region && folder.kind == kind) {
                let row = RowKey { region: Some(region.clone()), ..whole.clone() };
                let detail = format!("s3://{} has no {kind} folder of this account and region", store.bucket);
                errand.gap(&row, what, GapReason::Empty, Some(&detail)).await?;
            }
        }
    }
    join_all(&mut years).await
}
