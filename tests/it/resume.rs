//! A collection that is stopped, however it is stopped, is completed by the next run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use caselock::acquire::EVENTS_UNTIL_NOW;
use caselock::model::Sha256Hash;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::account::{Simulated, events, files_below, findings, finish, ledger};

/// Waits until something has happened in the account, or the program has ended.
fn until(child: &mut Child, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(240);
    while !happened() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it never came that far");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// An object by its path, an answer by its question; with the hash of what is worth comparing.
fn artifacts(case: &Path) -> BTreeMap<String, String> {
    let mut artifacts = BTreeMap::new();
    for line in ledger(case).iter().filter(|line| line["event"] == "artifact.acquired") {
        let path = line["path"].as_str().unwrap();
        let bytes = std::fs::read(case.join(path)).unwrap();
        assert_eq!(Sha256Hash::of(&bytes).to_string(), line["sha256"], "{path}");
        let source = &line["source"];
        let (name, content) = if source["kind"] == "s3-object" {
            (path.to_owned(), bytes)
        } else {
            let question = ["service", "operation", "account", "region", "page"].map(|field| source[field].to_string());
            let mut parameters = source["parameters"].clone();
            // It says no more than "until now".
            if asks_until_now(source) {
                parameters.as_object_mut().unwrap().remove("EndTime");
            }
            (format!("{} {parameters}", question.join(" ")), without_request_id(&String::from_utf8(bytes).unwrap()))
        };
        // What may have changed is asked again by every run; the last answer counts.
        let twice = artifacts.insert(name.clone(), Sha256Hash::of(&content).to_string());
        assert!(twice.is_none() || source["kind"] == "api-response", "{name} was stored twice");
    }
    artifacts
}

/// Whether the end of a question's time says no more than "until now".
pub(crate) fn asks_until_now(source: &Value) -> bool {
    let asked = source["parameters"]["LookupAttributes"].as_str().and_then(|asked| asked.strip_prefix("EventName="));
    source["operation"] == "ListPublicKeys" || asked.is_some_and(|name| EVENTS_UNTIL_NOW.contains(&name))
}

/// EC2 and STS write the id of the request into each answer, S3 into each refusal. Nothing else differs between two runs but the
/// order, and so the numbers, of answers to questions that are asked side by side.
pub(crate) fn without_request_id(body: &str) -> Vec<u8> {
    let mut body = body.to_owned();
    for name in ["requestId", "RequestId", "HostId"] {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        if let (Some(from), Some(to)) = (body.find(&open), body.find(&close)) {
            body.replace_range(from..to, "");
        }
    }
    body.into_bytes()
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
    assert_eq!((code, findings(&report, "failure")), (0, vec![]), "{report:#}");
    simulated.collect("undisturbed", &[]).expect(0);
    let (disturbed, undisturbed) = (artifacts(&simulated.path(case)), artifacts(&simulated.path("undisturbed")));
    let differ: Vec<_> = disturbed.iter().filter(|(name, hash)| undisturbed.get(*name) != Some(*hash)).collect();
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(disturbed.len(), undisturbed.len());
}

/// `bucket/key` of every object that the ledger names.
fn objects_of(case: &Path) -> BTreeSet<String> {
    if !case.join("custody/ledger.jsonl").exists() {
        return BTreeSet::new();
    }
    let text = std::fs::read_to_string(case.join("custody/ledger.jsonl")).unwrap();
    // The last line may be torn.
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let objects = lines.filter(|line| line["event"] == "artifact.acquired" && line["source"]["kind"] == "s3-object");
    objects
        .map(|line| format!("{}/{}", line["source"]["bucket"].as_str().unwrap(), line["source"]["key"].as_str().unwrap()))
        .collect()
}

/// A collection that is still running when `happened`. On a busy machine it may come to its end unseen: then a slower one is tried.
fn caught_when(happened: impl Fn(&Simulated) -> bool) -> (Simulated, Child) {
    for latency in [20, 80, 320] {
        let simulated = Simulated::quiet();
        simulated.server.faults().set_latency(Duration::from_millis(latency));
        let mut child = simulated.start_collecting("case", &["--concurrency", "2"]);
        until(&mut child, || happened(&simulated));
        // From here on it waits for its answers.
        simulated.server.faults().set_latency(Duration::from_secs(2));
        if child.try_wait().unwrap().is_none() {
            return (simulated, child);
        }
    }
    panic!("it always ended before it could be caught");
}

/// Kills a collection once `happened`, then completes it.
fn killed_when(happened: impl Fn(&Simulated) -> bool) -> Simulated {
    let (simulated, child) = caught_when(happened);
    kill(child);
    completes(&simulated, "case");
    simulated
}

#[test]
fn killed_right_after_the_start() {
    killed_when(|_| true);
}

#[test]
fn killed_at_the_first_answer() {
    killed_when(|simulated| !simulated.server.requests().is_empty());
}

#[test]
fn killed_as_soon_as_the_ledger_begins() {
    killed_when(|simulated| simulated.path("case/custody/ledger.jsonl").metadata().is_ok_and(|file| file.len() > 0));
}

#[test]
fn killed_while_listing() {
    let simulated = killed_when(|simulated| simulated.requests("s3:ListObjectsV2").len() > 3);
    assert_eq!(events(&simulated.path("case"), "collection.interrupted"), 1);
}

#[test]
fn killed_in_mid_fetch() {
    let simulated = killed_when(|simulated| objects_of(&simulated.path("case")).len() > 20);
    let case = simulated.path("case");
    assert_eq!((events(&case, "collection.interrupted"), events(&case, "collection.finished")), (1, 1));
}

#[test]
fn killed_again_and_again() {
    let simulated = Simulated::quiet();
    simulated.server.faults().set_latency(Duration::from_millis(20));
    let case = simulated.path("case");
    let (mut stored, mut killed) = (0, 0);
    while killed < 5 {
        let mut child = simulated.start_collecting("case", &["--concurrency", "2"]);
        until(&mut child, || objects_of(&case).len() > stored + 8);
        child.kill().unwrap();
        // Where this test was kept waiting, a run may have come to its end, or to its verification, by itself.
        if child.wait().unwrap().success() || events(&case, "collection.finished") > 0 {
            break;
        }
        // Counted when nothing more comes: what counts for the next one is its own.
        stored = objects_of(&case).len();
        killed += 1;
    }
    assert!(killed > 1, "{killed}");
    completes(&simulated, "case");
    assert_eq!(events(&case, "collection.interrupted"), killed);
}

#[test]
fn interrupted_in_order_it_says_so_and_can_go_on() {
    // On an idle machine the last answer may have come before it is told to stop; then it is told nothing, and has ended well.
    let stopped = (0..5).find_map(|_| {
        let (simulated, child) = caught_when(|simulated| objects_of(&simulated.path("case")).len() > 10);
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let ran = finish(child);
        (ran.code != 0).then_some((simulated, ran))
    });
    let (simulated, ran) = stopped.expect("it always ended before it could be stopped");
    let ran = ran.expect(1);
    let case = simulated.path("case");
    let ran = ran.says(&["stopped", "evidence: What was stored is safe", "next: To go on", "caselock collect case"]);
    let status = simulated.run(&["status", "case", "--json"]).expect(4).json();
    let (lines, root) = (status["ledger_lines"].as_u64().unwrap(), status["ledger_root"].as_str().unwrap());
    assert!(lines > 10 && lines < 1_000, "{lines}");
    ran.says(&[&format!("ledger: {lines} lines, root {root}")]);
    assert_eq!(events(&case, "collection.interrupted"), 1);
    simulated.run(&["status", "case"]).expect(4);
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
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    assert_eq!(simulated.verify("case").0, 0);
}

#[test]
fn the_second_of_two_collectors_is_turned_away() {
    let (simulated, first) = caught_when(|simulated| !objects_of(&simulated.path("case")).is_empty());
    let second = simulated.collect("case", &[]).expect(1);
    second.says(&["evidence: Nothing was written: only one process", "next: Wait until the other one has ended"]);
    simulated.run(&["status", "case"]).expect(4);
    simulated.server.faults().clear();
    finish(first).expect(0);
    assert_eq!(simulated.verify("case").0, 0);
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
        assert_eq!((code, findings(&report, "failure")), (0, vec![]), "{report:#}");
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
