//! Checkpoints whose seal is not there: each says by itself which ledger was sealed.

use crate::case::{CaseFiles, read_bounded};
use crate::model::{Finding, Severity};
use crate::seal::{CHECKPOINTS, Checkpoint, SEALS, SealFile, checkpoint_path, verify_signature};

use super::acts::Acts;
use super::artifacts::Checked;

/// Holds a signed checkpoint whose seal is not there against the ledger by itself: it says which one was sealed.
pub(super) fn without_a_seal(
    files: &dyn CaseFiles,
    checked: &Checked,
    seals: &[SealFile],
    acts: &Acts,
    findings: &mut Vec<Finding>,
) {
    const LIMIT: u64 = 1024 * 1024;
    let stated = |number: u32| seals.iter().any(|seal| seal.number == number && seal.statement.is_some());
    for path in checked.tags.iter().filter(|path| path.starts_with(CHECKPOINTS)) {
        // One that cannot be read, or that nobody signed, says nothing.
        let signed = || {
            let (bytes, signature) =
                (read_bounded(files, path, LIMIT).ok()?, read_bounded(files, &format!("{path}.sig"), LIMIT).ok()?);
            let (checkpoint, signer) = (Checkpoint::parse(&bytes).ok()?, verify_signature(&bytes, &signature).ok()?);
            (signer.public_key == checkpoint.signer.public_key && checkpoint_path(checkpoint.number) == *path)
                .then_some(checkpoint)
        };
        let Some(checkpoint) = signed().filter(|checkpoint| !stated(checkpoint.number)) else { continue };
        let name = path.strip_prefix(CHECKPOINTS).unwrap_or_default();
        let head = (checkpoint.ledger.lines, checkpoint.ledger.root);
        if !acts.announced(&format!("{SEALS}{name}")).any(|announced| announced.head == head) {
            let detail = format!(
                "Its seal is not there, and it says by itself, signed by {}, which ledger was sealed: the one here is another, whose lines up \
                 to that seal give another Merkle root.",
                checkpoint.signer.principal
            );
            findings.push(Finding::new(Severity::Failure, "checkpoint-mismatch", path, &detail));
        }
    }
}
