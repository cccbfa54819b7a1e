//! The profiles of AWS's own configuration files.

use aws_types::os_shim_internal::{Env, Fs};

/// The profile that `AWS_PROFILE` names, if it names one.
#[must_use]
pub fn profile_of_environment() -> Option<String> {
    Env::real().get("AWS_PROFILE").ok().filter(|name| !name.is_empty())
}

/// Whether AWS's own configuration files have a profile of this name; else, why they cannot be read.
///
/// The SDK takes a profile that does not exist for an empty one, and goes on to whatever other credentials there are.
#[expect(clippy::default_trait_access, reason = "the SDK exports its files' type under a deprecated name only")]
pub async fn has_profile(name: &str) -> Result<bool, aws_config::profile::ProfileFileLoadError> {
    let profiles = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await?;
    Ok(profiles.get_profile(name).is_some())
}
