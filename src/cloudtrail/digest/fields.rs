//! The fields of a digest as JSON, read in one pass: whatever else stands in a file that has a digest's name takes no memory.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::model::strict_json::{Forgotten, Keys, twice};
use crate::model::{AccountId, S3Location, Timestamp};

use super::{DigestProblem, ListedLog, sha256};

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Key {
    AwsAccountId,
    DigestStartTime,
    DigestEndTime,
    DigestS3Bucket,
    DigestS3Object,
    DigestPublicKeyFingerprint,
    DigestSignatureAlgorithm,
    PreviousDigestS3Bucket,
    PreviousDigestS3Object,
    PreviousDigestHashValue,
    PreviousDigestHashAlgorithm,
    PreviousDigestSignature,
    LogFiles,
    Other(String),
}

/// What a digest's JSON has, as far as it is there.
#[derive(Default)]
#[expect(clippy::option_option, reason = "some fields must be there, though they may be null")]
pub(super) struct Fields {
    pub(super) aws_account_id: Option<AccountId>,
    pub(super) digest_start_time: Option<Timestamp>,
    pub(super) digest_end_time: Option<String>,
    pub(super) digest_s3_bucket: Option<String>,
    pub(super) digest_s3_object: Option<String>,
    pub(super) digest_public_key_fingerprint: Option<String>,
    pub(super) digest_signature_algorithm: Option<String>,
    // These must be there, though they may be null.
    pub(super) previous_digest_s3_bucket: Option<Option<String>>,
    pub(super) previous_digest_s3_object: Option<Option<String>>,
    pub(super) previous_digest_hash_value: Option<Option<String>>,
    pub(super) previous_digest_hash_algorithm: Option<Option<String>>,
    pub(super) previous_digest_signature: Option<Option<String>>,
    pub(super) log_files: Option<Logs>,
}

/// The value of a field that must be there.
pub(super) fn required<T>(field: Option<T>, name: &'static str) -> Result<T, serde_json::Error> {
    field.ok_or_else(|| serde_json::Error::missing_field(name))
}

fn fill<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    entries: &mut A,
    field: &mut Option<T>,
    name: &str,
) -> Result<(), A::Error> {
    match field.replace(entries.next_value()?) {
        Some(_) => Err(twice(name)),
        None => Ok(()),
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a digest")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Fields, A::Error> {
        let (mut fields, mut others) = (Fields::default(), Keys::default());
        let from = &mut entries;
        while let Some(key) = from.next_key()? {
            match key {
                Key::AwsAccountId => fill(from, &mut fields.aws_account_id, "awsAccountId")?,
                Key::DigestStartTime => fill(from, &mut fields.digest_start_time, "digestStartTime")?,
                Key::DigestEndTime => fill(from, &mut fields.digest_end_time, "digestEndTime")?,
                Key::DigestS3Bucket => fill(from, &mut fields.digest_s3_bucket, "digestS3Bucket")?,
                Key::DigestS3Object => fill(from, &mut fields.digest_s3_object, "digestS3Object")?,
                Key::DigestPublicKeyFingerprint => {
                    fill(from, &mut fields.digest_public_key_fingerprint, "digestPublicKeyFingerprint")?;
                }
                Key::DigestSignatureAlgorithm => {
                    fill(from, &mut fields.digest_signature_algorithm, "digestSignatureAlgorithm")?;
                }
                Key::PreviousDigestS3Bucket => fill(from, &mut fields.previous_digest_s3_bucket, "previousDigestS3Bucket")?,
                Key::PreviousDigestS3Object => fill(from, &mut fields.previous_digest_s3_object, "previousDigestS3Object")?,
                Key::PreviousDigestHashValue => fill(from, &mut fields.previous_digest_hash_value, "previousDigestHashValue")?,
                Key::PreviousDigestHashAlgorithm => {
                    fill(from, &mut fields.previous_digest_hash_algorithm, "previousDigestHashAlgorithm")?;
                }
                Key::PreviousDigestSignature => fill(from, &mut fields.previous_digest_signature, "previousDigestSignature")?,
                Key::LogFiles => fill(from, &mut fields.log_files, "logFiles")?,
                Key::Other(key) => {
                    from.next_value::<Forgotten>()?;
                    others.add(key)?;
                }
            }
        }
        Ok(fields)
    }
}

/// The logs that a digest lists, up to the first with a hash that is none.
#[derive(Debug, Default)]
pub(super) struct Logs {
    pub(super) listed: Vec<ListedLog>,
    /// The log behind those listed, and what is wrong with its hash.
    pub(super) problem: Option<(S3Location, DigestProblem)>,
}

impl<'de> Deserialize<'de> for Logs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LogsVisitor)
    }
}

struct LogsVisitor;

impl<'de> Visitor<'de> for LogsVisitor {
    type Value = Logs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of logs")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Logs, A::Error> {
        let mut logs = Logs::default();
        while let Some(LogFields { location, hash_value, hash_algorithm, newest, oldest }) = items.next_element()? {
            if logs.problem.is_some() {
                continue;
            }
            match sha256(&hash_algorithm, &hash_value) {
                Ok(sha256) => {
                    logs.listed.push(ListedLog { location, sha256, oldest_event: oldest, newest_event: newest });
                }
                Err(problem) => logs.problem = Some((location, problem)),
            }
        }
        Ok(logs)
    }
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum LogKey {
    S3Bucket,
    S3Object,
    HashValue,
    HashAlgorithm,
    NewestEventTime,
    OldestEventTime,
    Other(String),
}

struct LogFields {
    location: S3Location,
    hash_value: String,
    hash_algorithm: String,
    newest: Option<Timestamp>,
    oldest: Option<Timestamp>,
}

impl<'de> Deserialize<'de> for LogFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LogVisitor)
    }
}

struct LogVisitor;

impl<'de> Visitor<'de> for LogVisitor {
    type Value = LogFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<LogFields, A::Error> {
        let (mut bucket, mut object, mut hash_value, mut hash_algorithm) = (None::<String>, None::<String>, None, None);
        let (mut newest, mut oldest, mut others) = (None, None, Keys::default());
        let from = &mut entries;
        while let Some(key) = from.next_key()? {
            match key {
                LogKey::S3Bucket => fill(from, &mut bucket, "s3Bucket")?,
                LogKey::S3Object => fill(from, &mut object, "s3Object")?,
                LogKey::HashValue => fill(from, &mut hash_value, "hashValue")?,
                LogKey::HashAlgorithm => fill(from, &mut hash_algorithm, "hashAlgorithm")?,
                LogKey::NewestEventTime => fill(from, &mut newest, "newestEventTime")?,
                LogKey::OldestEventTime => fill(from, &mut oldest, "oldestEventTime")?,
                LogKey::Other(key) => {
                    from.next_value::<Forgotten>()?;
                    others.add(key)?;
                }
            }
        }
        let missing = <A::Error as Error>::missing_field;
        Ok(LogFields {
            location: S3Location::new(bucket.ok_or_else(|| missing("s3Bucket"))?, object.ok_or_else(|| missing("s3Object"))?),
            hash_value: hash_value.ok_or_else(|| missing("hashValue"))?,
            hash_algorithm: hash_algorithm.ok_or_else(|| missing("hashAlgorithm"))?,
            // Either may be null, or not there.
            newest: newest.flatten(),
            oldest: oldest.flatten(),
        })
    }
}
