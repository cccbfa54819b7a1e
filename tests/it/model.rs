//! A case against a model of it, over random operations with crashes between them.
//!
//! `CASELOCK_MODEL_CASES` sets how many sequences are tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use caselock::case::event::{CollectionFinished, Event, GapReason};
use caselock::case::{CaseFiles as _, CaseFolder, CaseWriter, Committed, Found, LEDGER};
use caselock::model::{PayloadPath, S3Location};
use proptest::prelude::*;

use crate::sample::{Sample, artifact, gap, open_again, started, verified_folder};

/// What can be done to a case, or happen to it.
#[derive(Clone, Debug)]
enum Act {
    /// Stages and commits some of the objects, each with one of a few contents.
    Commit(Vec<(u8, u8)>),
    /// Stages some, and never commits them.
    Stage(Vec<(u8, u8)>),
    /// Records gaps in one append.
    Gaps(u8),
    /// Ends the run and begins the next.
    Finish,
    /// The process ends where it is; the next one goes on.
    Crash,
    /// It ends while it appends: so many bytes of a line are there, closed or not by a recovery that was cut off as well.
    CrashInAppend { bytes: u8, closed: bool },
    /// It ends after files got their names, and before the ledger knew of them.
    CrashBeforeAppend(Vec<(u8, u8)>),
    /// It ends with a file under a temporary name.
    CrashInFallback(u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let objects = || prop::collection::vec((0..12_u8, 0..3_u8), 1..6);
    let act = prop_oneof![
        5 => objects().prop_map(Act::Commit),
        1 => objects().prop_map(Act::Stage),
        2 => (1..4_u8).prop_map(Act::Gaps),
        1 => Just(Act::Finish),
        2 => Just(Act::Crash),
        2 => (0..200_u8, any::<bool>()).prop_map(|(bytes, closed)| Act::CrashInAppend { bytes, closed }),
        2 => objects().prop_map(Act::CrashBeforeAppend),
        1 => (0..12_u8).prop_map(Act::CrashInFallback),
    ];
    prop::collection::vec(act, 1..30)
}

/// Keys with twins, folders and files of one name, and hostile ones among them.
fn key(number: u8) -> String {
    let keys = ["a", "a/b", "a/B", "A/b", "a.gz", "a.gz/x", "../x", "a//b", "e\u{301}", "\u{e9}", "folder/", "con"];
    keys[usize::from(number) % keys.len()].to_owned()
}

fn content(number: u8) -> Vec<u8> {
    vec![number; usize::from(number) * 700]
}

fn path(number: u8) -> PayloadPath {
    PayloadPath::for_object(&S3Location::new("example-corp", key(number)))
}

/// What a case must hold: nothing but what was acknowledged.
#[derive(Default)]
struct Model {
    stored: BTreeMap<PayloadPath, Vec<u8>>,
    /// Every acknowledged line of the ledger, byte for byte.
    lines: Vec<u8>,
    run: u32,
}

struct Tried {
    root: PathBuf,
    writer: Option<CaseWriter>,
    model: Model,
}

impl Tried {
    fn writer(&mut self) -> &mut CaseWriter {
        self.writer.as_mut().unwrap()
    }

    /// What was acknowledged so far stays as it is for ever.
    fn acknowledge(&mut self) {
        let now = fs::read(self.root.join(LEDGER)).unwrap();
        assert!(now.starts_with(&self.model.lines), "acknowledged lines of the ledger are gone");
        self.model.lines = now;
    }

    fn begin_run(&mut self) {
        let run = self.writer().begin_run().unwrap();
        assert_eq!(run, self.model.run + 1);
        self.model.run = run;
        self.writer().append(started(run)).unwrap();
        self.acknowledge();
    }

    fn reopen(&mut self) {
        self.writer = None;
        self.check_as_left();
        self.writer = Some(open_again(&self.root));
        self.begin_run();
    }

    /// After a crash, and before anybody mended anything, verification must not speak of tampering.
    fn check_as_left(&self) {
        let report = verified_folder(&self.root);
        assert_eq!(report.case_failures(), 0, "{:#?}", report.findings);
        assert_eq!(report.artifacts.valid, u64::try_from(self.model.stored.len()).unwrap());
    }

    fn commit(&mut self, objects: &[(u8, u8)]) {
        let writer = self.writer();
        let batch = objects.iter().map(|(object, bytes)| artifact(writer, &key(*object), &content(*bytes))).collect();
        let outcomes = writer.commit(batch).unwrap();
        for ((object, bytes), outcome) in objects.iter().zip(outcomes) {
            let (path, content) = (path(*object), content(*bytes));
            match (self.model.stored.get(&path), outcome) {
                (None, Committed::Stored(_)) => {
                    self.model.stored.insert(path, content);
                }
                (Some(there), Committed::AlreadyStored) => assert_eq!(*there, content),
                (Some(there), Committed::Refused { path: refused }) => {
                    assert_ne!(*there, content);
                    assert_eq!(refused, path);
                }
                (there, outcome) => panic!("{path}: {outcome:?}, and the model has {there:?}"),
            }
        }
        self.acknowledge();
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Commit(objects) => self.commit(objects),
            Act::Stage(objects) => {
                let writer = self.writer();
                for (object, bytes) in objects {
                    drop(artifact(writer, &key(*object), &content(*bytes)));
                }
            }
            Act::Gaps(count) => {
                let gaps = (0..*count).map(|number| gap(&number.to_string(), GapReason::Empty)).collect();
                self.writer().append_all(gaps).unwrap();
                self.acknowledge();
            }
            Act::Finish => {
                let run = self.model.run;
                let finished = CollectionFinished { run, artifacts: 0, bytes: 0, already_stored: 0, gaps: 0, clock: None };
                self.writer().append(Event::CollectionFinished(finished)).unwrap();
                self.acknowledge();
                self.begin_run();
            }
            Act::Crash => self.reopen(),
            Act::CrashInAppend { bytes, closed } => {
                let line = br#"{"at":"2026-03-01T10:00:00Z","event":"gap.recorded","prev":"0123456789abcdef"#;
                let mut torn = line.iter().copied().cycle().take(usize::from(*bytes).min(line.len())).collect::<Vec<u8>>();
                if *closed && !torn.is_empty() {
                    torn.extend_from_slice(b"\n{\"at\":\"20");
                }
                self.writer = None;
                OpenOptions::new().append(true).open(self.root.join(LEDGER)).unwrap().write_all(&torn).unwrap();
                self.reopen();
            }
            Act::CrashBeforeAppend(objects) => {
                let folders: BTreeSet<PathBuf> =
                    objects.iter().map(|(object, _)| self.root.join(path(*object).as_str())).collect();
                self.writer = None;
                for ((_, bytes), file) in objects.iter().zip(&folders) {
                    if !file.exists() {
                        fs::create_dir_all(file.parent().unwrap()).unwrap();
                        fs::write(file, content(*bytes)).unwrap();
                    }
                }
                self.reopen();
            }
            Act::CrashInFallback(object) => {
                let folder = self.root.join(path(*object).as_str()).parent().unwrap().to_owned();
                self.writer = None;
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join("~part-1-1"), b"half").unwrap();
                self.reopen();
            }
        }
    }

    /// What lies under `data/` is what was acknowledged, byte for byte, and nothing else.
    fn check(&self) {
        let folder = CaseFolder::open(&self.root).unwrap();
        let mut found = BTreeMap::new();
        folder
            .walk(&mut |file| match file {
                Found::File { path, .. } if path.starts_with("data/") => {
                    found.insert(path.parse().unwrap(), fs::read(self.root.join(path)).unwrap());
                }
                Found::File { .. } => {}
                Found::Foreign { path, what } => panic!("{path} is {what}"),
            })
            .unwrap();
        assert_eq!(found, self.model.stored);
        self.check_as_left();
    }
}

fn try_acts(acts: &[Act]) {
    let folder = tempfile::tempdir().unwrap();
    let root: &Path = &folder.path().join("case");
    let writer = Sample::empty_case(root);
    let mut tried = Tried { root: root.to_owned(), writer: Some(writer), model: Model::default() };
    tried.begin_run();
    for act in acts {
        tried.act(act);
    }
    tried.reopen();
    tried.check();
}

fn cases() -> u32 {
    std::env::var("CASELOCK_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    /// Guarantee G3: nothing half-stored is ever believed, and what is stored is never replaced.
    #[test]
    fn a_case_holds_exactly_what_was_acknowledged_whatever_happens_to_it(acts in acts()) {
        try_acts(&acts);
    }
}
