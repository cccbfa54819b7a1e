//! What each command tells a person when it is done, as it looks in 80 columns; what differs from run to run is made alike.

use caselock::sim::Scenario;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use crate::account::{Ran, Simulated, program, run};
use crate::sample::make_removable;

/// Noon of yesterday: far enough back that the whole window has been delivered, and the same hours of the day whenever it runs.
fn yesterday() -> DateTime<Utc> {
    Utc::now().duration_trunc(TimeDelta::days(1)).unwrap() - TimeDelta::hours(12)
}

/// Holds every line to 80 columns. What may be wider is what would be broken by breaking it: commands to copy, addresses, paths, hashes.
#[track_caller]
pub(crate) fn fits(text: &str) {
    for line in text.lines().filter(|line| line.chars().count() > 80) {
        let trimmed = line.trim_start();
        let commands = ["$ ", "Next: caselock ", "then: caselock ", "caselock ", "openssl ", "cat ", "curl ", "age "];
        let is_command = commands.iter().any(|command| trimmed.starts_with(command));
        let last = line.split(' ').next_back().unwrap_or_default();
        // Alone on its line, or after the source that it is of.
        let is_address = last.contains('/') && trimmed.split(' ').count() <= 2;
        assert!(is_command || is_address, "wider than 80 columns: {line}");
    }
}

fn taken(text: &str, matches: impl Fn(usize, char) -> bool) -> usize {
    text.chars().enumerate().take_while(|(at, letter)| matches(*at, *letter)).map(|(_, letter)| letter.len_utf8()).sum()
}

/// How many bytes of the beginning of `text` have the shape: `0` a digit, `x` a hexadecimal one, everything else itself.
fn shaped(text: &str, shape: &str) -> Option<usize> {
    let mut letters = text.chars();
    let fits = shape.chars().all(|wanted| {
        letters.next().is_some_and(|letter| match wanted {
            '0' => letter.is_ascii_digit(),
            'x' => letter.is_ascii_hexdigit(),
            other => other == letter,
        })
    });
    fits.then_some(shape.len())
}

/// A size such as `710.3 KiB`; nothing is always nothing.
fn size(text: &str) -> Option<usize> {
    let number = taken(text, |_, letter| letter.is_ascii_digit() || letter == '.');
    let unit = ["KiB", "MiB", "GiB", "B"]
        .into_iter()
        .find(|unit| text[number..].strip_prefix(' ').is_some_and(|rest| rest.starts_with(unit)))?;
    (number > 0 && text[..number] != *"0").then(|| number + 1 + unit.len())
}

/// What stands at the beginning of `text` and differs from run to run, and what to say instead.
fn varying(before: &str, text: &str) -> Option<(usize, String)> {
    if let Some(length) = shaped(text, "0000-00-00T00:00:00") {
        let rest = taken(&text[length..], |_, letter| letter == '.' || letter.is_ascii_digit());
        return Some((length + rest + 1, "TIME".to_owned()));
    }
    if let Some(length) = shaped(text, "00000000T000000Z").or_else(|| shaped(text, "00000000T0000Z")) {
        let rest = taken(&text[length..], |at, letter| letter == '_' && at == 0 || letter.is_ascii_alphanumeric());
        return Some((length + rest, if rest > 0 { "STAMP_NAME" } else { "STAMP" }.to_owned()));
    }
    if let Some(length) = shaped(text, "/0000/00/00") {
        return Some((length, "/YYYY/MM/DD".to_owned()));
    }
    if let Some(length) = shaped(text, &["x"; 64].concat()) {
        return Some((length, "HASH".to_owned()));
    }
    if let Some(length) = shaped(text, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
        return Some((length, "EVENT".to_owned()));
    }
    if text.starts_with("SHA256:") {
        return Some(("SHA256:".len() + 43, "SHA256:KEY".to_owned()));
    }
    let word = before.split_whitespace().next_back().unwrap_or_default();
    if word == "version" && before.ends_with(char::is_whitespace) {
        let length = taken(text, |_, letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
        return (length == 32).then(|| (length, "VERSION".to_owned()));
    }
    if !before.ends_with(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == ',')
        && let Some(length) = size(text)
    {
        // In a table it ends where its column ends; in a sentence its length is nobody's concern.
        let in_a_sentence = before.trim_end().ends_with([',', '(']);
        return Some((length, if in_a_sentence { "SIZE".to_owned() } else { format!("{:>length$}", "SIZE") }));
    }
    None
}

fn alike(text: &str) -> String {
    let mut plain = String::new();
    for line in text.lines() {
        let mut at = 0;
        while at < line.len() {
            if let Some((length, instead)) = varying(&line[..at], &line[at..]) {
                plain.push_str(&instead);
                at += length;
            } else {
                let letter = line[at..].chars().next().unwrap();
                plain.push(letter);
                at += letter.len_utf8();
            }
        }
        plain.push('\n');
    }
    let told = |line: &str| match line {
        line if line.starts_with("Requests ") => without_numbers(line),
        line if line.starts_with("Clock    ") => "Clock    CLOCK".to_owned(),
        line if line.trim_start().strip_suffix(" seconds").is_some_and(|number| number.parse::<u64>().is_ok()) => {
            "         N seconds".to_owned()
        }
        other => other.to_owned(),
    };
    plain.lines().map(told).collect::<Vec<_>>().join("\n")
}

/// The account of the demonstration, with one call denied, so that there is something to tell.
struct Desk {
    simulated: Simulated,
}

impl Desk {
    fn run(&self, arguments: &[&str]) -> Ran {
        run(self.simulated.command(arguments).env("COLUMNS", "80"))
    }

    /// Runs a command line, which must end with `code`, and gives what a person sees of it, made alike.
    #[track_caller]
    fn shown(&self, arguments: &[&str], code: i32) -> String {
        let ran = self.run(arguments).expect(code);
        let place = |text: &str| {
            let text = text.replace(&self.simulated.path("").display().to_string(), "/home/");
            text.replace(&self.simulated.server.endpoint(), "http://192.0.2.1")
        };
        fits(&ran.stdout);
        fits(&ran.stderr);
        // What is said on the way comes in the order in which AWS answers.
        let said = alike(&place(&ran.stdout));
        let quoted = arguments.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() });
        let command = alike(&quoted.collect::<Vec<_>>().join(" "));
        format!("$ caselock {command}\n{said}\n")
    }
}

#[test]
fn a_case_from_plan_to_handover_reads_as_it_was_agreed() {
    let desk = Desk { simulated: Simulated::of(&Scenario::incident(yesterday())) };
    desk.simulated.server.faults().add(caselock::sim::Fault::deny("ec2:DescribeSnapshots").in_region("us-west-2"));
    let [start, end] = desk.simulated.window(10, 2);
    let scope = ["--start", &start, "--end", &end];
    insta::assert_snapshot!("plan", desk.shown(&[&["plan"][..], &scope].concat(), 4));
    let words = ["--case-number", "IR-1", "--examiner", "A. Examiner", "--organization", "Example Corp"];
    insta::assert_snapshot!("collect", desk.shown(&[&["collect", "IR-1"][..], &words, &scope].concat(), 4));
    insta::assert_snapshot!("status", desk.shown(&["status", "IR-1"], 4));
    insta::assert_snapshot!("status_verbose", desk.shown(&["status", "IR-1", "--verbose"], 4));
    insta::assert_snapshot!("verify", desk.shown(&["verify", "IR-1"], 4));
    desk.simulated.key();
    insta::assert_snapshot!("seal", desk.shown(&["seal", "IR-1", "--signing-key", "key"], 0));
    insta::assert_snapshot!("package", desk.shown(&["package", "IR-1", "-o", "IR-1.zip"], 0));
    insta::assert_snapshot!(
        "package_disclosure",
        desk.shown(&["package", "IR-1", "-o", "part.zip", "--include", "**/us-west-2/**"], 0)
    );
    insta::assert_snapshot!("verify_disclosure", desk.shown(&["verify", "part.zip"], 0));
    insta::assert_snapshot!("package_parts", desk.shown(&["package", "IR-1", "-o", "split.zip", "--split-size", "2MB"], 0));
    let people = [
        "--from",
        "A. Examiner, Example Corp",
        "--to",
        "B. Counsel, Example & Partners",
        "--purpose",
        "legal review",
        "--method",
        "courier",
    ];
    insta::assert_snapshot!("transfer_released", desk.shown(&[&["transfer", "IR-1"][..], &people].concat(), 0));
    insta::assert_snapshot!(
        "transfer",
        desk.shown(&[&["transfer", "IR-1.zip", "--signing-key", "key"][..], &people].concat(), 0)
    );
    insta::assert_snapshot!("verify_package", desk.shown(&["verify", "IR-1.zip"], 4));
    insta::assert_snapshot!("report", desk.shown(&["report", "IR-1.zip"], 4));
    insta::assert_snapshot!("timestamp_request", desk.shown(&["seal", "IR-1", "--timestamp-request", "question.tsq"], 0));
    insta::assert_snapshot!("status_sealed", desk.shown(&["status", "IR-1"], 4));
}

/// Numbers depend on the hour of the day at which the demonstration runs.
fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for letter in text.chars() {
        if !letter.is_ascii_digit() {
            plain.push(letter);
        } else if !plain.ends_with('N') {
            plain.push('N');
        }
    }
    plain
}

fn demo(arguments: &[&str]) -> Ran {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = program(&[&["demo"][..], arguments].concat());
    let ran = run(command.current_dir(scratch.path()).env("COLUMNS", "80")).expect(0);
    make_removable(scratch.path());
    ran
}

#[test]
fn the_demonstration_ends_as_it_was_agreed() {
    let ran = demo(&[]);
    fits(&ran.stdout);
    fits(&ran.stderr);
    let (_, end) = ran.stdout.split_once("What happened").unwrap();
    insta::assert_snapshot!("demo", without_numbers(&alike(&format!("What happened{end}"))));
}

#[test]
fn the_tampered_demonstration_ends_as_it_was_agreed() {
    let ran = demo(&["--tampered"]);
    fits(&ran.stdout);
    fits(&ran.stderr);
    let (_, end) = ran.stdout.split_once("What the intruder did").unwrap();
    insta::assert_snapshot!("demo_tampered", without_numbers(&alike(&format!("What the intruder did{end}"))));
}

#[test]
fn only_what_differs_from_run_to_run_is_made_alike() {
    let hash = "ab".repeat(32);
    for (text, plain) in [
        ("Holds    896 artifacts, 2.1 MiB", "Holds    896 artifacts, SIZE"),
        ("ebs  21  12.9 KiB", "ebs  21      SIZE"),
        ("flow-logs   0       0 B 1 not-enabled", "flow-logs   0       0 B 1 not-enabled"),
        ("started 2026-03-01T09:00:00.123Z, finished 2026-03-01T09:00:00Z", "started TIME, finished TIME"),
        (&format!("Root     {hash}"), "Root     HASH"),
        ("s3://b/AWSLogs/2026/03/01/1_20260301T0900Z_a1B2.json.gz", "s3://b/AWSLogs/YYYY/MM/DD/1_STAMP_NAME.json.gz"),
        ("27 of 36 hours, 1,234 lines", "27 of 36 hours, 1,234 lines"),
    ] {
        assert_eq!(alike(text), plain);
    }
}
