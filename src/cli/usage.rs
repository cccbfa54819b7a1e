//! A command line that does not parse: told to people in the parser's own words, and as the JSON document that every error has.

use clap::error::ErrorKind;

use super::output::Output;
use super::{CliError, Exit};

/// Explains a command line that does not parse, and gives the exit code that it ends with.
pub(super) fn explain(error: &clap::Error) -> Exit {
    let rendered = error.render().to_string();
    Output::usage(&rendered);
    // The switch that would say so is on the line that does not parse.
    if Output::unread().is_json() {
        Output::error_document(&document(error.kind(), &rendered));
    }
    Exit::Usage
}

/// The parser's explanation, as an error with what to do next.
fn document(kind: ErrorKind, rendered: &str) -> CliError {
    const BEGUN: &str = "Nothing was begun.";
    if matches!(kind, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand) {
        return CliError::usage("no command was given").meaning(BEGUN).next("caselock --help names the commands.");
    }
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = rendered.split("\n\n").map(one_line).filter(|paragraph| !paragraph.is_empty());
    let what = paragraphs.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
    let (mut next, mut usage) = (Vec::new(), None);
    for paragraph in paragraphs {
        if let Some(tip) = paragraph.strip_prefix("tip: ") {
            next.push(tip.to_owned());
        } else if let Some(line) = paragraph.strip_prefix("Usage: ") {
            usage = Some(format!("usage: {line}"));
        }
    }
    next.extend(usage);
    next.push("caselock COMMAND --help explains every argument".to_owned());
    CliError::usage(what).meaning(BEGUN).next(format!("{}.", next.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parser_says_becomes_what_failed_and_what_to_do() {
        let rendered = "error: unexpected argument '--strt' found\n\n  tip: a similar argument exists: '--start'\n\n\
                        Usage: caselock plan --start <TIME>\n\nFor more information, try '--help'.\n";
        let error = document(ErrorKind::UnknownArgument, rendered);
        assert_eq!(error.what, ["unexpected argument '--strt' found"]);
        let next = error.next.unwrap();
        assert!(next.starts_with("a similar argument exists: '--start'; usage: caselock plan --start <TIME>; "), "{next}");
    }

    #[test]
    fn a_list_of_what_is_missing_is_one_sentence() {
        let rendered =
            "error: the following required arguments were not provided:\n  --from <WHO>\n  <CASE>\n\nUsage: caselock\n";
        let error = document(ErrorKind::MissingRequiredArgument, rendered);
        assert_eq!(error.what, ["the following required arguments were not provided: --from <WHO> <CASE>"]);
    }
}
