//! Listings, in all three forms S3 has.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::{
    CommonPrefix, DeleteMarkerEntry, ETag, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object, ObjectStorageClass, ObjectVersion,
    ObjectVersionStorageClass, Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::super::super::objects::{Cut, ListedVersion, Start, StoredObject, VersionStart};
use super::{Storage, owner};

const PAGE: i32 = 1000;

/// How keys are written in an answer.
#[derive(Clone, Copy)]
struct Spelling {
    encoded: bool,
}

impl Spelling {
    fn asked(encoding: Option<&EncodingType>) -> Self {
        Self { encoded: encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL) }
    }

    fn write(self, text: &str) -> String {
        if !self.encoded {
            return text.to_owned();
        }
        let mut written = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._*/".contains(&byte) {
                written.push(char::from(byte));
            } else {
                written.push('%');
                written.push_str(&hex::encode_upper([byte]));
            }
        }
        written
    }

    fn write_some(self, text: Option<&String>) -> Option<String> {
        text.map(|text| self.write(text))
    }

    fn prefixes(self, prefixes: &[String]) -> Option<Vec<CommonPrefix>> {
        let written = |prefix: &String| CommonPrefix { prefix: Some(self.write(prefix)) };
        (!prefixes.is_empty()).then(|| prefixes.iter().map(written).collect())
    }

    fn object(self, key: &str, object: &StoredObject, with_owner: bool) -> Object {
        Object {
            key: Some(self.write(key)),
            e_tag: Some(ETag::Strong(object.etag.clone())),
            last_modified: Some(Timestamp::from(SystemTime::from(object.last_modified))),
            size: i64::try_from(object.body.len()).ok(),
            storage_class: Some(ObjectStorageClass::from(object.storage_class.clone())),
            owner: with_owner.then(owner),
            ..Object::default()
        }
    }
}

impl Storage {
    /// The page size as asked for, and as S3 grants it.
    fn limit(&self, asked: Option<i32>) -> S3Result<(i32, usize)> {
        limit(asked).map(|(asked, granted)| (asked, granted.min(self.objects.page_limit())))
    }

    pub(super) fn list_objects(&self, input: &ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let spelling = Spelling::asked(input.encoding_type.as_ref());
        let (asked, limit) = self.limit(input.max_keys)?;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let delimiter = input.delimiter.as_deref();
        let start = match input.marker.as_deref().filter(|marker| !marker.is_empty()) {
            None => Start::First,
            // A marker may be a common prefix of the page before.
            Some(marker) if delimiter.is_some_and(|delimiter| !delimiter.is_empty() && marker.ends_with(delimiter)) => {
                Start::AfterPrefix(marker)
            }
            Some(marker) => Start::AfterKey(marker),
        };
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let page = bucket.list(prefix, delimiter, start, limit);
            let next = page.more_after.as_ref().filter(|_| delimiter.is_some()).map(|cut| spelling.write(last_name(cut)));
            Ok(ListObjectsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(spelling.write(prefix)),
                marker: Some(spelling.write(input.marker.as_deref().unwrap_or_default())),
                max_keys: Some(asked),
                is_truncated: Some(page.more_after.is_some()),
                contents: Some(page.entries.iter().map(|(key, object)| spelling.object(key, object, true)).collect()),
                common_prefixes: spelling.prefixes(&page.common_prefixes),
                delimiter: spelling.write_some(input.delimiter.as_ref()),
                next_marker: next,
                encoding_type: input.encoding_type.clone(),
                ..ListObjectsOutput::default()
            })
        })
    }

    pub(super) fn list_objects_v2(&self, input: &ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let spelling = Spelling::asked(input.encoding_type.as_ref());
        let (asked, limit) = self.limit(input.max_keys)?;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let resumed = input.continuation_token.as_deref().map(read_token).transpose()?;
        let start = match (&resumed, input.start_after.as_deref()) {
            (Some(Cut::Prefix(passed)), _) => Start::AfterPrefix(passed),
            (Some(cut), _) => Start::AfterKey(last_name(cut)),
            (None, Some(key)) if !key.is_empty() => Start::AfterKey(key),
            (None, _) => Start::First,
        };
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let page = bucket.list(prefix, input.delimiter.as_deref(), start, limit);
            let with_owner = input.fetch_owner == Some(true);
            Ok(ListObjectsV2Output {
                name: Some(input.bucket.clone()),
                prefix: Some(spelling.write(prefix)),
                max_keys: Some(asked),
                key_count: i32::try_from(page.entries.len().saturating_add(page.common_prefixes.len())).ok(),
                continuation_token: input.continuation_token.clone(),
                is_truncated: Some(page.more_after.is_some()),
                next_continuation_token: page.more_after.as_ref().map(write_token),
                contents: Some(page.entries.iter().map(|(key, object)| spelling.object(key, object, with_owner)).collect()),
                common_prefixes: spelling.prefixes(&page.common_prefixes),
                delimiter: spelling.write_some(input.delimiter.as_ref()),
                encoding_type: input.encoding_type.clone(),
                start_after: spelling.write_some(input.start_after.as_ref()),
                ..ListObjectsV2Output::default()
            })
        })
    }

    pub(super) fn list_object_versions(&self, input: &ListObjectVersionsInput) -> S3Result<ListObjectVersionsOutput> {
        let spelling = Spelling::asked(input.encoding_type.as_ref());
        let (asked, limit) = self.limit(input.max_keys)?;
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let delimiter = input.delimiter.as_deref();
        let key_marker = input.key_marker.as_deref().filter(|marker| !marker.is_empty());
        let version_marker = input.version_id_marker.as_deref().filter(|marker| !marker.is_empty());
        let start = match (key_marker, version_marker) {
            (Some(key), Some(version)) => VersionStart::AfterVersion(key, version),
            (Some(key), None) if delimiter.is_some_and(|delimiter| !delimiter.is_empty() && key.ends_with(delimiter)) => {
                VersionStart::Keys(Start::AfterPrefix(key))
            }
            (Some(key), None) => VersionStart::Keys(Start::AfterKey(key)),
            (None, Some(_)) => {
                let message = "A version-id marker cannot be specified without a key marker.";
                return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
            }
            (None, None) => VersionStart::Keys(Start::First),
        };
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let page = bucket.list_versions(prefix, delimiter, start, limit);
            let next_version = match &page.more_after {
                Some(Cut::Version(_, version)) => Some(version.clone()),
                _ => None,
            };
            let (markers, versions): (Vec<_>, Vec<_>) = page.entries.iter().partition(|listed| listed.version.delete_marker);
            Ok(ListObjectVersionsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(spelling.write(prefix)),
                key_marker: Some(spelling.write(key_marker.unwrap_or_default())),
                version_id_marker: Some(version_marker.unwrap_or_default().to_owned()),
                max_keys: Some(asked),
                is_truncated: Some(page.more_after.is_some()),
                next_key_marker: page.more_after.as_ref().map(|cut| spelling.write(last_name(cut))),
                next_version_id_marker: next_version,
                versions: Some(versions.into_iter().map(|listed| version(spelling, listed)).collect()),
                delete_markers: Some(markers.into_iter().map(|listed| marker(spelling, listed)).collect()),
                common_prefixes: spelling.prefixes(&page.common_prefixes),
                delimiter: spelling.write_some(input.delimiter.as_ref()),
                encoding_type: input.encoding_type.clone(),
                ..ListObjectVersionsOutput::default()
            })
        })
    }
}

fn version(spelling: Spelling, listed: &ListedVersion<'_>) -> ObjectVersion {
    let object = listed.version;
    ObjectVersion {
        key: Some(spelling.write(listed.key)),
        version_id: Some(object.version_id.clone()),
        is_latest: Some(listed.latest),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        last_modified: Some(Timestamp::from(SystemTime::from(object.last_modified))),
        size: i64::try_from(object.body.len()).ok(),
        storage_class: Some(ObjectVersionStorageClass::from(object.storage_class.clone())),
        owner: Some(owner()),
        ..ObjectVersion::default()
    }
}

fn marker(spelling: Spelling, listed: &ListedVersion<'_>) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        key: Some(spelling.write(listed.key)),
        version_id: Some(listed.version.version_id.clone()),
        is_latest: Some(listed.latest),
        last_modified: Some(Timestamp::from(SystemTime::from(listed.version.last_modified))),
        owner: Some(owner()),
    }
}

/// The page size as asked for, and as S3 grants it.
fn limit(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let asked = asked.unwrap_or(PAGE);
    match usize::try_from(asked.min(PAGE)) {
        Ok(limit) => Ok((asked.min(PAGE), limit)),
        Err(_) => Err(S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "Argument maxKeys must be an integer between 0 and 2147483647",
        )),
    }
}

fn last_name(cut: &Cut) -> &str {
    match cut {
        Cut::Key(name) | Cut::Version(name, _) | Cut::Prefix(name) => name,
    }
}

fn write_token(cut: &Cut) -> String {
    let kind = if matches!(cut, Cut::Prefix(_)) { 'p' } else { 'k' };
    STANDARD.encode(format!("{kind}{}", last_name(cut)))
}

fn read_token(token: &str) -> S3Result<Cut> {
    let invalid = || S3Error::with_message(S3ErrorCode::InvalidArgument, "The continuation token provided is incorrect");
    let text = String::from_utf8(STANDARD.decode(token).map_err(|_| invalid())?).map_err(|_| invalid())?;
    match text.split_at_checked(1) {
        Some(("p", name)) => Ok(Cut::Prefix(name.to_owned())),
        Some(("k", name)) => Ok(Cut::Key(name.to_owned())),
        _ => Err(invalid()),
    }
}
