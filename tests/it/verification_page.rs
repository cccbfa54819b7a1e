//! docs/verification.md names every finding there is, and no other, and the vectors it names exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::account::{program, run};
use crate::defects::DEFECTS;
use crate::schemas::holds;
use crate::summaries::fits;

const PAGE: &str = include_str!("../../docs/verification.md");

/// Words in the sources of verification that look like a kind of finding and are none.
const OTHER_WORDS: [&str; 14] = [
    "backfill-generation-timestamp",
    "digest-invalid",
    "kebab-case",
    "o-",
    "signature-algorithm",
    "us-east-1",
    "management-events",
    "example-corp",
    "eu-central-1",
    "amzn-s3-demo-bucket",
    "us-east-2",
    "us-west-2",
    "caselock-seal",
    "o-abc123",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() { sources(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

/// The kinds of finding in the sources: every literal of words joined by hyphens in the parts that make findings, tests left out.
fn kinds_in_the_sources() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("verify.rs"), root.join("cloudtrail/chain.rs")];
    sources(&root.join("verify"), &mut files);
    let mut kinds = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let words = code.split('"').skip(1).step_by(2);
        let is_kind = |word: &&str| word.contains('-') && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        kinds.extend(words.filter(is_kind).filter(|word| !OTHER_WORDS.contains(word)).map(str::to_owned));
    }
    kinds.remove("gap-");
    kinds.extend(["gap-denied", "gap-failed", "gap-archived", "gap-changed-during-acquisition"].map(str::to_owned));
    kinds
}

fn explained() -> BTreeSet<String> {
    PAGE.split("**`").skip(1).filter_map(|rest| rest.split_once("`**")).map(|(kind, _)| kind.to_owned()).collect()
}

#[test]
fn every_kind_of_finding_is_explained_and_no_other() {
    assert_eq!(explained(), kinds_in_the_sources());
}

/// A recipient has the program, and maybe nothing else.
#[test]
fn the_program_explains_every_kind() {
    let explain = |more: &[&str]| run(program(&[&["explain"], more].concat()).env("COLUMNS", "80"));
    for kind in kinds_in_the_sources() {
        let told = explain(&[&kind]).expect(0).stdout;
        assert!(told.starts_with(&format!("{kind} (")) && told.contains("\n\nOne word in an entry says"), "{told}");
        fits(&told);
    }
    let all = explain(&["--json"]).expect(0).json();
    holds("explain", &all);
    let listed: BTreeSet<String> =
        all["findings"].as_array().unwrap().iter().map(|of| of["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, kinds_in_the_sources());
    let list = explain(&[]).expect(0).stdout;
    fits(&list);
    assert!(listed.iter().all(|kind| list.lines().any(|line| line.starts_with(&format!("  {kind} ")))), "{list}");
    let one = explain(&["seal-malformed", "--json"]).expect(0).json();
    holds("explain", &one);
    assert_eq!((&one["weight"], &one["with"][0]), (&"failure".into(), &"seal-number-mismatch".into()), "{one:#}");
    assert_eq!(explain(&["--page"]).expect(0).stdout, PAGE);
    let page = explain(&["--page", "--json"]).expect(0).json();
    holds("explain", &page);
    assert_eq!(page["page"], PAGE);
    explain(&["log-mising"]).expect(2).says(&["there is no finding called `log-mising`", "Did you mean log-missing?"]);
    explain(&["log-missing", "--page"]).expect(2);
}

#[test]
fn every_kind_that_a_vector_gives_is_explained() {
    let explained = explained();
    for defect in DEFECTS.iter() {
        for kind in defect.failures.iter().chain(defect.others) {
            assert!(explained.contains(*kind), "{}: {kind}", defect.name);
        }
    }
}

/// Everything that tests say, the sources' own included. This file's words name kinds and try none.
fn tests() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut code) = (Vec::new(), Vec::new());
    sources(&root.join("tests/it"), &mut files);
    files.retain(|file| file.file_name().unwrap() != "verification_page.rs");
    sources(&root.join("src"), &mut code);
    let unit_tests = code.iter().map(|file| {
        let text = fs::read_to_string(file).unwrap();
        let is_test = file.file_name().unwrap().to_str().unwrap().contains("tests");
        if is_test { text } else { text.split_once("#[cfg(test)]\nmod tests").map_or("", |(_, tests)| tests).to_owned() }
    });
    files.iter().map(|file| fs::read_to_string(file).unwrap()).chain(unit_tests).collect()
}

#[test]
fn every_kind_has_a_vector_or_a_test_that_names_it() {
    let vectors: BTreeSet<&str> =
        DEFECTS.iter().flat_map(|defect| defect.failures.iter().chain(defect.others)).copied().collect();
    let tests = tests();
    let untested: Vec<String> = explained()
        .into_iter()
        .filter(|kind| !vectors.contains(kind.as_str()) && !tests.contains(&format!("\"{kind}\"")))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

/// The documents say how many vectors there are at least; each new hundred is worth a word.
#[test]
fn as_many_vectors_are_there_as_the_documents_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let there = fs::read_dir(root.join("tests/vectors")).unwrap().map(Result::unwrap);
    let there = there.filter(|entry| entry.path().join("defect.txt").is_file()).count();
    for (page, before) in
        [("docs/testing.md", "a folder for each of more than "), ("docs/security.md", "run through more than ")]
    {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let (_, after) = text.split_once(before).unwrap_or_else(|| panic!("{page} does not say `{before}`"));
        let said: usize = after.split(' ').next().unwrap().parse().unwrap();
        assert!((said..=said + 100).contains(&there), "{page} says {said}, and there are {there}");
    }
}

#[test]
fn every_vector_that_the_page_names_exists() {
    let vectors: BTreeSet<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
    let mut named = 0;
    for part in PAGE.split("*Test:*").skip(1) {
        let part = part.split("\n- **").next().unwrap().split("\n\n").next().unwrap();
        for name in part.split('`').skip(1).step_by(2) {
            assert!(vectors.contains(name), "{name} is no vector");
            named += 1;
        }
    }
    assert!(named >= 100, "the page names {named} vectors");
}
