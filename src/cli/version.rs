//! What `-V` and `--version` say: the version alone, or everything by which a program file can be told from another.

use std::sync::LazyLock;

use super::CliError;
use super::output::Output;
use super::tool::this_tool;

/// The commit that the program was built from, where the build knew it.
const COMMIT: Option<&str> = option_env!("CASELOCK_COMMIT");

/// What stands behind the name after `--version`, but for the program's own hash, which takes time and is added only when asked for.
pub(super) fn long_version() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(describe);
    &LONG
}

fn describe() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let commit = COMMIT.unwrap_or("not known (a development build, or sources without their history)");
    let features: Vec<&str> =
        [("acquire", cfg!(feature = "acquire")), ("demo", cfg!(feature = "demo")), ("encrypt", cfg!(feature = "encrypt"))]
            .into_iter()
            .filter_map(|(name, built_in)| built_in.then_some(name))
            .collect();
    let features = if features.is_empty() { "none: a verifier, with no AWS in it".to_owned() } else { features.join(", ") };
    format!(
        "{version}\ncommit    {commit}\nfeatures  {features}\nformat    case folder version {}",
        crate::case::FORMAT_VERSION
    )
}

/// Prints what clap made of it, and after the long form the program's own hash.
pub(super) fn print(rendered: &str) -> Result<(), CliError> {
    let rendered = rendered.trim_end();
    if rendered.lines().count() < 2 {
        return Output::document(rendered.as_bytes());
    }
    let own = this_tool().sha256.map_or_else(|| "could not be read".to_owned(), |sha256| sha256.to_string());
    Output::document(format!("{rendered}\nSHA-256   {own}").as_bytes())
}
