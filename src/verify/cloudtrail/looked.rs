//! Where collect looked for CloudTrail's files: what is not where nobody looked is not therefore gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::case::CaseIdentity;
use crate::cloudtrail::coverage::{STAMPED_AFTER, STAMPED_BEFORE};
use crate::cloudtrail::{DigestName, LogName};
use crate::model::{AccountId, Finding, Region, S3Location, Severity, Timestamp, Window};
use crate::verify::acts::Acts;
use crate::verify::collections::{Collection, Collections, looked_through, root_of};

use super::unreadable::hides;
use super::{ChainOf, Place};

/// How long AWS takes to deliver a digest after its interval, in seconds.
pub(super) const DELIVERED: i64 = 90 * 60;

/// How long before the window the stamps begin of logs that are collected by their names, and how long after it they end, in seconds.
const LISTED_BEFORE: i64 = 5 * 60;
const LISTED_AFTER: i64 = 2 * 3600;

/// The places and accounts that were listed.
#[derive(Debug)]
pub(super) struct Looked<'a> {
    /// By bucket, what stands before `AWSLogs/`; none where nothing of the bucket is left to list.
    places: BTreeMap<String, BTreeSet<Option<String>>>,
    /// Those asked for; all if none is named.
    accounts: &'a [AccountId],
    window: Window,
    collections: &'a Collections,
    /// Whether a collection did not come to its end.
    unfinished: bool,
    sealed: bool,
}

/// What to do about a place that collect does not look through by itself.
const COLLECT_IT: &str = "Collect it with its bucket and prefix named.";
/// When a file had been delivered, and what leads to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) by: Timestamp,
    /// The number of the digest in its own store that names it, where one does: collect asks for what lies elsewhere by no digest's word.
    pub(super) named_by: Option<u64>,
}

impl From<Timestamp> for Due {
    fn from(by: Timestamp) -> Self {
        Self { by, named_by: None }
    }
}

/// What is to be made of something that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// It may be there, and could not be read.
    Unreadable,
    /// A collection that did not come to its end may not have fetched it yet.
    Unfetched,
    /// It is gone.
    Gone,
}

impl Absence {
    /// How it is told of: what is gone is a failure.
    pub(super) fn finding(self, kind: &str, object: &dyn Display, detail: &str) -> Finding {
        let (severity, detail) = self.told(detail);
        Finding::new(severity, kind, &object, &detail)
    }

    /// The same, in weight and words.
    pub(super) fn told(self, detail: &str) -> (Severity, String) {
        match self {
            Self::Gone => (Severity::Failure, detail.to_owned()),
            Self::Unreadable => (Severity::Gap, detail.to_owned()),
            Self::Unfetched => {
                let why = "The last collection did not come to its end, so it may not have been fetched yet.";
                (Severity::Gap, format!("{detail} {why}"))
            }
        }
    }
}

impl<'a> Looked<'a> {
    pub(super) fn of(acts: &'a Acts, identity: &'a CaseIdentity) -> Self {
        let mut places: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
        for (bucket, root) in &acts.listed {
            places.entry(bucket.clone()).or_default().insert(Some(root.clone()));
        }
        let gaps = acts.gaps.iter().filter(|gap| gap.source == "cloudtrail");
        for (bucket, root) in gaps.filter_map(looked_through) {
            places.entry(bucket).or_default().insert(root);
        }
        let unfinished = acts.unfinished || !acts.unfinished_as.is_empty();
        Self {
            places,
            accounts: &identity.scope.accounts,
            window: identity.window,
            collections: &acts.collections,
            unfinished,
            sealed: !acts.sealed.is_empty(),
        }
    }

    pub(super) fn wants(&self, account: AccountId) -> bool {
        self.accounts.is_empty() || self.accounts.contains(&account)
    }

    /// Whether logs of such a stamp are taken by their names, whoever names them.
    pub(super) fn lists_logs_of(&self, stamp: Timestamp) -> bool {
        let (first, last) = (self.window.start().plus_seconds(-LISTED_BEFORE), self.window.end().plus_seconds(LISTED_AFTER));
        (first..=last).contains(&stamp)
    }

    /// Whether an account's files at a place were looked for.
    pub(super) fn at(&self, place: &Place, account: AccountId) -> bool {
        self.wants(account) && self.below(&place.bucket, &place.prefix)
    }

    /// Whether an object would have been met.
    pub(super) fn for_object(&self, location: &S3Location) -> bool {
        let (root, account, _) = parts(location);
        account.is_none_or(|account| self.wants(account)) && self.below(&location.bucket, root)
    }

    /// Whether what a trail delivers to a bucket and prefix was looked for.
    pub(super) fn in_store(&self, (bucket, prefix): (&str, &str)) -> bool {
        self.below(bucket, prefix)
    }

    /// Whether a run that began when an object was due, or later, and came to its end, would have met it.
    pub(super) fn would_have_met(&self, location: &S3Location, due: impl Into<Due>) -> bool {
        let Due { by, named_by } = due.into();
        let (root, _, region) = parts(location);
        let object = location.to_string();
        let is_hidden = |refused: &str| object.starts_with(refused);
        let is_late = self.is_late(location);
        let meets = |run: &Collection| {
            if is_late {
                run.would_have_met_late(&object, named_by, is_hidden)
            } else {
                run.would_have_met(&object, (&location.bucket, root), region.as_ref(), is_hidden)
            }
        };
        self.collections.finished().any(|run| run.began >= by && meets(run))
    }

    /// Whether it is a log that collect takes only where a digest names it: its name tells a time that is none of the window's.
    fn is_late(&self, location: &S3Location) -> bool {
        let (first, last) = (self.window.start().plus_seconds(-STAMPED_BEFORE), self.window.end().plus_seconds(STAMPED_AFTER));
        // The name tells the minute, and that may have begun before.
        location.key.parse::<LogName>().is_ok_and(|name| name.minute.plus_seconds(59) < first || name.minute > last)
    }

    /// When the last run that came to its end, and would have met the digests of a chain, began and ended; of several `places`, the one
    /// where that was the longest ago. None if one of them was never looked through so.
    pub(super) fn through(&self, of: &ChainOf, places: &BTreeSet<Place>) -> Option<(Timestamp, Timestamp)> {
        let last = |place: &Place| {
            let root = format!("s3://{}/{}AWSLogs/", place.bucket, place.prefix);
            let organization = place.organization.as_ref().map_or_else(String::new, |organization| format!("{organization}/"));
            let folder = format!("{root}{organization}{}/CloudTrail-Digest/{}/", of.account, of.region);
            let is_hidden = |refused: &str| hides(refused, of, place);
            let meets =
                |run: &&Collection| run.would_have_met(&folder, (&place.bucket, &place.prefix), Some(&of.region), is_hidden);
            self.collections.finished().find(meets).map(|run| (run.began, run.ended))
        };
        // Where it delivers is not known: wherever anybody looked.
        if places.is_empty() {
            return self.collections.finished().next().map(|run| (run.began, run.ended));
        }
        places.iter().map(last).collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// What to make of something that is not there, and not unreadable: gone, unless it may still come; `is_certain` where a run that came
    /// to its end would have met it.
    pub(super) fn absence(&self, is_certain: impl FnOnce() -> bool) -> Absence {
        if self.unfinished && !is_certain() { Absence::Unfetched } else { Absence::Gone }
    }

    /// Whether a collection did not come to its end.
    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    /// What to do about a place that nobody looked through.
    pub(super) fn advice(&self) -> &'static str {
        match (self.unfinished, self.sealed) {
            (true, false) => {
                "The collection did not come to its end, so it may not have come to this place: run collect again, and if nobody looked \
                 there then either, collect it with its bucket and prefix named."
            }
            (true, true) => {
                "The collection did not come to its end, so it may not have come to this place, and the case is sealed: collect it into \
                 another one."
            }
            (false, _) => COLLECT_IT,
        }
    }

    fn below(&self, bucket: &str, root: &str) -> bool {
        let is_it = |there: &Option<String>| there.as_deref().is_none_or(|there| there == root);
        self.places.get(bucket).is_some_and(|roots| roots.iter().any(is_it))
    }
}

/// What stands before `AWSLogs/` in an object's key, whose it is, and of which region.
fn parts(location: &S3Location) -> (&str, Option<AccountId>, Option<Region>) {
    let root = root_of(&location.key).unwrap_or_default();
    let (account, region) = match location.key.parse::<DigestName>() {
        Ok(name) => (Some(name.account), Some(name.region)),
        Err(()) => location.key.parse::<LogName>().map_or((None, None), |name| (Some(name.account), Some(name.region))),
    };
    (root, account, region)
}

/// Files that signed digests name and that lie where nobody looked, counted by place and account.
#[derive(Debug, Default)]
pub(super) struct NotLookedFor {
    places: BTreeMap<(String, String, Option<AccountId>), u64>,
}

impl NotLookedFor {
    pub(super) fn add(&mut self, location: &S3Location) {
        let (root, account, _) = parts(location);
        *self.places.entry((location.bucket.clone(), root.to_owned(), account)).or_default() += 1;
    }

    /// Says so, in one finding for each place and account.
    pub(super) fn say(&self, looked: &Looked<'_>, findings: &mut Vec<Finding>) {
        for ((bucket, root, account), count) in &self.places {
            let whose = account.map_or_else(String::new, |account| format!(" of {account}"));
            let files = if *count == 1 { "1 file".to_owned() } else { format!("{count} files") };
            let detail = format!(
                "Signed digests name {files}{whose} here, and the case holds no listing of this place: nobody looked, so what is \
                 there is not known. {}",
                if account.is_none_or(|account| looked.wants(account)) { looked.advice() } else { COLLECT_IT }
            );
            findings.push(Finding::new(Severity::Gap, "not-looked-for", &format!("s3://{bucket}/{root}AWSLogs/"), &detail));
        }
    }
}
