//! What the options of `verify` change, and how its report reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caselock::cloudtrail::KeyRing;
use caselock::model::Severity;
use caselock::sim::{Fault, Scenario};
use caselock::verify::{Options, Verdict, verify};
use serde_json::{Value, json};

use crate::account::{Ran, Simulated, events, last_hour, ledger, program};
use crate::findings::{kinds, printed};
use crate::memory_case::{ABROAD, Collection, HOME, MemoryCase, end, quiet};

/// Writes a case that lies in memory to the disk.
fn written(case: &MemoryCase) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    case.write_to(folder.path());
    folder
}

fn run(folder: &Path, more: &[&str]) -> Ran {
    of("verify", folder, more)
}

fn reported(folder: &Path, more: &[&str]) -> Ran {
    of("report", folder, more)
}

fn of(command: &str, folder: &Path, more: &[&str]) -> Ran {
    let mut command = program(&[command, folder.to_str().unwrap(), "--no-progress"]);
    crate::account::run(command.args(more))
}

/// An answer of `ListPublicKeys` with the keys of a region of a simulated account.
fn answer(collection: &Collection, region: &str) -> Value {
    let keys = collection.account.keys(region).iter().map(|key| {
        json!({"Value": STANDARD.encode(&key.public_der), "Fingerprint": key.fingerprint,
            "ValidityStartTime": key.valid_from.timestamp(), "ValidityEndTime": key.valid_until.timestamp()})
    });
    json!({"PublicKeyList": keys.collect::<Vec<_>>()})
}

#[test]
fn keys_obtained_another_way_stand_in_for_those_that_the_case_does_not_hold() {
    let mut collection = Collection::of(&quiet());
    let files = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for region in [HOME, ABROAD] {
        collection.forget("ListPublicKeys", region);
        let file = files.path().join(region);
        fs::write(&file, answer(&collection, region).to_string()).unwrap();
        keys.push(format!("--keys={region}={}", file.display()));
    }
    let case = written(&collection.case());
    let without = run(case.path(), &["--json"]).expect(4).json();
    assert!(printed(&without, "gap").iter().any(|(kind, _)| kind == "keys-unavailable"), "{without:#}");
    let with: Vec<&str> = keys.iter().map(String::as_str).chain(["--json"]).collect();
    assert_eq!(run(case.path(), &with).expect(0).json()["verdict"], "pass");
    // A report goes by the same keys, or its exit code would be another.
    assert_eq!(reported(case.path(), &with).expect(0).json()["verdict"], "pass");
}

#[test]
fn keys_obtained_another_way_outweigh_those_in_the_case() {
    let (case, other) = (Collection::of(&quiet()).case(), Collection::of(&Scenario { seed: 7, ..quiet() }));
    let mut keys = KeyRing::default();
    for region in [HOME, ABROAD] {
        keys.add_answer(&region.parse().unwrap(), answer(&other, region).to_string().as_bytes()).unwrap();
    }
    let report = case.verify_with(&Options { keys: Some(&keys), ..Options::default() });
    let gaps = BTreeSet::from(["keys-unavailable", "log-unproven"]);
    assert_eq!((report.verdict, kinds(&report, Severity::Gap)), (Verdict::Incomplete, gaps), "{:#?}", report.findings);
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Gap), "{:#?}", report.findings);
}

#[test]
fn a_file_of_keys_that_does_not_read_is_a_mistake_of_the_command_line() {
    let case = written(&Collection::of(&quiet()).case());
    let file = case.path().join("README.txt");
    for given in ["us-east-1", "nowhere=README.txt", "us-east-1=/nonexistent", &format!("us-east-1={}", file.display())] {
        run(case.path(), &[&format!("--keys={given}")]).expect(2);
    }
}

#[test]
fn strictly_a_notice_is_no_pass_and_no_failure_either() {
    let collection = Collection::of(&quiet());
    let mut case = collection.case();
    assert_eq!(case.verify_with(&Options { strict: true, ..Options::default() }).verdict, Verdict::Pass);
    case.files.insert("notes.txt".to_owned(), b"mine".to_vec());
    assert_eq!(case.verify().verdict, Verdict::Pass);
    let strict = case.verify_with(&Options { strict: true, ..Options::default() });
    assert_eq!(strict.verdict, Verdict::Incomplete, "{:#?}", strict.findings);
    let folder = written(&case);
    run(folder.path(), &[]).expect(0);
    run(folder.path(), &["--strict"]).expect(4);
    // What failed stays a failure.
    collection.delete(&collection.log(HOME, 4));
    let failed = collection.case();
    for strict in [false, true] {
        assert_eq!(failed.verify_with(&Options { strict, ..Options::default() }).verdict, Verdict::Fail);
    }
}

#[test]
fn the_limits_on_what_a_log_may_hold_can_be_set() {
    let case = written(&Collection::of(&quiet()).case());
    // What is not read for one's own limit is accused of nothing, and nothing is said to be gone.
    for limit in [10, 100] {
        let report = run(case.path(), &[&format!("--max-content={limit}"), "--json"]).expect(4).json();
        assert_eq!(printed(&report, "failure"), [], "{report:#}");
        let gaps = printed(&report, "gap");
        assert!(gaps.iter().any(|(kind, _)| kind == "artifact-unreadable"), "{report:#}");
        let text = report.to_string();
        assert!(!text.contains("there is none") && !text.contains("bomb"), "{report:#}");
    }
    run(case.path(), &["--max-content=50000000", "--max-ratio=1000"]).expect(0);
    reported(case.path(), &["--max-content=100"]).expect(4);
}

fn online(simulated: &Simulated, case: &str) -> (i32, Value) {
    let ran = simulated.run(&["verify", case, "--online", "--json"]);
    (ran.code, ran.json())
}

#[test]
fn keys_that_aws_still_publishes_are_confirmed_and_it_is_recorded() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "cloudtrail"]).expect(0);
    let before = simulated.server.requests().len();
    let (code, report) = online(&simulated, "case");
    assert_eq!((code, &report["verdict"]), (0, &json!("pass")), "{report:#}");
    let (asked, confirmed) = (&report["online"]["regions"], report["online"]["confirmed"].as_u64().unwrap());
    assert!(*asked == json!(2) && confirmed >= 2, "{report:#}");
    let asked: Vec<String> = simulated.server.requests().iter().skip(before).map(|request| request.action()).collect();
    assert!(asked.iter().all(|action| action == "cloudtrail:ListPublicKeys" || action == "sts:GetCallerIdentity"), "{asked:?}");
    let lines = ledger(&simulated.path("case"));
    let line = lines.last().unwrap();
    assert_eq!((&line["event"], &line["online"]), (&json!("verification.recorded"), &report["online"]));
    // The case is as good as before, and offline verification writes nothing.
    simulated.run(&["verify", "case"]).expect(0);
    assert_eq!(events(&simulated.path("case"), "verification.recorded"), 1);
}

#[test]
fn a_sealed_case_is_compared_and_not_written_to() {
    let simulated = Simulated::quiet();
    let case = simulated.sealed_case(&["--source", "cloudtrail"]);
    let ledger = fs::read(case.join("custody/ledger.jsonl")).unwrap();
    simulated.run(&["verify", "case", "--online"]).expect(0).says(&["Not recorded: the case is sealed."]);
    simulated.run(&["verify", "case.zip", "--online"]).expect(0).says(&["Not recorded: a package is not written to."]);
    assert_eq!(fs::read(case.join("custody/ledger.jsonl")).unwrap(), ledger);
}

#[test]
fn keys_that_aws_does_not_publish_are_a_failure() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "cloudtrail"]).expect(0);
    let other = Simulated::of(&Scenario { seed: 7, ..Scenario::quiet(last_hour()) });
    let case = simulated.path("case");
    let (code, report) = online(&other, case.to_str().unwrap());
    assert_eq!(code, 3, "{report:#}");
    let failures = printed(&report, "failure");
    assert!(failures.iter().all(|(kind, _)| kind == "key-not-published") && !failures.is_empty(), "{report:#}");
    assert_eq!(report["online"]["confirmed"], 0);
}

#[test]
fn keys_that_aws_no_longer_lists_are_a_gap() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "cloudtrail"]).expect(0);
    simulated.server.faults().add(Fault::replace("cloudtrail:ListPublicKeys", r#"{"PublicKeyList":[]}"#));
    let (code, report) = online(&simulated, "case");
    let gaps = printed(&report, "gap");
    assert_eq!((code, printed(&report, "failure")), (4, vec![]), "{report:#}");
    assert!(gaps.iter().all(|(kind, _)| kind == "key-no-longer-published") && !gaps.is_empty(), "{report:#}");
}

#[test]
fn a_region_that_denies_its_keys_is_a_gap() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "cloudtrail"]).expect(0);
    simulated.server.faults().add(Fault::deny("cloudtrail:ListPublicKeys").in_region("eu-central-1"));
    let (code, report) = online(&simulated, "case");
    assert_eq!(code, 4, "{report:#}");
    let expected = ("keys-not-compared".to_owned(), "public keys of eu-central-1".to_owned());
    assert_eq!(printed(&report, "gap"), [expected]);
    assert_eq!((&report["online"]["answered"], &report["online"]["regions"]), (&json!(1), &json!(2)));
}

#[test]
fn how_aws_is_reached_means_nothing_where_aws_is_not_asked() {
    let case = written(&Collection::of(&quiet()).case());
    let role = ["--role-arn", "arn:aws:iam::111122223333:role/reader"];
    let factor = ["--mfa-serial", "GAHT12345678", "--mfa-code", "123456"];
    let with_id = [&role[..], &["--external-id", "x"]].concat();
    for offline in [&["--profile", "nosuch"][..], &role, &with_id, &factor] {
        run(case.path(), offline).expect(2).says(&["required arguments were not provided", "--online"]);
    }
    let endpoint = ["--endpoint-url", "http://192.0.2.1"];
    run(case.path(), &endpoint).expect(2).says(&["--endpoint-url is of no use without --online"]);
    run(case.path(), &["--concurrency", "3"]).expect(2).says(&["unexpected argument '--concurrency'"]);
    // What the environment holds is for whoever asks.
    let mut command = program(&["verify", case.path().to_str().unwrap()]);
    crate::account::run(command.envs([("AWS_ENDPOINT_URL", "http://192.0.2.1"), ("AWS_PROFILE", "nosuch")])).expect(0);
}

#[test]
fn without_a_way_to_aws_nothing_is_said_to_be_verified_online() {
    let case = written(&Collection::of(&quiet()).case());
    run(case.path(), &["--online"]).expect(1).says(&["leave --online out"]);
}

#[test]
fn a_root_that_the_ledger_never_had_is_a_failure_of_verify() {
    let case = written(&Collection::of(&quiet()).case());
    let report = run(case.path(), &["--json", "--expect-root=0123456789abcdef"]).expect(3).json();
    assert_eq!(printed(&report, "failure"), [("ledger-root-unexpected".to_owned(), "custody/ledger.jsonl".to_owned())]);
}

const REGIONS: [&str; 17] = [
    "us-east-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// A day in all regions that are enabled by default.
fn day() -> Collection {
    let regions = REGIONS.map(String::from).to_vec();
    Collection::of(&Scenario { hours: 28, regions, events_per_hour: 4, ..Scenario::quiet(end()) })
}

fn shown(case: &MemoryCase, code: i32) -> String {
    let folder = written(case);
    let text = run(folder.path(), &[]).expect(code).stdout;
    crate::summaries::fits(&text);
    let text = text.replace(&folder.path().display().to_string(), "CASE");
    // The root is that of a ledger whose lines may gain fields.
    let root = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let line = |line: &str| line.split(' ').map(|word| if root(word) { "ROOT" } else { word }).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_day_in_17_regions_reads_well_on_80_columns() {
    insta::assert_snapshot!("day-in-17-regions", shown(&day().case(), 0));
}

#[test]
fn a_bad_day_in_17_regions_reads_well_on_80_columns() {
    let mut collection = day();
    for region in ["eu-west-1", "sa-east-1"] {
        collection.delete(&collection.digest(region, 9));
    }
    collection.delete(&collection.digest("us-west-2", -1));
    collection.digests("ap-south-1").iter().for_each(|digest| collection.delete(digest));
    let log = collection.log(HOME, 12);
    collection.rewrite(&log, br#"{"Records":[]}"#);
    let refused = collection.log(HOME, 20);
    collection.refuse(&refused, caselock::case::event::GapReason::Denied, "AccessDenied");
    collection.delete(&collection.log("eu-north-1", 5));
    insta::assert_snapshot!("bad-day-in-17-regions", shown(&collection.case(), 3));
}

#[test]
fn a_week_is_told_in_signs_of_several_hours() {
    let collection = Collection::of(&Scenario { hours: 172, events_per_hour: 1, ..quiet() });
    collection.delete(&collection.digest(HOME, 40));
    let text = shown(&collection.case(), 3);
    assert!(text.contains("one sign for 6 hours"), "{text}");
}

#[test]
fn verification_of_a_library_case_needs_no_clock() {
    let case = Collection::of(&quiet()).case();
    let (first, second) = (case.verify(), verify(&case, &Options::default()).unwrap());
    assert_eq!(serde_json::to_value(&first).unwrap(), serde_json::to_value(&second).unwrap());
}
