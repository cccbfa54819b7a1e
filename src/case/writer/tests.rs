//! What a case folder promises, tried on real folders.

use std::fs;
use std::path::{Path, PathBuf};

use crate::case::event::{Artifact, CollectionFinished, Event, Exchange, Gap, Origin, ResponseOrigin, Tool};
use crate::case::{CASE_TOML, CaseError, CaseIdentity, CaseWriter, Committed, FORMAT_VERSION, LEDGER, Pending, Scope};
use crate::model::{PayloadPath, Sha256Hash, Window};

fn tool() -> Tool {
    Tool { name: "caselock".to_owned(), version: "0.0.0".to_owned(), sha256: None }
}

fn identity() -> CaseIdentity {
    CaseIdentity {
        format_version: FORMAT_VERSION,
        case_number: "IR-2026-014".to_owned(),
        evidence_number: String::new(),
        examiner: "A. Examiner".to_owned(),
        organization: String::new(),
        authority: String::new(),
        description: String::new(),
        notes: String::new(),
        opened_at: "2026-03-01T10:00:00Z".parse().unwrap(),
        window: Window::new("2026-02-28T00:00:00Z".parse().unwrap(), "2026-03-01T00:00:00Z".parse().unwrap()).unwrap(),
        scope: Scope::default(),
    }
}

fn path(number: u32) -> PayloadPath {
    let account = "111122223333".parse().unwrap();
    PayloadPath::for_api_page("sts", account, &"us-east-1".parse().unwrap(), "GetCallerIdentity", number, "xml")
}

fn pending(case: &CaseWriter, number: u32, bytes: &[u8]) -> Pending {
    let mut file = case.staging().stage(&path(number)).unwrap();
    file.write(bytes).unwrap();
    let staged = file.finish();
    let event = Event::ArtifactAcquired(Box::new(Artifact {
        path: path(number),
        size: staged.size,
        sha256: staged.sha256,
        content_sha256: None,
        source: Origin::ApiResponse(Box::new(ResponseOrigin {
            source: "account".to_owned(),
            service: "sts".to_owned(),
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            operation: "GetCallerIdentity".to_owned(),
            parameters: std::collections::BTreeMap::new(),
            page: 1,
            last: true,
            status: 200,
            exchange: Exchange::default(),
        })),
        salt: "00".repeat(16),
    }));
    Pending { staged, event }
}

fn gap(what: &str) -> Event {
    Event::GapRecorded(Gap::denied("ebs", what))
}

fn entries(root: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let reader = std::io::BufReader::new(fs::File::open(root.join(LEDGER)).unwrap());
    let state = crate::case::ledger::read_ledger(reader, &root.join(LEDGER), &mut |line| events.push(line.entry.event.clone()))
        .unwrap();
    assert_eq!(state.problems, []);
    assert_eq!(state.torn_tail, None);
    events
}

fn new_case() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("case");
    drop(CaseWriter::create(&root, &identity(), &tool()).unwrap());
    (folder, root)
}

#[test]
fn what_is_committed_lies_there_with_its_line() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    let batch = vec![pending(&case, 1, b"one"), pending(&case, 2, b"two")];
    let committed = case.commit(batch).unwrap();
    assert!(matches!(committed.as_slice(), [Committed::Stored(a), Committed::Stored(b)] if (a.seq, b.seq) == (1, 2)));
    assert_eq!(fs::read(root.join(path(2).as_str())).unwrap(), b"two");
    let stored: Vec<Sha256Hash> = entries(&root)
        .into_iter()
        .filter_map(|event| if let Event::ArtifactAcquired(artifact) = event { Some(artifact.sha256) } else { None })
        .collect();
    assert_eq!(stored, [Sha256Hash::of(b"one"), Sha256Hash::of(b"two")]);
}

#[test]
fn a_stored_artifact_is_read_only_and_is_never_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    let first = pending(&case, 1, b"one");
    case.commit(vec![first]).unwrap();
    assert_eq!(fs::metadata(root.join(path(1).as_str())).unwrap().permissions().mode() & 0o777, 0o444);
    let same = pending(&case, 1, b"one");
    assert_eq!(case.commit(vec![same]).unwrap(), [Committed::AlreadyStored]);
    let other = pending(&case, 1, b"other");
    assert_eq!(case.commit(vec![other]).unwrap(), [Committed::Refused { path: path(1) }]);
    assert_eq!(fs::read(root.join(path(1).as_str())).unwrap(), b"one");
}

#[test]
fn what_was_staged_and_not_committed_leaves_nothing() {
    let (_folder, root) = new_case();
    let case = CaseWriter::open(&root).unwrap();
    drop(pending(&case, 1, b"one"));
    let names: Vec<_> = fs::read_dir(root.join("data/api/sts/111122223333/us-east-1/GetCallerIdentity")).unwrap().collect();
    assert!(names.is_empty(), "{names:?}");
}

/// A ledger cut at any byte is taken up again, goes on, and reads well afterwards: a test that does not write after recovering
/// proves nothing.
#[test]
fn a_ledger_cut_at_any_byte_of_its_last_line_goes_on() {
    let (_folder, root) = new_case();
    let ledger = root.join(LEDGER);
    let mut case = CaseWriter::open(&root).unwrap();
    case.append(gap("first")).unwrap();
    drop(case);
    let whole = fs::read(&ledger).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in last..=whole.len() {
        fs::write(&ledger, &whole[..cut]).unwrap();
        let mut case = CaseWriter::open(&root).unwrap();
        case.append(gap("after")).unwrap();
        let root_then = case.ledger_tree().root();
        drop(case);
        let case = CaseWriter::open(&root).unwrap();
        assert_eq!(case.ledger_tree().root(), root_then, "cut at {cut}");
        drop(case);
        let events = entries(&root);
        let recovered = events.iter().filter(|event| matches!(event, Event::LedgerRecovered(_))).count();
        let torn = cut > last && cut < whole.len() - 1;
        assert_eq!(recovered, usize::from(torn), "cut at {cut}");
        assert_eq!(events.last(), Some(&gap("after")));
        assert!(fs::read(&ledger).unwrap().starts_with(&whole[..cut]), "what was torn stays, cut at {cut}");
    }
}

/// Closing a torn line is itself an append that a crash can cut short, any number of times over.
#[test]
fn a_recovery_cut_at_any_byte_is_recovered_from() {
    let (_folder, root) = new_case();
    let ledger = root.join(LEDGER);
    let whole = fs::read(&ledger).unwrap();
    let torn = [&whole[..], b"{\"at\":\"2026-03-0"].concat();
    fs::write(&ledger, &torn).unwrap();
    drop(CaseWriter::open(&root).unwrap());
    let recovered = fs::read(&ledger).unwrap();
    for cut in torn.len()..recovered.len() {
        fs::write(&ledger, &recovered[..cut]).unwrap();
        let mut case = CaseWriter::open(&root).unwrap();
        case.append(gap("after")).unwrap();
        let tree_root = case.ledger_tree().root();
        drop(case);
        assert_eq!(CaseWriter::open(&root).unwrap().ledger_tree().root(), tree_root, "cut at {cut}");
        assert_eq!(entries(&root).last(), Some(&gap("after")), "cut at {cut}");
        assert!(fs::read(&ledger).unwrap().starts_with(&recovered[..cut]), "what was torn stays, cut at {cut}");
    }
}

/// A power cut can lose any block of an append that was not flushed, and keep the ones after it.
#[test]
fn a_hole_that_a_power_cut_left_in_the_last_append_is_accounted_for() {
    let (_folder, root) = new_case();
    let ledger = root.join(LEDGER);
    let acknowledged = fs::read(&ledger).unwrap();
    let mut case = CaseWriter::open(&root).unwrap();
    case.append_all((0..4).map(|number| gap(&number.to_string())).collect()).unwrap();
    drop(case);
    let whole = fs::read(&ledger).unwrap();
    for from in (acknowledged.len()..whole.len()).step_by(7) {
        for to in [from + 2, from + 100, whole.len()] {
            let mut holed = whole.clone();
            let to = to.min(holed.len());
            if to - from < 2 {
                continue;
            }
            holed[from..to].fill(0);
            fs::write(&ledger, &holed).unwrap();
            let mut case = CaseWriter::open(&root).unwrap();
            case.append(gap("after")).unwrap();
            drop(case);
            assert_eq!(entries(&root).last(), Some(&gap("after")), "{from}..{to}");
            assert!(fs::read(&ledger).unwrap().starts_with(&acknowledged));
        }
    }
}

#[test]
fn an_event_too_long_for_any_reader_is_not_written() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    assert!(case.append(gap(&"x".repeat(5 * 1024 * 1024))).is_err());
    case.append(gap("after")).unwrap();
    assert_eq!(entries(&root).last(), Some(&gap("after")));
}

/// Guarantee G7: every byte of a ledger line but the last is bound by the line after it: edits, deletions, insertions and reordering are
/// found.
#[test]
fn every_changed_bit_before_the_last_line_is_noticed() {
    let (_folder, root) = new_case();
    let ledger = root.join(LEDGER);
    let mut case = CaseWriter::open(&root).unwrap();
    case.append(gap("first")).unwrap();
    case.append(gap("second")).unwrap();
    drop(case);
    let whole = fs::read(&ledger).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for at in 0..last {
        for bit in 0..8 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            fs::write(&ledger, &changed).unwrap();
            let reader = std::io::BufReader::new(changed.as_slice());
            let state = crate::case::ledger::read_ledger(reader, &ledger, &mut |_| {}).unwrap();
            assert!(!state.problems.is_empty(), "bit {bit} of byte {at}");
            assert!(CaseWriter::open(&root).is_err());
        }
    }
}

#[test]
fn lines_taken_out_put_in_or_moved_are_noticed() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    for number in 0..4 {
        case.append(gap(&number.to_string())).unwrap();
    }
    drop(case);
    let text = fs::read_to_string(root.join(LEDGER)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without = [&lines[..2], &lines[3..]].concat();
    let twice = [&lines[..3], &lines[2..]].concat();
    let mut moved = lines.clone();
    moved.swap(2, 3);
    let garbage = [&lines[..2], &["garbage"], &lines[2..]].concat();
    for changed in [without, twice, moved, garbage] {
        let text = changed.join("\n") + "\n";
        let state = crate::case::ledger::read_ledger(text.as_bytes(), Path::new("ledger"), &mut |_| {}).unwrap();
        assert!(!state.problems.is_empty(), "{text}");
    }
}

#[test]
fn an_interrupted_run_is_recorded_and_what_it_left_half_stored_is_discarded() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    assert_eq!(case.begin_run().unwrap(), 1);
    case.append(started(1)).unwrap();
    let stored = pending(&case, 1, b"one");
    case.commit(vec![stored]).unwrap();
    drop(case);
    let half = root.join(path(2).as_str());
    fs::write(&half, b"half").unwrap();

    let mut case = CaseWriter::open(&root).unwrap();
    assert_eq!(case.begin_run().unwrap(), 2);
    assert!(!half.exists() && case.has(&path(1)));
    let events = entries(&root);
    let Some(Event::CollectionInterrupted(interrupted)) = events.last() else { panic!("{events:?}") };
    assert_eq!((interrupted.run, interrupted.discarded.as_slice()), (1, &[path(2).to_string()][..]));
}

#[test]
fn a_thousand_half_stored_files_take_as_many_lines_as_they_need() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    case.begin_run().unwrap();
    case.append(started(1)).unwrap();
    drop(case);
    for number in 0..2_100 {
        fs::write(root.join(format!("data/{number:05}.json")), b"half").unwrap();
    }
    CaseWriter::open(&root).unwrap().begin_run().unwrap();
    let discarded: Vec<usize> = entries(&root)
        .iter()
        .filter_map(|event| if let Event::CollectionInterrupted(it) = event { Some(it.discarded.len()) } else { None })
        .collect();
    assert_eq!(discarded, [1000, 1000, 100]);
}

#[test]
fn a_file_that_never_got_its_name_is_discarded_even_after_a_finished_run() {
    let (_folder, root) = new_case();
    let temporary = root.join("data/~part-1-1");
    fs::write(&temporary, b"half").unwrap();
    fs::write(root.join("data/note.txt"), b"somebody's").unwrap();
    CaseWriter::open(&root).unwrap().begin_run().unwrap();
    assert!(!temporary.exists() && root.join("data/note.txt").exists());
}

#[test]
fn a_finished_run_is_not_taken_for_an_interrupted_one() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    case.begin_run().unwrap();
    case.append(started(1)).unwrap();
    let finished = CollectionFinished { run: 1, artifacts: 0, bytes: 0, already_stored: 0, gaps: 0, clock: None };
    case.append(Event::CollectionFinished(finished)).unwrap();
    assert_eq!(case.begin_run().unwrap(), 2);
    assert!(!entries(&root).iter().any(|event| matches!(event, Event::CollectionInterrupted(_))));
}

fn started(run: u32) -> Event {
    use crate::case::event::{Caller, CollectionStarted};
    Event::CollectionStarted(Box::new(CollectionStarted {
        run,
        tool: tool(),
        host: "host".to_owned(),
        system: "Linux".to_owned(),
        os_user: "user".to_owned(),
        command_line: vec![],
        configuration: None,
        caller: Caller {
            account: "111122223333".parse().unwrap(),
            arn: "arn:aws:sts::111122223333:assumed-role/incident-response/x".to_owned(),
            user_id: "AROAEXAMPLE:x".to_owned(),
            access_key_id: None,
        },
        also_as: Vec::new(),
        roles: Vec::new(),
        endpoint_url: None,
        service_endpoints: std::collections::BTreeMap::new(),
        proxies: std::collections::BTreeMap::new(),
        window: identity().window,
        scope: Scope::default(),
        regions: vec![],
        clock: None,
    }))
}

#[test]
fn a_folder_with_other_files_is_no_place_for_a_case() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    assert!(matches!(CaseWriter::create(folder.path(), &identity(), &tool()), Err(CaseError::NotACase { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(matches!(CaseWriter::open(folder.path()), Err(CaseError::NoCase { .. })));
}

#[test]
fn a_case_whose_making_was_cut_off_is_made_again() {
    let (_folder, root) = new_case();
    fs::write(root.join(LEDGER), b"").unwrap();
    drop(CaseWriter::create(&root, &identity(), &tool()).unwrap());
    assert!(matches!(entries(&root).as_slice(), [Event::CaseOpened(_)]));
    fs::remove_file(root.join(LEDGER)).unwrap();
    fs::remove_file(root.join(CASE_TOML)).unwrap();
    drop(CaseWriter::create(&root, &identity(), &tool()).unwrap());
}

#[test]
fn a_case_whose_first_line_was_cut_short_is_made_again() {
    let (_folder, root) = new_case();
    let whole = fs::read(root.join(LEDGER)).unwrap();
    fs::write(root.join("README.txt.part"), b"half").unwrap();
    for cut in 0..whole.len() {
        fs::write(root.join(LEDGER), &whole[..cut]).unwrap();
        drop(CaseWriter::create(&root, &identity(), &tool()).unwrap());
        assert!(matches!(entries(&root).as_slice(), [Event::CaseOpened(_)]), "cut at {cut}");
    }
    assert!(matches!(CaseWriter::create(&root, &identity(), &tool()), Err(CaseError::Locked { .. })));
}

#[test]
fn a_folder_that_only_looks_like_the_beginning_of_a_case_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("README.txt"), "mine").unwrap();
    assert!(matches!(CaseWriter::create(folder.path(), &identity(), &tool()), Err(CaseError::NotACase { .. })));
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("custody")).unwrap();
    fs::write(folder.path().join("custody/visitors.txt"), "mine").unwrap();
    assert!(matches!(CaseWriter::create(folder.path(), &identity(), &tool()), Err(CaseError::NotACase { .. })));
    assert_eq!(fs::read(folder.path().join("custody/visitors.txt")).unwrap(), b"mine");
}

#[test]
fn of_two_that_make_a_case_at_once_one_is_refused_and_the_case_is_whole() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("case");
        let made: Vec<bool> = std::thread::scope(|scope| {
            let makers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| CaseWriter::create(&root, &identity(), &tool()).is_ok())).collect();
            makers.into_iter().map(|maker| maker.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
        let opened = entries(&root);
        let [Event::CaseOpened(opened)] = opened.as_slice() else { panic!("{opened:?}") };
        assert_eq!(opened.case_toml_sha256, Sha256Hash::of(&fs::read(root.join(CASE_TOML)).unwrap()));
    }
}

#[test]
fn two_writers_at_once_are_refused() {
    let (_folder, root) = new_case();
    let case = CaseWriter::open(&root).unwrap();
    assert!(matches!(CaseWriter::open(&root), Err(CaseError::Locked { .. })));
    drop(case);
    assert!(CaseWriter::open(&root).is_ok());
}

#[test]
fn a_planted_link_is_not_followed_out_of_the_case() {
    let (folder, root) = new_case();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, root.join("data/api")).unwrap();
    let case = CaseWriter::open(&root).unwrap();
    assert!(case.staging().stage(&path(1)).is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_planted_link_does_not_lead_a_tag_file_out_of_the_case() {
    let (folder, root) = new_case();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, root.join("custody/seals")).unwrap();
    let mut case = CaseWriter::open(&root).unwrap();
    assert!(case.begin_tag_file("custody/seals/0001.json").is_err());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_pipe_in_the_place_of_the_ledger_is_refused_and_not_waited_for() {
    let (_folder, root) = new_case();
    fs::remove_file(root.join(LEDGER)).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, root.join(LEDGER), rustix::fs::FileType::Fifo, 0o644.into(), 0).unwrap();
    assert!(matches!(CaseWriter::open(&root), Err(CaseError::Malformed { .. })));
}

#[test]
fn what_an_attempt_to_seal_made_read_only_takes_evidence_again() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    let first = pending(&case, 1, b"one");
    case.commit(vec![first]).unwrap();
    // An administrator may be allowed to set the flags; then they must go away again, too.
    case.protect(true).unwrap();
    drop(case);
    let mut case = CaseWriter::open(&root).unwrap();
    let second = pending(&case, 2, b"two");
    let committed = case.commit(vec![second]);
    let _flags = std::process::Command::new("chattr").args(["-R", "-i", "-a"]).arg(&root).output();
    assert!(matches!(committed.unwrap().as_slice(), [Committed::Stored(_)]));
}

#[test]
fn a_case_whose_identity_was_changed_takes_no_more_evidence() {
    let (_folder, root) = new_case();
    let mut honest = CaseWriter::open(&root).unwrap();
    honest.takes_evidence().unwrap();
    assert_eq!(honest.begin_run().unwrap(), 1);
    drop(honest);
    let path = root.join(CASE_TOML);
    let other = fs::read_to_string(&path).unwrap().replace("A. Examiner", "B. Examiner");
    fs::remove_file(&path).unwrap();
    fs::write(&path, other).unwrap();
    let mut changed = CaseWriter::open(&root).unwrap();
    assert!(matches!(changed.takes_evidence(), Err(CaseError::Malformed { path, .. }) if path.ends_with(CASE_TOML)));
    assert!(changed.begin_run().is_err());
    // That it was verified and found changed may still be recorded.
    changed.append(gap("something")).unwrap();
}

#[test]
fn a_summary_tells_where_the_ledger_does_not_hold() {
    let (_folder, root) = new_case();
    let mut case = CaseWriter::open(&root).unwrap();
    case.append_all(vec![gap("one"), gap("two")]).unwrap();
    let summary = || crate::case::summary::summarize(&crate::case::CaseFolder::open(&root).unwrap()).unwrap();
    assert_eq!(summary().ledger_problem, None);
    assert_eq!(summary().case_toml_sha256, Some(Sha256Hash::of(&fs::read(root.join(CASE_TOML)).unwrap())));
    let text = fs::read_to_string(root.join(LEDGER)).unwrap().replace("\"one\"", "\"off\"");
    fs::write(root.join(LEDGER), text).unwrap();
    assert_eq!(summary().ledger_problem.map(|problem| problem.line), Some(3));
}
