//! Who may do what: every known key may do everything that no fault forbids.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::super::super::faults::{Asked, Effect, Faults};
use super::super::super::principals::Principals;
use super::super::{CALLER_ARN, Form};

/// Knows the secrets of the account's access keys, and refuses others in S3's words.
#[derive(Debug)]
pub(super) struct KnownKeys(pub(super) Principals);

impl S3Auth for KnownKeys {
    fn get_secret_key<'auth, 'key, 'answer>(&'auth self, access_key: &'key str) -> BoxFuture<'answer, S3Result<SecretKey>>
    where
        'auth: 'answer,
        'key: 'answer,
        Self: 'answer,
    {
        let secret = self.0.with_key(access_key).map(|principal| SecretKey::from(principal.secret)).ok_or_else(|| {
            S3Error::with_message(
                S3ErrorCode::InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records.",
            )
        });
        Box::pin(futures::future::ready(secret))
    }
}

/// What became known of a request while `s3s` worked on it: travels in the request's extensions.
#[derive(Debug, Clone, Default)]
pub(in super::super::super) struct Trace {
    found: Arc<Mutex<Found>>,
}

#[derive(Debug, Default)]
struct Found {
    region: String,
    operation: String,
    target: String,
    effect: Option<Effect>,
}

impl Trace {
    pub(in super::super::super) fn of_region(region: &str) -> Self {
        let found = Found { region: region.to_owned(), ..Found::default() };
        Self { found: Arc::new(Mutex::new(found)) }
    }

    /// Operation, target, and what is left to go wrong.
    pub(in super::super::super) fn outcome(&self) -> (String, String, Option<Effect>) {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        (found.operation.clone(), found.target.clone(), found.effect)
    }
}

/// Notes what each request is about, and lets faults strike.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) faults: Faults,
    pub(super) principals: Principals,
}

impl Gate {
    fn pass(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name().to_owned();
        let target = match context.s3_path() {
            S3Path::Root => String::new(),
            S3Path::Bucket { bucket } => bucket.to_string(),
            S3Path::Object { bucket, key } => format!("{bucket}/{key}"),
        };
        let signed = context.credentials().is_some();
        let asking = context.credentials().and_then(|credentials| self.principals.with_key(&credentials.access_key));
        let query = context.uri().query().unwrap_or_default().to_owned();
        let prefix = Form::parse(&query).get("prefix").map(str::to_owned);
        let trace = context.extensions_mut().get::<Trace>().cloned().unwrap_or_default();
        let mut found = trace.found.lock().unwrap_or_else(PoisonError::into_inner);
        let account = asking.as_ref().map(|asking| asking.account.as_str());
        let asked = Asked { target: &target, region: &found.region, account, prefix: prefix.as_deref() };
        let mut effect = self.faults.strike("s3", &operation, &asked);
        // To name a version takes a permission of its own (IAM, "Actions defined by Amazon S3").
        if effect.is_none() && operation == "GetObject" && query.contains("versionId=") {
            effect = self.faults.strike("s3", "GetObjectVersion", &asked);
        }
        found.effect = effect;
        found.operation.clone_from(&operation);
        found.target.clone_from(&target);
        if !signed {
            return Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied"));
        }
        match found.effect {
            Some(Effect::Deny) => Err(S3Error::with_message(
                S3ErrorCode::AccessDenied,
                format!(
                    "User: {CALLER_ARN} is not authorized to perform: s3:{operation} on resource: \"arn:aws:s3:::{target}\" because no identity-based policy allows the s3:{operation} action"
                ),
            )),
            Some(Effect::Expire) => Err(S3Error::with_message(S3ErrorCode::ExpiredToken, "The provided token has expired.")),
            Some(Effect::Throttle) => Err(S3Error::with_message(S3ErrorCode::SlowDown, "Please reduce your request rate.")),
            Some(Effect::Refuse(status, code, message)) => {
                let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
                if let Ok(status) = http::StatusCode::from_u16(status) {
                    error.set_status_code(status);
                }
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

impl S3Access for Gate {
    fn check<'gate, 'context, 'inner, 'answer>(
        &'gate self,
        context: &'context mut S3AccessContext<'inner>,
    ) -> BoxFuture<'answer, S3Result<()>>
    where
        'gate: 'answer,
        'context: 'answer,
        'inner: 'answer,
        Self: 'answer,
    {
        Box::pin(futures::future::ready(self.pass(context)))
    }
}
