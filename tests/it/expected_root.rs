//! What only a root that somebody kept can show.

use std::fs;

use caselock::case::event::{Event, Gap, GapReason};
use caselock::case::{CASE_TOML, CaseFolder, CaseWriter, LEDGER};
use caselock::verify::{Options, Report, verify};

use crate::account::program;
use crate::sample::Sample;

fn gap(what: &str) -> Event {
    Event::GapRecorded(Gap {
        source: "ebs".to_owned(),
        account: None,
        region: None,
        what: what.to_owned(),
        reason: GapReason::Empty,
        error_code: None,
        detail: None,
        request_id: None,
    })
}

fn report(sample: &Sample, root: &str) -> Report {
    let expected = root.parse().unwrap();
    let options = Options { expected_root: Some(&expected), ..Options::default() };
    verify(&CaseFolder::open(&sample.case()).unwrap(), &options).unwrap()
}

fn is_unexpected(report: &Report) -> bool {
    report.findings.iter().any(|finding| finding.kind == "ledger-root-unexpected")
}

/// A case whose root was noted, and that was then added to.
fn noted() -> (Sample, String) {
    let (sample, mut writer) = Sample::new();
    let root = writer.ledger_tree().root().to_string();
    writer.append(gap("later")).unwrap();
    (sample, root)
}

#[test]
fn a_ledger_that_only_grew_still_had_the_root() {
    let (sample, root) = noted();
    for root in [&root[..16], &root.to_uppercase()] {
        let report = report(&sample, root);
        assert!(!is_unexpected(&report), "{:#?}", report.findings);
        assert_eq!(report.ledger.expected_root_at, Some(report.ledger.entries - 1));
    }
}

/// Guarantee G6: with a root that somebody kept, no line that it covers can be changed, and none taken away, unnoticed.
#[test]
fn a_ledger_whose_last_lines_were_cut_off_is_noticed_by_the_root_alone() {
    let (sample, root) = noted();
    let text = fs::read_to_string(sample.file(LEDGER)).unwrap();
    let cut: Vec<&str> = text.lines().take(2).collect();
    fs::write(sample.file(LEDGER), cut.join("\n") + "\n").unwrap();
    for path in Sample::payload().iter().skip(1) {
        fs::remove_file(sample.file(path.as_str())).unwrap();
    }
    let without = verify(&CaseFolder::open(&sample.case()).unwrap(), &Options::default()).unwrap();
    assert!(without.ledger.valid && without.case_failures() == 0, "{:#?}", without.findings);
    assert!(is_unexpected(&report(&sample, &root[..16])));
}

/// Whoever can write to the folder can write another case into it, and its chain will hold.
#[test]
fn a_case_that_was_made_anew_is_noticed_by_the_root_alone() {
    let (sample, root) = noted();
    let (other, _writer) = Sample::new();
    for path in [LEDGER, CASE_TOML] {
        sample.overwrite(path, &fs::read(other.file(path)).unwrap());
    }
    let without = verify(&CaseFolder::open(&sample.case()).unwrap(), &Options::default()).unwrap();
    assert!(without.ledger.valid && without.case_failures() == 0, "{:#?}", without.findings);
    assert!(is_unexpected(&report(&sample, &root)));
}

#[test]
fn the_program_takes_the_root_as_it_was_read_out_and_exits_with_3_if_it_never_was() {
    let (sample, root) = noted();
    drop(CaseWriter::open(&sample.case()));
    let case = sample.case();
    let run = |root: &str| program(&["verify", case.to_str().unwrap(), "--expect-root", root]).output().unwrap();
    let grouped = format!("{} {}-{}", &root[..4], &root[4..8], &root[8..16].to_uppercase());
    let met = run(&grouped);
    assert_eq!(met.status.code(), Some(4), "{met:?}");
    assert!(String::from_utf8(met.stdout).unwrap().contains("had the root you expected after"));
    assert_eq!(run("0123456789abcdef").status.code(), Some(3));
    for usage in ["0123456789abcde", "not hexadecimal!"] {
        assert_eq!(run(usage).status.code(), Some(2), "{usage}");
    }
}
