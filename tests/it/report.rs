//! The report: complete, escaped, and never written into what is sealed.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use caselock::case::CaseFolder;
use caselock::package::write_package;
use caselock::report::{Made, read_facts, report_page};
use caselock::verify::{Options, verify};

use crate::sample::{Sample, artifact, at, tool};

fn caselock(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_caselock")).arg("report").args(arguments).arg("--quiet").output().unwrap()
}

fn page(sample: &Sample) -> String {
    let folder = CaseFolder::open(&sample.case()).unwrap();
    let report = verify(&folder, &Options::default()).unwrap();
    report_page(&read_facts(&folder).unwrap(), &report, &Made { at: at(), tool: tool() })
}

#[test]
fn nothing_from_the_evidence_becomes_markup() {
    let (sample, mut writer) = Sample::with_case_number("</title><script>alert(1)</script>");
    writer.commit(vec![artifact(&writer, "<img src=x onerror=alert(2)>", b"x")]).unwrap();
    sample.seal(&mut writer);
    sample.overwrite("data/<b>planted", b"planted");
    let page = page(&sample);
    assert!(page.contains("&lt;/title&gt;&lt;script&gt;alert(1)"), "the case number is shown");
    assert!(page.contains("data/&lt;b&gt;planted"), "the planted file is named");
    for markup in ["<script", "<img", "<b>"] {
        assert!(!page.contains(markup), "{markup}");
    }
}

#[test]
fn the_page_needs_nothing_else() {
    let page = page(&Sample::sealed());
    for reference in ["src=", "href=\"h", "@import", "url("] {
        assert!(!page.contains(reference), "{reference}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn every_tag_that_opens_closes() {
    let page = page(&Sample::sealed());
    for tag in ["table", "tr", "td", "th", "section", "div", "ul", "ol", "li", "p", "dl", "h2", "h3", "svg", "nav"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn the_forms_are_filled_from_the_case_and_say_that_they_are_drafts() {
    let sample = Sample::sealed();
    let page = page(&sample);
    let fingerprint = &sample.key().signer().fingerprint.clone();
    for part in ["Chain of custody", "902(13) and 902(14)", "Witness statement", "A. Examiner", fingerprint] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("DRAFT – not signed").count(), 2);
    for number in 1..=10 {
        assert!(page.contains(&format!("<h3>{number} &nbsp;")), "field group {number} of the custody form");
    }
}

#[test]
fn a_change_is_named_on_the_first_page() {
    let sample = Sample::sealed();
    let first = Sample::payload().first().unwrap().as_str().to_owned();
    sample.overwrite(&first, b"other");
    let page = page(&sample);
    assert!(page.contains("<strong>FAIL</strong>"), "{page}");
    assert!(page.contains("<div class=\"finding failure\">"));
    assert!(page.contains(&first));
}

#[test]
fn the_report_of_an_unsealed_case_is_in_it_and_made_anew() {
    let (sample, writer) = Sample::new();
    drop(writer);
    for _ in 0..2 {
        let output = caselock(&[&sample.case()]);
        assert_eq!(output.status.code(), Some(4), "{output:?}");
    }
    let folder: Vec<_> = fs::read_dir(sample.file("reports")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(folder, ["report.html"]);
}

#[test]
fn nothing_is_written_into_a_sealed_case_and_nothing_is_replaced() {
    let sample = Sample::sealed();
    assert_eq!(caselock(&[&sample.case()]).status.code(), Some(4));
    assert!(!sample.file("reports").exists());
    let beside = sample.path("case-report.html");
    let first = fs::read(&beside).unwrap();
    assert_eq!(caselock(&[&sample.case()]).status.code(), Some(2));
    assert_eq!(fs::read(&beside).unwrap(), first);
    let inside = sample.file("data/report.html");
    assert_eq!(caselock(&[&sample.case(), Path::new("-o"), &inside]).status.code(), Some(2));
    assert!(!inside.exists());
}

#[test]
fn a_package_is_reported_with_its_own_hash() {
    let sample = Sample::sealed();
    let package = write_package(&CaseFolder::open(&sample.case()).unwrap(), &sample.path("handed.zip")).unwrap();
    assert_eq!(caselock(&[&package.path]).status.code(), Some(4));
    let page = fs::read_to_string(sample.path("handed-report.html")).unwrap();
    assert!(page.contains(&package.sha256.to_string()));
}
