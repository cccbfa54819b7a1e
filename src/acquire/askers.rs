//! As whom a bucket is asked: as the identity whose turn it is, and, where that one is refused, as the others of the run.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::OnceLock;

use crate::aws::{
    Failure, FailureKind, Halt, ListPage, ListQuery, ObjectFetcher, Recorder, VersionPage, list_page, list_versions_page,
};
use crate::model::AccountId;

use super::errand::Errand;
use super::shared::Shared;

/// One identity of a run, and what it asks with.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) recorder: Recorder,
    /// None in a plan, which fetches nothing.
    pub(crate) fetcher: Option<ObjectFetcher>,
}

/// What may be permitted to one and not to another: an act, in a bucket, on the files of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Door<'a> {
    pub(crate) act: &'static str,
    pub(crate) bucket: &'a str,
    pub(crate) account: Option<AccountId>,
}

/// The same, to be kept.
type DoorKept = (&'static str, String, Option<AccountId>);

/// The identities of a run, and which of them was let in where.
#[derive(Debug, Default)]
pub(crate) struct Askers {
    all: OnceLock<Vec<Asker>>,
    let_in: Shared<BTreeMap<DoorKept, usize>>,
}

impl Askers {
    /// Says who there is, in the order in which they were named.
    pub(crate) fn introduce(&self, askers: Vec<Asker>) {
        // A run has its identities when it begins, and no others later.
        let _known_already = self.all.set(askers);
    }

    /// Everybody.
    pub(crate) fn all(&self) -> &[Asker] {
        self.all.get().map_or(&[], Vec::as_slice)
    }

    /// Asks as `first`, and as the others only where that is refused. Who was let in is asked first the next time.
    pub(crate) async fn ask<T, F>(
        &self,
        first: Asker,
        door: Door<'_>,
        ask: impl Fn(Asker) -> F,
    ) -> Result<Result<T, Failure>, Halt>
    where
        F: Future<Output = Result<Result<T, Failure>, Halt>>,
    {
        let all = self.all();
        if all.len() < 2 {
            return ask(first).await;
        }
        let key = (door.act, door.bucket.to_owned(), door.account);
        let remembered = self.let_in.lock().get(&key).copied();
        let own = all.iter().position(|asker| asker.recorder.session().caller() == first.recorder.session().caller());
        let mut order: Vec<usize> = remembered.into_iter().chain(own).collect();
        order.dedup();
        let others: Vec<usize> = (0..all.len()).filter(|number| !order.contains(number)).collect();
        order.extend(others);
        let mut refused: Option<Failure> = None;
        for number in order {
            let Some(asker) = all.get(number) else { continue };
            match ask(asker.clone()).await? {
                Err(failure) if failure.kind == FailureKind::Denied => {
                    // The refusal of the identity whose turn it is says most.
                    if refused.is_none() || own == Some(number) {
                        refused = Some(failure);
                    }
                }
                answer => {
                    if remembered != Some(number) {
                        self.let_in.lock().insert(key, number);
                    }
                    return Ok(answer);
                }
            }
        }
        let Some(mut refused) = refused else { return ask(first).await };
        refused.message = match all.len() {
            2 => format!("{} (the run's other identity was refused, too)", refused.message),
            number => format!("{} (the run's {} other identities were refused, too)", refused.message, number - 1),
        };
        Ok(Err(refused))
    }
}

impl Errand {
    /// Asks as whoever is permitted to.
    pub(crate) async fn ask<T, F>(&self, door: Door<'_>, ask: impl Fn(Asker) -> F) -> Result<Result<T, Failure>, Halt>
    where
        F: Future<Output = Result<Result<T, Failure>, Halt>>,
    {
        self.notes.askers.ask(self.asker(), door, ask).await
    }

    /// One page of a listing, as whoever may list.
    pub(crate) async fn list_page(
        &self,
        query: &ListQuery,
        page: u32,
        token: Option<&str>,
    ) -> Result<Result<ListPage, Failure>, Halt> {
        let door = Door { act: "list", bucket: &query.bucket, account: Some(query.account) };
        self.ask(door, |asker| async move { list_page(&asker.recorder, query, page, token).await }).await
    }

    /// One page of a listing of versions, as whoever may list them.
    pub(crate) async fn list_versions_page(
        &self,
        query: &ListQuery,
        page: u32,
        after: Option<&(String, Option<String>)>,
    ) -> Result<Result<VersionPage, Failure>, Halt> {
        let door = Door { act: "list versions", bucket: &query.bucket, account: Some(query.account) };
        self.ask(door, |asker| async move { list_versions_page(&asker.recorder, query, page, after).await }).await
    }

    /// Whether a source is one of those that the run asks for.
    pub(crate) fn asks_for(&self, source: &str) -> bool {
        let sources = &self.request.scope.sources;
        sources.is_empty() || sources.iter().any(|name| name == source)
    }

    /// Whether flow logs of an account are collected wherever they are met: those of whoever asks, and of an account that was named.
    pub(crate) fn collects_flow_logs_of(&self, account: AccountId) -> bool {
        self.asks_for(super::flow_logs::NAME) && self.likely_accounts().contains(&account)
    }

    /// The accounts of the run's identities.
    pub(crate) fn callers(&self) -> impl Iterator<Item = AccountId> {
        let all = self.notes.askers.all().iter().map(|asker| asker.recorder.session().caller().account);
        all.chain([self.caller().account])
    }

    /// The accounts of the run's identities, and those asked for by their numbers, as far as they are in scope.
    pub(crate) fn likely_accounts(&self) -> Vec<AccountId> {
        let mut accounts: Vec<AccountId> = self.callers().collect();
        accounts.extend(self.request.scope.accounts.iter().copied());
        accounts.retain(|account| self.wants_account(*account));
        accounts.sort_unstable();
        accounts.dedup();
        accounts
    }
}
