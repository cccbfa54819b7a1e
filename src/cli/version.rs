//! What `-V` and `--version` say: the version alone, or everything by which a program file can be told from another.

use std::sync::LazyLock;

use serde::Serialize;

use crate::case::event::Tool;

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
    let features = features();
    let features = if features.is_empty() { "none: a verifier, with no AWS in it".to_owned() } else { features.join(", ") };
    format!(
        "{version}\ncommit    {commit}\nfeatures  {features}\nformat    case folder version {}",
        crate::case::FORMAT_VERSION
    )
}

/// What was built in.
fn features() -> Vec<&'static str> {
    [("acquire", cfg!(feature = "acquire")), ("demo", cfg!(feature = "demo")), ("encrypt", cfg!(feature = "encrypt"))]
        .into_iter()
        .filter_map(|(name, built_in)| built_in.then_some(name))
        .collect()
}

/// All of it, for programs.
#[derive(Serialize)]
struct Version {
    #[serde(flatten)]
    tool: Tool,
    commit: Option<&'static str>,
    features: Vec<&'static str>,
    format_version: u32,
}

/// Prints what clap made of it, and after the long form the program's own hash; as JSON, all of it.
pub(super) fn print(rendered: &str, output: &Output) -> Result<(), CliError> {
    let rendered = rendered.trim_end();
    let mut text = rendered.to_owned();
    if rendered.lines().count() > 1 {
        let own = this_tool().sha256.map_or_else(|| "could not be read".to_owned(), |sha256| sha256.to_string());
        text = format!("{rendered}\nSHA-256   {own}");
    }
    output.text_or(text.as_bytes(), || Version {
        tool: this_tool(),
        commit: COMMIT,
        features: features(),
        format_version: crate::case::FORMAT_VERSION,
    })
}
