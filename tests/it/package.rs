//! Packages: what is in them, and that they are read as they were written.

mod large;
mod refused;

use std::fs;
use std::io::Read as _;
use std::path::Path;

use caselock::case::event::{Event, PackageCreated};
use caselock::case::{CaseFiles as _, CaseFolder, Found, read_identity};
use caselock::model::Sha256Hash;
use caselock::package::{PackageError, PackageFiles, write_package};
use caselock::seal::{SealStatement, read_seals};

use crate::peers;
use crate::sample::{Sample, shell_ok, tool};

fn bytes_of(files: &PackageFiles, path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    files.open(path).unwrap().read_to_end(&mut bytes).map(|_| bytes)
}

/// Makes a zip with Python's own `zipfile`: `body` adds members to `z` with `add(name, content, …)`.
fn zip_by_python(path: &Path, body: &str) {
    let program = format!(
        "import struct, sys, warnings, zipfile\n\
         warnings.simplefilter('ignore')\n\
         def add(name, content=b'x', kind=0o100444, method=zipfile.ZIP_STORED, made_by=3, extra=b'', comment=b'', time=(1980, 1, 1, 0, 0, 0)):\n\
         \x20   info = zipfile.ZipInfo('placeholder', time)\n\
         \x20   info.filename = name\n\
         \x20   info.external_attr, info.compress_type, info.create_system = kind << 16, method, made_by\n\
         \x20   info.create_version = info.extract_version = 10\n\
         \x20   info.extra, info.comment = extra, comment\n\
         \x20   z.writestr(info, content)\n\
         with zipfile.ZipFile(sys.argv[1], 'w') as z:\n{}",
        body.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
    );
    let output = crate::peers::python().arg("-c").arg(&program).arg(path).output().unwrap();
    assert!(output.status.success(), "{program}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_package_holds_the_sealed_case_byte_for_byte() {
    let sample = Sample::sealed();
    let summary = sample.package("out.zip");
    let files = PackageFiles::open(&summary.path).unwrap();
    assert_eq!(files.top_folder(), "IR-2026-014");
    let mut paths = Vec::new();
    files
        .walk(&mut |found| {
            let Found::File { path } = found else { panic!("{found:?}") };
            paths.push(path.to_owned());
        })
        .unwrap();
    assert_eq!(u64::try_from(paths.len()).unwrap(), summary.files);
    for path in &paths {
        let expected = fs::read(sample.file(path)).unwrap();
        assert_eq!(bytes_of(&files, path).unwrap(), expected, "{path}");
        assert_eq!(files.size_of(path).unwrap(), Some(expected.len().try_into().unwrap()));
    }
    let there = shell_ok(&sample.case(), "find . -type f | wc -l");
    assert_eq!(there.trim(), paths.len().to_string());
    assert_eq!(read_identity(&files).unwrap().case_number, "IR-2026-014");
    assert_eq!(read_seals(&files).unwrap().len(), 1);
    assert!(files.open("data/none").is_err());
}

#[test]
fn other_programs_read_a_package_and_the_bag_in_it() {
    let sample = Sample::sealed();
    sample.package("out.zip");
    let scratch = sample.path("");
    shell_ok(&scratch, "sha256sum --strict -c out.zip.sha256");
    shell_ok(&scratch, "unzip -tq out.zip && unzip -q out.zip -d unzipped");
    shell_ok(&scratch, "python3 -c 'import zipfile; z = zipfile.ZipFile(\"out.zip\"); assert z.testzip() is None'");
    shell_ok(
        &scratch,
        "python3 -m zipfile -e out.zip by-python && diff -r unzipped by-python && diff -r unzipped/IR-2026-014 case",
    );
    let bag = scratch.join("unzipped/IR-2026-014");
    assert!(peers::is_valid_bag(&bag));
}

#[test]
fn the_same_sealed_case_gives_the_same_bytes() {
    let (sample, mut writer) = Sample::new();
    sample.seal(&mut writer);
    let first = sample.package("first.zip");
    // What happens later stands in the ledger after the sealed lines, and reports are no part of the bag.
    writer
        .append(Event::PackageCreated(PackageCreated {
            file: "first.zip".to_owned(),
            size: first.size,
            sha256: first.sha256,
            seal: first.seal.clone(),
            include: Vec::new(),
            encrypted: None,
            tool: tool(),
        }))
        .unwrap();
    sample.overwrite("custody/seals/0002.json", b"left by an attempt that was cut off");
    fs::create_dir(sample.file("reports")).unwrap();
    sample.overwrite("reports/report.html", b"<p>");
    let second = sample.package("second.zip");
    sample.shell("mkdir elsewhere && cp -r case elsewhere/copy && touch -d 2001-01-01 elsewhere/copy/data");
    let copy = CaseFolder::open(&sample.path("elsewhere/copy")).unwrap();
    let third = write_package(&copy, &sample.path("third.zip")).unwrap();
    assert_eq!((first.sha256, first.sha256), (second.sha256, third.sha256));
    assert_eq!(fs::read(&first.path).unwrap(), fs::read(&third.path).unwrap());
    assert_eq!(first.sha256, Sha256Hash::of(&fs::read(&first.path).unwrap()));
}

#[test]
fn a_package_ends_with_its_latest_seal() {
    let (sample, mut writer) = Sample::new();
    sample.seal(&mut writer);
    let key = sample.key_of("other", "counsel@example.com");
    let second = sample.seal_by(&key, &mut writer);
    let ledger = fs::read(sample.file("custody/ledger.jsonl")).unwrap();
    let third = sample.seal(&mut writer);
    for path in [&third.path, &format!("{}.sig", third.path)] {
        fs::remove_file(sample.file(path)).unwrap();
    }
    let summary = sample.package("out.zip");
    assert_eq!(summary.seal, second.path);
    let files = PackageFiles::open(&summary.path).unwrap();
    assert_eq!(bytes_of(&files, "custody/ledger.jsonl").unwrap(), ledger);
    let seals = read_seals(&files).unwrap();
    assert_eq!(seals.len(), 2);
    assert_eq!(SealStatement::parse(seals[1].statement.as_deref().unwrap()).unwrap(), second.statement);
}

#[test]
fn a_case_number_cannot_lead_out_of_the_package() {
    let (sample, mut writer) = Sample::with_case_number("../../Fall Nr. 7/ü");
    sample.seal(&mut writer);
    let files = PackageFiles::open(&sample.package("out.zip").path).unwrap();
    assert_eq!(files.top_folder(), "Fall-Nr.-7");
}

#[test]
fn what_the_seal_does_not_cover_is_not_packaged() {
    type Change = fn(&Sample);
    let changes: [(&str, Change); 8] = [
        ("content", |sample| {
            let path = Sample::payload()[2].to_string();
            let mut bytes = fs::read(sample.file(&path)).unwrap();
            bytes[0] ^= 1;
            sample.overwrite(&path, &bytes);
        }),
        ("length", |sample| sample.overwrite(Sample::payload()[2].as_str(), b"")),
        ("unlisted", |sample| sample.overwrite("data/extra", b"")),
        ("manifest", |sample| {
            let text = fs::read_to_string(sample.file("manifest-sha256.txt")).unwrap();
            let kept: Vec<&str> = text.split_inclusive('\n').skip(1).collect();
            sample.overwrite("manifest-sha256.txt", kept.concat().as_bytes());
        }),
        ("tag file", |sample| sample.overwrite("VERIFY.txt", b"trust me")),
        ("tag manifest", |sample| sample.overwrite("tagmanifest-sha256.txt", b"")),
        ("ledger", |sample| {
            sample.replace("custody/ledger.jsonl", "\"attempts\":1", "\"attempts\":2");
        }),
        ("seal", |sample| {
            sample.replace("custody/seals/0001.json", "\"number\":1", "\"number\":2");
        }),
    ];
    for (what, change) in changes {
        let sample = Sample::sealed();
        change(&sample);
        let refused = write_package(&sample.open(), &sample.path("out.zip")).unwrap_err();
        assert!(refused.is_integrity_failure(), "{what}: {refused}");
        let left = sample.shell("ls");
        assert!(!left.contains("out.zip"), "{what}: {left}");
    }
}

#[test]
fn an_unsealed_case_and_a_taken_name_are_refused() {
    let (sample, mut writer) = Sample::new();
    let case = sample.open();
    assert!(matches!(write_package(&case, &sample.path("out.zip")), Err(PackageError::Unsealed { .. })));
    sample.seal(&mut writer);
    drop(writer);
    for taken in ["out.zip", "out.zip.sha256"] {
        fs::write(sample.path(taken), "mine").unwrap();
        assert!(matches!(write_package(&case, &sample.path("out.zip")), Err(PackageError::Exists { .. })));
        assert_eq!(fs::read(sample.path(taken)).unwrap(), b"mine");
        fs::remove_file(sample.path(taken)).unwrap();
    }
    let busy = fs::File::create(sample.path("out.zip.part")).unwrap();
    rustix::fs::flock(&busy, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(matches!(write_package(&case, &sample.path("out.zip")), Err(PackageError::Busy { .. })));
    drop(busy);
    write_package(&case, &sample.path("out.zip")).expect("what a run that was cut off left is no obstacle");
    assert!(matches!(write_package(&case, &sample.path("a\nb.zip")), Err(PackageError::Name { .. })));
    assert!(sample.open_again().is_sealed());
}

#[test]
fn a_zip_of_another_program_with_honest_members_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    zip_by_python(&path, "add('case/a', b'one')\nadd('case/b/c', b'two')");
    let files = PackageFiles::open(&path).unwrap();
    assert_eq!(bytes_of(&files, "b/c").unwrap(), b"two");
}

#[test]
fn many_threads_read_one_package() {
    let sample = Sample::sealed();
    let files = PackageFiles::open(&sample.package("out.zip").path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for path in Sample::payload() {
                    assert_eq!(bytes_of(&files, path.as_str()).unwrap(), fs::read(sample.file(path.as_str())).unwrap());
                }
            });
        }
    });
}
