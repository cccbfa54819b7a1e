//! What stands in the way of reading or extending a case, told apart by whether the case was damaged or the work could not be done.

use std::io;
use std::path::PathBuf;

use super::{CASE_TOML, PathError};

/// Why a case folder could not be read or extended.
///
/// `Display` says what was being done; the cause is in `source()`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaseError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The folder holds something that is not a case.
    #[error("`{}` is not empty and is not a case", path.display())]
    NotACase {
        /// The folder.
        path: PathBuf,
    },
    /// There is no case here.
    #[error("there is no case in `{}`", path.display())]
    NoCase {
        /// The folder.
        path: PathBuf,
    },
    /// There is evidence, and no ledger that would tell of it.
    #[error("the ledger of the case in `{}` is gone", path.display())]
    LedgerGone {
        /// The folder.
        path: PathBuf,
    },
    /// The case is sealed: nothing may be added to its evidence.
    #[error("the case in `{}` is sealed", path.display())]
    Sealed {
        /// The folder.
        path: PathBuf,
    },
    /// Another process is writing to the case.
    #[error("another caselock is working on the case in `{}`", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the case is not what the format says.
    #[error("`{}` is not as caselock writes it: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The ledger's hash chain does not hold, so nothing may be added to it.
    #[error("the ledger of the case does not hold at line {line}: {problem}")]
    BrokenLedger {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The name is taken by other bytes.
    #[error("`{}` is already in the case", path.display())]
    AlreadyWritten {
        /// The file.
        path: PathBuf,
    },
    /// An earlier write or sync failed, so what is on disk is not known.
    #[error("the case must be opened again: an earlier write did not finish")]
    Poisoned,
}

/// What reading a member of a package ends with whose bytes are not those that its CRC-32 was made of.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("its bytes are not those that were packed: its CRC-32 is not the one recorded in the package")]
pub(crate) struct ChangedMember;

impl ChangedMember {
    /// Whether this is why something could not be read.
    pub(crate) fn is_why(error: &io::Error) -> bool {
        error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Self>)
    }
}

impl From<ChangedMember> for io::Error {
    fn from(changed: ChangedMember) -> Self {
        Self::new(io::ErrorKind::InvalidData, changed)
    }
}

impl CaseError {
    /// Whether a file is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if error.is_not_found())
    }

    /// Whether a member of a package is there with other bytes than were packed.
    #[must_use]
    pub fn is_changed_member(&self) -> bool {
        matches!(self, Self::Io(error) if ChangedMember::is_why(&error.source))
    }

    /// Whether something was changed, removed or forged, rather than that the work could not be done.
    #[must_use]
    pub fn is_integrity_failure(&self) -> bool {
        match self {
            // Where there is a case at all, this was there when it was opened.
            Self::Io(error) => self.is_changed_member() || error.is_not_found() && error.path.ends_with(CASE_TOML),
            Self::LedgerGone { .. } | Self::Malformed { .. } | Self::BrokenLedger { .. } | Self::AlreadyWritten { .. } => true,
            Self::NotACase { .. } | Self::NoCase { .. } | Self::Sealed { .. } | Self::Locked { .. } | Self::Poisoned => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(path: &str) -> CaseError {
        PathError::new("open", path, io::ErrorKind::NotFound).into()
    }

    #[test]
    fn what_was_taken_away_or_changed_is_an_integrity_failure() {
        let (path, problem) = (PathBuf::from("case"), "it is another".to_owned());
        for error in [
            missing("case/custody/case.toml"),
            PathError::new("read", "p.zip/case/custody/ledger.jsonl", ChangedMember).into(),
            CaseError::LedgerGone { path: path.clone() },
            CaseError::Malformed { path: path.clone(), problem: problem.clone() },
            CaseError::BrokenLedger { line: 7, problem },
            CaseError::AlreadyWritten { path },
        ] {
            assert!(error.is_integrity_failure(), "{error}");
        }
    }

    #[test]
    fn what_only_could_not_be_done_is_none() {
        let path = PathBuf::from("case");
        for error in [
            missing("case/data"),
            PathError::new("open", "case/custody/case.toml", io::ErrorKind::PermissionDenied).into(),
            CaseError::NotACase { path: path.clone() },
            CaseError::NoCase { path: path.clone() },
            CaseError::Sealed { path: path.clone() },
            CaseError::Locked { path },
            CaseError::Poisoned,
        ] {
            assert!(!error.is_integrity_failure(), "{error}");
        }
    }
}
