//! One folder per defect under tests/vectors: what is done, and exactly what verification says of it.
//!
//! With `UPDATE_VECTORS=1` the expectations are written anew; read the difference before you keep it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use caselock::cloudtrail::coverage::HourStatus;
use caselock::model::Severity;
use caselock::verify::{Report, TrailReport, Verdict};

use crate::defects::{DEFECTS, Defect};
use crate::findings::kinds;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

#[test]
fn every_defect_is_found_and_nothing_else_is() {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while let Some(defect) = DEFECTS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = std::panic::catch_unwind(|| run(defect));
                    if let Err(problem) = outcome.unwrap_or_else(|_| Err("it could not be made".to_owned())) {
                        wrong.lock().unwrap().push(format!("{}: {problem}", defect.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} vectors\n{}", wrong.len(), DEFECTS.len(), wrong.join("\n\n"));
}

#[test]
fn every_folder_is_run_and_every_defect_has_one() {
    let entries = fs::read_dir(folder()).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_dir());
    let folders: BTreeSet<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let run: BTreeSet<String> = DEFECTS.iter().map(|defect| defect.name.to_owned()).collect();
    assert_eq!(run.len(), DEFECTS.len(), "two defects have one name");
    assert_eq!(folders, run);
    assert!(run.len() >= 60);
}

fn run(defect: &Defect) -> Result<(), String> {
    let report = defect.report();
    let failures = kinds(&report, Severity::Failure);
    let expected: BTreeSet<&str> = defect.failures.iter().copied().collect();
    if failures != expected {
        return Err(format!("failures are {failures:?}, and should be {expected:?}\n{}", text(&report)));
    }
    let others: BTreeSet<&str> = [Severity::Gap, Severity::Notice].iter().flat_map(|weight| kinds(&report, *weight)).collect();
    let expected: BTreeSet<&str> = defect.others.iter().copied().collect();
    if others != expected {
        return Err(format!("gaps and notices are {others:?}, and should be {expected:?}\n{}", text(&report)));
    }
    let unproven = report.cloudtrail.iter().any(|row| !row.uncovered_hours.is_empty());
    if unproven && report.verdict == Verdict::Pass {
        return Err(format!("it passes, and hours are not proven\n{}", text(&report)));
    }
    let folder = folder().join(defect.name);
    let files = [("defect.txt", format!("{}\n", defect.about)), ("expected.txt", text(&report))];
    for (name, is) in files {
        let path = folder.join(name);
        if std::env::var_os("UPDATE_VECTORS").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, is).unwrap();
            continue;
        }
        let should = fs::read_to_string(&path).unwrap_or_default();
        if should != is {
            return Err(format!("{name} says\n{should}and it is\n{is}"));
        }
    }
    Ok(())
}

/// What is expected of a report: verdict, findings by weight with their objects, and every hour of every row.
fn text(report: &Report) -> String {
    let mut lines = vec![format!("verdict {}", report.verdict.as_str())];
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Failure => "failure",
            Severity::Gap => "gap",
            Severity::Notice => "notice",
        };
        lines.push(format!("{severity} {}\n    {}\n    {}", finding.kind, finding.object, finding.detail));
    }
    let mut rows: Vec<String> = report.cloudtrail.iter().map(row).collect();
    rows.sort();
    lines.extend(rows);
    lines.push(String::new());
    lines.join("\n")
}

fn row(trail: &TrailReport) -> String {
    let mut text = format!("hours {} in {}:", trail.trail_arn, trail.region);
    let counts: BTreeMap<HourStatus, u64> = trail.hours.clone();
    for (status, count) in counts {
        text += &format!(" {count} {}", status.as_str());
    }
    for range in &trail.uncovered_hours {
        text += &format!("\n    {} to {} {}", range.from, range.to, range.status.as_str());
    }
    let (digests, backfill, logs) = (trail.digests, trail.backfill, trail.logs);
    text += &format!(
        "\n    digests: {} verified, {} invalid, {} missing, {} unreadable, {} recovered",
        digests.verified, digests.invalid, digests.missing, digests.unreadable, digests.recovered
    );
    if backfill.verified + backfill.invalid + backfill.missing > 0 {
        text += &format!(
            "\n    backfill: {} verified, {} invalid, {} missing",
            backfill.verified, backfill.invalid, backfill.missing
        );
    }
    text += &format!(
        "\n    logs: {} verified, {} modified, {} missing, {} malformed, {} uncovered, {} pending, {} unreadable, {} recovered",
        logs.verified,
        logs.modified,
        logs.missing,
        logs.malformed,
        logs.uncovered,
        logs.pending,
        logs.unreadable,
        logs.recovered
    );
    text
}
