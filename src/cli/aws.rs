//! What the commands that ask AWS have in common.

use std::future::Future;
use std::num::NonZeroUsize;

use crate::acquire::{AcquireError, Request};
use crate::aws::{AwsError, Connection, Halt, Identities, Proxies, SecondFactor, is_wrong, time_of_aws, without_userinfo};
use crate::case::Scope;
use crate::model::{Timestamp, Window};

use super::arguments::{ConcurrencyArguments, ConnectionArguments};
use super::output::{Output, counted};
use super::profile::refuse_unknown;
use super::regions::first_asked;
use super::{CliError, Exit};

/// Runs a future to its end on this process's runtime. Where `is_whole` says that it left nothing under way, the connections and
/// threads that are left are nobody's concern; otherwise what was being written still ends.
pub(super) fn block_on<F: Future>(future: F, is_whole: impl FnOnce(&F::Output) -> bool) -> Result<F::Output, CliError> {
    let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.get())
        // They write, hash and unpack; none of them ever waits for the network.
        .max_blocking_threads(workers.get().saturating_mul(4).max(8))
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, &error))?;
    let output = runtime.block_on(future);
    if is_whole(&output) {
        runtime.shutdown_background();
    }
    Ok(output)
}

/// Opens a session for every identity. `asks_regions` says that their regions will be asked for next.
pub(super) async fn connect(
    arguments: &ConnectionArguments,
    concurrency: Option<NonZeroUsize>,
    scope: &Scope,
    case_number: Option<String>,
    asks_regions: bool,
) -> Result<Identities, CliError> {
    refuse_unknown(arguments.profile.as_deref()).await?;
    let connection = Connection {
        profile: arguments.profile.clone(),
        role_arns: arguments.roles()?,
        external_id: arguments.external_id.clone(),
        second_factor: arguments.mfa_serial.clone().zip(arguments.mfa_code.clone()).map(second_factor),
        // One that is named here outranks those of single services; one of the environment does not, and the SDK finds it by itself.
        // AWS knows nobody by a name and password before a host; a signature over them is not good.
        endpoint_url: arguments.named_endpoint().map(|url| without_userinfo(url)),
        proxies: Proxies::of(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())),
        region: first_asked(&scope.regions),
        case_number,
        concurrency,
        access_key: None,
        pace: None,
        asks_regions,
    };
    Ok(Identities::connect(&connection).await.map_err(AcquireError::Aws)?)
}

/// Tells which endpoints are asked instead of AWS's own, and through which proxies.
pub(super) fn note_endpoints(identities: &Identities, output: &Output) {
    let session = identities.first();
    if let Some(url) = session.endpoint_url() {
        output.note(&format!("Asking {url} instead of AWS's own endpoints."));
    }
    for (service, url) in session.service_endpoints() {
        output.note(&format!(
            "Asking {url} instead of AWS's own endpoint of {} (set by AWS_ENDPOINT_URL_{service} or by the profile).",
            service.replace('_', " ")
        ));
    }
    for (variable, url) in session.proxies() {
        output.note(&format!("Asking through the proxy {url} ({variable})."));
    }
}

/// A clock of this machine that is wrong.
#[derive(Clone, Debug)]
pub(super) struct WrongClock {
    /// The moment at which the command began, by AWS's clock.
    pub(super) began: Timestamp,
    /// By how much it is wrong, in a clause.
    pub(super) said: String,
}

impl WrongClock {
    /// What AWS's answers say of the clock by which the command began at `began`: nothing where it is right to the minute.
    pub(super) fn of(identities: &Identities, began: Timestamp) -> Option<Self> {
        let clock = identities.first().clock().filter(|clock| is_wrong(*clock))?;
        let behind = if clock.offset_milliseconds > 0 { "behind" } else { "ahead of" };
        let said = format!("this machine's clock is {} {behind} AWS's", span(clock.offset_milliseconds.unsigned_abs()));
        Some(Self { began: time_of_aws(began, Some(clock)), said })
    }
}

/// A span of time as people say it.
fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..120 => counted(seconds, "second"),
        120..7_200 => counted((seconds + 30) / 60, "minute"),
        7_200..172_800 => counted((seconds + 1_800) / 3_600, "hour"),
        _ => counted((seconds + 43_200) / 86_400, "day"),
    }
}

fn second_factor((serial, code): (String, String)) -> SecondFactor {
    SecondFactor { serial, code }
}

/// What is asked for.
pub(super) fn request(arguments: ConcurrencyArguments, window: Window, scope: &Scope) -> Request {
    Request { window, scope: scope.clone(), concurrency: arguments.at_once() }
}

impl From<AcquireError> for CliError {
    fn from(error: AcquireError) -> Self {
        const SAFE: &str = "Everything the ledger names is safe on disk; nothing is lost.";
        const AGAIN: &str = "run the same command again: it goes on where it stopped.";
        let (error, nothing) = match error {
            AcquireError::Case(error) => return Self::of_collection(error),
            AcquireError::Halted(Halt::Case(error)) => return Self::of_collection(*error),
            AcquireError::Aws(ref aws) => {
                let next = match aws {
                    AwsError::NoCredentials(_) => {
                        "Set AWS_PROFILE or --profile, run `aws sso login`, or put read-only credentials in the environment. `aws sts get-caller-identity` must work."
                    }
                    AwsError::CredentialsUnavailable { .. } => {
                        "Set AWS_PROFILE or --profile, or renew the credentials (for SSO: `aws sso login`), until `aws sts get-caller-identity` works; then run the same command again."
                    }
                    AwsError::WrongCredentials(_) => {
                        "Renew the credentials (for SSO: `aws sso login`), then run the same command again."
                    }
                    AwsError::AssumeRole { .. } => {
                        "Check --role-arn, --external-id, --mfa-serial with --mfa-code, and the role's trust policy."
                    }
                    AwsError::SecondFactor(_) => {
                        "Wait until the device shows another code (each is good once) and give that one with --mfa-code. Only the long-term access key of a user takes one."
                    }
                    AwsError::Proxy { .. } => {
                        "Write it as http://HOST:PORT or https://HOST:PORT, with special characters of a password as %XX."
                    }
                    AwsError::NoRegion | AwsError::NoRole => "Name a region with --region, or a role with --role-arn.",
                    AwsError::TaskLost(_) => "Run the same command again.",
                    AwsError::Unreachable { .. } | AwsError::Unidentified(_) | AwsError::NoCredentialsGiven => {
                        "Check the network, a proxy (HTTPS_PROXY, NO_PROXY), and --endpoint-url or AWS_ENDPOINT_URL."
                    }
                };
                return Self::new(Exit::Failed, aws)
                    .meaning("AWS was not asked for any evidence; nothing was collected in this run.")
                    .next(next);
            }
            AcquireError::UnknownSource { .. } => {
                return Self::new(Exit::Usage, &error)
                    .meaning("Nothing was written.")
                    .next("The sources are cloudtrail, flow-logs and ebs.");
            }
            AcquireError::Halted(Halt::Credentials(_)) => (error, format!("Renew the credentials, then {AGAIN}")),
            AcquireError::Halted(Halt::Unreachable(_)) => (error, format!("Check the network, then {AGAIN}")),
            AcquireError::Halted(_) => (error, format!("To complete it, {AGAIN}")),
        };
        Self::new(Exit::Failed, &error).meaning(SAFE).next(nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_span_is_told_in_the_unit_that_people_would_use() {
        let told = [61_000, 300_000, 7_199_000, 86_399_997, 400_000_000].map(span);
        assert_eq!(told, ["61 seconds", "5 minutes", "120 minutes", "24 hours", "5 days"]);
    }
}
