//! Full disks, read-only folders, folders that vanish, rivals, and folders that somebody prepared.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use caselock::case::{CASE_TOML, CaseWriter, LEDGER};
use caselock::seal::{SealOptions, seal_case_with};
use caselock::verify::Verdict;

use crate::account::{Ran, Simulated, files_below, finish};
use crate::findings::printed;
use crate::sample::{Sample, artifact, at, shell, shell_ok, tool, verified_folder};

const SCOPE: &[&str] = &["--source", "cloudtrail", "--source", "ebs", "--region", "us-east-1"];

/// A small file system of its own, in memory. Only an administrator can mount one; others get a folder with a limit on each file.
struct SmallDisk {
    folder: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    fn new(folder: PathBuf, size: &str) -> Self {
        fs::create_dir(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&folder).status();
        let mounted = mounted.is_ok_and(|status| status.success());
        Self { folder, mounted }
    }

    fn remount(&self, options: &str) {
        let remounted = Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(&self.folder).status().unwrap();
        assert!(remounted.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            let _unmounted = Command::new("umount").arg("-l").arg(&self.folder).status();
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Guarantee G5: a crash, a full disk or a failed call is never reported as tampering.
#[test]
fn a_disk_that_fills_up_loses_nothing_and_the_next_run_completes() {
    let simulated = Simulated::quiet();
    let disk = SmallDisk::new(simulated.path("small"), "128k");
    let case = disk.folder.join("case");
    let line = simulated.collect_arguments(text(&case), SCOPE);
    if disk.mounted {
        simulated.run(&line).expect(1).says(&["No space left on device", "Make room on the disk"]);
        disk.remount("size=32m");
    } else {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -f 8; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_caselock")]).args(&line);
        simulated.is_asked_by(&mut limited);
        assert!(!limited.output().unwrap().status.success());
    }
    if caselock::case::is_begun(&case) {
        let left = verified_folder(&case);
        assert_ne!(left.verdict, Verdict::Fail, "{:#?}", left.findings);
    }
    simulated.run(&line).expect(0);
    assert_eq!(verified_folder(&case).verdict, Verdict::Pass);
}

#[test]
fn a_case_on_a_read_only_disk_is_verified_and_not_written_to() {
    let simulated = Simulated::quiet();
    let disk = SmallDisk::new(simulated.path("small"), "32m");
    let case = disk.folder.join("case");
    let line = simulated.collect_arguments(text(&case), SCOPE);
    simulated.run(&line).expect(0);
    let before = files_below(&case);
    if disk.mounted {
        disk.remount("ro");
    } else {
        assert!(Command::new("chmod").args(["-R", "a-w"]).arg(&case).status().unwrap().success());
    }
    simulated.run(&["verify", text(&case)]).expect(0);
    simulated.run(&["status", text(&case)]).expect(0);
    simulated.run(&line).expect(1).says(&["ledger.jsonl"]);
    assert_eq!(files_below(&case), before);
}

#[test]
fn a_folder_that_disappears_under_a_run_is_an_error() {
    let (sample, mut writer) = Sample::new();
    let pending = artifact(&writer, "later", b"later");
    fs::remove_dir_all(sample.case()).unwrap();
    assert!(writer.commit(vec![pending]).is_err());
    assert!(!sample.case().exists());
    let pending = writer.staging().stage(&Sample::payload()[0]);
    assert!(pending.is_err(), "nothing is made where the case is gone");
}

#[test]
fn of_two_collectors_at_once_one_collects_and_the_other_changes_nothing() {
    let simulated = Simulated::quiet();
    let rivals = [simulated.start_collecting("case", SCOPE), simulated.start_collecting("case", SCOPE)].map(finish);
    let mut codes = rivals.each_ref().map(|ran| ran.code);
    codes.sort_unstable();
    assert!([[0, 0], [0, 1]].contains(&codes), "{rivals:?}");
    for refused in rivals.iter().filter(|ran| ran.code == 1) {
        assert!(refused.stderr.contains("another caselock is working on the case"), "{refused:?}");
    }
    let report = verified_folder(&simulated.path("case"));
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.findings);
}

#[test]
fn a_hostile_case_file_is_a_failure_and_nothing_worse() {
    let deep = format!("notes = {}{}\n", "[".repeat(50_000), "]".repeat(50_000));
    let dotted = format!("{}x = 1\n", "a.".repeat(50_000));
    let sample = Sample::unsealed();
    let genuine = fs::read_to_string(sample.file(CASE_TOML)).unwrap();
    let ages: Vec<&str> = genuine
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some(("start", _)) => "start = \"0001-01-01T00:00:00Z\"",
            Some(("end", _)) => "end = \"9999-12-31T23:59:59Z\"",
            _ => line,
        })
        .collect();
    let ages = ages.join("\n") + "\n";
    assert!(ages.contains("0001-01-01") && ages.contains("9999-12-31"), "{ages}");
    for content in [
        ages,
        "x".repeat(2 * 1024 * 1024),
        deep,
        dotted,
        "format-version = 1\ncase-number = 7\n".to_owned(),
        "format-version = 99999999999999999999\n".to_owned(),
        "format-version = 1\nformat-version = 1\n".to_owned(),
        String::new(),
        "\u{0}\u{1b}[2J".to_owned(),
    ] {
        let sample = Sample::unsealed();
        sample.overwrite(CASE_TOML, content.as_bytes());
        let ran = sample.run(&["verify", "case"]);
        let start = &content[..content.len().min(20)];
        assert_eq!(ran.code, 3, "{start}: {ran:?}");
        assert!(CaseWriter::open(&sample.case()).is_err(), "{start}");
    }
}

#[test]
fn folders_in_folders_without_end_are_a_failure_and_nothing_worse() {
    let sample = Sample::unsealed();
    fs::create_dir_all(sample.file("data").join("x/".repeat(1500))).unwrap();
    // So that a descriptor for each of them would be too many.
    let script = format!("ulimit -n 400 && exec {} verify --json case", env!("CARGO_BIN_EXE_caselock"));
    let report = Ran::from(shell(&sample.path(""), &script)).expect(3).json();
    let failures: Vec<String> = printed(&report, "failure").into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(failures, ["foreign-file"], "{report:#}");
}

#[test]
fn links_devices_and_pipes_in_a_case_are_failures_and_are_not_waited_for() {
    let sample = Sample::unsealed();
    symlink("/etc/passwd", sample.file("data/link")).unwrap();
    symlink("/", sample.file("data/root")).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, sample.file("data/pipe"), pipe, 0o644.into(), 0).unwrap();
    let report = sample.verify();
    let foreign = report.findings.iter().filter(|finding| finding.kind == "foreign-file");
    let named: Vec<&str> = foreign.map(|finding| finding.object.as_str()).collect();
    assert_eq!(named, ["data/link", "data/pipe", "data/root"]);
    // In the place of what verification reads, too.
    for path in [LEDGER, Sample::payload()[0].as_str()] {
        let sample = Sample::unsealed();
        fs::remove_file(sample.file(path)).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, sample.file(path), pipe, 0o644.into(), 0).unwrap();
        let ran = sample.run(&["verify", "case"]);
        assert!([1, 3].contains(&ran.code), "{path}: {ran:?}");
    }
}

/// Guarantee G9: no name in the evidence controls the terminal of whoever looks at it.
#[test]
fn names_with_terminal_escapes_never_reach_the_terminal_raw() {
    let hostile = "IR\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\u{202e}";
    let (sample, writer) = Sample::with_case_number(hostile);
    drop(writer);
    let case = sample.path("case\u{1b}[2J\u{9b}1m");
    fs::rename(sample.case(), &case).unwrap();
    fs::write(case.join("data/evil\u{1b}[31m\u{9b}2J.txt"), "x").unwrap();
    fs::write(case.join("note\u{1b}[31m"), "x").unwrap();
    let case = text(&case);
    let mut said = 0;
    for line in [
        vec!["verify", case],
        vec!["verify", case, "--json"],
        vec!["verify", case, "--verbose"],
        vec!["status", case],
        vec!["status", case, "--json"],
        vec!["seal", case, "--signing-key", "key"],
        vec!["package", case, "-o", "out\u{1b}[2J.zip"],
        vec!["package", case, "-o", "out\u{1b}[2J.zip", "--json"],
        vec!["seal", case, "--signing-key", "key", "--despite-damage"],
        vec!["verify", "nothing\u{1b}[2J\u{9b}1m"],
    ] {
        let ran = sample.run(&line);
        for printed in [ran.stdout, ran.stderr] {
            said += printed.len();
            assert!(!printed.contains(|c: char| c != '\n' && c.is_control() || c == '\u{202e}'), "{line:?}: {printed:?}");
        }
    }
    assert!(said > 2_000);
}

/// Guarantee G8: a case that is damaged is sealed only on demand, and its seal says so.
#[test]
fn a_damaged_case_is_sealed_only_on_demand_and_the_seal_names_the_damage() {
    let sample = Sample::unsealed();
    let paths = Sample::payload();
    sample.overwrite(paths[0].as_str(), b"changed");
    fs::remove_file(sample.file(paths[1].as_str())).unwrap();
    sample.overwrite("data/planted.txt", b"planted");
    let line = ["seal", "case", "--signing-key", "key"];
    sample.run(&line).expect(3);
    assert!(!sample.file("custody/seals/0001.json").exists());
    let sealed = sample.run(&[&line[..], &["--despite-damage"]].concat()).expect(0);
    assert!(sealed.stdout.contains("DAMAGED"), "{sealed:?}");
    let statement = sample.statements().remove(0);
    for named in [
        format!("artifact-modified {}", paths[0]),
        format!("artifact-missing {}", paths[1]),
        "artifact-unlisted data/planted.txt".to_owned(),
    ] {
        assert!(statement.damage.contains(&named), "{named}: {:?}", statement.damage);
    }
    // What lies there can be handed over as it is, and still does not pass.
    shell_ok(&sample.case(), "sha256sum --strict -c manifest-sha256.txt");
    assert_eq!(sample.verify().verdict, Verdict::Fail);
}

#[test]
fn the_flags_of_the_file_system_are_set_on_demand_and_recorded_as_done_or_not() {
    let (sample, mut writer) = Sample::new();
    let options = SealOptions { flags: true, ..SealOptions::default() };
    let sealed = seal_case_with(&mut writer, &sample.key(), at(), &tool(), &options).unwrap();
    let ledger = sample.ledger();
    assert!(ledger.contains(&serde_json::to_string(&sealed.protection.immutable).unwrap()));
    let path = sample.file(Sample::payload()[0].as_str());
    let removed = fs::remove_file(&path);
    // Whoever is allowed to set the flags can take them away again; this is how such a case is deleted.
    let cleared = Command::new("chattr").args(["-R", "-f", "-i", "-a"]).arg(sample.case()).status();
    if ledger.contains(r#""immutable":"set""#) {
        assert!(removed.is_err() && ledger.contains(r#""append_only":"set""#), "{ledger}");
        assert!(cleared.unwrap().success());
    } else {
        assert!(ledger.contains(r#""immutable":"refused""#), "{ledger}");
    }
    let (other, mut writer) = Sample::new();
    let unasked = other.seal(&mut writer);
    assert!(unasked.statement.damage.is_empty());
    assert!(other.ledger().contains(r#""immutable":"not-asked""#));
}
