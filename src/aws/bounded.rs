//! A bound on what an answer may take up in memory. Objects are streamed, and need none.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// Most bytes of an answer: more than any that AWS gives.
const LARGEST: usize = 64 * 1024 * 1024;
/// What is said of a larger one.
pub(super) const TOO_LARGE: &str = "the answer is larger than 64 MiB, which no answer of AWS is";

/// The error that a larger one ends in.
pub(super) type TooLarge = http_body_util::LengthLimitError;

/// A client of which no answer is read any further than it may be held in memory.
pub(super) fn bounded(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Bounded { inner: client, most: LARGEST })
}

#[derive(Clone, Debug)]
struct Bounded {
    inner: SharedHttpClient,
    most: usize,
}

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector { inner, most: self.most })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    most: usize,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_object = is_object(request.uri());
        let (sent, most) = (self.inner.call(request), self.most);
        HttpConnectorFuture::new(async move {
            let answer = sent.await?;
            // A refusal is read as a whole, whatever was asked for.
            if is_object && answer.status().is_success() {
                return Ok(answer);
            }
            Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, most))))
        })
    }
}

/// Whether an address is that of an object.
fn is_object(uri: &str) -> bool {
    uri.split_once('?').is_some_and(|(_, query)| query.split('&').any(|field| field == "x-id=GetObject"))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_sdk_s3::config::retry::RetryConfig;
    use aws_smithy_runtime_api::client::http::http_client_fn;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_types::SdkConfig;

    use super::super::failure::{Failure, FailureKind};
    use super::*;

    const MOST: usize = 100;

    #[derive(Clone, Debug)]
    struct Canned(u16, String);

    impl HttpConnector for Canned {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            // As it comes from a network: not in memory yet.
            let body = SdkBody::from_body_1_x(SdkBody::from(self.1.as_str()));
            let mut answer = HttpResponse::new(self.0.try_into().unwrap(), body);
            answer.headers_mut().insert("x-amzn-requestid", "4442587FB7D0A2F9");
            HttpConnectorFuture::ready(Ok(answer))
        }
    }

    fn config(status: u16, body: String) -> SdkConfig {
        let canned = Canned(status, body);
        let inner = http_client_fn(move |_, _| SharedHttpConnector::new(canned.clone()));
        let credentials = Credentials::new("nobody", "nothing", None, None, "test");
        SdkConfig::builder()
            .behavior_version(aws_config::BehaviorVersion::v2026_01_12())
            .region(aws_types::region::Region::new("us-east-1"))
            .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(credentials))
            .http_client(SharedHttpClient::new(Bounded { inner, most: MOST }))
            .retry_config(RetryConfig::disabled())
            .build()
    }

    async fn keys(length: usize) -> Result<usize, Failure> {
        let client = aws_sdk_cloudtrail::Client::new(&config(200, format!("{:length$}", "{\"PublicKeyList\":[]}")));
        let said = client.list_public_keys().send().await;
        said.map(|output| output.public_key_list().len()).map_err(|error| Failure::of(&error))
    }

    #[tokio::test]
    async fn an_answer_that_is_too_large_is_a_failure_with_words_of_its_own() {
        assert_eq!(keys(MOST).await, Ok(0));
        let failure = keys(MOST + 1).await.unwrap_err();
        assert_eq!((failure.kind, failure.to_string().as_str()), (FailureKind::Other, TOO_LARGE));
    }

    async fn object(status: u16, length: usize) -> Result<usize, Failure> {
        let client = aws_sdk_s3::Client::new(&config(status, "x".repeat(length)));
        let said = client.get_object().bucket("example-logs").key("key").send().await.map_err(|error| Failure::of(&error))?;
        Ok(said.body.collect().await.unwrap().into_bytes().len())
    }

    #[tokio::test]
    async fn an_object_may_have_any_size_and_its_refusal_may_not() {
        assert_eq!(object(200, 10 * MOST).await, Ok(10 * MOST));
        assert_eq!(object(403, MOST + 1).await.unwrap_err().to_string(), TOO_LARGE);
    }
}
