//! What a user, a network and AWS can do wrong: the exit code, the words, and that nothing stored is changed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use caselock::sim::{FLOW_BUCKET, Fault, TRAIL_BUCKET};
use serde_json::Value;

use crate::account::{Ran, Simulated, events, files_below, ledger, run};
use crate::findings::printed;

/// Runs a command that must not change anything below the scratch folder.
pub(crate) fn unchanged<S: AsRef<OsStr> + Debug>(simulated: &Simulated, arguments: &[S], code: i32) -> Ran {
    let before = files_below(&simulated.path(""));
    let ran = simulated.run(arguments).expect(code);
    assert!(files_below(&simulated.path("")) == before, "{arguments:?} changed something");
    ran
}

pub(crate) fn collect<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["collect", "case", "--case-number", "IR-1", "--examiner", "A. Examiner"], more].concat()
}

#[test]
fn a_window_that_cannot_be_is_refused_before_anything_is_asked() {
    let simulated = Simulated::quiet();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["--start", "2026-03-02T00:00:00Z", "--end", "2026-03-01T00:00:00Z"], &["next: Swap --start and --end"]),
        (&["--start", "2026-03-01", "--end", "2199-01-01"], &["next: Evidence that does not exist yet"]),
        (&["--start", "2026-03-01T10:00:00"], &["offset", "next: For example: --start 2026-03-01T09:00:00Z"]),
        (&["--start", "yesterday"], &["yesterday", "next: For example"]),
        (&["--start", "2026-02-30"], &["2026-02-30", "next: For example"]),
        (&[], &["the window has no start", "next: Add --start"]),
    ];
    for (window, words) in cases {
        unchanged(&simulated, &collect(window), 2).says(words);
        unchanged(&simulated, &[&["plan"], window].concat(), 2).says(words);
    }
    assert!(simulated.server.requests().is_empty());
}

#[test]
fn an_unknown_source_region_or_account_is_refused() {
    let simulated = Simulated::quiet();
    for (word, said) in [
        (["--source", "guardduty"], "possible values: cloudtrail"),
        (["--region", "us east 1"], "us east 1"),
        (["--account", "12345"], "12345"),
        (["--trail-arn", "management-events"], "management-events"),
        (["--concurrency", "0"], "0"),
    ] {
        unchanged(&simulated, &[&collect(&["--start", "-2h"])[..], &word].concat(), 2).says(&[said]);
    }
}

#[test]
fn a_new_case_needs_its_examiner_who_could_not_be_added_later() {
    let simulated = Simulated::quiet();
    let line = ["collect", "case", "--case-number", "IR-1", "--start", "-2h"];
    for examiner in [&["--examiner", " "][..], &[]] {
        let said = ["a new case needs its examiner", "next: Add --examiner, your name. On a terminal"];
        unchanged(&simulated, &[&line[..], examiner].concat(), 2).says(&said);
    }
    fs::write(simulated.path("caselock.toml"), "examiner = \"Of The File\"\n").unwrap();
    simulated.run(&[&line[..], &["--source", "ebs"]].concat()).expect(0);
}

#[test]
fn a_new_case_needs_its_number() {
    let simulated = Simulated::quiet();
    for number in [&["--case-number", " "][..], &[]] {
        let line = [&["collect", "case", "--start", "-2h"], number].concat();
        unchanged(&simulated, &line, 2).says(&["a new case needs its number", "next: Add --case-number"]);
    }
}

#[test]
fn no_credentials_at_all() {
    let simulated = Simulated::quiet();
    let mut command = simulated.command(&collect(&["--start", "-2h"]));
    let said = ["no AWS credentials were found", "evidence: AWS was not asked", "next: Set AWS_PROFILE"];
    let ran = run(command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY")).expect(1).says(&said);
    // The SDK says in several lines where it looked.
    assert!(ran.stderr.contains("Attempted: ") && !ran.stderr.contains("\\u{a}"), "{}", ran.stderr);
    assert!(!simulated.path("case").exists(), "a folder is made only when there is something to put into it");
}

#[test]
fn credentials_that_aws_does_not_accept() {
    let simulated = Simulated::quiet();
    for (name, value) in [("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "AKIAI44QH8DHBEXAMPLE")] {
        let mut command = simulated.command(&collect(&["--start", "-2h"]));
        let said = ["AWS does not accept these credentials", "evidence: AWS was not asked", "next: Renew the credentials"];
        run(command.env(name, value)).expect(1).says(&said);
        assert!(!simulated.path("case").exists());
    }
}

#[test]
fn an_endpoint_that_nobody_answers_at() {
    let simulated = Simulated::quiet();
    // A port below those that the system gives to servers of other tests, and that nobody listens on.
    let url = "http://127.0.0.1:1".to_owned();
    let ran = simulated.run(&collect(&["--start", "-2h", "--endpoint-url", &url])).expect(1);
    ran.says(&["AWS cannot be reached", &url, "evidence: AWS was not asked", "next: Check the network"]);
    assert!(!simulated.path("case").exists());
}

#[test]
fn a_folder_that_is_no_case() {
    let simulated = Simulated::quiet();
    fs::create_dir(simulated.path("photos")).unwrap();
    fs::write(simulated.path("photos/cat.jpg"), "meow").unwrap();
    simulated.key();
    for (folder, next) in [("photos", "next: Name the folder that collect wrote"), ("missing", "next: Check how it is spelled")]
    {
        let lines: [&[&str]; 4] = [
            &["verify", folder],
            &["status", folder],
            &["seal", folder, "--signing-key", "key"],
            &["package", folder, "-o", "out.zip"],
        ];
        for line in lines {
            unchanged(&simulated, line, 2).says(&[folder, next]);
        }
    }
    unchanged(&simulated, &simulated.collect_arguments("photos", &[]), 2)
        .says(&["evidence: Nothing was written", "next: Name a folder that does not exist yet"]);
}

#[test]
fn a_file_where_the_folder_should_be() {
    let simulated = Simulated::quiet();
    fs::write(simulated.path("case"), "a file").unwrap();
    fs::write(simulated.path("file"), "a file").unwrap();
    for folder in ["case", "file/case"] {
        let before = files_below(&simulated.path(""));
        let ran = simulated.collect(folder, &[]);
        assert!([1, 2].contains(&ran.code), "{ran:?}");
        ran.says(&["error:", "evidence:", "next:", folder]);
        assert!(files_below(&simulated.path("")) == before);
    }
}

#[test]
fn a_folder_in_the_way_of_an_object_is_an_error_that_the_next_run_mends() {
    let simulated = Simulated::quiet();
    // The run is cut off before it stores any object; then a file takes the place of the folder they need.
    simulated.server.faults().add(Fault::deny("s3:*"));
    simulated.server.faults().add(Fault::deny("cloudtrail:*"));
    simulated.collect("case", &[]).expect(4);
    simulated.server.faults().clear();
    fs::write(simulated.path("case/data/s3"), "in the way").unwrap();
    let before = ledger(&simulated.path("case"));
    let ran = simulated.collect("case", &[]).expect(1);
    ran.says(&["data/s3", "evidence: Everything the ledger names is safe", "next: Mend the cause"]);
    assert_eq!(ledger(&simulated.path("case"))[..before.len()], before[..]);
    fs::remove_file(simulated.path("case/data/s3")).unwrap();
    simulated.collect("case", &[]).expect(0);
    let (code, report) = simulated.verify("case");
    assert_eq!((code, printed(&report, "failure")), (0, vec![]), "{report:#}");
}

#[test]
fn a_sealed_case_takes_nothing_more() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&["--source", "ebs"]);
    let said = ["evidence: A sealed case takes no more evidence", "next: Collect into a new folder"];
    unchanged(&simulated, &["collect", "case"], 2).says(&said);
    fs::write(simulated.path("other.zip"), "something else").unwrap();
    unchanged(&simulated, &["package", "case", "-o", "other.zip"], 2).says(&["other.zip", "evidence: No package was written"]);
    assert_eq!(fs::read(simulated.path("other.zip")).unwrap(), b"something else");
}

#[test]
fn an_open_case_is_not_packaged() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    unchanged(&simulated, &["package", "case", "-o", "out.zip"], 2).says(&["next: Seal it first: caselock seal", "sealed"]);
}

#[test]
fn a_case_goes_on_only_as_what_it_was_opened_as() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    let [start, end] = simulated.window(3, 2);
    for other in [
        &["--case-number", "IR-2"][..],
        &["--examiner", "B. Examiner"],
        &["--start", &start],
        &["--start", &start, "--end", &end],
        &["--source", "cloudtrail"],
        &["--region", "us-east-1"],
    ] {
        let said = ["this case was opened with other words", "evidence: They are written once", "next: To go on with the case"];
        unchanged(&simulated, &[&["collect", "case"], other].concat(), 2).says(&said);
    }
}

#[test]
fn a_key_that_is_none_seals_nothing() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    fs::write(simulated.path("key"), "no key").unwrap();
    for key in ["key", "missing"] {
        let said = ["evidence: The case is unchanged", "next: Give an SSH private key"];
        unchanged(&simulated, &["seal", "case", "--signing-key", key], 2).says(&said);
    }
}

#[test]
fn a_file_that_is_no_package() {
    let simulated = Simulated::quiet();
    fs::write(simulated.path("out.zip"), "PK no more").unwrap();
    fs::write(simulated.path("empty.zip"), "").unwrap();
    for package in ["out.zip", "empty.zip"] {
        unchanged(&simulated, &["verify", package], 3).says(&["evidence:", "next: Compare its SHA-256"]);
    }
}

#[test]
fn foreign_things_in_a_case_are_named() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    std::os::unix::fs::symlink("/etc/hostname", simulated.path("case/data/link")).unwrap();
    let _socket = UnixListener::bind(simulated.path("case/data/pipe")).unwrap();
    let (code, report) = simulated.verify("case");
    assert_eq!(code, 3);
    let named: Vec<String> = printed(&report, "failure").into_iter().map(|(_, object)| object).collect();
    assert_eq!(named, ["data/link", "data/pipe"]);
}

/// The gaps of a case that make it incomplete, as `what` and the whole gap.
fn incomplete(case: &Path) -> Vec<Value> {
    let gaps = ledger(case).into_iter().filter(|line| line["event"] == "gap.recorded");
    gaps.filter(|gap| !["empty", "not-enabled", "skipped"].contains(&gap["reason"].as_str().unwrap())).collect()
}

#[test]
fn a_bucket_that_is_gone_is_a_gap_and_the_rest_is_stored() {
    let simulated = Simulated::quiet();
    assert!(simulated.account.objects().delete_bucket(FLOW_BUCKET));
    simulated.collect("case", &[]).expect(4);
    let gaps = incomplete(&simulated.path("case"));
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    assert_eq!((&gaps[0]["source"], &gaps[0]["error_code"]), (&Value::from("flow-logs"), &Value::from("NoSuchBucket")));
    assert!(gaps[0]["what"].as_str().unwrap().contains(FLOW_BUCKET));
    assert!(simulated.fetched().keys().any(|target| target.starts_with(TRAIL_BUCKET)));
    let (code, report) = simulated.verify("case");
    assert_eq!((code, printed(&report, "failure")), (4, vec![]));
}

#[test]
fn a_trail_bucket_that_is_gone_cannot_pass() {
    let simulated = Simulated::quiet();
    assert!(simulated.account.objects().delete_bucket(TRAIL_BUCKET));
    let ran = simulated.collect("case", &[]).expect(4);
    assert!(ran.stdout.contains(TRAIL_BUCKET) && ran.stdout.contains("NOT everything"), "{}", ran.stdout);
    let (code, report) = simulated.verify("case");
    // The trail's status says that digests were delivered; there are none.
    let failures: BTreeSet<String> = printed(&report, "failure").into_iter().map(|(kind, _)| kind).collect();
    assert_eq!((code, failures), (3, BTreeSet::from(["all-digests-missing".to_owned()])), "{report:#}");
}

#[test]
fn each_denied_call_is_a_gap_that_names_it_and_the_rest_is_stored() {
    let simulated = Simulated::small();
    simulated.collect("whole", &[]).expect(0);
    let mut actions: Vec<(String, String)> =
        simulated.server.requests().iter().map(|request| (request.service.clone(), request.operation.clone())).collect();
    actions.sort();
    actions.dedup();
    // Without an identity nothing begins: that is another test.
    actions.retain(|(service, _)| service != "sts");
    assert!(actions.len() > 20, "{actions:?}");
    let everything = ledger(&simulated.path("whole")).len();
    for (number, (service, operation)) in actions.iter().enumerate() {
        let (action, case) = (format!("{service}:{operation}"), format!("case-{number}"));
        simulated.server.faults().clear();
        simulated.server.faults().add(Fault::deny(&action));
        let ran = simulated.collect(&case, &["--no-verification"]).expect(4);
        let gaps = incomplete(&simulated.path(&case));
        assert!(!gaps.is_empty(), "{action}: no gap");
        assert!(gaps.iter().all(|gap| gap["reason"] == "denied"), "{action}: {gaps:#?}");
        for gap in &gaps {
            let named = format!("{} {} {}", gap["what"], gap["detail"], gap["error_code"]);
            let place = match operation.as_str() {
                // Listings and objects are named by where they lie; AWS's own words name the operation.
                "ListObjectsV2" | "GetObject" => named.contains("s3://") && named.contains(operation.trim_end_matches("V2")),
                "DescribeSnapshotAttribute" => named.contains("createVolumePermission of snap-"),
                "DescribeImageAttribute" => named.contains("launchPermission of ami-"),
                _ => named.contains(operation),
            };
            assert!(place, "{action}: {gap:#}");
            assert_eq!(gap["account"], "111122223333", "{action}: {gap:#}");
            assert!(!gap["request_id"].is_null() && !gap["error_code"].is_null(), "{action}: {gap:#}");
            if service != "s3" && operation != "DescribeRegions" {
                assert!(gap["region"].is_string(), "{action}: {gap:#}");
            }
        }
        assert!(ran.stdout.contains("denied"), "{action}: {}", ran.stdout);
        let (code, report) = simulated.verify(&case);
        assert_eq!((code, printed(&report, "failure")), (4, vec![]), "{action}: {report:#}");
        if !["ListObjectsV2", "GetObject", "LookupEvents", "DescribeTrails", "DescribeFlowLogs", "DescribeRegions"]
            .contains(&operation.as_str())
        {
            let stored = events(&simulated.path(&case), "artifact.acquired");
            assert!(stored * 10 > everything * 8, "{action}: only {stored} of {everything}");
        }
    }
}

#[test]
fn without_permission_to_ask_who_we_are_nothing_begins() {
    let simulated = Simulated::quiet();
    simulated.server.faults().add(Fault::deny("sts:GetCallerIdentity"));
    simulated.collect("case", &[]).expect(1).says(&["AccessDenied", "evidence: AWS was not asked", "next:"]);
    assert!(!simulated.path("case").exists());
}

#[test]
fn throttling_and_broken_answers_are_waited_out() {
    for fault in [
        Fault::throttle("s3:GetObject").times(12),
        Fault::throttle("*").after(5).times(10),
        Fault::cut("s3:GetObject", 100).times(12),
        Fault::cut("s3:ListObjectsV2", 50).times(3),
        Fault::reset("s3:GetObject").times(6),
        Fault::reset("ec2:*").times(3),
    ] {
        let simulated = Simulated::quiet();
        simulated.server.faults().add(fault.clone());
        let ran = simulated.collect("case", &[]);
        assert_eq!(ran.code, 0, "{fault:?}\n{}\n{}", ran.stdout, ran.stderr);
        assert_eq!(simulated.verify("case").0, 0, "{fault:?}");
    }
}

#[test]
fn an_object_whose_body_never_comes_whole_is_a_gap_not_a_short_file() {
    let simulated = Simulated::quiet();
    let mut keys = simulated.account.objects().keys(TRAIL_BUCKET, "AWSLogs/111122223333/CloudTrail/us-east-1/");
    let key = keys.swap_remove(keys.len() / 2);
    simulated.server.faults().add(Fault::cut("s3:GetObject", 100).on(&key));
    simulated.collect("case", &[]).expect(4);
    let gaps = incomplete(&simulated.path("case"));
    assert_eq!(gaps.len(), 1, "{gaps:#?}");
    assert_eq!(
        (gaps[0]["what"].as_str().unwrap(), &gaps[0]["reason"]),
        (&*format!("s3://{TRAIL_BUCKET}/{key}"), &"failed".into())
    );
    assert!(!files_below(&simulated.path("case/data")).keys().any(|path| path.ends_with(key.rsplit('/').next().unwrap())));
    let (code, report) = simulated.verify("case");
    assert_eq!((code, printed(&report, "failure")), (4, vec![]), "{report:#}");

    simulated.server.faults().clear();
    simulated.collect("case", &[]).expect(0);
    assert_eq!(simulated.verify("case").0, 0, "the gap is closed");
    simulated.run(&["status", "case"]).expect(0);
}

#[test]
fn a_permission_that_is_given_later_closes_the_gap() {
    let simulated = Simulated::quiet();
    simulated.server.faults().add(Fault::deny("ec2:DescribeSnapshots"));
    simulated.collect("case", &[]).expect(4);
    simulated.run(&["status", "case"]).expect(4);
    simulated.server.faults().clear();
    simulated.collect("case", &[]).expect(0);
    simulated.run(&["status", "case"]).expect(0);
    let (code, report) = simulated.verify("case");
    assert_eq!((code, &report["gaps"][0]["reason"], report["gaps"].as_array().unwrap().len()), (0, &"not-enabled".into(), 1));
    assert!(printed(&report, "notice").iter().any(|(kind, _)| kind == "gaps-closed"), "{report:#}");
}

#[test]
fn credentials_that_expire_in_mid_run_end_it_and_fresh_ones_complete_it() {
    let simulated = Simulated::quiet();
    simulated.server.faults().add(Fault::expire("*").after(60));
    let ran = simulated.collect("case", &["--json"]).expect(1);
    let (document, status) = (ran.json(), simulated.run(&["status", "case", "--json"]).expect(4).json());
    crate::schemas::holds("error", &document);
    for field in ["ledger_lines", "ledger_root"] {
        assert!(document[field] == status[field] && !status[field].is_null(), "{field}: {document:#}");
    }
    // S3 says ExpiredToken and EC2 RequestExpired; which of them answers first is the scheduler's choice.
    ran.says(&[
        "because: AWS does not accept the credentials any more",
        "evidence: Everything the ledger names is safe",
        "next: Renew the credentials",
    ]);
    let case = simulated.path("case");
    assert_eq!(events(&case, "collection.interrupted"), 1);
    let before = ledger(&case);
    simulated.run(&["status", "case"]).expect(4);
    simulated.server.faults().clear();
    simulated.collect("case", &[]).expect(0);
    assert_eq!(ledger(&case)[..before.len()], before[..]);
    assert_eq!(simulated.verify("case").0, 0);
}

#[test]
fn a_network_that_goes_away_in_mid_run_ends_it_and_the_next_run_completes_it() {
    let simulated = Simulated::quiet();
    simulated.server.faults().add(Fault::reset("*").after(60));
    let ran = simulated.collect("case", &["--concurrency", "32"]).expect(1);
    ran.says(&["evidence: Everything the ledger names is safe", "next: Check the network"]);
    simulated.server.faults().clear();
    simulated.collect("case", &[]).expect(0);
    assert_eq!(simulated.verify("case").0, 0);
}
