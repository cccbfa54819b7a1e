//! What a power cut leaves: writes that were not flushed are lost, in part or whole, in any order.
//!
//! The real program collects once, under strace. Every prefix of what it did to the folder is then rebuilt as a disk might hold it:
//! what was flushed is there, and of what was not, chance decides. `CASELOCK_POWER_CUTS` sets how often each prefix is rebuilt.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use caselock::case::event::Event;
use caselock::case::{CaseFiles as _, CaseFolder, CaseIdentity, CaseWriter, Found, LEDGER, is_begun};
use caselock::model::Sha256Hash;
use caselock::verify::{Options, Verdict, verify};

use crate::account::{Simulated, files_below, run};
use crate::sample::{tool, verified_folder};
use crate::strace;

/// What the program did to the folder, as far as it matters to a disk.
#[derive(Clone, Debug)]
enum Step {
    /// A file got its name, its data written before.
    Named(String),
    /// So many bytes were appended to the ledger.
    Appended(usize),
    /// The ledger's data were flushed.
    LedgerFlushed,
    /// A folder's names were flushed.
    FolderFlushed(String),
    /// Everything was flushed.
    AllFlushed,
}

/// Reads the steps from a log, calls that another thread came between put together again.
fn steps(log: &str, case: &str) -> Vec<Step> {
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    let mut steps = Vec::new();
    for line in log.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let mut call = rest.trim_start().to_owned();
        if let Some(beginning) = call.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, beginning.trim_end().to_owned());
            continue;
        }
        if let Some((_, end)) = call.split_once(" resumed>") {
            call = unfinished.remove(thread).unwrap_or_default() + end;
        }
        steps.extend(step(&call, case));
    }
    steps
}

fn step(call: &str, case: &str) -> Option<Step> {
    let (name, arguments) = call.split_once('(')?;
    let (arguments, result) = arguments.rsplit_once(" = ")?;
    let result: i64 = result.split(' ').next()?.parse().ok()?;
    // What a descriptor stands for is in angle brackets.
    let descriptors: Vec<&str> =
        arguments.split('<').skip(1).filter_map(|text| text.split('>').next()).filter(|path| path.starts_with(case)).collect();
    let below = |path: &str| path[case.len()..].trim_start_matches('/').to_owned();
    match name {
        "linkat" if result == 0 => {
            // The last string is the new name; it is below the last descriptor, unless it is whole.
            let new = arguments.split('"').nth(3)?;
            if new.starts_with(case) {
                return Some(Step::Named(below(new)));
            }
            Some(Step::Named(format!("{}/{new}", below(descriptors.last()?))))
        }
        "write" if descriptors.first().is_some_and(|path| path.ends_with("/custody/ledger.jsonl")) => {
            Some(Step::Appended(usize::try_from(result).ok()?))
        }
        "fdatasync" if descriptors.first().is_some_and(|path| path.ends_with("/custody/ledger.jsonl")) => {
            Some(Step::LedgerFlushed)
        }
        "fsync" => descriptors.first().map(|path| Step::FolderFlushed(below(path))),
        "syncfs" if result == 0 => Some(Step::AllFlushed),
        _ => None,
    }
}

/// Chance that is the same every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }
}

/// The disk after some of the steps.
#[derive(Default)]
struct Disk {
    named: Vec<(String, bool)>,
    ledger_there: bool,
    appended: usize,
    flushed: usize,
}

impl Disk {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Named(path) => self.named.push((path.clone(), false)),
            Step::Appended(bytes) => self.appended += bytes,
            Step::LedgerFlushed => self.flushed = self.appended,
            Step::FolderFlushed(folder) => {
                for (path, durable) in &mut self.named {
                    *durable |= path.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
                }
                self.ledger_there |= folder == "custody";
            }
            Step::AllFlushed => {
                self.named.iter_mut().for_each(|(_, durable)| *durable = true);
                self.flushed = self.appended;
                self.ledger_there = true;
            }
        }
    }

    /// Writes what the disk might hold into `root`. `whole` is the case as it was in the end.
    fn rebuild(&self, root: &Path, whole: &BTreeMap<String, Vec<u8>>, chance: &mut Chance) {
        fs::create_dir_all(root.join("custody")).unwrap();
        for (path, durable) in &self.named {
            if !durable && chance.below(2) == 0 {
                continue;
            }
            let mut bytes = whole[path].clone();
            // A file of the case that is not evidence is flushed before it is named; evidence is flushed with its name.
            if !durable && path.starts_with("data/") {
                match chance.below(3) {
                    0 => bytes.truncate(chance.below(bytes.len())),
                    1 => {
                        let from = chance.below(bytes.len());
                        bytes[from..].fill(0);
                    }
                    _ => {}
                }
            }
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        let lost = self.appended - self.flushed;
        let mut ledger = whole[LEDGER][..self.appended].to_vec();
        if lost > 0 {
            match chance.below(4) {
                0 => ledger.truncate(self.flushed + chance.below(lost)),
                1 => ledger[self.flushed + chance.below(lost)..].fill(0),
                2 => {
                    let from = self.flushed + chance.below(lost);
                    let to = (from + 2 + chance.below(lost)).min(ledger.len());
                    if to - from >= 2 {
                        ledger[from..to].fill(0);
                    }
                }
                _ => {}
            }
        }
        if self.ledger_there || chance.below(2) == 0 {
            fs::write(root.join(LEDGER), ledger).unwrap();
        }
    }
}

/// What must hold of a folder that a power cut left.
fn survives(root: &Path, acknowledged: &[u8], whole: &BTreeMap<String, Vec<u8>>, identity: &CaseIdentity, at: &str) {
    if !is_begun(root) {
        assert!(acknowledged.is_empty(), "{at}: the ledger's first line is gone");
        if let Ok(folder) = CaseFolder::open(root) {
            assert_ne!(verify(&folder, &Options::default()).unwrap().verdict, Verdict::Fail, "{at}");
        }
        drop(CaseWriter::create(root, identity, &tool()).unwrap_or_else(|error| panic!("{at}: {error}")));
        return;
    }
    let report = verified_folder(root);
    assert_ne!(report.verdict, Verdict::Fail, "{at}: {:#?}", report.findings);
    let mut writer = CaseWriter::open(root).unwrap_or_else(|error| panic!("{at}: {error}"));
    writer.begin_run().unwrap();
    assert!(fs::read(root.join(LEDGER)).unwrap().starts_with(acknowledged), "{at}: acknowledged lines are gone");
    let mut recorded = BTreeMap::new();
    writer
        .read_ledger(&mut |line| {
            if let Event::ArtifactAcquired(artifact) = &line.entry.event {
                recorded.insert(artifact.path.to_string(), artifact.sha256);
            }
        })
        .unwrap();
    let mut found = BTreeMap::new();
    CaseFolder::open(root)
        .unwrap()
        .walk(&mut |file| {
            if let Found::File { path, .. } = file
                && path.starts_with("data/")
            {
                found.insert(path.to_owned(), Sha256Hash::of(&fs::read(root.join(path)).unwrap()));
            }
        })
        .unwrap();
    assert_eq!(found, recorded, "{at}");
    assert!(found.iter().all(|(path, sha256)| Sha256Hash::of(&whole[path]) == *sha256), "{at}");
}

/// Guarantee G4: what the ledger acknowledges survives a power cut, and what a power cut damages is never believed.
#[test]
fn a_power_cut_at_any_point_loses_nothing_acknowledged_and_nothing_damaged_is_believed() {
    let simulated = Simulated::small();
    let (case, log) = (simulated.path("case"), simulated.path("trace"));
    let arguments = simulated.collect_arguments(case.to_str().unwrap(), &["--source", "cloudtrail", "--source", "ebs"]);
    let calls = ["fdatasync", "fsync", "linkat", "syncfs", "write"];
    run(&mut strace::command(&simulated, &log, &calls, None, &arguments)).expect(0);
    let whole = files_below(&case);
    let identity = caselock::case::read_identity(&CaseFolder::open(&case).unwrap()).unwrap();
    let steps = steps(&fs::read_to_string(&log).unwrap(), case.to_str().unwrap());
    let times: usize = std::env::var("CASELOCK_POWER_CUTS").ok().and_then(|times| times.parse().ok()).unwrap_or(2);

    let named = steps.iter().filter(|step| matches!(step, Step::Named(path) if path.starts_with("data/"))).count();
    assert_eq!(named, whole.keys().filter(|path| path.starts_with("data/")).count(), "the log tells of every artifact");
    let appended: usize = steps.iter().map(|step| if let Step::Appended(bytes) = step { *bytes } else { 0 }).sum();
    assert_eq!(appended, whole[LEDGER].len(), "the log tells of every byte of the ledger");

    let mut disk = Disk::default();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut cuts = 0;
    // Where there is memory for it: nothing here is about this machine's own disk.
    let scratch = Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir()).unwrap_or_else(std::env::temp_dir);
    for (number, step) in steps.iter().enumerate() {
        disk.take(step);
        for time in 0..times {
            let folder = tempfile::tempdir_in(&scratch).unwrap();
            let root = folder.path().join("case");
            disk.rebuild(&root, &whole, &mut chance);
            let at = format!("after step {number} ({step:?}), time {time}");
            survives(&root, &whole[LEDGER][..disk.flushed], &whole, &identity, &at);
            cuts += 1;
        }
    }
    println!("{cuts} power cuts over {} steps", steps.len());
}
