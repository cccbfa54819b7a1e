//! Whose key a receiver signed with, as far as seals and earlier receipts tell: who receives something signs with a key of their own.

use crate::case::LEDGER;
use crate::model::{Finding, Severity};

use super::custody::name_in;
use super::report::{CustodyReport, SealReport};

/// What was signed for before, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct KeysBefore<'a> {
    /// The seals before.
    pub seals: &'a [SealReport],
    /// The transfers before.
    pub custody: &'a [CustodyReport],
    /// Who the examiner is, by the case.
    pub examiner: &'a str,
    /// Who released it first.
    pub first_releaser: &'a str,
}

/// Whose the key is, where it was used before by somebody else than `receiver`. Names are what people write.
#[must_use]
pub fn key_of_another(key: &str, receiver: &str, before: &KeysBefore<'_>) -> Option<String> {
    let of_key = |signer: &Option<String>| signer.as_deref() == Some(key);
    let received: Vec<&CustodyReport> =
        before.custody.iter().filter(|link| link.received_at.is_some() && of_key(&link.signer)).collect();
    // A receiver's seal tells that they received it.
    let is_of_receiver = |seal: &SealReport| received.iter().any(|link| link.signed_in.as_ref() == Some(&seal.file));
    let sealed = before.seals.iter().find(|seal| of_key(&seal.signer) && !is_of_receiver(seal));
    let mut names: Vec<&str> = received.iter().map(|link| link.handover.received_by.as_str()).collect();
    if let Some(seal) = sealed {
        let principal = seal.principal.as_deref();
        names.extend([before.examiner, before.first_releaser].into_iter().chain(principal));
        if principal.is_some_and(|principal| receiver.contains(principal)) {
            return None;
        }
    }
    if names.iter().any(|name| name_in(name) == name_in(receiver)) {
        return None;
    }
    match (sealed, received.first()) {
        (Some(seal), _) => Some(format!("the key that sealed the case ({})", seal.file)),
        (None, Some(link)) => {
            let place = link.signed_in.as_ref().unwrap_or(&link.recorded_in);
            Some(format!("the key with which {} signed for it before ({place})", link.handover.received_by))
        }
        (None, None) => None,
    }
}

/// Whether each receiver signed with a key that nobody else signed with before.
pub(super) fn check(chain: &[CustodyReport], seals: &[SealReport], examiner: &str, findings: &mut Vec<Finding>) {
    let Some(first_releaser) = chain.first().map(|link| link.handover.released_by.as_str()) else { return };
    for (at, link) in chain.iter().enumerate() {
        let (Some(key), Some(_)) = (&link.signer, link.received_at) else { continue };
        let place = link.signed_in.as_ref().unwrap_or(&link.recorded_in);
        // A receipt is for a package, which has all its seals; in a case folder, the receiver's is one of them.
        let of_the_ledger = || seals.iter().position(|seal| seal.file == *place).unwrap_or(seals.len());
        let seals_before = if link.recorded_in == LEDGER { of_the_ledger() } else { seals.len() };
        let before = KeysBefore {
            seals: seals.get(..seals_before).unwrap_or_default(),
            custody: chain.get(..at).unwrap_or_default(),
            examiner,
            first_releaser,
        };
        let receiver = &link.handover.received_by;
        if let Some(whose) = key_of_another(key, receiver, &before) {
            let detail = format!(
                "{receiver} is to have received it, and it was signed for with {whose}: whether {receiver} received it, that does not show."
            );
            findings.push(Finding::new(Severity::Notice, "custody-signed-with-earlier-key", place, &detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_that_sealed_the_case_is_that_of_whoever_had_it_first_and_of_nobody_else() {
        let (signer, principal) = (Some("SHA256:key".to_owned()), Some("examiner@example.com".to_owned()));
        let seals = [SealReport { signer, principal, ..SealReport::of("custody/seals/0001.json") }];
        let before = KeysBefore { seals: &seals, custody: &[], examiner: "A. Examiner", first_releaser: "Desk 4" };
        let said = key_of_another("SHA256:key", "B. Counsel", &before);
        assert_eq!(said.as_deref(), Some("the key that sealed the case (custody/seals/0001.json)"));
        for same in ["a. examiner, Example Corp", "Desk 4", "Evidence room <examiner@example.com>"] {
            assert_eq!(key_of_another("SHA256:key", same, &before), None, "{same}");
        }
        assert_eq!(key_of_another("SHA256:other", "B. Counsel", &before), None);
    }
}
