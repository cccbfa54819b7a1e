//! Asks for every page of an answer, and never for ever.

use std::collections::HashSet;
use std::future::Future;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::aws::{Call, ExchangeTap, Failure, FailureKind, Halt, Recorder};
use crate::case::gap::Subject;
use crate::model::Sha256Hash;

use super::errand::Errand;
use super::tally::RowKey;

/// Pages without anything in them that are taken one after the other, before nobody believes any more that something comes.
const EMPTY_IN_A_ROW: u32 = 1_000;
/// Pages of one answer of an API, whatever is in them: as many as two a second make in half a day.
const MOST_PAGES: usize = 100_000;

/// The continuation tokens of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    seen: HashSet<Sha256Hash>,
    /// Pages without anything in them, up to the last one.
    empty: u32,
}

impl Tokens {
    /// Takes the next token. One that came before, however long ago, would keep a client paging for ever: it is a failure.
    ///
    /// So is one page too many without anything in it: each could name another for ever.
    pub(crate) fn take(&mut self, token: &str, is_empty: bool) -> Result<(), Failure> {
        self.empty = if is_empty { self.empty + 1 } else { 0 };
        let failed = |what| Err(Failure::found(FailureKind::Other, what));
        if !self.seen.insert(Sha256Hash::of(token.as_bytes())) {
            return failed("the answer repeats itself: the same continuation token came twice");
        }
        if self.empty >= EMPTY_IN_A_ROW {
            return failed("the answer does not end: page after page holds nothing, and names another");
        }
        Ok(())
    }

    /// Takes the next token of an answer of which nobody knows what its pages hold.
    fn take_unread(&mut self, token: &str) -> Result<(), Failure> {
        if self.seen.len() >= MOST_PAGES {
            return Err(Failure::found(FailureKind::Other, "the answer does not end: page after page names another"));
        }
        self.take(token, false)
    }
}

/// Asks for page after page until an answer names no further one, and shows each to `take`.
///
/// A page may be empty and still name another. A continuation token that comes twice would go on for ever: it ends the answer as
/// a failure.
pub(crate) async fn every_page<O, E, F>(
    errand: &Errand,
    call: &Call,
    send: impl Fn(Option<String>, ExchangeTap) -> F,
    next: impl Fn(&O) -> Option<&str>,
    take: impl FnMut(&O),
) -> Result<Result<(), Failure>, Halt>
where
    F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    every_page_as(&errand.recorder, call, send, next, take).await
}

/// The same, as whoever is given.
pub(crate) async fn every_page_as<O, E, F>(
    recorder: &Recorder,
    call: &Call,
    send: impl Fn(Option<String>, ExchangeTap) -> F,
    next: impl Fn(&O) -> Option<&str>,
    mut take: impl FnMut(&O),
) -> Result<Result<(), Failure>, Halt>
where
    F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let next = |output: &O| next(output).filter(|token| !token.is_empty()).map(str::to_owned);
    let (mut token, mut page, mut tokens) = (None::<String>, 1, Tokens::default());
    loop {
        let answer = recorder.call(call, page, |output| next(output).is_none(), |tap| send(token.clone(), tap)).await?;
        let output = match answer {
            Ok(output) => output,
            Err(failure) => return Ok(Err(failure)),
        };
        take(&output);
        let Some(following) = next(&output) else { return Ok(Ok(())) };
        if let Err(repeated) = tokens.take_unread(&following) {
            return Ok(Err(repeated));
        }
        (token, page) = (Some(following), page + 1);
    }
}

/// The same, with a gap where the answer did not come whole. Says whether it did.
pub(crate) async fn every_page_or_gap<O, E, F>(
    errand: &Errand,
    row: &RowKey,
    call: &Call,
    send: impl Fn(Option<String>, ExchangeTap) -> F,
    next: impl Fn(&O) -> Option<&str>,
    take: impl FnMut(&O),
) -> Result<bool, Halt>
where
    F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match every_page(errand, call, send, next, take).await? {
        Ok(()) => Ok(true),
        Err(failure) => {
            let parameters = call.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            errand.failed(row, &Subject::answer_to(call.operation, parameters), &failure).await?;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_came_before_is_refused_also_after_others() {
        let mut tokens = Tokens::default();
        assert!(tokens.take("a", false).is_ok() && tokens.take("b", false).is_ok());
        assert!(tokens.take("a", false).is_err());
    }

    #[test]
    fn empty_pages_are_followed_for_long_and_not_for_ever() {
        let mut tokens = Tokens::default();
        for page in 1..EMPTY_IN_A_ROW {
            assert!(tokens.take(&format!("a{page}"), true).is_ok(), "{page}");
        }
        assert!(tokens.take("something", false).is_ok());
        for page in 1..EMPTY_IN_A_ROW {
            assert!(tokens.take(&format!("b{page}"), true).is_ok(), "{page}");
        }
        assert!(tokens.take("last", true).is_err());
    }
}
