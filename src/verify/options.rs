//! What whoever verifies may choose: whom to trust, what else to hold the case against, and how much of the machine to use.

use std::num::NonZeroUsize;

use crate::case::Workspace;
use crate::cloudtrail::KeyRing;
use crate::cloudtrail::gzip::Limits;
use crate::seal::{AllowedSigners, AuthorityRoots, PackageHead, ReceiptFile};

use super::ExpectedRoot;

/// How to verify.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Who is trusted to seal; none means that nobody was vouched for.
    pub allowed_signers: Option<&'a AllowedSigners>,
    /// The roots of trusted time-stamping authorities; none means that nobody was vouched for.
    pub authority_roots: Option<&'a AuthorityRoots>,
    /// A root that the ledger must have had after one of its lines: the one that `collect` printed, as somebody kept it.
    pub expected_root: Option<&'a ExpectedRoot>,
    /// The receipts that lie beside a package, in the order of their numbers, and what the package is as a whole, or each of its parts.
    pub receipts: Option<(&'a [PackageHead], &'a [ReceiptFile])>,
    /// Public keys to verify CloudTrail's signatures with, instead of those that the case holds.
    pub keys: Option<&'a KeyRing>,
    /// How much a log or digest may unpack to.
    pub limits: Limits,
    /// Whether notices count: whatever is notable makes the verdict incomplete.
    pub strict: bool,
    /// How many files are read side by side.
    pub threads: NonZeroUsize,
    /// Where that is put which grows with the number of artifacts.
    pub workspace: Workspace<'a>,
    /// Called as artifacts are done, with how many and how many bytes.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("threads", &self.threads).field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

impl Default for Options<'_> {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            allowed_signers: None,
            authority_roots: None,
            expected_root: None,
            receipts: None,
            keys: None,
            limits: Limits::default(),
            strict: false,
            threads,
            workspace: Workspace::default(),
            progress: &|_, _| {},
        }
    }
}
