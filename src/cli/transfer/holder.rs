//! Who holds it, as far as it is on record, and what a transfer that does not follow from that comes to.

use crate::case::custody::Handover;
use crate::case::{CaseFiles, read_identity};
use crate::seal::SigningKey;
use crate::verify::{CustodyReport, KeysBefore, Report, SignatureState, begins_elsewhere, key_of_another};

use super::super::output::Output;
use super::super::{CliError, shell};

/// Refuses the transfer that is the last on record, and warns of one that does not begin with the holder on record, or that is signed for with
/// the key of another.
pub(super) fn check_holder(
    files: &dyn CaseFiles,
    report: &Report,
    handover: &Handover,
    key: Option<&SigningKey>,
    output: &Output,
) -> Result<(), CliError> {
    // Of a disclosure nobody knows who the examiner is.
    let examiner = read_identity(files).map(|identity| identity.examiner).unwrap_or_default();
    match report.custody.last() {
        Some(last) => check_last(last, handover, output)?,
        None => check_first(files.is_package(), &examiner, report, handover, output),
    }
    let before = KeysBefore {
        seals: &report.seals,
        custody: &report.custody,
        examiner: &examiner,
        first_releaser: report.custody.first().map_or(&handover.released_by, |first| &first.handover.released_by),
    };
    if let Some(whose) = key.and_then(|key| key_of_another(&key.signer().fingerprint, &handover.received_by, &before)) {
        output.note(&format!(
            "WARNING: what signs for {} is {whose}. Whoever receives it signs with a key of their own; verification will say that this does not \
             show it (custody-signed-with-earlier-key).",
            handover.received_by
        ));
    }
    Ok(())
}

/// Warns where whoever releases it first is nobody that the case knows.
fn check_first(is_package: bool, examiner: &str, report: &Report, handover: &Handover, output: &Output) {
    let from = &handover.released_by;
    if begins_elsewhere(from, examiner, report.seals.first()) {
        let earlier =
            if is_package { " Receipts of earlier transfers that lie elsewhere are named with --receipt." } else { "" };
        output.note(&format!(
            "WARNING: {from} is not on record as a holder; the case names {examiner} as its examiner. Verification will say that how {from} came to \
             have it is not recorded (custody-begins-elsewhere).{earlier}"
        ));
    }
}

fn check_last(last: &CustodyReport, handover: &Handover, output: &Output) -> Result<(), CliError> {
    let is_same = (&last.handover.released_by, &last.handover.received_by) == (&handover.released_by, &handover.received_by);
    let is_signed = last.received_at.is_some() && matches!(last.signature, SignatureState::Valid | SignatureState::Unchecked);
    if is_same && is_signed {
        let place = last.signed_in.as_ref().unwrap_or(&last.recorded_in);
        let (from, to) = (&handover.released_by, &handover.received_by);
        return Err(CliError::usage(format!("that {from} passed it to {to} is recorded already, and signed for in {place}"))
            .meaning(
                "Nothing was recorded, and nothing was signed: once more, it would look as if a transfer between were missing.",
            )
            .next(format!("`caselock verify` shows all holders. What they pass on begins with --from {}", shell::word(to))));
    }
    // Who receives what was released to them says the same once more.
    let holder = &last.handover.received_by;
    if !is_same && *holder != handover.released_by {
        output.note(&format!(
            "WARNING: the holder on record is {holder}, not {}. Verification will say that a transfer between the two is not recorded \
             (custody-chain-interrupted).",
            handover.released_by
        ));
    }
    Ok(())
}
