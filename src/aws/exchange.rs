//! What AWS answered to a request, attempt by attempt, as the ledger records it. Of the request only the host is kept: no header, no
//! signature.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextMut, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use chrono::{DateTime, Utc};

use crate::case::event::Exchange;
use crate::model::Timestamp;

use super::clock::{ClockSamples, parse_http_date};
use super::whole_answer::{Flaw, REQUEST_IDS};
use super::wire::STORED_ANSWER;

/// Keeps what AWS really answered to one operation, attempt by attempt; nothing of the request but its host.
///
/// The body of a streaming answer is not kept here: it stays with whoever reads the stream.
#[derive(Clone, Debug, Default)]
pub struct ExchangeTap {
    attempts: Arc<Mutex<Vec<Attempt>>>,
}

/// One attempt.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) host: Option<String>,
    pub(crate) sent: DateTime<Utc>,
    pub(crate) received: Option<DateTime<Utc>>,
    pub(crate) status: Option<u16>,
    pub(crate) request_id: Option<String>,
    pub(crate) extended_request_id: Option<String>,
    pub(crate) date: Option<DateTime<Utc>>,
    pub(crate) bucket_region: Option<String>,
    pub(crate) body: Option<Vec<u8>>,
    /// Whether it asked for headers alone.
    is_head: bool,
    /// Whether it was not AWS who answered.
    is_of_another: bool,
}

impl ExchangeTap {
    /// What the ledger says of the exchange: its last attempt, and how many there were.
    #[must_use]
    pub fn exchange(&self) -> Exchange {
        self.with(|attempts| {
            let count = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
            attempts.last().map_or_else(Exchange::default, |last| Exchange {
                request_id: last.request_id.clone(),
                extended_request_id: last.extended_request_id.clone(),
                date: last.date.map(Timestamp::new),
                host: last.host.clone(),
                attempts: count,
            })
        })
    }

    /// The last attempt's status and whole body, where an answer came from AWS.
    pub(crate) fn take_answer(&self) -> Option<(u16, Vec<u8>)> {
        self.with(|attempts| {
            let last = attempts.last_mut().filter(|last| !last.is_of_another)?;
            Some((last.status?, last.body.take()?))
        })
    }

    /// Notes that an attempt goes out to a host.
    pub(crate) fn sent(&self, host: Option<String>) {
        self.with(|attempts| {
            attempts.push(Attempt {
                host,
                sent: Utc::now(),
                received: None,
                status: None,
                request_id: None,
                extended_request_id: None,
                date: None,
                bucket_region: None,
                body: None,
                is_head: false,
                is_of_another: false,
            });
        });
    }

    /// Notes that the answer to the attempt begins.
    pub(crate) fn received(&self) {
        self.with(|attempts| {
            if let Some(last) = attempts.last_mut() {
                last.received = Some(Utc::now());
            }
        });
    }

    /// Notes what the answer says, and its body where that is read already.
    pub(crate) fn answered(&self, response: &HttpResponse) {
        let header = |name: &str| response.headers().get(name).map(|value| value.chars().take(200).collect::<String>());
        self.with(|attempts| {
            if let Some(last) = attempts.last_mut() {
                last.status = Some(response.status().as_u16());
                last.request_id = REQUEST_IDS.iter().find_map(|name| header(name));
                last.extended_request_id = header("x-amz-id-2");
                last.date = header("date").as_deref().and_then(parse_http_date);
                last.bucket_region = header("x-amz-bucket-region");
                last.body = response.body().bytes().map(<[u8]>::to_vec);
            }
        });
    }

    /// Whether AWS asked for fewer requests in any of the attempts.
    pub(crate) fn was_throttled(&self) -> bool {
        self.with(|attempts| attempts.iter().any(|attempt| matches!(attempt.status, Some(429 | 503))))
    }

    /// The region that S3 says a bucket lies in, which it says even when it refuses.
    pub(crate) fn bucket_region(&self) -> Option<String> {
        self.with(|attempts| attempts.iter().rev().find_map(|attempt| attempt.bucket_region.clone()))
    }

    /// How many attempts there were, and what they say about the clock.
    pub(crate) fn sample_clock(&self, samples: &mut ClockSamples) -> u64 {
        self.with(|attempts| {
            for attempt in attempts.iter() {
                // What names no request may be a proxy's page, with the proxy's time.
                if let (Some(received), Some(date), Some(_)) = (attempt.received, attempt.date, &attempt.request_id) {
                    samples.add(attempt.sent, received, date);
                }
            }
            u64::try_from(attempts.len()).unwrap_or(u64::MAX)
        })
    }

    /// Takes over what another tap kept, of an operation that was asked for before it was known who wants it.
    pub(crate) fn take_over(&self, other: &Self) {
        let attempts = other.with(std::mem::take);
        self.with(|own| own.extend(attempts));
    }

    fn note_last(&self, note: impl FnOnce(&mut Attempt)) {
        self.with(|attempts| {
            if let Some(last) = attempts.last_mut() {
                note(last);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Attempt>) -> T) -> T {
        act(&mut self.attempts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[dyn_dispatch_hint]
impl Intercept for ExchangeTap {
    fn name(&self) -> &'static str {
        "ExchangeTap"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.sent(host_of(context.request().uri()));
        self.note_last(|last| last.is_head = context.request().method() == "HEAD");
        Ok(())
    }

    fn read_after_transmit(
        &self,
        _: &aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.received();
        Ok(())
    }

    /// Lets nothing be believed of an answer that is not AWS's, or did not come whole: one that broke off is asked for again.
    fn modify_before_attempt_completion(
        &self,
        context: &mut FinalizerInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What is stored was looked at when it came, and has no headers any more.
        let is_stored = STORED_ANSWER.try_with(|_| ()).is_ok();
        let is_head = self.with(|attempts| attempts.last().is_some_and(|last| last.is_head));
        let was_read = match context.output_or_error() {
            Some(Ok(_)) => true,
            Some(Err(error)) if error.as_operation_error().is_some() => false,
            Some(Err(_)) | None => return Ok(()),
        };
        let flaw = context.response().filter(|_| !is_stored && !is_head).and_then(|answer| Flaw::of(answer, was_read));
        let (Some(flaw), Some(outcome)) = (flaw, context.output_or_error_mut()) else { return Ok(()) };
        *outcome = Err(match flaw {
            Flaw::Empty | Flaw::Unfinished => OrchestratorError::response(flaw.into()),
            Flaw::NotOfAws(_) => {
                self.note_last(|last| last.is_of_another = true);
                OrchestratorError::other(flaw)
            }
        });
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(response) = context.response() {
            self.answered(response);
        }
        Ok(())
    }
}

/// The host of an address, with its port where it names one; never the name and password that may stand before it.
pub(crate) fn host_of(uri: &str) -> Option<String> {
    let uri = uri.parse::<http::Uri>().ok()?;
    let authority = uri.authority()?.as_str();
    Some(authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned())
}

/// A text without the name and password that may stand before the host of an address in it.
pub(crate) fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(|c: char| matches!(c, '/' | '?' | '#') || c.is_whitespace()).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_name_nor_password_of_an_address_is_kept() {
        for (address, host) in [
            ("http://user:s3cret@192.0.2.1:9000/bucket/key@1", "192.0.2.1:9000"),
            ("https://user@example.com", "example.com"),
            ("https://user:a@b@[2001:db8::1]:1/", "[2001:db8::1]:1"),
            ("https://example.com/x?y", "example.com"),
        ] {
            assert_eq!(host_of(address).as_deref(), Some(host));
            let shown = without_userinfo(&format!("--endpoint-url={address}"));
            assert!(!shown.contains("user") && !shown.contains("s3cret") && shown.contains(host), "{shown}");
        }
        assert_eq!(without_userinfo("http://user:s3cret@h:1/b/k@1?z"), "http://h:1/b/k@1?z");
    }

    #[test]
    fn what_is_no_address_stays_as_it_is() {
        for text in ["", "a@b", "write to a@example.com", "see https://example.com of a@example.com"] {
            assert_eq!(without_userinfo(text), text);
        }
    }
}
