//! The evidence as a list for programs: a table, JSON lines, and a CASE/UCO graph.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::account::{Ran, ledger};
use crate::peers;
use crate::sample::{Sample, artifact, started};

/// Keys that a spreadsheet would take for formulas, or for the end of a cell.
const HOSTILE: [&str; 6] = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "a,\"b\"\r\n=c"];

/// A sealed case with a run, and keys that mean harm.
fn sample() -> Sample {
    let (sample, mut writer) = Sample::new();
    writer.append(started(1)).unwrap();
    let batch = HOSTILE.iter().map(|key| artifact(&writer, key, key.as_bytes())).collect();
    writer.commit(batch).unwrap();
    sample.seal(&mut writer);
    sample
}

fn report(sample: &Sample, format: &str) -> Ran {
    sample.run(&["report", "case", "--format", format, "--quiet"])
}

/// The exit code is that of `verify`.
fn exported(sample: &Sample, format: &str, name: &str) -> String {
    report(sample, format).expect(4);
    fs::read_to_string(sample.path(&format!("case-{name}"))).unwrap()
}

/// What the ledger says of its artifacts.
fn recorded(sample: &Sample) -> Vec<Value> {
    ledger(&sample.case()).into_iter().filter(|entry| entry["event"] == "artifact.acquired").collect()
}

#[test]
fn every_line_is_an_artifact_exactly_as_in_the_ledger() {
    let sample = sample();
    let text = exported(&sample, "jsonl", "artifacts.jsonl");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let recorded = recorded(&sample);
    assert_eq!((lines.len(), recorded.len()), (Sample::payload().len() + HOSTILE.len(), lines.len()));
    for (line, entry) in lines.iter().zip(&recorded) {
        for field in ["path", "size", "sha256"] {
            assert_eq!(line[field], entry[field], "{field}");
        }
        assert_eq!((&line["acquired_at"], &line["ledger_line"]), (&entry["at"], &entry["seq"]));
        for field in ["bucket", "key", "source", "aws_digest"] {
            assert_eq!(line[field], entry["source"][field], "{field}");
        }
    }
}

#[test]
fn a_spreadsheet_finds_every_artifact_and_no_formula() {
    let sample = sample();
    exported(&sample, "csv", "artifacts.csv");
    let program = "import csv, json\nprint(json.dumps(list(csv.DictReader(open('case-artifacts.csv', newline='')))))";
    fs::write(sample.path("read.py"), program).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&sample.shell("python3 read.py")).unwrap();
    let recorded = recorded(&sample);
    assert_eq!(rows.len(), recorded.len());
    for (row, entry) in rows.iter().zip(&recorded) {
        assert_eq!((&row["path"], &row["sha256"]), (&entry["path"], &entry["sha256"]));
        let key = entry["source"]["key"].as_str().unwrap();
        let cell = row["key"].as_str().unwrap();
        assert!(cell == key || cell.strip_prefix('\'') == Some(key), "{cell:?} for {key:?}");
        for (column, cell) in row.as_object().unwrap() {
            assert!(!cell.as_str().unwrap().trim_start().starts_with(['=', '+', '-', '@']), "{column}: {cell}");
        }
    }
    let guarded = rows.iter().filter(|row| row["key"].as_str().unwrap().starts_with('\'')).count();
    assert_eq!(guarded, HOSTILE.len() - 1, "all but the one that begins with a letter");
}

#[test]
fn the_communitys_validator_accepts_the_graph_and_refuses_a_broken_one() {
    let sample = sample();
    let text = exported(&sample, "case-uco", "case-uco.jsonld");
    let graph: Value = serde_json::from_str(&text).unwrap();
    let nodes = graph["@graph"].as_array().unwrap();
    let of_type = |kind: &str| nodes.iter().filter(|node| node["@type"] == kind).collect::<Vec<_>>();
    assert_eq!(of_type("observable:File").len(), Sample::payload().len() + HOSTILE.len());
    let [provenance] = of_type("investigation:ProvenanceRecord")[..] else { panic!() };
    assert_eq!(provenance["core:object"].as_array().unwrap().len(), HOSTILE.len(), "what came in the run");
    let validate = |name: &str| Ran::from(Command::new(peers::case_validate()).arg(sample.path(name)).output().unwrap());
    let answer = validate("case-case-uco.jsonld").expect(0);
    let said = answer.stdout + &answer.stderr;
    assert!(said.contains("Conforms: True"), "{said}");
    assert!(!said.contains("Severity"), "not even a remark: {said}");
    let sha256 = recorded(&sample)[0]["sha256"].as_str().unwrap().to_owned();
    fs::write(sample.path("broken.jsonld"), text.replace(&sha256, "no hash")).unwrap();
    assert_ne!(validate("broken.jsonld").code, 0);
}

#[test]
fn the_same_case_gives_the_same_export_and_a_changed_one_says_so() {
    let sample = sample();
    let first = exported(&sample, "case-uco", "case-uco.jsonld");
    report(&sample, "case-uco").expect(2);
    fs::rename(sample.path("case-case-uco.jsonld"), sample.path("first")).unwrap();
    assert_eq!(exported(&sample, "case-uco", "case-uco.jsonld"), first);
    sample.overwrite(Sample::payload()[2].as_str(), b"other");
    report(&sample, "csv").expect(3);
}

#[test]
fn an_unsealed_case_is_exported_into_its_reports() {
    let sample = Sample::unsealed();
    for _ in 0..2 {
        report(&sample, "csv").expect(4);
    }
    assert_eq!(fs::read_dir(sample.file("reports")).unwrap().count(), 1);
    assert!(sample.file("reports/artifacts.csv").exists());
}
