//! What stands in the way of a seal, told apart by whether the evidence was changed or the work could not be done.

use std::path::PathBuf;

use crate::case::{CaseError, PathError};
use crate::model::Timestamp;

use super::KeyError;

/// Why a case could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The case could not be read or written.
    #[error("cannot seal the case")]
    Case(#[from] CaseError),
    /// The key could not sign.
    #[error("cannot sign the seal")]
    Key(#[from] KeyError),
    /// A payload file is not what the ledger recorded.
    #[error("`{path}` was changed since it was acquired: {difference}")]
    Modified {
        /// The file, from the case folder.
        path: String,
        /// How it differs.
        difference: String,
    },
    /// A payload file is gone.
    #[error("`{path}` is recorded in the ledger and not in the case folder")]
    Missing {
        /// The file, from the case folder.
        path: String,
    },
    /// A file lies under `data/` that nobody recorded.
    #[error("`{path}` lies in the case folder and is not recorded in the ledger")]
    Unlisted {
        /// The file, from the case folder.
        path: String,
    },
    /// Something lies under `data/` that no case has.
    #[error("`{path}` is {what}, which no case has")]
    Foreign {
        /// Where, from the case folder.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// The ledger says two different things of one artifact.
    #[error("the ledger records `{path}` twice, with different content")]
    RecordedTwice {
        /// The file, from the case folder.
        path: String,
    },
    /// There is nothing to seal.
    #[error("the case holds no artifact yet, so there is nothing to seal")]
    Empty,
    /// A file that an earlier seal covers is not what it was.
    #[error("`{}` is not what seal {seal} covers", path.display())]
    NotAsSealed {
        /// The file.
        path: PathBuf,
        /// The earlier seal's number.
        seal: u32,
    },
    /// An earlier seal cannot be read or does not verify.
    #[error("the earlier seal `{}` does not hold: {problem}", path.display())]
    BrokenSeal {
        /// The seal's file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The ledger announces this seal by another key, and nothing of it is there.
    #[error("the ledger says that `{}` is by the key {signer}, whose signature is not there: bring it back, or seal with that key", path.display())]
    Announced {
        /// The seal's file.
        path: PathBuf,
        /// The key's fingerprint.
        signer: String,
    },
    /// Somebody received the case and has not signed for it yet; this seal would stand where theirs belongs.
    #[error(
        "the ledger says that {holder} received the case and signs for it with the key {signer}, and they have not signed yet"
    )]
    NotSignedFor {
        /// Who received it.
        holder: String,
        /// The key's fingerprint.
        signer: String,
    },
    /// This seal would be dated before what it covers.
    #[error(
        "this machine's clock says {now}, and the ledger has a line that was written {written}: one of the two clocks was wrong by more than a day"
    )]
    Clock {
        /// When it was to be sealed.
        now: Timestamp,
        /// The latest time at which a line was written.
        written: Timestamp,
    },
    /// The statement could not be written as JSON.
    #[error("cannot write the statement of the seal")]
    Encode(#[source] serde_json::Error),
}

impl From<PathError> for SealError {
    fn from(error: PathError) -> Self {
        Self::Case(error.into())
    }
}

impl SealError {
    /// Whether something was changed, removed or added, rather than that sealing could not be done.
    #[must_use]
    pub fn is_integrity_failure(&self) -> bool {
        match self {
            Self::Case(error) => error.is_integrity_failure(),
            Self::Key(_)
            | Self::Empty
            | Self::Encode(_)
            | Self::Announced { .. }
            | Self::NotSignedFor { .. }
            | Self::Clock { .. } => false,
            Self::Modified { .. }
            | Self::Missing { .. }
            | Self::Unlisted { .. }
            | Self::Foreign { .. }
            | Self::RecordedTwice { .. }
            | Self::NotAsSealed { .. }
            | Self::BrokenSeal { .. } => true,
        }
    }
}
