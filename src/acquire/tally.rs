//! What came of a run, by source, account and region. Gaps are all counted and only the first thousands kept: the ledger has each.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::case::event::{Gap, GapReason};
use crate::model::{AccountId, Region, counted, thousands};

/// Most gaps that an outcome names one by one; the ledger has them all.
const GAPS_NAMED: usize = 2_000;

/// Most objects that a notice names one by one.
const UNLIKE_NAMED: usize = 5;

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

/// Objects whose bytes are not those of their entity tags: how many, and the first of them.
#[derive(Debug, Default)]
struct UnlikeTags {
    count: u64,
    named: Vec<String>,
}

/// Counts what a run does.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    rows: BTreeMap<(String, Option<AccountId>, Option<Region>), Row>,
    pub(crate) gaps: Vec<Gap>,
    notices: Vec<Notice>,
    /// Objects whose bytes are not those of their entity tags, by source and bucket: a store whose tags are no MD5s has no others.
    unlike_tags: BTreeMap<(&'static str, String), UnlikeTags>,
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

    /// Counts an object whose bytes came twice the same, and are not those whose MD5 its entity tag is.
    pub(crate) fn unlike_tag(&mut self, row: &RowKey, bucket: String, path: String) {
        let unlike = self.unlike_tags.entry((row.source, bucket)).or_default();
        unlike.count += 1;
        if unlike.named.len() < UNLIKE_NAMED {
            unlike.named.push(path);
        }
    }

    /// What is notable, each thing in one notice.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        let unlike = self.unlike_tags.iter().map(|((source, bucket), unlike)| {
            let more = unlike.count.saturating_sub(u64::try_from(unlike.named.len()).unwrap_or(u64::MAX));
            let more = if more == 0 { String::new() } else { format!(", and {} more", thousands(more)) };
            let text = format!(
                "{} of bucket {bucket} came twice the same, with bytes that are not those whose MD5 the entity tag is: {}{more}",
                counted(unlike.count, "object"),
                unlike.named.join(", ")
            );
            Notice { source: (*source).to_owned(), account: None, region: None, text }
        });
        self.notices.iter().cloned().chain(unlike).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_whose_tags_are_no_md5s_is_one_notice_a_bucket() {
        let mut tally = Tally::default();
        let row = RowKey { source: "cloudtrail", account: None, region: None };
        for number in 0..2_000 {
            tally.unlike_tag(&row, "example-logs".to_owned(), format!("data/s3/example-logs/{number}"));
        }
        tally.unlike_tag(&row, "other-logs".to_owned(), "data/s3/other-logs/0".to_owned());
        let texts: Vec<String> = tally.notices().into_iter().map(|notice| notice.text).collect();
        assert_eq!(texts.len(), 2, "{texts:#?}");
        let [first, second] = [&texts[0], &texts[1]];
        assert!(first.starts_with("2,000 objects of bucket example-logs") && first.ends_with("/4, and 1,995 more"), "{first}");
        assert!(second.starts_with("1 object of bucket other-logs") && second.ends_with("data/s3/other-logs/0"), "{second}");
    }
}
