//! Who held the evidence: what the ledger and the receipts beside a package say, and which signatures stand behind it.

use crate::case::LEDGER;
use crate::case::custody::{CustodyReceived, CustodyTransferred, Handover, Reverification};
use crate::model::{Finding, Severity, Timestamp, printable};
use crate::seal::{PackageHead, ReceiptFile};

use super::report::{CustodyReport, SealReport, SignatureState};
use super::{Options, receipt_chain, stamps, trust};

/// One line of the ledger about the case changing hands.
#[derive(Clone, Debug)]
pub(super) struct Act {
    /// Counted from 1, so that a seal over so many lines or more covers it.
    line: u64,
    at: Timestamp,
    handover: Handover,
    verification: Reverification,
    /// The key of the one who received; none in a release.
    receiver: Option<String>,
}

impl Act {
    pub(super) fn released(line: u64, at: Timestamp, act: &CustodyTransferred) -> Self {
        Self { line, at, handover: act.handover.clone(), verification: act.verification.clone(), receiver: None }
    }

    pub(super) fn received(line: u64, at: Timestamp, act: &CustodyReceived) -> Self {
        let receiver = Some(act.signer.clone());
        Self { line, at, handover: act.handover.clone(), verification: act.verification.clone(), receiver }
    }
}

/// What the ledger says, a release and its receipt as one.
pub(super) fn of_the_ledger(acts: &[Act], seals: &[SealReport], findings: &mut Vec<Finding>) -> Vec<CustodyReport> {
    let mut chain: Vec<CustodyReport> = Vec::new();
    let vouched_until = vouched_until(seals);
    for act in acts {
        let same =
            |one: &Handover| (&one.released_by, &one.received_by) == (&act.handover.released_by, &act.handover.received_by);
        // The next receipt of the same transfer makes up for one that nobody signed for.
        let is_open = |last: &CustodyReport| last.received_at.is_none() || last.signature == SignatureState::Absent;
        let released = chain.last_mut().filter(|last| act.receiver.is_some() && is_open(last) && same(&last.handover));
        // Where somebody said whom to trust, what anybody else alone signed for nobody did.
        let covers = |seal: &&SealReport| seal.ledger_size.is_some_and(|size| size >= act.line);
        let seal = seals.iter().find(covers).filter(|_| vouched_until.is_none_or(|until| until >= act.line));
        let signed = match (&act.receiver, seal) {
            (Some(receiver), Some(seal)) if seal.signer.as_ref().is_some_and(|signer| signer != receiver) => {
                let detail = format!(
                    "{} is recorded to have received the case and to sign for it with the key {receiver}, and did not: the seal over that was made with another.",
                    act.handover.received_by
                );
                findings.push(Finding::new(Severity::Notice, "custody-not-signed-for", &seal.file, &detail));
                None
            }
            (Some(_), seal) => seal,
            // Whoever seals next signs for the record of a release, not for having received anything.
            (None, _) => None,
        };
        let report = CustodyReport {
            handover: act.handover.clone(),
            vouched_as: signed.and_then(|seal| seal.vouched_as.clone()),
            released_at: match (&released, &act.receiver) {
                (Some(released), _) => released.released_at,
                (None, Some(_)) => None,
                (None, None) => Some(act.at),
            },
            received_at: act.receiver.as_ref().map(|_| act.at),
            verification: act.verification.clone(),
            recorded_in: LEDGER.to_owned(),
            signed_in: seal.map(|seal| seal.file.clone()),
            signature: signed.map_or(SignatureState::Absent, |seal| seal.signature),
            signer: signed.and_then(|seal| seal.signer.clone()),
            signed_as: signed.filter(|seal| seal.signer.is_some()).and_then(|seal| seal.principal.clone()),
            after_a_gap: false,
            trusted: signed.and_then(|seal| seal.trusted),
            stamped: signed.and_then(|seal| seal.stamped),
        };
        match released {
            Some(released) => *released = report,
            None => chain.push(report),
        }
    }
    chain
}

/// How many lines those signed for whom somebody vouches for; none if nobody was asked, or if there are none.
fn vouched_until(seals: &[SealReport]) -> Option<u64> {
    seals.iter().filter(|seal| seal.trusted == Some(true)).filter_map(|seal| seal.ledger_size).max()
}

/// What stands in the ledger behind the last seal can be changed by whoever has the folder. A package ends with its seal.
///
/// Of its `lines`, the one that was `said` last says more than that the case was verified, sealed or packaged.
pub(super) fn after_the_last_seal(
    seals: &[SealReport],
    (lines, said): (u64, u64),
    is_package: bool,
    findings: &mut Vec<Finding>,
) {
    let ends = seals.iter().filter(|seal| seal.signature != SignatureState::Absent).filter_map(|seal| seal.ledger_size).max();
    if is_package && let Some(appended) = ends.map(|ends| lines.saturating_sub(ends)).filter(|appended| *appended > 0) {
        let detail = format!(
            "{} after the last seal, and a package ends with its seal: somebody appended to it. What is said there, nobody signed for.",
            stand(appended)
        );
        findings.push(Finding::new(Severity::Failure, "ledger-after-seal", &LEDGER, &detail));
        return;
    }
    // Where somebody said whom to trust, anybody else's seal covers nothing.
    let vouched = vouched_until(seals);
    let after = vouched.or(ends).map_or(0, |sealed| lines.saturating_sub(sealed));
    if after > 0 && is_package && vouched.is_some_and(|vouched| said > vouched) {
        let detail = format!(
            "{} after the last seal of anybody whom you trust, and tell of more than of sealing: whoever made the seal over that, with a key \
             that you did not list, can have made it up.",
            stand(after)
        );
        findings.push(Finding::new(Severity::Gap, "ledger-after-seal", &LEDGER, &detail));
    } else if after > 0 {
        let lines = stand(after);
        let detail =
            format!("{lines} after the last seal: covered by nothing until the next seal. The evidence is not concerned.");
        findings.push(Finding::new(Severity::Notice, "ledger-after-seal", &LEDGER, &detail));
    }
}

fn stand(lines: u64) -> String {
    if lines == 1 { "1 line stands".to_owned() } else { format!("{lines} lines stand") }
}

/// What receipts are for.
pub(super) struct Received<'a> {
    pub(super) case_number: Option<&'a str>,
    pub(super) seals: &'a [SealReport],
    /// By how many seconds a clock was ahead that the case was collected by, as its ledger says.
    pub(super) clock_ahead: i64,
}

impl Received<'_> {
    /// What was done to the package before anybody received it, by those who signed for it, each with its time.
    fn before(&self, options: &Options<'_>) -> Vec<(Timestamp, &'static str)> {
        let signed = self.seals.iter().filter(|seal| seal.signature == SignatureState::Valid);
        let sealed = signed.clone().filter_map(|seal| seal.time).max();
        let stamps = signed.filter_map(|seal| stamps::trusted_time(options.authority_roots, seal.timestamp, seal.stamped));
        let stamped = stamps.max().map(|at| (at, "the seal in what was received was stamped"));
        sealed.map(|at| (at, "what was received was sealed")).into_iter().chain(stamped).collect()
    }
}

/// What the receipts beside a package say. It may lie in parts, and then one receipt is for all of them.
pub(super) fn of_receipts(
    packages: &[PackageHead],
    receipts: &[ReceiptFile],
    received: &Received<'_>,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<CustodyReport> {
    let mut chain = Vec::new();
    let mut past = received.before(options);
    for receipt_chain::Link { file, receipt, after_a_gap, is_again } in receipt_chain::in_order(receipts, findings) {
        let mut fail = |kind: &str, detail: &str| findings.push(Finding::new(Severity::Failure, kind, &file.name, detail));
        let named = |package: &PackageHead| {
            receipt.packages().iter().any(|named| (named.size, named.sha256) == (package.size, package.sha256))
        };
        if let Some(other) = packages.iter().find(|package| !named(package)) {
            let detail = format!(
                "It is the receipt of a package with another SHA-256 than {} has: one of the two was exchanged.",
                printable(&other.file)
            );
            fail("receipt-of-another-package", &detail);
        }
        if received.case_number.is_some_and(|number| number != receipt.case_number) {
            fail("receipt-of-another-package", "It is the receipt of another case.");
        }
        let statement = trust::Statement {
            place: &file.name,
            bytes: &file.statement,
            signature: file.signature.as_deref(),
            names: Some(&receipt.signer),
            // What could not be read is told of already.
            unsigned: file.unread.is_none().then_some(("receipt-unsigned", "It has no signature, so nobody signed for it.")),
            invalid: "receipt-signature-invalid",
            by_another: "receipt-signature-invalid",
        };
        let (mut signature, signer) = trust::check_signature(&statement, findings);
        if signature == SignatureState::Absent && file.unread.is_some() {
            signature = SignatureState::Unchecked;
        }
        let place = format!("{}.tsr", file.name);
        let stamp = file
            .timestamp
            .as_deref()
            .map(|stamp| stamps::check_one(&file.statement, stamp, &place, options.authority_roots, findings));
        let signed = trust::Signed {
            place: &file.name,
            signer: signer.as_ref(),
            signature,
            principal: &receipt.signer.principal,
            said: receipt.received_at,
            stamped: stamp.and_then(|(state, time)| stamps::trusted_time(options.authority_roots, state, time)),
            misnamed: "receipt-principal-mismatch",
        };
        let trust::Trust { trusted, vouched_as } = trust::judge(&signed, options.allowed_signers, findings);
        // An edited receipt has a finding already, so its time is not judged.
        if signature != SignatureState::Invalid {
            let dated = trust::Dated {
                place: &file.name,
                kind: "receipt-time-mismatch",
                done: "received",
                said: receipt.received_at,
                after: &past,
                stamped: signed.stamped,
                ahead: received.clock_ahead,
            };
            trust::check_time(&dated, findings);
        }
        if signature == SignatureState::Valid {
            past.push((receipt.received_at, "the holder before says to have received it"));
        }
        if trusted == Some(false) && matches!(signature, SignatureState::Valid | SignatureState::Unchecked) {
            let detail = match &vouched_as {
                None => "The key that signed for it is not among the allowed signers you gave.".to_owned(),
                Some(names) => {
                    format!(
                        "The allowed signers you gave have the key that signed for it as that of {names}, and not under the name it gives for that time."
                    )
                }
            };
            findings.push(Finding::new(Severity::Notice, "receipt-signer-unknown", &file.name, &detail));
        }
        if is_again {
            continue;
        }
        chain.push(CustodyReport {
            signed_as: signer.is_some().then_some(receipt.signer.principal),
            after_a_gap,
            handover: receipt.handover,
            released_at: None,
            received_at: Some(receipt.received_at),
            verification: receipt.verification,
            recorded_in: file.name.clone(),
            signed_in: Some(file.name.clone()),
            signature,
            signer: signer.map(|signer| signer.fingerprint),
            trusted,
            vouched_as,
            stamped: stamp.and_then(|(_, time)| time),
        });
    }
    chain
}

/// Whether whoever released it first is neither the examiner nor, by name, who sealed first. Names are what people write.
#[must_use]
pub fn begins_elsewhere(releaser: &str, examiner: &str, seal: Option<&SealReport>) -> bool {
    let sealed_by = seal.and_then(|seal| seal.principal.as_deref());
    let known: Vec<&str> = [Some(examiner), sealed_by].into_iter().flatten().collect();
    // Where the case names no examiner there is nobody to compare with.
    !name_in(examiner).is_empty() && !known.iter().any(|known| name_in(known) == name_in(releaser))
}

/// Whether whoever released it first is one who had it. Where the receipts before are not here, nobody can tell.
pub(super) fn check_beginning(first: &CustodyReport, examiner: &str, seal: Option<&SealReport>) -> Option<Finding> {
    let releaser = &first.handover.released_by;
    if first.after_a_gap || !begins_elsewhere(releaser, examiner, seal) {
        return None;
    }
    let sealed_by = seal.and_then(|seal| seal.principal.as_deref());
    let sealed_by = sealed_by.map(|name| format!(", and was first sealed as {}", printable(name))).unwrap_or_default();
    let detail = format!(
        "It was first released by {releaser}; the case names {examiner} as its examiner{sealed_by}. How {releaser} came to have it is not recorded."
    );
    Some(Finding::new(Severity::Notice, "custody-begins-elsewhere", &first.recorded_in, &detail))
}

/// The name in what people write of somebody: what comes before organization and address.
pub(super) fn name_in(said: &str) -> String {
    let name = said.split([',', ';', '(', '<']).next().unwrap_or_default();
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether each holder had it from the one before. Names are what people write, so a difference is to be explained, not a failure.
pub(super) fn check_chain(chain: &[CustodyReport], findings: &mut Vec<Finding>) {
    let mut holder: Option<&str> = None;
    for link in chain {
        let handover = &link.handover;
        // Who held it between, the receipts tell that are not here.
        if !link.after_a_gap && holder.is_some_and(|holder| holder != handover.released_by) {
            let detail = format!(
                "It was released by {}, and the holder on record was {}: a transfer between the two is not recorded.",
                handover.released_by,
                holder.unwrap_or_default()
            );
            findings.push(Finding::new(Severity::Notice, "custody-chain-interrupted", &link.recorded_in, &detail));
        }
        if link.received_at.is_none() {
            let detail = format!("It was released to {}, who has not recorded to have received it.", handover.received_by);
            findings.push(Finding::new(Severity::Notice, "custody-not-received", &link.recorded_in, &detail));
        }
        holder = Some(&handover.received_by);
    }
}
