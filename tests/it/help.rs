//! Help, errors and summaries, as people see them in 80 columns.

use crate::account::{Simulated, program, run};
use crate::summaries::fits;

const COMMANDS: [&str; 13] = [
    "demo",
    "plan",
    "collect",
    "policy",
    "status",
    "verify",
    "explain",
    "seal",
    "package",
    "transfer",
    "report",
    "completions",
    "man",
];

/// What a command line that must end with `code` shows.
fn shown(arguments: &[&str], code: i32) -> String {
    let ran = run(program(arguments).env("COLUMNS", "80")).expect(code);
    format!("{}{}", ran.stdout, ran.stderr)
}

/// The words alone, wherever lines were broken.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(feature = "encrypt")]
#[test]
fn help_is_as_it_was_agreed() {
    let all = shown(&["--help"], 0);
    fits(&all);
    insta::assert_snapshot!("caselock", all);
    for command in COMMANDS {
        let help = shown(&[command, "--help"], 0);
        fits(&help);
        insta::assert_snapshot!(command, help);
        let has = |word: &str| help.contains(&format!("caselock {command}{word}"));
        assert!(help.contains("Example") && (has(" ") || has("\n")), "{command} shows no example:\n{help}");
    }
}

#[test]
fn help_names_every_command() {
    let all = shown(&["--help"], 0);
    let named: Vec<&str> = COMMANDS.into_iter().filter(|command| all.contains(&format!("\n  {command} "))).collect();
    assert_eq!(named, COMMANDS);
}

#[test]
fn a_slip_of_the_keys_is_met_with_the_word_that_was_meant() {
    for (line, meant) in [
        ("verfy case", "'verify'"),
        ("plan --strt -1h", "'--start'"),
        ("plan --start -1h --source cloudtrial", "'cloudtrail'"),
        ("report case --format htm", "'html'"),
        ("seal case --signing-ky k", "'--signing-key'"),
        ("completions bsh", "'bash'"),
    ] {
        let said = shown(&line.split(' ').collect::<Vec<_>>(), 2);
        fits(&said);
        assert!(said.contains("tip: ") && said.contains(meant), "{line}: {said}");
    }
    for (line, expected) in [
        ("plan --start -1h --region us-east", "`us-east` is not an AWS region code such as `eu-central-1`"),
        ("plan --start -1h --trail-arn audit", "arn:aws:cloudtrail:REGION:ACCOUNT:trail/NAME"),
        ("plan --start -1h --account 1234", "twelve digits"),
        ("plan --start yesterday", "2026-03-01T09:00:00Z"),
        ("plan", "--start -48h"),
    ] {
        let said = shown(&line.split(' ').collect::<Vec<_>>(), 2);
        fits(&said);
        assert!(words(&said).contains(expected), "{line}: {said}");
    }
}

/// Text in which what differs from run to run is made alike.
fn alike(simulated: &Simulated, text: &str) -> String {
    text.replace(&simulated.path("").display().to_string(), "/home/").replace(&simulated.server.endpoint(), "http://192.0.2.1")
}

#[test]
fn errors_say_what_failed_what_it_means_and_what_to_do() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &[]).expect(0);
    simulated.collect("sealed", &[]).expect(0);
    simulated.seal("sealed");
    std::fs::create_dir(simulated.path("other")).unwrap();
    std::fs::write(simulated.path("other/notes.txt"), "mine").unwrap();
    std::fs::write(simulated.path("broken.zip"), "PK no zip").unwrap();
    std::fs::write(simulated.path("nokey"), "no key").unwrap();
    std::fs::write(simulated.path("encrypted.zip.age"), "age-encryption.org/v1\n-> X25519 EXAMPLE\n").unwrap();
    std::fs::write(simulated.path("case.zip.sha256"), format!("{}  case.zip\n", "0".repeat(64))).unwrap();
    std::fs::write(simulated.path("there"), "mine").unwrap();
    let mut said = Vec::new();
    for line in [
        "status nowhere",
        "verify nowhere",
        "verify broken.zip",
        "collect new",
        "collect new --case-number IR-2 --start -4h",
        "collect other --case-number IR-2 --start -4h",
        "collect sealed",
        "collect case --examiner Another",
        "seal case",
        "seal case --signing-key nokey",
        "seal case --tsa http://192.0.2.1",
        "seal sealed --tsa http://127.0.0.1:1",
        "status broken.zip",
        "verify encrypted.zip.age",
        "verify case.zip.sha256",
        "package case -o case.zip",
        "package sealed -o case.zip --include nothing/*",
        "transfer sealed --from A --to B --purpose  --signing-key key",
        "report case -o case/report.html",
        "report case -o there",
        "package sealed -o there",
        "seal sealed --timestamp-request there",
        "seal sealed --timestamp-response nowhere",
        "seal sealed --tsa https://tsa.example.com",
        "verify case --expect-root 00",
        "verify case --allowed-signers nowhere",
        "verify case --allowed-signers nokey",
        "verify case --tsa-roots nokey",
        "verify case --keys us-east-1",
        "verify case --receipt there",
        "collect new --case-number IR-2 --examiner A --start 2026-03-02 --end 2026-03-01",
        "collect new --case-number IR-2 --examiner A --start 2026-03-01T09:00:00",
        "transfer sealed --from A --to B",
    ] {
        let words: Vec<&str> = line.split(' ').chain(["--quiet"]).collect();
        let ran = run(simulated.command(&words).env("COLUMNS", "80"));
        assert!(ran.code > 0 && ran.stdout.is_empty(), "{line}: {}", ran.stdout);
        let parser = ran.stderr.contains("For more information, try '--help'.");
        for part in ["error: ", "  evidence: ", "  next: "] {
            assert!(parser || ran.stderr.contains(part), "{line} is not explained by `{part}`:\n{}", ran.stderr);
        }
        fits(&ran.stderr);
        said.push(format!("$ caselock {line}\n{}exit {}\n", alike(&simulated, &ran.stderr), ran.code));
    }
    insta::assert_snapshot!("errors", said.join("\n"));
}
