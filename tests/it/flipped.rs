//! Packages in which one byte of a member is another, as a failing medium or a hand leaves it: its checksum does not fit any more.

use std::fs::{self, File};
use std::path::Path;

use caselock::case::CaseFolder;
use caselock::package::{Glob, write_disclosure, write_package, write_parts};

use crate::sample::Sample;

/// What no integrity failure says.
const SAFE: &str = "Everything the ledger names is safe";

fn sealed() -> (Sample, CaseFolder) {
    let sample = Sample::sealed_after_a_run();
    let case = sample.open();
    (sample, case)
}

/// The names of all members below the top folder, and where the middle of each lies; those of the evidence count as one.
fn members(package: &Path) -> Vec<(String, usize)> {
    let mut zip = zip::ZipArchive::new(File::open(package).unwrap()).unwrap();
    let mut members: Vec<(String, usize)> = Vec::new();
    for at in 0..zip.len() {
        let member = zip.by_index(at).unwrap();
        let name = member.name().unwrap().split_once('/').unwrap().1.to_owned();
        let evidence = |name: &str| name.starts_with("data/");
        if member.size() == 0 || evidence(&name) && members.iter().any(|(other, _)| evidence(other)) {
            continue;
        }
        members.push((name, usize::try_from(member.data_start().unwrap() + member.size() / 2).unwrap()));
    }
    members
}

/// Flips a bit of each member in turn; every command that reads the package must call it an integrity failure, and name the member.
fn each_is_an_integrity_failure(sample: &Sample, package: &Path, commands: &[&[&str]]) -> Vec<String> {
    let intact = fs::read(package).unwrap();
    let members = members(package);
    for (name, at) in &members {
        let mut flipped = intact.clone();
        flipped[*at] ^= 1;
        fs::write(package, flipped).unwrap();
        for command in commands {
            let ran = sample.run(&[&[command[0], package.to_str().unwrap()], &command[1..]].concat());
            let said = ran.stdout + &ran.stderr;
            assert_eq!(ran.code, 3, "{name}: {command:?}: {said}");
            assert!(!said.contains(SAFE) && !said.contains("tag-file-missing"), "{name}: {command:?}: {said}");
            let _report = fs::remove_file(sample.path("r.html"));
        }
    }
    fs::write(package, intact).unwrap();
    members.into_iter().map(|(name, _)| name).collect()
}

const VERIFY: &[&str] = &["verify"];
const REPORT: &[&str] = &["report", "-o", "r.html"];
const TRANSFER: &[&str] = &["transfer", "--from", "A", "--to", "B", "--purpose", "review", "--signing-key", "key"];

#[test]
fn a_flipped_byte_of_any_member_is_an_integrity_failure_in_every_command() {
    let (sample, case) = sealed();
    write_package(&case, &sample.path("p.zip")).unwrap();
    let members = each_is_an_integrity_failure(&sample, &sample.path("p.zip"), &[VERIFY, REPORT, TRANSFER]);
    for name in ["custody/ledger.jsonl", "custody/case.toml", "custody/seals/0001.json", "custody/checkpoints/0001.json"] {
        assert!(members.iter().any(|member| member == name), "{name}: {members:?}");
    }
}

#[test]
fn a_flipped_byte_of_a_part_or_a_disclosure_is_an_integrity_failure() {
    let (sample, case) = sealed();
    let parts = write_parts(&case, &sample.path("p.zip"), 200).unwrap();
    let members = each_is_an_integrity_failure(&sample, &parts[0].path, &[VERIFY]);
    assert!(members.iter().any(|member| member == "custody/part.json"), "{members:?}");
    let include = [Glob::new("s3://example-corp/AWSLogs/**")];
    write_disclosure(&case, &include, &sample.path("d.zip")).unwrap();
    let members = each_is_an_integrity_failure(&sample, &sample.path("d.zip"), &[VERIFY]);
    assert!(members.iter().any(|member| member == "custody/checkpoints/0001.json.sig"), "{members:?}");
}
