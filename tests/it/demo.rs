//! The demonstration, from nothing to a package.

use std::fs;

use crate::account::{Ran, files_below, program, run};

fn demo(folder: &std::path::Path) -> Ran {
    run(&mut program(&["demo", "-o", folder.to_str().unwrap()]))
}

#[test]
fn the_demonstration_leaves_a_sealed_case_and_a_package_that_verifies() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("demo");
    let ran = demo(&folder).expect(0);
    assert!(ran.stdout.contains("What to try next"), "{}", ran.stdout);
    let (case, package) = (folder.join("IR-DEMO-001"), folder.join("IR-DEMO-001.zip"));
    assert!(case.join("custody/seals/0001.json.sig").is_file());
    let sum = fs::read_to_string(folder.join("IR-DEMO-001.zip.sha256")).unwrap();
    let hash = caselock::model::Sha256Hash::of(&fs::read(&package).unwrap()).to_string();
    assert!(sum.starts_with(&hash), "{sum}");
    for path in [&case, &package] {
        let signers = folder.join("allowed_signers");
        let words = ["verify", path.to_str().unwrap(), "--json", "--allowed-signers", signers.to_str().unwrap()];
        // Hours without logging are in the story: they cannot be proven, and nothing else is amiss.
        let ran = run(&mut program(&words)).expect(4);
        let report = ran.json();
        assert_eq!(report["verdict"], "incomplete");
        assert_eq!(report["seals"][0]["trusted"], true);
        let rows = report["cloudtrail"].as_array().unwrap();
        assert!(!rows.is_empty() && rows.iter().all(|row| row["hours"]["logging-off"].as_u64() > Some(0)), "{report:#}");
    }

    let before = files_below(scratch.path());
    demo(&folder).expect(2).says(&["is there already", "evidence:", "replaces nothing", "next:", "-o"]);
    assert!(files_below(scratch.path()) == before, "the second run changed something");
}

#[test]
fn each_of_the_intruders_edits_is_found_and_told() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("demo");
    let out = folder.to_str().unwrap();
    let told = run(&mut program(&["demo", "--tampered", "-o", out, "--json"])).expect(0).json();
    crate::schemas::holds("demo", &told);
    assert_eq!(told["verification"]["verdict"], "fail");
    let edits = told["edits"].as_array().unwrap();
    assert_eq!(edits.len(), 6, "{edits:#?}");
    for edit in edits {
        assert!(!edit["found"].as_array().unwrap().is_empty(), "{edit:#}");
    }
    let rows = told["verification"]["cloudtrail"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["logs"]["recovered"].as_u64() > Some(0)), "what was overwritten is recovered");
    let case = folder.join("IR-DEMO-001");
    run(&mut program(&["report", case.to_str().unwrap()])).expect(3);
    let page = fs::read_to_string(case.join("reports/report.html")).unwrap();
    for found in ["log-modified", "newest-digests-missing", "logging-off"] {
        assert!(page.contains(found), "the report is silent about {found}");
    }
}

#[test]
fn the_second_story_reads_well_in_80_columns() {
    let scratch = tempfile::tempdir().unwrap();
    let mut command = program(&["demo", "--tampered", "-o", "demo", "--quiet"]);
    let ran = run(command.current_dir(scratch.path()).env("COLUMNS", "80")).expect(0);
    for words in
        ["1. Switched the trail off", "→ logging-off", "→ log-modified", "→ newest-digests-missing", "What to try next"]
    {
        assert!(ran.stdout.contains(words), "{words} is not in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("NOT FOUND"), "{}", ran.stdout);
    // A name in a bucket is not broken: it would be no name any more.
    for line in ran.stdout.lines().filter(|line| !line.contains("s3://")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_first_story_is_told_by_the_case_it_leaves() {
    let scratch = tempfile::tempdir().unwrap();
    let here = |line: &str| run(program(&line.split(' ').collect::<Vec<_>>()).current_dir(scratch.path()));
    let demo = here("demo -o demo --json").expect(0).json();
    crate::schemas::holds("demo", &demo);
    assert!(here("status demo/IR-DEMO-001").expect(0).stdout.contains("cloudtrail"));
    let verified = here("verify demo/IR-DEMO-001").expect(4).stdout;
    assert!(verified.contains("StopLogging") && verified.contains("logging-off"), "{verified}");
    here("report demo/IR-DEMO-001").expect(4);
    let page = fs::read_to_string(scratch.path().join("demo/IR-DEMO-001-report.html")).unwrap();
    assert!(page.contains("StopLogging"), "the report does not say who switched logging off");
}
