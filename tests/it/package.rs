//! Packages, written, read back, and forged.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use caselock::case::{CaseFiles as _, CaseFolder, Found, Workspace, read_identity};
use caselock::model::Sha256Hash;
use caselock::package::{PackageError, PackageFiles, PackageSummary, write_package};
use caselock::seal::{SealStatement, SigningKey, read_seals, seal_case};

use crate::forged::is_as_written_for_python;
use crate::peers;
use crate::sample::{Sample, at, shell_ok, tool};

fn package(sample: &Sample, name: &str) -> PackageSummary {
    write_package(&CaseFolder::open(&sample.case()).unwrap(), &sample.path(name)).unwrap()
}

fn bytes_of(files: &PackageFiles, path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    files.open(path).unwrap().read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn a_package_holds_the_sealed_case_byte_for_byte() {
    let sample = Sample::sealed();
    let summary = package(&sample, "out.zip");
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
    let there = shell_ok(&sample.case(), "find . -type f | wc -l", &[]);
    assert_eq!(there.trim(), paths.len().to_string());
    assert_eq!(read_identity(&files).unwrap().case_number, "IR-2026-014");
    assert_eq!(read_seals(&files).unwrap().len(), 1);
    assert!(files.open("data/none").is_err());
}

#[test]
fn other_programs_read_a_package_and_the_bag_in_it() {
    let sample = Sample::sealed();
    package(&sample, "out.zip");
    let scratch = sample.path("");
    shell_ok(&scratch, "sha256sum --strict -c out.zip.sha256", &[]);
    shell_ok(&scratch, "unzip -tq out.zip && unzip -q out.zip -d unzipped", &[]);
    shell_ok(&scratch, "python3 -c 'import zipfile; z = zipfile.ZipFile(\"out.zip\"); assert z.testzip() is None'", &[]);
    shell_ok(
        &scratch,
        "python3 -m zipfile -e out.zip by-python && diff -r unzipped by-python && diff -r unzipped/IR-2026-014 case",
        &[],
    );
    let bag = scratch.join("unzipped/IR-2026-014");
    let output = Command::new(peers::bagit()).arg("--validate").arg(&bag).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_same_sealed_case_gives_the_same_bytes() {
    let (sample, mut writer) = Sample::new();
    sample.seal(&mut writer);
    let first = package(&sample, "first.zip");
    // What happens later stands in the ledger after the sealed lines, and reports are no part of the bag.
    writer
        .append(caselock::case::event::Event::PackageCreated(caselock::case::event::PackageCreated {
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
    let second = package(&sample, "second.zip");
    shell_ok(&sample.path(""), "mkdir elsewhere && cp -r case elsewhere/copy && touch -d 2001-01-01 elsewhere/copy/data", &[]);
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
    let key = SigningKey::generate_ed25519(&sample.path("other"), "counsel@example.com").unwrap();
    let second = seal_case(&mut writer, &key, at(), &tool(), "").unwrap();
    let ledger = fs::read(sample.file("custody/ledger.jsonl")).unwrap();
    let third = sample.seal(&mut writer);
    for path in [&third.path, &format!("{}.sig", third.path)] {
        fs::remove_file(sample.file(path)).unwrap();
    }
    let summary = package(&sample, "out.zip");
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
    let files = PackageFiles::open(&package(&sample, "out.zip").path).unwrap();
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
            let text = fs::read_to_string(sample.file("custody/ledger.jsonl")).unwrap();
            sample.overwrite("custody/ledger.jsonl", text.replacen("\"attempts\":1", "\"attempts\":2", 1).as_bytes());
        }),
        ("seal", |sample| {
            let text = fs::read_to_string(sample.file("custody/seals/0001.json")).unwrap();
            sample.overwrite("custody/seals/0001.json", text.replace("\"number\":1", "\"number\":2").as_bytes());
        }),
    ];
    for (what, change) in changes {
        let sample = Sample::sealed();
        change(&sample);
        let refused = write_package(&CaseFolder::open(&sample.case()).unwrap(), &sample.path("out.zip")).unwrap_err();
        assert!(refused.is_integrity_failure(), "{what}: {refused}");
        let left = shell_ok(&sample.path(""), "ls", &[]);
        assert!(!left.contains("out.zip"), "{what}: {left}");
    }
}

#[test]
fn an_unsealed_case_and_a_taken_name_are_refused() {
    let (sample, mut writer) = Sample::new();
    let case = CaseFolder::open(&sample.case()).unwrap();
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
    assert!(crate::sample::open_again(&sample.case()).is_sealed());
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
    let output = Command::new("python3").arg("-c").arg(&program).arg(path).output().unwrap();
    assert!(output.status.success(), "{program}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn refusal(path: &Path) -> String {
    let error = PackageFiles::open(path).expect_err(&path.display().to_string());
    assert!(error.is_integrity_failure(), "{error}");
    let on_disk = PackageFiles::open_in(path, &Workspace { folder: None, held: 0 }).expect_err("it opens in memory only");
    assert_eq!(error.to_string(), on_disk.to_string());
    error.to_string()
}

#[test]
fn every_member_is_found_whether_or_not_the_index_fits_into_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    zip_by_python(&path, "for n in range(1000): add(f'case/data/{n:04}', str(n))");
    for (temporary, held) in [(None, 1 << 20), (None, 256), (Some(Path::new("/nowhere")), 256)] {
        let files = PackageFiles::open_in(&path, &Workspace { folder: temporary, held }).unwrap();
        assert_eq!(files.len(), 1000);
        for number in 0..1000 {
            assert_eq!(bytes_of(&files, &format!("data/{number:04}")).unwrap(), number.to_string().as_bytes());
        }
        for absent in ["data/1000", "data", "data/0", "x"] {
            assert!(files.open(absent).is_err_and(|error| error.is_not_found()), "{absent}");
        }
    }
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
fn members_that_no_package_has_are_refused_by_what_they_are() {
    let cases = [
        ("add('case/a'); add('case/a')", "twice"),
        ("add('case/b'); add('case/a')", "out of order"),
        ("add('case/A'); add('case/a')", "case is folded"),
        ("add('case/A/x'); add('case/a/y')", "case is folded"),
        ("add('case/a'); add('case/a/b')", "case is folded"),
        ("add('case/A'); add('case/a/b')", "case is folded"),
        ("add('case/../../a')", "cannot be the name"),
        ("add('case/..')", "cannot be the name"),
        ("add('case/./a')", "cannot be the name"),
        ("add('case//a')", "cannot be the name"),
        ("add('/etc/passwd')", "cannot be the name"),
        ("add('../case/a')", "cannot be the name"),
        ("add('C:/a')", "cannot be the name"),
        ("add('case/a\\\\b')", "cannot be the name"),
        ("add('case/a\\nb')", "cannot be the name"),
        ("add('case/\\x1b[2J')", "cannot be the name"),
        ("add('case/a.')", "cannot be the name"),
        ("add('case/a b')", "cannot be the name"),
        ("add('loose')", "cannot be the name"),
        ("add('case/\\u00e9')", "flagged"),
        ("add('case/' + 'x' * 129)", "cannot be the name"),
        ("add('case/' + 'x' * 1000)", "too long a name"),
        ("add('case/a'); add('other/b')", "not under the one top folder"),
        ("add('case/a', b'/etc/passwd', kind=0o120777)", "link"),
        ("add('case/a', kind=0o10444)", "device"),
        ("add('case/a', kind=0)", "link, a folder or a device"),
        ("add('case/a/', b'', kind=0o40755)", "folder"),
        ("add('case/a', b'x' * 1000, method=zipfile.ZIP_DEFLATED)", "compressed"),
        ("add('case/a', extra=struct.pack('<HHI', 0x7075, 4, 0))", "extra field"),
        ("add('case/a', comment=b'hello')", "comment"),
        ("add('case/a', time=(2024, 10, 13, 1, 2, 4))", "time"),
        ("add('case/a', time=(1980, 1, 1, 0, 0, 2))", "time"),
        ("add('case/a'); z.comment = b'hello'", "end record"),
        ("pass", "0 members"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    for (body, expected) in cases {
        zip_by_python(&path, &body.replace("; ", "\n"));
        let refusal = refusal(&path);
        assert!(refusal.contains(expected), "{body}: {refusal}");
        assert!(!refusal.contains(['\n', '\u{1b}']), "{body}: {refusal}");
    }
}

/// A package of two members, and where its parts lie.
struct Forge {
    bytes: Vec<u8>,
    central: usize,
    end: usize,
}

const NAMES: [&str; 2] = ["case/a", "case/b"];

impl Forge {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.zip");
        zip_by_python(&path, "add('case/a', b'first')\nadd('case/b', b'second')");
        let bytes = fs::read(&path).unwrap();
        let end = bytes.len() - 22;
        let central = usize::try_from(u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap())).unwrap();
        Self { bytes, central, end }
    }

    fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Inserts bytes and moves the offsets that the end record and the central headers give.
    fn insert(mut self, at: usize, bytes: &[u8], moved_headers: bool) -> Self {
        let shift = u32::try_from(bytes.len()).unwrap();
        let add = |bytes: &mut Vec<u8>, at: usize| {
            let value = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) + shift;
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        };
        add(&mut self.bytes, self.end + 16);
        if moved_headers {
            let mut header = self.central;
            for name in NAMES {
                let offset = u32::from_le_bytes(self.bytes[header + 42..header + 46].try_into().unwrap());
                if usize::try_from(offset).unwrap() >= at {
                    add(&mut self.bytes, header + 42);
                }
                header += 46 + name.len();
            }
        }
        self.bytes.splice(at..at, bytes.iter().copied());
        self
    }
}

#[test]
fn a_zip_whose_structure_lies_is_refused() {
    let second = 30 + NAMES[0].len() + 5;
    let zeros = [0; 8];
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("trailing bytes", [Forge::new().bytes, b"x".to_vec()].concat()),
        ("prepended bytes", [b"#!/bin/sh\n".to_vec(), Forge::new().bytes].concat()),
        ("prepended bytes, offsets moved", Forge::new().insert(0, &zeros, true).bytes),
        ("gap between members", Forge::new().insert(second, &zeros, true).bytes),
        ("gap before the central directory", {
            let forge = Forge::new();
            let at = forge.central;
            forge.insert(at, &zeros, false).bytes
        }),
        ("size in the central header", {
            let forge = Forge::new();
            let at = forge.central + 24;
            forge.put(at, &[4]).bytes
        }),
        ("both sizes in the central header", {
            let forge = Forge::new();
            let at = forge.central + 20;
            forge.put(at, &[4, 0, 0, 0, 4]).bytes
        }),
        ("sizes in both headers too small", {
            let forge = Forge::new();
            let at = forge.central + 20;
            forge.put(at, &[4, 0, 0, 0, 4]).put(18, &[4, 0, 0, 0, 4]).bytes
        }),
        ("sizes in both headers too large", {
            let forge = Forge::new();
            let at = forge.central + 20;
            forge.put(at, &[255, 255, 255, 127, 255, 255, 255, 127]).put(18, &[255, 255, 255, 127, 255, 255, 255, 127]).bytes
        }),
        ("name in the local header", Forge::new().put(30 + 5, b"z").bytes),
        ("CRC-32 in the local header", Forge::new().put(14, &zeros[..4]).bytes),
        ("encrypted", {
            let forge = Forge::new();
            let at = forge.central + 8;
            forge.put(at, &[1]).put(6, &[1]).bytes
        }),
        ("data descriptor", {
            let forge = Forge::new();
            let at = forge.central + 8;
            forge.put(at, &[8]).put(6, &[8]).bytes
        }),
        ("flags in the local header only", Forge::new().put(6, &[1]).bytes),
        ("two headers for one member", {
            let forge = Forge::new();
            let at = forge.central + 46 + 6 + 42;
            forge.put(at, &zeros[..4]).bytes
        }),
        ("another disk", {
            let forge = Forge::new();
            let at = forge.end + 4;
            forge.put(at, &[1]).bytes
        }),
        ("one member too few announced", {
            let forge = Forge::new();
            let at = forge.end + 8;
            forge.put(at, &[1, 0, 1, 0]).bytes
        }),
        ("one member too many announced", {
            let forge = Forge::new();
            let at = forge.end + 8;
            forge.put(at, &[3, 0, 3, 0]).bytes
        }),
        ("far too many members announced", {
            let forge = Forge::new();
            let at = forge.end + 8;
            forge.put(at, &[254, 255, 254, 255]).bytes
        }),
        ("central directory elsewhere", {
            let forge = Forge::new();
            let at = forge.end + 16;
            forge.put(at, &[0]).bytes
        }),
        ("central directory longer", {
            let forge = Forge::new();
            let at = forge.end + 12;
            forge.put(at, &[255]).bytes
        }),
        ("zip64 without its records", {
            let forge = Forge::new();
            let at = forge.end + 8;
            forge.put(at, &[255; 12]).bytes
        }),
        ("no zip", b"hello".to_vec()),
        ("empty", Vec::new()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    fs::write(&path, Forge::new().bytes).unwrap();
    PackageFiles::open(&path).unwrap();
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let opened = PackageFiles::open(&path);
        let error = opened.err().unwrap_or_else(|| panic!("{what} was accepted"));
        assert!(error.is_integrity_failure() && error.to_string().contains("at byte"), "{what}: {error}");
    }
}

#[test]
fn no_change_of_a_byte_goes_unnoticed_or_does_harm() {
    let forge = Forge::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    let contents = |path: &Path| -> Option<(String, Vec<Vec<u8>>)> {
        let files = PackageFiles::open(path).ok()?;
        let read: Option<_> = ["a", "b"]
            .iter()
            .map(|name| {
                let mut bytes = Vec::new();
                files.open(name).ok()?.read_to_end(&mut bytes).ok()?;
                Some(bytes)
            })
            .collect();
        Some((files.top_folder().to_owned(), read?))
    };
    fs::write(&path, &forge.bytes).unwrap();
    contents(&path).unwrap();
    let mut accepted = Vec::new();
    for at in 0..forge.bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = forge.bytes.clone();
            bytes[at] ^= flip;
            fs::write(&path, bytes).unwrap();
            if contents(&path).is_some() {
                accepted.push(at);
            }
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[test]
fn a_package_that_was_cut_short_anywhere_is_refused() {
    let forge = Forge::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    for length in 0..forge.bytes.len() {
        fs::write(&path, &forge.bytes[..length]).unwrap();
        refusal(&path);
    }
}

#[test]
fn a_member_whose_bytes_were_changed_fails_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    fs::write(&path, Forge::new().put(36, b"F").bytes).unwrap();
    let files = PackageFiles::open(&path).unwrap();
    assert!(bytes_of(&files, "a").unwrap_err().to_string().contains("CRC-32"));
    assert_eq!(bytes_of(&files, "b").unwrap(), b"second");
}

#[test]
fn many_threads_read_one_package() {
    let sample = Sample::sealed();
    let files = PackageFiles::open(&package(&sample, "out.zip").path).unwrap();
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

#[test]
fn more_members_than_a_short_end_record_can_count_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for count in [65_534, 65_535, 65_536, 70_000] {
        let path: PathBuf = folder.path().join(format!("{count}.zip"));
        zip_by_python(&path, &format!("for n in range({count}): add('case/%05d' % n, b'%d' % n)"));
        if count > 65_535 {
            // Python gives the directory's size in the short record too, where caselock refers to the long one.
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len() - 22;
            bytes[end + 12..end + 16].fill(0xff);
            fs::write(&path, bytes).unwrap();
        }
        let files = PackageFiles::open(&path).unwrap();
        assert_eq!(files.len(), count);
        assert_eq!(bytes_of(&files, "65533").unwrap(), b"65533");
        assert!(is_as_written_for_python(&path), "{count}");
    }
}

/// A header's fields, little-endian, as `(width, value)`.
fn fields(fields: &[(usize, u64)]) -> Vec<u8> {
    fields.iter().flat_map(|(width, value)| value.to_le_bytes()[..*width].to_vec()).collect()
}

#[test]
fn members_beyond_four_gigabytes_are_read_where_they_lie() {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    const BIG: u64 = 5 << 30;
    const PLACEHOLDER: u64 = 0xFFFF_FFFF;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.zip");
    // The first member is a hole of five gigabytes, which costs no room.
    let build = |claimed: u64, end_version: u64| {
        let mut file = fs::File::create(&path).unwrap();
        let extra = fields(&[(2, 1), (2, 16), (8, claimed), (8, claimed)]);
        let version = |size: u64| if size == PLACEHOLDER { 45 } else { 10 };
        let local = |crc: u64, size: u64, extra: u64| {
            let head = fields(&[(4, 0x0403_4b50), (2, version(size)), (6, 0), (2, 0x21)]);
            [head, fields(&[(4, crc), (4, size), (4, size), (2, 6), (2, extra)])].concat()
        };
        let central = |crc: u64, size: u64, extra: u64, offset: u64| {
            let head = fields(&[(4, 0x0201_4b50), (1, version(size)), (1, 3), (2, version(size)), (6, 0), (2, 0x21)]);
            let head = [head, fields(&[(4, crc), (4, size), (4, size)])].concat();
            [head, fields(&[(2, 6), (2, extra), (2, 0), (2, 0), (2, 0), (4, 0o100_444 << 16), (4, offset)])].concat()
        };
        file.write_all(&[local(0, PLACEHOLDER, 20), b"case/a".to_vec(), extra.clone()].concat()).unwrap();
        let second = 30 + 6 + 20 + BIG;
        let crc = {
            let mut crc = flate2::Crc::new();
            crc.update(b"after");
            u64::from(crc.sum())
        };
        let far = fields(&[(2, 1), (2, 8), (8, second)]);
        let directory = [
            central(0, PLACEHOLDER, 20, 0),
            b"case/a".to_vec(),
            extra,
            central(crc, 5, 12, PLACEHOLDER),
            b"case/b".to_vec(),
            far,
        ]
        .concat();
        let start = second + 30 + 6 + 5;
        let size = u64::try_from(directory.len()).unwrap();
        let tail = [
            local(crc, 5, 0),
            b"case/bafter".to_vec(),
            directory,
            fields(&[(4, 0x0606_4b50), (8, 44), (2, end_version), (2, 45), (8, 0), (8, 2), (8, 2), (8, size), (8, start)]),
            fields(&[(4, 0x0706_4b50), (4, 0), (8, start + size), (4, 1)]),
            fields(&[(4, 0x0605_4b50), (4, 0), (2, 2), (2, 2), (4, PLACEHOLDER), (4, PLACEHOLDER), (2, 0)]),
        ]
        .concat();
        file.write_all_at(&tail, second).unwrap();
    };
    build(BIG, 45);
    let files = PackageFiles::open(&path).unwrap();
    assert_eq!(files.size_of("a").unwrap(), Some(BIG));
    assert_eq!(bytes_of(&files, "b").unwrap(), b"after");
    assert!(is_as_written_for_python(&path));
    for lie in [BIG - 1, BIG + 1, 5, u64::MAX, u64::MAX - 40] {
        build(lie, 45);
        assert!(PackageFiles::open(&path).unwrap_err().is_integrity_failure(), "{lie}");
        assert!(!is_as_written_for_python(&path), "{lie}");
    }
    build(BIG, 46);
    assert!(PackageFiles::open(&path).unwrap_err().to_string().contains("another version"));
}
