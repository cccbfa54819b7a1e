//! Who holds it, as far as it is on record, and what a transfer that does not follow from that comes to.

use crate::case::custody::Handover;
use crate::verify::{CustodyReport, SignatureState};

use super::super::output::Output;
use super::super::{CliError, shell};

/// Refuses the transfer that is the last on record, and warns of one that does not begin with the holder on record.
pub(super) fn check_holder(custody: &[CustodyReport], handover: &Handover, output: &Output) -> Result<(), CliError> {
    let Some(last) = custody.last() else { return Ok(()) };
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
