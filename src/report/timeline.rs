//! What was done when, as the ledger tells it and signatures bear it out.

use crate::model::counted;
use crate::verify::{Report, SealReport, SignatureState};

use super::facts::{Act, Facts, Said};
use super::markup::Markup;

/// What a line of the ledger says, and no more than what signatures bear out.
fn act_in_words(act: &Act, report: &Report) -> String {
    let by = |key: &str| {
        let state = |state| {
            report.seals.iter().any(|seal| {
                seal.signature == state
                    && seal.signer.as_deref() == Some(key)
                    && seal.ledger_size.is_some_and(|lines| lines >= act.line)
            })
        };
        (state(SignatureState::Valid), state(SignatureState::Unchecked))
    };
    match &act.said {
        Said::Done(what) => what.clone(),
        Said::Sealed { seal, signer } => match by(signer) {
            (true, _) => format!("The case was sealed ({seal}) with the key {signer}."),
            (_, true) => {
                format!("The case was sealed ({seal}) with the key {signer}; this report did not check the signature.")
            }
            _ => format!(
                "The ledger announces a seal ({seal}) with the key {signer}, and no valid one by that key covers this line."
            ),
        },
        Said::Received { what, signer } => match by(signer) {
            (true, _) => format!("{what}; signed for with the key {signer}."),
            (_, true) => format!("{what}; signed for with the key {signer}, which this report did not check."),
            _ => format!("{what}; says that it signs with the key {signer}, and NO SEAL by that key covers this line."),
        },
    }
}

pub(super) fn timeline(page: &mut Markup, facts: &Facts, report: &Report) {
    let holds = |seal: &&SealReport| matches!(seal.signature, SignatureState::Valid | SignatureState::Unchecked);
    let sealed = report.seals.iter().filter(holds).filter_map(|seal| seal.ledger_size).max();
    let row = |act: &Act| {
        let after = if sealed.is_some_and(|sealed| act.line > sealed) {
            " [after the last seal: nobody signed for this line]"
        } else {
            ""
        };
        vec![act.at.to_string(), format!("{}{after}", act_in_words(act, report))]
    };
    let rows: Vec<Vec<String>> = facts.timeline.iter().map(row).collect();
    page.table("timeline", &["Time (UTC)", "Act"], &rows);
    if facts.timeline_left_out > 0 {
        page.paragraph(format_args!("{} in custody/ledger.jsonl.", counted(facts.timeline_left_out, "more act")));
    }
    if let Some((first, last)) = facts.acquired {
        page.paragraph(format_args!(
            "The first of {} was recorded {first}, the last {last}; each has a line of its own in custody/ledger.jsonl.",
            counted(facts.summary.artifacts, "artifact")
        ));
    }
}
