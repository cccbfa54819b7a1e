//! The ledger: `custody/ledger.jsonl`, append-only, one act a line, each line holding the hash of the line before.

use std::fs::File;
use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{Sha256Hash, Timestamp};

use super::error::IoContext;
use super::event::{Event, LedgerRecovered};
use super::merkle::MerkleTree;
use super::strict_json;
use super::{CaseError, Receipt};

/// Longest line that is read. caselock's own are a few kilobytes.
const LINE_LIMIT: usize = 4 * 1024 * 1024;

/// One line of the ledger, as caselock understands it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Counted from 0.
    pub seq: u64,
    /// SHA-256 of the previous line's exact bytes without its newline; zeros in the first.
    pub prev: Sha256Hash,
    /// When it was written, by this machine's clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Entry {
    /// The line's bytes: RFC 8785 canonical JSON, no newline.
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Value::Object(mut fields) = serde_json::to_value(&self.event)? else {
            return Err(serde::ser::Error::custom("an event is an object"));
        };
        fields.insert("seq".to_owned(), self.seq.into());
        fields.insert("prev".to_owned(), self.prev.to_string().into());
        fields.insert("at".to_owned(), self.at.to_string().into());
        canonical(&Value::Object(fields))
    }

    fn decode(line: &[u8]) -> Result<Self, String> {
        let mut fields: Map<String, Value> = match strict_json::parse(line).map_err(|error| error.to_string())? {
            Value::Object(fields) => fields,
            _ => return Err("it is not a JSON object".to_owned()),
        };
        let mut take = |name: &str| fields.remove(name).ok_or_else(|| format!("it has no `{name}`"));
        let (seq, prev, at) = (take("seq")?, take("prev")?, take("at")?);
        let text = |error: serde_json::Error| error.to_string();
        Ok(Self {
            seq: serde_json::from_value(seq).map_err(text)?,
            prev: serde_json::from_value(prev).map_err(text)?,
            at: serde_json::from_value(at).map_err(text)?,
            event: serde_json::from_value(Value::Object(fields)).map_err(text)?,
        })
    }
}

/// RFC 8785 canonical JSON.
pub(crate) fn canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}

/// Why a line of the ledger does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerProblem {
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong, in a phrase.
    pub problem: String,
}

/// What reading a ledger from its start to its end came to.
#[derive(Clone, Debug, Default)]
pub struct LedgerState {
    /// Lines, which are the leaves of the Merkle tree.
    pub lines: u64,
    /// Entries among them (a torn line is none).
    pub entries: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The tree over all lines.
    pub tree: MerkleTree,
    /// SHA-256 of the last line.
    head: Option<Sha256Hash>,
    /// Everything that does not hold.
    pub problems: Vec<LedgerProblem>,
    /// Bytes after the last newline, if they are no entry: a crash cut the line short.
    pub torn_tail: Option<TornTail>,
    /// Whether the last line is an entry that lacks only its newline.
    pub unterminated: bool,
}

/// A last line that a crash cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where it starts.
    pub offset: u64,
    /// Its bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: Sha256Hash,
}

/// One line on its way past, with the state of the tree that ends with it.
#[derive(Debug)]
pub struct Line<'a> {
    /// The exact bytes, without the newline.
    pub bytes: &'a [u8],
    /// What they mean.
    pub entry: &'a Entry,
    /// The tree over all lines up to and including this one.
    pub tree: &'a MerkleTree,
}

/// Reads a ledger line by line, checks its chain, and shows every entry to `visit`.
///
/// Only as much memory is used as the longest line needs. A line that does not parse is accepted only when the next entry
/// accounts for it by place, length and hash; damage in the middle never passes for a torn tail.
pub fn read_ledger(mut reader: impl BufRead, path: &Path, visit: &mut dyn FnMut(&Line<'_>)) -> Result<LedgerState, CaseError> {
    let mut state = LedgerState::default();
    let mut next_seq = 0;
    let mut unaccounted: Option<(u64, TornTail)> = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let offset = state.bytes;
        let limit = u64::try_from(LINE_LIMIT).unwrap_or(u64::MAX);
        let read = std::io::Read::take(&mut reader, limit).read_until(b'\n', &mut line).doing("read", path)?;
        if read == 0 {
            break;
        }
        state.bytes += u64::try_from(read).unwrap_or(0);
        let terminated = line.last() == Some(&b'\n');
        if terminated {
            line.pop();
        } else if line.len() >= LINE_LIMIT {
            state
                .problems
                .push(LedgerProblem { line: state.lines + 1, problem: "it is longer than any line may be".to_owned() });
            return Ok(state);
        }
        let torn = || TornTail { offset, bytes: u64::try_from(line.len()).unwrap_or(0), sha256: Sha256Hash::of(&line) };
        let decoded = Entry::decode(&line).and_then(|entry| {
            let expected = state.head.unwrap_or(Sha256Hash::ZERO);
            if entry.seq != next_seq {
                Err(format!("its number is {} where {next_seq} was due: lines were removed, inserted or moved", entry.seq))
            } else if entry.prev != expected {
                Err("it does not hold the hash of the line before: one of the two was changed".to_owned())
            } else {
                Ok(entry)
            }
        });
        if !terminated && decoded.is_err() {
            state.torn_tail = Some(torn());
            break;
        }
        state.unterminated = !terminated;
        state.lines += 1;
        state.tree.push(&line);
        let number = state.lines;
        match decoded {
            Ok(entry) => {
                if let Some((at, tail)) = unaccounted.take()
                    && !accounts_for(&entry.event, &tail)
                {
                    state.problems.push(LedgerProblem {
                        line: at,
                        problem: "it cannot be read, and the next line does not account for it".to_owned(),
                    });
                }
                next_seq = entry.seq + 1;
                state.entries += 1;
                visit(&Line { bytes: &line, entry: &entry, tree: &state.tree });
            }
            Err(problem) => {
                if let Some((at, _)) = unaccounted.take() {
                    state
                        .problems
                        .push(LedgerProblem { line: at, problem: "it cannot be read, and nothing accounts for it".to_owned() });
                }
                match Entry::decode(&line) {
                    // It reads well but does not follow: damage, never a torn line. Go on from it, to name each break once.
                    Ok(entry) => {
                        state.problems.push(LedgerProblem { line: number, problem });
                        next_seq = entry.seq + 1;
                        state.entries += 1;
                        visit(&Line { bytes: &line, entry: &entry, tree: &state.tree });
                    }
                    Err(_) => unaccounted = Some((number, torn())),
                }
            }
        }
        state.head = Some(Sha256Hash::of(&line));
    }
    if let Some((line, _)) = unaccounted {
        state.problems.push(LedgerProblem { line, problem: "it cannot be read, and nothing accounts for it".to_owned() });
    }
    Ok(state)
}

fn accounts_for(event: &Event, tail: &TornTail) -> bool {
    matches!(event, Event::LedgerRecovered(LedgerRecovered { torn_offset, torn_bytes, torn_sha256 })
        if *torn_offset == tail.offset && *torn_bytes == tail.bytes && *torn_sha256 == tail.sha256)
}

/// The one that appends.
#[derive(Debug)]
pub(crate) struct LedgerWriter {
    file: File,
    path: PathBuf,
    next_seq: u64,
    head: Sha256Hash,
    tree: MerkleTree,
    poisoned: bool,
}

impl LedgerWriter {
    /// Goes on after what `state` read; closes and accounts for a line that a crash cut short.
    pub(crate) fn resume(file: File, path: PathBuf, state: &LedgerState, now: Timestamp) -> Result<Self, CaseError> {
        if let Some(problem) = state.problems.first() {
            return Err(CaseError::BrokenLedger { line: problem.line, problem: problem.problem.clone() });
        }
        let mut writer = Self {
            file,
            path,
            next_seq: state.entries,
            head: state.head.unwrap_or(Sha256Hash::ZERO),
            tree: state.tree.clone(),
            poisoned: false,
        };
        if state.unterminated {
            writer.write(b"\n")?;
        }
        if let Some(tail) = &state.torn_tail {
            writer.head = tail.sha256;
            let torn = read_tail(&writer.path, tail)?;
            writer.tree.push(&torn);
            writer.write(b"\n")?;
            let recovered = LedgerRecovered { torn_offset: tail.offset, torn_bytes: tail.bytes, torn_sha256: tail.sha256 };
            writer.append(vec![Event::LedgerRecovered(recovered)], now)?;
        }
        Ok(writer)
    }

    /// Appends the events in one write and one sync. They are on disk when this returns.
    pub(crate) fn append(&mut self, events: Vec<Event>, at: Timestamp) -> Result<Vec<Receipt>, CaseError> {
        let mut bytes = Vec::new();
        let mut receipts = Vec::with_capacity(events.len());
        let (mut seq, mut head, mut tree) = (self.next_seq, self.head, self.tree.clone());
        for event in events {
            let line = Entry { seq, prev: head, at, event }.encode().map_err(|error| CaseError::Malformed {
                path: self.path.clone(),
                problem: format!("an event cannot be written: {error}"),
            })?;
            head = Sha256Hash::of(&line);
            tree.push(&line);
            receipts.push(Receipt { seq, sha256: head });
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
            seq += 1;
        }
        self.write(&bytes)?;
        (self.next_seq, self.head, self.tree) = (seq, head, tree);
        Ok(receipts)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CaseError> {
        if self.poisoned {
            return Err(CaseError::Poisoned);
        }
        // Until proven otherwise: after a failed write or sync nobody knows what is on disk.
        self.poisoned = true;
        self.file.write_all(bytes).doing("append to", &self.path)?;
        self.file.sync_data().doing("flush", &self.path)?;
        self.poisoned = false;
        Ok(())
    }

    pub(crate) fn tree(&self) -> &MerkleTree {
        &self.tree
    }
}

fn read_tail(path: &Path, tail: &TornTail) -> Result<Vec<u8>, CaseError> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path).doing("open", path)?;
    file.seek(SeekFrom::Start(tail.offset)).doing("read", path)?;
    let mut bytes = Vec::new();
    file.take(tail.bytes).read_to_end(&mut bytes).doing("read", path)?;
    Ok(bytes)
}
