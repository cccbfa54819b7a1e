//! What a disclosure carries in place of a seal: as much as proves its lines, and nothing from which others could be guessed.

use serde::{Deserialize, Serialize};

use crate::case::ledger::canonical;
use crate::model::{Sha256Hash, Timestamp, strict_json};

use super::{LedgerHead, ParseSealError, SealStatement, SealedBy};

/// Where checkpoints lie.
pub const CHECKPOINTS: &str = "custody/checkpoints";

/// What a seal says of the ledger and nothing else: `custody/checkpoints/NNNN.json`, in RFC 8785 canonical form, signed by the same key.
///
/// A seal tells how many artifacts there are, and the hash of their manifest; whoever is shown some of them could compare guesses
/// about the others with it. A disclosure carries the checkpoint in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// `checkpoint`, so that it is never taken for something else that the key signed.
    kind: Kind,
    /// Version of the case format.
    pub format_version: u32,
    /// The number under which the organization files the case.
    pub case_number: String,
    /// Of which seal, from 1.
    pub number: u32,
    /// When it was made, by the sealing machine's clock.
    pub sealed_at: Timestamp,
    /// The ledger as far as the seal covers it.
    pub ledger: LedgerHead,
    /// Who signs.
    pub signer: SealedBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "checkpoint")]
    Checkpoint,
}

impl Checkpoint {
    /// What `seal` says of the ledger.
    #[must_use]
    pub fn of(seal: &SealStatement) -> Self {
        Self {
            kind: Kind::Checkpoint,
            format_version: seal.format_version,
            case_number: seal.case_number.clone(),
            number: seal.number,
            sealed_at: seal.sealed_at,
            ledger: seal.ledger,
            signer: seal.signer.clone(),
        }
    }

    /// Reads a checkpoint, and refuses every spelling of it but the canonical one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseSealError> {
        let value = strict_json::parse(bytes).map_err(|problem| ParseSealError::of(&problem))?;
        let checkpoint: Self = serde_json::from_value(value).map_err(|problem| ParseSealError::of(&problem))?;
        if checkpoint.encode().map_err(|problem| ParseSealError::of(&problem))? != bytes {
            return Err(ParseSealError::of(&"it is not in canonical form"));
        }
        Ok(checkpoint)
    }

    /// The bytes that are signed.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical(self)
    }
}

/// Where the checkpoint of a seal lies.
pub(crate) fn path_of(number: u32) -> String {
    format!("{CHECKPOINTS}/{number:04}.json")
}

/// Where the lines of a disclosure stand.
pub const DISCLOSURE: &str = "custody/disclosure.jsonl";

/// One line of `custody/disclosure.jsonl`, in RFC 8785 canonical form: a line of the ledger, proven to belong to a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisclosedLine {
    /// Which line of the ledger it is, counted from 0.
    pub index: u64,
    /// Its exact text, without the newline.
    pub line: String,
    /// The inclusion proof of RFC 9162 section 2.1.3, from the leaf's sibling upwards.
    pub proof: Vec<Sha256Hash>,
}
