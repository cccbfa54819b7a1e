//! The short way to a small object: the request that the SDK made for one key of a bucket, made again for another.
//!
//! What the SDK does for each request (resolving the endpoint, choosing how to sign, retrying, keeping its own state) takes more of the
//! processor than hashing a log, and comes out the same for every object of a bucket. So it makes the first request, and one
//! every minute: endpoint, headers, region and clock are then taken from what it sent, and identity, signer and connections are
//! its own. A short way is taken only if the request that it was learned from, made again by it, comes out with the very
//! same address and signature. Whatever is not answered with the object is left to the SDK, which knows what to do
//! about throttling, expired credentials and buckets that moved.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningParams, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::http::{HttpClient as _, HttpConnector as _, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::ResolveCachedIdentity as _;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::{GetIdentityResolver as _, RuntimeComponents};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::timeout::TimeoutConfig;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::exchange::{ExchangeTap, host_of};
use super::fetch::Wanted;
use super::object_answer::ObjectAnswer;

/// How long a short way is taken until the SDK makes a request again.
const GOOD_FOR: Duration = Duration::from_mins(1);
/// Headers that the signer writes.
const SIGNERS: [&str; 4] = ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"];
/// Headers that say who asks.
const ASKER: [&str; 2] = ["user-agent", "x-amz-user-agent"];
/// How a clock that the SDK corrected is told from a second that began meanwhile.
const SAME_CLOCK: TimeDelta = TimeDelta::seconds(5);

/// What is known of the short ways to buckets.
#[derive(Clone, Debug, Default)]
pub(super) struct ShortWays {
    ways: Arc<Mutex<HashMap<String, Known>>>,
}

/// A short way, or that there is none.
#[derive(Debug)]
struct Known {
    way: Option<Arc<ShortWay>>,
    until: Instant,
}

impl ShortWays {
    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The short way to objects of a bucket, where one is known.
    pub(super) fn to(&self, bucket: &str) -> Option<Arc<ShortWay>> {
        self.known().get(bucket).filter(|known| Instant::now() < known.until)?.way.clone()
    }

    /// Takes a short way no longer, unless another one is known meanwhile.
    pub(super) fn leave(&self, bucket: &str, way: &Arc<ShortWay>) {
        let mut ways = self.known();
        if ways.get(bucket).and_then(|known| known.way.as_ref()).is_some_and(|known| Arc::ptr_eq(known, way)) {
            ways.remove(bucket);
        }
    }

    /// Learns a short way from a request of the SDK's that was answered with the object.
    pub(super) async fn learn(&self, wanted: &Wanted, example: Example) {
        let bucket = &wanted.location.bucket;
        let shows_nothing = wanted.version.is_some() || encoded(&wanted.location.key).is_none();
        // Many requests are under way before the first of them is answered; where there is no short way, one trial a minute is enough.
        if shows_nothing || self.known().get(bucket).is_some_and(|known| Instant::now() < known.until) {
            return;
        }
        let way = ShortWay::of(example, &wanted.location.key).await.map(Arc::new);
        self.known().insert(bucket.clone(), Known { way, until: Instant::now() + GOOD_FOR });
    }
}

/// A request as the SDK sent it, and with what.
#[derive(Clone)]
pub(super) struct Example {
    uri: String,
    headers: Vec<(String, String)>,
    sent: DateTime<Utc>,
    connector: SharedHttpConnector,
    components: RuntimeComponents,
}

impl fmt::Debug for Example {
    /// Says nothing of the headers, which hold a signature and may hold a session token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Example").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// Takes down the last request that the SDK sends for an operation.
#[derive(Clone, Debug, Default)]
pub(super) struct ExampleTap {
    example: Arc<Mutex<Option<Example>>>,
}

impl ExampleTap {
    pub(super) fn take(&self) -> Option<Example> {
        self.example.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[dyn_dispatch_hint]
impl Intercept for ExampleTap {
    fn name(&self) -> &'static str {
        "ExampleTap"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request();
        let (Some(client), Some(timeouts)) = (components.http_client(), config.load::<TimeoutConfig>()) else { return Ok(()) };
        let mut settings = HttpConnectorSettings::builder();
        settings.set_connect_timeout(timeouts.connect_timeout());
        settings.set_read_timeout(timeouts.read_timeout());
        let example = Example {
            uri: request.uri().to_owned(),
            headers: request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            sent: Utc::now(),
            connector: client.http_connector(&settings.build(), components),
            components: components.clone(),
        };
        *self.example.lock().unwrap_or_else(PoisonError::into_inner) = Some(example);
        Ok(())
    }
}

/// How to ask for an object of a bucket.
#[derive(Debug)]
pub(super) struct ShortWay {
    /// The address of an object: what stands before its key,
    before: String,
    /// and after it.
    after: String,
    host: Option<String>,
    /// What every request says of who asks.
    asker: Vec<(String, String)>,
    region: String,
    service: String,
    /// By how much the SDK corrects this machine's clock.
    correction: TimeDelta,
    connector: SharedHttpConnector,
    components: RuntimeComponents,
}

impl ShortWay {
    /// Learns it from a request for `key`; none where that request, made again, is not the same.
    async fn of(example: Example, key: &str) -> Option<Self> {
        let Example { uri, headers, sent, connector, components } = example;
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let (path, query) = uri.split_once('?').map_or((uri.as_str(), None), |(path, query)| (path, Some(query)));
        let before = path.strip_suffix(&encoded(key)?)?.to_owned();
        // A query that says more is about this one object.
        if !before.ends_with('/') || query.is_some_and(|query| query != "x-id=GetObject") {
            return None;
        }
        let authorization = header("authorization")?;
        let scope = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=")?.split(',').next()?;
        let mut scope = scope.rsplit('/');
        let (Some("aws4_request"), Some(service), Some(region)) = (scope.next(), scope.next(), scope.next()) else {
            return None;
        };
        let date = NaiveDateTime::parse_from_str(header("x-amz-date")?, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
        let correction = date.signed_duration_since(sent);
        let way = Self {
            before,
            after: query.map(|query| format!("?{query}")).unwrap_or_default(),
            host: host_of(&uri),
            asker: headers.iter().filter(|(name, _)| ASKER.contains(&name.as_str())).cloned().collect(),
            region: region.to_owned(),
            service: service.to_owned(),
            correction: if correction.abs() < SAME_CLOCK { TimeDelta::zero() } else { correction },
            connector,
            components,
        };
        // Some are added after signing, which says how often the request was sent.
        let signed = authorization.split("SignedHeaders=").nth(1)?.split(',').next()?;
        let unsigned = headers
            .iter()
            .filter(|(name, _)| !SIGNERS.contains(&name.as_str()) && signed.split(';').any(|signed| signed == name));
        let again = way.request(key, unsigned.map(|(name, value)| (name.as_str(), value.as_str())), date).await?;
        let same = again.uri() == uri && SIGNERS.iter().all(|name| again.headers().get(*name) == header(name));
        same.then_some(way)
    }

    /// Asks for an object: none where the answer is anything but its bytes, or cannot be read.
    pub(super) async fn ask(&self, wanted: &Wanted, tap: &ExchangeTap) -> Option<ObjectAnswer> {
        let mut headers = vec![("x-amz-checksum-mode", "ENABLED")];
        headers.extend(wanted.etag.as_deref().map(|etag| ("if-match", etag)));
        headers.extend(self.asker.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let request = self.request(&wanted.location.key, headers.into_iter(), Utc::now() + self.correction).await?;
        tap.sent(self.host.clone());
        let response = self.connector.call(request).await.ok()?;
        tap.received();
        tap.answered(&response);
        if response.status().as_u16() != 200 {
            return None;
        }
        ObjectAnswer::read(response)
    }

    /// A signed request for `key`.
    async fn request<'a>(
        &self,
        key: &str,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        at: DateTime<Utc>,
    ) -> Option<HttpRequest> {
        let config = ConfigBag::base();
        let resolver = self.components.identity_resolver(AuthSchemeId::new("sigv4"))?;
        let identity = self.components.identity_cache();
        let identity = identity.resolve_cached_identity(resolver, &self.components, &config).await.ok()?;
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_method("GET").ok()?;
        request.set_uri(format!("{}{}{}", self.before, encoded(key)?, self.after)).ok()?;
        for (name, value) in headers {
            request.headers_mut().try_insert(name.to_owned(), value.to_owned()).ok()?;
        }
        // As S3 wants it: its keys are signed as they are sent, and every request names the hash of its body.
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(SystemTime::from(at))
            .settings(settings)
            .build()
            .ok()?;
        let signable =
            SignableRequest::new(request.method(), request.uri(), request.headers().iter(), SignableBody::Bytes(b""));
        let (instructions, _) = sign(signable.ok()?, &SigningParams::V4(parameters)).ok()?.into_parts();
        let (headers, _) = instructions.into_parts();
        for header in headers {
            request.headers_mut().try_insert(header.name(), header.value().to_owned()).ok()?;
        }
        Some(request)
    }
}

/// A key as it stands in an address; none for one that a way there might take for something else.
fn encoded(key: &str) -> Option<String> {
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return None;
    }
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").ok()?;
        }
    }
    Some(text)
}
