//! The case folder: who the case is, its write-once evidence, and the ledger of every act.
//!
//! docs/case-format.md is normative for what lies on disk. This is the only part that writes evidence.

mod beginning;
mod canonical;
mod clock;
mod configuration;
pub mod custody;
mod direct;
mod error;
pub mod event;
mod files;
pub mod gap;
mod gaps;
mod identity;
pub mod ledger;
mod listing;
pub mod merkle;
mod naming;
mod path_error;
mod protection;
pub(crate) mod sorting;
mod staging;
pub mod summary;
mod tag_file;
mod writer;

pub use beginning::{check_vacant, is_begun, is_ledger_gone};
pub use clock::{CLOCKS_APART, Order, seconds_ahead};
pub use configuration::{Configuration, Setting};
#[cfg(feature = "acquire")]
pub(crate) use direct::{BLOCK, BlockBuffer};
pub use error::CaseError;
pub(crate) use error::ChangedMember;
pub use files::{CaseFiles, CaseFolder, FileOpener, Found, MissingPart, read_bounded};
pub use gaps::Gaps;
pub use identity::{CaseIdentity, FORMAT_VERSION, Scope};
#[cfg(feature = "acquire")]
pub(crate) use ledger::random_salt;
pub(crate) use naming::name_without_replacing;
pub(crate) use path_error::IoContext;
pub use path_error::PathError;
pub use protection::{Flag, Protection};
pub use sorting::Workspace;
pub use staging::{HashedBytes, Staged, StagedFile, Staging};
pub use tag_file::TagFile;
pub(crate) use writer::is_temporary;
pub use writer::{CaseWriter, Committed, Pending};

use crate::model::{Sha256Hash, Timestamp};

/// Where the case's identity lies.
pub const CASE_TOML: &str = "custody/case.toml";
/// Where the ledger lies.
pub const LEDGER: &str = "custody/ledger.jsonl";

/// Proof that a line is in the ledger, on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineReceipt {
    /// The line's number.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// SHA-256 of its bytes.
    pub sha256: Sha256Hash,
}

/// Reads who a case is.
pub fn read_identity(files: &dyn CaseFiles) -> Result<CaseIdentity, CaseError> {
    let path = files.describe(CASE_TOML);
    let text = read_bounded(files, CASE_TOML, identity::CASE_TOML_LIMIT)?;
    let text = String::from_utf8(text)
        .map_err(|_| CaseError::Malformed { path: path.clone(), problem: "it is not UTF-8".to_owned() })?;
    CaseIdentity::parse(&text, &path)
}
