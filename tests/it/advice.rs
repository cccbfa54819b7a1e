//! What is advised next is what can be done: of cases that are unfinished, sealed so, never begun, packaged before, or released.

use std::fs;

use caselock::sim::{Account, Fault, Scenario};
use rustix::process::{Pid, Signal, kill_process};

use crate::account::{Ran, Simulated, events, finish, last_hour, run};
use crate::resume::until;
use crate::sample::{Sample, started};

fn next(ran: &Ran) -> String {
    ran.stdout.lines().find_map(|line| line.strip_prefix("Next: ")).unwrap_or_default().to_owned()
}

#[test]
fn an_unfinished_case_is_gone_on_with_until_it_is_sealed_and_then_packaged() {
    let (sample, mut writer) = Sample::new();
    writer.append(started(1)).unwrap();
    drop(writer);
    for command in ["status", "verify"] {
        assert!(next(&sample.run(&[command, "case"]).expect(4)).starts_with("caselock collect case"), "{command}");
    }
    sample.run(&["seal", "case", "--signing-key", "key", "--unfinished"]).expect(0);
    for command in ["status", "verify"] {
        assert_eq!(next(&sample.run(&[command, "case"]).expect(4)), "caselock package case -o case.zip", "{command}");
    }
    let status = sample.run(&["status", "case", "--json"]).expect(4).json();
    assert_eq!(status["next"], "caselock package case -o case.zip");
    sample.run(&["package", "case", "-o", "case.zip"]).expect(0);
    assert_eq!(next(&sample.run(&["status", "case"]).expect(4)), "caselock verify case");
}

#[test]
fn a_case_that_never_began_is_made_by_the_whole_first_command_even_after_a_report() {
    let simulated = Simulated::small();
    simulated.run(&simulated.collect_arguments("made", &["--source", "ebs", "--notes=-x"])).expect(0);
    // What a run leaves that is killed before its ledger's first line.
    let n1 = simulated.path("n1");
    fs::create_dir_all(n1.join("custody")).unwrap();
    fs::create_dir(n1.join("data")).unwrap();
    for file in ["README.txt", "custody/case.toml"] {
        fs::copy(simulated.path("made").join(file), n1.join(file)).unwrap();
    }
    fs::write(n1.join("custody/ledger.jsonl"), "").unwrap();
    let status = next(&simulated.run(&["status", "n1"]).expect(4));
    let verified = next(&simulated.run(&["verify", "n1"]).expect(4));
    assert!(verified.starts_with("caselock collect n1 --case-number IR-1 --examiner 'A. Examiner'"), "{verified}");
    assert!(verified.contains(" --notes=-x ") && verified.contains(" --source ebs"), "{verified}");
    assert!(status.starts_with(&verified), "{status}");
    let refused = simulated.run(&["collect", "n1"]).expect(2);
    refused.says(&["a new case needs its number", "this makes it again: caselock collect n1 --case-number"]);
    simulated.run(&["report", "n1"]).expect(4);
    assert!(n1.join("reports/report.html").exists());
    // As a shell takes it.
    let mut shell = std::process::Command::new("sh");
    let script = format!("caselock() {{ '{}' \"$@\"; }}; {verified}", env!("CARGO_BIN_EXE_caselock"));
    shell.args(["-c", &script]).current_dir(simulated.path("")).stdout(std::process::Stdio::piped());
    simulated.is_asked_by(shell.stderr(std::process::Stdio::piped()));
    run(&mut shell).expect(0);
    simulated.run(&["status", "n1"]).expect(0);
}

#[test]
fn what_an_interrupted_run_did_not_fetch_is_not_called_unreadable() {
    let simulated = Simulated::quiet();
    simulated.server.faults().add(Fault::silence("s3:ListObjectsV2"));
    let mut child = simulated.start_collecting("case", &["--concurrency", "1"]);
    until(&mut child, || {
        simulated.path("case/custody/ledger.jsonl").exists() && events(&simulated.path("case"), "artifact.acquired") > 5
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    finish(child).expect(1);
    let told = simulated.run(&["verify", "case", "--verbose"]).expect(4).stdout;
    assert!(told.contains("- not fetched: the collection did not come to its end"), "{told}");
    assert!(!told.contains("x unreadable") && told.contains("run collect again"), "{told}");
    simulated.run(&["report", "case"]).expect(4);
    let page = fs::read_to_string(simulated.path("case/reports/report.html")).unwrap();
    assert!(page.contains("<td>not fetched: the collection did not come to its end</td>"), "{page}");
    assert!(!page.contains("a file that covers it could not be read"), "{page}");
    let report = simulated.verify("case").1;
    assert!(report["cloudtrail"][0]["hours"]["unreadable"].as_u64().unwrap() > 0, "{report:#}");
}

#[test]
fn a_role_that_was_refused_stays_in_the_command_that_goes_on() {
    const HOME: &str = "arn:aws:iam::111122223333:role/reader";
    const MEMBER: &str = "arn:aws:iam::444455556666:role/reader";
    let simulated = Simulated::quiet();
    simulated.server.add_member("444455556666", Account::simulate(&Scenario { seed: 7, ..Scenario::quiet(last_hour()) }));
    simulated.server.faults().add(Fault::deny("sts:AssumeRole").on("444455556666"));
    // Refused the one, and never answered as the other.
    simulated.server.faults().add(Fault::silence("s3:GetObject").after(12));
    for roles in [&["--role-arn", HOME, "--role-arn", MEMBER][..], &["--role-arn", HOME]] {
        let fetched = simulated.requests("s3:GetObject").len();
        let mut child = simulated.start_collecting("case", &[roles, &["--concurrency", "2"]].concat());
        until(&mut child, || simulated.requests("s3:GetObject").len() >= fetched + 2);
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let stopped = finish(child).expect(1);
        let both = format!("caselock collect case --role-arn {HOME} --role-arn {MEMBER}");
        stopped.says(&[&both]);
        assert!(next(&simulated.run(&["status", "case"]).expect(4)).starts_with(&both));
        assert!(next(&simulated.run(&["verify", "case"]).expect(4)).starts_with(&both));
    }
    let status = simulated.run(&["status", "case"]).expect(4);
    assert!(status.stdout.contains(&format!("denied AssumeRole of {MEMBER}")), "{}", status.stdout);
}

#[test]
fn packages_are_told_by_the_names_that_they_have_each_once_and_old_ones_as_such() {
    let sample = Sample::sealed();
    sample.shell("ssh-keygen -q -t ed25519 -N '' -C a -f reader");
    let package = |out: &str, more: &[&str]| sample.run(&[&["package", "case", "-o", out], more].concat()).expect(0).stdout;
    package("case.zip", &[]);
    let one = package("only.zip", &["--encrypt-to", "reader.pub"]);
    assert!(one.contains("The recipient:\n    age --decrypt -i KEY -o only.zip only.zip.age"), "{one}");
    let parts = package("p.zip", &["--encrypt-to", "reader.pub", "--split-size", "200"]);
    let of = parts.lines().filter(|line| line.contains("age --decrypt")).count();
    assert!(of > 2, "{parts}");
    for number in 1..=of {
        let name = format!("p.part-{number}-of-{of}.zip");
        assert!(parts.contains(&format!("age --decrypt -i KEY -o {name} {name}.age")), "{parts}");
    }
    package("some.zip", &["--include", "data/**"]);
    let status = |sample: &Sample| sample.run(&["status", "case"]).expect(4).stdout.replace("\n         ", " ");
    let told = status(&sample);
    for listed in ["case.zip,", "only.zip.age (encrypted)", "p.part-1-of-", "some.zip (disclosure)"] {
        assert!(told.contains(listed), "{listed}: {told}");
    }
    assert!(!told.contains("OLD"), "{told}");
    let names = sample.run(&["status", "case", "--json"]).expect(4).json()["packages"].to_string();
    assert!(names.contains("\"only.zip.age\"") && !names.contains("\"only.zip\""), "{names}");

    sample.key_of("other", "other@example.com");
    sample.run(&["seal", "case", "--signing-key", "other"]).expect(0);
    let told = status(&sample);
    assert!(told.contains("case.zip (OLD: of an earlier seal)"), "{told}");
    assert!(told.contains("only.zip.age (encrypted; OLD: of an earlier seal)"), "{told}");
    let command = told.lines().find_map(|line| line.strip_prefix("Next: ")).unwrap();
    assert_eq!(command, "caselock package case -o case-2.zip", "no file is replaced");
    // Under the name that the old one had, which was moved away.
    fs::rename(sample.path("case.zip"), sample.path("old.zip")).unwrap();
    fs::remove_file(sample.path("case.zip.sha256")).unwrap();
    package("case.zip", &[]);
    let told = status(&sample);
    assert_eq!(told.matches(" case.zip").count(), 1, "{told}");
    assert!(told.contains("Next: caselock verify case"), "{told}");
}

#[test]
fn an_encrypted_package_stands_in_report_and_form_under_its_name_and_with_both_hashes() {
    let sample = Sample::sealed();
    sample.shell("ssh-keygen -q -t ed25519 -N '' -C a -f reader");
    let done = sample.run(&["package", "case", "-o", "only.zip", "--encrypt-to", "reader.pub", "--json"]).expect(0).json();
    let (inner, outer) = (done["sha256"].as_str().unwrap(), done["encrypted"]["sha256"].as_str().unwrap());
    sample.run(&["report", "case", "-o", "page.html"]).expect(4);
    let page = fs::read_to_string(sample.path("page.html")).unwrap();
    let told = format!("The package only.zip.age (encrypted) was written ({} bytes, SHA-256 {outer})", {
        let size = done["encrypted"]["size"].as_u64().unwrap();
        let text = size.to_string();
        let (thousands, rest) = text.split_at(text.len() - 3);
        format!("{thousands},{rest}")
    });
    assert!(page.contains(&told), "{told}: {page}");
    let (_, form) = page.split_once("id=\"form-custody\"").unwrap();
    let (form, _) = form.split_once("</section>").unwrap();
    assert!(form.contains("only.zip.age (") && form.contains(&format!("bytes, encrypted), SHA-256 {outer}")), "{form}");
    assert!(form.contains("the zip within it, only.zip: ") && form.contains(inner), "{form}");
    // On paper, the heading of the transfers is in one block with their table.
    let (_, block) = form.split_once("<div class=\"transfers\">").unwrap();
    let (block, _) = block.split_once("</div>").unwrap();
    assert!(block.contains("<h3>9 ") && block.contains("<table class=\"custody\">") && !block.contains("<h3>10"), "{block}");
    assert!(page.contains(".custody, .transfers { break-inside: avoid; }"));
}

#[test]
fn what_was_released_is_next_signed_for_by_its_receiver() {
    let sample = Sample::sealed();
    let release = ["transfer", "case", "--from", "A. Examiner", "--to", "B", "--purpose", "a second look"];
    sample.run(&release).expect(0);
    let told = sample.run(&["status", "case", "--json"]).expect(4).json()["next"].as_str().unwrap().to_owned();
    let command = "caselock transfer case --from 'A. Examiner' --to B --purpose 'a second look' --signing-key KEY";
    assert!(told.starts_with(command), "{told}");
    sample.key_of("receiver", "b@example.com");
    sample.run(&[&release[..], &["--signing-key", "receiver"]].concat()).expect(0);
    assert_eq!(next(&sample.run(&["status", "case"]).expect(4)), "caselock package case -o case.zip");
}
