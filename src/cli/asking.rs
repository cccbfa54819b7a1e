//! The dialogue of `collect` on a terminal: what a new case needs and was not given is asked for.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use crate::model::{Timestamp, Window, printable};

use super::CliError;
use super::arguments::{CaseArguments, ScopeArguments};
use super::output::Output;

/// How far back the window reaches unless something else is answered.
const START: &str = "-48h";

/// Asks for what is missing, where there is somebody to ask; says whether somebody confirmed the window.
pub(super) fn ask_for_missing(
    folder: &Path,
    case: &mut CaseArguments,
    scope: &mut ScopeArguments,
    now: Timestamp,
    output: &Output,
) -> Result<bool, CliError> {
    let enough = case.case_number.is_some() && case.examiner.is_some() && scope.start.is_some();
    if enough || output.is_quiet() || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    Output::line(&format!(
        "A new case in {}. Enter takes what stands in brackets; Ctrl-C ends without a trace.",
        folder.display()
    ));
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    fill(&mut case.case_number, "Case number", &name, true)?;
    fill(&mut case.examiner, "Examiner (your name)", &user, true)?;
    fill(&mut case.organization, "Organization", "", false)?;
    fill(&mut case.authority, "Authority (warrant, consent, instruction)", "", false)?;
    let window = ask_for_window(scope, now)?;
    Output::line(&format!("Window {window} (UTC). It and the answers are written once and cannot be changed later."));
    let answer = ask("Collect now? yes or no", "yes")?;
    if !["y", "yes"].contains(&answer.to_ascii_lowercase().as_str()) {
        return Err(CliError::usage("the questions were answered with no")
            .meaning("Nothing was written, and AWS was not asked.")
            .next("Run the same command again when you are ready."));
    }
    Ok(true)
}

fn ask_for_window(scope: &mut ScopeArguments, now: Timestamp) -> Result<Window, CliError> {
    let given = (scope.start.clone(), scope.end.clone());
    loop {
        fill(&mut scope.start, "Window starts (UTC date, RFC 3339, or a span back such as -48h)", START, true)?;
        fill(&mut scope.end, "Window ends", "now", true)?;
        // What is meant is fixed now: it goes into the case as an instant.
        match Window::parse(scope.start.as_deref().unwrap_or(START), scope.end.as_deref(), now) {
            Ok(window) => return Ok(window),
            Err(error) if given.0.is_some() && given.1.is_some() => return Err(error.into()),
            Err(error) => {
                Output::line(&format!("  {error}"));
                (scope.start, scope.end) = given.clone();
            }
        }
    }
}

/// Asks for what was not given.
fn fill(value: &mut Option<String>, question: &str, default: &str, needed: bool) -> Result<(), CliError> {
    while value.is_none() {
        let answer = ask(question, default)?;
        if needed && answer.is_empty() {
            Output::line("  It cannot be left out.");
        } else {
            *value = Some(answer);
        }
    }
    Ok(())
}

/// Asks one question; an empty answer is the default.
fn ask(question: &str, default: &str) -> Result<String, CliError> {
    let default = printable(default);
    let mut err = std::io::stderr().lock();
    let _asked = write!(err, "{question} [{default}]: ").and_then(|()| err.flush());
    drop(err);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    if !matches!(read, Ok(1..)) {
        return Err(CliError::usage("the questions were not answered")
            .meaning("Nothing was written, and AWS was not asked.")
            .next("Run the same command again, or give the answers as options: caselock collect --help."));
    }
    let answer = answer.trim();
    Ok(if answer.is_empty() { default } else { answer.to_owned() })
}
