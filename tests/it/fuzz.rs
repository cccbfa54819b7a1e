//! The fuzz targets, fed the same few thousand inputs every time. `fuzz/run` feeds them as many as a minute holds.

#[path = "../../fuzz/src/mutation.rs"]
mod mutation;
#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

#[test]
fn hostile_bytes_are_refused_by_every_reader_without_a_panic() {
    let scratch = tempfile::tempdir().unwrap();
    for (name, target) in targets::TARGETS.iter().copied() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let corpus: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(!corpus.is_empty(), "{name}");
        let mut chance = mutation::Chance::new(2026);
        for input in corpus.iter().cloned().chain((0..400).map(|_| chance.input(&corpus)).collect::<Vec<_>>()) {
            let outcome = std::panic::catch_unwind(|| target(&input, scratch.path()));
            assert!(outcome.is_ok(), "{name}: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn a_target_that_is_mistyped_is_no_target() {
    let names = |words: &[&str]| -> Result<Vec<&str>, String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        Ok(targets::chosen(&words)?.iter().map(|(name, _)| *name).collect())
    };
    assert_eq!(names(&["time", "ledger"]), Ok(vec!["ledger", "time"]));
    assert_eq!(names(&["ledger", "nosuchtarget"]), Err("nosuchtarget".to_owned()));
    assert_eq!(names(&[]).unwrap().len(), targets::TARGETS.len());
}
