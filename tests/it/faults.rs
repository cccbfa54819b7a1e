//! The real program, with one system call after another made to fail, or the program killed in it.
//!
//! `cargo test` tries a fixed selection of points. `CASELOCK_SWEEP=full cargo test --test it faults:: -- --nocapture` tries every call
//! that writes, and a good part of those that read, and prints a table; in the place of `full` the name of one stage tries that stage alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use caselock::case::{CaseFolder, is_begun};
use caselock::verify::{Options, Verdict, verify};

use crate::account::{Simulated, artifacts, run};
use crate::sample::{make_removable, verified_folder};
use crate::strace;

/// Calls that change what is on disk, or decide who may.
const WRITING: [&str; 20] = [
    "chmod",
    "fchmod",
    "fchmodat",
    "fdatasync",
    "flock",
    "fsync",
    "ftruncate",
    "ioctl",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "pwrite64",
    "rename",
    "renameat2",
    "syncfs",
    "unlink",
    "unlinkat",
    "write",
    "writev",
];
/// Calls that only look.
const READING: [&str; 8] = ["close", "fstatfs", "getdents64", "newfstatat", "openat", "openat2", "read", "statx"];
const FAULTS: [&str; 5] = ["error=EIO", "error=ENOSPC", "error=EDQUOT", "error=EINTR", "signal=KILL"];

/// What is disturbed: a command, on a copy of what was there before it.
struct Stage<'a> {
    name: &'static str,
    /// The folder that is copied for each point; `None` where there is nothing yet.
    before: Option<&'a Path>,
    arguments: Vec<String>,
    /// The calls on the case, by name, and which of a thread's calls of that name they are.
    calls: BTreeMap<String, BTreeSet<usize>>,
}

struct Point<'a> {
    stage: &'a Stage<'a>,
    call: &'a str,
    fault: &'static str,
    occurrence: usize,
}

/// What an undisturbed run comes to.
struct Undisturbed {
    artifacts: BTreeMap<String, Vec<u8>>,
    code: i32,
    verdict: Verdict,
    package: Vec<u8>,
}

/// How many points were tried, and how many of them hit a call on the case.
#[derive(Clone, Copy, Default)]
struct Count {
    tried: usize,
    hit: usize,
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

fn discard(folder: &Path) {
    make_removable(folder);
    fs::remove_dir_all(folder).unwrap();
}

/// The ledger's whole lines as they are on disk.
fn whole_lines(case: &Path) -> Vec<u8> {
    let mut bytes = fs::read(case.join("custody/ledger.jsonl")).unwrap_or_default();
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(end);
    bytes
}

struct Sweep {
    simulated: Simulated,
    collected: PathBuf,
    interrupted: PathBuf,
    sealed: PathBuf,
    undisturbed: Undisturbed,
}

impl Sweep {
    fn prepare() -> Self {
        let simulated = Simulated::small();
        let (collected, sealed, interrupted) =
            (simulated.path("collected/case"), simulated.path("sealed/case"), simulated.path("interrupted/case"));
        for folder in [&collected, &sealed, &interrupted] {
            fs::create_dir_all(folder.parent().unwrap()).unwrap();
        }
        let code = simulated.collect("collected/case", SCOPE).code;
        copy(&collected, &sealed);
        simulated.seal("sealed/case");
        simulated.run(&["package", "sealed/case", "-o", "undisturbed.zip"]).expect(0);
        let undisturbed = Undisturbed {
            artifacts: artifacts(&collected),
            code,
            verdict: verified_folder(&collected).verdict,
            package: fs::read(simulated.path("undisturbed.zip")).unwrap(),
        };
        // Killed while its second group of files gets its names, with half a line in the ledger as well.
        let arguments = simulated.collect_arguments(&text(&interrupted), SCOPE);
        let log = simulated.path("interrupted.log");
        run(&mut strace::command(&simulated, &log, &["linkat"], Some("linkat:signal=KILL:when=5"), &arguments));
        let ledger = interrupted.join("custody/ledger.jsonl");
        assert!(artifacts(&interrupted).len() < undisturbed.artifacts.len(), "it was not interrupted");
        let torn = [&fs::read(&ledger).unwrap()[..], b"{\"at\":\"2026-03-0"].concat();
        fs::write(&ledger, torn).unwrap();
        Self { simulated, collected, interrupted, sealed, undisturbed }
    }

    fn stages(&self) -> Vec<Stage<'_>> {
        let key = text(&self.simulated.path("key"));
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<String>>();
        let mut stages = vec![
            Stage {
                name: "collect",
                before: None,
                arguments: self.simulated.collect_arguments("{case}", SCOPE),
                calls: BTreeMap::new(),
            },
            Stage {
                name: "resume",
                before: Some(&self.interrupted),
                arguments: self.simulated.collect_arguments("{case}", SCOPE),
                calls: BTreeMap::new(),
            },
            Stage {
                name: "seal",
                before: Some(&self.collected),
                arguments: words(&["seal", "{case}", "--signing-key", &key]),
                calls: BTreeMap::new(),
            },
            Stage {
                name: "package",
                before: Some(&self.sealed),
                arguments: words(&["package", "{case}", "-o", "{case}.zip"]),
                calls: BTreeMap::new(),
            },
        ];
        for stage in &mut stages {
            let place = self.simulated.path(&format!("traced-{}", stage.name));
            let case = self.set_up(stage, &place);
            let log = place.join("trace");
            let calls: Vec<&str> = WRITING.into_iter().chain(READING).collect();
            let traced = run(&mut strace::command(&self.simulated, &log, &calls, None, &filled(&stage.arguments, &case)));
            traced.expect(if ["collect", "resume"].contains(&stage.name) { self.undisturbed.code } else { 0 });
            stage.calls = strace::occurrences(&fs::read_to_string(&log).unwrap(), &text(&place));
            discard(&place);
        }
        stages
    }

    /// The folder as it is before the stage.
    fn set_up(&self, stage: &Stage<'_>, place: &Path) -> PathBuf {
        fs::create_dir(place).unwrap();
        let case = place.join("case");
        if let Some(before) = stage.before {
            copy(before, &case);
        }
        case
    }

    /// Tries one point. Gives whether the fault hit a call on the case.
    fn try_point(&self, point: &Point<'_>, number: usize) -> bool {
        let Point { stage, call, fault, occurrence } = point;
        let named = format!("{} {call} {fault} occurrence {occurrence}", stage.name);
        let place = self.simulated.path(&format!("point-{number}"));
        let case = self.set_up(stage, &place);
        let log = place.join("trace");
        let inject = format!("{call}:{fault}:when={occurrence}");
        let arguments = filled(&stage.arguments, &case);
        let before = whole_lines(&case);
        let ran = run(&mut strace::command(&self.simulated, &log, &[call], Some(&inject), &arguments));
        let hit = strace::hit(&fs::read_to_string(&log).unwrap_or_default(), call, &text(&place));
        // A failed call is not tampering, and the program must not say so. Killed, it says nothing.
        // (127: the fault came before the program's first instruction. A write can also be the runtime's own, to wake a thread.)
        let runtime_only = ran.code == 101 && ran.stderr.contains("failed to wake I/O driver");
        let key_only = ran.code == 2 && ran.stderr.contains("cannot read the key");
        assert!([-1, 0, 1, 4, 127, 137].contains(&ran.code) || runtime_only || key_only, "{named}: {ran:?}");
        // Once the program has said what the ledger's root is, the ledger has that root, whatever failed.
        let acknowledged = whole_lines(&case);
        assert!(acknowledged.starts_with(&before), "{named}: lines of the ledger are gone");
        let begun = is_begun(&case);
        if begun {
            let report = verified_folder(&case);
            assert_ne!(report.verdict, Verdict::Fail, "{named}: {:#?}\n{ran:?}", report.findings);
            let told: Vec<&str> = ran.stdout.lines().filter_map(|line| line.strip_prefix("Root     ")).collect();
            let roots = usize::from([0, 4].contains(&ran.code) && stage.name != "package");
            assert!(told.len() >= roots, "{named}: no root was told: {ran:?}");
            assert!(told.iter().all(|root| *root == report.ledger.root.to_string()), "{named}: {ran:?}");
        } else if let Ok(folder) = CaseFolder::open(&case) {
            let report = verify(&folder, &Options::default()).unwrap();
            assert_eq!(report.verdict, Verdict::Incomplete, "{named}: {:#?}", report.findings);
        }
        self.completes(stage, &case, &arguments, &named, &acknowledged);
        discard(&place);
        hit
    }

    /// The same command again, undisturbed, must come to what it would have come to at once.
    fn completes(&self, stage: &Stage<'_>, case: &Path, arguments: &[String], named: &str, acknowledged: &[u8]) {
        let again = self.simulated.run(arguments);
        let report = verified_folder(case);
        assert!(whole_lines(case).starts_with(acknowledged), "{named}: lines of the ledger are gone");
        match stage.name {
            "seal" => {
                assert_eq!(again.code, 0, "{named}: {again:?}");
                assert!(
                    !report.seals.is_empty() && report.seals.iter().all(|seal| seal.signer.is_some()),
                    "{named}: {report:#?}"
                );
            }
            "package" => {
                assert_eq!(again.code, 0, "{named}: {again:?}");
                let package = case.with_extension("zip");
                assert_eq!(fs::read(&package).unwrap(), self.undisturbed.package, "{named}");
                let line = fs::read_to_string(case.with_extension("zip.sha256")).unwrap();
                assert!(line.ends_with("  case.zip\n"), "{named}: {line}");
            }
            _ => {
                assert_eq!(again.code, self.undisturbed.code, "{named}: {again:?}");
                let (now, expected) = (artifacts(case), &self.undisturbed.artifacts);
                let differ: Vec<_> =
                    now.keys().chain(expected.keys()).filter(|name| now.get(*name) != expected.get(*name)).collect();
                assert!(differ.is_empty(), "{named}: {differ:#?}");
            }
        }
        assert_eq!(report.verdict, self.undisturbed.verdict, "{named}: {:#?}", report.findings);
    }

    /// Tries points side by side; gives what was tried and hit, by stage, call and fault.
    fn run(&self, points: &[Point<'_>]) -> BTreeMap<(&'static str, String, &'static str), Count> {
        let counts = Mutex::new(BTreeMap::new());
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(point) = points.get(number) else { return };
                        let hit = std::panic::catch_unwind(AssertUnwindSafe(|| self.try_point(point, number)));
                        let Ok(hit) = hit else {
                            failed.fetch_add(1, Ordering::Relaxed);
                            continue;
                        };
                        let mut counts = counts.lock().unwrap();
                        let key = (point.stage.name, point.call.to_owned(), point.fault);
                        let count: &mut Count = counts.entry(key).or_default();
                        count.tried += 1;
                        count.hit += usize::from(hit);
                    }
                });
            }
        });
        // Each says by itself what it is, so that one run shows all of them.
        assert_eq!(failed.into_inner(), 0, "points failed, of {}", points.len());
        counts.into_inner().unwrap()
    }
}

/// One hour of one trail and the snapshots: everything there is, in little.
const SCOPE: &[&str] = &["--source", "cloudtrail", "--source", "ebs"];

fn filled(arguments: &[String], case: &Path) -> Vec<String> {
    arguments.iter().map(|argument| argument.replace("{case}", &text(case))).collect()
}

/// At most `most` of them, evenly spread.
fn spread(occurrences: &BTreeSet<usize>, most: usize) -> Vec<usize> {
    let step = occurrences.len().div_ceil(most).max(1);
    occurrences.iter().copied().skip(step / 2).step_by(step).collect()
}

fn points<'a>(stages: &'a [Stage<'a>], full: bool) -> Vec<Point<'a>> {
    let mut points = Vec::new();
    for stage in stages {
        for (call, occurrences) in &stage.calls {
            let writes = WRITING.contains(&call.as_str());
            // Where every call that writes is one of a hundred like it, some twenty of them stand for all.
            let collects = ["collect", "resume"].contains(&stage.name);
            let most = match (full, writes) {
                (true, true) if collects => 22,
                (true, true) => 60,
                (true, false) => 12,
                (false, _) => 1,
            };
            for (at, fault) in FAULTS.into_iter().enumerate() {
                for occurrence in spread(occurrences, most) {
                    // The selection takes the calls that write with two faults, those that only look with one.
                    let chosen = full || fault == "signal=KILL" && writes || at == (call.len() + occurrence) % 4;
                    if chosen {
                        points.push(Point { stage, call, fault, occurrence });
                    }
                }
            }
        }
    }
    points
}

fn table(counts: &BTreeMap<(&'static str, String, &'static str), Count>) -> String {
    let mut by_stage: BTreeMap<(&str, &str), BTreeMap<&str, usize>> = BTreeMap::new();
    for ((stage, call, fault), count) in counts {
        by_stage.entry((stage, call)).or_default().insert(fault, count.hit);
    }
    let mut table =
        String::from("| command | call | EIO | ENOSPC | EDQUOT | EINTR | SIGKILL |\n|---|---|---:|---:|---:|---:|---:|\n");
    for ((stage, call), faults) in by_stage {
        let cells = FAULTS.map(|fault| faults.get(fault).copied().unwrap_or(0).to_string());
        writeln!(table, "| {stage} | {call} | {} |", cells.join(" | ")).unwrap();
    }
    table
}

/// Guarantee G1: what the ledger acknowledges is on disk, whatever call fails and whenever the program is killed.
/// Guarantee G2: after any interruption the same command completes the work, with the same evidence; the interruption is in the ledger.
/// Guarantee G5: a crash, a full disk or a failed call is never reported as tampering.
#[test]
fn whatever_fails_nothing_acknowledged_is_lost_and_the_next_run_completes() {
    let sweep = Sweep::prepare();
    let mut stages = sweep.stages();
    stages.reverse();
    let wish = std::env::var("CASELOCK_SWEEP").unwrap_or_default();
    let full = !wish.is_empty();
    if stages.iter().any(|stage| stage.name == wish) {
        stages.retain(|stage| stage.name == wish);
    }
    let points = points(&stages, full);
    println!("{} points", points.len());
    let counts = sweep.run(&points);
    let (tried, hit) = counts.values().fold((0, 0), |(tried, hit), count| (tried + count.tried, hit + count.hit));
    println!("{}\n{tried} points tried, {hit} of them hit a call on the case or the package", table(&counts));
    assert!(hit >= if wish == "full" { 2_000 } else { 70 }, "only {hit} of {tried} points hit the case");
}
