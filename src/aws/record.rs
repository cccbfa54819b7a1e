//! Raw first: in a collection every answer of an API goes into the case as it came, and is not asked for again as long as it is good.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::time::Instant;

use crate::case::event::{Exchange, ResponseOrigin};
use crate::model::{AccountId, PayloadPath, Region, Sha256Hash};

use super::Halt;
use super::answers::{Answers, folder_of};
use super::exchange::ExchangeTap;
use super::failure::{Failure, is_answer_for_good};
use super::session::Session;
use super::wire::STORED_ANSWER;

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

    pub(super) fn identity(&self) -> Sha256Hash {
        identity(self.service, self.account, &self.region, self.operation, &self.parameters)
    }
}

/// What tells a question from all others.
pub(super) fn identity(
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
        let numbers = Arc::new(Mutex::new(answers.take_numbers()));
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

    /// Whether answers are only looked at, as for a plan.
    pub(super) fn keeps_nothing(&self) -> bool {
        self.inner.keeper.is_none()
    }

    /// The session that is recorded.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.inner.session
    }

    /// Whether the case holds the whole answer to a question, so that it is not asked again.
    #[must_use]
    pub fn holds(&self, call: &Call) -> bool {
        self.inner.answers.holds(call)
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
        if let Some(stored) = self.inner.answers.settled(call, page).await {
            let is_answer = (200..300).contains(&stored.status);
            match STORED_ANSWER.scope(stored, send(ExchangeTap::default())).await {
                Ok(output) => return Ok(Ok(output)),
                Err(error) if !is_answer => return Ok(Err(Failure::of(&error))),
                // It cannot be read as an answer to the question, so there is none yet.
                Err(_) => {}
            }
        }
        if call.paced {
            self.await_turn(&call.region).await;
        }
        let tap = ExchangeTap::default();
        let outcome = send(tap.clone()).await;
        self.inner.session.note(&tap);
        let ends = match &outcome {
            Ok(output) => last(output),
            // That there is no such thing is a whole answer. A refusal is none, nor is an error in the place of a further page.
            Err(error) => page == 1 && Failure::of(error).code.is_some_and(|code| is_answer_for_good(&code)),
        };
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
}
