//! Custody of a package that is out of the case's reach: each holder signs for it, for the seal in it, and for the receipt before.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::case::custody::{Handover, Reverification};
use crate::case::event::Tool;
use crate::case::ledger::canonical;
use crate::case::{FORMAT_VERSION, IoContext as _};
use crate::model::{Sha256Hash, Timestamp, strict_json};

use super::{KeyError, ParseSealError, SealedBy, SigningKey};

/// Largest file of a receipt that is read.
pub const RECEIPT_LIMIT: usize = 1024 * 1024;

/// What the receiver of a package signs: `PACKAGE.receipt-NNNN.json` beside it, in RFC 8785 canonical form.
///
/// A package is never changed, so what happens to it afterwards stands beside it. Each receipt holds the hash of the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// `receipt`, so that it is never taken for something else that the key signed.
    kind: Kind,
    /// Version of the format.
    pub format_version: u32,
    /// The number under which the organization files the case.
    pub case_number: String,
    /// Which receipt of the package this is, from 1.
    pub number: u32,
    /// When it was received, by the receiver's clock.
    pub received_at: Timestamp,
    /// The package; the first part of one that lies in parts.
    pub package: PackageHead,
    /// All parts, where it lies in parts: whoever signs for one signs for all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PackageHead>,
    /// The latest seal in it; none in a disclosure, which has a checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealHead>,
    /// SHA-256 of the receipt before this one, so that none can be taken away unnoticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_receipt_sha256: Option<Sha256Hash>,
    /// From whom to whom.
    pub handover: Handover,
    /// What verification came to at receipt.
    pub verification: Reverification,
    /// Who signs.
    pub signer: SealedBy,
    /// With which program.
    pub tool: Tool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    #[serde(rename = "receipt")]
    Receipt,
}

/// A package as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageHead {
    /// Its file name.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
}

/// A seal as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealHead {
    /// Its file, from the case folder.
    pub file: String,
    /// SHA-256 of its statement.
    pub sha256: Sha256Hash,
}

/// A receipt as it lies beside a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptFile {
    /// Its file name.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Which file of it is there and could not be read, and why.
    pub unread: Option<String>,
    /// The statement's bytes; none where it could not be read.
    pub statement: Vec<u8>,
    /// The SSH signature in PEM.
    pub signature: Option<Vec<u8>>,
    /// The RFC 3161 time-stamp response in DER.
    pub timestamp: Option<Vec<u8>>,
}

impl ReceiptFile {
    /// Which receipt it is: as it says itself, or as its name does where it cannot be read.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        let of_its_name = || self.name.rsplit_once(".receipt-")?.1.strip_suffix(".json")?.parse().ok();
        Receipt::parse(&self.statement).ok().map(|receipt| receipt.number).or_else(of_its_name)
    }

    /// Whether it is a receipt at all, damaged or not.
    #[must_use]
    pub fn is_one(&self) -> bool {
        const KIND: &[u8] = br#""kind":"receipt""#;
        self.statement.starts_with(b"{") && self.statement.windows(KIND.len()).any(|window| window == KIND)
    }

    /// Whether both are the same receipt, of which one may lack its signature or its time-stamp.
    #[must_use]
    pub fn is_copy_of(&self, other: &Self) -> bool {
        let fits = |one: &Option<Vec<u8>>, other: &Option<Vec<u8>>| one.is_none() || other.is_none() || one == other;
        let is_read = self.unread.is_none() && other.unread.is_none();
        is_read
            && self.statement == other.statement
            && fits(&self.signature, &other.signature)
            && fits(&self.timestamp, &other.timestamp)
    }
}

impl Receipt {
    /// A receipt by the holder of `key`.
    #[must_use]
    pub fn new(
        case_number: String,
        received_at: Timestamp,
        package: PackageHead,
        handover: Handover,
        verification: Reverification,
        key: &SigningKey,
        tool: Tool,
    ) -> Self {
        let signer = SealedBy {
            principal: key.principal().to_owned(),
            fingerprint: key.signer().fingerprint.clone(),
            public_key: key.signer().public_key.clone(),
        };
        Self {
            kind: Kind::Receipt,
            format_version: FORMAT_VERSION,
            case_number,
            number: 1,
            received_at,
            package,
            parts: Vec::new(),
            seal: None,
            previous_receipt_sha256: None,
            handover,
            verification,
            signer,
            tool,
        }
    }

    /// Reads a receipt, and refuses every spelling of it but the canonical one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseSealError> {
        if bytes.len() > RECEIPT_LIMIT {
            return Err(ParseSealError::of(&"it is larger than a receipt can be"));
        }
        let value = strict_json::parse(bytes).map_err(|problem| ParseSealError::of(&problem))?;
        let receipt: Self = serde_json::from_value(value).map_err(|problem| ParseSealError::of(&problem))?;
        if receipt.encode().map_err(|problem| ParseSealError::of(&problem))? != bytes {
            return Err(ParseSealError::of(&"it is not in canonical form"));
        }
        if receipt.number == 0 {
            return Err(ParseSealError::of(&"receipts are numbered from 1"));
        }
        if receipt.packages().first() != Some(&receipt.package) {
            return Err(ParseSealError::of(&"its package is not the first of its parts"));
        }
        Ok(receipt)
    }

    /// What was received: the package, or each of its parts.
    #[must_use]
    pub fn packages(&self) -> &[PackageHead] {
        if self.parts.is_empty() { std::slice::from_ref(&self.package) } else { &self.parts }
    }

    /// The bytes that are signed.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical(self)
    }

    /// Signs it. Gives the statement's bytes and the signature in PEM.
    pub fn sign(&self, key: &SigningKey) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        let bytes = self.encode().map_err(io::Error::other).doing("write as JSON what is signed with", key.path())?;
        let signature = key.sign(&bytes)?;
        Ok((bytes, signature))
    }
}
