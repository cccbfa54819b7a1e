//! The way into the case: fetchers stage and hash, one task owns the case and appends.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::aws::{Fetched, Halt, KeepPage, Page};
use crate::case::event::{Artifact, Event, Gap, GapReason, Listing, Origin};
use crate::case::{CaseError, CaseWriter, Committed, Pending, Staging};
use crate::model::Sha256Hash;

use super::progress::Progress;
use super::tally::{RowKey, Tally};

/// Longest that a staged artifact waits for company before it is committed.
const GROUP_WAIT: Duration = Duration::from_millis(200);
/// Artifacts committed together, and orders that wait meanwhile, where the process may hold that many files open.
const LARGE_GROUP: usize = 500;
/// The same where it may not.
const SMALL_GROUP: usize = 128;

/// What fetchers and sources tell the owner of the case.
#[derive(Debug)]
enum Order {
    Artifact { row: RowKey, pending: Box<Pending>, object: bool },
    Gap(Gap),
    Listing(Listing),
    Found { row: RowKey, objects: u64, bytes: u64 },
    AlreadyStored { row: RowKey, bytes: u64 },
    Notice { row: RowKey, text: String },
    Close,
}

/// Where fetchers and sources hand in what they have.
#[derive(Clone, Debug)]
pub(crate) struct Intake {
    orders: mpsc::Sender<Order>,
    staging: Option<Staging>,
    group: usize,
}

/// The other end, until an owner takes it up.
#[derive(Debug)]
pub(crate) struct Inbox {
    orders: mpsc::Receiver<Order>,
    group: usize,
}

impl Intake {
    /// An intake into `staging`; without one, everything is only counted.
    pub(crate) fn new(staging: Option<Staging>) -> (Self, Inbox) {
        let group = if raise_file_limit() { LARGE_GROUP } else { SMALL_GROUP };
        let (orders, waiting) = mpsc::channel(group);
        (Self { orders, staging, group }, Inbox { orders: waiting, group })
    }

    /// Whether the process may hold many files open.
    pub(crate) fn takes_many_files(&self) -> bool {
        self.group == LARGE_GROUP
    }

    async fn send(&self, order: Order) -> Result<(), Halt> {
        self.orders.send(order).await.map_err(|_| Halt::Closed)
    }

    pub(crate) async fn found(&self, row: &RowKey, objects: u64, bytes: u64) -> Result<(), Halt> {
        if objects == 0 { Ok(()) } else { self.send(Order::Found { row: row.clone(), objects, bytes }).await }
    }

    pub(crate) async fn already_stored(&self, row: &RowKey, bytes: u64) -> Result<(), Halt> {
        self.send(Order::AlreadyStored { row: row.clone(), bytes }).await
    }

    pub(crate) async fn gap(&self, gap: Gap) -> Result<(), Halt> {
        self.send(Order::Gap(gap)).await
    }

    pub(crate) async fn notice(&self, row: &RowKey, text: String) -> Result<(), Halt> {
        self.send(Order::Notice { row: row.clone(), text }).await
    }

    pub(crate) async fn listing(&self, listing: Listing) -> Result<(), Halt> {
        self.send(Order::Listing(listing)).await
    }

    /// Hands in a fetched object.
    pub(crate) async fn object(&self, row: &RowKey, fetched: Fetched) -> Result<(), Halt> {
        let Fetched { staged, content_sha256, origin, .. } = fetched;
        let origin = Origin::S3Object(Box::new(origin));
        let pending = pending(staged, content_sha256, origin)?;
        self.send(Order::Artifact { row: row.clone(), pending: Box::new(pending), object: true }).await
    }

    /// Says that nothing more comes.
    pub(crate) async fn close(&self) {
        // When the owner has ended by itself, it says why itself.
        let _ended = self.orders.send(Order::Close).await;
    }
}

impl KeepPage for Intake {
    fn keep(&self, page: Page) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send + '_>> {
        Box::pin(async move {
            let Some(staging) = self.staging.clone() else { return Ok(()) };
            let Page { path, body, origin } = page;
            let row = RowKey {
                source: super::known_source(&origin.source),
                account: Some(origin.account),
                region: Some(origin.region.clone()),
            };
            let staged = tokio::task::spawn_blocking(move || {
                let mut file = staging.stage(&path)?;
                file.write(&body)?;
                Ok::<_, CaseError>(file.finish())
            });
            let staged = staged.await.map_err(|_| Halt::TaskLost)??;
            let pending = pending(staged, None, Origin::ApiResponse(Box::new(origin)))?;
            self.send(Order::Artifact { row, pending: Box::new(pending), object: false }).await
        })
    }
}

fn pending(staged: crate::case::Staged, content_sha256: Option<Sha256Hash>, source: Origin) -> Result<Pending, Halt> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| Halt::TaskLost)?;
    let artifact = Artifact {
        path: staged.path().clone(),
        size: staged.size,
        sha256: staged.sha256,
        content_sha256,
        source,
        salt: hex::encode(salt),
    };
    Ok(Pending { staged, event: Event::ArtifactAcquired(Box::new(artifact)) })
}

/// The task that owns the case: it alone commits and appends, and it counts.
#[derive(Debug)]
pub(crate) struct Owner {
    case: Option<CaseWriter>,
    tally: Tally,
    progress: Arc<dyn Progress>,
}

/// How an owner ended: with its case, unless writing to it failed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) case: Option<CaseWriter>,
    pub(crate) tally: Tally,
    pub(crate) error: Option<CaseError>,
}

/// What belongs to an artifact while its group is committed.
struct Waiting {
    row: RowKey,
    object: bool,
    size: u64,
    what: String,
}

impl Owner {
    pub(crate) fn new(case: Option<CaseWriter>, progress: Arc<dyn Progress>) -> Self {
        Self { case, tally: Tally::default(), progress }
    }

    /// Takes orders until there are no more, then gives the case back.
    pub(crate) async fn run(mut self, inbox: Inbox) -> Ended {
        let Inbox { mut orders, group: largest } = inbox;
        let mut error = None;
        while let Some(order) = orders.recv().await {
            let mut group = Vec::new();
            let deadline = Instant::now() + GROUP_WAIT;
            let mut next = Some(order);
            while let Some(order) = next {
                match order {
                    Order::Close => orders.close(),
                    other => self.count(other, &mut group),
                }
                if group.len() >= largest {
                    break;
                }
                next = match (group.is_empty(), orders.try_recv()) {
                    (_, Ok(order)) => Some(order),
                    (true, Err(_)) => None,
                    (false, Err(_)) => timeout_at(deadline, orders.recv()).await.ok().flatten(),
                };
            }
            if let Err(failed) = self.commit(group).await {
                error = Some(failed);
                break;
            }
        }
        Ended { case: self.case, tally: self.tally, error }
    }

    /// Counts what only has to be counted, and lines up what has to be written.
    fn count(&mut self, order: Order, group: &mut Vec<Order>) {
        match order {
            Order::Found { row, objects, bytes } => {
                self.progress.found(row.source, objects, bytes);
                let row = self.tally.row(&row);
                row.found += objects;
                row.found_bytes += bytes;
            }
            Order::AlreadyStored { row, bytes } => {
                self.progress.stored(row.source, 1, bytes);
                self.tally.row(&row).already_stored += 1;
            }
            Order::Notice { row, text } => self.tally.notice(&row, text),
            Order::Gap(gap) => {
                self.tally.gap(&gap);
                group.push(Order::Gap(gap));
            }
            other => group.push(other),
        }
    }

    async fn commit(&mut self, group: Vec<Order>) -> Result<(), CaseError> {
        let Some(mut case) = self.case.take() else { return Ok(()) };
        let (mut artifacts, mut waiting, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for order in group {
            match order {
                Order::Artifact { row, pending, object } => {
                    let what = pending.staged.path().to_string();
                    waiting.push(Waiting { row, object, size: pending.staged.size, what });
                    artifacts.push(*pending);
                }
                Order::Gap(gap) => events.push(Event::GapRecorded(gap)),
                Order::Listing(listing) => events.push(Event::ListingRecorded(listing)),
                Order::Found { .. } | Order::AlreadyStored { .. } | Order::Notice { .. } | Order::Close => {}
            }
        }
        let written = tokio::task::spawn_blocking(move || {
            let committed = if artifacts.is_empty() { Ok(Vec::new()) } else { case.commit(artifacts) };
            let outcome = committed.and_then(|committed| {
                let refused = committed.iter().zip(&waiting).filter_map(|(outcome, waiting)| refusal(outcome, waiting));
                let refused: Vec<Gap> = refused.collect();
                events.extend(refused.iter().cloned().map(Event::GapRecorded));
                case.append_all(events)?;
                Ok((committed, waiting, refused))
            });
            (case, outcome)
        });
        let (case, outcome) = written.await.map_err(|_| CaseError::Poisoned)?;
        self.case = Some(case);
        let (committed, waiting, refused) = outcome?;
        for (outcome, waiting) in committed.iter().zip(&waiting) {
            let row = self.tally.row(&waiting.row);
            match (outcome, waiting.object) {
                (Committed::Stored(_), true) => {
                    row.stored += 1;
                    row.stored_bytes += waiting.size;
                }
                (Committed::Stored(_), false) => row.answers += 1,
                (Committed::AlreadyStored, true) => row.already_stored += 1,
                (Committed::AlreadyStored, false) | (Committed::Refused { .. }, _) => {}
            }
            if matches!(outcome, Committed::Stored(_)) {
                self.tally.all_bytes += waiting.size;
            }
            if waiting.object && !matches!(outcome, Committed::Refused { .. }) {
                self.progress.stored(waiting.row.source, 1, waiting.size);
            }
        }
        for gap in &refused {
            self.tally.gap(gap);
        }
        Ok(())
    }
}

/// The gap for an artifact whose name is taken by other bytes.
fn refusal(outcome: &Committed, waiting: &Waiting) -> Option<Gap> {
    matches!(outcome, Committed::Refused { .. }).then(|| Gap {
        source: waiting.row.source.to_owned(),
        account: waiting.row.account,
        region: waiting.row.region.clone(),
        what: waiting.what.clone(),
        reason: GapReason::ChangedDuringAcquisition,
        error_code: None,
        detail: Some("other bytes were stored under this name before; those were kept".to_owned()),
        request_id: None,
    })
}

/// Lets the process hold more files open, as far as it is allowed to. Whether that is enough for large groups.
fn raise_file_limit() -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const WANTED: u64 = 8_192;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= WANTED) {
        return true;
    }
    let wanted = limit.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    raised.is_ok() && wanted >= 2_048
}
