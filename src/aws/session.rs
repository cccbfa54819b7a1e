use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_types::SdkConfig;
use aws_types::app_name::AppName;

use crate::case::event::{Caller, ClockOffset};
use crate::model::{Region, printable};

use super::Halt;
use super::clock::ClockSamples;
use super::exchange::ExchangeTap;
use super::failure::{Failure, FailureKind, one_line};
use super::wire::Wire;

/// Attempts the SDK makes for one request.
const ATTEMPTS: u32 = 8;
/// Attempts for the very first request.
const FIRST_ATTEMPTS: u32 = 3;
/// Requests in a row without any whole answer after which AWS counts as out of reach.
const UNREACHABLE_AFTER: u32 = 16;
/// The time between two requests of an operation that AWS grants twice a second.
const PACE: Duration = Duration::from_millis(550);
/// Connections that are kept to one host.
const MOST_IN_FLIGHT: usize = 512;
/// The region asked where the user and the configuration name none.
const DEFAULT_REGION: &str = "us-east-1";

/// How to reach AWS, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The profile of the AWS configuration files.
    pub profile: Option<String>,
    /// A role to assume.
    pub role_arn: Option<String>,
    /// The external id that the role asks for.
    pub external_id: Option<String>,
    /// The endpoint to ask instead of AWS's own.
    pub endpoint_url: Option<String>,
    /// The region for what is not regional.
    pub region: Option<Region>,
    /// The case number, for the name of an assumed role's session.
    pub case_number: Option<String>,
    /// How many objects of a bucket may be asked for at once; 0 where that is found out.
    pub concurrency: usize,
    /// The access key to use, instead of whatever the environment and the profile have.
    pub access_key: Option<AccessKey>,
    /// The time between two requests of an operation that AWS grants twice a second; none for the default.
    pub pace: Option<Duration>,
}

/// An access key.
#[derive(Clone)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The token of a temporary one.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why no session with AWS came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// There are no credentials at all.
    #[error("no AWS credentials were found in the environment, the profile or the instance")]
    NoCredentials(#[source] CredentialsError),
    /// There should be credentials, but they could not be had.
    #[error("the AWS credentials could not be loaded: {explanation}")]
    CredentialsUnavailable {
        /// The innermost cause, in one line.
        explanation: String,
        /// The error.
        #[source]
        source: CredentialsError,
    },
    /// The role could not be assumed.
    #[error("the role `{role}` could not be assumed: {explanation}")]
    AssumeRole {
        /// The role.
        role: String,
        /// The innermost cause, in one line.
        explanation: String,
        /// The error.
        #[source]
        source: CredentialsError,
    },
    /// AWS does not accept the credentials.
    #[error("AWS does not accept these credentials")]
    WrongCredentials(#[source] Failure),
    /// AWS could not be asked.
    #[error("AWS cannot be reached{}", endpoint.as_ref().map(|url| format!(" at {url}")).unwrap_or_default())]
    Unreachable {
        /// The endpoint, where it is not AWS's own.
        endpoint: Option<String>,
        /// The failure.
        #[source]
        source: Failure,
    },
    /// AWS did not say who is asking.
    #[error("AWS did not say who is asking")]
    Unidentified(#[source] Failure),
}

/// A conversation with AWS under one identity: clients by region, the clock, the count of requests.
#[derive(Clone, Debug)]
pub struct Session {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: SdkConfig,
    wire: Wire,
    region: Region,
    caller: Caller,
    s3: Mutex<HashMap<Region, aws_sdk_s3::Client>>,
    ec2: Mutex<HashMap<Region, aws_sdk_ec2::Client>>,
    cloudtrail: Mutex<HashMap<Region, aws_sdk_cloudtrail::Client>>,
    logs: Mutex<HashMap<Region, aws_sdk_cloudwatchlogs::Client>>,
    clock: Mutex<ClockSamples>,
    requests: AtomicU64,
    unanswered: AtomicU32,
    pace: Duration,
}

impl Session {
    /// Finds credentials and asks AWS whose they are.
    pub async fn connect(connection: &Connection) -> Result<Self, AwsError> {
        let in_flight = if connection.concurrency == 0 { MOST_IN_FLIGHT } else { connection.concurrency };
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
            .pool_idle_timeout(Duration::from_mins(1))
            .pool_max_idle_per_host(in_flight.saturating_add(16))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(20))
            .operation_attempt_timeout(Duration::from_mins(1))
            .operation_timeout(Duration::from_mins(5))
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .http_client(http.clone())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Ok(name) = AppName::new(app_name(connection.case_number.as_deref())) {
            loader = loader.app_name(name);
        }
        if let Some(profile) = &connection.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &connection.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(region) = &connection.region {
            loader = loader.region(sdk_region(region));
        }
        if let Some(key) = &connection.access_key {
            let (id, secret, token) = (key.id.clone(), key.secret.clone(), key.session_token.clone());
            loader = loader.credentials_provider(Credentials::new(id, secret, token, None, "caselock"));
        }
        let mut config = loader.load().await;
        let region = config.region().and_then(|region| region.as_ref().parse().ok());
        let region = connection.region.clone().or(region).or_else(|| DEFAULT_REGION.parse().ok());
        let Some(region) = region else {
            return Err(AwsError::Unidentified(Failure::found(FailureKind::Other, "no region is known")));
        };
        config = config.into_builder().region(sdk_region(&region)).build();
        if let Some(role) = &connection.role_arn {
            let mut assume = aws_config::sts::AssumeRoleProvider::builder(role)
                .session_name(session_name(connection.case_number.as_deref()))
                .region(sdk_region(&region))
                .configure(&config);
            if let Some(id) = &connection.external_id {
                assume = assume.external_id(id);
            }
            let provider = aws_credential_types::provider::SharedCredentialsProvider::new(assume.build().await);
            config = config.into_builder().credentials_provider(provider).build();
        }
        let access_key_id = access_key_id(&config, connection.role_arn.as_deref()).await?;
        let mut session = Inner {
            wire: Wire::new(http),
            region,
            // Filled in by the answer to the first call, below.
            caller: Caller {
                account: nobody()?,
                arn: String::new(),
                user_id: String::new(),
                access_key_id: Some(access_key_id),
            },
            s3: Mutex::default(),
            ec2: Mutex::default(),
            cloudtrail: Mutex::default(),
            logs: Mutex::default(),
            clock: Mutex::default(),
            requests: AtomicU64::new(0),
            unanswered: AtomicU32::new(0),
            pace: connection.pace.unwrap_or_else(|| default_pace(config.endpoint_url())),
            config,
        };
        let tap = ExchangeTap::default();
        // Whoever mistyped an endpoint or has no network should not wait for eight attempts to learn it.
        let hasty =
            aws_sdk_sts::config::Builder::default().retry_config(RetryConfig::standard().with_max_attempts(FIRST_ATTEMPTS));
        let asked = session.sts().get_caller_identity().customize().config_override(hasty).interceptor(tap.clone());
        let answer = asked.send().await;
        let endpoint = session.config.endpoint_url().map(printable);
        let answer = answer.map_err(|error| {
            let failure = Failure::of(&error);
            match failure.kind {
                FailureKind::Credentials | FailureKind::Denied => AwsError::WrongCredentials(failure),
                FailureKind::Network => AwsError::Unreachable { endpoint, source: failure },
                _ => AwsError::Unidentified(failure),
            }
        })?;
        let account = answer.account().and_then(|account| account.parse().ok());
        let Some(account) = account else {
            let failure = Failure::found(FailureKind::Other, "the answer names no account");
            return Err(AwsError::Unidentified(failure));
        };
        session.caller.account = account;
        session.caller.arn = printable(answer.arn().unwrap_or_default());
        session.caller.user_id = printable(answer.user_id().unwrap_or_default());
        let session = Self { inner: Arc::new(session) };
        session.note(&tap);
        Ok(session)
    }

    /// Who AWS says is asking.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.inner.caller
    }

    /// The region asked for what is not regional.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.inner.region
    }

    /// The endpoint asked instead of AWS's own, wherever it was set.
    #[must_use]
    pub fn endpoint_url(&self) -> Option<&str> {
        self.inner.config.endpoint_url()
    }

    /// How the clocks compare, from every answer so far.
    #[must_use]
    pub fn clock(&self) -> Option<ClockOffset> {
        self.inner.clock.lock().unwrap_or_else(PoisonError::into_inner).offset()
    }

    /// The time between two requests of an operation that AWS grants twice a second.
    pub(crate) fn pace(&self) -> Duration {
        self.inner.pace
    }

    /// Requests sent so far, retries included.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    /// The client of STS.
    #[must_use]
    pub fn sts(&self) -> aws_sdk_sts::Client {
        self.inner.sts()
    }

    /// The client of S3 in `region`.
    #[must_use]
    pub fn s3(&self, region: &Region) -> aws_sdk_s3::Client {
        cached(&self.inner.s3, region, || {
            let config = aws_sdk_s3::config::Builder::from(&self.inner.config)
                .region(sdk_region(region))
                .http_client(self.inner.wire.clone())
                .retry_partition(partition("s3", region))
                .force_path_style(self.endpoint_url().is_some());
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }

    /// The client of EC2 in `region`.
    #[must_use]
    pub fn ec2(&self, region: &Region) -> aws_sdk_ec2::Client {
        cached(&self.inner.ec2, region, || {
            let config = aws_sdk_ec2::config::Builder::from(&self.inner.config)
                .region(sdk_region(region))
                .http_client(self.inner.wire.clone())
                .retry_partition(partition("ec2", region));
            aws_sdk_ec2::Client::from_conf(config.build())
        })
    }

    /// The client of CloudTrail in `region`.
    #[must_use]
    pub fn cloudtrail(&self, region: &Region) -> aws_sdk_cloudtrail::Client {
        cached(&self.inner.cloudtrail, region, || {
            let config = aws_sdk_cloudtrail::config::Builder::from(&self.inner.config)
                .region(sdk_region(region))
                .http_client(self.inner.wire.clone())
                .retry_partition(partition("cloudtrail", region));
            aws_sdk_cloudtrail::Client::from_conf(config.build())
        })
    }

    /// The client of CloudWatch Logs in `region`.
    #[must_use]
    pub fn logs(&self, region: &Region) -> aws_sdk_cloudwatchlogs::Client {
        cached(&self.inner.logs, region, || {
            let config = aws_sdk_cloudwatchlogs::config::Builder::from(&self.inner.config)
                .region(sdk_region(region))
                .http_client(self.inner.wire.clone())
                .retry_partition(partition("logs", region));
            aws_sdk_cloudwatchlogs::Client::from_conf(config.build())
        })
    }

    /// Counts the attempts of an exchange, and takes what they say about the clock.
    pub(crate) fn note(&self, tap: &ExchangeTap) {
        let mut clock = self.inner.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = tap.sample_clock(&mut clock);
        self.inner.requests.fetch_add(attempts, Ordering::Relaxed);
    }

    /// Notes that AWS answered.
    pub(crate) fn answered(&self) {
        self.inner.unanswered.store(0, Ordering::Relaxed);
    }

    /// Decides whether a failure concerns one request or the whole run.
    ///
    /// A region that is not enabled for the account refuses good credentials as if they were bad. So on such a refusal AWS is
    /// asked again who we are: only when that fails too is the run at its end.
    pub(crate) async fn judge(&self, mut failure: Failure) -> Result<Failure, Halt> {
        match failure.kind {
            FailureKind::Network => {
                // One host may be out of reach, behind a firewall for example; only when nobody says who we are is the run at its end.
                if self.inner.wire.reach().has_lost_one() && !self.answers_at_all().await {
                    return Err(Halt::Unreachable(failure));
                }
                if self.inner.unanswered.fetch_add(1, Ordering::Relaxed) + 1 >= UNREACHABLE_AFTER {
                    return Err(Halt::Unreachable(failure));
                }
            }
            FailureKind::Credentials => match self.sts().get_caller_identity().send().await {
                Ok(_) => {
                    failure.kind = FailureKind::Denied;
                    failure.message = one_line(&format!(
                        "{} (the credentials are good elsewhere: the region may not be enabled for the account)",
                        failure.message
                    ));
                }
                Err(_) => return Err(Halt::Credentials(failure)),
            },
            _ => self.answered(),
        }
        Ok(failure)
    }
}

impl Session {
    /// Whether AWS answers the simplest question, asked in haste.
    async fn answers_at_all(&self) -> bool {
        let hasty = aws_sdk_sts::config::Builder::default().retry_config(RetryConfig::standard().with_max_attempts(2));
        let asked = self.sts().get_caller_identity().customize().config_override(hasty).send().await;
        asked.is_ok_and(|answer| answer.account().is_some())
    }
}

impl Inner {
    fn sts(&self) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.config)
            .http_client(self.wire.clone())
            .retry_partition(partition("sts", &self.region));
        aws_sdk_sts::Client::from_conf(config.build())
    }
}

fn nobody() -> Result<crate::model::AccountId, AwsError> {
    "000000000000".parse().map_err(|_| AwsError::Unidentified(Failure::found(FailureKind::Other, "no account")))
}

/// The id, never the secret, of the credentials' access key.
async fn access_key_id(config: &SdkConfig, role: Option<&str>) -> Result<String, AwsError> {
    let Some(provider) = config.credentials_provider() else {
        return Err(AwsError::NoCredentials(CredentialsError::not_loaded("no provider of credentials is configured")));
    };
    match provider.provide_credentials().await {
        Ok(credentials) => Ok(printable(credentials.access_key_id())),
        Err(source) => {
            let explanation = innermost(&source);
            Err(match (role, &source) {
                (None, CredentialsError::CredentialsNotLoaded(_)) => AwsError::NoCredentials(source),
                (None, _) => AwsError::CredentialsUnavailable { explanation, source },
                (Some(role), _) => AwsError::AssumeRole { role: printable(role), explanation, source },
            })
        }
    }
}

/// A little under two requests a second; a stand-in for AWS on this machine has no such quota.
fn default_pace(endpoint_url: Option<&str>) -> Duration {
    let host = endpoint_url.and_then(|url| url.parse::<http::Uri>().ok()?.host().map(str::to_owned));
    let host = host.as_deref().map(|host| host.trim_matches(['[', ']']));
    let here = |host: &str| host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if host.is_some_and(here) { Duration::ZERO } else { PACE }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut last, mut next) = (error.to_string(), error.source());
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    one_line(&last)
}

/// The name that the victim's CloudTrail will show: `caselock-` and the case number, in the characters that STS allows.
fn session_name(case_number: Option<&str>) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | ',' | '.' | '@' | '-' | '_');
    let case: String =
        case_number.unwrap_or("acquisition").chars().map(|c| if allowed(c) { c } else { '-' }).take(50).collect();
    format!("caselock-{case}")
}

/// What every request says of itself, so that the victim's CloudTrail tells them from everybody else's: AWS takes 50 characters.
fn app_name(case_number: Option<&str>) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let name = concat!("caselock-", env!("CARGO_PKG_VERSION")).to_owned();
    let Some(case) = case_number else { return name };
    let case = case.chars().map(|c| if allowed(c) { c } else { '-' });
    name.chars().chain(['-']).chain(case).take(50).collect()
}

fn sdk_region(region: &Region) -> aws_types::region::Region {
    aws_types::region::Region::new(region.as_str().to_owned())
}

/// A store of retry tokens of our own: the SDK's own is small, and a throttled run would use it up and then stop retrying.
fn partition(service: &'static str, region: &Region) -> RetryPartition {
    let bucket = TokenBucket::builder().capacity(5_000).refill_rate(100.0).build();
    RetryPartition::custom(format!("caselock-{service}-{region}")).token_bucket(bucket).build()
}

fn cached<T: Clone>(clients: &Mutex<HashMap<Region, T>>, region: &Region, make: impl FnOnce() -> T) -> T {
    let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
    clients.entry(region.clone()).or_insert_with(make).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stand_in_on_this_machine_is_asked_without_a_pause() {
        for here in ["http://127.0.0.1:9000", "http://localhost:4566", "http://[::1]:1"] {
            assert_eq!(default_pace(Some(here)), Duration::ZERO, "{here}");
        }
        for elsewhere in [None, Some("https://cloudtrail.us-east-1.amazonaws.com"), Some("https://192.0.2.1"), Some("")] {
            assert_eq!(default_pace(elsewhere), PACE, "{elsewhere:?}");
        }
    }

    #[test]
    fn requests_carry_the_case_number_in_what_a_user_agent_may_hold() {
        assert!(app_name(Some("IR 2026/014 ü")).ends_with("-IR-2026-014--"));
        for case in
            [None, Some(""), Some("IR-1"), Some("(x); \"y\""), Some("ein sehr langes Aktenzeichen, länger als alles, was geht")]
        {
            let name = app_name(case);
            assert!(name.len() <= 50 && AppName::new(name.clone()).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_session_name_holds_only_what_sts_allows() {
        assert_eq!(session_name(Some("IR 2026/014 ü")), "caselock-IR-2026-014--");
        assert_eq!(session_name(None), "caselock-acquisition");
        assert!(session_name(Some(&"x".repeat(200))).len() <= 64);
    }
}
