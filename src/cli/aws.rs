//! What the commands that ask AWS have in common.

use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroUsize;

use crate::acquire::{AcquireError, Request};
use crate::aws::{AwsError, Connection, Halt, Identities, SecondFactor};
use crate::case::Scope;
use crate::model::{Window, printable};

use super::arguments::ConnectionArguments;
use super::output::Output;
use super::profile::refuse_unknown;
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
    scope: &Scope,
    case_number: Option<String>,
    asks_regions: bool,
) -> Result<Identities, CliError> {
    refuse_unknown(arguments.profile.as_deref()).await?;
    let named = arguments.endpoint_url.clone().filter(|url| std::env::var("AWS_ENDPOINT_URL").as_ref() != Ok(url));
    // One that is named here outranks those of single services; one of the environment does not, and the SDK finds it by itself.
    let service_endpoints = if named.is_none() { service_endpoints(std::env::vars()) } else { BTreeMap::new() };
    let connection = Connection {
        profile: arguments.profile.clone(),
        role_arns: arguments.roles()?,
        external_id: arguments.external_id.clone(),
        second_factor: arguments.mfa_serial.clone().zip(arguments.mfa_code.clone()).map(second_factor),
        endpoint_url: named,
        service_endpoints,
        region: scope.regions.first().cloned(),
        case_number,
        concurrency: usize::from(arguments.concurrency.unwrap_or(0)),
        access_key: None,
        pace: None,
        asks_regions,
    };
    Ok(Identities::connect(&connection).await.map_err(AcquireError::Aws)?)
}

/// What the environment sets as `AWS_ENDPOINT_URL_SERVICE`, by service.
fn service_endpoints(environment: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let named = environment.filter(|(_, url)| !url.is_empty());
    named.filter_map(|(name, url)| Some((name.strip_prefix("AWS_ENDPOINT_URL_")?.to_owned(), printable(&url)))).collect()
}

/// Tells which endpoints are asked instead of AWS's own.
pub(super) fn note_endpoints(identities: &Identities, output: &Output) {
    let session = identities.first();
    if let Some(url) = session.endpoint_url() {
        output.note(&format!("Asking {} instead of AWS's own endpoints.", printable(url)));
    }
    for (service, url) in session.service_endpoints() {
        output.note(&format!(
            "Asking {url} instead of AWS's own endpoint of {} (AWS_ENDPOINT_URL_{service}).",
            printable(service)
        ));
    }
}

fn second_factor((serial, code): (String, String)) -> SecondFactor {
    SecondFactor { serial, code }
}

/// What is asked for.
pub(super) fn request(arguments: &ConnectionArguments, window: Window, scope: &Scope) -> Request {
    Request { window, scope: scope.clone(), concurrency: usize::from(arguments.concurrency.unwrap_or(0)) }
}

impl From<AcquireError> for CliError {
    fn from(error: AcquireError) -> Self {
        const SAFE: &str = "Everything the ledger names is safe on disk; nothing is lost.";
        const AGAIN: &str = "run the same command again: it goes on where it stopped.";
        let (error, nothing) = match error {
            AcquireError::Case(error) => return error.into(),
            AcquireError::Halted(Halt::Case(error)) => return (*error).into(),
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
                    AwsError::Unreachable { .. } | AwsError::Unidentified(_) => {
                        "Check the network, a proxy, and --endpoint-url or AWS_ENDPOINT_URL."
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
    use super::*;

    #[test]
    fn endpoints_of_single_services_are_read_from_the_environment() {
        let environment = [
            ("AWS_ENDPOINT_URL", "http://192.0.2.1"),
            ("AWS_ENDPOINT_URL_S3", "http://192.0.2.2"),
            ("AWS_ENDPOINT_URL_EC2", ""),
            ("HOME", "/home/user"),
        ];
        let found = service_endpoints(environment.into_iter().map(|(name, url)| (name.to_owned(), url.to_owned())));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("S3".to_owned(), "http://192.0.2.2".to_owned())]);
    }
}
