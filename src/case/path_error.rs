//! What the system refused, in doing what, on which path: of the case, a key or a package, told in the same words.

use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be done on a path.
///
/// `Display` says what was being done; the cause is in `source()`.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} `{}`", path.display())]
pub struct PathError {
    /// A verb phrase.
    pub doing: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl PathError {
    /// The error of `doing` on `path`.
    pub fn new(doing: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self { doing, path: path.into(), source: source.into() }
    }

    /// Whether nothing is there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Gives an error of the system what was being done, and on what.
pub(crate) trait IoContext<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, PathError>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, PathError> {
        self.map_err(|error| PathError::new(doing, path, error))
    }
}
