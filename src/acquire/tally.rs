use std::collections::BTreeMap;

use serde::Serialize;

use crate::case::event::{Gap, GapReason};
use crate::model::{AccountId, Region};

/// Most gaps that an outcome names one by one; the ledger has them all.
const GAPS_NAMED: usize = 2_000;

/// Whose evidence: the key of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) source: &'static str,
    pub(crate) account: Option<AccountId>,
    pub(crate) region: Option<Region>,
}

/// What came of one source in one account and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The source.
    pub source: String,
    /// The account.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Option<Region>,
    /// Objects in scope.
    pub found: u64,
    /// Their bytes, as listed.
    pub found_bytes: u64,
    /// Objects stored by this run.
    pub stored: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Objects that were in the case already.
    pub already_stored: u64,
    /// Raw answers of APIs stored by this run.
    pub answers: u64,
    /// Gaps, by reason.
    pub gaps: BTreeMap<GapReason, u64>,
}

/// Something notable that is not missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// The source.
    pub source: String,
    /// The account.
    pub account: Option<AccountId>,
    /// The region.
    pub region: Option<Region>,
    /// What, in a sentence.
    pub text: String,
}

/// The sum of all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Objects in scope.
    pub found: u64,
    /// Their bytes, as listed.
    pub found_bytes: u64,
    /// Objects stored by this run.
    pub stored: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// Objects that were in the case already.
    pub already_stored: u64,
    /// Raw answers of APIs stored by this run.
    pub answers: u64,
    /// Gaps, by reason.
    pub gaps: BTreeMap<GapReason, u64>,
}

impl Totals {
    /// Gaps that make the collection incomplete.
    #[must_use]
    pub fn incompleteness(&self) -> u64 {
        self.gaps.iter().filter(|(reason, _)| reason.is_incompleteness()).map(|(_, count)| count).sum()
    }
}

/// Counts what a run does.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: BTreeMap<(String, Option<AccountId>, Option<Region>), Row>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) notices: Vec<Notice>,
    /// Bytes of everything stored, answers included.
    pub(crate) all_bytes: u64,
}

impl Tally {
    pub(crate) fn row(&mut self, key: &RowKey) -> &mut Row {
        self.entry(key.source, key.account, key.region.as_ref())
    }

    pub(crate) fn gap(&mut self, gap: &Gap) {
        *self.entry(&gap.source, gap.account, gap.region.as_ref()).gaps.entry(gap.reason).or_default() += 1;
        if self.gaps.len() < GAPS_NAMED {
            self.gaps.push(gap.clone());
        }
    }

    pub(crate) fn notice(&mut self, row: &RowKey, text: String) {
        let notice = Notice { source: row.source.to_owned(), account: row.account, region: row.region.clone(), text };
        self.notices.push(notice);
    }

    fn entry(&mut self, source: &str, account: Option<AccountId>, region: Option<&Region>) -> &mut Row {
        let key = (source.to_owned(), account, region.cloned());
        self.rows.entry(key).or_insert_with(|| Row {
            source: source.to_owned(),
            account,
            region: region.cloned(),
            found: 0,
            found_bytes: 0,
            stored: 0,
            stored_bytes: 0,
            already_stored: 0,
            answers: 0,
            gaps: BTreeMap::new(),
        })
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        self.rows.values().cloned().collect()
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for row in self.rows.values() {
            totals.found += row.found;
            totals.found_bytes += row.found_bytes;
            totals.stored += row.stored;
            totals.stored_bytes += row.stored_bytes;
            totals.already_stored += row.already_stored;
            totals.answers += row.answers;
            for (reason, count) in &row.gaps {
                *totals.gaps.entry(*reason).or_default() += count;
            }
        }
        totals
    }
}
