//! Where collect looked for CloudTrail's files: what is not where nobody looked is not therefore gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::CaseIdentity;
use crate::case::event::GapReason;
use crate::case::gap::{DIGEST_FILES, EVERYTHING, LOG_FILES, Subject};
use crate::cloudtrail::{DigestName, LogName};
use crate::model::{AccountId, Finding, S3Location, Severity};
use crate::verify::acts::Acts;

use super::Place;

/// The places and accounts that were listed.
#[derive(Debug)]
pub(super) struct Looked<'a> {
    /// By bucket, what stands before `AWSLogs/`; none where nothing of the bucket is left to list.
    places: BTreeMap<String, BTreeSet<Option<String>>>,
    /// Those asked for; all if none is named.
    accounts: &'a [AccountId],
}

impl<'a> Looked<'a> {
    pub(super) fn of(acts: &'a Acts, identity: &'a CaseIdentity) -> Self {
        let mut places: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
        for (bucket, root) in &acts.listed {
            places.entry(bucket.clone()).or_default().insert(Some(root.clone()));
        }
        for gap in acts.gaps.iter().filter(|gap| gap.source == "cloudtrail") {
            match gap.subject() {
                Subject::Bucket(bucket) if gap.error_code.as_deref() == Some("NoSuchBucket") => {
                    places.entry(bucket).or_default().insert(None);
                }
                // Nothing was there to be listed any further.
                Subject::Objects { kind, place } if kind == EVERYTHING && gap.reason == GapReason::Empty => {
                    let root = place.prefix.strip_suffix("AWSLogs/").map(str::to_owned);
                    places.entry(place.bucket).or_default().extend(root.map(Some));
                }
                subject if gap.reason == GapReason::Empty => {
                    let bucket = bucket_without_folder(&subject, gap.detail.as_deref());
                    if let Some(bucket) = bucket {
                        places.entry(bucket).or_default().insert(None);
                    }
                }
                _ => {}
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
        let is_it = |there: &Option<String>| there.as_deref().is_none_or(|there| there == root);
        self.places.get(bucket).is_some_and(|roots| roots.iter().any(is_it))
    }
}

/// The bucket that has no folder of an account and region. Earlier ledgers name it in the gap's detail alone.
fn bucket_without_folder(subject: &Subject, detail: Option<&str>) -> Option<String> {
    match subject {
        Subject::Within { kind, place } if kind == LOG_FILES || kind == DIGEST_FILES => Some(place.bucket.clone()),
        Subject::Other(kind) if kind == LOG_FILES || kind == DIGEST_FILES => {
            let (bucket, _) = detail?.strip_prefix("s3://")?.split_once(" has no ")?;
            Some(bucket.to_owned())
        }
        _ => None,
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
