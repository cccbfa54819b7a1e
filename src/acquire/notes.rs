//! What a run remembers from one errand to the next, and from earlier runs.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};

use serde_json::Value;

use crate::case::event::{Event, Origin};
use crate::model::{AccountId, PayloadPath, Region, Timestamp};

use super::askers::Askers;
use super::cloudtrail::{Elsewhere, TrailHomes, TrailTraces};
use super::ebs::Lineage;
use super::flow_logs::Traces;
use super::shared::Shared;

/// What the errands of one run share: several identities may reach the same place, and it is gone through once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    stored: StoredObjects,
    claims: Shared<BTreeSet<String>>,
    accounts_met: Shared<BTreeSet<AccountId>>,
    /// What was learned of snapshots, for the report on them.
    pub(crate) lineage: Lineage,
    /// Who asks.
    pub(crate) askers: Askers,
    /// What digests name outside their trail's own store.
    pub(crate) elsewhere: Elsewhere,
    /// What tells of flow logs that EC2 does not know any more.
    pub(crate) traces: Traces,
    /// What tells of trails that CloudTrail does not know any more, or that delivered elsewhere.
    pub(crate) trails: TrailTraces,
    /// What their homes tell of the trails there are.
    pub(crate) homes: TrailHomes,
}

impl Notes {
    /// The notes of a run that goes on with a case.
    pub(crate) fn of(stored: StoredObjects) -> Self {
        Self { stored, ..Self::default() }
    }

    /// Notes what an event of the history tells.
    pub(crate) fn note_event(&self, account: AccountId, region: &Region, name: Option<&str>, record: Option<&str>) {
        self.traces.note_event(account, region, name, record);
        self.trails.note_event(account, region, name, record);
        self.homes.note_event(account, region, name, record);
    }

    /// Whether whoever asks is the first to claim this.
    pub(crate) fn claim(&self, what: String) -> bool {
        self.claims.lock().insert(what)
    }

    /// Notes that some bucket has a folder of these accounts.
    pub(crate) fn meet(&self, accounts: impl Iterator<Item = AccountId>) {
        self.accounts_met.lock().extend(accounts);
    }

    /// Whether one has.
    pub(crate) fn has_met(&self, account: AccountId) -> bool {
        self.accounts_met.lock().contains(&account)
    }

    /// The objects that the case holds.
    pub(crate) fn stored(&self) -> &StoredObjects {
        &self.stored
    }
}

/// The name and the record of an event of the history, if it is one of these and changed anything: what was refused did not.
pub(crate) fn happened<'a>(events: &[&str], name: Option<&'a str>, record: Option<&str>) -> Option<(&'a str, Value)> {
    let name = name.filter(|name| events.contains(name))?;
    let record: Value = serde_json::from_str(record?).ok()?;
    record.get("errorCode").is_none_or(Value::is_null).then_some((name, record))
}

/// How S3 named the objects that the case holds, when they were stored.
///
/// A million of them must fit, so only sixteen bytes are kept of each: enough to tell one object from another.
#[derive(Debug, Default)]
pub(crate) struct StoredObjects {
    hasher: RandomState,
    /// In the order of their paths' hashes.
    known: Vec<Named>,
}

#[derive(Clone, Copy, Debug)]
struct Named {
    path: u64,
    etag: u32,
    /// Seconds; zero where it is not known.
    last_modified: u32,
}

/// The objects of a ledger, while it is read.
#[derive(Debug, Default)]
pub(crate) struct StoredObjectsReader {
    stored: StoredObjects,
}

impl StoredObjectsReader {
    /// For a ledger of so many lines. Memory that is reserved at once is not copied while it grows, and what is not used is never touched.
    pub(crate) fn for_lines(lines: u64) -> Self {
        let mut reader = Self::default();
        reader.stored.known.reserve_exact(usize::try_from(lines).unwrap_or(0));
        reader
    }

    /// Shows the next line of the ledger.
    pub(crate) fn take(&mut self, event: &Event) {
        let Event::ArtifactAcquired(artifact) = event else { return };
        if let Origin::S3Object(origin) = &artifact.source {
            let named = Named {
                path: self.stored.hasher.hash_one(artifact.path.as_str()),
                etag: origin.etag.as_deref().map_or(0, |etag| self.stored.tag(etag)),
                last_modified: origin.last_modified.map_or(0, seconds),
            };
            self.stored.known.push(named);
        }
    }

    /// All of them.
    pub(crate) fn finish(mut self) -> StoredObjects {
        self.stored.known.sort_unstable_by_key(|named| named.path);
        self.stored.known.shrink_to_fit();
        self.stored
    }
}

impl StoredObjects {
    /// A hash of an entity tag that is never zero: zero stands for none.
    fn tag(&self, etag: &str) -> u32 {
        let [a, b, c, d, ..] = self.hasher.hash_one(etag).to_le_bytes();
        u32::from_le_bytes([a, b, c, d]).max(1)
    }

    fn find(&self, path: &PayloadPath) -> Option<Named> {
        let path = self.hasher.hash_one(path.as_str());
        let place = self.known.binary_search_by_key(&path, |named| named.path).ok()?;
        self.known.get(place).copied()
    }

    /// Whether something was stored under this path before the run. Whether it is still there, only the disk says.
    pub(crate) fn knows(&self, path: &PayloadPath) -> bool {
        self.find(path).is_some()
    }

    /// Whether what a listing names is another object than the one that was stored: written again since, or with other bytes.
    ///
    /// Both must be known to differ. An answer and a listing round the same time to the second.
    pub(crate) fn differs(&self, path: &PayloadPath, etag: Option<&str>, last_modified: Option<Timestamp>) -> bool {
        let Some(stored) = self.find(path) else { return false };
        let etag = etag.map_or(0, |etag| self.tag(etag.trim_matches('"')));
        let last_modified = last_modified.map_or(0, seconds);
        [(stored.etag, etag), (stored.last_modified, last_modified)]
            .into_iter()
            .any(|(then, now)| then != 0 && now != 0 && then != now)
    }
}

/// Seconds since 1970, which fit until 2106.
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.instant().timestamp()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::event::{Agreement, Artifact, Exchange, ObjectOrigin};
    use crate::model::{S3Location, Sha256Hash};

    fn stored() -> (StoredObjects, PayloadPath) {
        let path = PayloadPath::for_object(&S3Location::new("example-logs", "key"));
        let origin = ObjectOrigin {
            source: "cloudtrail".to_owned(),
            account: None,
            region: None,
            bucket: "example-logs".to_owned(),
            key: "key".to_owned(),
            version_id: None,
            etag: Some("abc".to_owned()),
            checksums: std::collections::BTreeMap::new(),
            last_modified: Some("2026-03-01T09:00:00Z".parse().unwrap()),
            storage_class: None,
            encryption: None,
            kms_key_id: None,
            content_type: None,
            content_encoding: None,
            metadata: std::collections::BTreeMap::new(),
            aws_digest: Agreement::Absent,
            exchange: Exchange::default(),
        };
        let artifact = Artifact {
            path: path.clone(),
            size: 1,
            sha256: Sha256Hash::ZERO,
            content_sha256: None,
            source: Origin::S3Object(Box::new(origin)),
            salt: String::new(),
        };
        let mut reader = StoredObjectsReader::for_lines(1);
        for number in 0..100 {
            let path = PayloadPath::for_object(&S3Location::new("example-logs", format!("other-{number}")));
            let mut other = artifact.clone();
            other.path = path;
            reader.take(&Event::ArtifactAcquired(Box::new(other)));
        }
        reader.take(&Event::ArtifactAcquired(Box::new(artifact)));
        (reader.finish(), path)
    }

    #[test]
    fn the_same_object_is_known_again_however_a_listing_writes_it() {
        let (stored, path) = stored();
        let at = |text: &str| Some(text.parse().unwrap());
        assert!(!stored.differs(&path, Some("\"abc\""), at("2026-03-01T09:00:00.123Z")));
        assert!(!stored.differs(&path, None, None));
        assert!(stored.knows(&path) && !stored.knows(&PayloadPath::for_object(&S3Location::new("example-logs", "other"))));
        assert!(!stored.differs(&PayloadPath::for_object(&S3Location::new("example-logs", "other")), Some("x"), None));
    }

    #[test]
    fn another_tag_or_time_is_another_object() {
        let (stored, path) = stored();
        assert!(stored.differs(&path, Some("\"abd\""), None));
        assert!(stored.differs(&path, Some("\"abc\""), Some("2026-03-01T09:00:01Z".parse().unwrap())));
    }

    #[test]
    fn a_claim_is_granted_once() {
        let notes = Notes::default();
        assert!(notes.claim("a".to_owned()) && !notes.claim("a".to_owned()) && notes.claim("b".to_owned()));
    }
}
