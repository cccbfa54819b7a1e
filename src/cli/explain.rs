//! What a finding means, for whoever has only the program: docs/verification.md is built into it.

mod page;

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use serde::Serialize;

use crate::model::printable;

use super::output::{Output, hanging, width, wrapped};
use super::spelling::distance;
use super::{CliError, Exit};
use page::{Explanation, PAGE, certainty, explanations, kinds};

/// Tell what a finding of verify means, how sure it is, and what innocent cause it could have.
///
/// Without a kind, lists all that there are. It tells what the page docs/verification.md of its own version says. No case is read, and AWS
/// is not asked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  caselock explain
  caselock explain log-missing
  caselock explain --page > verification.md")]
pub(super) struct ExplainArguments {
    /// The kind of finding, as verify and the report print it.
    #[arg(value_parser = Kinds, hide_possible_values = true)]
    kind: Option<String>,
    /// Print the whole page, in Markdown: what is checked, and what the proof does not reach.
    #[arg(long, conflicts_with = "kind")]
    page: bool,
}

/// Any word; completions know those that are kinds.
#[derive(Clone, Copy, Debug)]
struct Kinds;

impl TypedValueParser for Kinds {
    type Value = String;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(kinds().map(PossibleValue::new)))
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    findings: &'a [Explanation],
}

pub(super) fn run(arguments: &ExplainArguments, output: &Output) -> Result<Exit, CliError> {
    let all = explanations();
    match &arguments.kind {
        _ if arguments.page => output.text_or(PAGE.as_bytes(), || serde_json::json!({ "page": PAGE }))?,
        None => output.result(&Listed { findings: &all }, || listing(&all))?,
        Some(kind) => {
            let found = all.iter().find(|of| of.kind == *kind).ok_or_else(|| unknown(kind))?;
            output.result(found, || text(found))?;
        }
    }
    Ok(Exit::Done)
}

/// All kinds, a line each, under what they are about.
fn listing(all: &[Explanation]) -> String {
    let longest = all.iter().map(|of| of.kind.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for part in all.chunk_by(|one, other| one.part == other.part) {
        lines.extend(part.first().map(|of| Output::bold(&of.part)));
        lines.extend(part.iter().map(|of| shortened(&format!("  {:<longest$}  {}", of.kind, of.meaning()))));
        lines.push(String::new());
    }
    lines.push("All of one: caselock explain KIND    The whole page: caselock explain --page".to_owned());
    lines.join("\n")
}

/// A line that fits, cut behind a word.
fn shortened(line: &str) -> String {
    if line.chars().count() <= width() {
        return line.to_owned();
    }
    let fits: String = line.chars().take(width().saturating_sub(1)).collect();
    format!("{} …", fits.rsplit_once(' ').map_or(fits.as_str(), |(words, _)| words.trim_end_matches([',', ':', ';'])))
}

fn text(of: &Explanation) -> String {
    let mut parts = vec![hanging(&Output::bold(&format!("{} ({})", of.kind, of.weight)), "", "  ")];
    if !of.with.is_empty() {
        parts.push(wrapped(&format!("Explained together with {}.", of.with.join(", ")), ""));
    }
    parts.push(wrapped(&of.text, ""));
    parts.extend(of.innocent_cause.as_ref().map(|cause| hanging(cause, "Innocent cause: ", "  ")));
    parts.extend(of.test.as_ref().map(|test| hanging(test, "Tested by: ", "  ")));
    parts.push(wrapped(&certainty(), ""));
    parts.join("\n\n")
}

fn unknown(kind: &str) -> CliError {
    let near = nearest(kind);
    let meant = if near.is_empty() { String::new() } else { format!("Did you mean {}? ", near.join(", ")) };
    CliError::usage(format!("there is no finding called `{}`", printable(kind)))
        .meaning("No case was read.")
        .next(format!("{meant}`caselock explain` lists all that there are."))
}

/// The kinds that may have been meant, the likeliest first.
fn nearest(asked: &str) -> Vec<&'static str> {
    // Longer than any kind; a part of one is no slip of the keys.
    if !(3..=60).contains(&asked.len()) {
        return Vec::new();
    }
    let far = |kind: &str| if kind.contains(asked) { 0 } else { distance(asked, kind) };
    let mut near: Vec<(usize, &str)> = kinds().map(|kind| (far(kind), kind)).filter(|(far, _)| *far <= 3).collect();
    near.sort_by_key(|(far, _)| *far);
    near.into_iter().map(|(_, kind)| kind).take(4).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_what_there_is_not_is_told_what_is_near() {
        assert_eq!(nearest("log-mising").first(), Some(&"log-missing"));
        assert!(nearest("principal").contains(&"seal-principal-mismatch"));
        assert!(nearest("nothing like it").is_empty() && nearest("-").is_empty());
        let next = unknown("log_missing").next.unwrap();
        assert_eq!(next, "Did you mean log-missing? `caselock explain` lists all that there are.");
        assert!(unknown("\u{1b}[2J").what.iter().all(|what| !what.contains('\u{1b}')));
    }

    #[test]
    fn every_line_of_the_list_fits() {
        let shown = listing(&explanations());
        assert!(shown.lines().filter(|line| line.starts_with("  ")).all(|line| line.chars().count() <= width()), "{shown}");
        assert!(shown.contains("\n  log-missing"), "{shown}");
    }
}
