//! What commands refuse to do with what they are pointed at, in which order they look, and that they say so by exit code and words.

use std::fs;

use crate::account::{Ran, Simulated, run};
use crate::bad_input::{collect, unchanged};
use crate::sample::Sample;
use crate::schemas::holds;

#[test]
fn what_stands_in_the_way_in_the_folder_is_told_before_aws_is_asked() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&["--source", "ebs"]);
    fs::create_dir(simulated.path("photos")).unwrap();
    fs::write(simulated.path("photos/cat.jpg"), "meow").unwrap();
    let asked = simulated.server.requests().len();
    let new = ["--case-number", "IR-1", "--examiner", "A", "--start", "-2h"];
    let factor = ["--mfa-serial", "GAHT12345678", "--mfa-code", "123456"];
    for (folder, words, said) in
        [("case", &[][..], "a sealed case takes no more"), ("photos", &new[..], "is not empty and is not a case")]
    {
        let mut command = simulated.command(&[&["collect", folder][..], words, &factor].concat());
        let ran = run(command.env("AWS_SECRET_ACCESS_KEY", "wrong")).expect(2);
        assert!(ran.stderr.to_lowercase().contains(said), "{}", ran.stderr);
    }
    assert_eq!(simulated.server.requests().len(), asked, "AWS was asked, and a code was spent");
}

/// Puts another file in the place of one of the case, which is read-only.
fn replace(simulated: &Simulated, path: &str, with: impl Fn(String) -> String) {
    let path = simulated.path(path);
    let text = with(fs::read_to_string(&path).unwrap());
    fs::remove_file(&path).unwrap();
    fs::write(&path, text).unwrap();
}

#[test]
fn a_case_whose_identity_was_changed_is_not_gone_on_with() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs", "--region", "us-east-1"]).expect(0);
    replace(&simulated, "case/custody/case.toml", |text| text.replace("us-east-1", "eu-central-1"));
    let asked = simulated.server.requests().len();
    let said = ["custody/case.toml", "is not the one", "evidence: The file was changed", "next: Keep the folder as it is"];
    unchanged(&simulated, &["collect", "case"], 3).says(&said);
    assert_eq!(simulated.server.requests().len(), asked, "AWS was asked for what the case is not about");
    let status = unchanged(&simulated, &["status", "case"], 3);
    assert!(status.stdout.contains("DAMAGED  custody/case.toml was CHANGED"), "{}", status.stdout);
    assert!(status.stdout.contains("Next: caselock verify case"), "{}", status.stdout);
    fs::remove_file(simulated.path("case/custody/case.toml")).unwrap();
    for command in ["status", "collect"] {
        unchanged(&simulated, &[command, "case"], 3).says(&["evidence: The file that tells which case this is was taken away"]);
    }
}

#[test]
fn a_ledger_that_is_broken_is_told_by_status_too() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    assert_eq!(simulated.run(&["status", "case", "--json"]).expect(0).json()["damage"], serde_json::json!([]));
    replace(&simulated, "case/custody/ledger.jsonl", |text| {
        let lines: Vec<&str> = text.lines().enumerate().filter(|(at, _)| *at != 4).map(|(_, line)| line).collect();
        lines.join("\n") + "\n"
    });
    let status = unchanged(&simulated, &["status", "case"], 3).stdout;
    assert!(status.contains("DAMAGED  the ledger is BROKEN at line 5: "), "{status}");
    assert!(!status.contains("seal"), "{status}");
    let status = simulated.run(&["status", "case", "--json"]).expect(3).json();
    holds("status", &status);
    assert!(status["damage"][0].as_str().unwrap().contains("line 5"), "{status:#}");
}

#[test]
fn a_ledger_that_is_gone_is_damage_and_no_beginning() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    simulated.key();
    fs::remove_file(simulated.path("case/custody/ledger.jsonl")).unwrap();
    let again = collect(&["--start", "-2h"]);
    for line in [&["status", "case"][..], &["collect", "case"], &again, &["seal", "case", "--signing-key", "key"]] {
        let said = ["the ledger of the case in `case` is gone", "next: Keep the folder as it is"];
        unchanged(&simulated, line, 3).says(&said);
    }
    let shown = simulated.run(&["verify", "case"]).expect(3).stdout;
    assert!(shown.contains("Ledger         no entries"), "{shown}");
}

#[test]
fn a_package_where_the_case_folder_is_wanted_is_told_so() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&["--source", "ebs"]);
    let lines: [(&[&str], &str); 4] = [
        (&["status", "case.zip"], "next: This command takes the case folder"),
        (&["seal", "case.zip", "--signing-key", "key"], "next: This command takes the case folder"),
        (&["package", "case.zip", "-o", "again.zip"], "next: This command takes the case folder"),
        (&["collect", "case.zip"], "next: Name a folder that does not exist yet"),
    ];
    for (line, said) in lines {
        unchanged(&simulated, line, 2).says(&[said]);
    }
}

#[test]
fn what_a_disclosure_can_do_is_what_it_is_said_to_do() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&["--source", "ebs"]);
    simulated.run(&["package", "case", "-o", "part.zip", "--include", "data/**"]).expect(0);
    let shown = simulated.run(&["verify", "part.zip"]).expect(0).stdout;
    assert!(!shown.contains("Next:"), "{shown}");
    let said = ["a disclosure has no report", "next: All that it proves: caselock verify part.zip"];
    unchanged(&simulated, &["report", "part.zip"], 2).says(&said);
    // Of a whole package there is more to do.
    let shown = simulated.run(&["verify", "case.zip"]).expect(0).stdout;
    assert!(shown.contains("Next: caselock report case.zip"), "{shown}");
}

#[test]
fn what_lies_around_or_beside_a_package_is_not_called_tampered() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&["--source", "ebs"]);
    fs::write(simulated.path("case.zip.age"), b"age-encryption.org/v1\n-> X25519 \xff\n").unwrap();
    fs::write(simulated.path("armored.age"), "-----BEGIN AGE ENCRYPTED FILE-----\n").unwrap();
    for command in ["verify", "report"] {
        for encrypted in ["case.zip.age", "armored.age"] {
            let said = ["is encrypted", "evidence: Nothing was checked", "next: Decrypt it first", "age --decrypt"];
            unchanged(&simulated, &[command, encrypted], 2).says(&said);
        }
        unchanged(&simulated, &[command, "case.zip.sha256"], 2)
            .says(&["SHA-256 of a package", "next: Name the package: case.zip"]);
    }
    // A package that somebody wrote over is one all the same.
    fs::write(simulated.path("case.zip"), "x".repeat(200)).unwrap();
    unchanged(&simulated, &["verify", "case.zip"], 3);
}

#[test]
fn a_result_that_cannot_be_written_is_not_done() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&["--source", "ebs"]);
    simulated.collect("damaged", &["--source", "ebs"]).expect(0);
    fs::remove_file(simulated.path("damaged/custody/ledger.jsonl")).unwrap();
    let lines: [(&[&str], i32); 12] = [
        (&["--version"], 1),
        (&["-V"], 1),
        (&["--help"], 1),
        (&["man"], 1),
        (&["completions", "bash"], 1),
        (&["policy"], 1),
        (&["plan", "--source", "ebs", "--start", "-2h", "--json"], 1),
        (&["status", "case"], 1),
        (&["verify", "case.zip", "--json"], 1),
        (&["report", "case", "-o", "report.html"], 1),
        // What was found out outranks that it could not be told.
        (&["verify", "damaged"], 3),
        (&["verify", "damaged", "--json"], 3),
    ];
    for (line, code) in lines {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran = Ran::from(simulated.command(line).stdout(full).output().unwrap()).expect(code);
        ran.says(&["error: the result could not be written to standard output"]);
    }
    // A reader that goes away, as `head` does, has what it wanted.
    for line in [&["policy"][..], &["man"], &["--help"], &["verify", "case.zip", "--json"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Ran::from(simulated.command(line).stdout(writer).output().unwrap()).expect(0);
    }
}

#[test]
fn no_command_writes_into_a_case() {
    let sample = Sample::sealed();
    let run = |line: &str| sample.run(&line.split(' ').collect::<Vec<_>>());
    run("package case -o case.zip").expect(0);
    fs::create_dir(sample.file("reports")).unwrap();
    fs::copy(sample.path("case.zip"), sample.file("reports/own.zip")).unwrap();
    let before = sample.shell("find case -type f | sort | xargs -d '\\n' sha256sum");
    for line in [
        "package case -o case/reports/x.zip",
        "package case -o case/data/x.zip",
        "package case -o case/data/x.zip --split-size 1MB",
        "report case -o case/data/x.html",
        "report case/reports/own.zip",
        "seal case --timestamp-request case/x.tsq",
        "man -o case",
        "man -o case/pages",
        "demo -o case/demo",
        "transfer case/reports/own.zip --from A --to B --purpose review --signing-key key",
        "collect case/data/other --case-number 7 --examiner A --start -1h",
    ] {
        run(line).expect(2).says(&["lies in the case"]);
    }
    let after = sample.shell("find case -type f | sort | xargs -d '\\n' sha256sum");
    assert_eq!(before, after);
}

#[test]
fn what_would_fail_again_for_ever_is_the_command_lines_mistake() {
    let sample = Sample::unsealed();
    sample.run(&["package", "case", "-o", "p.zip"]).expect(2);
    sample.seal(&mut sample.open_again());
    sample.run(&["package", "case", "-o", "nowhere/p.zip"]).expect(2).says(&["nowhere"]);
}

#[test]
fn a_sealed_case_is_to_be_packaged_until_all_of_it_is_and_then_reported_on() {
    let sample = Sample::sealed();
    let next = || sample.run(&["verify", "case"]).stdout.lines().last().unwrap().to_owned();
    let run = |line: &str| drop(sample.run(&line.split(' ').collect::<Vec<_>>()).expect(0));
    let to_package = "Next: caselock package case -o case.zip";
    assert_eq!(next(), to_package);
    run("package case -o some.zip --include data/**");
    assert_eq!(next(), to_package, "some of it is not it");
    for _ in 0..2 {
        // The very same package there is fine.
        run("package case -o case.zip");
        assert_eq!(next(), "Next: caselock report case");
    }
    run("seal case --signing-key key --notes again");
    assert_eq!(next(), "Next: caselock package case -o case-2.zip", "nothing was written of this seal");
}

#[test]
fn what_is_damaged_is_told_with_the_command_that_explains_it() {
    let sample = Sample::sealed();
    sample.overwrite(Sample::payload()[0].as_str(), b"other");
    let shown = sample.run(&["verify", "case"]).expect(3).stdout;
    let explain = shown.lines().last().unwrap().strip_prefix("then: caselock ").unwrap();
    assert_eq!(explain, "explain artifact-modified", "{shown}");
    assert!(sample.run(&explain.split(' ').collect::<Vec<_>>()).expect(0).stdout.contains("Innocent cause: "));
}

#[test]
fn the_commands_that_are_printed_next_can_be_copied_whatever_the_case_is_called() {
    let sample = Sample::sealed();
    sample.shell(r#"mv case "it's \$mine""#);
    let run = |line: &str| {
        let script = format!("caselock() {{ '{}' \"$@\"; }}; {line}", env!("CARGO_BIN_EXE_caselock"));
        let done = crate::sample::shell(&sample.path(""), &script);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(matches!(done.status.code(), Some(0 | 4)), "{line}: {done:?}");
        text
    };
    let next = |text: &str| text.lines().find_map(|line| line.strip_prefix("Next: ")).unwrap().to_owned();
    let package = next(&run(r#"caselock verify "it's \$mine""#));
    assert_eq!(package, r"caselock package 'it'\''s $mine' -o 'it'\''s $mine.zip'");
    let verify = next(&run(&package));
    fs::write(sample.path("my signers"), format!("examiner@example.com {}\n", sample.key().signer().public_key)).unwrap();
    let report = next(&run(&format!("{verify} --allowed-signers 'my signers'")));
    assert!(report.ends_with("--allowed-signers 'my signers'"), "who is trusted is kept: {report}");
    run(&report);
    assert!(sample.path("it's $mine-report.html").exists());
}
