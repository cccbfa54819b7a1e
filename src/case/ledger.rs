//! The ledger: `custody/ledger.jsonl`, append-only, one act a line, each line holding the hash of the line before.

mod batches;

use std::fs::File;
use std::io::{BufRead, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::model::{Sha256Hash, Sha256Hasher, Timestamp, strict_json};

pub(crate) use super::canonical::canonical;
use super::canonical::canonical_value;
use super::event::{Event, LedgerRecovered};
use super::merkle::MerkleTree;
use super::{CaseError, IoContext as _, LineReceipt, PathError};
use batches::RawLine;

/// Longest line that is read. caselock's own are a few kilobytes.
const LINE_LIMIT: usize = 4 * 1024 * 1024;

/// The name of [`Event::ArtifactAcquired`].
const ARTIFACT_ACQUIRED: &str = "artifact.acquired";

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
        if !fields.contains_key("salt") {
            fields.insert("salt".to_owned(), random_salt().map_err(serde_json::Error::io)?.into());
        }
        canonical_value(&Value::Object(fields))
    }

    /// Reads one line by itself, without its newline. Whether it follows from another, only [`read_ledger`] says.
    pub(crate) fn decode(line: &[u8]) -> Result<Self, String> {
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
            event: decode_event(fields).map_err(text)?,
        })
    }
}

/// Reads an event.
fn decode_event(mut fields: Map<String, Value>) -> Result<Event, serde_json::Error> {
    if fields.get("event").and_then(Value::as_str) != Some(ARTIFACT_ACQUIRED) {
        return serde_json::from_value(Value::Object(fields));
    }
    // Almost every line is one: the way round by its name would copy all of it once more.
    fields.remove("event");
    serde_json::from_value(Value::Object(fields)).map(Event::ArtifactAcquired)
}

/// Sixteen random bytes in hexadecimal. Without them, whoever is shown some lines of a ledger could guess others and compare hashes.
pub(crate) fn random_salt() -> std::io::Result<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
    Ok(hex::encode(salt))
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
    /// What a crash left after the last entry that holds.
    pub torn_tail: Option<TornTail>,
    /// Whether the last line is an entry that lacks only its newline.
    pub unterminated: bool,
}

/// What a crash left of an append that was never acknowledged: one line cut short, as a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// Where it starts.
    pub offset: u64,
    /// Its bytes, a closing newline not counted.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: Sha256Hash,
    /// Where the piece begins that has no newline after it, if there is one.
    open_from: Option<u64>,
}

/// Lines that cannot be read, until an entry accounts for them or the ledger ends.
#[derive(Debug)]
struct TornRegion {
    first_line: u64,
    offset: u64,
    bytes: u64,
    hasher: Sha256Hasher,
    /// Whether every line of it is what a crash leaves.
    plausible: bool,
    /// Whether blocks of it never reached the disk. Whatever follows such a hole was never acknowledged either.
    has_hole: bool,
    open_from: Option<u64>,
}

impl TornRegion {
    fn begin(first_line: u64, offset: u64, line: &[u8], terminated: bool) -> Self {
        let mut region = Self {
            first_line,
            offset,
            bytes: 0,
            hasher: Sha256Hasher::default(),
            plausible: true,
            has_hole: false,
            open_from: None,
        };
        region.take(offset, line, terminated);
        region
    }

    fn extend(&mut self, offset: u64, line: &[u8], terminated: bool) {
        self.hasher.update(b"\n");
        self.bytes += 1;
        self.take(offset, line, terminated);
    }

    fn take(&mut self, offset: u64, line: &[u8], terminated: bool) {
        self.hasher.update(line);
        self.bytes += u64::try_from(line.len()).unwrap_or(0);
        self.has_hole |= line.array_windows().any(|[a, b]| (*a, *b) == (0, 0));
        // A line that was closed after a crash is JSON that ends too early. Anything else was put there by something else.
        let cut_short = || strict_json::parse(line).is_err_and(|error| error.is_eof());
        self.plausible &= self.has_hole || !terminated || cut_short();
        self.open_from = (!terminated).then_some(offset);
    }

    fn is_accounted_for_by(&self, event: &Event) -> bool {
        matches!(event, Event::LedgerRecovered(LedgerRecovered { torn_offset, torn_bytes, torn_sha256 })
            if *torn_offset == self.offset && *torn_bytes == self.bytes && *torn_sha256 == self.hasher.clone().finish())
    }

    fn into_tail(self) -> TornTail {
        TornTail { offset: self.offset, bytes: self.bytes, sha256: self.hasher.finish(), open_from: self.open_from }
    }
}

/// One line on its way past, with the state of the tree that ends with it.
#[derive(Debug)]
pub struct Line<'a> {
    /// The exact bytes, without the newline.
    pub bytes: &'a [u8],
    /// What they mean.
    pub entry: Entry,
    /// The tree over all lines up to and including this one.
    pub tree: &'a MerkleTree,
}

/// Reads a ledger line by line, checks its chain, and shows every entry to `visit`.
///
/// Only as much memory is used as some hundred lines need. Lines that do not parse are accepted only when the next entry accounts for
/// them by place, length and hash, or, at the end of the ledger, when they are what a crash leaves; damage in the middle never passes
/// for a torn tail.
pub fn read_ledger(reader: impl BufRead, path: &Path, visit: &mut dyn FnMut(Line<'_>)) -> Result<LedgerState, CaseError> {
    let mut reading = Reading::default();
    // What lines mean is found out by several threads; whether they follow from one another, here.
    batches::read_lines(reader, &mut |line| reading.take(line, visit)).doing("read", path)?;
    Ok(reading.finish())
}

/// How far the reading of a ledger has come.
#[derive(Debug, Default)]
struct Reading {
    state: LedgerState,
    next_seq: u64,
    region: Option<TornRegion>,
    /// Whether the rest was not read.
    cut_off: bool,
}

impl Reading {
    /// Takes the next line. Says whether any more is to be read.
    fn take(&mut self, line: RawLine<'_>, visit: &mut dyn FnMut(Line<'_>)) -> bool {
        let Self { state, next_seq, region, .. } = self;
        let RawLine { bytes: line, terminated, entry: decoded } = line;
        let offset = state.bytes;
        state.bytes += u64::try_from(line.len()).unwrap_or(0) + u64::from(terminated);
        if !terminated && line.len() >= LINE_LIMIT {
            state.fail(state.lines + 1, "it is longer than any line may be");
            self.cut_off = true;
            return false;
        }
        let number = state.lines + 1;
        let follows = decoded.as_ref().is_ok_and(|entry| entry.seq == *next_seq && entry.prev == state.head());
        let closed = decoded
            .as_ref()
            .is_ok_and(|entry| follows && region.as_ref().is_none_or(|region| region.is_accounted_for_by(&entry.event)));
        let decoded = match (decoded, &mut *region) {
            (decoded, None) => decoded,
            (decoded, Some(_)) if closed => {
                *region = None;
                decoded
            }
            (decoded, Some(open)) if decoded.is_err() || open.has_hole => {
                open.extend(offset, line, terminated);
                Err(String::new())
            }
            (decoded, Some(open)) => {
                state.fail(open.first_line, "it cannot be read, and the next line does not account for it");
                *region = None;
                decoded
            }
        };
        match decoded {
            Ok(entry) => {
                if entry.seq != *next_seq {
                    let problem =
                        format!("its number is {} where {next_seq} was due: lines were removed, inserted or moved", entry.seq);
                    state.fail(number, &problem);
                } else if entry.prev != state.head() {
                    state.fail(number, "it does not hold the hash of the line before: one of the two was changed");
                }
                // After a break it goes on from what it found, to name each break once.
                *next_seq = entry.seq.saturating_add(1);
                state.take(line, terminated);
                state.entries += 1;
                visit(Line { bytes: line, entry, tree: &state.tree });
            }
            Err(_) => {
                if region.is_none() {
                    *region = Some(TornRegion::begin(number, offset, line, terminated));
                }
                // A piece without a newline is no line yet.
                if terminated {
                    state.take(line, terminated);
                }
            }
        }
        true
    }

    fn finish(self) -> LedgerState {
        let Self { mut state, region, cut_off, .. } = self;
        match region {
            _ if cut_off => {}
            Some(region) if region.plausible => state.torn_tail = Some(region.into_tail()),
            Some(region) => state.fail(region.first_line, "it cannot be read, and nothing accounts for it"),
            None => {}
        }
        state
    }
}

impl LedgerState {
    fn fail(&mut self, line: u64, problem: &str) {
        self.problems.push(LedgerProblem { line, problem: problem.to_owned() });
    }

    fn head(&self) -> Sha256Hash {
        self.head.unwrap_or(Sha256Hash::ZERO)
    }

    fn take(&mut self, line: &[u8], terminated: bool) {
        self.lines += 1;
        self.tree.push(line);
        self.head = Some(Sha256Hash::of(line));
        self.unterminated = !terminated;
    }
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
            let mut closing: &[u8] = b"";
            if let Some(from) = tail.open_from {
                let piece = read_from(&writer.path, from)?;
                writer.head = Sha256Hash::of(&piece);
                writer.tree.push(&piece);
                closing = b"\n";
            }
            let recovered = LedgerRecovered { torn_offset: tail.offset, torn_bytes: tail.bytes, torn_sha256: tail.sha256 };
            writer.append_after(closing, vec![Event::LedgerRecovered(recovered)], now)?;
        }
        Ok(writer)
    }

    /// Appends the events in one write and one sync. They are on disk when this returns.
    pub(crate) fn append(&mut self, events: Vec<Event>, at: Timestamp) -> Result<Vec<LineReceipt>, CaseError> {
        self.append_after(b"", events, at)
    }

    fn append_after(&mut self, closing: &[u8], events: Vec<Event>, at: Timestamp) -> Result<Vec<LineReceipt>, CaseError> {
        let mut bytes = closing.to_vec();
        let mut receipts = Vec::with_capacity(events.len());
        let (mut seq, mut head, mut tree) = (self.next_seq, self.head, self.tree.clone());
        for event in events {
            let malformed = |problem: String| CaseError::Malformed {
                path: self.path.clone(),
                problem: format!("an event cannot be written: {problem}"),
            };
            let line = Entry { seq, prev: head, at, event }.encode().map_err(|error| malformed(error.to_string()))?;
            // What no reader would take must not be written either.
            if line.len() + 1 >= LINE_LIMIT {
                return Err(malformed(format!("it has {} bytes, more than a line may have", line.len())));
            }
            head = Sha256Hash::of(&line);
            tree.push(&line);
            receipts.push(LineReceipt { seq, at, sha256: head });
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

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn tree(&self) -> &MerkleTree {
        &self.tree
    }
}

fn read_from(path: &Path, offset: u64) -> Result<Vec<u8>, PathError> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = File::open(path).doing("open", path)?;
    file.seek(SeekFrom::Start(offset)).doing("read", path)?;
    let mut bytes = Vec::new();
    file.take(u64::try_from(LINE_LIMIT).unwrap_or(u64::MAX)).read_to_end(&mut bytes).doing("read", path)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_read_as_by_the_name_of_its_event() {
        let whole = serde_json::json!({
            "event": "artifact.acquired", "path": "data/s3/example-logs/a", "size": 5, "sha256": "ab".repeat(32), "salt": "00", "later": 1,
            "source": {"kind": "s3-object", "source": "cloudtrail", "bucket": "b", "key": "a", "aws_digest": "absent", "exchange": {"attempts": 1}},
        });
        let mut without_size = whole.clone();
        without_size.as_object_mut().unwrap().remove("size");
        let mut other = whole.clone();
        other["event"] = "of a later caselock".into();
        for event in [whole, without_size, other] {
            let by_name = serde_json::from_value::<Event>(event.clone()).map_err(|error| error.to_string());
            let Value::Object(fields) = event else { unreachable!() };
            assert_eq!(decode_event(fields).map_err(|error| error.to_string()), by_name);
        }
    }
}
