//! A collection that is stopped, however it is stopped, is completed by the next run.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use caselock::case::LEDGER;
use caselock::sim::Fault;
use rustix::process::{Pid, Signal, kill_process};

use crate::account::{Simulated, artifacts, events, files_below, finish, ledger};
use crate::findings::printed;

/// Waits until something has happened. The program does not end before.
pub(crate) fn until(child: &mut Child, happened: impl Fn() -> bool) {
    while !happened() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before that");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Runs the same collection again and compares what the case then holds with an undisturbed one.
fn completes(simulated: &Simulated, case: &str) {
    let stored = objects_of(&simulated.path(case));
    let before = simulated.fetched();
    simulated.server.faults().clear();
    simulated.collect(case, &[]).expect(0);
    for (target, times) in simulated.fetched() {
        let again = times - before.get(&target).copied().unwrap_or(0);
        assert!(again == 0 || !stored.contains(&target), "{target} was stored and fetched again");
    }
    let (code, report) = simulated.verify(case);
    assert_eq!((code, printed(&report, "failure")), (0, vec![]), "{report:#}");
    simulated.collect("undisturbed", &[]).expect(0);
    let (disturbed, undisturbed) = (artifacts(&simulated.path(case)), artifacts(&simulated.path("undisturbed")));
    let differ: Vec<_> = disturbed.iter().filter(|(name, hash)| undisturbed.get(*name) != Some(*hash)).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(disturbed.len(), undisturbed.len());
}

/// `bucket/key` of every object that the ledger names.
fn objects_of(case: &Path) -> BTreeSet<String> {
    if !case.join(LEDGER).exists() {
        return BTreeSet::new();
    }
    let objects = ledger(case).into_iter().filter(|line| line["source"]["kind"] == "s3-object");
    objects
        .map(|line| format!("{}/{}", line["source"]["bucket"].as_str().unwrap(), line["source"]["key"].as_str().unwrap()))
        .collect()
}

/// A collection that cannot come to its end, for some questions are never answered, once `happened`.
fn held(unanswered: Fault, happened: impl Fn(&Simulated) -> bool) -> (Simulated, Child) {
    let simulated = Simulated::quiet();
    simulated.server.faults().add(unanswered);
    let mut child = simulated.start_collecting("case", &["--concurrency", "2"]);
    until(&mut child, || happened(&simulated));
    (simulated, child)
}

/// Kills a collection once `happened`, then completes it.
fn killed(unanswered: Fault, happened: impl Fn(&Simulated) -> bool) -> Simulated {
    let (simulated, child) = held(unanswered, happened);
    kill(child);
    completes(&simulated, "case");
    simulated
}

#[test]
fn killed_right_after_the_start() {
    killed(Fault::silence("*"), |_| true);
}

#[test]
fn killed_at_the_first_answer() {
    killed(Fault::silence("*").after(1), |simulated| !simulated.server.requests().is_empty());
}

#[test]
fn killed_as_soon_as_the_ledger_begins() {
    killed(Fault::silence("s3:*"), |simulated| simulated.path("case").join(LEDGER).metadata().is_ok_and(|file| file.len() > 0));
}

#[test]
fn killed_while_listing() {
    let simulated =
        killed(Fault::silence("s3:ListObjectsV2").after(4), |simulated| simulated.requests("s3:ListObjectsV2").len() > 3);
    assert_eq!(events(&simulated.path("case"), "collection.interrupted"), 1);
}

#[test]
fn killed_in_mid_fetch() {
    let simulated =
        killed(Fault::silence("s3:GetObject").after(30), |simulated| objects_of(&simulated.path("case")).len() > 20);
    let case = simulated.path("case");
    assert_eq!((events(&case, "collection.interrupted"), events(&case, "collection.finished")), (1, 1));
}

#[test]
fn killed_again_and_again() {
    let simulated = Simulated::quiet();
    let case = simulated.path("case");
    for _ in 0..5 {
        simulated.server.faults().clear();
        simulated.server.faults().add(Fault::silence("s3:GetObject").after(12));
        let stored = objects_of(&case).len();
        let mut child = simulated.start_collecting("case", &["--concurrency", "2"]);
        until(&mut child, || objects_of(&case).len() > stored + 8);
        kill(child);
    }
    completes(&simulated, "case");
    assert_eq!(events(&case, "collection.interrupted"), 5);
}

#[test]
fn interrupted_in_order_it_says_so_and_can_go_on() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        stopped_in_order_by(signal);
    }
}

fn stopped_in_order_by(signal: Signal) {
    let (simulated, child) =
        held(Fault::silence("s3:GetObject").after(20), |simulated| objects_of(&simulated.path("case")).len() > 10);
    kill_process(Pid::from_child(&child), signal).unwrap();
    // The same request twice, as `timeout` makes it, is one.
    let _again = kill_process(Pid::from_child(&child), signal);
    let ran = finish(child).expect(1);
    let case = simulated.path("case");
    let ran = ran.says(&["stopped", "evidence: What was stored is safe", "next: To go on", "caselock collect case"]);
    let status = simulated.run(&["status", "case", "--json"]).expect(4).json();
    let (lines, root) = (status["ledger_lines"].as_u64().unwrap(), status["ledger_root"].as_str().unwrap());
    assert!(lines > 10 && lines < 1_000, "{lines}");
    ran.says(&[&format!("ledger: {lines} lines, root {root}")]);
    assert_eq!(events(&case, "collection.interrupted"), 1);
    let status = simulated.run(&["status", "case"]).expect(4).stdout;
    let verified = simulated.run(&["verify", "case"]).expect(4).stdout;
    for told in [status, verified] {
        assert!(told.contains("Next: caselock collect case") && told.contains("(goes on where it stopped)"), "{told}");
    }
    completes(&simulated, "case");
    assert_eq!(events(&case, "collection.interrupted"), 1, "the run that stopped in order said so itself");
}

#[test]
fn a_complete_case_fetches_nothing_and_keeps_everything() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &[]).expect(0);
    let (fetched, before) = (simulated.fetched(), files_below(&simulated.path("case/data")));
    simulated.collect("case", &[]).expect(0);
    assert_eq!(simulated.fetched(), fetched);
    let after = files_below(&simulated.path("case/data"));
    assert!(fetched.len() > 50 && before.len() > fetched.len(), "{} files of {} objects", before.len(), fetched.len());
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    assert_eq!(simulated.verify("case").0, 0);
}

#[test]
fn the_second_of_two_collectors_is_turned_away() {
    let (simulated, first) =
        held(Fault::silence("s3:GetObject").after(5), |simulated| !objects_of(&simulated.path("case")).is_empty());
    let second = simulated.collect("case", &[]).expect(1);
    second.says(&["evidence: Nothing was written: only one process", "next: Wait until the other one has ended"]);
    simulated.run(&["status", "case"]).expect(4);
    kill(first);
    completes(&simulated, "case");
}

#[test]
fn of_two_that_begin_a_case_at_once_one_makes_it() {
    let simulated = Simulated::quiet();
    for round in 0..4 {
        let case = format!("case-{round}");
        let both =
            [simulated.start_collecting(&case, &["--source", "ebs"]), simulated.start_collecting(&case, &["--source", "ebs"])];
        let mut codes = both.map(|child| finish(child).code);
        codes.sort_unstable();
        // The slower one may come so late that it goes on with the finished case; it never spoils it.
        assert!([[0, 0], [0, 1]].contains(&codes), "{codes:?}");
        let (code, report) = simulated.verify(&case);
        assert_eq!((code, printed(&report, "failure")), (0, vec![]), "{report:#}");
    }
}

#[test]
fn what_is_too_fresh_to_be_proven_is_to_be_collected_again_before_the_case_is_sealed() {
    let simulated = Simulated::quiet();
    let [start, end] = simulated.window(2, 0);
    let case = ["collect", "case", "--case-number", "IR-1", "--examiner", "A", "--start", &start, "--end", &end];
    let due =
        (end.parse::<chrono::DateTime<chrono::Utc>>().unwrap() + chrono::TimeDelta::hours(2)).format("%Y-%m-%dT%H:%M:%SZ");
    let again = format!("Next: caselock collect case\n      (again, from {due} on");
    let collected = simulated.run(&case).expect(0).stdout;
    assert!(collected.contains(&again) && collected.ends_with("then: caselock verify case\n"), "{collected}");
    let verified = simulated.run(&["verify", "case"]).expect(4).stdout;
    assert!(verified.contains(&again) && verified.ends_with("then: caselock seal case --signing-key KEY\n"), "{verified}");
    let status = simulated.run(&["status", "case", "--json"]).expect(0).json();
    let next = status["next"].as_str().unwrap();
    assert!(next.starts_with(&format!("caselock collect case    (again, from {due} on")), "{next}");
    assert!(next.ends_with(", then caselock verify case, then caselock seal case --signing-key KEY"), "{next}");
    caselock::seal::SigningKey::generate_ed25519(&simulated.path("own"), "a@example.com").unwrap();
    let sealed = simulated.run(&["seal", "case", "--signing-key", "own"]).expect(0).stdout;
    assert!(sealed.contains("Pending  ") && sealed.contains("no digest can be added any more"), "{sealed}");
    let sealed = simulated.run(&["seal", "case", "--signing-key", "own"]).expect(0).stdout;
    assert!(!sealed.contains("Pending"), "it was given up before: {sealed}");
}
