//! Whether an answer is AWS's and came whole: looked at before anything in it is believed.
//!
//! The SDK takes the end of an XML document, wherever it is, for the end of all its elements, and takes nothing at all for an empty JSON
//! document. Where no length was announced, HTTP does not tell an answer that broke off either.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Headers in which services name a request.
pub(super) const REQUEST_IDS: [&str; 2] = ["x-amzn-requestid", "x-amz-request-id"];
/// What AWS's errors are wrapped in, by protocol.
const ERRORS: [&[u8]; 3] = [b"Error", b"ErrorResponse", b"Response"];

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// It came, and holds nothing.
    #[error("it is empty")]
    Empty,
    /// Its end is missing.
    #[error("it ends before its last element does")]
    Unfinished,
    /// It names no request, which AWS always does, nor is it one to the question.
    #[error("HTTP status {0} without a request id: that is not an answer of AWS")]
    NotOfAws(u16),
}

impl Flaw {
    /// Looks at an answer whose body is all there is of it. A body that is still to be streamed is for its reader to judge.
    ///
    /// An XML document says by the name of its root what it answers. One that could be read as the answer to the question therefore needs
    /// no request id, which not every store behind an endpoint gives.
    pub(super) fn of(answer: &HttpResponse, was_read: bool) -> Option<Self> {
        let body = answer.body().bytes()?;
        let status = answer.status().as_u16();
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
        let is_xml = body.first() == Some(&b'<');
        if !answer.status().is_success() {
            // The pages of others need not be well-formed, and are judged by what they name.
            let is_error_of_aws = root(body).is_some_and(|root| ERRORS.contains(&root.name));
            return (is_xml && is_error_of_aws && !is_whole(body)).then_some(Self::Unfinished);
        }
        let names_request = REQUEST_IDS.iter().any(|name| answer.headers().get(*name).is_some());
        match body {
            _ if !(names_request || is_xml && was_read) => Some(Self::NotOfAws(status)),
            [] => Some(Self::Empty),
            [b'<', ..] if !is_whole(body) => Some(Self::Unfinished),
            [b'{', inner @ ..] if inner.last() != Some(&b'}') => Some(Self::Unfinished),
            _ => None,
        }
    }
}

/// The first tag of a document.
struct Root<'a> {
    name: &'a [u8],
    /// Whether it is the whole element.
    is_closed: bool,
    /// What comes after it.
    rest: &'a [u8],
}

/// The first tag of a document, behind its declaration and comments; none where it does not come to an end.
fn root(document: &[u8]) -> Option<Root<'_>> {
    let after = |text: &'_ [u8], end: &[u8]| text.windows(end.len()).position(|part| part == end).map(|at| at + end.len());
    let mut text = document;
    loop {
        text = text.trim_ascii_start();
        let end: &[u8] = if text.starts_with(b"<?") {
            b"?>"
        } else if text.starts_with(b"<!--") {
            b"-->"
        } else if text.starts_with(b"<!") {
            b">"
        } else {
            break;
        };
        text = text.get(after(text, end)?..)?;
    }
    let text = text.strip_prefix(b"<")?;
    let mut quote = None;
    let end = text.iter().position(|byte| match (quote, byte) {
        (None, b'>') => true,
        (None, b'"' | b'\'') => {
            quote = Some(*byte);
            false
        }
        (Some(open), byte) => {
            if open == *byte {
                quote = None;
            }
            false
        }
        _ => false,
    })?;
    let (tag, rest) = (text.get(..end)?, text.get(end + 1..)?);
    let name = tag.split(|byte| byte.is_ascii_whitespace() || *byte == b'/').next().filter(|name| !name.is_empty())?;
    Some(Root { name, is_closed: tag.last() == Some(&b'/'), rest })
}

/// Whether a document ends with the end of its root.
fn is_whole(document: &[u8]) -> bool {
    let Some(root) = root(document) else { return false };
    if root.is_closed {
        return root.rest.trim_ascii().is_empty();
    }
    let last = root.rest.trim_ascii_end().strip_suffix(b">").map(<[u8]>::trim_ascii_end);
    last.and_then(|text| text.strip_suffix(root.name)).is_some_and(|text| text.ends_with(b"</"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use aws_credential_types::Credentials;
    use aws_sdk_s3::config::retry::RetryConfig;
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_types::body::SdkBody;
    use aws_types::SdkConfig;

    use super::super::exchange::ExchangeTap;
    use super::super::failure::{Failure, FailureKind};
    use super::*;

    const ID: Option<&str> = Some("x-amzn-requestid");

    fn answer(status: u16, id: Option<&'static str>, body: &'static str) -> HttpResponse {
        let mut answer = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some(name) = id {
            answer.headers_mut().insert(name, "4442587FB7D0A2F9");
        }
        answer
    }

    fn flaw(status: u16, id: Option<&'static str>, body: &'static str) -> Option<Flaw> {
        Flaw::of(&answer(status, id, body), true)
    }

    #[test]
    fn a_document_is_whole_when_its_root_is_closed() {
        for whole in [
            "<A><B/></A>",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<A xmlns=\"http://example.com/\"><B>c</B></A>\n\n",
            "\u{feff}<!-- > --><!DOCTYPE a><a></a >",
            "<A/>",
            "<?xml version='1.0'?><A b='/>' c=\">\" />\n",
            "<ns:A></ns:A>",
        ] {
            assert_eq!(flaw(200, ID, whole), None, "{whole}");
        }
        for cut in [
            "<A><B/>",
            "<A><B></B>",
            "<A><B></A",
            "<A><B></AA>",
            "<A",
            "<",
            "<A b=\"/>",
            "<?xml version=\"1.0\"?>",
            "<?xml version=\"1.0\"",
            "<A xmlns=\"a\"><B/",
            "<A></B>",
            "{\"Events\":[",
            "{",
        ] {
            assert_eq!(flaw(200, ID, cut), Some(Flaw::Unfinished), "{cut}");
        }
    }

    #[test]
    fn every_beginning_of_an_answer_is_told_from_the_whole() {
        let whole = r#"<?xml version="1.0" encoding="UTF-8"?>
<DescribeSnapshotsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><snapshotSet><item><snapshotId>snap-1</snapshotId><tagSet/></item></snapshotSet></DescribeSnapshotsResponse>"#;
        for length in 1..whole.len() {
            assert_eq!(flaw(200, ID, &whole[..length]), Some(Flaw::Unfinished), "{}", &whole[..length]);
        }
        assert_eq!(flaw(200, ID, whole), None);
    }

    #[test]
    fn nothing_is_no_answer() {
        for id in REQUEST_IDS {
            assert_eq!(flaw(200, Some(id), ""), Some(Flaw::Empty));
            assert_eq!(flaw(200, Some(id), " \n"), Some(Flaw::Empty));
            assert_eq!(flaw(200, Some(id), "{}"), None);
        }
        assert_eq!(flaw(200, None, ""), Some(Flaw::NotOfAws(200)));
    }

    #[test]
    fn what_names_no_request_is_of_aws_only_where_it_says_what_it_answers() {
        assert_eq!(flaw(200, None, "{}"), Some(Flaw::NotOfAws(200)));
        assert_eq!(flaw(200, None, "<VersioningConfiguration/>"), None);
        let page = answer(200, None, "<html><body>Sign in.</body></html>");
        assert_eq!(Flaw::of(&page, false), Some(Flaw::NotOfAws(200)));
    }

    #[test]
    fn an_error_that_broke_off_is_none_of_those_that_its_code_may_begin() {
        let cut = "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket";
        assert_eq!(flaw(404, ID, cut), Some(Flaw::Unfinished));
        assert_eq!(flaw(404, ID, "<Error><Code>NoSuchBucketPolicy</Code></Error>"), None);
        for judged_elsewhere in ["", "<html>Not found", "{\"__type\":"] {
            assert_eq!(flaw(404, None, judged_elsewhere), None, "{judged_elsewhere}");
        }
    }

    /// Gives one answer after the other, the last one for ever.
    #[derive(Clone, Debug)]
    struct Canned(Arc<Mutex<VecDeque<CannedAnswer>>>);

    /// The id of a request, and a body.
    type CannedAnswer = (Option<&'static str>, &'static str);

    impl HttpConnector for Canned {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            let mut left = self.0.lock().unwrap();
            let (id, body) = if left.len() > 1 { left.pop_front().unwrap() } else { left[0] };
            HttpConnectorFuture::ready(Ok(answer(200, id, body)))
        }
    }

    fn config(answers: &[CannedAnswer]) -> SdkConfig {
        let canned = Canned(Arc::new(Mutex::new(answers.iter().copied().collect())));
        let client: SharedHttpClient = http_client_fn(move |_, _| SharedHttpConnector::new(canned.clone()));
        let credentials = Credentials::new("nobody", "nothing", None, None, "test");
        SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(aws_types::region::Region::new("us-east-1"))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .http_client(client)
            .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1)))
            .build()
    }

    const WHOLE: &str = "<DescribeRegionsResponse><regionInfo><item><regionName>eu-west-1</regionName></item><item><regionName>us-east-1</regionName></item></regionInfo></DescribeRegionsResponse>";
    const CUT: &str = "<DescribeRegionsResponse><regionInfo><item><regionName>eu-west-1</regionName></item><item><regio";

    /// What EC2 says of its regions, with how many requests, and which bytes are kept.
    async fn regions(answers: &[(Option<&'static str>, &'static str)]) -> (Result<usize, Failure>, u32, Option<Vec<u8>>) {
        let tap = ExchangeTap::default();
        let client = aws_sdk_ec2::Client::new(&config(answers));
        let said = client.describe_regions().customize().interceptor(tap.clone()).send().await;
        let said = said.map(|output| output.regions().len()).map_err(|error| Failure::of(&error));
        (said, tap.exchange().attempts, tap.take_answer().map(|(_, body)| body))
    }

    #[tokio::test]
    async fn an_answer_that_broke_off_is_asked_for_again_and_never_believed() {
        let (said, asked, kept) = regions(&[(ID, CUT), (ID, WHOLE)]).await;
        assert_eq!((said, asked, kept.as_deref()), (Ok(2), 2, Some(WHOLE.as_bytes())));
        let (said, asked, kept) = regions(&[(ID, CUT)]).await;
        let failure = said.unwrap_err();
        assert_eq!((failure.kind, asked, kept.as_deref()), (FailureKind::Network, 3, Some(CUT.as_bytes())));
        assert_eq!(failure.to_string(), "the answer broke off: it ends before its last element does");
    }

    /// The same of CloudTrail and its keys.
    async fn keys(answers: &[(Option<&'static str>, &'static str)]) -> (Result<usize, Failure>, u32, Option<Vec<u8>>) {
        let tap = ExchangeTap::default();
        let client = aws_sdk_cloudtrail::Client::new(&config(answers));
        let said = client.list_public_keys().customize().interceptor(tap.clone()).send().await;
        let said = said.map(|output| output.public_key_list().len()).map_err(|error| Failure::of(&error));
        (said, tap.exchange().attempts, tap.take_answer().map(|(_, body)| body))
    }

    #[tokio::test]
    async fn nothing_in_the_place_of_json_is_asked_for_again() {
        assert_eq!(keys(&[(ID, ""), (ID, "{\"PublicKeyList\":[]}")]).await.0, Ok(0));
        let (said, asked, _) = keys(&[(ID, "")]).await;
        assert_eq!((said.unwrap_err().to_string().as_str(), asked), ("the answer broke off: it is empty", 3));
    }

    #[tokio::test]
    async fn what_another_answered_is_neither_believed_nor_kept() {
        for body in ["", "{}", "{\"PublicKeyList\":[]}"] {
            let (said, asked, kept) = keys(&[(None, body)]).await;
            let failure = said.unwrap_err();
            assert_eq!((failure.kind, asked, kept), (FailureKind::NotOfAws, 1, None), "{body}");
            assert!(failure.to_string().starts_with("HTTP status 200 without a request id"), "{failure}");
        }
    }

    #[tokio::test]
    async fn the_head_of_a_bucket_has_no_body() {
        let client = aws_sdk_s3::Client::new(&config(&[(Some("x-amz-request-id"), "")]));
        let asked = client.head_bucket().bucket("example-logs").customize().interceptor(ExchangeTap::default()).send().await;
        assert!(asked.is_ok(), "{asked:?}");
    }
}
