//! What a source works with: the scope, the session, permits that bound what is under way, and the only ways to bring in an object, a gap or
//! a notice. In a plan the same only counts.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

use crate::aws::{Failure, FailureKind, Fetched, Halt, ListedObject, ObjectFetcher, Recorder, Session, Wanted, try_reading};
use crate::case::event::{Caller, Gap, GapReason};
use crate::case::gap::Subject;
use crate::case::{CaseError, CaseFolder, Staging, read_bounded};
use crate::model::{AccountId, PayloadPath, Region, S3Location, Sha256Hash, Timestamp, Window};

use super::askers::{Asker, Door};
use super::notes::Notes;
use super::on_body::OnBody;
use super::parallelism::{self, Parallelism};
use super::pipeline::Intake;
use super::progress::Progress;
use super::recorded::RecordedHashes;
use super::regions::Regions;
use super::shared::Shared;
use super::tally::RowKey;
use super::{MOST_AT_ONCE, Request};

/// Largest stored object that is read again.
const READ_BACK_LIMIT: u64 = 64 * 1024 * 1024;
/// Questions of discovery on their way at once, in all regions together: enough to ask every region in one round.
const DISCOVERIES: usize = 32;
/// Regions whose disks or networks are asked about at once: a dozen questions each, with long answers.
const SURVEYS: usize = 8;
/// Places that are listed at once to be fetched: each holds the names of two pages.
const SWEEPS: usize = 16;
/// Most objects fetched at once where the process may not hold many files open.
const MOST_WITH_FEW_FILES: usize = 48;

/// One acquisition on its way: what every source needs, and the only way for it to bring anything in.
#[derive(Debug)]
pub struct Errand {
    pub(crate) recorder: Recorder,
    pub(crate) request: Request,
    /// The enabled regions in scope.
    pub(crate) regions: Vec<Region>,
    /// The other enabled ones.
    pub(crate) regions_left_out: Vec<Region>,
    /// When the run began: the end of what it can know of.
    pub(crate) now: Timestamp,
    pub(crate) intake: Intake,
    pub(crate) progress: Arc<dyn Progress>,
    /// What the errands of the run share.
    pub(crate) notes: Arc<Notes>,
    collecting: Option<Collecting>,
    /// How many objects are fetched at once, by bucket.
    levels: Shared<HashMap<String, Arc<Parallelism>>>,
    /// Bounds what is discovered at once.
    discoveries: Arc<Semaphore>,
    /// Bounds the regions that are asked a dozen questions at once.
    surveys: Arc<Semaphore>,
    /// Bounds what is listed at once to be fetched.
    sweeps: Arc<Semaphore>,
    /// Requests that a collection makes and a plan does not.
    expected: AtomicU64,
}

/// What only a collection has.
#[derive(Debug)]
struct Collecting {
    fetcher: ObjectFetcher,
    root: PathBuf,
    folder: CaseFolder,
    /// What was stored under the names of files that are lost, once there is one.
    recorded: OnceCell<RecordedHashes>,
}

impl Collecting {
    /// Whether these are the bytes that the ledger names for a path.
    async fn are_recorded(&self, path: &PayloadPath, sha256: Sha256Hash) -> Result<bool, Halt> {
        let read = async {
            let folder = self.folder.clone();
            Ok::<_, Halt>(tokio::task::spawn_blocking(move || RecordedHashes::read(&folder)).await??)
        };
        Ok(self.recorded.get_or_try_init(|| read).await?.are(path, sha256))
    }
}

/// The keys of objects that are not there.
pub(crate) type Absent = Arc<Shared<BTreeSet<String>>>;

impl Errand {
    pub(crate) fn new(
        recorder: Recorder,
        request: Request,
        regions: Regions,
        now: Timestamp,
        intake: Intake,
        progress: Arc<dyn Progress>,
        case: Option<(Staging, CaseFolder)>,
    ) -> Self {
        let collecting = case.map(|(staging, folder)| Collecting {
            fetcher: ObjectFetcher::new(recorder.session(), staging),
            root: folder.root().to_owned(),
            folder,
            recorded: OnceCell::new(),
        });
        Self {
            recorder,
            request,
            regions: regions.in_scope,
            regions_left_out: regions.left_out,
            now,
            intake,
            progress,
            notes: Arc::default(),
            collecting,
            levels: Shared::default(),
            discoveries: Arc::new(Semaphore::new(DISCOVERIES)),
            surveys: Arc::new(Semaphore::new(SURVEYS)),
            sweeps: Arc::new(Semaphore::new(SWEEPS)),
            expected: AtomicU64::new(0),
        }
    }

    /// The same, sharing what other errands of the run noted.
    pub(crate) fn sharing(mut self, notes: &Arc<Notes>) -> Self {
        self.notes = Arc::clone(notes);
        self
    }

    /// Who asks, and with what.
    pub(crate) fn asker(&self) -> Asker {
        let fetcher = self.collecting.as_ref().map(|collecting| collecting.fetcher.clone());
        Asker { recorder: self.recorder.clone(), fetcher }
    }

    /// The conversation with AWS.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.recorder.session()
    }

    /// Who is asking.
    pub(crate) fn caller(&self) -> &Caller {
        self.session().caller()
    }

    pub(crate) fn window(&self) -> Window {
        self.request.window
    }

    /// Whether an account is in scope.
    pub(crate) fn wants_account(&self, account: AccountId) -> bool {
        let accounts = &self.request.scope.accounts;
        accounts.is_empty() || accounts.contains(&account)
    }

    /// Whether a region is in scope, whether or not the account has it enabled.
    pub(crate) fn wants_region(&self, region: &Region) -> bool {
        let regions = &self.request.scope.regions;
        regions.is_empty() || regions.contains(region)
    }

    /// Whether this only counts.
    pub(crate) fn is_plan(&self) -> bool {
        self.collecting.is_none()
    }

    /// Notes requests that a collection makes and a plan does not.
    pub(crate) fn expect_requests(&self, requests: u64) {
        self.expected.fetch_add(requests, Ordering::Relaxed);
    }

    pub(crate) fn expected_requests(&self) -> u64 {
        self.expected.load(Ordering::Relaxed)
    }

    /// A permit for one discovery. Whoever holds one waits for no other permit.
    pub(crate) async fn discovery(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Halt> {
        Arc::clone(&self.discoveries).acquire_owned().await.map_err(|_| Halt::Closed)
    }

    /// A permit to ask one region all about its disks or networks. Whoever holds one waits for no other permit.
    pub(crate) async fn survey(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Halt> {
        Arc::clone(&self.surveys).acquire_owned().await.map_err(|_| Halt::Closed)
    }

    /// A permit to list one place and fetch what it names. Whoever holds one waits for no other permit.
    pub(crate) async fn sweeping(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Halt> {
        Arc::clone(&self.sweeps).acquire_owned().await.map_err(|_| Halt::Closed)
    }

    /// Records something in scope that is not there.
    pub(crate) async fn gap(
        &self,
        row: &RowKey,
        what: &(impl fmt::Display + ?Sized),
        reason: GapReason,
        detail: Option<&str>,
    ) -> Result<(), Halt> {
        self.intake.gap(gap(row, what, reason, detail)).await
    }

    /// Tells people of something notable that is not missing.
    pub(crate) async fn notice(&self, row: &RowKey, text: String) -> Result<(), Halt> {
        self.progress.note(&text);
        self.intake.notice(row, text).await
    }

    /// Records a request that failed, and what that means.
    pub(crate) async fn failed(
        &self,
        row: &RowKey,
        what: &(impl fmt::Display + ?Sized),
        failure: &Failure,
    ) -> Result<(), Halt> {
        self.intake.gap(gap_of(row, what, failure)).await
    }

    /// The level of a bucket: what was asked for, or one that finds itself.
    fn level(&self, bucket: &str) -> Arc<Parallelism> {
        let mut levels = self.levels.lock();
        if let Some(level) = levels.get(bucket) {
            return Arc::clone(level);
        }
        let most = if self.intake.takes_many_files() { MOST_AT_ONCE } else { MOST_WITH_FEW_FILES };
        let (first, most) = match self.request.concurrency {
            None => (parallelism::FIRST, most),
            Some(asked) => (asked.get(), asked.get().min(most)),
        };
        let level = Parallelism::new(first, most, Instant::now());
        levels.insert(bucket.to_owned(), Arc::clone(&level));
        level
    }

    /// Fetches an object in a task of its own, as soon as there is room for one more.
    pub(crate) async fn want(
        self: &Arc<Self>,
        tasks: &mut JoinSet<Result<(), Halt>>,
        bucket_region: &Region,
        wanted: Wanted,
        on_body: Option<OnBody>,
    ) -> Result<(), Halt> {
        self.want_or_note(tasks, bucket_region, wanted, on_body, None).await
    }

    /// Fetches an object in a task of its own, and notes its key where there is none.
    pub(crate) async fn want_if_there(
        self: &Arc<Self>,
        tasks: &mut JoinSet<Result<(), Halt>>,
        bucket_region: &Region,
        wanted: Wanted,
        absent: &Absent,
    ) -> Result<(), Halt> {
        let wanted = Wanted { optional: true, ..wanted };
        self.want_or_note(tasks, bucket_region, wanted, None, Some(Arc::clone(absent))).await
    }

    async fn want_or_note(
        self: &Arc<Self>,
        tasks: &mut JoinSet<Result<(), Halt>>,
        bucket_region: &Region,
        wanted: Wanted,
        on_body: Option<OnBody>,
        absent: Option<Absent>,
    ) -> Result<(), Halt> {
        if self.collecting.is_none() && wanted.archived {
            return self.pass_over(&wanted).await;
        }
        if self.collecting.is_none() {
            return self.try_reading(bucket_region, &wanted).await;
        }
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
        let slot = self.level(&wanted.location.bucket).slot().await?;
        let (errand, bucket_region) = (Arc::clone(self), bucket_region.clone());
        tasks.spawn(async move {
            let (mut effort, key) = (Effort::default(), absent.is_some().then(|| wanted.location.key.clone()));
            let done = errand.fetch(&bucket_region, wanted, on_body, &mut effort).await;
            slot.done(effort.bytes, effort.throttled);
            if let (Some(absent), Some(key), true) = (absent, key, effort.absent) {
                absent.lock().insert(key);
            }
            done
        });
        Ok(())
    }

    /// For a plan: counts an object out that has to be restored before a collection could have it.
    async fn pass_over(&self, wanted: &Wanted) -> Result<(), Halt> {
        let row = RowKey::of(wanted);
        self.intake.passed_over(&row, wanted.size.unwrap_or(0)).await?;
        let detail = "the listing names a storage class from which it has to be restored first";
        self.gap(&row, &wanted.name(), GapReason::Archived, Some(detail)).await
    }

    /// For a plan: finds out with the first object of each bucket whether its objects, or their earlier versions, may be read.
    async fn try_reading(&self, bucket_region: &Region, wanted: &Wanted) -> Result<(), Halt> {
        let action = if wanted.version.is_some() { "GetObjectVersion" } else { "GetObject" };
        let claim = format!("{action} in {} as {}", wanted.location.bucket, self.caller().account);
        if wanted.size == Some(0) || !self.notes.claim(claim) {
            return Ok(());
        }
        let tried =
            self.ask(door(wanted), |asker| async move { try_reading(asker.recorder.session(), bucket_region, wanted).await });
        let Err(failure) = tried.await? else { return Ok(()) };
        let row = RowKey::of(wanted);
        let of_key = failure.message.contains("kms:") || failure.code.as_ref().is_some_and(|code| code.starts_with("KMS"));
        let action = if of_key { "kms:Decrypt" } else { action };
        self.failed(&row, &Subject::answer_about(action, &wanted.name()), &failure).await
    }

    async fn fetch(
        &self,
        bucket_region: &Region,
        wanted: Wanted,
        on_body: Option<OnBody>,
        effort: &mut Effort,
    ) -> Result<(), Halt> {
        let Some(collecting) = &self.collecting else { return Ok(()) };
        let row = RowKey::of(&wanted);
        let path = wanted.path();
        // Only this run can have stored what the ledger did not name when the run began: committing it twice does no harm.
        let was_stored = self.notes.stored().knows(&path);
        if was_stored && let Ok(stored) = collecting.root.join(path.as_str()).symlink_metadata() {
            // A version never changes but the one that is called `null`: what is stored while versioning is suspended takes its place.
            let may_change = wanted.version.as_deref().is_none_or(|version| version == "null");
            let another = may_change && self.notes.stored().differs(&path, wanted.etag.as_deref(), wanted.last_modified);
            if another || wanted.size.is_some_and(|listed| listed != stored.len()) {
                let detail = "the object that the bucket holds now is not the one that was stored; that one was kept";
                let what = wanted.name();
                return self.gap(&row, &what, GapReason::ChangedDuringAcquisition, Some(detail)).await;
            }
            if let Some(on_body) = on_body {
                let folder = collecting.folder.clone();
                let (key, size) = (wanted.location.key.clone(), stored.len());
                let reading = move || {
                    if size > READ_BACK_LIMIT {
                        (on_body.read)(&key, None);
                    } else if let Ok(body) = read_bounded(&folder, path.as_str(), READ_BACK_LIMIT) {
                        // Bytes that cannot be read back are for verification to report.
                        (on_body.read)(&key, Some(&body));
                    }
                };
                tokio::task::spawn_blocking(reading).await?;
            }
            if wanted.size.is_none() {
                self.intake.found(&row, 1, stored.len()).await?;
            }
            return self.intake.already_stored(&row, stored.len()).await;
        }
        let (asked, there) = (&wanted, &path);
        let fetching = self.ask(door(asked), |asker| async move {
            let Some(fetcher) = asker.fetcher else { return Err(Halt::Closed) };
            fetcher.fetch(bucket_region, asked, there).await
        });
        match fetching.await? {
            Ok(mut fetched) => {
                *effort = Effort { bytes: fetched.body.size(), throttled: fetched.throttled, absent: false };
                // The name of a lost file is kept for the bytes that the file had.
                if was_stored && !collecting.are_recorded(&path, fetched.body.sha256()).await? {
                    let detail =
                        "the file that was stored is lost, and the bucket holds other bytes now, which do not take its place";
                    return self.gap(&row, &wanted.name(), GapReason::ChangedDuringAcquisition, Some(detail)).await;
                }
                if let Some(on_body) = on_body {
                    fetched = show(fetched, &wanted.location.key, on_body).await?;
                }
                // What no listing named is counted when it is there.
                if wanted.size.is_none() {
                    self.intake.found(&row, 1, fetched.body.size()).await?;
                }
                self.intake.object(&row, fetched).await
            }
            Err(failure) if wanted.optional && failure.kind == FailureKind::NotFound => {
                effort.absent = true;
                Ok(())
            }
            Err(failure) => {
                effort.throttled = failure.kind == FailureKind::Throttled;
                self.failed(&row, &wanted.name(), &failure).await
            }
        }
    }
}

impl RowKey {
    /// The row of an object that is fetched.
    fn of(wanted: &Wanted) -> Self {
        Self { source: wanted.source, account: wanted.account, region: wanted.region.clone() }
    }

    /// An object of the row, of which nothing is known but where it should lie.
    pub(crate) fn wanted(&self, location: S3Location) -> Wanted {
        Wanted {
            source: self.source,
            account: self.account,
            region: self.region.clone(),
            location,
            size: None,
            etag: None,
            last_modified: None,
            version: None,
            optional: false,
            archived: false,
        }
    }

    /// An object of the row, as a listing names it.
    pub(crate) fn wanted_as_listed(&self, bucket: &str, object: ListedObject) -> Wanted {
        let ListedObject { key, size, etag, last_modified, archived } = object;
        Wanted { size: Some(size), etag, last_modified, archived, ..self.wanted(S3Location::new(bucket, key)) }
    }
}

/// What it takes to fetch an object.
fn door(wanted: &Wanted) -> Door<'_> {
    let act = if wanted.version.is_some() { "get a version" } else { "get" };
    Door { act, bucket: &wanted.location.bucket, account: wanted.account }
}

/// Shows what was fetched to whoever reads it, before it is handed in.
async fn show(fetched: Fetched, key: &str, on_body: OnBody) -> Result<Fetched, Halt> {
    if let Some(body) = fetched.body.held() {
        (on_body.read)(key, Some(body));
        return Ok(fetched);
    }
    if !on_body.large {
        return Ok(fetched);
    }
    let key = key.to_owned();
    let reading = move || {
        let body = fetched.body.read_again(READ_BACK_LIMIT)?;
        (on_body.read)(&key, body.as_deref());
        Ok::<_, CaseError>(fetched)
    };
    Ok(tokio::task::spawn_blocking(reading).await??)
}

/// What a fetch took, as far as it says how many should go on at once.
#[derive(Clone, Copy, Debug, Default)]
struct Effort {
    bytes: u64,
    throttled: bool,
    /// Whether there is no such object.
    absent: bool,
}

/// Waits for all tasks; the first that ends the run ends them all.
pub(crate) async fn join_all(tasks: &mut JoinSet<Result<(), Halt>>) -> Result<(), Halt> {
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// The gap of a row. `what` is in the words of a [`Subject`], for whoever reads it out of the ledger.
pub(crate) fn gap(row: &RowKey, what: &(impl fmt::Display + ?Sized), reason: GapReason, detail: Option<&str>) -> Gap {
    Gap {
        source: row.source.to_owned(),
        account: row.account,
        region: row.region.clone(),
        what: what.to_string(),
        reason,
        error_code: None,
        detail: detail.map(str::to_owned),
        request_id: None,
    }
}

pub(crate) fn gap_of(row: &RowKey, what: &(impl fmt::Display + ?Sized), failure: &Failure) -> Gap {
    let reason = match failure.kind {
        FailureKind::Denied | FailureKind::Credentials => GapReason::Denied,
        FailureKind::NotEnabled => GapReason::NotEnabled,
        FailureKind::Archived => GapReason::Archived,
        FailureKind::Changed => GapReason::ChangedDuringAcquisition,
        FailureKind::NotFound | FailureKind::Throttled | FailureKind::Network | FailureKind::NotOfAws | FailureKind::Other => {
            GapReason::Failed
        }
    };
    Gap {
        error_code: failure.code.clone(),
        request_id: failure.request_id.clone(),
        ..gap(row, what, reason, Some(failure.message.as_str()).filter(|message| !message.is_empty()))
    }
}
