//! What can go wrong with a package, told apart by whether something was changed or the work could not be done.

use std::path::PathBuf;

use crate::case::{CaseError, PathError};

/// Why a package could not be written or is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The case could not be read.
    #[error("cannot read the case")]
    Case(#[from] CaseError),
    /// The case has no seal, so nothing says what a package of it would hold.
    #[error("the case in `{}` is not sealed", path.display())]
    Unsealed {
        /// The case folder.
        path: PathBuf,
    },
    /// The seal was made without a checkpoint, which a disclosure needs in its place.
    #[error("seal {seal} has no checkpoint, which a disclosure carries in its place")]
    NoCheckpoint {
        /// The seal's number.
        seal: u32,
    },
    /// Nothing would be disclosed.
    #[error("no artifact of the case is meant by `{pattern}`")]
    NothingIncluded {
        /// The pattern that stands for nothing.
        pattern: String,
    },
    /// Somebody that a package should be encrypted for cannot be told from this.
    #[error("`{text}` is neither an age recipient nor an SSH key of kind ed25519 or RSA, nor a file of them: {problem}")]
    Recipient {
        /// As it was given.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// There is a file already.
    #[error("`{}` already exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The writing ended before everything was written, and nothing says why.
    #[error("the package was not finished")]
    Unfinished,
    /// Another process is writing this package.
    #[error("another caselock is writing `{}`", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// The package's name cannot stand in a list of hashes.
    #[error("`{}` cannot name a package: a file name without control characters and backslashes is needed", path.display())]
    Name {
        /// The name.
        path: PathBuf,
    },
    /// The size that parts should have would give more of them than anybody keeps together.
    #[error("there would be {parts} parts, and {most} are the most")]
    TooManyParts {
        /// How many there would be.
        parts: usize,
        /// How many there can be.
        most: usize,
        /// The smallest size with which there are no more.
        smallest: u64,
    },
    /// A file of the case is not what its seal covers.
    #[error("`{}` is not what the seal covers: {problem}", path.display())]
    NotAsSealed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The zip could not be written.
    #[error("cannot write the package `{}`", path.display())]
    Zip {
        /// The package.
        path: PathBuf,
        /// Why.
        #[source]
        source: zip::result::ZipError,
    },
    /// The file is not a package, or one that was tampered with.
    #[error("`{}` is not a package as caselock writes it: at byte {offset}, {problem}", path.display())]
    Malformed {
        /// The package.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
}

impl PackageError {
    /// Whether something was changed, removed or forged, rather than that the work could not be done.
    #[must_use]
    pub fn is_integrity_failure(&self) -> bool {
        match self {
            Self::NotAsSealed { .. } | Self::Malformed { .. } => true,
            Self::Io(_)
            | Self::Unfinished
            | Self::Unsealed { .. }
            | Self::NoCheckpoint { .. }
            | Self::NothingIncluded { .. }
            | Self::Recipient { .. }
            | Self::Exists { .. }
            | Self::Busy { .. }
            | Self::Name { .. }
            | Self::TooManyParts { .. }
            | Self::Zip { .. } => false,
            Self::Case(error) => error.is_integrity_failure(),
        }
    }
}
