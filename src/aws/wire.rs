//! The last place before the network: whatever is asked for above, nothing but a read goes out.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::exchange::host_of;
use super::reach::Reach;

tokio::task_local! {
    /// The stored answer to give to the one request that this task is about to make, instead of asking AWS.
    pub(crate) static STORED_ANSWER: StoredAnswer;
}

/// An answer that the case holds already.
#[derive(Clone, Debug)]
pub(crate) struct StoredAnswer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The HTTP client of every service client: it sends reads and nothing else, and gives stored answers back without asking.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    inner: SharedHttpClient,
    reach: Reach,
}

impl Wire {
    pub(crate) fn new(inner: SharedHttpClient) -> Self {
        Self { inner, reach: Reach::default() }
    }

    /// Which hosts answer.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(WireConnector {
            inner: self.inner.http_connector(settings, components),
            reach: self.reach.clone(),
        })
    }
}

#[derive(Debug)]
struct WireConnector {
    inner: SharedHttpConnector,
    reach: Reach,
}

impl HttpConnector for WireConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Ok(stored) = STORED_ANSWER.try_with(Clone::clone) {
            return HttpConnectorFuture::ready(answer(stored));
        }
        if !is_read(&request) {
            let refused = format!("refused to send {} {}: it is not a read", request.method(), operation(&request));
            return HttpConnectorFuture::ready(Err(ConnectorError::user(refused.into())));
        }
        let host = host_of(request.uri()).unwrap_or_default();
        if let Err(lost) = self.reach.admit(&host) {
            return HttpConnectorFuture::ready(Err(ConnectorError::user(lost.into())));
        }
        let (sent, reach) = (self.inner.call(request), self.reach.clone());
        HttpConnectorFuture::new(async move {
            let answered = sent.await;
            match &answered {
                Ok(_) => reach.answered(&host),
                Err(_) => reach.failed(&host),
            }
            answered
        })
    }
}

fn answer(stored: StoredAnswer) -> Result<HttpResponse, ConnectorError> {
    let status = http::StatusCode::from_u16(stored.status).map_err(|error| ConnectorError::user(error.into()))?;
    Ok(HttpResponse::new(status.into(), SdkBody::from(stored.body)))
}

/// Whether a request only reads. REST reads are `GET` and `HEAD`; the others name their operation.
fn is_read(request: &HttpRequest) -> bool {
    match request.method() {
        "GET" | "HEAD" => true,
        "POST" => {
            let operation = operation(request);
            ["Get", "List", "Describe", "Lookup", "Filter"].iter().any(|verb| operation.starts_with(verb))
                // Gives credentials, and changes nothing.
                || operation == "AssumeRole"
        }
        _ => false,
    }
}

/// The operation that a request of the JSON or Query protocol names.
fn operation(request: &HttpRequest) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let form = request.body().bytes().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
    form.split('&').find_map(|field| field.strip_prefix("Action=")).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, target: Option<&str>, body: &'static str) -> HttpRequest {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method(method).unwrap();
        if let Some(target) = target {
            request.headers_mut().insert("x-amz-target", target.to_owned());
        }
        request
    }

    #[test]
    fn reads_of_every_protocol_pass() {
        assert!(is_read(&request("GET", None, "")));
        assert!(is_read(&request("HEAD", None, "")));
        assert!(is_read(&request("POST", Some("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListPublicKeys"), "{}")));
        assert!(is_read(&request("POST", None, "Action=DescribeRegions&Version=2016-11-15")));
    }

    #[test]
    fn everything_else_is_refused() {
        for method in ["PUT", "DELETE", "PATCH"] {
            assert!(!is_read(&request(method, None, "")), "{method}");
        }
        assert!(!is_read(&request("POST", Some("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.StopLogging"), "{}")));
        assert!(!is_read(&request("POST", None, "Version=2016-11-15&Action=DeleteSnapshot")));
        assert!(!is_read(&request("POST", None, "<Delete/>")));
    }
}
