//! Bodies of fetched objects: small ones wait in memory to be written with others.

use tokio::sync::OwnedSemaphorePermit;

use crate::case::{CaseError, HashedBytes, Staged, Staging};
use crate::model::{PayloadPath, Sha256Hash};

/// The bytes of a fetched object.
#[derive(Debug)]
pub enum Body {
    /// Few: in memory, to be written with others.
    Held(Held),
    /// Many: written already.
    Staged(Staged),
}

/// Bytes that are held in memory, and the room that they take up there.
#[derive(Debug)]
pub struct Held {
    path: PayloadPath,
    bytes: HashedBytes,
    _room: OwnedSemaphorePermit,
}

impl Held {
    /// Bytes that belong at `path` and take up `room` until they are written.
    pub(super) fn new(path: PayloadPath, bytes: HashedBytes, room: OwnedSemaphorePermit) -> Self {
        Self { path, bytes, _room: room }
    }
}

impl Body {
    /// The path they are meant for.
    #[must_use]
    pub fn path(&self) -> &PayloadPath {
        match self {
            Self::Held(held) => &held.path,
            Self::Staged(staged) => staged.path(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Held(held) => u64::try_from(held.bytes.bytes().len()).unwrap_or(u64::MAX),
            Self::Staged(staged) => staged.size,
        }
    }

    /// Their SHA-256.
    #[must_use]
    pub fn sha256(&self) -> Sha256Hash {
        match self {
            Self::Held(held) => held.bytes.sha256(),
            Self::Staged(staged) => staged.sha256,
        }
    }

    /// The bytes themselves, where they are in memory.
    #[must_use]
    pub fn held(&self) -> Option<&[u8]> {
        match self {
            Self::Held(held) => Some(held.bytes.bytes()),
            Self::Staged(_) => None,
        }
    }

    /// A copy of the bytes, read again where they were written already; none where there are more than `limit`. This may wait for the disk.
    pub fn read_again(&self, limit: u64) -> Result<Option<Vec<u8>>, CaseError> {
        match self {
            Self::Held(held) => Ok(Some(held.bytes.bytes()).filter(|_| self.size() <= limit).map(<[u8]>::to_vec)),
            Self::Staged(staged) => staged.read_again(limit),
        }
    }

    /// Writes them, if they are not written yet. This may wait for the disk.
    pub fn stage(self, staging: &Staging) -> Result<Staged, CaseError> {
        match self {
            Self::Held(held) => staging.stage_whole(&held.path, &held.bytes),
            Self::Staged(staged) => Ok(staged),
        }
    }
}
