//! Everything that can be checked about a case, offline, from its folder or its package. No network, no writes.
//!
//! The ledger is read once, and with it each artifact (`pass`); what they say is then held against one another, the seals, the handovers and
//! what AWS signed (`outcome`). What is wrong is a finding, never an error, and the findings give the verdict.

mod acts;
mod admissions;
mod artifacts;
mod bag_info;
mod case_toml;
mod checkpoints;
mod cloudtrail;
mod collections;
mod custody;
mod delete_markers;
mod digest_records;
mod disclosure;
mod expected_root;
mod fingerprint;
mod holder_keys;
mod log_records;
mod options;
mod outcome;
mod pass;
mod presence;
mod published_keys;
mod receipt_chain;
mod report;
mod sealed_bag;
mod seals;
mod stamps;
mod tag_manifest;
mod trust;
mod verdict;

use crate::case::{CaseError, CaseFiles};

pub use custody::begins_elsewhere;
pub use expected_root::{ExpectedRoot, ParseExpectedRootError};
pub use holder_keys::{KeysBefore, key_of_another};
pub use options::Options;
pub use published_keys::{Published, compare_keys};
pub use report::{
    ArtifactReport, CustodyReport, DigestCounts, DisclosureReport, GapReport, LedgerReport, LogCounts, RenewalReport, Report,
    SealReport, SignatureState, TrailReport, Unread, Verdict, digests_due_at,
};

/// Verifies the case in `files`.
///
/// Only a case that cannot be read at all is an error; everything that is wrong with it is in the report.
pub fn verify(files: &dyn CaseFiles, options: &Options<'_>) -> Result<Report, CaseError> {
    if disclosure::is_one(files) {
        return disclosure::check(files, options);
    }
    let mut findings = Vec::new();
    let identity = case_toml::read(files, &mut findings)?;
    let pass = pass::over(files, options)?;
    outcome::of(files, identity, pass, findings, options)
}
