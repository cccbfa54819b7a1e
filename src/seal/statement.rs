//! The words that are signed, in one spelling, and whether one seal's ledger extends another's. Who may sign is not decided here.

use serde::{Deserialize, Serialize};

use crate::case::FORMAT_VERSION;
use crate::case::event::Tool;
use crate::case::ledger::canonical;
use crate::case::merkle::is_consistent;
use crate::model::{Sha256Hash, Timestamp, strict_json};

use super::SigningKey;

/// What a seal says: `custody/seals/NNNN.json`, in RFC 8785 canonical form, signed byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealStatement {
    /// Version of the case format.
    pub format_version: u32,
    /// The number under which the organization files the case.
    pub case_number: String,
    /// Which seal of the case this is, from 1.
    pub number: u32,
    /// When it was made, by the sealing machine's clock.
    pub sealed_at: Timestamp,
    /// The ledger as far as this seal covers it.
    pub ledger: LedgerHead,
    /// SHA-256 of `manifest-sha256.txt`.
    pub manifest_sha256: Sha256Hash,
    /// SHA-256 of `tagmanifest-sha256.txt`.
    pub tagmanifest_sha256: Sha256Hash,
    /// SHA-256 of the seal before this one, so that none can be taken away unnoticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_seal_sha256: Option<Sha256Hash>,
    /// Proof that the ledger only grew since the seal before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<Extension>,
    /// SHA-256 of the seal's checkpoint, so that it cannot be taken away unnoticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_sha256: Option<Sha256Hash>,
    /// How much evidence there is.
    pub artifacts: ArtifactTotals,
    /// Who signs.
    pub signer: SealedBy,
    /// With which program.
    pub tool: Tool,
    /// What was wrong with the case when it was sealed all the same: `kind object` of each finding. The manifest lists what was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<String>,
    /// What the signer wanted to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

/// A prefix of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerHead {
    /// Lines.
    pub lines: u64,
    /// Root of the RFC 9162 Merkle tree over them.
    pub root: Sha256Hash,
}

/// A consistency proof (RFC 9162 section 2.1.4): the ledger of this seal begins with every line that the seal before it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// The ledger as the seal before covers it.
    pub from: LedgerHead,
    /// The hashes of the proof.
    pub proof: Vec<Sha256Hash>,
}

impl Extension {
    /// Whether it proves that `to` extends `from`, and names `from`.
    #[must_use]
    pub fn proves(&self, from: LedgerHead, to: LedgerHead) -> bool {
        self.from == from && is_consistent((from.lines, from.root), (to.lines, to.root), &self.proof)
    }
}

/// How much evidence there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactTotals {
    /// Files under `data/`.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Who signs a seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedBy {
    /// The name given to the key.
    pub principal: String,
    /// The key's fingerprint, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
    /// The public key, as in a `.pub` file without its comment.
    pub public_key: String,
}

/// A signed statement is not what caselock writes.
#[derive(Debug, thiserror::Error)]
#[error("it is not a statement as caselock writes it: {problem}")]
pub struct ParseSealError {
    problem: String,
}

impl ParseSealError {
    pub(super) fn of(problem: &impl ToString) -> Self {
        Self { problem: problem.to_string() }
    }
}

impl SealedBy {
    /// The holder of a key.
    pub(crate) fn of(key: &SigningKey) -> Self {
        Self {
            principal: key.principal().to_owned(),
            fingerprint: key.signer().fingerprint.clone(),
            public_key: key.signer().public_key.clone(),
        }
    }
}

impl SealStatement {
    /// Reads a statement, and refuses every spelling of it but the canonical one.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseSealError> {
        let problem = |problem: String| ParseSealError { problem };
        let value = strict_json::parse(bytes).map_err(|error| problem(error.to_string()))?;
        if let Some(version) = value.get("format_version").and_then(serde_json::Value::as_u64)
            && version != u64::from(FORMAT_VERSION)
        {
            return Err(problem(format!(
                "it is of case format version {version}; this caselock reads version {FORMAT_VERSION}"
            )));
        }
        let statement: Self = serde_json::from_value(value).map_err(|error| problem(error.to_string()))?;
        let encoded = statement.encode().map_err(|error| problem(error.to_string()))?;
        if encoded != bytes {
            return Err(problem("it is not in canonical form".to_owned()));
        }
        Ok(statement)
    }

    /// The bytes that are signed.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical(self)
    }

    /// Whether it says that it found this of the file at `path`.
    #[must_use]
    pub fn admits(&self, kind: &str, path: &str) -> bool {
        self.damage.iter().any(|told| told.split_once(' ') == Some((kind, path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> SealStatement {
        SealStatement {
            format_version: FORMAT_VERSION,
            case_number: "IR-2026-014 \"ü\"".to_owned(),
            number: 1,
            sealed_at: "2026-03-02T10:00:00.250Z".parse().unwrap(),
            ledger: LedgerHead { lines: 7, root: Sha256Hash::of(b"root") },
            manifest_sha256: Sha256Hash::of(b"m"),
            tagmanifest_sha256: Sha256Hash::of(b"t"),
            previous_seal_sha256: None,
            extends: None,
            checkpoint_sha256: None,
            artifacts: ArtifactTotals { count: 3, bytes: 5_000_000_000 },
            signer: SealedBy {
                principal: "examiner@example.com".to_owned(),
                fingerprint: "SHA256:abc".to_owned(),
                public_key: "ssh-ed25519 AAAA".to_owned(),
            },
            tool: Tool { name: "caselock".to_owned(), version: "0.1.0".to_owned(), sha256: None },
            damage: Vec::new(),
            notes: String::new(),
        }
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        assert_eq!(SealStatement::parse(&statement().encode().unwrap()).unwrap(), statement());
    }

    #[test]
    fn any_other_spelling_is_refused() {
        let text = String::from_utf8(statement().encode().unwrap()).unwrap();
        let spellings = [
            format!("{text}\n"),
            text.replace("\"lines\":7", "\"lines\": 7"),
            text.replace("\"number\":1", "\"number\":1,\"number\":1"),
            text.replace("\"number\":1", "\"number\":1.0"),
            text.replace("\"number\":1", "\"extra\":true,\"number\":1"),
            text.replace("\"version\":\"0.1.0\"", "\"version\":\"0.1.0\",\"zeal\":1"),
            text.replace("10:00:00.250Z", "11:00:00.250+01:00"),
            text.replace("\"format_version\":1", "\"format_version\":2"),
            text.replace("ü", "\\u00fc"),
        ];
        for spelling in spellings {
            assert_ne!(spelling, text);
            assert!(SealStatement::parse(spelling.as_bytes()).is_err(), "{spelling}");
        }
    }
}
