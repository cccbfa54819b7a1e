//! The order in which a case is sealed: what can refuse does so before the ledger announces the seal, and the seal's own signature is
//! written last.

use std::io::BufReader;

use crate::case::event::{CaseSealed, Event, Tool};
use crate::case::merkle::consistency_in;
use crate::case::{
    CaseError, CaseFiles as _, CaseFolder, CaseWriter, FORMAT_VERSION, IoContext as _, LEDGER, Protection, TagFile, Workspace,
};
use crate::model::{Sha256Hash, Timestamp};

use super::case_bag::CaseBag;
use super::checkpoint::{self, Checkpoint};
use super::earlier::{EarlierSeals, Said};
use super::payload::Recording;
use super::seals::path_of;
use super::{Extension, LedgerHead, NOT_THERE, SealError, SealStatement, SealedBy, SigningKey, admit};

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
/// With another key it cannot be told from a seal whose signature was lost, so that its statement stays and the next seal extends it. So does a
/// signature whose statement was lost: nothing else is ever put under it. Of the checkpoints of earlier seals, what was lost is put back as far
/// as it follows from the seal, or can be signed with this key; of the rest this seal says that it was not there.
///
/// Whatever can be known to stand in the way is found before anything is recorded.
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
    /// Whether to seal in spite of what verification goes on to tell of: where the ledger announces this seal by another key and nothing of it
    /// is there, where somebody who received the case has not signed for it, and where this machine's clock is far behind the ledger.
    pub despite: bool,
    /// What else the seal admits, as damage is named, of a case that is whole: that its collection did not come to its end.
    pub admitted: Vec<String>,
    /// Whether the seal tells the time of its line in the ledger. Otherwise it tells the one that is given, which is then only compared.
    pub by_the_ledger: bool,
    /// What is recorded together with the seal's own line, once nothing stands in the way any more: if the case is not sealed, none of it is.
    pub acts: Vec<Event>,
    /// Where that is put which grows with the number of artifacts.
    pub workspace: Workspace<'a>,
    /// Called as files are hashed, with how many and how many bytes.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl std::fmt::Debug for SealOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { notes, flags, damage, despite, admitted, by_the_ledger, acts, workspace, progress: _ } = self;
        let mut shown = f.debug_struct("SealOptions");
        shown
            .field("notes", notes)
            .field("flags", flags)
            .field("damage", damage)
            .field("despite", despite)
            .field("admitted", admitted)
            .field("by_the_ledger", by_the_ledger)
            .field("acts", acts)
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
            despite: false,
            admitted: Vec::new(),
            by_the_ledger: false,
            acts: Vec::new(),
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
    let (recorded, mut said) = read_ledger(writer, &options.workspace)?;
    let earlier = EarlierSeals::read(&files, key, &said)?;
    for act in &options.acts {
        said.take_act(act, u64::MAX);
    }
    let number = earlier.next;
    let path = path_of(number);
    let mut damage = options.damage.clone();
    refuse_or_admit(&files, &earlier, &said, (key, at), options.despite, &mut damage)?;
    for told in &options.admitted {
        admit(&mut damage, told.clone());
    }
    // What is damaged cannot be held against the ledger; then a first manifest lists what is found.
    let recorded = if options.damage.is_empty() { Some(recorded.finish(writer)?) } else { None };
    let covered = match earlier.last() {
        Some(last) => Some((CaseBag::from(&last.statement), last.statement.number)),
        None if earlier.is_first_lost() => CaseBag::found(&files)?.map(|bag| (bag, number - 1)),
        None => None,
    };
    let bag = match covered {
        Some((bag, seal)) => bag.check(writer, &files, recorded, seal, &mut damage, options.progress)?,
        None => CaseBag::write(writer, &files, recorded, (key, at, tool), options.progress)?,
    };
    // What the ledger announces should come about: a key that refuses does so before.
    if key.signs_through_ssh_keygen() {
        key.sign(TRIAL)?;
    }
    let lost = lost_checkpoints(&files, &earlier, key, &mut damage)?;
    // So should a folder that takes no more files.
    let lost =
        lost.into_iter().map(|(path, bytes)| Ok((free(writer, &path)?, bytes))).collect::<Result<Vec<_>, CaseError>>()?;
    let checkpoint_path = checkpoint::path_of(number);
    let targets = [
        free(writer, &checkpoint_path)?,
        free(writer, &format!("{checkpoint_path}.sig"))?,
        free(writer, &path)?,
        free(writer, &format!("{path}.sig"))?,
    ];
    for (file, bytes) in lost {
        file.finish_with(&bytes)?;
    }
    let protection = writer.protect(options.flags)?;
    let sealed = Event::CaseSealed(CaseSealed {
        seal: path.clone(),
        signer: key.signer().fingerprint.clone(),
        tool: tool.clone(),
        protection: Some(protection),
    });
    let written = writer.append_all(options.acts.iter().cloned().chain([sealed]).collect())?;
    // Hashing and signing on trial may have taken an hour since.
    let at = written.last().filter(|_| options.by_the_ledger).map_or(at, |line| line.at);
    let mut statement = statement(writer, &files, &earlier, bag, (key, at, tool), damage, &options.notes)?;
    let checkpoint = Checkpoint::of(&statement).encode().map_err(SealError::Encode)?;
    statement.checkpoint_sha256 = Some(Sha256Hash::of(&checkpoint));
    let bytes = statement.encode().map_err(SealError::Encode)?;
    let sha256 = Sha256Hash::of(&bytes);
    // Signed before it is written: a key that refuses leaves no statement behind.
    let signature = key.sign(&bytes)?;
    let checkpoint_signature = key.sign(&checkpoint)?;
    // The seal's own signature comes last: once it is there, all of this is.
    for (file, bytes) in targets.into_iter().zip([checkpoint, checkpoint_signature, bytes, signature]) {
        file.finish_with(&bytes)?;
    }
    Ok(Sealed { path, statement, sha256, protection })
}

/// What the seal says of the ledger as it is now, and of everything else; its checkpoint follows from it.
fn statement(
    writer: &CaseWriter,
    files: &CaseFolder,
    earlier: &EarlierSeals,
    bag: CaseBag,
    (key, at, tool): (&SigningKey, Timestamp, &Tool),
    damage: Vec<String>,
    notes: &str,
) -> Result<SealStatement, SealError> {
    let tree = writer.ledger_tree();
    let ledger = LedgerHead { lines: tree.size(), root: tree.root() };
    let last = earlier.last();
    Ok(SealStatement {
        format_version: FORMAT_VERSION,
        case_number: last.map_or(&writer.identity().case_number, |last| &last.statement.case_number).clone(),
        number: earlier.next,
        sealed_at: at,
        ledger,
        manifest_sha256: bag.manifest_sha256,
        tagmanifest_sha256: bag.tagmanifest_sha256,
        previous_seal_sha256: last.map(|last| last.sha256),
        extends: last.map(|last| extension(files, last.statement.ledger, ledger)).transpose()?,
        checkpoint_sha256: None,
        artifacts: bag.artifacts,
        signer: SealedBy::of(key),
        tool: tool.clone(),
        damage,
        notes: notes.to_owned(),
    })
}

/// Refuses a seal of which verification would go on to tell; if it is made in spite of that, it says so itself.
fn refuse_or_admit(
    files: &CaseFolder,
    earlier: &EarlierSeals,
    said: &Said,
    (key, at): (&SigningKey, Timestamp),
    despite: bool,
    damage: &mut Vec<String>,
) -> Result<(), SealError> {
    let path = path_of(earlier.next);
    if let Some(told) = &earlier.found {
        admit(damage, told.clone());
    }
    if let Some(announced) = said.by_another(&path, key) {
        if !despite {
            return Err(SealError::Announced { path: files.describe(&path), signer: announced.signer.clone() });
        }
        admit(damage, format!("seal-replaced {path}"));
    }
    if !despite {
        said.refuse_unsigned_receipt(earlier.signed_lines(), key)?;
        return said.refuse_time(at);
    }
    if said.refuse_time(at).is_err() {
        admit(damage, format!("seal-time-mismatch {path}"));
    }
    Ok(())
}

/// Whether the seals that a case has can be followed by another at all, which nothing makes up for where they cannot.
pub fn check_earlier_seals(writer: &CaseWriter, key: &SigningKey) -> Result<(), SealError> {
    let (_, said) = read_ledger(writer, &Workspace::default())?;
    EarlierSeals::read(&writer.files()?, key, &said).map(drop)
}

/// A file of the case that is about to be written, and can be.
fn free(writer: &mut CaseWriter, path: &str) -> Result<TagFile, CaseError> {
    let file = writer.begin_tag_file(path)?;
    file.check_free()?;
    Ok(file)
}

/// What of the checkpoints of earlier seals is lost and can be put back: the checkpoint follows from its seal, its signature takes the seal's key.
/// Of what cannot, the next seal says that it was not there.
fn lost_checkpoints(
    files: &CaseFolder,
    earlier: &EarlierSeals,
    key: &SigningKey,
    damage: &mut Vec<String>,
) -> Result<Vec<(String, Vec<u8>)>, SealError> {
    let is_lost = |path: &str| match files.open_file(path) {
        Err(error) if error.is_not_found() => Ok(true),
        opened => opened.map(|_| false),
    };
    let mut lost = Vec::new();
    for seal in &earlier.seals {
        let checkpoint = Checkpoint::of(&seal.statement).encode().map_err(SealError::Encode)?;
        // Earlier versions made none.
        if seal.statement.checkpoint_sha256 != Some(Sha256Hash::of(&checkpoint)) {
            continue;
        }
        let path = checkpoint::path_of(seal.statement.number);
        let signature = format!("{path}.sig");
        if is_lost(&signature)? {
            if seal.signed && seal.statement.signer.public_key == key.signer().public_key {
                lost.push((signature, key.sign(&checkpoint)?));
            } else if !earlier.seals.iter().any(|later| later.statement.admits(NOT_THERE, &signature)) {
                admit(damage, format!("{NOT_THERE} {signature}"));
            }
        }
        if is_lost(&path)? {
            lost.push((path, checkpoint));
        }
    }
    damage.retain(|told| !lost.iter().any(|(path, _)| *told == format!("{NOT_THERE} {path}")));
    Ok(lost)
}

/// What the ledger records of the payload, and what else it says.
fn read_ledger<'a>(writer: &CaseWriter, workspace: &'a Workspace<'a>) -> Result<(Recording<'a>, Said), SealError> {
    let (mut recorded, mut said) = (Recording::new(workspace), Said::default());
    writer.read_ledger(&mut |line| {
        said.take(&line);
        if let Event::ArtifactAcquired(artifact) = &line.entry.event {
            recorded.add(artifact);
        }
    })?;
    Ok((recorded, said))
}

/// The proof that the ledger as it is now extends the one that the last seal covers.
fn extension(files: &CaseFolder, from: LedgerHead, to: LedgerHead) -> Result<Extension, SealError> {
    let place = files.describe(LEDGER);
    let ledger = BufReader::with_capacity(256 * 1024, files.open(LEDGER)?);
    let proof = consistency_in(ledger, from.lines, to.lines).doing("read", &place)?;
    let extension = proof.map(|proof| Extension { from, proof });
    extension
        .filter(|extension| extension.proves(from, to))
        .ok_or_else(|| CaseError::Malformed { path: place, problem: "it changed while it was being sealed".to_owned() }.into())
}
