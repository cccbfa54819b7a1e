//! Zips that are no package: members that none has, structures that lie, bytes that were changed, ends that are missing.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use caselock::case::{CaseFiles as _, Workspace};
use caselock::package::PackageFiles;

use super::{bytes_of, zip_by_python};

fn refusal(path: &Path) -> String {
    let error = PackageFiles::open(path).expect_err(&path.display().to_string());
    assert!(error.is_integrity_failure(), "{error}");
    let on_disk = PackageFiles::open_in(path, &Workspace { folder: None, held: 0 }).expect_err("it opens in memory only");
    assert_eq!(error.to_string(), on_disk.to_string());
    error.to_string()
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

    /// Overwrites something in the central header of the first member.
    fn put_in_header(self, at: usize, bytes: &[u8]) -> Self {
        let at = self.central + at;
        self.put(at, bytes)
    }

    /// Overwrites something in the end record.
    fn put_in_end(self, at: usize, bytes: &[u8]) -> Self {
        let at = self.end + at;
        self.put(at, bytes)
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
        ("size in the central header", Forge::new().put_in_header(24, &[4]).bytes),
        ("both sizes in the central header", Forge::new().put_in_header(20, &[4, 0, 0, 0, 4]).bytes),
        ("sizes in both headers too small", Forge::new().put_in_header(20, &[4, 0, 0, 0, 4]).put(18, &[4, 0, 0, 0, 4]).bytes),
        (
            "sizes in both headers too large",
            Forge::new()
                .put_in_header(20, &[255, 255, 255, 127, 255, 255, 255, 127])
                .put(18, &[255, 255, 255, 127, 255, 255, 255, 127])
                .bytes,
        ),
        ("name in the local header", Forge::new().put(30 + 5, b"z").bytes),
        ("CRC-32 in the local header", Forge::new().put(14, &zeros[..4]).bytes),
        ("encrypted", Forge::new().put_in_header(8, &[1]).put(6, &[1]).bytes),
        ("data descriptor", Forge::new().put_in_header(8, &[8]).put(6, &[8]).bytes),
        ("flags in the local header only", Forge::new().put(6, &[1]).bytes),
        ("two headers for one member", Forge::new().put_in_header(46 + 6 + 42, &zeros[..4]).bytes),
        ("another disk", Forge::new().put_in_end(4, &[1]).bytes),
        ("one member too few announced", Forge::new().put_in_end(8, &[1, 0, 1, 0]).bytes),
        ("one member too many announced", Forge::new().put_in_end(8, &[3, 0, 3, 0]).bytes),
        ("far too many members announced", Forge::new().put_in_end(8, &[254, 255, 254, 255]).bytes),
        ("central directory elsewhere", Forge::new().put_in_end(16, &[0]).bytes),
        ("central directory longer", Forge::new().put_in_end(12, &[255]).bytes),
        ("zip64 without its records", Forge::new().put_in_end(8, &[255; 12]).bytes),
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
