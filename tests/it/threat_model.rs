//! docs/threat-model.md: every guarantee is quoted, word for word, in the files that it names as its proof.

use std::fs;
use std::path::Path;

use crate::account::files_below;

const PAGE: &str = include_str!("../../docs/threat-model.md");

/// Number, words, and the files that prove it.
fn guarantees() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| G"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, words, files] = cells[..] else { panic!("{row}") };
        (number, words, files.split('`').skip(1).step_by(2).collect())
    })
    .collect()
}

/// A file's text with its comments' slashes and line breaks taken out.
fn flowing(path: &str) -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let words = text.lines().map(|line| line.trim().trim_start_matches('/')).flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ").to_lowercase()
}

#[test]
fn every_guarantee_is_quoted_in_the_tests_that_prove_it() {
    let guarantees = guarantees();
    assert!(guarantees.len() >= 10);
    for (number, words, files) in guarantees {
        assert!(!files.is_empty(), "{number} names no proof");
        for file in files {
            let quote = format!("guarantee {number}: {words}").to_lowercase();
            assert!(flowing(file).contains(&quote), "{file} does not quote {number}: {words}");
        }
    }
}

#[test]
fn no_test_quotes_a_guarantee_that_there_is_not() {
    let numbers: Vec<&str> = guarantees().iter().map(|(number, ..)| *number).collect();
    let mut quotes = 0;
    for (name, text) in files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it")) {
        if name == "threat_model.rs" || !name.ends_with(".rs") {
            continue;
        }
        for quoted in String::from_utf8(text).unwrap().split("Guarantee ").skip(1).filter_map(|rest| rest.split(':').next()) {
            assert!(numbers.contains(&quoted), "{name} quotes {quoted}");
            quotes += 1;
        }
    }
    assert!(quotes >= 8, "only {quotes} quotes were found");
}
