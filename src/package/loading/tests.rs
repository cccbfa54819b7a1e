//! What comes out of the threads together.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::super::archive::Archive;
use super::super::{PackageError, Progress};
use super::{LARGE, Loading};
use crate::case::CaseFolder;
use crate::model::Sha256Hash;

/// A case with these files, and a zip of it that is begun.
fn begun(files: &[(&str, &[u8])], place: &Path) -> (Loading, File) {
    fs::create_dir_all(place.join("case/custody")).unwrap();
    fs::create_dir_all(place.join("case/data")).unwrap();
    fs::write(place.join("case/custody/disclosure.jsonl"), "").unwrap();
    for (name, content) in files {
        fs::write(place.join("case").join(name), content).unwrap();
    }
    let out = place.join("x.zip.part");
    let file = File::options().read(true).write(true).create_new(true).open(&out).unwrap();
    let archive = Archive::begin(&file, &out, Progress::default()).unwrap();
    (Loading::begin(&CaseFolder::open(&place.join("case")).unwrap(), archive), file)
}

fn content(seed: u8, size: usize) -> Vec<u8> {
    (0..size).map(|at| u8::try_from(at % 249).unwrap() ^ seed).collect()
}

#[test]
fn members_of_all_sizes_come_in_their_order() {
    let large = usize::try_from(LARGE).unwrap();
    let sizes = [0, 1, 700_000, 5, 300_000, 300_000, large + 1, 3, large, 2_000_000, 7];
    let names: Vec<String> = (0..sizes.len()).map(|at| format!("data/{at:02}")).collect();
    let contents: Vec<Vec<u8>> = sizes.iter().zip(1..).map(|(size, seed)| content(seed, *size)).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
    let place = tempfile::tempdir().unwrap();
    let (mut loading, file) = begun(&files, place.path());
    let text = content(77, large + 100_000);
    loading.begin_member("a/text".to_owned()).unwrap();
    for piece in text.chunks(90_000) {
        loading.write(piece).unwrap();
    }
    loading.begin_member("a/word".to_owned()).unwrap();
    loading.write(b"word").unwrap();
    for (name, content) in &files {
        loading.add(format!("b/{name}"), name, Some(Sha256Hash::of(content)), None).unwrap();
        loading.add(format!("c/{name}"), name, None, Some(u64::try_from(content.len() / 2).unwrap())).unwrap();
    }
    let written = loading.finish().unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    assert_eq!((written.members, written.size), (2 + 2 * 11, file.metadata().unwrap().len()));
    assert_eq!(written.sha256, Sha256Hash::of(&fs::read(place.path().join("x.zip.part")).unwrap()));
    let mut expected: Vec<(String, &[u8])> = vec![("a/text".to_owned(), &text), ("a/word".to_owned(), b"word")];
    for (name, content) in &files {
        expected.push((format!("b/{name}"), content));
        expected.push((format!("c/{name}"), &content[..content.len() / 2]));
    }
    let mut zip = zip::ZipArchive::new(file).unwrap();
    assert_eq!(zip.len(), expected.len());
    let mut end = 0;
    for (at, (name, content)) in expected.into_iter().enumerate() {
        let mut member = zip.by_index(at).unwrap();
        assert_eq!(member.name().unwrap().as_ref(), name);
        assert_eq!(member.header_start(), end, "{name}");
        end += u64::try_from(30 + name.len() + content.len()).unwrap();
        let mut found = Vec::new();
        io::Read::read_to_end(&mut member, &mut found).unwrap();
        assert!(found == content, "{name}");
    }
}

#[test]
fn what_is_wrong_first_is_told_whoever_finds_it() {
    let large = content(3, usize::try_from(LARGE).unwrap() + 9);
    let good: Vec<u8> = content(1, 1000);
    let mut files: Vec<(String, &[u8])> = (0..300).map(|at| (format!("data/{at:03}"), good.as_slice())).collect();
    files.push(("data/large".to_owned(), &large));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), *content)).collect();
    // What the manifest says, in this order: other content, a file that is not there, less or more than there is.
    let (bad, none, short, long) = (("data/200", Sha256Hash::ZERO, None), ("data/none", Sha256Hash::ZERO, None), 999, 1001);
    let (short, long) = (("data/210", Sha256Hash::of(&good), Some(short)), ("data/210", Sha256Hash::of(&good), Some(long)));
    let bad_large = ("data/large", Sha256Hash::ZERO, None);
    let not_there = "the seal covers it, and it is not there";
    let other = "its bytes are not those that were sealed";
    for (wrong, path, expected) in [
        (vec![bad], "data/200", other),
        (vec![none], "data/none", not_there),
        (vec![short], "data/210", other),
        (vec![long], "data/210", other),
        (vec![bad_large], "data/large", other),
        (vec![bad, none], "data/200", other),
        (vec![bad, long], "data/200", other),
        (vec![none, bad], "data/none", not_there),
        (vec![bad_large, none, bad], "data/large", other),
        (vec![none, bad_large], "data/none", not_there),
    ] {
        let place = tempfile::tempdir().unwrap();
        let (mut loading, _) = begun(&files, place.path());
        let mut all: Vec<(&str, Sha256Hash, Option<u64>)> =
            files.iter().map(|(name, content)| (*name, Sha256Hash::of(content), None)).collect();
        all.splice(150..150, wrong.iter().copied());
        let said =
            all.iter().try_for_each(|(name, sha256, bytes)| loading.add(format!("top/{name}"), name, Some(*sha256), *bytes));
        let said = said.and_then(|()| loading.finish());
        match said.unwrap_err() {
            PackageError::NotAsSealed { path: told, problem } => {
                assert_eq!((told, problem.as_str()), (place.path().join("case").join(path), expected), "{wrong:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_full_disk_is_told_of() {
    let place = tempfile::tempdir().unwrap();
    let (loading, _) = begun(&[("data/a", &vec![7; 3_000_000])], place.path());
    drop(loading);
    for sizes in [[10, 20], [1_000_000, 3_000_000], [3_000_000, 17_000_000]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let archive = Archive::begin(&full, &place.path().join("full"), Progress::default()).unwrap();
        let mut loading = Loading::begin(&CaseFolder::open(&place.path().join("case")).unwrap(), archive);
        let said = sizes.iter().try_for_each(|size| {
            loading.begin_member(format!("case/{size}"))?;
            loading.write(&vec![1; *size])
        });
        match said.and_then(|()| loading.finish().map(drop)).unwrap_err() {
            PackageError::Io(error) => assert_eq!((error.doing, error.source.kind()), ("write", io::ErrorKind::StorageFull)),
            other => panic!("{other:?}"),
        }
    }
}
