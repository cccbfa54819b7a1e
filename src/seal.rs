//! The seal: a signed statement over the ledger and the manifests of a case.
//!
//! A sealed case is a `BagIt` 1.0 bag (RFC 8493). `custody/seals/NNNN.json` names the ledger's size and Merkle root and the hashes
//! of both manifests; beside it lies an SSH signature that `ssh-keygen -Y verify` accepts. docs/case-format.md is normative.

mod allowed_signers;
pub(crate) mod bag;
mod case_bag;
mod checkpoint;
mod disclosed_bag;
mod earlier;
mod error;
mod key;
pub mod manifest;
mod payload;
mod receipt;
mod sealing;
mod seals;
mod signature;
mod statement;
mod timestamp;

pub use allowed_signers::{AllowedSigners, ParseAllowedSignersError, Vouched};
pub use bag::verify_page_sha256;
pub(crate) use checkpoint::path_of as checkpoint_path;
pub use checkpoint::{CHECKPOINTS, Checkpoint, DISCLOSURE, DisclosedLine};
pub(crate) use disclosed_bag::{PROGRAM, disclosed_texts};
pub use error::SealError;
pub use key::{KeyError, SigningKey};
pub use receipt::{PackageHead, RECEIPT_LIMIT, Receipt, ReceiptFile, SealHead};
pub use sealing::{SealOptions, Sealed, check_earlier_seals, seal_case, seal_case_with};
pub use seals::{SealFile, SealNumbers, read_seals};
pub use signature::{SignatureProblem, Signer, verify_signature};
pub use statement::{ArtifactTotals, Extension, LedgerHead, ParseSealError, SealStatement, SealedBy};
pub use timestamp::{
    AuthorityRoots, ParseRootsError, Stamp, StampProblem, StampedContent, check_stamp, check_stamp_over,
    is_authority_trusted_at, stamp_request, stamp_request_with_nonce,
};

/// What an SSH signature over a seal is for; a signature for anything else is refused.
pub const NAMESPACE: &str = "caselock-seal";
/// The payload manifest.
pub const MANIFEST: &str = "manifest-sha256.txt";
/// The tag manifest.
pub const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
/// The public keys of those who sealed first.
pub const ALLOWED_SIGNERS: &str = "custody/allowed_signers";
/// Where seals lie.
pub const SEALS: &str = "custody/seals";
/// What a seal says of an earlier one that it found without its signature, before that one's path.
pub(crate) const UNSIGNED: &str = "seal-unsigned";
/// The same of one of which nothing but a signature or a time-stamp was left.
pub(crate) const MISSING: &str = "seal-missing";
/// The same of a file that an earlier seal covers and that was not there.
pub(crate) const NOT_THERE: &str = "tag-file-missing";
/// How to check a sealed case without caselock.
pub const VERIFY_TXT: &str = "VERIFY.txt";

/// The same in a browser.
pub const VERIFY_HTML: &str = "verify.html";

/// Every tag file that the tag manifest lists, in its order.
pub const TAG_FILES: [&str; 8] =
    ["README.txt", VERIFY_TXT, "bag-info.txt", "bagit.txt", ALLOWED_SIGNERS, crate::case::CASE_TOML, MANIFEST, VERIFY_HTML];

/// Adds to what a seal says of the damage it found, once.
fn admit(damage: &mut Vec<String>, told: String) {
    if !damage.contains(&told) {
        damage.push(told);
    }
}
