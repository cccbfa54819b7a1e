//! Where collect looked for CloudTrail's files: what is not where nobody looked is not therefore gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::CaseIdentity;
use crate::case::event::GapReason;
use crate::cloudtrail::{DigestName, LogName};
use crate::model::{AccountId, Finding, S3Location, Severity};
use crate::verify::Acts;

use super::Place;

/// The places and accounts that were listed.
#[derive(Debug)]
pub(super) struct Looked<'a> {
    /// By bucket, what stands before `AWSLogs/`; none where nothing of the bucket is left to list.
    places: BTreeMap<&'a str, BTreeSet<Option<&'a str>>>,
    /// Those asked for; all if none is named.
    accounts: &'a [AccountId],
}

impl<'a> Looked<'a> {
    pub(super) fn of(acts: &'a Acts, identity: &'a CaseIdentity) -> Self {
        let mut places: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
        for (bucket, root) in &acts.listed {
            places.entry(bucket).or_default().insert(Some(root));
        }
        for gap in acts.gaps.iter().filter(|gap| gap.source == "cloudtrail") {
            let gone = gap.error_code.as_deref() == Some("NoSuchBucket");
            if let Some(bucket) = gap.what.strip_prefix("bucket ").filter(|_| gone) {
                places.entry(bucket).or_default().insert(None);
            }
            if gap.reason != GapReason::Empty {
                continue;
            }
            // Nothing was there to be listed any further.
            if let Some((bucket, below)) = gap.what.strip_prefix("logs under s3://").and_then(|place| place.split_once('/')) {
                places.entry(bucket).or_default().extend(below.strip_suffix("AWSLogs/").map(Some));
            }
            let looked_in = gap.detail.as_deref().and_then(|detail| detail.strip_prefix("s3://")?.split_once(" has no "));
            if let Some((bucket, _)) = looked_in {
                places.entry(bucket).or_default().insert(None);
            }
        }
        Self { places, accounts: &identity.scope.accounts }
    }

    pub(super) fn wants(&self, account: AccountId) -> bool {
        self.accounts.is_empty() || self.accounts.contains(&account)
    }

    /// Whether an account's files at a place were looked for.
    pub(super) fn at(&self, place: &Place, account: AccountId) -> bool {
        self.wants(account) && self.below(&place.bucket, &place.prefix)
    }

    /// Whether an object would have been met.
    pub(super) fn for_object(&self, location: &S3Location) -> bool {
        let (root, account) = parts(location);
        account.is_none_or(|account| self.wants(account)) && self.below(&location.bucket, root)
    }

    /// Whether what a trail delivers to a bucket and prefix was looked for.
    pub(super) fn in_store(&self, (bucket, prefix): (&str, &str)) -> bool {
        self.below(bucket, prefix)
    }

    fn below(&self, bucket: &str, root: &str) -> bool {
        self.places.get(bucket).is_some_and(|roots| roots.contains(&Some(root)) || roots.contains(&None))
    }
}

/// What stands before `AWSLogs/` in an object's key, and whose it is.
fn parts(location: &S3Location) -> (&str, Option<AccountId>) {
    let root = location.key.rfind("AWSLogs/").and_then(|at| location.key.get(..at)).unwrap_or_default();
    let account = match location.key.parse::<DigestName>() {
        Ok(name) => Some(name.account),
        Err(()) => location.key.parse::<LogName>().ok().map(|name| name.account),
    };
    (root, account)
}

/// Files that signed digests name and that lie where nobody looked, counted by place and account.
#[derive(Debug, Default)]
pub(super) struct NotLookedFor {
    places: BTreeMap<(String, String, Option<AccountId>), u64>,
}

impl NotLookedFor {
    pub(super) fn add(&mut self, location: &S3Location) {
        let (root, account) = parts(location);
        *self.places.entry((location.bucket.clone(), root.to_owned(), account)).or_default() += 1;
    }

    /// Says so, in one finding for each place and account.
    pub(super) fn say(&self, findings: &mut Vec<Finding>) {
        for ((bucket, root, account), count) in &self.places {
            let whose = account.map_or_else(String::new, |account| format!(" of {account}"));
            let files = if *count == 1 { "1 file".to_owned() } else { format!("{count} files") };
            let detail = format!(
                "Signed digests name {files}{whose} here, and the case holds no listing of this place: nobody looked, so what is \
                 there is not known. Collect it with its bucket and prefix named."
            );
            findings.push(Finding::new(Severity::Gap, "not-looked-for", &format!("s3://{bucket}/{root}AWSLogs/"), &detail));
        }
    }
}
