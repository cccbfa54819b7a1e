//! The one pass over a case: the ledger line by line, and side by side with it each artifact as its line is read. Judges nothing.

use std::io::{BufReader, Read};

use crate::case::event::Event;
use crate::case::ledger::{LedgerState, read_ledger};
use crate::case::{CaseError, CaseFiles, Gaps, LEDGER};

use super::Options;
use super::acts::Acts;
use super::artifacts::{self, Checked};

/// What it gives.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) ledger: LedgerState,
    /// After how many lines the ledger first had the root that is expected.
    pub(super) root_met: Option<u64>,
    pub(super) acts: Acts,
    pub(super) artifacts: Checked,
}

/// Reads everything once.
pub(super) fn over(files: &dyn CaseFiles, options: &Options<'_>) -> Result<Pass, CaseError> {
    let ledger_path = files.describe(LEDGER);
    let mut acts = Acts::default();
    let mut gaps = Gaps::default();
    let mut root_met = None;
    let (ledger, artifacts) = artifacts::check(files, options, |feed| {
        let file: Box<dyn Read + Send + '_> = match files.open(LEDGER) {
            Err(error) if error.is_not_found() => Box::new(std::io::empty()),
            opened => opened?,
        };
        let reader = BufReader::with_capacity(256 * 1024, file);
        read_ledger(reader, &ledger_path, &mut |line| {
            if root_met.is_none() && options.expected_root.is_some_and(|expected| expected.is_met_by(&line.tree.root())) {
                root_met = Some(line.tree.size());
            }
            acts.before = acts.latest;
            acts.latest = acts.latest.max(Some(line.entry.at));
            // A line that caselock writes nowhere like this tells of nothing but itself.
            if acts.is_out_of_place(&line.entry.event, line.entry.seq) {
                acts.out_of_place.get_or_insert(line.tree.size());
                return;
            }
            gaps.take(&line.entry.event);
            match line.entry.event {
                Event::ArtifactAcquired(artifact) => {
                    acts.collections.take_artifact();
                    feed(*artifact);
                }
                other => acts.take(&other, line.entry.at, line.tree.size(), line.tree.root()),
            }
        })
    })?;
    acts.unfinished_as.clone_from(gaps.unfinished_as());
    (acts.gaps, acts.gaps_closed) = gaps.into_open();
    Ok(Pass { ledger, root_met, acts, artifacts })
}
