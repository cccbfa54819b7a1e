//! Custody: a case, or a package of it, passing from one holder to the next.

use serde::{Deserialize, Serialize};

use crate::model::Sha256Hash;

use super::event::Tool;

/// Who handed over what to whom, and why: what the people concerned say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The one who gives it out of their hands.
    pub released_by: String,
    /// The one who takes it.
    pub received_by: String,
    /// What for.
    pub purpose: String,
    /// How it travelled: by courier, by SFTP, on which medium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// In which condition it was found: seals of the medium, damage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Where it is kept from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// What a verification came to when the item changed hands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverification {
    /// `pass`, `fail` or `incomplete`.
    pub verdict: String,
    /// Artifacts in the ledger.
    pub artifacts: u64,
    /// Of these, unchanged since they were acquired.
    pub artifacts_valid: u64,
    /// Failures that concern the case itself; what was found wrong in AWS is not among them.
    pub damage: u64,
    /// Lines of the ledger when it was verified.
    pub ledger_lines: u64,
    /// The Merkle root over them.
    pub ledger_root: Sha256Hash,
}

/// `custody.transferred`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyTransferred {
    /// From whom to whom.
    pub handover: Handover,
    /// The seal under which it was released.
    pub seal: String,
    /// SHA-256 of that seal.
    pub seal_sha256: Sha256Hash,
    /// What verification came to at release.
    pub verification: Reverification,
    /// The program.
    pub tool: Tool,
}

/// `custody.received`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustodyReceived {
    /// From whom to whom.
    pub handover: Handover,
    /// The seal under which it was received.
    pub seal: String,
    /// SHA-256 of that seal.
    pub seal_sha256: Sha256Hash,
    /// What verification came to at receipt.
    pub verification: Reverification,
    /// The key of the one who received it, as `ssh-keygen -l` prints it; the next seal is made with it.
    pub signer: String,
    /// The program.
    pub tool: Tool,
}
