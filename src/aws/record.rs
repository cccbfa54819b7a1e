//! Raw first: in a collection every answer of an API goes into the case as it came, and is not asked for again as long as it is good.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use chrono::TimeDelta;
use tokio::time::Instant;

use crate::case::event::{Event, Exchange, Origin, ResponseOrigin};
use crate::case::{CaseError, CaseFolder, CaseWriter, read_bounded};
use crate::model::{AccountId, PayloadPath, Region, Sha256Hash, Timestamp};

use super::Halt;
use super::exchange::ExchangeTap;
use super::failure::{Failure, is_answer_for_good};
use super::session::Session;
use super::wire::{STORED_ANSWER, StoredAnswer};

/// Largest stored answer that is read back.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;
/// How long after the end of the time that a question is about nothing new belongs to it any more: as long as deliveries are waited for.
const CLOSED_AFTER: i64 = 2 * 3600;
/// How long it stays known, while a run is taken up again, who may use a single thing.
///
/// An account may have so many of them that no session lasts until all have been asked about.
const USERS_KNOWN_FOR: TimeDelta = TimeDelta::days(1);

/// One question to AWS, as the ledger names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The evidence source that asks.
    pub source: &'static str,
    /// The service, as in IAM policies.
    pub service: &'static str,
    /// The account asked about.
    pub account: AccountId,
    /// The region asked.
    pub region: Region,
    /// The operation.
    pub operation: &'static str,
    /// What is asked, without tokens and secrets.
    pub parameters: BTreeMap<String, String>,
    /// Whether the operation is one of those that AWS grants twice a second, by account and region.
    pub paced: bool,
}

impl Call {
    /// A question without parameters.
    #[must_use]
    pub fn new(
        source: &'static str,
        service: &'static str,
        operation: &'static str,
        account: AccountId,
        region: &Region,
    ) -> Self {
        Self { source, service, account, region: region.clone(), operation, parameters: BTreeMap::new(), paced: false }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// The same, at the pace that AWS grants for it.
    #[must_use]
    pub fn paced(mut self) -> Self {
        self.paced = true;
        self
    }

    fn identity(&self) -> Sha256Hash {
        identity(self.service, self.account, &self.region, self.operation, &self.parameters)
    }
}

fn identity(
    service: &str,
    account: AccountId,
    region: &Region,
    operation: &str,
    parameters: &BTreeMap<String, String>,
) -> Sha256Hash {
    let mut text = format!("{service}\n{account}\n{region}\n{operation}\n");
    for (name, value) in parameters {
        // Lengths, so that no two lists of parameters read alike.
        text.extend([name, value].map(|part| format!("{}:{part}\n", part.len())));
    }
    Sha256Hash::of(text.as_bytes())
}

/// One raw answer, to be kept as an artifact.
#[derive(Debug)]
pub struct Page {
    /// Where it belongs.
    pub path: PayloadPath,
    /// Its bytes, as AWS sent them.
    pub body: Vec<u8>,
    /// What the ledger says of it.
    pub origin: ResponseOrigin,
}

/// Takes raw answers into the case.
pub trait KeepPage: Send + Sync + fmt::Debug {
    /// Keeps one.
    fn keep(&self, page: Page) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send + '_>>;
}

/// The answers that a case holds already, and that a new one could not differ from.
///
/// What is listed, and whatever is said of the present, is asked anew by every run: what came or went meanwhile would be missed.
#[derive(Debug, Default)]
pub struct Answers {
    folder: Option<CaseFolder>,
    pages: HashMap<Sha256Hash, Vec<StoredPage>>,
    numbers: HashMap<String, u32>,
}

#[derive(Clone, Debug)]
struct StoredPage {
    path: PayloadPath,
    sha256: Sha256Hash,
    status: u16,
    last: bool,
    good: Good,
}

/// How long an answer is as good as a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Good {
    /// It is of a time that is over.
    ForEver,
    /// Since then, as long as no run came to its end.
    Since(Timestamp, u32),
}

impl Good {
    fn is_at(self, now: Timestamp, finished_runs: u32) -> bool {
        match self {
            Self::ForEver => true,
            Self::Since(at, runs) => {
                runs == finished_runs && now.instant().signed_duration_since(at.instant()) < USERS_KNOWN_FOR
            }
        }
    }
}

/// Whether what was answered at a time can be taken up again.
fn good(operation: &str, parameters: &BTreeMap<String, String>, answered: Timestamp, finished_runs: u32) -> Option<Good> {
    let end: Timestamp = match operation {
        "LookupEvents" => parameters.get("EndTime")?.parse().ok()?,
        "FilterLogEvents" => {
            let milliseconds = parameters.get("endTime")?.parse().ok()?;
            Timestamp::new(chrono::DateTime::from_timestamp_millis(milliseconds)?)
        }
        "DescribeSnapshotAttribute" | "DescribeImageAttribute" => return Some(Good::Since(answered, finished_runs)),
        _ => return None,
    };
    (end.plus_seconds(CLOSED_AFTER) <= answered).then_some(Good::ForEver)
}

impl Answers {
    /// Reads from the ledger which answers can be taken up again, and how far the numbers of all have come.
    ///
    /// `also` is shown every event and when it was recorded, so that the ledger is read once for all who want to know it.
    pub fn of_case(case: &CaseWriter, now: Timestamp, also: &mut dyn FnMut(&Event, Timestamp)) -> Result<Self, CaseError> {
        let mut answers = Self { folder: Some(case.files()?), ..Self::default() };
        let mut finished_runs = 0;
        case.read_ledger(&mut |line| {
            also(&line.entry.event, line.entry.at);
            match &line.entry.event {
                Event::CollectionFinished(_) => finished_runs += 1,
                Event::ArtifactAcquired(artifact) => {
                    let Origin::ApiResponse(origin) = &artifact.source else { return };
                    let number = answers.numbers.entry(folder_of(artifact.path.as_str()).to_owned()).or_default();
                    *number = (*number).max(number_of(artifact.path.as_str()));
                    // AWS's clock, where it showed it, decides whether a time was over.
                    let answered = origin.exchange.date.unwrap_or(line.entry.at);
                    let Some(good) = good(&origin.operation, &origin.parameters, answered, finished_runs) else { return };
                    let key = identity(&origin.service, origin.account, &origin.region, &origin.operation, &origin.parameters);
                    let pages = answers.pages.entry(key).or_default();
                    let place = usize::try_from(origin.page).unwrap_or(usize::MAX).saturating_sub(1);
                    // A later answer to the same question replaces what was known from its page on.
                    pages.truncate(place);
                    if pages.len() == place {
                        pages.push(StoredPage {
                            path: artifact.path.clone(),
                            sha256: artifact.sha256,
                            status: origin.status,
                            last: origin.last,
                            good,
                        });
                    }
                }
                _ => {}
            }
        })?;
        // Tokens expire within the hour, so pages that do not lead to the end of their answer lead nowhere.
        answers.pages.retain(|_, pages| {
            pages.last().is_some_and(|page| page.last) && pages.iter().all(|page| page.good.is_at(now, finished_runs))
        });
        Ok(answers)
    }

    /// A stored page's status and bytes, if they are still the ones that the ledger names.
    async fn page(&self, call: &Call, page: u32) -> Option<StoredAnswer> {
        let place = usize::try_from(page).ok()?.checked_sub(1)?;
        let stored = self.pages.get(&call.identity())?.get(place)?.clone();
        let folder = self.folder.clone()?;
        tokio::task::spawn_blocking(move || {
            let body = read_bounded(&folder, stored.path.as_str(), ANSWER_LIMIT).ok()?;
            (Sha256Hash::of(&body) == stored.sha256).then_some(StoredAnswer { status: stored.status, body })
        })
        .await
        .ok()
        .flatten()
    }
}

/// Whether a stored answer need not be asked for again.
fn is_settled(status: u16, body: &[u8]) -> bool {
    (200..300).contains(&status)
        || ((400..500).contains(&status) && error_code(body).is_some_and(|code| is_answer_for_good(&code)))
}

/// The error code in a body of the JSON, XML or Query protocol.
fn error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if let Some((_, rest)) = text.split_once("<Code>") {
        return rest.split_once("</Code>").map(|(code, _)| code.to_owned());
    }
    let fields: serde_json::Value = serde_json::from_str(text).ok()?;
    let code = fields.get("__type").or_else(|| fields.get("code"))?.as_str()?;
    Some(code.rsplit('#').next().unwrap_or(code).to_owned())
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn number_of(path: &str) -> u32 {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Asks AWS, and keeps every answer byte for byte before anything is concluded from it.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<RecorderState>,
}

#[derive(Debug)]
struct RecorderState {
    session: Session,
    keeper: Option<Arc<dyn KeepPage>>,
    answers: Arc<Answers>,
    /// The last number given, by folder.
    numbers: Arc<Mutex<HashMap<String, u32>>>,
    /// When the next paced request may go out, by region.
    paces: Mutex<HashMap<Region, Instant>>,
}

impl Recorder {
    /// A recorder that keeps nothing: for plans.
    #[must_use]
    pub fn absent(session: &Session) -> Self {
        Self::with(session, None, Answers::default())
    }

    /// A recorder that keeps every answer, and does not ask again what `answers` holds.
    #[must_use]
    pub fn keeping(session: &Session, keeper: Arc<dyn KeepPage>, answers: Answers) -> Self {
        Self::with(session, Some(keeper), answers)
    }

    fn with(session: &Session, keeper: Option<Arc<dyn KeepPage>>, mut answers: Answers) -> Self {
        let numbers = Arc::new(Mutex::new(std::mem::take(&mut answers.numbers)));
        let answers = Arc::new(answers);
        Self { inner: Arc::new(RecorderState { session: session.clone(), keeper, answers, numbers, paces: Mutex::default() }) }
    }

    /// A recorder into the same case, of the same run, that asks as somebody else.
    #[must_use]
    pub fn with_session(&self, session: &Session) -> Self {
        Self {
            inner: Arc::new(RecorderState {
                session: session.clone(),
                keeper: self.inner.keeper.clone(),
                answers: Arc::clone(&self.inner.answers),
                numbers: Arc::clone(&self.inner.numbers),
                // AWS grants its pace to each account.
                paces: Mutex::default(),
            }),
        }
    }

    /// The session that is recorded.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.inner.session
    }

    /// Asks for one page of an answer.
    ///
    /// `send` performs the operation with the tap as its interceptor; `last` says whether the page is the answer's end. A refusal is
    /// an answer too: its body is kept, and it comes back as the inner error.
    pub async fn call<O, E, F>(
        &self,
        call: &Call,
        page: u32,
        last: impl Fn(&O) -> bool,
        send: impl Fn(ExchangeTap) -> F,
    ) -> Result<Result<O, Failure>, Halt>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // What was refused may be permitted now; what did not exist is an answer for good.
        if let Some(stored) = self.inner.answers.page(call, page).await
            && is_settled(stored.status, &stored.body)
        {
            let answer = STORED_ANSWER.scope(stored, send(ExchangeTap::default())).await;
            return Ok(answer.map_err(|error| Failure::of(&error)));
        }
        if call.paced {
            self.await_turn(&call.region).await;
        }
        let tap = ExchangeTap::default();
        let outcome = send(tap.clone()).await;
        self.inner.session.note(&tap);
        let ends = outcome.as_ref().map_or(true, last);
        if let Some((status, body)) = tap.take_answer()
            && !body.is_empty()
        {
            self.keep(call, page, ends, status, body, tap.exchange()).await?;
        }
        match outcome {
            Ok(output) => {
                self.inner.session.answered();
                Ok(Ok(output))
            }
            Err(error) => Ok(Err(self.inner.session.judge(Failure::of(&error)).await?)),
        }
    }

    /// Waits for the next turn of a paced request.
    async fn await_turn(&self, region: &Region) {
        let interval = self.inner.session.pace();
        let turn = {
            let mut paces = self.inner.paces.lock().unwrap_or_else(PoisonError::into_inner);
            let (now, next) = (Instant::now(), paces.get(region).copied());
            let turn = next.map_or(now, |next| next.max(now));
            paces.insert(region.clone(), turn + interval);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    async fn keep(
        &self,
        call: &Call,
        page: u32,
        last: bool,
        status: u16,
        body: Vec<u8>,
        exchange: Exchange,
    ) -> Result<(), Halt> {
        let Some(keeper) = &self.inner.keeper else { return Ok(()) };
        let extension = if body.trim_ascii_start().first() == Some(&b'<') { "xml" } else { "json" };
        let path =
            |number| PayloadPath::for_api_page(call.service, call.account, &call.region, call.operation, number, extension);
        let number = {
            let mut numbers = self.inner.numbers.lock().unwrap_or_else(PoisonError::into_inner);
            let number = numbers.entry(folder_of(path(0).as_str()).to_owned()).or_default();
            *number += 1;
            *number
        };
        let origin = ResponseOrigin {
            source: call.source.to_owned(),
            service: call.service.to_owned(),
            account: call.account,
            region: call.region.clone(),
            operation: call.operation.to_owned(),
            parameters: call.parameters.clone(),
            page,
            last,
            status,
            exchange,
        };
        keeper.keep(Page { path: path(number), body, origin }).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_what_does_not_exist_are_settled() {
        assert!(is_settled(200, b"{}"));
        assert!(is_settled(404, b"<Error><Code>NoSuchLifecycleConfiguration</Code></Error>"));
        assert!(is_settled(400, br#"{"__type":"InsightNotEnabledException","message":"none"}"#));
        assert!(is_settled(400, br#"{"__type":"com.amazonaws.cloudtrail#TrailNotFoundException"}"#));
    }

    #[test]
    fn refusals_and_throttles_are_asked_again() {
        for (status, body) in [
            (403, &b"<Error><Code>AccessDenied</Code></Error>"[..]),
            (400, br#"{"__type":"AccessDeniedException"}"#),
            (400, br#"{"__type":"ThrottlingException"}"#),
            (503, b"<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>"),
            (404, b"not an answer of AWS"),
        ] {
            assert!(!is_settled(status, body), "{status}");
        }
    }

    #[test]
    fn questions_differ_by_every_parameter() {
        let of = |operation| {
            let (account, region) = ("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
            Call::new("cloudtrail", "cloudtrail", operation, account, &region)
        };
        let call = || of("LookupEvents");
        assert_eq!(call().with("EndTime", "2").identity(), call().with("EndTime", "2").identity());
        assert_ne!(call().with("EndTime", "2").identity(), call().with("EndTime", "3").identity());
        assert_ne!(call().identity(), of("ListPublicKeys").identity());
        assert_ne!(call().with("a", "b=c").identity(), call().with("a=b", "c").identity());
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn judged(operation: &str, name: &str, value: &str, answered: &str) -> Option<Good> {
        good(operation, &BTreeMap::from([(name.to_owned(), value.to_owned())]), at(answered), 1)
    }

    #[test]
    fn an_answer_about_a_time_that_was_over_is_good_for_ever() {
        let ends = "2026-03-01T10:00:00Z";
        let milliseconds = at(ends).instant().timestamp_millis().to_string();
        for (operation, name, value) in [("LookupEvents", "EndTime", ends), ("FilterLogEvents", "endTime", &milliseconds)] {
            assert_eq!(judged(operation, name, value, "2026-03-01T12:00:00Z"), Some(Good::ForEver), "{operation}");
            assert_eq!(judged(operation, name, value, "2026-03-01T11:59:59Z"), None, "{operation} may still grow");
            assert_eq!(judged(operation, name, "soon", "2026-03-01T12:00:00Z"), None, "{operation}");
        }
    }

    #[test]
    fn an_answer_about_what_is_there_or_how_it_stands_is_never_taken_up_again() {
        for operation in ["ListObjectsV2", "ListObjectVersions", "ListPublicKeys", "DescribeTrails", "DescribeRegions"] {
            assert_eq!(judged(operation, "EndTime", "2026-03-01T10:00:00Z", "2026-03-05T10:00:00Z"), None, "{operation}");
        }
    }

    #[test]
    fn who_may_use_a_snapshot_stays_known_for_a_day_of_one_collection() {
        let answered = "2026-03-01T10:00:00Z";
        let good = judged("DescribeSnapshotAttribute", "SnapshotId", "snap-1", answered).unwrap();
        assert!(good.is_at(at("2026-03-02T09:59:59Z"), 1));
        assert!(!good.is_at(at("2026-03-02T10:00:00Z"), 1), "a day later it may have been shared");
        assert!(!good.is_at(at("2026-03-01T10:30:00Z"), 2), "a run that came to its end is looked at afresh");
    }
}
