//! What happens to a case once it is collected: it is verified, sealed, packaged.

use serde::{Deserialize, Serialize};

use crate::case::protection::Protection;
use crate::model::Sha256Hash;

use super::Tool;

/// `verification.recorded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationRecorded {
    /// `pass`, `fail` or `incomplete`.
    pub verdict: String,
    /// Artifacts whose bytes are as recorded.
    pub artifacts_valid: u64,
    /// Findings that are failures.
    pub failures: u64,
    /// What AWS said of its keys when it was asked again, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<KeyComparison>,
    /// The program.
    pub tool: Tool,
}

/// What asking AWS again for its public keys came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyComparison {
    /// Who asked, as AWS says.
    pub caller: String,
    /// The endpoint that was asked instead of AWS's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint_url: Option<String>,
    /// How many regions were asked.
    pub regions: u64,
    /// Of these, how many answered.
    pub answered: u64,
    /// Keys of the case that AWS publishes as the case holds them.
    pub confirmed: u64,
    /// Keys of the case that AWS does not publish, or publishes otherwise.
    pub contradicted: u64,
    /// Keys of the case about which AWS says nothing any more.
    pub forgotten: u64,
    /// Keys that AWS publishes for the same time, and that the case does not hold.
    pub unheld: u64,
}

/// `case.sealed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseSealed {
    /// The seal's file, from the case folder.
    pub seal: String,
    /// The signer's key, as `ssh-keygen -l` prints it (`SHA256:…`).
    pub signer: String,
    /// The program.
    pub tool: Tool,
    /// How far the system keeps the evidence from being changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<Protection>,
}

/// `package.created`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageCreated {
    /// The package's file name.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
    /// The seal it carries.
    pub seal: String,
    /// Which artifacts it discloses, as they were asked for; none in a package of the whole case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// The encrypted file made of it, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypted: Option<Encrypted>,
    /// The program.
    pub tool: Tool,
}

impl PackageCreated {
    /// The name of the file that was written: of the encrypted one, where it was encrypted, for then there is no other.
    #[must_use]
    pub fn written_as(&self) -> &str {
        self.encrypted.as_ref().map_or(&self.file, |encrypted| &encrypted.file)
    }
}

/// An encrypted package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encrypted {
    /// Its file name.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Sha256Hash,
    /// Who can decrypt it: their public keys.
    pub recipients: Vec<String>,
}
