use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Halt, ListQuery};
use crate::case::event::GapReason;
use crate::model::{AccountId, Region};

use super::super::errand::{Errand, join_all};
use super::super::strays::{sweep_stray_folder, take_strays};
use super::super::sweep::{Level, level_below};
use super::super::tally::RowKey;
use super::NAME;
use super::store::{Store, query};

pub(super) const DIGESTS: &str = "CloudTrail-Digest";

/// A folder of one kind of file of one account in one region.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) kind: String,
    /// Up to and including the region's `/`.
    pub(super) prefix: String,
}

/// One look below a prefix: its folders, after whatever else lies there has been taken.
struct Look<'a> {
    errand: &'a Arc<Errand>,
    store: &'a Store,
    bucket_region: &'a Region,
    row: RowKey,
}

impl Look<'_> {
    fn query(&self, prefix: String) -> ListQuery {
        let account = self.row.account.unwrap_or(self.errand.caller().account);
        query(self.store, self.bucket_region, account, prefix, true)
    }

    /// The folders below a prefix whose names are AWS's. Objects there, and folders with other names, are strays.
    async fn below(&self, prefix: &str, is_known: impl Fn(&str) -> bool) -> Result<Vec<String>, Halt> {
        let query = self.query(prefix.to_owned());
        let Level { folders, objects } = match level_below(self.errand, &query).await? {
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

/// Finds the folders of all accounts and regions in scope.
pub(super) async fn discover(errand: &Arc<Errand>, store: &Store, bucket_region: &Region) -> Result<Vec<Folder>, Halt> {
    let owner = errand.caller().account;
    let row = RowKey { source: NAME, account: Some(owner), region: Some(bucket_region.clone()) };
    let root = format!("{}AWSLogs/", store.prefix);
    let look = Look { errand, store, bucket_region, row: row.clone() };
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
        tasks.spawn(async move {
            let permit = errand.discovery().await?;
            let found = folders_of_account(&errand, &store, &bucket_region, account, prefixes).await;
            drop(permit);
            found
        });
    }
    let mut found = Vec::new();
    while let Some(done) = tasks.join_next().await {
        found.extend(done.map_err(|_| Halt::TaskLost)??);
    }
    Ok(found)
}

/// The folders of one account, by kind and region; gaps for those that are missing or left out.
async fn folders_of_account(
    errand: &Arc<Errand>,
    store: &Store,
    bucket_region: &Region,
    account: AccountId,
    prefixes: Vec<String>,
) -> Result<Vec<Folder>, Halt> {
    let whole = RowKey { source: NAME, account: Some(account), region: None };
    let look = Look { errand, store, bucket_region, row: whole.clone() };
    let (mut found, mut skipped, mut others) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let mut looks = JoinSet::new();
    for prefix in prefixes {
        // Other services deliver beside CloudTrail, each to a folder of its name.
        for kind in look.below(&prefix, |_| true).await? {
            // Lake query results are not of a region.
            if !kind.starts_with("CloudTrail") || kind == "CloudTrail-Lake" {
                others.insert(kind);
                continue;
            }
            let below = format!("{prefix}{kind}/");
            for name in look.below(&below, |name| name.parse::<Region>().is_ok()).await? {
                let prefix = format!("{below}{name}/");
                match name.parse::<Region>() {
                    Ok(region) if errand.wants_region(&region) => {
                        let row = RowKey { region: Some(region.clone()), ..whole.clone() };
                        let (errand, store, bucket_region) = (Arc::clone(errand), store.clone(), bucket_region.clone());
                        let years = prefix.clone();
                        looks.spawn(async move {
                            let look = Look { errand: &errand, store: &store, bucket_region: &bucket_region, row };
                            let is_year = |name: &str| name.len() == 4 && name.bytes().all(|digit| digit.is_ascii_digit());
                            look.below(&years, is_year).await.map(drop)
                        });
                        found.push(Folder { account, region, kind: kind.clone(), prefix });
                    }
                    Ok(region) => drop(skipped.insert(region)),
                    Err(_) => {}
                }
            }
        }
    }
    join_all(&mut looks).await?;
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
        for (kind, what) in [("CloudTrail", "log files"), (DIGESTS, "digests")] {
            if !found.iter().any(|folder| folder.region == *region && folder.kind == kind) {
                let row = RowKey { region: Some(region.clone()), ..whole.clone() };
                let detail = format!("s3://{} has no {kind} folder of this account and region", store.bucket);
                errand.gap(&row, what, GapReason::Empty, Some(&detail)).await?;
            }
        }
    }
    Ok(found)
}
