//! What only a root that somebody kept can show.

use std::fs;

use caselock::case::event::GapReason;
use caselock::case::{CASE_TOML, LEDGER};
use caselock::verify::{Options, Report};

use crate::findings::has;
use crate::sample::{Sample, gap};

fn report(sample: &Sample, root: &str) -> Report {
    let expected = root.parse().unwrap();
    let options = Options { expected_root: Some(&expected), ..Options::default() };
    sample.verify_with(&options)
}

fn is_unexpected(report: &Report) -> bool {
    has(report, "ledger-root-unexpected")
}

/// A case whose root was noted, and that was then added to.
fn noted() -> (Sample, String) {
    let (sample, mut writer) = Sample::new();
    let root = writer.ledger_tree().root().to_string();
    writer.append(gap("later", GapReason::Empty)).unwrap();
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
    let text = sample.ledger();
    let cut: Vec<&str> = text.lines().take(2).collect();
    fs::write(sample.file(LEDGER), cut.join("\n") + "\n").unwrap();
    for path in Sample::payload().iter().skip(1) {
        fs::remove_file(sample.file(path.as_str())).unwrap();
    }
    let without = sample.verify();
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
    let without = sample.verify();
    assert!(without.ledger.valid && without.case_failures() == 0, "{:#?}", without.findings);
    assert!(is_unexpected(&report(&sample, &root)));
}

#[test]
fn the_program_takes_the_root_as_it_was_read_out_and_exits_with_3_if_it_never_was() {
    let (sample, root) = noted();
    let run = |root: &str| sample.run(&["verify", "case", "--expect-root", root]);
    let grouped = format!("{} {}-{}", &root[..4], &root[4..8], &root[8..16].to_uppercase());
    let met = run(&grouped).expect(4).stdout;
    assert!(met.contains("had the root you expected after"), "{met}");
    run("0123456789abcdef").expect(3);
    for usage in ["0123456789abcde", "not hexadecimal!"] {
        run(usage).expect(2);
    }
}
