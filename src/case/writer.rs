//! The only one that writes evidence: opens a case for collection, commits artifacts in groups, appends to the ledger.
#![expect(clippy::disallowed_methods, reason = "this module is where the case is written")]

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, flock};
use rustix::io::Errno;

use crate::model::{PayloadPath, Sha256Hash, Timestamp};

use super::beginning::{check_vacant, folders_above, is_begun, is_ledger_gone};
use super::event::{CaseOpened, CollectionInterrupted, Event, Tool};
use super::files::{CaseFiles as _, CaseFolder, Found, read_bounded};
use super::identity::{CASE_TOML_LIMIT, CaseIdentity};
use super::ledger::{LedgerWriter, Line, read_ledger};
use super::merkle::MerkleTree;
use super::naming::name_without_replacing;
use super::protection::{self, Protection};
use super::staging::{Named, Staged, Staging, TEMPORARY};
use super::summary::{Summary, Summing};
use super::tag_file::TagFile;
use super::{CASE_TOML, CaseError, IoContext as _, LEDGER, LineReceipt, PathError};

pub(super) const README: &str = include_str!("../../case-template/README.txt");
/// Discarded files that one line of the ledger names; more of them take more lines.
const NAMED_AT_ONCE: usize = 1000;

/// Of the ledger.
const READ_AT_ONCE: usize = 64 * 1024;

/// A case that is open for writing, by this process alone.
#[derive(Debug)]
pub struct CaseWriter {
    root: PathBuf,
    identity: CaseIdentity,
    ledger: LedgerWriter,
    staging: Staging,
    next_run: u32,
    sealed: bool,
    /// Whether `case.toml` is the file that the ledger's first line names.
    as_opened: bool,
    poisoned: bool,
    /// What the ledger comes to, where somebody wants to know.
    summing: Option<Box<Summing>>,
}

/// The paths of the artifacts that a ledger knows: eight bytes for each, under a hash that nobody outside can aim at.
#[derive(Debug, Default)]
struct Recorded {
    hasher: RandomState,
    hashes: Vec<u64>,
}

impl Recorded {
    /// For a ledger of so many lines: what is reserved at once is not copied while it grows.
    fn for_lines(lines: u64) -> Self {
        Self { hashes: Vec::with_capacity(usize::try_from(lines).unwrap_or(0)), ..Self::default() }
    }

    fn add(&mut self, path: &str) {
        self.hashes.push(self.hasher.hash_one(path));
    }

    fn holds(&self, path: &str) -> bool {
        self.hashes.binary_search(&self.hasher.hash_one(path)).is_ok()
    }
}

/// An artifact that is staged, and what the ledger will say of it.
#[derive(Debug)]
pub struct Pending {
    /// The file.
    pub staged: Staged,
    /// The event to record when it is durable, normally `artifact.acquired`.
    pub event: Event,
}

/// What became of a pending artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is on disk, and the ledger says so.
    Stored(LineReceipt),
    /// The same bytes were in the case already.
    AlreadyStored,
    /// Other bytes lie under its name. They stay; the new ones were not kept.
    Refused {
        /// The name.
        path: PayloadPath,
    },
}

impl CaseWriter {
    /// Makes a new case in `root`, which must not exist or be empty.
    ///
    /// A folder in which an earlier attempt was cut off before its ledger began is taken up again.
    pub fn create(root: &Path, identity: &CaseIdentity, tool: &Tool) -> Result<Self, CaseError> {
        check_vacant(root)?;
        let above = folders_above(root);
        fs::create_dir_all(root.join("custody")).doing("create the folder", root)?;
        // The lock before anything else: of two that begin at once, one must find the other's case whole.
        let ledger_path = root.join(LEDGER);
        let ledger = open_ledger(&ledger_path, true)?;
        lock(&ledger, root)?;
        if is_begun(root) {
            return Err(CaseError::Locked { path: root.to_owned() });
        }
        ledger.set_len(0).doing("replace the unfinished", &ledger_path)?;
        fs::create_dir_all(root.join("data")).doing("create the folder", root)?;
        write_once(&root.join("README.txt"), README.as_bytes())?;
        let text = identity.to_toml();
        let case_toml = root.join(CASE_TOML);
        if case_toml.exists() {
            fs::remove_file(&case_toml).doing("replace the unfinished", &case_toml)?;
        }
        write_once(&case_toml, text.as_bytes())?;
        for folder in [root.join("custody"), root.join("data"), root.to_owned()].iter().chain(&above) {
            sync_folder(folder)?;
        }
        let mut writer = Self::take_up(root, ledger, &mut |_| {})?;
        writer.append(Event::CaseOpened(CaseOpened {
            format_version: identity.format_version,
            case_number: identity.case_number.clone(),
            case_toml_sha256: Sha256Hash::of(text.as_bytes()),
            tool: tool.clone(),
        }))?;
        Ok(writer)
    }

    /// Writes a file of `reports/`, in place of an earlier one: derived, never evidence, and covered by no hash.
    pub fn write_report(&self, name: &str, bytes: &[u8]) -> Result<(), CaseError> {
        let folder = self.root.join("reports");
        fs::create_dir_all(&folder).doing("create the folder", &folder)?;
        if folder.symlink_metadata().doing("look at", &folder)?.is_symlink() {
            let problem = "the folder for reports is a symbolic link".to_owned();
            return Err(CaseError::Malformed { path: folder, problem });
        }
        // Under a name of its own first, so that no half-written report is ever read.
        let (part, path) = (folder.join(format!("{TEMPORARY}{name}")), folder.join(name));
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(PathError::new("replace", part, error).into()),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(&part).doing("create", &part)?;
        file.write_all(bytes).doing("write", &part)?;
        file.sync_all().doing("sync", &part)?;
        Ok(fs::rename(&part, &path).doing("name", &path)?)
    }

    /// Opens the case in `root` for writing: takes its lock, checks its ledger, closes a line that a crash cut short.
    pub fn open(root: &Path) -> Result<Self, CaseError> {
        Self::open_showing(root, &mut |_| {})
    }

    /// Opens the case in `root` as [`CaseWriter::open`] does, and shows every entry of the ledger to `visit` on the way.
    pub fn open_showing(root: &Path, visit: &mut dyn FnMut(&Line<'_>)) -> Result<Self, CaseError> {
        CaseFolder::open(root)?;
        if is_ledger_gone(root) {
            return Err(CaseError::LedgerGone { path: root.to_owned() });
        }
        let ledger = open_ledger(&root.join(LEDGER), false)?;
        lock(&ledger, root)?;
        Self::take_up(root, ledger, visit)
    }

    /// Goes on with the case whose ledger is locked.
    fn take_up(root: &Path, ledger: File, visit: &mut dyn FnMut(&Line<'_>)) -> Result<Self, CaseError> {
        let folder = CaseFolder::open(root)?;
        let text = read_bounded(&folder, CASE_TOML, CASE_TOML_LIMIT)?;
        let case_toml = root.join(CASE_TOML);
        let text = String::from_utf8(text)
            .map_err(|_| CaseError::Malformed { path: case_toml.clone(), problem: "it is not UTF-8".to_owned() })?;
        let identity = CaseIdentity::parse(&text, &case_toml)?;
        let (mut last_run, mut sealed, mut opened_with) = (0, false, None);
        let ledger_path = root.join(LEDGER);
        let reader = BufReader::with_capacity(READ_AT_ONCE, &ledger);
        let state = read_ledger(reader, &ledger_path, &mut |line| {
            match &line.entry.event {
                Event::CaseOpened(opened) if line.entry.seq == 0 => opened_with = Some(opened.case_toml_sha256),
                Event::CollectionStarted(started) => last_run = started.run,
                Event::CaseSealed(_) => sealed = true,
                _ => {}
            }
            visit(&line);
        })?;
        let ledger = LedgerWriter::resume(ledger, ledger_path, &state, now())?;
        let staging = Staging::new(root)?;
        Ok(Self {
            root: root.to_owned(),
            identity,
            ledger,
            staging,
            next_run: last_run.saturating_add(1),
            sealed,
            // A ledger without a line is that of a case which is only being made.
            as_opened: state.lines == 0 || opened_with == Some(Sha256Hash::of(text.as_bytes())),
            poisoned: false,
            summing: None,
        })
    }

    /// Whether the case takes more evidence: a sealed one does not, nor one whose `case.toml` was changed since it was opened, for what it
    /// asks for then is not what the case was opened for.
    pub fn takes_evidence(&self) -> Result<(), CaseError> {
        if !self.as_opened {
            let problem = "its SHA-256 is not the one that the first line of the ledger names".to_owned();
            return Err(CaseError::Malformed { path: self.root.join(CASE_TOML), problem });
        }
        if self.sealed { Err(CaseError::Sealed { path: self.root.clone() }) } else { Ok(()) }
    }

    /// Makes the case ready for another run of `collect`: refuses one that takes no more evidence, and after an interrupted run discards what it left
    /// half-stored and records that. Gives the number of the new run.
    pub fn begin_run(&mut self) -> Result<u32, CaseError> {
        self.takes_evidence()?;
        let (unfinished, recorded) = self.recorded()?;
        let discarded = self.discard_unrecorded(unfinished.is_some(), &recorded)?;
        if let Some(run) = unfinished {
            let mut events: Vec<Event> = discarded
                .chunks(NAMED_AT_ONCE)
                .map(|named| {
                    Event::CollectionInterrupted(CollectionInterrupted { run, discarded: named.to_vec(), cause: None })
                })
                .collect();
            if events.is_empty() {
                let discarded = Vec::new();
                events.push(Event::CollectionInterrupted(CollectionInterrupted { run, discarded, cause: None }));
            }
            self.append_all(events)?;
        }
        let run = self.next_run;
        self.next_run = self.next_run.saturating_add(1);
        Ok(run)
    }

    /// The run that did not come to its end, if there is one, and the artifacts that the ledger knows.
    fn recorded(&self) -> Result<(Option<u32>, Recorded), CaseError> {
        let (mut unfinished, mut recorded) = (None, Recorded::for_lines(self.ledger_tree().size()));
        self.read_ledger(&mut |line| match &line.entry.event {
            Event::CollectionStarted(started) => unfinished = Some(started.run),
            Event::CollectionFinished(_) | Event::CollectionInterrupted(_) => unfinished = None,
            Event::ArtifactAcquired(artifact) => recorded.add(artifact.path.as_str()),
            _ => {}
        })?;
        recorded.hashes.sort_unstable();
        Ok((unfinished, recorded))
    }

    /// Removes files under `data/` that the ledger does not know: after an unfinished run all of them, for they were never acknowledged;
    /// otherwise only those that never got a name of their own.
    fn discard_unrecorded(&self, unfinished: bool, recorded: &Recorded) -> Result<Vec<String>, CaseError> {
        let mut unrecorded = Vec::new();
        CaseFolder::open(&self.root)?.walk(&mut |found| {
            if let Found::File { path } = found
                && path.starts_with("data/")
                && (unfinished || is_temporary(path))
                && !recorded.holds(path)
            {
                unrecorded.push(path.to_owned());
            }
        })?;
        for path in &unrecorded {
            let path = self.root.join(path);
            fs::remove_file(&path).doing("discard the half-stored", &path)?;
        }
        Ok(unrecorded)
    }

    /// Shows every entry of the ledger so far to `visit`.
    pub fn read_ledger(&self, visit: &mut dyn FnMut(super::ledger::Line<'_>)) -> Result<(), CaseError> {
        let path = self.root.join(LEDGER);
        let reader = BufReader::new(File::open(&path).doing("open", &path)?);
        read_ledger(reader, &path, visit).map(drop)
    }

    /// Where fetchers write.
    #[must_use]
    pub fn staging(&self) -> Staging {
        self.staging.clone()
    }

    /// Whether an artifact lies at `path`, recorded. Holds between [`CaseWriter::begin_run`] and the next commit of that path.
    #[must_use]
    pub fn has(&self, path: &PayloadPath) -> bool {
        self.root.join(path.as_str()).symlink_metadata().is_ok()
    }

    /// Names the staged files, waits until data and names are on disk, then records them in one durable append.
    ///
    /// When this returns, every artifact that is [`Committed::Stored`] survives a crash; after an error nothing more can be
    /// committed until the case is opened again.
    pub fn commit(&mut self, batch: Vec<Pending>) -> Result<Vec<Committed>, CaseError> {
        if self.poisoned {
            return Err(CaseError::Poisoned);
        }
        self.poisoned = true;
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut events = Vec::with_capacity(batch.len());
        let mut named = Vec::with_capacity(batch.len());
        for Pending { mut staged, event } in batch {
            outcomes.push(match staged.name()? {
                Named::New => {
                    events.push(event);
                    named.push(staged);
                    None
                }
                Named::Same => Some(Committed::AlreadyStored),
                Named::Different => Some(Committed::Refused { path: staged.path().clone() }),
            });
        }
        if !named.is_empty() {
            self.staging.sync(&named)?;
        }
        let mut receipts = self.record(events)?.into_iter();
        self.poisoned = false;
        let committed = outcomes.into_iter().map(|outcome| match outcome {
            Some(outcome) => Ok(outcome),
            None => receipts.next().map(Committed::Stored).ok_or(CaseError::Poisoned),
        });
        committed.collect()
    }

    /// Records an event durably.
    pub fn append(&mut self, event: Event) -> Result<LineReceipt, CaseError> {
        self.append_all(vec![event])?.pop().ok_or(CaseError::Poisoned)
    }

    /// Records several events in one durable append.
    pub fn append_all(&mut self, events: Vec<Event>) -> Result<Vec<LineReceipt>, CaseError> {
        if self.poisoned {
            return Err(CaseError::Poisoned);
        }
        if events.is_empty() { Ok(Vec::new()) } else { self.record(events) }
    }

    fn record(&mut self, events: Vec<Event>) -> Result<Vec<LineReceipt>, CaseError> {
        let at = now();
        if let Some(summing) = &mut self.summing {
            for event in &events {
                summing.take(event, at);
            }
        }
        self.ledger.append(events, at)
    }

    /// Goes on with a summary of the ledger so far, so that nobody has to read all of it again.
    pub fn go_on_summing(&mut self, so_far: Summing) {
        self.summing = Some(Box::new(so_far));
    }

    /// What the ledger comes to, where [`CaseWriter::go_on_summing`] was called.
    pub fn summary(&mut self) -> Option<Summary> {
        Some(self.summing.take()?.finish(self.ledger.tree()))
    }

    /// Begins a tag file that is written piece by piece; it has its name once [`TagFile::finish`] returns.
    ///
    /// What an interrupted attempt to seal left under that name is replaced, but never a file that a signed seal covers.
    pub fn begin_tag_file(&mut self, path: &str) -> Result<TagFile, CaseError> {
        TagFile::begin(&self.root, path)
    }

    /// Takes away every permission to write under `data/`; with `flags`, also sets the immutable flag there and the append-only flag on
    /// the ledger, as far as the system permits.
    pub fn protect(&mut self, flags: bool) -> Result<Protection, CaseError> {
        Ok(protection::protect(&self.root.join("data"), self.ledger.file(), flags)?)
    }

    /// Which case this is.
    #[must_use]
    pub fn identity(&self) -> &CaseIdentity {
        &self.identity
    }

    /// The tree over the ledger's lines.
    #[must_use]
    pub fn ledger_tree(&self) -> &MerkleTree {
        self.ledger.tree()
    }

    /// Whether the case has a seal.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The case folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The case as readers see it.
    pub fn files(&self) -> Result<CaseFolder, CaseError> {
        CaseFolder::open(&self.root)
    }
}

/// The present, by this machine's clock.
fn now() -> Timestamp {
    Timestamp::new(chrono::Utc::now())
}

fn open_ledger(path: &Path, create: bool) -> Result<File, CaseError> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.append(true).read(true).create(create).mode(0o644).custom_flags(no_follow);
    let file = options.open(path).doing("open", path)?;
    // A planted pipe would be waited for forever.
    if !file.metadata().doing("look at", path)?.is_file() {
        return Err(CaseError::Malformed { path: path.to_owned(), problem: "it is not a regular file".to_owned() });
    }
    Ok(file)
}

fn lock(ledger: &File, root: &Path) -> Result<(), CaseError> {
    loop {
        match flock(ledger, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => return Err(CaseError::Locked { path: root.to_owned() }),
            Err(errno) => return Err(PathError::new("lock the ledger of", root, errno).into()),
        }
    }
}

/// Whether a path names a file that never got its own name.
pub(crate) fn is_temporary(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with(TEMPORARY))
}

/// Writes a file durably under a name that must not be taken by other bytes.
fn write_once(path: &Path, bytes: &[u8]) -> Result<(), CaseError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(PathError::new("replace the unfinished", part, error).into());
        }
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&part).doing("create", &part)?;
    file.write_all(bytes).doing("write", &part)?;
    file.sync_all().doing("flush", &part)?;
    match name_without_replacing(CWD, &part, CWD, path) {
        Err(Errno::EXIST) => {
            let same = fs::read(path).doing("read", path)? == bytes;
            fs::remove_file(&part).doing("discard", &part)?;
            if same { Ok(()) } else { Err(CaseError::AlreadyWritten { path: path.to_owned() }) }
        }
        other => Ok(other.doing("name", path)?),
    }
}

fn sync_folder(folder: &Path) -> Result<(), PathError> {
    File::open(folder).and_then(|folder| folder.sync_all()).doing("flush", folder)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests plant what a crash or a hand would")]
mod tests;
