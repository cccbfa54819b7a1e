//! The way into the case: fetchers stage and hash, one task owns the case and appends.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::aws::{Body, Fetched, Halt, KeepPage, Page};
use crate::case::event::{Agreement, Artifact, Event, Gap, GapReason, Listing, Origin};
use crate::case::{CaseError, CaseWriter, Committed, IoContext as _, Pending, Staging, random_salt};
use crate::model::Sha256Hash;

use super::progress::Progress;
use super::tally::{RowKey, Tally};

/// Longest that a staged artifact waits for company before it is committed.
const GROUP_WAIT: Duration = Duration::from_millis(200);
/// Artifacts committed together, and orders that wait meanwhile, where the process may hold that many files open.
const LARGE_GROUP: usize = 500;
/// The same where it may not.
const SMALL_GROUP: usize = 128;
/// Artifacts staged together: a group is staged bit by bit, so that little is left to be written when its last one has come.
const BATCH: usize = 64;
/// Bytes in memory for which a batch does not wait for company any longer.
const FULL: usize = 16 * 1024 * 1024;

/// What fetchers and sources tell the owner of the case.
#[derive(Debug)]
enum Order {
    Artifact(Box<Acquired>),
    Gap(Gap),
    Listing(Listing),
    Found { row: RowKey, objects: u64, bytes: u64 },
    PassedOver { row: RowKey, bytes: u64 },
    AlreadyStored { row: RowKey, bytes: u64 },
    Notice { row: RowKey, text: String },
    UnlikeTag { row: RowKey, bucket: String, path: String },
    Close,
}

/// An artifact on its way into the case.
#[derive(Debug)]
struct Acquired {
    row: RowKey,
    body: Body,
    event: Event,
    object: bool,
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

    /// Counts an object out again that was found, and would not be had.
    pub(crate) async fn passed_over(&self, row: &RowKey, bytes: u64) -> Result<(), Halt> {
        self.send(Order::PassedOver { row: row.clone(), bytes }).await
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
        let Fetched { body, content_sha256, origin, .. } = fetched;
        if origin.aws_digest == Agreement::Mismatch {
            let (row, bucket) = (row.clone(), origin.bucket.clone());
            self.send(Order::UnlikeTag { row, bucket, path: body.path().to_string() }).await?;
        }
        let event = acquired(&body, content_sha256, Origin::S3Object(Box::new(origin)))?;
        self.send(Order::Artifact(Box::new(Acquired { row: row.clone(), body, event, object: true }))).await
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
            let staged = staged.await??;
            let body = Body::Staged(staged);
            let event = acquired(&body, None, Origin::ApiResponse(Box::new(origin)))?;
            self.send(Order::Artifact(Box::new(Acquired { row, body, event, object: false }))).await
        })
    }
}

fn acquired(body: &Body, content_sha256: Option<Sha256Hash>, source: Origin) -> Result<Event, Halt> {
    let salt = random_salt().doing("draw a salt for", Path::new(body.path().as_str())).map_err(CaseError::from)?;
    Ok(Event::ArtifactAcquired(Box::new(Artifact {
        path: body.path().clone(),
        size: body.size(),
        sha256: body.sha256(),
        content_sha256,
        source,
        salt,
    })))
}

/// The task that owns the case: it alone commits and appends, and it counts.
#[derive(Debug)]
pub(crate) struct Owner {
    case: Option<CaseWriter>,
    /// Where what is held in memory is written; none where everything is only counted.
    staging: Option<Staging>,
    /// The group that is being committed.
    committing: Option<JoinHandle<Written>>,
    tally: Tally,
    progress: Arc<dyn Progress>,
}

/// How an owner ended: with its case, unless writing to it failed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) case: Option<CaseWriter>,
    pub(crate) tally: Tally,
    /// Why an artifact could not be staged. The case is sound, and holds what could be.
    pub(crate) unstaged: Option<CaseError>,
    pub(crate) error: Option<CaseError>,
}

/// What belongs to an artifact while its group is committed.
#[derive(Debug)]
struct Waiting {
    row: RowKey,
    object: bool,
    size: u64,
    what: String,
}

/// A group whose artifacts are staged.
#[derive(Debug, Default)]
struct Group {
    artifacts: Vec<Pending>,
    waiting: Vec<Waiting>,
    events: Vec<Event>,
    /// Why those that are missing could not be staged.
    unstaged: Option<CaseError>,
}

impl Group {
    fn len(&self) -> usize {
        self.artifacts.len() + self.events.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What became of each artifact, what was waiting for it, and those that were refused.
type Outcomes = (Vec<Committed>, Vec<Waiting>, Vec<Gap>);

/// What came of committing a group: with the outcomes, what was waiting for them, and those that were refused.
#[derive(Debug)]
struct Written {
    case: CaseWriter,
    outcome: Result<Outcomes, CaseError>,
}

impl Owner {
    pub(crate) fn new(case: Option<CaseWriter>, progress: Arc<dyn Progress>) -> Self {
        let staging = case.as_ref().map(CaseWriter::staging);
        Self { case, staging, committing: None, tally: Tally::default(), progress }
    }

    /// Takes orders until there are no more, then gives the case back.
    pub(crate) async fn run(mut self, mut inbox: Inbox) -> Ended {
        let (unstaged, error) = match self.serve(&mut inbox).await {
            Ok(unstaged) => (unstaged, None),
            Err(error) => (None, Some(error)),
        };
        Ended { case: self.case, tally: self.tally, unstaged, error }
    }

    /// While one group is committed, which is waiting for the disk, the next one is gathered and staged.
    async fn serve(&mut self, inbox: &mut Inbox) -> Result<Option<CaseError>, CaseError> {
        let mut unstaged = None;
        while unstaged.is_none() {
            let order = match &mut self.committing {
                None => inbox.orders.recv().await,
                Some(committing) => tokio::select! {
                    order = inbox.orders.recv() => order,
                    written = committing => {
                        self.committing = None;
                        self.take_back(written.map_err(|_| CaseError::Poisoned)?)?;
                        continue;
                    }
                },
            };
            let Some(order) = order else { break };
            let Some(mut group) = self.staged_group(order, inbox).await? else { continue };
            unstaged = group.unstaged.take();
            self.settle().await?;
            if let Some(case) = self.case.take() {
                self.committing = Some(tokio::task::spawn_blocking(move || commit(case, group)));
            }
        }
        self.settle().await?;
        Ok(unstaged)
    }

    /// Gathers and stages a group, until it is full or has waited long enough. None where nothing has to be written.
    async fn staged_group(&mut self, first: Order, inbox: &mut Inbox) -> Result<Option<Group>, CaseError> {
        let deadline = Instant::now() + GROUP_WAIT;
        let (mut group, mut next) = (Group::default(), Some(first));
        while let Some(order) = next.take() {
            let gathered = self.gather(order, inbox, deadline).await;
            if let Some(staging) = self.staging.clone().filter(|_| !gathered.is_empty()) {
                let staged = tokio::task::spawn_blocking(move || {
                    stage(&staging, gathered, &mut group);
                    group
                });
                group = staged.await.map_err(|_| CaseError::Poisoned)?;
            }
            if !group.is_empty() && group.unstaged.is_none() && group.len() < inbox.group && Instant::now() < deadline {
                next = timeout_at(deadline, inbox.orders.recv()).await.ok().flatten();
            }
        }
        Ok(Some(group).filter(|group| !group.is_empty() || group.unstaged.is_some()))
    }

    /// Takes orders until a batch is full, or the deadline is there.
    async fn gather(&mut self, first: Order, inbox: &mut Inbox, deadline: Instant) -> Vec<Order> {
        let (mut group, mut held) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Close => inbox.orders.close(),
                other => held += self.count(other, &mut group),
            }
            if group.len() >= BATCH || held >= FULL {
                break;
            }
            next = match (group.is_empty(), inbox.orders.try_recv()) {
                (_, Ok(order)) => Some(order),
                (true, Err(_)) => None,
                (false, Err(_)) => timeout_at(deadline, inbox.orders.recv()).await.ok().flatten(),
            };
        }
        group
    }

    /// Counts what only has to be counted, and lines up what has to be written. Gives the bytes that it holds in memory.
    fn count(&mut self, order: Order, group: &mut Vec<Order>) -> usize {
        match order {
            Order::Found { row, objects, bytes } => {
                self.progress.found(row.source, objects, bytes);
                let row = self.tally.row(&row);
                row.found += objects;
                row.found_bytes += bytes;
            }
            Order::PassedOver { row, bytes } => {
                let row = self.tally.row(&row);
                row.found = row.found.saturating_sub(1);
                row.found_bytes = row.found_bytes.saturating_sub(bytes);
            }
            Order::AlreadyStored { row, bytes } => {
                self.progress.stored(row.source, 1, bytes);
                self.tally.row(&row).already_stored += 1;
            }
            Order::Notice { row, text } => self.tally.notice(&row, text),
            Order::UnlikeTag { row, bucket, path } => self.tally.unlike_tag(&row, bucket, path),
            Order::Gap(gap) => {
                self.tally.gap(&gap);
                group.push(Order::Gap(gap));
            }
            Order::Artifact(acquired) => {
                let held = acquired.body.held().map_or(0, <[u8]>::len);
                group.push(Order::Artifact(acquired));
                return held;
            }
            other => group.push(other),
        }
        0
    }

    /// Waits until the group that is being committed is on disk.
    async fn settle(&mut self) -> Result<(), CaseError> {
        match self.committing.take() {
            Some(committing) => self.take_back(committing.await.map_err(|_| CaseError::Poisoned)?),
            None => Ok(()),
        }
    }

    /// Takes the case back from a commit, and counts what it stored.
    fn take_back(&mut self, written: Written) -> Result<(), CaseError> {
        self.case = Some(written.case);
        let (committed, waiting, refused) = written.outcome?;
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

/// Writes what is held in memory, up to the first that cannot be written. What could be staged is committed all the same.
fn stage(staging: &Staging, orders: Vec<Order>, group: &mut Group) {
    for order in orders {
        match order {
            Order::Artifact(_) if group.unstaged.is_some() => {}
            Order::Artifact(acquired) => {
                let Acquired { row, body, event, object } = *acquired;
                match body.stage(staging) {
                    Ok(staged) => {
                        let (size, what) = (staged.size, staged.path().to_string());
                        group.waiting.push(Waiting { row, object, size, what });
                        group.artifacts.push(Pending { staged, event });
                    }
                    Err(error) => group.unstaged = Some(error),
                }
            }
            Order::Gap(gap) => group.events.push(Event::GapRecorded(gap)),
            Order::Listing(listing) => group.events.push(Event::ListingRecorded(listing)),
            Order::Found { .. }
            | Order::PassedOver { .. }
            | Order::AlreadyStored { .. }
            | Order::Notice { .. }
            | Order::UnlikeTag { .. }
            | Order::Close => {}
        }
    }
}

/// Commits a group: its artifacts first, then what else is to be recorded.
fn commit(mut case: CaseWriter, group: Group) -> Written {
    let Group { artifacts, waiting, mut events, .. } = group;
    let committed = if artifacts.is_empty() { Ok(Vec::new()) } else { case.commit(artifacts) };
    let outcome = committed.and_then(|committed| {
        let refused = committed.iter().zip(&waiting).filter_map(|(outcome, waiting)| refusal(outcome, waiting));
        let refused: Vec<Gap> = refused.collect();
        events.extend(refused.iter().cloned().map(Event::GapRecorded));
        case.append_all(events)?;
        Ok((committed, waiting, refused))
    });
    Written { case, outcome }
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
