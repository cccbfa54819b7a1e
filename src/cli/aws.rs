//! What the commands that ask AWS have in common.

use std::future::Future;
use std::num::NonZeroUsize;

use crate::acquire::{AcquireError, Request};
use crate::aws::{AwsError, Connection, Halt, Identities, SecondFactor};
use crate::case::Scope;
use crate::model::Window;

use super::arguments::ConnectionArguments;
use super::{CliError, Exit};

/// Runs a future to its end on this process's runtime.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers.get())
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, &error))?;
    Ok(runtime.block_on(future))
}

/// Opens a session for every identity.
pub(super) async fn connect(
    arguments: &ConnectionArguments,
    scope: &Scope,
    case_number: Option<String>,
) -> Result<Identities, CliError> {
    let connection = Connection {
        profile: arguments.profile.clone(),
        role_arns: arguments.roles()?,
        external_id: arguments.external_id.clone(),
        second_factor: arguments.mfa_serial.clone().zip(arguments.mfa_code.clone()).map(second_factor),
        endpoint_url: arguments.endpoint_url.clone(),
        region: scope.regions.first().cloned(),
        case_number,
        concurrency: usize::from(arguments.concurrency),
        access_key: None,
        pace: None,
    };
    Ok(Identities::connect(&connection).await.map_err(AcquireError::Aws)?)
}

fn second_factor((serial, code): (String, String)) -> SecondFactor {
    SecondFactor { serial, code }
}

/// What is asked for.
pub(super) fn request(arguments: &ConnectionArguments, window: Window, scope: &Scope) -> Request {
    Request { window, scope: scope.clone(), concurrency: usize::from(arguments.concurrency) }
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
                    AwsError::CredentialsUnavailable { .. } | AwsError::WrongCredentials(_) => {
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
            AcquireError::UnknownSource { .. } => return Self::new(Exit::Usage, &error),
            AcquireError::Halted(Halt::Credentials(_)) => (error, format!("Renew the credentials, then {AGAIN}")),
            AcquireError::Halted(Halt::Unreachable(_)) => (error, format!("Check the network, then {AGAIN}")),
            AcquireError::Halted(_) => (error, format!("To complete it, {AGAIN}")),
        };
        Self::new(Exit::Failed, &error).meaning(SAFE).next(nothing)
    }
}
