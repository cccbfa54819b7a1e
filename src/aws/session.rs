//! One identity's conversation with AWS: the clients of each region, what they share, and whether a failure ends the run. Credentials come
//! from `connection`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_ec2::operation::describe_regions::{DescribeRegionsError, DescribeRegionsOutput};
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_types::SdkConfig;
use tokio::task::JoinSet;

use crate::case::event::{Caller, ClockOffset};
use crate::model::{Region, printable};

use super::Halt;
use super::clock::ClockSamples;
use super::connection::{AwsError, Connection, Ground, sdk_region};
use super::exchange::{ExchangeTap, without_userinfo};
use super::failure::{Failure, FailureKind, one_line};
use super::wire::Wire;

/// How long the question whether AWS answers at all may take.
const HASTE: Duration = Duration::from_secs(8);
/// Attempts for the very first request.
const FIRST_ATTEMPTS: u32 = 3;
/// Requests in a row without any whole answer after which AWS is asked whether it answers at all.
const UNREACHABLE_AFTER: u32 = 16;
/// The time between two requests of an operation that AWS grants twice a second.
const PACE: Duration = Duration::from_millis(550);

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
    endpoint_url: Option<String>,
    service_endpoints: BTreeMap<String, String>,
    proxies: BTreeMap<String, String>,
    caller: Caller,
    s3: Mutex<HashMap<Region, aws_sdk_s3::Client>>,
    ec2: Mutex<HashMap<Region, aws_sdk_ec2::Client>>,
    cloudtrail: Mutex<HashMap<Region, aws_sdk_cloudtrail::Client>>,
    logs: Mutex<HashMap<Region, aws_sdk_cloudwatchlogs::Client>>,
    kms: Mutex<HashMap<Region, aws_sdk_kms::Client>>,
    clock: Mutex<ClockSamples>,
    requests: AtomicU64,
    unanswered: AtomicU32,
    pace: Duration,
    /// Which regions there are, as far as it was asked for before anybody keeps the answer.
    regions_ahead: Mutex<Option<RegionsAhead>>,
}

/// The answer to which regions there are, before somebody keeps it.
#[derive(Debug)]
enum RegionsAhead {
    Asked(JoinSet<(RegionsAnswer, ExchangeTap)>),
    Answered(Box<(RegionsAnswer, ExchangeTap)>),
}

/// What EC2 says when it is asked which regions there are.
type RegionsAnswer = Result<DescribeRegionsOutput, SdkError<DescribeRegionsError, HttpResponse>>;

async fn ask_regions(client: &aws_sdk_ec2::Client, tap: ExchangeTap) -> RegionsAnswer {
    // Those that are not enabled, too: only so a region that is switched off is told from one that does not exist.
    client.describe_regions().all_regions(true).customize().interceptor(tap).send().await
}

impl Session {
    /// Finds credentials and asks AWS whose they are; of several roles, the first is assumed.
    pub async fn connect(connection: &Connection) -> Result<Self, AwsError> {
        let ground = Ground::of(connection).await?;
        match connection.role_arns.first() {
            Some(role) => Self::open(ground.assume(role, connection).await?, connection).await,
            None => Self::open(ground, connection).await,
        }
    }

    /// Asks AWS whose the credentials are.
    pub(super) async fn open(ground: Ground, connection: &Connection) -> Result<Self, AwsError> {
        let Ground { config, http, region, access_key_id, service_endpoints, proxies, .. } = ground;
        let endpoint_url = config.endpoint_url().map(|url| printable(&without_userinfo(url)));
        let mut session = Inner {
            wire: Wire::new(http),
            region,
            endpoint_url: endpoint_url.clone(),
            service_endpoints,
            proxies,
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
            kms: Mutex::default(),
            clock: Mutex::default(),
            requests: AtomicU64::new(0),
            unanswered: AtomicU32::new(0),
            regions_ahead: Mutex::default(),
            pace: connection.pace.unwrap_or_else(|| default_pace(config.endpoint_url())),
            config,
        };
        if connection.asks_regions {
            let (client, tap, mut ahead) = (session.ec2(&session.region), ExchangeTap::default(), JoinSet::new());
            ahead.spawn(async move { (ask_regions(&client, tap.clone()).await, tap) });
            session.regions_ahead = Mutex::new(Some(RegionsAhead::Asked(ahead)));
        }
        let tap = ExchangeTap::default();
        // Whoever mistyped an endpoint or has no network should not wait for eight attempts to learn it.
        let hasty =
            aws_sdk_sts::config::Builder::default().retry_config(RetryConfig::standard().with_max_attempts(FIRST_ATTEMPTS));
        let asked = session.sts().get_caller_identity().customize().config_override(hasty).interceptor(tap.clone());
        let answer = asked.send().await;
        let answer = answer.map_err(|error| {
            let failure = Failure::of(&error);
            let proxy = session.proxies.values().next().cloned();
            match failure.kind {
                FailureKind::Credentials | FailureKind::Denied => AwsError::WrongCredentials(failure),
                FailureKind::Network | FailureKind::NotOfAws => {
                    AwsError::Unreachable { endpoint: endpoint_url, proxy, source: Box::new(failure) }
                }
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

    /// The endpoint asked instead of AWS's own, wherever it was set; without a name and password.
    #[must_use]
    pub fn endpoint_url(&self) -> Option<&str> {
        self.inner.endpoint_url.as_deref()
    }

    /// The endpoints that the environment or the profile sets for single services, by the service's name in the environment; without a
    /// name and password.
    #[must_use]
    pub fn service_endpoints(&self) -> &BTreeMap<String, String> {
        &self.inner.service_endpoints
    }

    /// The proxies that are used, by the variables that name them; without a name and password.
    #[must_use]
    pub fn proxies(&self) -> &BTreeMap<String, String> {
        &self.inner.proxies
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
                .force_path_style(self.endpoint_url().is_some() || self.service_endpoints().contains_key("S3"));
            aws_sdk_s3::Client::from_conf(config.build())
        })
    }

    /// The client of EC2 in `region`.
    #[must_use]
    pub fn ec2(&self, region: &Region) -> aws_sdk_ec2::Client {
        self.inner.ec2(region)
    }

    /// Asks which regions there are, or takes the answer that was asked for before.
    pub(crate) async fn describe_regions(&self, tap: ExchangeTap) -> RegionsAnswer {
        let (answer, asked) = self.take_regions().await;
        tap.take_over(&asked);
        answer
    }

    /// All regions that AWS names to this identity, enabled or not; nothing where it does not say. Whoever keeps the answer gets this one.
    pub(crate) async fn regions_named(&self) -> Option<BTreeSet<Region>> {
        let answered = self.take_regions().await;
        let named = answered.0.as_ref().ok().map(|output| {
            let names = output.regions().iter().filter_map(|region| region.region_name()?.parse().ok());
            names.collect()
        });
        let ahead = Some(RegionsAhead::Answered(Box::new(answered)));
        *self.inner.regions_ahead.lock().unwrap_or_else(PoisonError::into_inner) = ahead;
        named
    }

    async fn take_regions(&self) -> (RegionsAnswer, ExchangeTap) {
        let ahead = self.inner.regions_ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        match ahead {
            Some(RegionsAhead::Answered(answered)) => return *answered,
            Some(RegionsAhead::Asked(mut asked)) => {
                if let Some(Ok(answered)) = asked.join_next().await {
                    return answered;
                }
            }
            None => {}
        }
        let tap = ExchangeTap::default();
        (ask_regions(&self.ec2(self.region()), tap.clone()).await, tap)
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

    /// The client of KMS in `region`.
    #[must_use]
    pub fn kms(&self, region: &Region) -> aws_sdk_kms::Client {
        cached(&self.inner.kms, region, || {
            let config = aws_sdk_kms::config::Builder::from(&self.inner.config)
                .region(sdk_region(region))
                .http_client(self.inner.wire.clone())
                .retry_partition(partition("kms", region));
            aws_sdk_kms::Client::from_conf(config.build())
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
            FailureKind::Network | FailureKind::NotOfAws => {
                // One host may be out of reach, behind a firewall for example, or break off every body; only when nobody says who we
                // are is the run at its end.
                let in_a_row = self.inner.unanswered.fetch_add(1, Ordering::Relaxed) + 1;
                if in_a_row >= UNREACHABLE_AFTER || self.inner.wire.reach().has_lost_one() {
                    if !self.answers_at_all().await {
                        return Err(Halt::Unreachable(failure));
                    }
                    self.answered();
                }
                if failure.kind == FailureKind::NotOfAws
                    && let Some(way) = self.way()
                {
                    failure.message = one_line(&format!("{} ({way})", failure.message));
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
    /// What stands between AWS and us, where anything does.
    fn way(&self) -> Option<String> {
        let proxy = self.proxies().values().next().map(|proxy| format!("asked through the proxy {proxy}"));
        proxy.or_else(|| self.endpoint_url().map(|endpoint| format!("asked at {endpoint}")))
    }

    /// Whether AWS answers the simplest question, asked in haste.
    async fn answers_at_all(&self) -> bool {
        let hasty = aws_sdk_sts::config::Builder::default()
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(TimeoutConfig::builder().operation_timeout(HASTE).build());
        let asked = self.sts().get_caller_identity().customize().config_override(hasty).send().await;
        asked.is_ok_and(|answer| answer.account().is_some())
    }
}

impl Inner {
    fn ec2(&self, region: &Region) -> aws_sdk_ec2::Client {
        cached(&self.ec2, region, || {
            let config = aws_sdk_ec2::config::Builder::from(&self.config)
                .region(sdk_region(region))
                .http_client(self.wire.clone())
                .retry_partition(partition("ec2", region));
            aws_sdk_ec2::Client::from_conf(config.build())
        })
    }

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

/// A little under two requests a second; a stand-in for AWS on this machine has no such quota.
fn default_pace(endpoint_url: Option<&str>) -> Duration {
    let host = endpoint_url.and_then(|url| url.parse::<http::Uri>().ok()?.host().map(str::to_owned));
    let host = host.as_deref().map(|host| host.trim_matches(['[', ']']));
    let here = |host: &str| host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if host.is_some_and(here) { Duration::ZERO } else { PACE }
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
}
