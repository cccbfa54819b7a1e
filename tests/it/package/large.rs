//! Packages with more members, or more bytes, than fit into memory or into the first zip format.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use caselock::case::{CaseFiles as _, Workspace};
use caselock::package::PackageFiles;

use super::{bytes_of, zip_by_python};
use crate::forged::is_as_written_for_python;

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
fn more_members_than_a_short_end_record_can_count_are_read() {
    let folder = tempfile::tempdir().unwrap();
    for count in [65_534, 65_535, 65_536, 70_000] {
        let path = folder.path().join(format!("{count}.zip"));
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
