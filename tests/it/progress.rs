//! What long phases tell of how far they are: it adds up, and it is seen.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use caselock::case::{CaseFiles as _, Found};
use caselock::package::{
    Delivery, Glob, PackageError, PackageFiles, PackageSummary, Progress, write_disclosure_with, write_package_with,
    write_parts_with,
};
use caselock::seal::{SealOptions, seal_case_with};

use crate::sample::{Sample, at, tool};

fn of_a_package(write: impl FnOnce(&Delivery<'_>) -> Result<Vec<PackageSummary>, PackageError>) {
    let progress = Progress::default();
    let written = write(&Delivery::plain(&progress)).unwrap();
    assert_eq!(progress.expected(), progress.done());
    let files: u64 = written.iter().map(|package| package.files).sum();
    let bytes: u64 = written.iter().map(|package| bytes_within(&package.path)).sum();
    assert_eq!(progress.done(), (files, bytes));
}

/// The bytes of all members of a package.
fn bytes_within(package: &Path) -> u64 {
    let package = PackageFiles::open(package).unwrap();
    let mut paths = Vec::new();
    let walked = package.walk(&mut |found| {
        if let Found::File { path, .. } = found {
            paths.push(path.to_owned());
        }
    });
    walked.unwrap();
    paths.iter().map(|path| package.size_of(path).unwrap().unwrap()).sum()
}

#[test]
fn a_package_its_parts_and_a_disclosure_announce_exactly_what_they_write() {
    let sample = Sample::sealed_after_a_run();
    let case = sample.open();
    of_a_package(|delivery| write_package_with(&case, &sample.path("whole.zip"), delivery).map(|one| vec![one]));
    of_a_package(|delivery| write_parts_with(&case, &sample.path("part.zip"), 200, delivery));
    let include = [Glob::new("s3://example-corp/AWSLogs/**")];
    of_a_package(|delivery| write_disclosure_with(&case, &include, &sample.path("some.zip"), delivery).map(|one| vec![one]));
}

#[test]
fn a_seal_tells_of_every_artifact_once() {
    let (sample, mut writer) = Sample::new();
    for _ in ["the first seal", "one over what is sealed already"] {
        let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        let progress = |more, size| {
            files.fetch_add(more, Ordering::Relaxed);
            bytes.fetch_add(size, Ordering::Relaxed);
        };
        let options = SealOptions { progress: &progress, ..SealOptions::default() };
        let sealed = seal_case_with(&mut writer, &sample.key(), at(), &tool(), &options).unwrap();
        let told = (files.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed));
        assert_eq!(told, (sealed.statement.artifacts.count, sealed.statement.artifacts.bytes));
    }
}
