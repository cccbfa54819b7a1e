//! The seals that a case has when it is sealed again, and what its ledger says of seals, of holders and of the time.

use std::collections::BTreeSet;

use crate::case::event::Event;
use crate::case::ledger::Line;
use crate::case::{CaseFiles as _, CaseFolder, Found, Order, seconds_ahead};
use crate::model::{Sha256Hash, Timestamp};

use super::seals::{SealFile, SealNumbers};
use super::{LedgerHead, MISSING, SEALS, SealError, SealStatement, SignatureProblem, SigningKey, UNSIGNED, verify_signature};

/// A line of the ledger that announces a seal.
#[derive(Debug)]
pub(super) struct Announced {
    /// The seal's file.
    pub(super) path: String,
    /// The key that was to sign.
    pub(super) signer: String,
    /// The ledger with that line, which is what the seal covers.
    head: LedgerHead,
}

/// A line of the ledger, or one that is to be, which says that somebody received the case and with which key they sign for it.
#[derive(Debug)]
struct Received {
    /// Lines of the ledger with it.
    lines: u64,
    released_by: String,
    received_by: String,
    signer: String,
}

/// What the ledger says besides its artifacts, as far as it matters for a seal.
#[derive(Debug, Default)]
pub(super) struct Said {
    announced: Vec<Announced>,
    received: Vec<Received>,
    /// The latest time at which a line was written.
    latest: Option<Timestamp>,
    /// By how many seconds a clock that the case was collected by was ahead.
    ahead: i64,
}

impl Said {
    /// Takes a line of the ledger.
    pub(super) fn take(&mut self, line: &Line<'_>) {
        self.latest = self.latest.max(Some(line.entry.at));
        self.ahead = self.ahead.max(seconds_ahead(&line.entry.event));
        if let Event::CaseSealed(sealed) = &line.entry.event {
            let head = LedgerHead { lines: line.tree.size(), root: line.tree.root() };
            self.announced.push(Announced { path: sealed.seal.clone(), signer: sealed.signer.clone(), head });
        }
        self.take_act(&line.entry.event, line.tree.size());
    }

    /// Takes what is to be recorded with the seal.
    pub(super) fn take_act(&mut self, event: &Event, lines: u64) {
        if let Event::CustodyReceived(act) = event {
            self.received.push(Received {
                lines,
                released_by: act.handover.released_by.clone(),
                received_by: act.handover.received_by.clone(),
                signer: act.signer.clone(),
            });
        }
    }

    /// The seal at `path` as announced by another key than `key`, if it was.
    pub(super) fn by_another(&self, path: &str, key: &SigningKey) -> Option<&Announced> {
        self.announced.iter().find(|announced| announced.path == path && announced.signer != key.signer().fingerprint)
    }

    /// Refuses a seal by `key` in the place of one by somebody who received the case after the ledger's first `sealed` lines and has yet to sign
    /// for it. That they signed with another of their keys makes up for it.
    pub(super) fn refuse_unsigned_receipt(&self, sealed: u64, key: &SigningKey) -> Result<(), SealError> {
        let fingerprint = &key.signer().fingerprint;
        let since: Vec<&Received> = self.received.iter().filter(|received| received.lines > sealed).collect();
        let signs = |received: &Received| {
            let parties = |received: &Received| (received.released_by.clone(), received.received_by.clone());
            since.iter().any(|other| other.signer == *fingerprint && parties(other) == parties(received))
        };
        since.iter().find(|received| !signs(received)).map_or(Ok(()), |received| {
            Err(SealError::NotSignedFor { holder: received.received_by.clone(), signer: received.signer.clone() })
        })
    }

    /// Refuses a time that is far before what is to be sealed then, unless the ledger records a clock that explains it.
    pub(super) fn refuse_time(&self, at: Timestamp) -> Result<(), SealError> {
        match self.latest {
            Some(written) if Order::of(written, at, self.ahead) == Order::Contradicted => {
                Err(SealError::Clock { now: at, written })
            }
            _ => Ok(()),
        }
    }
}

/// An earlier seal whose statement is there.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) path: String,
    pub(super) statement: SealStatement,
    pub(super) sha256: Sha256Hash,
    /// Whether its signature is there.
    pub(super) signed: bool,
}

/// The seals of a case that stay.
#[derive(Debug)]
pub(super) struct EarlierSeals {
    pub(super) seals: Vec<Earlier>,
    /// The number of the next one.
    pub(super) next: u32,
    /// What the next one has to say of the last one: that its signature is lost, or that all but that is.
    pub(super) found: Option<String>,
}

impl EarlierSeals {
    /// Reads them, each checked by itself and against the one before.
    pub(super) fn read(files: &CaseFolder, key: &SigningKey, said: &Said) -> Result<Self, SealError> {
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
        let mut found = None;
        if let Some(last) = seals.last().filter(|seal| !seal.is_complete()) {
            if last.statement.is_none() {
                // What was signed or stamped is gone, and nothing else may ever stand under that signature.
                found = Some(format!("{MISSING} {}", last.path));
            } else if last.timestamp.is_some() || said.by_another(&last.path, key).is_some() {
                found = Some(format!("{UNSIGNED} {}", last.path));
            } else {
                seals.pop();
            }
        }
        let admitted: BTreeSet<String> = seals
            .iter()
            .filter_map(|seal| checked(seal).ok())
            .flat_map(|statement| statement.damage)
            .chain(found.clone())
            .collect();
        let mut earlier: Vec<Earlier> = Vec::new();
        let mut next = 1;
        for seal in &seals {
            let broken = |problem: String| SealError::BrokenSeal { path: files.describe(&seal.path), problem };
            if seal.number != next {
                return Err(broken(format!("seal {next} was due: seals were removed or moved")));
            }
            next += 1;
            if seal.statement.is_none() && admitted.contains(&format!("{MISSING} {}", seal.path)) {
                continue;
            }
            let unsigned = seal.signature.is_none() && admitted.contains(&format!("{UNSIGNED} {}", seal.path));
            let statement = if unsigned { parsed(seal) } else { checked(seal) }.map_err(&broken)?;
            if statement.number != seal.number {
                return Err(broken(format!("it says that it is seal {}", statement.number)));
            }
            // One that was lost when this one was made, and was found again, is not the one it follows.
            let before = earlier.iter().rev().find(|before| !statement.admits(MISSING, &before.path));
            if statement.previous_seal_sha256 != before.map(|before| before.sha256) {
                return Err(broken("it does not hold the hash of the seal before".to_owned()));
            }
            // What it covers must be how the ledger begins, down to the line that announces it.
            if !said.announced.iter().any(|announced| announced.path == seal.path && announced.head == statement.ledger) {
                return Err(SealError::NotAsSealed { path: files.describe(crate::case::LEDGER), seal: seal.number });
            }
            let sha256 = Sha256Hash::of(seal.statement.as_deref().unwrap_or_default());
            earlier.push(Earlier { path: seal.path.clone(), statement, sha256, signed: seal.signature.is_some() });
        }
        Ok(Self { seals: earlier, next, found })
    }

    pub(super) fn last(&self) -> Option<&Earlier> {
        self.seals.last()
    }

    /// Whether the case was sealed and nothing is left that says what that seal covers.
    pub(super) fn is_first_lost(&self) -> bool {
        self.seals.is_empty() && self.next > 1
    }

    /// How many lines of the ledger somebody signed for.
    pub(super) fn signed_lines(&self) -> u64 {
        self.seals.iter().filter(|seal| seal.signed).map(|seal| seal.statement.ledger.lines).max().unwrap_or(0)
    }
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
