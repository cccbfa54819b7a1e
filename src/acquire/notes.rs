//! What a run remembers from one errand to the next, and from earlier runs.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::case::event::{Event, ObjectOrigin, Origin};
use crate::model::{PayloadPath, Timestamp};

use super::ebs::Lineage;

/// What the errands of one run share: several identities may reach the same place, and it is gone through once.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    stored: StoredObjects,
    claims: Mutex<BTreeSet<String>>,
    /// What was learned of snapshots, for the report on them.
    pub(crate) lineage: Lineage,
}

impl Notes {
    /// The notes of a run that goes on with a case.
    pub(crate) fn of(stored: StoredObjects) -> Self {
        Self { stored, ..Self::default() }
    }

    /// Whether whoever asks is the first to claim this.
    pub(crate) fn claim(&self, what: String) -> bool {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).insert(what)
    }

    /// Leaves it to the next one after all.
    pub(crate) fn release(&self, what: &str) {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }

    /// The objects that the case holds.
    pub(crate) fn stored(&self) -> &StoredObjects {
        &self.stored
    }
}

/// How S3 named the objects that the case holds, when they were stored.
///
/// A million of them must fit, so only enough is kept to tell one object from another.
#[derive(Debug, Default)]
pub(crate) struct StoredObjects {
    hasher: RandomState,
    known: HashMap<u64, Named>,
}

#[derive(Clone, Copy, Debug)]
struct Named {
    etag: Option<u64>,
    last_modified: Option<i64>,
}

impl StoredObjects {
    /// Shows the next line of the ledger.
    pub(crate) fn take(&mut self, event: &Event) {
        let Event::ArtifactAcquired(artifact) = event else { return };
        if let Origin::S3Object(origin) = &artifact.source {
            let named = self.name(origin);
            self.known.insert(self.hasher.hash_one(artifact.path.as_str()), named);
        }
    }

    fn name(&self, origin: &ObjectOrigin) -> Named {
        Named {
            etag: origin.etag.as_deref().map(|etag| self.hasher.hash_one(etag)),
            last_modified: origin.last_modified.map(seconds),
        }
    }

    /// Whether what a listing names is another object than the one that was stored: written again since, or with other bytes.
    ///
    /// Both must be known to differ. An answer and a listing round the same time to the second.
    pub(crate) fn differs(&self, path: &PayloadPath, etag: Option<&str>, last_modified: Option<Timestamp>) -> bool {
        let Some(stored) = self.known.get(&self.hasher.hash_one(path.as_str())) else { return false };
        let etag = etag.map(|etag| self.hasher.hash_one(etag.trim_matches('"')));
        let other_etag = stored.etag.zip(etag).is_some_and(|(then, now)| then != now);
        other_etag || stored.last_modified.zip(last_modified.map(seconds)).is_some_and(|(then, now)| then != now)
    }
}

fn seconds(at: Timestamp) -> i64 {
    at.instant().timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::event::{Agreement, Artifact, Exchange};
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
        let mut stored = StoredObjects::default();
        stored.take(&Event::ArtifactAcquired(Box::new(artifact)));
        (stored, path)
    }

    #[test]
    fn the_same_object_is_known_again_however_a_listing_writes_it() {
        let (stored, path) = stored();
        let at = |text: &str| Some(text.parse().unwrap());
        assert!(!stored.differs(&path, Some("\"abc\""), at("2026-03-01T09:00:00.123Z")));
        assert!(!stored.differs(&path, None, None));
        assert!(!stored.differs(&PayloadPath::for_object(&S3Location::new("example-logs", "other")), Some("x"), None));
    }

    #[test]
    fn another_tag_or_time_is_another_object() {
        let (stored, path) = stored();
        assert!(stored.differs(&path, Some("\"abd\""), None));
        assert!(stored.differs(&path, Some("\"abc\""), Some("2026-03-01T09:00:01Z".parse().unwrap())));
    }

    #[test]
    fn a_claim_is_granted_once_until_it_is_released() {
        let notes = Notes::default();
        assert!(notes.claim("a".to_owned()) && !notes.claim("a".to_owned()) && notes.claim("b".to_owned()));
        notes.release("a");
        assert!(notes.claim("a".to_owned()));
    }
}
