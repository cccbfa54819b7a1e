//! Whatever is changed in a sealed case or its package is found and named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use caselock::case::{CaseFiles, CaseFolder, LEDGER};
use caselock::model::Severity;
use caselock::package::PackageFiles;
use caselock::verify::{Options, Report, Verdict, verify};

use crate::account::{Simulated, files_below};

/// Files under `data/` that lie beside many of their kind; of each kind this many are changed.
const SAMPLED: usize = 3;

/// A sealed case with evidence of every source, and its package.
fn sealed() -> Simulated {
    let simulated = Simulated::small();
    simulated.collect("case", &[]).expect(0);
    // Not packaged: the line that a package adds to the ledger is covered by the next seal only.
    simulated.seal("case");
    // As whoever tampers would.
    for path in fs::read_dir(simulated.path("")).unwrap().map(|entry| entry.unwrap().path()) {
        make_writable(&path);
    }
    simulated
}

/// Every file but the reports, which are derived and covered by nothing.
fn covered(case: &Path) -> impl Iterator<Item = String> {
    files_below(case).into_keys().filter(|path| !path.starts_with("reports/"))
}

fn make_writable(path: &Path) {
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| make_writable(&entry.unwrap().path()));
    }
}

fn report(case: &Path) -> Option<Report> {
    verify(&CaseFolder::open(case).ok()?, &Options::default()).ok()
}

/// The objects of all failures, or nothing when there is not even a report.
fn failures(case: &Path) -> Option<BTreeSet<String>> {
    let report = report(case)?;
    let failures = report.findings.iter().filter(|finding| finding.severity == Severity::Failure);
    let objects: BTreeSet<String> = failures.map(|finding| finding.object.clone()).collect();
    assert_eq!(report.verdict == Verdict::Fail, !objects.is_empty());
    Some(objects)
}

/// The objects of everything that keeps the case from passing.
fn unproven(case: &Path) -> BTreeSet<String> {
    let report = report(case).unwrap();
    assert_ne!(report.verdict, Verdict::Pass);
    report
        .findings
        .iter()
        .filter(|finding| finding.severity != Severity::Notice)
        .map(|finding| finding.object.clone())
        .collect()
}

/// Files worth changing: all but those of `data/` that are like others.
fn targets(case: &Path) -> Vec<String> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut targets: Vec<String> = covered(case).collect();
    targets.retain(|path| {
        let kind = match path.strip_prefix("data/") {
            None => return true,
            Some(below) if below.starts_with("api/") => below.rsplit_once('/').unwrap().0.to_owned(),
            Some(below) if below.contains("CloudTrail-Digest") => "digest".to_owned(),
            Some(below) => below.split('/').nth(1).unwrap().to_owned(),
        };
        let seen = kinds.entry(kind).or_default();
        *seen += 1;
        *seen <= SAMPLED
    });
    targets
}

/// Whether `objects` name the file: itself, or the statement that it breaks.
fn names(objects: &BTreeSet<String>, path: &str) -> bool {
    // The ledger is covered by the seal; a signature belongs to its seal.
    let seal = path.strip_suffix(".sig").filter(|seal| seal.starts_with("custody/seals/"));
    objects.iter().any(|object| object == path || seal == Some(object) || object.contains(path))
        || (path == "custody/ledger.jsonl" && objects.iter().any(|object| object.starts_with("custody/seals/")))
}

#[test]
fn a_changed_byte_in_any_file_is_found_and_the_file_is_named() {
    let simulated = sealed();
    let case = simulated.path("case");
    assert_eq!(failures(&case), Some(BTreeSet::new()));
    let targets = targets(&case);
    assert!(targets.len() > 30, "{targets:#?}");
    let mut problems = Vec::new();
    for path in &targets {
        let file = case.join(path);
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.is_empty(), "{path}");
        let mut places = vec![0, bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4, bytes.len() - 1];
        places.dedup();
        for place in places {
            for flip in [0x01, 0x80] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                fs::write(&file, &changed).unwrap();
                match failures(&case) {
                    Some(objects) if names(&objects, path) => {}
                    other => problems.push(format!("{path}, byte {place} ^ {flip:#x}: {other:?}")),
                }
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(failures(&case), Some(BTreeSet::new()));
}

#[test]
fn a_file_that_grows_shrinks_or_is_emptied_is_found_and_named() {
    let simulated = sealed();
    let case = simulated.path("case");
    let mut problems = Vec::new();
    for path in &targets(&case) {
        let file = case.join(path);
        let bytes = fs::read(&file).unwrap();
        for changed in [&[&bytes[..], b"\n"].concat()[..], &bytes[..bytes.len() - 1], b""] {
            fs::write(&file, changed).unwrap();
            match failures(&case) {
                Some(objects) if names(&objects, path) => {}
                // One more newline is what a crash leaves between closing a torn line and accounting for it.
                Some(_) if path == LEDGER && changed.len() > bytes.len() && names(&unproven(&case), path) => {}
                other => problems.push(format!("{path}, {} of {} bytes: {other:?}", changed.len(), bytes.len())),
            }
        }
        fs::write(&file, &bytes).unwrap();
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_deleted_file_is_found_and_named() {
    let simulated = sealed();
    let case = simulated.path("case");
    let mut problems = Vec::new();
    for path in covered(&case) {
        let (file, aside) = (case.join(&path), simulated.path("aside"));
        fs::rename(&file, &aside).unwrap();
        match failures(&case) {
            Some(objects) if names(&objects, &path) => {}
            // As the last thing that happened, a seal without its signature is also what a crash leaves.
            Some(_) if path.ends_with(".sig") && names(&unproven(&case), "custody/seals/0001.json") => {}
            other => problems.push(format!("{path}: {other:?}")),
        }
        fs::rename(&aside, &file).unwrap();
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn an_added_or_renamed_file_is_found_and_named() {
    let simulated = sealed();
    let case = simulated.path("case");
    for path in ["data/extra", "data/s3/example-corp-cloudtrail/extra.json.gz", "data/api/.hidden"] {
        fs::write(case.join(path), "planted").unwrap();
        assert!(failures(&case).unwrap().contains(path), "{path}");
        fs::remove_file(case.join(path)).unwrap();
    }
    let path = files_below(&case).into_keys().find(|path| path.starts_with("data/s3/")).unwrap();
    fs::rename(case.join(&path), case.join(format!("{path}x"))).unwrap();
    let objects = failures(&case).unwrap();
    assert!(objects.contains(&path) && objects.contains(&format!("{path}x")), "{objects:?}");
}

#[test]
fn the_program_ends_with_3_and_names_the_file() {
    let simulated = sealed();
    let case = simulated.path("case");
    let payload = files_below(&case).into_keys().find(|path| path.starts_with("data/s3/")).unwrap();
    for path in
        [payload.as_str(), "custody/ledger.jsonl", "custody/case.toml", "custody/seals/0001.json", "manifest-sha256.txt"]
    {
        let bytes = fs::read(case.join(path)).unwrap();
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        fs::write(case.join(path), &changed).unwrap();
        let ran = simulated.run(&["verify", "case"]).expect(3);
        assert!(ran.stdout.starts_with("FAIL") && ran.stdout.contains(path), "{path}\n{}", ran.stdout);
        // Damage is never sealed over, extended or handed on.
        for line in [&["seal", "case", "--signing-key", "key"][..], &["package", "case", "-o", "again.zip"]] {
            let ran = simulated.run(line);
            assert_eq!(ran.code, 3, "{path}: {line:?}\n{}{}", ran.stdout, ran.stderr);
        }
        assert!(!simulated.path("again.zip").exists());
        fs::write(case.join(path), &bytes).unwrap();
    }
    for path in ["custody/case.toml", "custody/ledger.jsonl"] {
        fs::rename(case.join(path), simulated.path("aside")).unwrap();
        let ran = simulated.run(&["verify", "case"]);
        assert!(ran.code == 3 && ran.stdout.contains(path), "{path}: {ran:?}");
        fs::rename(simulated.path("aside"), case.join(path)).unwrap();
    }
    fs::write(case.join("data/extra"), "planted").unwrap();
    let ran = simulated.run(&["verify", "case"]).expect(3);
    assert!(ran.stdout.contains("data/extra"), "{}", ran.stdout);
}

/// Whether a changed package is refused, or fails: anything but a pass, and never a panic.
fn is_found(path: &Path) -> bool {
    let verified = catch_unwind(AssertUnwindSafe(|| {
        let Ok(files) = PackageFiles::open(path) else { return true };
        let files: &dyn CaseFiles = &files;
        verify(files, &Options::default()).map_or(true, |report| report.verdict == Verdict::Fail)
    }));
    verified.unwrap_or(false)
}

/// Where the structures of a zip lie, for the first member, one in the middle and the last; and the whole end of the archive.
fn structures(zip: &[u8]) -> BTreeSet<usize> {
    let find = |signature: &[u8]| memchr::memmem::find_iter(zip, signature).collect::<Vec<_>>();
    let (locals, centrals) = (find(b"PK\x03\x04"), find(b"PK\x01\x02"));
    assert_eq!(locals.len(), centrals.len());
    let mut places = BTreeSet::new();
    for at in [0, locals.len() / 2, locals.len() - 1] {
        // Header, name and the beginning of the data; central header and name.
        places.extend(locals[at]..(locals[at] + 160).min(zip.len()));
        places.extend(centrals[at]..(centrals[at] + 180).min(zip.len()));
    }
    places.extend(zip.len() - 64..zip.len());
    places
}

#[test]
fn a_changed_byte_anywhere_in_a_package_is_found() {
    // A small case: every change means reading the whole package again.
    let simulated = Simulated::small();
    simulated.sealed_case(&["--source", "ebs"]);
    let (original, changed) = (fs::read(simulated.path("case.zip")).unwrap(), simulated.path("changed.zip"));
    fs::write(&changed, &original).unwrap();
    assert!(!is_found(&changed));
    let mut places = structures(&original);
    places.extend((0..original.len()).step_by(original.len() / 400));
    assert!(places.len() > 1_000, "{}", places.len());
    let mut missed = Vec::new();
    let mut bytes = original.clone();
    for place in places {
        let flip = if place % 2 == 0 { 0x01 } else { 0x80 };
        bytes[place] ^= flip;
        fs::write(&changed, &bytes).unwrap();
        if !is_found(&changed) {
            missed.push(place);
        }
        bytes[place] ^= flip;
    }
    assert!(missed.is_empty(), "of {} bytes: {missed:?}", original.len());
}

#[test]
fn a_package_cut_short_or_made_longer_is_found() {
    let simulated = Simulated::small();
    simulated.sealed_case(&["--source", "ebs"]);
    let (original, changed) = (fs::read(simulated.path("case.zip")).unwrap(), simulated.path("changed.zip"));
    let lengths = (0..original.len()).step_by(original.len() / 150).chain(original.len() - 70..original.len());
    for length in lengths {
        fs::write(&changed, &original[..length]).unwrap();
        assert!(is_found(&changed), "{length} of {} bytes", original.len());
    }
    for more in [&b"\0"[..], b"PK\x05\x06", &original] {
        fs::write(&changed, [&original, more].concat()).unwrap();
        assert!(is_found(&changed), "{} bytes more", more.len());
        fs::write(&changed, [more, &original].concat()).unwrap();
        assert!(is_found(&changed), "{} bytes before", more.len());
    }
    for length in [0, 1, original.len() / 2, original.len() - 1] {
        fs::write(&changed, &original[..length]).unwrap();
        simulated.run(&["verify", "changed.zip"]).expect(3).says(&["evidence:", "next: Compare its SHA-256"]);
    }
}
