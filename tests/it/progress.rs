//! What long phases tell of how far they are: it adds up, and it is seen.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use caselock::case::CaseFolder;
use caselock::package::{
    Glob, PackageError, PackageFiles, PackageSummary, Progress, write_disclosure_with, write_package_with, write_parts_with,
};
use caselock::seal::{SealOptions, seal_case_with};

use crate::sample::{Sample, at, started, tool};

/// What was announced, and what was done, in files and bytes.
#[derive(Default)]
struct Told {
    announced: (AtomicU64, AtomicU64),
    done: (AtomicU64, AtomicU64),
}

fn count((files, bytes): &(AtomicU64, AtomicU64), more: (u64, u64)) {
    files.fetch_add(more.0, Ordering::Relaxed);
    bytes.fetch_add(more.1, Ordering::Relaxed);
}

fn counted((files, bytes): &(AtomicU64, AtomicU64)) -> (u64, u64) {
    (files.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed))
}

fn of_a_package(write: impl FnOnce(Progress<'_>) -> Result<Vec<PackageSummary>, PackageError>) {
    let told = Told::default();
    let late = Mutex::new(false);
    let written = write(Progress {
        expect: &|files, bytes| count(&told.announced, (files, bytes)),
        add: &|files, bytes| {
            count(&told.done, (files, bytes));
            // At no time is more done than there was to do.
            let (all, done) = (counted(&told.announced), counted(&told.done));
            *late.lock().unwrap() |= done.0 > all.0 || done.1 > all.1;
        },
    })
    .unwrap();
    assert_eq!(counted(&told.announced), counted(&told.done));
    let files: u64 = written.iter().map(|package| package.files).sum();
    assert_eq!(counted(&told.done).0, files);
    let bytes: u64 = written
        .iter()
        .map(|package| {
            let package = PackageFiles::open(&package.path).unwrap();
            let mut bytes = 0;
            caselock::case::CaseFiles::walk(&package, &mut |found| {
                if let caselock::case::Found::File { size, .. } = found {
                    bytes += size;
                }
            })
            .unwrap();
            bytes
        })
        .sum();
    assert_eq!(counted(&told.done).1, bytes);
    assert!(!*late.lock().unwrap(), "more was done than had been announced");
}

#[test]
fn a_package_its_parts_and_a_disclosure_announce_exactly_what_they_write() {
    let (sample, mut writer) = Sample::new();
    writer.append(started(1)).unwrap();
    sample.seal(&mut writer);
    let case = CaseFolder::open(&sample.case()).unwrap();
    of_a_package(|progress| write_package_with(&case, &sample.path("whole.zip"), progress).map(|one| vec![one]));
    of_a_package(|progress| write_parts_with(&case, &sample.path("part.zip"), 200, progress));
    let include = [Glob::new("s3://example-corp/AWSLogs/**")];
    of_a_package(|progress| write_disclosure_with(&case, &include, &sample.path("some.zip"), progress).map(|one| vec![one]));
}

#[test]
fn a_seal_tells_of_every_artifact_once() {
    let (sample, mut writer) = Sample::new();
    for _ in ["the first seal", "one over what is sealed already"] {
        let done = Default::default();
        let progress = |files, bytes| count(&done, (files, bytes));
        let options = SealOptions { progress: &progress, ..SealOptions::default() };
        let sealed = seal_case_with(&mut writer, &sample.key(), at(), &tool(), &options).unwrap();
        assert_eq!(counted(&done), (sealed.statement.artifacts.count, sealed.statement.artifacts.bytes));
    }
}
