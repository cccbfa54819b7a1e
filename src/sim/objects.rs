//! The account's buckets: ordered, versioned, in memory.

mod bucket;
mod listing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use chrono::{DateTime, Utc};

pub(super) use bucket::Bucket;
pub(super) use listing::{Cut, ListedVersion, Start, VersionStart};

/// One version of one object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// The version's id; `null` in a bucket without versioning.
    pub version_id: String,
    /// When S3 received it.
    pub last_modified: DateTime<Utc>,
    /// The bytes as stored, so still compressed where they came compressed.
    pub body: Bytes,
    /// MD5 of the body in hexadecimal, without quotes.
    pub etag: String,
    /// `Content-Type`.
    pub content_type: String,
    /// `Content-Encoding`, if there is one.
    pub content_encoding: Option<String>,
    /// `STANDARD`, `GLACIER`, and so on.
    pub storage_class: String,
    /// User metadata: names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Whether this version only says that the object was deleted.
    pub delete_marker: bool,
}

/// What somebody stores.
#[derive(Debug, Clone, Default)]
pub struct Upload {
    /// The bytes to store.
    pub body: Bytes,
    /// `Content-Type`; S3's default when absent.
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// User metadata: names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Storage class; `STANDARD` when absent.
    pub storage_class: Option<String>,
    /// When S3 receives it; now when absent.
    pub at: Option<DateTime<Utc>>,
}

impl Upload {
    /// An upload of bytes and nothing else.
    #[must_use]
    pub fn new(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::default() }
    }

    /// An upload that repeats what a stored object says about itself, with other bytes.
    #[must_use]
    pub fn like(object: &StoredObject, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            content_type: Some(object.content_type.clone()),
            content_encoding: object.content_encoding.clone(),
            metadata: object.metadata.clone(),
            storage_class: Some(object.storage_class.clone()),
            at: None,
        }
    }
}

/// A handle on all buckets of an account; clones share them.
///
/// It can do what no client of S3 can, such as changing bytes without leaving a version: that is
/// what tests tamper with.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    buckets: Arc<RwLock<BTreeMap<String, Bucket>>>,
    /// 0 for none of its own.
    page_limit: Arc<AtomicUsize>,
}

impl Objects {
    /// Lets no answer of a listing, of whatever service, hold more than this.
    pub fn set_page_limit(&self, limit: usize) {
        self.page_limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn page_limit(&self) -> usize {
        match self.page_limit.load(Ordering::Relaxed) {
            0 => usize::MAX,
            limit => limit,
        }
    }

    /// The names of all buckets, in order.
    #[must_use]
    pub fn buckets(&self) -> Vec<String> {
        self.read().keys().cloned().collect()
    }

    /// Creates a bucket, or changes whether an existing one keeps versions.
    pub fn create_bucket(&self, name: &str, region: &str, versioned: bool, created: DateTime<Utc>) {
        let mut buckets = self.write();
        let bucket = buckets.entry(name.to_owned()).or_default();
        region.clone_into(&mut bucket.region);
        bucket.versioned = versioned;
        bucket.created = created;
    }

    /// Removes a bucket with everything in it. Says whether there was one.
    #[must_use]
    pub fn delete_bucket(&self, name: &str) -> bool {
        self.write().remove(name).is_some()
    }

    /// Sets a bucket's resource policy.
    pub fn set_policy(&self, bucket: &str, policy: Option<String>) {
        if let Some(bucket) = self.write().get_mut(bucket) {
            bucket.policy = policy;
        }
    }

    /// Sets the KMS key of a bucket's default encryption.
    pub fn set_encryption_key(&self, bucket: &str, key: Option<String>) {
        if let Some(bucket) = self.write().get_mut(bucket) {
            bucket.key = key;
        }
    }

    /// The keys of current objects that begin with a prefix, in order.
    #[must_use]
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let buckets = self.read();
        buckets.get(bucket).map(|bucket| bucket.current_keys(prefix)).unwrap_or_default()
    }

    /// The current version of an object, unless it is deleted.
    #[must_use]
    pub fn get(&self, bucket: &str, key: &str) -> Option<StoredObject> {
        self.read().get(bucket)?.current(key).cloned()
    }

    /// All versions and delete markers of an object, newest first.
    #[must_use]
    pub fn versions(&self, bucket: &str, key: &str) -> Vec<StoredObject> {
        let buckets = self.read();
        let versions = buckets.get(bucket).and_then(|bucket| bucket.versions(key));
        versions.map(|versions| versions.iter().rev().cloned().collect()).unwrap_or_default()
    }

    /// Stores an object as a client would: a new version where versions are kept. Returns the
    /// version's id, or nothing without such a bucket.
    pub fn put_new_version(&self, bucket: &str, key: &str, upload: Upload) -> Option<String> {
        Some(self.write().get_mut(bucket)?.put(bucket, key, upload))
    }

    /// Changes the bytes of the current version and nothing else but its `ETag`. Says whether
    /// there was one.
    #[must_use]
    pub fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>) -> bool {
        self.change(bucket, key, |object| object.replace_body(body.into()))
    }

    /// Edits the current version in place, without a trace. Says whether there was one.
    #[must_use]
    pub fn change(&self, bucket: &str, key: &str, edit: impl FnOnce(&mut StoredObject)) -> bool {
        let mut buckets = self.write();
        let object = buckets.get_mut(bucket).and_then(|bucket| bucket.current_mut(key));
        object.map(edit).is_some()
    }

    /// Deletes as a client would: a delete marker where versions are kept. Says whether there was
    /// an object.
    #[must_use]
    pub fn delete(&self, bucket: &str, key: &str) -> bool {
        let mut buckets = self.write();
        let Some(found) = buckets.get_mut(bucket) else {
            return false;
        };
        let existed = found.current(key).is_some();
        found.delete(bucket, key, None);
        existed
    }

    /// Removes all versions of an object, as if it had never been. Says whether there was one.
    #[must_use]
    pub fn erase(&self, bucket: &str, key: &str) -> bool {
        self.write().get_mut(bucket).is_some_and(|bucket| bucket.erase(key))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects() -> Objects {
        let objects = Objects::default();
        objects.create_bucket("versioned", "us-east-1", true, DateTime::UNIX_EPOCH);
        objects.create_bucket("plain", "us-east-1", false, DateTime::UNIX_EPOCH);
        objects
    }

    #[test]
    fn a_second_put_keeps_the_first_version() {
        let objects = objects();
        let first = objects.put_new_version("versioned", "k", Upload::new("one")).unwrap();
        let second = objects.put_new_version("versioned", "k", Upload::new("two")).unwrap();
        assert_ne!(first, second);
        let bodies: Vec<_> = objects.versions("versioned", "k").into_iter().map(|version| version.body).collect();
        assert_eq!(bodies, ["two", "one"]);
    }

    #[test]
    fn a_put_without_versioning_replaces() {
        let objects = objects();
        objects.put_new_version("plain", "k", Upload::new("one"));
        objects.put_new_version("plain", "k", Upload::new("two"));
        assert_eq!(objects.versions("plain", "k").len(), 1);
        assert_eq!(objects.get("plain", "k").unwrap().version_id, "null");
    }

    #[test]
    fn deleting_a_versioned_object_hides_it_behind_a_marker() {
        let objects = objects();
        objects.put_new_version("versioned", "k", Upload::new("one"));
        assert!(objects.delete("versioned", "k"));
        assert_eq!(objects.get("versioned", "k"), None);
        assert!(objects.keys("versioned", "").is_empty());
        let markers: Vec<_> = objects.versions("versioned", "k").iter().map(|version| version.delete_marker).collect();
        assert_eq!(markers, [true, false]);
    }

    #[test]
    fn tampering_in_place_leaves_no_version() {
        let objects = objects();
        objects.put_new_version("versioned", "k", Upload::new("one"));
        let before = objects.get("versioned", "k").unwrap();
        assert!(objects.put("versioned", "k", "two"));
        let after = objects.get("versioned", "k").unwrap();
        assert_eq!((after.version_id, after.last_modified), (before.version_id, before.last_modified));
        assert_ne!(after.etag, before.etag);
        assert_eq!(objects.versions("versioned", "k").len(), 1);
    }

    #[test]
    fn erasing_leaves_nothing() {
        let objects = objects();
        objects.put_new_version("versioned", "k", Upload::new("one"));
        assert!(objects.erase("versioned", "k"));
        assert!(objects.versions("versioned", "k").is_empty());
        assert!(!objects.erase("versioned", "k"));
    }
}
