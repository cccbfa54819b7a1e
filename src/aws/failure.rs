//! What a failed request means for the evidence: denied, absent, archived, changed, out of reach. Whether it ends the run is for the session
//! to judge.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde::Serialize;

use crate::model::printable;

use super::bounded::{TOO_LARGE, TooLarge};
use super::whole_answer::{Flaw, REQUEST_IDS};

/// Longest message kept of AWS's own words.
const MESSAGE_LIMIT: usize = 300;

/// What kind of failure a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// AWS refused: a permission is missing.
    Denied,
    /// What was asked for is not there.
    NotFound,
    /// The feature asked about is not switched on.
    NotEnabled,
    /// AWS does not accept the credentials.
    Credentials,
    /// AWS asked to slow down, longer than we kept asking.
    Throttled,
    /// The object lies in a storage class that must be restored first.
    Archived,
    /// The object is not the one that was listed any more.
    Changed,
    /// No whole answer came.
    Network,
    /// Something on the way answered instead of AWS.
    NotOfAws,
    /// Anything else.
    Other,
}

/// A failed request, in few words: never the SDK's dump, never a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What kind.
    pub kind: FailureKind,
    /// AWS's error code.
    pub code: Option<String>,
    /// One line about it.
    pub message: String,
    /// The request's id.
    pub request_id: Option<String>,
    /// The HTTP status, where an answer came.
    pub status: Option<u16>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) if self.message.is_empty() => write!(f, "{}", printable(code)),
            Some(code) => write!(f, "{}: {}", printable(code), self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Error for Failure {}

impl Failure {
    /// A failure that AWS did not report but we found.
    #[must_use]
    pub fn found(kind: FailureKind, message: &str) -> Self {
        Self { kind, code: None, message: one_line(message), request_id: None, status: None }
    }

    /// Reads what the SDK says.
    pub fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let raw = error.raw_response();
        let status = raw.map(|raw| raw.status().as_u16());
        let request_id = raw.and_then(request_id);
        let service = error.as_service_error();
        let code = service.and_then(ProvideErrorMetadata::code).map(|code| code.chars().take(100).collect::<String>());
        let said = service.and_then(ProvideErrorMetadata::message).map(one_line);
        let (kind, message) = match error {
            SdkError::ServiceError(_) if is_of_another(code.as_deref(), request_id.as_deref(), status) => {
                let status = status.unwrap_or_default();
                let what = format!("HTTP status {status} without an error code or a request id: that is not an answer of AWS");
                (FailureKind::NotOfAws, what)
            }
            SdkError::ServiceError(_) => {
                let kind = kind_of(code.as_deref(), said.as_deref(), status);
                let unexplained = || match status {
                    Some(200..300) => "the answer cannot be read as one to this question".to_owned(),
                    Some(status) => format!("HTTP status {status}"),
                    None => String::new(),
                };
                (kind, said.unwrap_or_else(unexplained))
            }
            SdkError::TimeoutError(_) => (FailureKind::Network, "no answer came in time".to_owned()),
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) if is_about_credentials(error) => {
                (FailureKind::Credentials, one_line(&innermost(error)))
            }
            SdkError::DispatchFailure(_) if has_cause::<super::reach::OutOfReach>(error) => {
                (FailureKind::Network, one_line(&innermost(error)))
            }
            SdkError::DispatchFailure(failure) if failure.is_user() => (FailureKind::Other, one_line(&innermost(error))),
            SdkError::DispatchFailure(_) => (FailureKind::Network, one_line(&innermost(error))),
            SdkError::ResponseError(_) if has_cause::<TooLarge>(error) => (FailureKind::Other, TOO_LARGE.to_owned()),
            SdkError::ResponseError(_) if matches!(cause(error), Some(Flaw::NotOfAws(_))) => {
                (FailureKind::NotOfAws, one_line(&innermost(error)))
            }
            SdkError::ResponseError(_) => {
                (FailureKind::Network, format!("the answer broke off: {}", one_line(&innermost(error))))
            }
            _ => (FailureKind::Other, one_line(&innermost(error))),
        };
        Self { kind, code, message, request_id, status }
    }
}

fn request_id(response: &HttpResponse) -> Option<String> {
    REQUEST_IDS
        .iter()
        .find_map(|name| response.headers().get(*name))
        .map(|id| printable(&id.chars().take(200).collect::<String>()))
}

/// Whether an answer is a proxy's or a portal's. Whatever AWS sends away, refuses or does not have, it names a code for, or at least a request.
fn is_of_another(code: Option<&str>, request_id: Option<&str>, status: Option<u16>) -> bool {
    let is_nameless = code.is_none_or(str::is_empty) && request_id.is_none();
    is_nameless && matches!(status, Some(300..=399 | 401 | 403 | 404 | 407))
}

/// What an error code means for the evidence.
fn kind_of(code: Option<&str>, message: Option<&str>, status: Option<u16>) -> FailureKind {
    let Some(code) = code.filter(|code| !code.is_empty()) else { return kind_of_status(status) };
    let code = code.strip_prefix("Client.").unwrap_or(code);
    match code {
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "AuthFailure"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "NotAuthorizedInRegion" => FailureKind::Credentials,
        "InvalidObjectState" => FailureKind::Archived,
        "PreconditionFailed" | "ConditionalRequestConflict" => FailureKind::Changed,
        "OptInRequired" | "SubscriptionRequiredException" | "CloudTrailAccessNotEnabledException" => FailureKind::NotEnabled,
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "LimitExceeded"
        | "EC2ThrottledException"
        | "TransactionInProgressException" => FailureKind::Throttled,
        // S3 answers so where a KMS key cannot be used: the object is there, and cannot be read.
        "KMS.DisabledException" | "KMS.NotFoundException" | "KMS.InvalidStateException" | "KMSInvalidStateException" => {
            FailureKind::Denied
        }
        _ if code.contains("AccessDenied")
            || code.contains("Unauthorized")
            || code.contains("NotAuthorized")
            || matches!(
                code,
                "Forbidden" | "AllAccessDisabled" | "Blocked" | "InsufficientDependencyServiceAccessPermissionException"
            ) =>
        {
            FailureKind::Denied
        }
        _ if code.contains("NotEnabled") => FailureKind::NotEnabled,
        _ if code.starts_with("NoSuch") || code.contains("NotFound") || code == "ResourceNotFound" => FailureKind::NotFound,
        "InvalidArgument" if message.is_some_and(|message| message.contains("KMS")) => FailureKind::Denied,
        "RequestTimeout" | "RequestTimeoutException" => FailureKind::Network,
        _ => FailureKind::Other,
    }
}

/// Whether an error code is an answer that asking again will not change: there is no such thing, or it is not switched on.
pub(crate) fn is_answer_for_good(code: &str) -> bool {
    matches!(kind_of(Some(code), None, None), FailureKind::NotFound | FailureKind::NotEnabled)
}

fn kind_of_status(status: Option<u16>) -> FailureKind {
    match status {
        Some(401 | 403) => FailureKind::Denied,
        Some(404 | 410) => FailureKind::NotFound,
        Some(412) => FailureKind::Changed,
        Some(429 | 503) => FailureKind::Throttled,
        _ => FailureKind::Other,
    }
}

fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    has_cause::<aws_credential_types::provider::error::CredentialsError>(error)
}

fn has_cause<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    cause::<T>(error).is_some()
}

/// The first of its causes that is such an error.
fn cause<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The last cause, which is the one that says something.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let (mut last, mut next) = (error.to_string(), error.source());
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    last
}

/// One printable line of bounded length.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = printable(&words.join(" "));
    if line.chars().count() <= MESSAGE_LIMIT { line } else { line.chars().take(MESSAGE_LIMIT).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str) -> FailureKind {
        kind_of(Some(code), None, Some(400))
    }

    #[test]
    fn refusals_of_every_service_are_denied() {
        for code in [
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "Client.UnauthorizedOperation",
            "AllAccessDisabled",
        ] {
            assert_eq!(kind(code), FailureKind::Denied, "{code}");
        }
    }

    #[test]
    fn unusable_credentials_are_told_from_missing_permissions() {
        for code in [
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AuthFailure",
        ] {
            assert_eq!(kind(code), FailureKind::Credentials, "{code}");
        }
    }

    #[test]
    fn what_is_not_configured_is_an_answer() {
        for code in [
            "NoSuchBucketPolicy",
            "NoSuchLifecycleConfiguration",
            "OwnershipControlsNotFoundError",
            "NoSuchKey",
            "TrailNotFoundException",
            "InvalidSnapshot.NotFound",
        ] {
            assert_eq!(kind(code), FailureKind::NotFound, "{code}");
        }
        assert_eq!(kind("InsightNotEnabledException"), FailureKind::NotEnabled);
    }

    #[test]
    fn archives_throttles_and_changes_have_their_own_kind() {
        assert_eq!(kind("InvalidObjectState"), FailureKind::Archived);
        assert_eq!(kind("SlowDown"), FailureKind::Throttled);
        assert_eq!(kind("RequestLimitExceeded"), FailureKind::Throttled);
        assert_eq!(kind("PreconditionFailed"), FailureKind::Changed);
        assert_eq!(kind("SomethingNew"), FailureKind::Other);
    }

    #[test]
    fn an_answer_without_a_code_is_judged_by_its_status() {
        assert_eq!(kind_of(None, None, Some(403)), FailureKind::Denied);
        assert_eq!(kind_of(Some(""), None, Some(404)), FailureKind::NotFound);
    }

    #[test]
    fn a_refusal_that_names_neither_a_code_nor_a_request_is_not_aws_s() {
        for status in [302, 401, 403, 404, 407] {
            assert!(is_of_another(None, None, Some(status)) && is_of_another(Some(""), None, Some(status)), "{status}");
            assert!(!is_of_another(Some("AccessDenied"), None, Some(status)), "{status}");
            assert!(
                !is_of_another(None, Some("4442587FB7D0A2F9"), Some(status)),
                "the head of an object has no body: {status}"
            );
        }
        assert!(!is_of_another(None, None, Some(503)) && !is_of_another(None, None, None));
    }

    #[test]
    fn a_message_is_one_bounded_printable_line() {
        let line = one_line(&format!("a\n\u{1b}[2J  b{}", "x".repeat(500)));
        assert!(line.starts_with("a \\u{1b}[2J b") && line.chars().count() == MESSAGE_LIMIT + 1, "{line}");
    }
}
