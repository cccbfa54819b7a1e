//! One bucket.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::{StoredObject, Upload};

/// A bucket: its settings, and under every key its versions, oldest first.
#[derive(Debug, Default)]
pub(in super::super) struct Bucket {
    pub(in super::super) region: String,
    pub(in super::super) versioned: bool,
    pub(in super::super) created: DateTime<Utc>,
    pub(in super::super) policy: Option<String>,
    /// The KMS key under which new objects are stored.
    pub(in super::super) key: Option<String>,
    pub(super) entries: BTreeMap<String, Vec<StoredObject>>,
    pub(super) writes: u64,
}

/// What a deletion did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Deletion {
    pub(in super::super) version_id: Option<String>,
    pub(in super::super) marker: bool,
}

impl Bucket {
    pub(in super::super) fn current(&self, key: &str) -> Option<&StoredObject> {
        self.entries.get(key)?.last().filter(|version| !version.delete_marker)
    }

    pub(super) fn current_mut(&mut self, key: &str) -> Option<&mut StoredObject> {
        self.entries.get_mut(key)?.last_mut().filter(|version| !version.delete_marker)
    }

    pub(in super::super) fn versions(&self, key: &str) -> Option<&[StoredObject]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    pub(super) fn current_keys(&self, prefix: &str) -> Vec<String> {
        self.entries
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(_, versions)| versions.last().is_some_and(|version| !version.delete_marker))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// Stores a new version, or replaces the only one; returns its id.
    pub(in super::super) fn put(&mut self, name: &str, key: &str, upload: Upload) -> String {
        let version_id = self.next_version_id(name, key);
        let object = StoredObject {
            version_id: version_id.clone(),
            last_modified: upload.at.unwrap_or_else(Utc::now),
            etag: etag(&upload.body),
            body: upload.body,
            content_type: upload.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()),
            content_encoding: upload.content_encoding,
            storage_class: upload.storage_class.unwrap_or_else(|| "STANDARD".to_owned()),
            metadata: upload.metadata,
            delete_marker: false,
        };
        self.push(key, object);
        version_id
    }

    /// Deletes one version outright, or the object as a whole in the way of the bucket.
    pub(in super::super) fn delete(&mut self, name: &str, key: &str, version_id: Option<&str>) -> Deletion {
        if let Some(version_id) = version_id {
            let mut marker = false;
            if let Some(versions) = self.entries.get_mut(key) {
                marker = versions.iter().any(|version| version.version_id == version_id && version.delete_marker);
                versions.retain(|version| version.version_id != version_id);
                if versions.is_empty() {
                    self.entries.remove(key);
                }
            }
            return Deletion { version_id: Some(version_id.to_owned()), marker };
        }
        if !self.versioned {
            self.entries.remove(key);
            return Deletion { version_id: None, marker: false };
        }
        let version_id = self.next_version_id(name, key);
        let marker = StoredObject {
            version_id: version_id.clone(),
            last_modified: Utc::now(),
            body: Bytes::new(),
            etag: String::new(),
            content_type: String::new(),
            content_encoding: None,
            storage_class: String::new(),
            metadata: BTreeMap::new(),
            delete_marker: true,
        };
        self.push(key, marker);
        Deletion { version_id: Some(version_id), marker: true }
    }

    pub(super) fn erase(&mut self, key: &str) -> bool {
        self.entries.remove(key).is_some()
    }

    fn push(&mut self, key: &str, object: StoredObject) {
        let versions = self.entries.entry(key.to_owned()).or_default();
        if !self.versioned {
            versions.clear();
        }
        versions.push(object);
    }

    /// Derived, not random: a replayed history has the same version ids.
    fn next_version_id(&mut self, name: &str, key: &str) -> String {
        self.writes = self.writes.wrapping_add(1);
        if !self.versioned {
            return "null".to_owned();
        }
        let digest = Sha256::new()
            .chain_update(name)
            .chain_update([0])
            .chain_update(key)
            .chain_update(self.writes.to_be_bytes())
            .finalize();
        URL_SAFE_NO_PAD.encode(digest).replace('-', ".").chars().take(32).collect()
    }
}

impl StoredObject {
    pub(super) fn replace_body(&mut self, body: Bytes) {
        self.etag = etag(&body);
        self.body = body;
    }
}

fn etag(body: &[u8]) -> String {
    hex::encode(Md5::digest(body))
}
