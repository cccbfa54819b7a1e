//! From what the user says to what sessions start from: credentials, second factor, roles, endpoint, proxy. AWS is asked for credentials
//! and for nothing else.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_types::SdkConfig;
use aws_types::app_name::AppName;
use aws_types::service_config::ServiceConfigKey;

use crate::model::{Region, printable};

use super::bounded::bounded;
use super::exchange::without_userinfo;
use super::failure::{Failure, FailureKind, one_line};
use super::proxy::Proxies;

/// Attempts the SDK makes for one request.
const ATTEMPTS: u32 = 8;
/// Connections that are kept to one host.
const MOST_IN_FLIGHT: usize = 512;
/// The region asked where the user and the configuration name none.
const DEFAULT_REGION: &str = "us-east-1";

/// How to reach AWS, and as whom.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The profile of the AWS configuration files.
    pub profile: Option<String>,
    /// The roles to assume, each an identity of its own; none to ask as whoever the credentials are.
    pub role_arns: Vec<String>,
    /// The external id that the roles ask for.
    pub external_id: Option<String>,
    /// The second factor of the credentials.
    pub second_factor: Option<SecondFactor>,
    /// The endpoint to ask instead of AWS's own.
    pub endpoint_url: Option<String>,
    /// The proxies on the way.
    pub proxies: Proxies,
    /// The region for what is not regional.
    pub region: Option<Region>,
    /// The case number, for the name of an assumed role's session.
    pub case_number: Option<String>,
    /// How many objects of a bucket may be asked for at once; none where that is found out.
    pub concurrency: Option<NonZeroUsize>,
    /// The access key to use, instead of whatever the environment and the profile have.
    pub access_key: Option<AccessKey>,
    /// The time between two requests of an operation that AWS grants twice a second; none for the default.
    pub pace: Option<Duration>,
    /// Whether the regions will be asked for next, so that the question may go out together with the first one.
    pub asks_regions: bool,
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

/// A device for a second factor, and the code that it shows now.
#[derive(Clone)]
pub struct SecondFactor {
    /// The device's serial number or ARN.
    pub serial: String,
    /// The code. AWS takes each only once.
    pub code: String,
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor").field("serial", &self.serial).finish_non_exhaustive()
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
    #[error("the role `{role}` could not be assumed")]
    AssumeRole {
        /// The role.
        role: String,
        /// The failure.
        #[source]
        source: Failure,
    },
    /// The second factor was not accepted.
    #[error("AWS did not accept the code of the second factor")]
    SecondFactor(#[source] Failure),
    /// The proxy on the way cannot be used.
    #[error("the proxy that {variable} names cannot be used: {explanation}")]
    Proxy {
        /// The variable of the environment.
        variable: &'static str,
        /// Why, in one line.
        explanation: String,
    },
    /// AWS does not accept the credentials.
    #[error("AWS does not accept these credentials")]
    WrongCredentials(#[source] Failure),
    /// AWS could not be asked.
    #[error("AWS cannot be reached{}{}", clause(" at ", endpoint.as_ref()), clause(" through the proxy ", proxy.as_ref()))]
    Unreachable {
        /// The endpoint, where it is not AWS's own.
        endpoint: Option<String>,
        /// The proxy on the way, where there is one.
        proxy: Option<String>,
        /// The failure.
        #[source]
        source: Box<Failure>,
    },
    /// AWS did not say who is asking.
    #[error("AWS did not say who is asking")]
    Unidentified(#[source] Failure),
    /// AWS took the code or granted the role, and its answer holds no credentials.
    #[error("AWS answered without the credentials that were asked for")]
    NoCredentialsGiven,
    /// Nobody named a region, and none is known.
    #[error("no region is known through which AWS could be asked")]
    NoRegion,
    /// Roles were to be assumed, and none was named.
    #[error("no role was named")]
    NoRole,
    /// A task ended in a way that it never should.
    #[error("a task that was to assume a role was lost")]
    TaskLost(#[from] tokio::task::JoinError),
}

fn clause(before: &str, what: Option<&String>) -> String {
    what.map(|what| format!("{before}{what}")).unwrap_or_default()
}

/// What sessions start from: credentials, an HTTP client, a region.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) config: SdkConfig,
    pub(super) http: SharedHttpClient,
    pub(super) region: Region,
    /// The id, never the secret, of the credentials' access key.
    pub(super) access_key_id: String,
    pub(super) service_endpoints: BTreeMap<String, String>,
    /// The proxies that are used, by their variables.
    pub(super) proxies: BTreeMap<String, String>,
    /// The role whose credentials they are already.
    role: Option<String>,
}

impl Ground {
    /// Finds credentials in the environment, the profile or the instance.
    pub(super) async fn of(connection: &Connection) -> Result<Self, AwsError> {
        let in_flight = connection.concurrency.map_or(MOST_IN_FLIGHT, NonZeroUsize::get);
        let http = bounded(connection.proxies.client(in_flight.saturating_add(16)));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(15))
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
            // The default chain would take keys of the environment first, though this very identity was asked for.
            let of_profile = ProfileFileRegionProvider::builder().profile_name(profile).build();
            let region = RegionProviderChain::first_try(connection.region.as_ref().map(sdk_region))
                .or_else(EnvironmentVariableRegionProvider::new())
                .or_else(of_profile)
                .or_else(Some(aws_types::region::Region::from_static(DEFAULT_REGION)));
            let provider = ProviderConfig::without_region().with_region(region.region().await).with_http_client(http.clone());
            let named = ProfileFileCredentialsProvider::builder().configure(&provider).profile_name(profile).build();
            loader = loader.profile_name(profile).credentials_provider(named);
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
        let config = loader.load().await;
        let region = config.region().and_then(|region| region.as_ref().parse().ok());
        let region = connection.region.clone().or(region).or_else(|| DEFAULT_REGION.parse().ok());
        let Some(region) = region else {
            return Err(AwsError::NoRegion);
        };
        let config = config.into_builder().region(sdk_region(&region)).build();
        let service_endpoints = service_endpoints(&config, connection);
        let proxies = {
            let of_aws = SERVICES.map(|(.., host)| format!("https://{host}.{region}.amazonaws.com"));
            let named: Vec<&str> = config.endpoint_url().into_iter().collect();
            let asked = if named.is_empty() { of_aws.iter().map(String::as_str).collect() } else { named };
            let asked = || asked.iter().copied().chain(service_endpoints.values().map(String::as_str));
            connection.proxies.check(asked())?;
            connection.proxies.shown(asked())
        };
        let access_key_id = access_key_id(&config).await?;
        let ground = Self { config, http, region, access_key_id, service_endpoints, proxies, role: None };
        match (&connection.second_factor, connection.role_arns.as_slice()) {
            (None, _) => Ok(ground),
            (Some(factor), roles) => ground.with_second_factor(factor, roles, connection).await,
        }
    }

    /// Exchanges the credentials for ones that say that the second factor was given.
    ///
    /// A code is good once, so it buys one session, as which all roles are assumed and renewed. Where only assuming a role is
    /// permitted, a single role can take the code itself.
    async fn with_second_factor(
        self,
        factor: &SecondFactor,
        roles: &[String],
        connection: &Connection,
    ) -> Result<Self, AwsError> {
        let sts = aws_sdk_sts::Client::new(&self.config);
        let asked = sts.get_session_token().serial_number(&factor.serial).token_code(&factor.code).send().await;
        let failure = match asked {
            Ok(answer) => return self.with(answer.credentials()),
            Err(error) => Failure::of(&error),
        };
        let wrong_code = failure.message.contains("MultiFactorAuthentication");
        let [role] = roles else { return Err(AwsError::SecondFactor(failure)) };
        if wrong_code || failure.kind != FailureKind::Denied {
            return Err(AwsError::SecondFactor(failure));
        }
        let asked = sts
            .assume_role()
            .role_arn(role)
            .role_session_name(session_name(connection.case_number.as_deref()))
            .set_external_id(connection.external_id.clone())
            .serial_number(&factor.serial)
            .token_code(&factor.code)
            .send()
            .await;
        match asked {
            Ok(answer) => Ok(Self { role: Some(role.clone()), ..self.with(answer.credentials())? }),
            Err(error) => Err(AwsError::AssumeRole { role: printable(role), source: Failure::of(&error) }),
        }
    }

    fn with(self, credentials: Option<&aws_sdk_sts::types::Credentials>) -> Result<Self, AwsError> {
        let Some(credentials) = credentials else {
            return Err(AwsError::NoCredentialsGiven);
        };
        let (id, secret) = (credentials.access_key_id(), credentials.secret_access_key());
        let credentials = Credentials::new(id, secret, Some(credentials.session_token().to_owned()), None, "caselock");
        let provider = SharedCredentialsProvider::new(credentials);
        let config = self.config.into_builder().credentials_provider(provider).build();
        Ok(Self { access_key_id: printable(id), config, ..self })
    }

    /// The same as a role. Its credentials are renewed as long as those from which it was assumed are good.
    pub(super) async fn assume(&self, role: &str, connection: &Connection) -> Result<Self, AwsError> {
        if self.role.as_deref() == Some(role) {
            return Ok(self.clone());
        }
        let mut assume = aws_config::sts::AssumeRoleProvider::builder(role)
            .session_name(session_name(connection.case_number.as_deref()))
            .region(sdk_region(&self.region))
            .configure(&self.config);
        if let Some(id) = &connection.external_id {
            assume = assume.external_id(id);
        }
        let provider = SharedCredentialsProvider::new(assume.build().await);
        let credentials = provider.provide_credentials().await;
        let credentials =
            credentials.map_err(|source| AwsError::AssumeRole { role: printable(role), source: refusal_of_role(&source) })?;
        let config = self.config.clone().into_builder().credentials_provider(provider).build();
        Ok(Self { config, access_key_id: printable(credentials.access_key_id()), ..self.clone() })
    }
}

/// The services that are asked, by the names that profiles, the environment and hosts have for them.
const SERVICES: [(&str, &str, &str); 6] = [
    ("S3", "S3", "s3"),
    ("EC2", "EC2", "ec2"),
    ("STS", "STS", "sts"),
    ("CloudTrail", "CLOUDTRAIL", "cloudtrail"),
    ("CloudWatch Logs", "CLOUDWATCH_LOGS", "logs"),
    ("KMS", "KMS", "kms"),
];

/// The endpoints that the environment, or the profile's `services` section, sets for single services: found as the SDK finds them.
fn service_endpoints(config: &SdkConfig, connection: &Connection) -> BTreeMap<String, String> {
    // One that is named outranks those of single services.
    let Some(found) = config.service_config().filter(|_| connection.endpoint_url.is_none()) else { return BTreeMap::new() };
    let set = |service: &str| {
        let key =
            ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
        // Where none is set for the service, it is the one that is set for all.
        found.load_config(key).filter(|url| !url.is_empty() && config.endpoint_url() != Some(url.as_str()))
    };
    let shown = |(service, name, _): (&str, &str, &str)| Some((name.to_owned(), printable(&without_userinfo(&set(service)?))));
    SERVICES.into_iter().filter_map(shown).collect()
}

/// What AWS said to whoever wanted to assume a role.
fn refusal_of_role(error: &CredentialsError) -> Failure {
    type Refusal = SdkError<aws_sdk_sts::operation::assume_role::AssumeRoleError, HttpResponse>;
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return Failure::of(refusal);
        }
        next = error.source();
    }
    Failure::found(FailureKind::Other, &innermost(error))
}

/// The id, never the secret, of the credentials' access key.
async fn access_key_id(config: &SdkConfig) -> Result<String, AwsError> {
    let Some(provider) = config.credentials_provider() else {
        return Err(AwsError::NoCredentials(CredentialsError::not_loaded("no provider of credentials is configured")));
    };
    match provider.provide_credentials().await {
        Ok(credentials) => Ok(printable(credentials.access_key_id())),
        Err(source @ CredentialsError::CredentialsNotLoaded(_)) => Err(AwsError::NoCredentials(source)),
        Err(source) => Err(AwsError::CredentialsUnavailable { explanation: innermost(&source), source }),
    }
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

pub(super) fn sdk_region(region: &Region) -> aws_types::region::Region {
    aws_types::region::Region::new(region.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn neither_a_secret_nor_a_code_is_ever_printed() {
        let connection = Connection {
            access_key: Some(AccessKey { id: "AKIAEXAMPLE".to_owned(), secret: "s3cret".to_owned(), session_token: None }),
            second_factor: Some(SecondFactor { serial: "device".to_owned(), code: "123456".to_owned() }),
            ..Connection::default()
        };
        let text = format!("{connection:?}");
        assert!(text.contains("AKIAEXAMPLE") && text.contains("device"), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("123456"), "{text}");
    }
}
