//! The texts of a disclosure's bag. All of them follow from the checkpoint and from what is shown.

use crate::model::printable;

use super::bag::{BAGIT, field, fill, size_for_people};
use super::{ALLOWED_SIGNERS, ArtifactTotals, Checkpoint, NAMESPACE, SealedBy, VERIFY_TXT, checkpoint_path};

/// The program that checks a disclosure with Python alone.
pub(crate) const PROGRAM: &str = "verify_disclosure.py";
const PROGRAM_TEXT: &str = include_str!("../../case-template/verify_disclosure.py");
const VERIFY_TEMPLATE: &str = include_str!("../../case-template/VERIFY-DISCLOSURE.txt");

/// Every tag file of a disclosure but its manifests, its lines and its checkpoint: path and text, in the order of the paths.
pub(crate) fn disclosed_texts(checkpoint: &Checkpoint, shown: ArtifactTotals) -> [(&'static str, String); 5] {
    let signer = &checkpoint.signer;
    [
        (VERIFY_TXT, verify_text(checkpoint, shown)),
        ("bag-info.txt", bag_info(checkpoint, shown)),
        ("bagit.txt", BAGIT.to_owned()),
        (ALLOWED_SIGNERS, format!("{} namespaces=\"{NAMESPACE}\" {}\n", principal(signer), signer.public_key)),
        (PROGRAM, PROGRAM_TEXT.to_owned()),
    ]
}

fn bag_info(checkpoint: &Checkpoint, shown: ArtifactTotals) -> String {
    let fields = [
        ("External-Identifier", checkpoint.case_number.clone()),
        ("External-Description", "A part of a sealed case, disclosed with proofs; see VERIFY.txt".to_owned()),
        ("Bagging-Date", checkpoint.sealed_at.instant().format("%Y-%m-%d").to_string()),
        ("Bag-Size", size_for_people(shown.bytes)),
        ("Payload-Oxum", format!("{}.{}", shown.bytes, shown.count)),
    ];
    fields.iter().map(|(label, value)| field(label, value)).collect()
}

fn verify_text(checkpoint: &Checkpoint, shown: ArtifactTotals) -> String {
    let case_number = checkpoint.case_number.split_whitespace().collect::<Vec<_>>().join(" ");
    let values = [
        ("{{case-number}}", printable(&case_number)),
        ("{{artifacts}}", shown.count.to_string()),
        ("{{size}}", size_for_people(shown.bytes)),
        ("{{bytes}}", shown.bytes.to_string()),
        ("{{fingerprint}}", checkpoint.signer.fingerprint.clone()),
        ("{{principal}}", principal(&checkpoint.signer)),
        ("{{namespace}}", NAMESPACE.to_owned()),
        ("{{checkpoint}}", checkpoint_path(checkpoint.number)),
        ("{{lines}}", checkpoint.ledger.lines.to_string()),
    ];
    fill(VERIFY_TEMPLATE, &values)
}

/// The signer's name, which stands in a file of allowed signers and in a command line.
fn principal(signer: &SealedBy) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "@._+-".contains(c);
    let safe = !signer.principal.is_empty() && signer.principal.chars().all(is_safe) && !signer.principal.starts_with('-');
    if safe { signer.principal.clone() } else { "signer".to_owned() }
}
