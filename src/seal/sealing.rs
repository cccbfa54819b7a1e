use std::collections::BTreeSet;
use std::io::{self, BufReader, Write};

use crate::case::event::{CaseSealed, Event, Tool};
use crate::case::merkle::consistency_in;
use crate::case::{
    CaseError, CaseFiles as _, CaseFolder, CaseWriter, FORMAT_VERSION, Found, LEDGER, Protection, Workspace, read_bounded,
};
use crate::model::{HashingReader, Sha256Hash, Sha256Hasher, Timestamp};

use super::checkpoint::{self, Checkpoint};
use super::manifest::{Lists, ManifestReader};
use super::payload::{self, Recorded, Recording};
use super::seals::{SealFile, SealNumbers, path_of};
use super::{
    ALLOWED_SIGNERS, ArtifactTotals, Extension, LedgerHead, MANIFEST, SEALS, SealError, SealStatement, SealedBy,
    SignatureProblem, SigningKey, TAG_FILES, TAG_MANIFEST, UNSIGNED, VERIFY_HTML, VERIFY_TXT, bag, verify_signature,
};

/// Largest tag manifest that is read: caselock's own lists a handful of files.
const TAG_MANIFEST_LIMIT: u64 = 1024 * 1024;
/// What is signed to see whether a key signs at all. It is no statement.
const TRIAL: &[u8] = b"caselock asks whether this key signs. This is no seal and no statement.\n";

/// A seal that was just made.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The statement's file, from the case folder. Its signature lies beside it.
    pub path: String,
    /// What it says.
    pub statement: SealStatement,
    /// SHA-256 of the statement's bytes.
    pub sha256: Sha256Hash,
    /// How far the system keeps the case from being changed.
    pub protection: Protection,
}

/// Seals a case, or seals it again.
///
/// The payload is hashed and compared with the ledger; a file that was changed, is missing or was never recorded stops the sealing
/// and is named. The first seal writes the bag's tag files; a later one rewrites nothing and covers the ledger as it has grown. An
/// attempt that is cut off at any point is simply made again with the same key: as long as no signature covers a file it can be written anew.
/// With another key it cannot be told from a seal whose signature was lost, so that its statement stays and the next seal extends it.
pub fn seal_case(
    writer: &mut CaseWriter,
    key: &SigningKey,
    at: Timestamp,
    tool: &Tool,
    notes: &str,
) -> Result<Sealed, SealError> {
    seal_case_with(writer, key, at, tool, &SealOptions { notes: notes.to_owned(), ..SealOptions::default() })
}

/// How to seal.
#[derive(Clone)]
pub struct SealOptions<'a> {
    /// What the signer wants to say.
    pub notes: String,
    /// Whether to set the immutable flag on the evidence and the append-only flag on the ledger, as far as the system permits.
    pub flags: bool,
    /// What is known to be wrong with the case. If anything is, the case is sealed as it is found, and the seal says so.
    pub damage: Vec<String>,
    /// Whether a seal that the ledger announces by another key, and of which nothing is there, may be made anew with this one.
    /// Verification goes on to tell of it.
    pub replaces: bool,
    /// Where that is put which grows with the number of artifacts.
    pub workspace: Workspace<'a>,
    /// Called as files are hashed, with how many and how many bytes.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl std::fmt::Debug for SealOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { notes, flags, damage, replaces, workspace, progress: _ } = self;
        let mut shown = f.debug_struct("SealOptions");
        shown
            .field("notes", notes)
            .field("flags", flags)
            .field("damage", damage)
            .field("replaces", replaces)
            .field("workspace", workspace)
            .finish_non_exhaustive()
    }
}

impl Default for SealOptions<'_> {
    fn default() -> Self {
        Self {
            notes: String::new(),
            flags: false,
            damage: Vec::new(),
            replaces: false,
            workspace: Workspace::default(),
            progress: &|_, _| {},
        }
    }
}

/// Seals a case as [`seal_case`] does, with more wishes.
pub fn seal_case_with(
    writer: &mut CaseWriter,
    key: &SigningKey,
    at: Timestamp,
    tool: &Tool,
    options: &SealOptions<'_>,
) -> Result<Sealed, SealError> {
    let files = writer.files()?;
    let (recorded, announced) = read_ledger(writer, &options.workspace)?;
    let (earlier, lost) = earlier_seals(&files, key, &announced)?;
    let number = earlier.last().map_or(1, |last| last.number() + 1);
    let path = path_of(number);
    let mut damage = options.damage.clone();
    damage.extend(lost);
    if let Some(announced) = announced.by_another(&path, key) {
        if !options.replaces {
            return Err(SealError::Announced { path: files.describe(&path), signer: announced.signer.clone() });
        }
        damage.push(format!("seal-replaced {path}"));
    }
    // What is damaged cannot be held against the ledger; then the manifest lists what is found.
    let recorded = if options.damage.is_empty() { Some(recorded.finish(writer)?) } else { None };
    let (totals, manifest_sha256, tagmanifest_sha256) = match earlier.last() {
        None => write_bag(writer, &files, recorded, key, at, tool, options.progress)?,
        Some(last) => check_bag(writer, &files, recorded, last, options.progress)?,
    };
    // What the ledger announces should come about: a key that refuses does so before.
    if key.signs_through_ssh_keygen() {
        key.sign(TRIAL)?;
    }
    let protection = writer.protect(options.flags)?;
    writer.append(Event::CaseSealed(CaseSealed {
        seal: path.clone(),
        signer: key.signer().fingerprint.clone(),
        tool: tool.clone(),
        protection: Some(protection),
    }))?;
    let tree = writer.ledger_tree();
    let ledger = LedgerHead { lines: tree.size(), root: tree.root() };
    let extends = earlier.last().map(|last| extension(&files, last.statement.ledger, ledger)).transpose()?;
    let mut statement = SealStatement {
        format_version: FORMAT_VERSION,
        case_number: writer.identity().case_number.clone(),
        number,
        sealed_at: at,
        ledger,
        manifest_sha256,
        tagmanifest_sha256,
        previous_seal_sha256: earlier.last().map(|last| last.sha256),
        extends,
        checkpoint_sha256: None,
        artifacts: totals,
        signer: SealedBy {
            principal: key.principal().to_owned(),
            fingerprint: key.signer().fingerprint.clone(),
            public_key: key.signer().public_key.clone(),
        },
        tool: tool.clone(),
        damage,
        notes: options.notes.clone(),
    };
    let checkpoint = Checkpoint::of(&statement).encode().map_err(SealError::Encode)?;
    statement.checkpoint_sha256 = Some(Sha256Hash::of(&checkpoint));
    let bytes = statement.encode().map_err(SealError::Encode)?;
    // Signed before it is written: a key that refuses leaves no statement behind.
    let signature = key.sign(&bytes)?;
    let checkpoint_signature = key.sign(&checkpoint)?;
    // The seal's own signature comes last: once it is there, all of this is.
    let checkpoint_path = checkpoint::path_of(number);
    write(writer, &checkpoint_path, &checkpoint)?;
    write(writer, &format!("{checkpoint_path}.sig"), &checkpoint_signature)?;
    write(writer, &path, &bytes)?;
    write(writer, &format!("{path}.sig"), &signature)?;
    Ok(Sealed { path, statement, sha256: Sha256Hash::of(&bytes), protection })
}

/// The proof that the ledger as it is now extends the one that the last seal covers.
fn extension(files: &CaseFolder, from: LedgerHead, to: LedgerHead) -> Result<Extension, SealError> {
    let place = files.describe(LEDGER);
    let ledger = BufReader::with_capacity(256 * 1024, files.open(LEDGER)?);
    let proof = consistency_in(ledger, from.lines, to.lines);
    let proof = proof.map_err(|source| CaseError::Io { doing: "read", path: place.clone(), source })?;
    let extension = proof.map(|proof| Extension { from, proof });
    extension
        .filter(|extension| extension.proves(from, to))
        .ok_or_else(|| CaseError::Malformed { path: place, problem: "it changed while it was being sealed".to_owned() }.into())
}

/// An earlier, complete seal.
#[derive(Debug)]
struct Earlier {
    statement: SealStatement,
    sha256: Sha256Hash,
}

impl Earlier {
    fn number(&self) -> u32 {
        self.statement.number
    }
}

/// A line of the ledger that announces a seal.
#[derive(Debug)]
struct Announced {
    /// The seal's file.
    path: String,
    /// The key that was to sign.
    signer: String,
    /// The ledger with that line, which is what the seal covers.
    head: LedgerHead,
}

/// Every seal that the ledger announces.
#[derive(Debug, Default)]
struct Announcements(Vec<Announced>);

impl Announcements {
    /// The one at `path` by another key than `key`, if there is one.
    fn by_another(&self, path: &str, key: &SigningKey) -> Option<&Announced> {
        self.0.iter().find(|announced| announced.path == path && announced.signer != key.signer().fingerprint)
    }
}

/// The seals of a case folder that stay, each checked by itself and against the one before; and what is to be said of one without a signature.
fn earlier_seals(
    files: &CaseFolder,
    key: &SigningKey,
    announced: &Announcements,
) -> Result<(Vec<Earlier>, Option<String>), SealError> {
    let mut numbers = SealNumbers::default();
    if files.describe(SEALS).is_dir() {
        files.walk_below(SEALS, &mut |found| {
            if let Found::File { path } = found {
                numbers.observe(path);
            }
        })?;
    }
    let mut seals = numbers.read(files)?;
    // What is last and has no signature is what an interrupted attempt left, or all that is left of a seal. By the same key it is made again.
    let mut lost = None;
    if let Some(last) = seals.last().filter(|seal| !seal.is_complete()) {
        let stays = last.statement.is_some() && (last.timestamp.is_some() || announced.by_another(&last.path, key).is_some());
        if stays {
            lost = Some(format!("{UNSIGNED} {}", last.path));
        } else {
            seals.pop();
        }
    }
    let mut earlier: Vec<Earlier> = Vec::new();
    let admitted: BTreeSet<String> =
        seals.iter().filter_map(|seal| checked(seal).ok()).flat_map(|statement| statement.damage).chain(lost.clone()).collect();
    for seal in &seals {
        let broken = |problem: String| SealError::BrokenSeal { path: files.describe(&seal.path), problem };
        let unsigned = seal.signature.is_none() && admitted.contains(&format!("{UNSIGNED} {}", seal.path));
        let statement = if unsigned { parsed(seal) } else { checked(seal) }.map_err(&broken)?;
        let expected = earlier.last().map_or(1, |last| last.number() + 1);
        if statement.number != expected || seal.number != expected {
            return Err(broken(format!("seal {expected} was due: seals were removed or moved")));
        }
        if statement.previous_seal_sha256 != earlier.last().map(|last| last.sha256) {
            return Err(broken("it does not hold the hash of the seal before".to_owned()));
        }
        // What it covers must be how the ledger begins, down to the line that announces it.
        if !announced.0.iter().any(|announced| announced.path == seal.path && announced.head == statement.ledger) {
            return Err(SealError::NotAsSealed { path: files.describe(LEDGER), seal: seal.number });
        }
        let sha256 = Sha256Hash::of(seal.statement.as_deref().unwrap_or_default());
        earlier.push(Earlier { statement, sha256 });
    }
    Ok((earlier, lost))
}

/// The statement of a seal, whatever its signature.
fn parsed(seal: &SealFile) -> Result<SealStatement, String> {
    let bytes = seal.statement.as_deref().ok_or("its statement is missing")?;
    SealStatement::parse(bytes).map_err(|error| error.to_string())
}

/// The statement of a seal whose signature does not say otherwise.
fn checked(seal: &SealFile) -> Result<SealStatement, String> {
    let (Some(bytes), Some(signature)) = (&seal.statement, &seal.signature) else {
        return Err("its statement or its signature is missing".to_owned());
    };
    let statement = SealStatement::parse(bytes).map_err(|error| error.to_string())?;
    match verify_signature(bytes, signature) {
        Ok(signer) if signer.public_key == statement.signer.public_key => Ok(statement),
        Ok(signer) => Err(format!("it is signed with the key {}, not with the one it names", signer.fingerprint)),
        Err(SignatureProblem::NotChecked { .. }) => Ok(statement),
        Err(problem) => Err(format!("as to its signature, {problem}")),
    }
}

/// What the ledger records of the payload, and of seals.
fn read_ledger<'a>(writer: &CaseWriter, workspace: &'a Workspace<'a>) -> Result<(Recording<'a>, Announcements), SealError> {
    let (mut recorded, mut announcements) = (Recording::new(workspace), Announcements::default());
    writer.read_ledger(&mut |line| match &line.entry.event {
        Event::ArtifactAcquired(artifact) => recorded.add(artifact),
        Event::CaseSealed(sealed) => {
            let head = LedgerHead { lines: line.tree.size(), root: line.tree.root() };
            announcements.0.push(Announced { path: sealed.seal.clone(), signer: sealed.signer.clone(), head });
        }
        _ => {}
    })?;
    Ok((recorded, announcements))
}

/// Compares the payload with the ledger, or lists it as it is found.
fn check_payload(
    writer: &CaseWriter,
    files: &CaseFolder,
    recorded: Option<Recorded>,
    manifest: &mut dyn Write,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<ArtifactTotals, SealError> {
    match recorded {
        Some(recorded) => payload::check(writer, files, recorded, manifest, progress),
        None => payload::list(files, manifest, progress),
    }
}

type Bag = (ArtifactTotals, Sha256Hash, Sha256Hash);

/// Writes the bag's tag files, the tag manifest last.
fn write_bag(
    writer: &mut CaseWriter,
    files: &CaseFolder,
    recorded: Option<Recorded>,
    key: &SigningKey,
    at: Timestamp,
    tool: &Tool,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Bag, SealError> {
    let mut manifest = writer.begin_tag_file(MANIFEST)?;
    let totals = check_payload(writer, files, recorded, &mut manifest, progress)?;
    let manifest_sha256 = manifest.finish()?;
    let identity = writer.identity().clone();
    write(writer, "bagit.txt", bag::BAGIT.as_bytes())?;
    write(writer, "bag-info.txt", bag::bag_info(&identity, totals, at, tool).as_bytes())?;
    write(writer, VERIFY_TXT, bag::verify_text(&identity, totals, &manifest_sha256, key).as_bytes())?;
    write(writer, VERIFY_HTML, bag::VERIFY_PAGE.as_bytes())?;
    write(writer, ALLOWED_SIGNERS, bag::allowed_signers(key).as_bytes())?;
    let mut hashes = Vec::new();
    for path in TAG_FILES {
        hashes.push((path, hash_file(files, path)?));
    }
    let tagmanifest_sha256 = write(writer, TAG_MANIFEST, bag::tag_manifest(&hashes).as_bytes())?;
    Ok((totals, manifest_sha256, tagmanifest_sha256))
}

/// Checks that payload and tag files still are what the last seal covers.
fn check_bag(
    writer: &CaseWriter,
    files: &CaseFolder,
    recorded: Option<Recorded>,
    last: &Earlier,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Bag, SealError> {
    let changed = |path: &str| SealError::NotAsSealed { path: files.describe(path), seal: last.number() };
    let mut manifest = HashingSink::default();
    let totals = check_payload(writer, files, recorded, &mut manifest, progress)?;
    let manifest_sha256 = manifest.0.finish();
    if (manifest_sha256, totals) != (last.statement.manifest_sha256, last.statement.artifacts) {
        return Err(changed(MANIFEST));
    }
    let tag_manifest = read_bounded(files, TAG_MANIFEST, TAG_MANIFEST_LIMIT)?;
    let tagmanifest_sha256 = Sha256Hash::of(&tag_manifest);
    if tagmanifest_sha256 != last.statement.tagmanifest_sha256 {
        return Err(changed(TAG_MANIFEST));
    }
    let mut lines = ManifestReader::new(tag_manifest.as_slice(), Lists::Tags);
    while let Some(line) = lines.next_line().map_err(|_| changed(TAG_MANIFEST))? {
        if hash_file(files, &line.path)? != line.sha256 {
            return Err(changed(&line.path));
        }
    }
    Ok((totals, manifest_sha256, tagmanifest_sha256))
}

fn write(writer: &mut CaseWriter, path: &str, bytes: &[u8]) -> Result<Sha256Hash, CaseError> {
    let place = writer.root().join(path);
    let mut file = writer.begin_tag_file(path)?;
    file.write_all(bytes).map_err(|source| CaseError::Io { doing: "write", path: place, source })?;
    file.finish()
}

fn hash_file(files: &CaseFolder, path: &str) -> Result<Sha256Hash, CaseError> {
    let read = HashingReader::new(files.open(path)?).finish();
    let (sha256, _) = read.map_err(|source| CaseError::Io { doing: "read", path: files.describe(path), source })?;
    Ok(sha256)
}

#[derive(Default)]
struct HashingSink(Sha256Hasher);

impl Write for HashingSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
