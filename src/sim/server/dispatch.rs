//! From a request to the service it is meant for, and back.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::ready;
use futures::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use s3s::Body;
use s3s::service::S3Service;
use sha2::{Digest as _, Sha256};

use super::super::faults::{Asked, Effect, Faults};
use super::super::principals::{Principal, Principals};
use super::super::requests::{Request, RequestLog};
use super::super::service::{Answer, Form, Objection, Protocol, Refusal, cloudtrail, ec2, kms, logs, s3, sts};
use super::super::{ACCOUNT_ID, Account};
use super::scope::Scope;
use super::signature::is_signed_with;

/// Answers requests, writes them down, and lets faults strike.
#[derive(Debug)]
pub(super) struct Dispatcher {
    account: Account,
    principals: Principals,
    faults: Faults,
    requests: RequestLog,
    s3: S3Service,
    count: AtomicU64,
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the simulated service closed the connection")]
pub(super) struct Closed;

impl Dispatcher {
    pub(super) fn new(account: Account, principals: Principals, faults: Faults, requests: RequestLog) -> Self {
        let s3 = s3::service(account.objects(), &principals, &faults);
        Self { account, principals, faults, requests, s3, count: AtomicU64::new(0) }
    }

    pub(super) async fn answer(&self, request: http::Request<Incoming>) -> Result<Response<Body>, Closed> {
        let latency = self.faults.latency();
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let scope = Scope::of(request.headers());
        let mut answer = match protocol(&request, scope.as_ref()) {
            None => self.answer_s3(request, scope).await,
            Some(protocol) => self.answer_api(request, protocol, scope).await,
        }?;
        let ahead = self.faults.clock_ahead();
        if !ahead.is_zero() {
            let date = chrono::Utc::now() + ahead;
            add_header(&mut answer, "date", &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string());
        }
        Ok(answer)
    }

    async fn answer_s3(&self, request: http::Request<Incoming>, scope: Option<Scope>) -> Result<Response<Body>, Closed> {
        let region = scope.map(|scope| scope.region).unwrap_or_default();
        let method = request.method().to_string();
        let head = request.method() == http::Method::HEAD;
        let sdk = request.headers().contains_key("amz-sdk-invocation-id");
        let trace = s3::Trace::of_region(&region);
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(trace.clone());
        let answered = self.s3.call(request).await;
        let (operation, target, effect) = trace.outcome();
        if effect == Some(Effect::Silence) {
            std::future::pending::<()>().await;
        }
        let mut note = Request { service: "s3".to_owned(), operation, region, target, method, sdk, status: 0 };
        let (Ok(response), false) = (answered, effect == Some(Effect::Reset)) else {
            self.requests.add(note);
            return Err(Closed);
        };
        note.status = response.status().as_u16();
        self.requests.add(note);
        let id = self.request_id();
        let extended = STANDARD.encode(Sha256::digest(&id).repeat(2).get(..57).unwrap_or_default());
        let mut response = match effect {
            Some(Effect::Cut(_) | Effect::Stall(_) | Effect::Shorten(_) | Effect::Replace(_) | Effect::WrongChecksum) => {
                spoil(response, effect).await
            }
            _ if !head && (response.status().is_client_error() || response.status().is_server_error()) => {
                name_request(response, &id, &extended).await
            }
            _ => response,
        };
        add_header(&mut response, "x-amz-request-id", &id);
        add_header(&mut response, "x-amz-id-2", &extended);
        add_header(&mut response, "server", "AmazonS3");
        Ok(response)
    }

    async fn answer_api(
        &self,
        request: http::Request<Incoming>,
        protocol: Protocol,
        scope: Option<Scope>,
    ) -> Result<Response<Body>, Closed> {
        let region = scope.as_ref().map(|scope| scope.region.clone()).unwrap_or_default();
        let method = request.method().to_string();
        let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).map(str::to_owned);
        let sdk = request.headers().contains_key("amz-sdk-invocation-id");
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let form = match protocol {
            Protocol::CloudTrail | Protocol::Logs | Protocol::Kms => Form::default(),
            Protocol::Ec2 | Protocol::Sts => Form::parse(&String::from_utf8_lossy(&body)),
        };
        let operation = match protocol {
            Protocol::CloudTrail | Protocol::Logs | Protocol::Kms => {
                target.as_deref().and_then(|target| target.rsplit('.').next()).unwrap_or_default()
            }
            Protocol::Ec2 | Protocol::Sts => form.get("Action").unwrap_or_default(),
        }
        .to_owned();
        let about = form.get("RoleArn").unwrap_or_default();
        let account = scope.as_ref().and_then(|scope| self.principals.with_key(&scope.access_key)).map(|asking| asking.account);
        let asked = Asked { target: about, region: &region, account: account.as_deref(), prefix: None };
        let effect = self.faults.strike(protocol.service(), &operation, &asked);
        if effect == Some(Effect::Silence) {
            std::future::pending::<()>().await;
        }
        let id = format!("{}-{:012x}", "00000000-0000-4000-8000", self.count.fetch_add(1, Ordering::Relaxed));
        let token = parts.headers.get("x-amz-security-token").and_then(|token| token.to_str().ok());
        let asking = scope.as_ref().and_then(|scope| self.principals.with_key(&scope.access_key));
        // The user's own key is taken with any token, or none.
        let asking = asking.filter(|asking| asking.token.is_none() || asking.token.as_deref() == token);
        let objection = match (&scope, &asking, effect) {
            (None, ..) => Some(Objection::Unsigned),
            (_, None, _) => Some(Objection::UnknownKey),
            (_, Some(asking), _) if !is_signed_with(&asking.secret, &parts, &body) => Some(Objection::WrongSignature),
            (.., Some(Effect::Deny)) => Some(Objection::Denied),
            (.., Some(Effect::Expire)) => Some(Objection::Expired),
            (.., Some(Effect::Throttle)) => Some(Objection::Throttled),
            (.., Some(Effect::Refuse(status, code, message))) => Some(Objection::Refused(status, code, message)),
            _ => None,
        };
        let answer = match (objection, &asking) {
            (None, Some(asking)) => self.ask(asking, protocol, &region, &operation, &form, &body, &id),
            (objection, _) => Err(protocol.object(objection.unwrap_or(Objection::UnknownKey), &operation)),
        };
        let answer = answer.unwrap_or_else(|refusal| protocol.refuse(&refusal, &id));
        let mut note = Request {
            service: protocol.service().to_owned(),
            operation,
            region,
            target: String::new(),
            method,
            sdk,
            status: 0,
        };
        if effect == Some(Effect::Reset) {
            self.requests.add(note);
            return Err(Closed);
        }
        note.status = answer.status.as_u16();
        self.requests.add(note);
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() = answer.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        response = spoil(response, effect).await;
        add_header(&mut response, "x-amzn-requestid", &id);
        Ok(response)
    }

    #[expect(clippy::too_many_arguments, reason = "what there is to know of a request")]
    fn ask(
        &self,
        asking: &Principal,
        protocol: Protocol,
        region: &str,
        operation: &str,
        form: &Form,
        body: &[u8],
        id: &str,
    ) -> Result<Answer, Refusal> {
        let member = self.principals.member(&asking.account);
        let own = member.as_ref().unwrap_or(&self.account);
        // A member has disks, networks, keys and a history of its own. The trail it sees is the organization's.
        let text = match protocol {
            Protocol::CloudTrail if operation != "LookupEvents" => {
                return Ok(Answer {
                    status: StatusCode::OK,
                    content_type: protocol.content_type(),
                    body: cloudtrail::answer(&self.account, region, operation, body)?.to_string(),
                });
            }
            Protocol::CloudTrail => cloudtrail::answer(own, region, operation, body)?.to_string(),
            Protocol::Logs => logs::answer(own, region, operation, body)?.to_string(),
            Protocol::Ec2 => ec2::answer(own, region, operation, form, id)?,
            Protocol::Kms => {
                let body = String::from_utf8_lossy(body).replace(&asking.account, ACCOUNT_ID);
                kms::answer(region, operation, body.as_bytes())?.to_string()
            }
            Protocol::Sts => sts::answer(&self.principals, asking, operation, form, id)?,
        };
        let body = if member.is_some() && protocol != Protocol::Sts { text.replace(ACCOUNT_ID, &asking.account) } else { text };
        Ok(Answer { status: StatusCode::OK, content_type: protocol.content_type(), body })
    }

    fn request_id(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        hex::encode_upper(Sha256::digest(number.to_be_bytes()).get(..8).unwrap_or_default())
    }
}

/// The service a request is meant for; S3 has no protocol of ours.
fn protocol(request: &http::Request<Incoming>, scope: Option<&Scope>) -> Option<Protocol> {
    if let Some(scope) = scope {
        return match scope.service.as_str() {
            "cloudtrail" => Some(Protocol::CloudTrail),
            "logs" => Some(Protocol::Logs),
            "ec2" => Some(Protocol::Ec2),
            "sts" => Some(Protocol::Sts),
            "kms" => Some(Protocol::Kms),
            _ => None,
        };
    }
    // Nobody signed: the form of the request has to tell.
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if header(HeaderName::from_static("x-amz-target")).is_some_and(|target| target.contains("CloudTrail_20131101")) {
        return Some(Protocol::CloudTrail);
    }
    header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded")).then_some(Protocol::Ec2)
}

/// Announces the whole body and sends only its beginning.
async fn cut(response: Response<Body>, after: usize) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let whole = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if whole.len() <= after {
        return Response::from_parts(parts, Body::from(whole));
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let beginning = stream::once(ready(Ok(Frame::data(whole.slice(..after)))));
    // What was sent so far leaves only while the body has nothing more to say.
    let end = stream::once(async {
        tokio::task::yield_now().await;
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the body was cut"))
    });
    Response::from_parts(parts, Body::http_body_unsync(StreamBody::new(stream::StreamExt::chain(beginning, end))))
}

/// Lets go wrong what goes wrong with a body.
async fn spoil(response: Response<Body>, effect: Option<Effect>) -> Response<Body> {
    match effect {
        Some(Effect::Cut(after)) => cut(response, after).await,
        Some(Effect::Stall(after)) => {
            let (mut parts, whole) = whole(response).await;
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
            let beginning = stream::once(ready(Ok::<_, io::Error>(Frame::data(whole.slice(..after.min(whole.len()))))));
            let silence = stream::pending();
            Response::from_parts(parts, Body::http_body_unsync(StreamBody::new(stream::StreamExt::chain(beginning, silence))))
        }
        Some(Effect::Shorten(after)) => {
            let (mut parts, whole) = whole(response).await;
            parts.headers.remove(CONTENT_LENGTH);
            let beginning = stream::once(ready(Ok::<_, io::Error>(Frame::data(whole.slice(..after.min(whole.len()))))));
            Response::from_parts(parts, Body::http_body_unsync(StreamBody::new(beginning)))
        }
        Some(Effect::Replace(text)) => {
            let (mut parts, _) = response.into_parts();
            parts.status = StatusCode::OK;
            parts.headers.remove(CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(Bytes::from_static(text.as_bytes())))
        }
        Some(Effect::WrongChecksum) => {
            let mut response = response;
            add_header(&mut response, "x-amz-checksum-crc32", "AAAAAA==");
            response
        }
        _ => response,
    }
}

async fn whole(response: Response<Body>) -> (http::response::Parts, Bytes) {
    let (parts, body) = response.into_parts();
    (parts, body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default())
}

/// Writes into an S3 error which request it answers.
async fn name_request(response: Response<Body>, id: &str, extended: &str) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let Some(text) = text.strip_suffix("</Error>") else {
        return Response::from_parts(parts, Body::from(body.clone()));
    };
    let text = format!("{text}<RequestId>{id}</RequestId><HostId>{extended}</HostId></Error>");
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Bytes::from(text)))
}

fn add_header(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
