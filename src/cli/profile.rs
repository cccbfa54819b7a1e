//! A profile that is named must exist: credentials of somebody else must never stand in for it.

use crate::aws::{has_profile, profile_of_environment};
use crate::model::printable;

use super::{CliError, Exit};

/// Refuses a profile that does not exist, whether the command line or a file of settings names it, or `AWS_PROFILE` does.
pub(super) async fn refuse_unknown(named: Option<&str>) -> Result<(), CliError> {
    let of_environment = if named.is_none() { profile_of_environment() } else { None };
    let Some(name) = named.or(of_environment.as_deref()) else { return Ok(()) };
    let file = |variable: &str, default: &str| {
        let named = std::env::var(variable).ok().filter(|path| !path.is_empty());
        printable(&named.unwrap_or_else(|| default.to_owned()))
    };
    let files = format!(
        "{} or {}",
        file("AWS_CONFIG_FILE", "~/.aws/config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    );
    let refused = match has_profile(name).await {
        Ok(true) => return Ok(()),
        Ok(false) => CliError::failed(format!("there is no profile `{}` in {files}", printable(name))),
        Err(error) => {
            let mut refused = CliError::new(Exit::Failed, &error);
            refused.what.insert(0, format!("whether there is a profile `{}` could not be read in {files}", printable(name)));
            refused
        }
    };
    let by = if of_environment.is_some() { "AWS_PROFILE" } else { "--profile (or `profile` in caselock.toml)" };
    Err(refused
        .meaning("AWS was not asked, and nothing was written: other credentials are not taken in its place.")
        .next(format!("Correct {by}; `aws configure list-profiles` names those there are.")))
}
