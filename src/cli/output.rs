//! The one place that prints.
//!
//! Whatever text comes from evidence, names or the command line, nothing of it reaches the terminal as a control.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use crate::model::printable;
pub(super) use crate::model::{counted, thousands};

use super::failure::CliError;
use super::{Exit, OutputArguments};

/// Where text goes, and how much of it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub(super) struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
    progress: bool,
}

impl Output {
    pub(super) fn new(arguments: &OutputArguments) -> Self {
        Self {
            json: arguments.json,
            quiet: arguments.quiet,
            verbose: arguments.verbose,
            progress: !arguments.no_progress && !arguments.quiet,
        }
    }

    /// The way to say things where nothing was said about it.
    pub(super) fn plain() -> Self {
        Self { json: false, quiet: false, verbose: false, progress: false }
    }

    /// The same, where the command line did not come to be read to its end.
    pub(super) fn unread() -> Self {
        // A file may be called as the switch is, but not before `--`.
        let json = std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json");
        Self { json, ..Self::plain() }
    }

    /// Whether results are one JSON document.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether only results and errors are printed.
    #[cfg(feature = "acquire")]
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether everything is to be said in full.
    pub(super) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether progress is to be shown at all.
    pub(super) fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Whether progress may move the cursor.
    pub(super) fn is_terminal() -> bool {
        std::io::stderr().is_terminal()
    }

    /// Whether standard output is a terminal that may show colour.
    fn colours() -> bool {
        std::io::stdout().is_terminal() && Self::may_colour()
    }

    /// Whether escapes are wanted, and understood.
    fn may_colour() -> bool {
        std::env::var_os("NO_COLOR").is_none() && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
    }

    /// Text in bold, where it is shown to a person.
    pub(super) fn bold(text: &str) -> String {
        format!("{BOLD}{text}{PLAIN}")
    }

    /// Whether what goes to standard error is broken into lines. Where a program reads along, a sentence stays one line.
    fn breaks_lines() -> bool {
        Self::is_terminal() || std::env::var_os("COLUMNS").is_some()
    }

    /// Prints a result as text, or as JSON when that was asked for.
    pub(super) fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Result<(), CliError> {
        let printed = if self.json {
            escaped_json(&serde_json::to_string_pretty(value).map_err(|error| CliError::new(Exit::Failed, &error))?)
        } else {
            for_terminal(&text(), Self::colours())
        };
        Self::document(printed.trim_end().as_bytes())
    }

    /// Prints a text made by the program alone, for other programs to read; as JSON it is a value of the document.
    pub(super) fn text_or<T: Serialize>(&self, text: &[u8], value: impl FnOnce() -> T) -> Result<(), CliError> {
        if self.json { self.result(&value(), String::new) } else { Self::document(text) }
    }

    /// Prints bytes as they are.
    pub(super) fn document(bytes: &[u8]) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        let end: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\n" };
        Self::printed(out.write_all(bytes).and_then(|()| out.write_all(end)))
    }

    /// What became of something printed: whoever reads it must not take silence, or a part, for the result.
    pub(super) fn printed(written: std::io::Result<()>) -> Result<(), CliError> {
        match written.and_then(|()| std::io::stdout().flush()) {
            Ok(()) => Ok(()),
            // A reader that has gone away, such as `head`, is no failure of the command.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(CliError::unwritten(&error)),
        }
    }

    fn say(text: &str) {
        // Where nobody can be told, the work goes on.
        let colours = Self::is_terminal() && Self::may_colour();
        let _written = writeln!(std::io::stderr().lock(), "{}", for_terminal(text, colours));
    }

    /// Says something on the way, to standard error.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            // Commands and whatever else has lines of its own stay as they are.
            let one_line = Self::breaks_lines() && !text.contains('\n');
            Self::say(&if one_line { wrapped(text, "") } else { text.to_owned() });
        }
    }

    /// A plain line of progress, to standard error.
    pub(super) fn line(text: &str) {
        Self::say(text);
    }

    /// Says what is wrong with the command line, in the parser's lines.
    pub(super) fn usage(text: &str) {
        for line in text.trim_end().lines() {
            let indent = line.len() - line.trim_start().len();
            let broken = Self::breaks_lines() && line.chars().count() > width();
            let (first, rest) = (" ".repeat(indent), " ".repeat(indent + 4));
            Self::say(&if broken { hanging(line.trim_start(), &first, &rest) } else { line.to_owned() });
        }
    }

    /// Explains an error.
    pub(super) fn error(&self, error: &CliError) {
        let say = |title: &str, text: &str| {
            let whole = format!("{title}{text}");
            Self::say(&if Self::breaks_lines() { hanging(text, title, "    ") } else { whole });
        };
        let mut lines = error.what.iter();
        if let Some(first) = lines.next() {
            say("error: ", first);
        }
        for cause in lines {
            say("  because: ", cause);
        }
        for (title, text) in [("  evidence: ", &error.evidence), ("  next: ", &error.next)] {
            if let Some(text) = text {
                say(title, text);
            }
        }
        if let Some((lines, root)) = error.ledger.as_deref() {
            say("  ledger: ", &format!("{}, root {root}", counted(*lines, "line")));
        }
        if self.json && !error.told {
            Self::error_document(error);
        }
    }

    /// Prints an error as the JSON document that every command prints for one.
    pub(super) fn error_document(error: &CliError) {
        // The exit code says it all the same, and standard error did.
        let _printed = Self::document(escaped_json(&format!("{:#}", error.document())).as_bytes());
    }
}

/// Where bold begins and ends, until it is known whether the terminal shows it. No text has these characters: Unicode assigns them to
/// nothing, for good.
const BOLD: char = '\u{fdd0}';
const PLAIN: char = '\u{fdd1}';

/// Text as a terminal may have it: line breaks are the only control, and bold the only escape.
fn for_terminal(text: &str, colours: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            safe.push('\n');
        }
        safe.push_str(&printable(line));
    }
    let (bold, plain) = if colours { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
    safe.replace(BOLD, bold).replace(PLAIN, plain)
}

/// JSON without the characters that a terminal could take for controls, which JSON itself leaves as they are.
fn escaped_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && printable(c.encode_utf8(&mut [0; 4])) != String::from(c) {
            // All of them are in the basic plane, where one escape is one character.
            safe.extend(format!("\\u{:04x}", u32::from(c)).chars());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// How many columns a line may have: what `COLUMNS` says, or what the terminal has, within what reads well.
pub(super) fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.unwrap_or_else(textwrap::termwidth).clamp(60, 120)
}

/// Text broken to the width of the terminal, every line after `indent`.
pub(super) fn wrapped(text: &str, indent: &str) -> String {
    hanging(text, indent, indent)
}

/// Text broken to the width of the terminal, the first line after `first`, every other one after `rest`.
pub(super) fn hanging(text: &str, first: &str, rest: &str) -> String {
    textwrap::fill(
        text,
        textwrap::Options::new(width())
            .initial_indent(first)
            .subsequent_indent(rest)
            .break_words(false)
            .word_splitter(textwrap::WordSplitter::NoHyphenation),
    )
}

/// A number with its unit, as people read sizes.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut divisor: u64 = 1;
    let mut unit = 0;
    while count / divisor >= 1024 && unit + 1 < UNITS.len() {
        divisor *= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if unit == 0 {
        return format!("{count} {name}");
    }
    let tenths = (count % divisor) * 10 / divisor;
    format!("{}.{tenths} {name}", count / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_line_breaks_and_bold_controls_a_terminal() {
        let hostile = format!("{}\u{1b}[2J\u{9b}1m\r\u{202e}\nnext", Output::bold("title"));
        assert_eq!(for_terminal(&hostile, false), "title\\u{1b}[2J\\u{9b}1m\\u{d}\\u{202e}\nnext");
        assert_eq!(for_terminal(&Output::bold("title"), true), "\u{1b}[1mtitle\u{1b}[0m");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({ "name": "\u{9b}31m \u{7f} \u{202e} é \u{1b}" });
        let printed = escaped_json(&format!("{value:#}"));
        assert!(!printed.contains(|c: char| c != '\n' && c.is_control()) && !printed.contains('\u{202e}'), "{printed}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), value);
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(
            ["0 B", "1023 B", "1.0 KiB", "1.5 MiB"],
            [bytes(0), bytes(1023), bytes(1024), bytes(1_600_000)].each_ref().map(String::as_str)
        );
    }
}
