//! `--json` is one document on standard output, and `--quiet` is quiet.

use serde_json::Value;

use crate::account::Simulated;

#[track_caller]
fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        let pointer = format!("/{}", field.replace('.', "/"));
        assert!(value.pointer(&pointer).is_some_and(|found| !found.is_null()), "no {field} in {value:#}");
    }
}

#[test]
fn every_command_prints_one_document_and_nothing_else() {
    let simulated = Simulated::quiet();
    // `json` reads the whole of standard output: anything beside the document would not parse.
    let plan = simulated.plan(&["--json"]).expect(0).json();
    has(&plan, &["caller.account", "window.start", "window.end", "regions", "rows", "totals.found", "gaps", "requests"]);
    let collected = simulated.collect("case", &["--json"]).expect(0).json();
    has(&collected, &["case", "outcome.run", "outcome.complete", "outcome.gaps", "ledger_root", "verification.verdict"]);
    let status = simulated.run(&["status", "case", "--json"]).expect(0).json();
    has(&status, &["case.case_number", "case.window", "rows", "artifacts", "gaps", "ledger_lines", "ledger_root", "next"]);
    assert_eq!(collected["ledger_root"], status["ledger_root"]);
    simulated.seal("case");
    let again = simulated.run(&["seal", "case", "--signing-key", "key", "--notes", "again", "--json"]).expect(0).json();
    has(&again, &["seal", "sha256", "statement.ledger.root"]);
    let package = simulated.run(&["package", "case", "-o", "case.zip", "--json"]).expect(0).json();
    has(&package, &["path", "size", "sha256", "files"]);
}

#[test]
fn a_verification_has_the_documented_fields() {
    let simulated = Simulated::quiet();
    simulated.sealed_case(&[]);
    for case in ["case", "case.zip"] {
        let (code, report) = simulated.verify(case);
        assert_eq!((code, &report["verdict"]), (0, &Value::from("pass")), "{report:#}");
        let artifacts = ["artifacts.total", "artifacts.valid", "artifacts.modified", "artifacts.missing", "artifacts.unlisted"];
        has(&report, &artifacts);
        has(&report, &["ledger.entries", "ledger.root", "ledger.valid", "findings", "gaps"]);
        has(&report["seals"][0], &["file", "signature", "signer", "timestamp", "time"]);
        assert!(report["seals"][0].as_object().unwrap().contains_key("trusted"));
        for part in ["cloudtrail", "findings", "gaps"] {
            assert!(!report[part].as_array().unwrap().is_empty(), "no {part} to look at: {report:#}");
        }
        for row in report["cloudtrail"].as_array().unwrap() {
            has(row, &["trail_arn", "account", "region", "home_region", "hours", "uncovered_hours"]);
            for chain in ["digests", "backfill"] {
                has(&row[chain], &["verified", "invalid", "missing"]);
            }
            has(&row["logs"], &["verified", "modified", "missing", "malformed", "uncovered", "pending", "unreadable"]);
        }
        for finding in report["findings"].as_array().unwrap() {
            has(finding, &["severity", "kind", "object", "detail"]);
        }
        for gap in report["gaps"].as_array().unwrap() {
            has(gap, &["source", "what", "reason"]);
        }
    }
}

#[test]
fn an_error_is_a_document_too() {
    let simulated = Simulated::quiet();
    let ran = simulated.run(&["status", "nothing-here", "--json"]).expect(2);
    has(&ran.json(), &["error", "next"]);
    // One that does not parse as well: what is missing, unknown, of the wrong kind, or everything.
    for (line, what, next) in [
        ("status --json", "the following required arguments were not provided: <CASE>", "caselock status"),
        ("verfy case --json", "unrecognized subcommand 'verfy'", "'verify'"),
        ("plan --json --strt -1h", "unexpected argument '--strt' found", "'--start'"),
        ("plan --start -1h --region nonsense --json", "`nonsense` is not an AWS region code", "--help"),
        ("collect case --json --start -1h --concurrency 0", "0 is not in 1..=512", "--help"),
        ("--json", "no command was given", "caselock --help"),
    ] {
        let ran = simulated.run(&line.split(' ').collect::<Vec<_>>()).expect(2);
        let document = ran.json();
        crate::schemas::holds("error", &document);
        assert!(document["error"][0].as_str().unwrap().contains(what), "{line}: {document:#}");
        assert!(document["next"].as_str().unwrap().contains(next), "{line}: {document:#}");
        assert!(!ran.stderr.is_empty(), "{line}: people read standard error");
    }
    // What comes after `--` is a name and no switch.
    let ran = simulated.run(&["status", "one", "two", "--", "--json"]).expect(2);
    assert_eq!(ran.stdout, "");
    // Help is no error.
    assert!(simulated.run(&["status", "--help", "--json"]).expect(0).stdout.contains("Usage: caselock status"));
}

#[test]
fn quiet_leaves_standard_error_empty() {
    let simulated = Simulated::quiet();
    let runs = [
        simulated.plan(&["--quiet"]),
        simulated.collect("case", &["--quiet"]),
        simulated.run(&["status", "case", "--quiet"]),
        simulated.run(&["verify", "case", "--quiet"]),
    ];
    for ran in runs {
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
        assert!(!ran.stdout.is_empty(), "results are results");
    }
}

#[test]
fn a_pass_without_cloudtrail_does_not_speak_of_signatures_that_prove_hours() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &["--source", "ebs"]).expect(0);
    let ran = simulated.run(&["verify", "case"]).expect(0);
    assert!(ran.stdout.starts_with("PASS") && ran.stdout.contains("CloudTrail was not in scope"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("prove every hour"), "{}", ran.stdout);
}
