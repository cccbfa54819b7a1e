//! docs/reference.md: every command and flag, written from the command line's own definitions.
//!
//! With `UPDATE_REFERENCE=1` the page is written anew; read the difference before you keep it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::builder::{Arg, StyledStr};
use clap::{ArgAction, Command};

const BEGINNING: &str = "\
# Commands

Every command with its flags, as `caselock help COMMAND` shows them. This page is written by a test from the program itself: do not edit it, run
`UPDATE_REFERENCE=1 cargo test --test it reference::`.

Results go to standard output, progress and diagnostics to standard error. Exit codes are the same for every command: 0 done, 1 could not be
done (nothing is lost, run it again), 2 refused before anything was done (the command line, or what it names, does not fit: a file is there already, a
case is not sealed), 3 integrity failure, 4 done but incomplete. What to do about each stands in [the runbook](runbook.md#what-to-do-on-each-exit-code).
";

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md")
}

/// What a command's examples find in the folder where they are run, as `documents` makes it.
fn start(command: &str) -> &'static str {
    match command {
        "demo" | "plan" | "collect" | "policy" => "account",
        "seal" => "collected",
        "package" => "sealed",
        _ => "packaged",
    }
}

fn page() -> String {
    let command = caselock::cli::command();
    let shown = || command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
    let mut page = format!("{BEGINNING}\n");
    for command in shown() {
        let name = command.get_name();
        writeln!(page, "- [`caselock {name}`](#caselock-{name}): {}", flowing(command.get_about())).unwrap();
    }
    page.push_str("\n## With every command\n\n");
    arguments(&mut page, &command, None);
    page.pop();
    for command in shown() {
        section(&mut page, command);
    }
    page
}

fn section(page: &mut String, command: &Command) {
    let name = command.get_name();
    let mut named = command.clone().bin_name(format!("caselock {name}"));
    let usage = named.render_usage().to_string();
    let about = command.get_long_about().or(command.get_about());
    writeln!(page, "\n## caselock {name}\n\n{}\n", paragraphs(about)).unwrap();
    writeln!(page, "Usage: `{}`\n", usage.trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" "))
        .unwrap();
    let mut headings: Vec<Option<&str>> = vec![None];
    for heading in command.get_arguments().map(Arg::get_help_heading) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        arguments(page, command, heading);
    }
    let after = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string).unwrap_or_default();
    afterwards(page, name, &after);
    while page.ends_with("\n\n") {
        page.pop();
    }
}

/// The arguments under one heading, the positional ones first.
fn arguments(page: &mut String, command: &Command, heading: Option<&str>) {
    let here = || command.get_arguments().filter(|argument| argument.get_help_heading() == heading && !argument.is_hide_set());
    if here().next().is_none() {
        return;
    }
    if let Some(heading) = heading {
        writeln!(page, "{heading}:\n").unwrap();
    }
    for argument in
        here().filter(|argument| argument.is_positional()).chain(here().filter(|argument| !argument.is_positional()))
    {
        writeln!(page, "- `{}`: {}", spelling(argument), explanation(argument)).unwrap();
    }
    page.push('\n');
}

fn spelling(argument: &Arg) -> String {
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let names: Vec<String> = argument.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>")).collect();
    let aliases = argument.get_visible_aliases().unwrap_or_default().into_iter().map(|alias| format!("--{alias}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> =
        argument.get_short().map(|short| format!("-{short}")).into_iter().chain(long).chain(aliases).collect();
    match (flags.is_empty(), takes_value) {
        (true, _) => names.join(" "),
        (false, true) => format!("{} {}", flags.join(", "), names.join(" ")),
        (false, false) => flags.join(", "),
    }
}

fn explanation(argument: &Arg) -> String {
    let mut text = flowing(argument.get_long_help().or(argument.get_help()));
    if !text.ends_with('.') {
        text.push('.');
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let takes_value = matches!(argument.get_action(), ArgAction::Set | ArgAction::Append);
    let values = argument.get_possible_values();
    let named_already = values.iter().all(|value| text.contains(value.get_name()));
    if takes_value && !values.is_empty() && !named_already && !argument.is_hide_possible_values_set() {
        let shown: Vec<String> = values
            .iter()
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({help})", value.get_name()),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        write!(text, " One of {}.", shown.join(", ")).unwrap();
    }
    if takes_value && defaults.iter().any(|value| !value.is_empty()) {
        write!(text, " Default: `{}`.", defaults.join(" ")).unwrap();
    }
    if let Some(variable) = argument.get_env() {
        write!(text, " Also from the environment: `{}`.", variable.to_string_lossy()).unwrap();
    }
    text
}

/// Why an example is not run as it stands.
fn not_run(command: &str, remark: &str) -> Option<&'static str> {
    if command.contains(" --serve") {
        Some("it goes on until Ctrl-C")
    } else if command.contains(" --tsa http") {
        Some("nobody stamps at example.com")
    } else if remark.contains("asks for what is missing") {
        Some("it asks at a terminal")
    } else {
        None
    }
}

/// What stands below a command's help: its examples, to be run, and anything else as it is.
fn afterwards(page: &mut String, name: &str, text: &str) {
    // A line that ends with a backslash goes on in the next one.
    let text = text.replace("\\\n", " ");
    let mut examples = Vec::new();
    for line in text.lines().map(str::trim) {
        let words = line.trim_start_matches("Examples:").trim_start_matches("Example:").trim();
        if words.starts_with("caselock ") {
            let (command, remark) = words.split_once("  (").unwrap_or((words, ""));
            let command = command.split_whitespace().collect::<Vec<_>>().join(" ");
            examples.push((command, remark.trim_end_matches(')').to_owned()));
        } else if words.is_empty() {
            if examples.is_empty() {
                page.push('\n');
            }
        } else {
            show_examples(page, name, &mut examples);
            writeln!(page, "{words}").unwrap();
        }
    }
    show_examples(page, name, &mut examples);
    page.push('\n');
}

fn show_examples(page: &mut String, name: &str, examples: &mut Vec<(String, String)>) {
    let show = |page: &mut String, (command, remark): &(String, String)| match remark.as_str() {
        "" => writeln!(page, "    {command}").unwrap(),
        remark => writeln!(page, "    {command}    # {remark}").unwrap(),
    };
    let (left, run): (Vec<_>, Vec<_>) = examples.drain(..).partition(|(command, remark)| not_run(command, remark).is_some());
    for example in &left {
        write!(page, "Example:\n\n<!-- not run: {} -->\n\n", not_run(&example.0, &example.1).unwrap_or_default()).unwrap();
        show(page, example);
        page.push('\n');
    }
    if !run.is_empty() {
        write!(page, "Example:\n\n<!-- start: {} -->\n\n", start(name)).unwrap();
        run.iter().for_each(|example| show(page, example));
        page.push('\n');
    }
}

fn flowing(text: Option<&StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn paragraphs(text: Option<&StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    let paragraphs: Vec<String> =
        text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    paragraphs.join("\n\n")
}

#[test]
fn the_reference_says_what_the_program_says() {
    let should = page();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(file(), &should).unwrap();
    }
    let is = std::fs::read_to_string(file()).unwrap_or_default();
    let differs = is.lines().zip(should.lines()).find(|(is, should)| is != should);
    assert!(
        is == should,
        "docs/reference.md is out of date: UPDATE_REFERENCE=1 cargo test --test it reference::\nfirst difference: {differs:?}"
    );
}
