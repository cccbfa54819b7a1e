//! Reading objects.

use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use s3s::dto::{
    ETag, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, IfMatch, IfNoneMatch, Metadata,
    ServerSideEncryption, StorageClass, StreamingBlob, Timestamp,
};
use s3s::{Body, S3Error, S3ErrorCode, S3Result};

use super::super::super::objects::{Bucket, StoredObject};
use super::Storage;

const DELETE_MARKER: HeaderName = HeaderName::from_static("x-amz-delete-marker");
const VERSION_ID: HeaderName = HeaderName::from_static("x-amz-version-id");

impl Storage {
    pub(super) fn head_object(&self, input: &HeadObjectInput) -> S3Result<HeadObjectOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let object = find(bucket, &input.key, input.version_id.as_deref())?;
            check_conditions(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
            Ok(HeadObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                content_encoding: object.content_encoding.clone(),
                content_length: i64::try_from(object.body.len()).ok(),
                content_type: Some(object.content_type.clone()),
                e_tag: Some(ETag::Strong(object.etag.clone())),
                last_modified: Some(Timestamp::from(SystemTime::from(object.last_modified))),
                metadata: metadata(object),
                server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
                storage_class: storage_class(object),
                version_id: shown_version(bucket, object),
                ..HeadObjectOutput::default()
            })
        })
    }

    pub(super) fn get_object(&self, input: &GetObjectInput) -> S3Result<GetObjectOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let object = find(bucket, &input.key, input.version_id.as_deref())?;
            check_conditions(object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
            if matches!(object.storage_class.as_str(), "GLACIER" | "DEEP_ARCHIVE") {
                let message = "The operation is not valid for the object's storage class";
                return Err(S3Error::with_message(S3ErrorCode::InvalidObjectState, message));
            }
            let (body, content_range) = match input.range {
                None => (object.body.clone(), None),
                Some(range) => {
                    let length = u64::try_from(object.body.len()).unwrap_or(u64::MAX);
                    let unsatisfiable =
                        || S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable");
                    let range = range.check(length).map_err(|_| unsatisfiable())?;
                    let bound = |offset: u64| usize::try_from(offset).map_err(|_| unsatisfiable());
                    let part = object.body.slice(bound(range.start)?..bound(range.end)?);
                    (part, Some(format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1))))
                }
            };
            Ok(GetObjectOutput {
                accept_ranges: Some("bytes".to_owned()),
                content_encoding: object.content_encoding.clone(),
                content_length: i64::try_from(body.len()).ok(),
                content_range,
                content_type: Some(object.content_type.clone()),
                body: Some(StreamingBlob::from(Body::from(body))),
                e_tag: Some(ETag::Strong(object.etag.clone())),
                last_modified: Some(Timestamp::from(SystemTime::from(object.last_modified))),
                metadata: metadata(object),
                server_side_encryption: Some(ServerSideEncryption::from_static(ServerSideEncryption::AES256)),
                storage_class: storage_class(object),
                version_id: shown_version(bucket, object),
                ..GetObjectOutput::default()
            })
        })
    }
}

/// Finds the version asked for, or says what is there instead.
fn find<'a>(bucket: &'a Bucket, key: &str, version_id: Option<&str>) -> S3Result<&'a StoredObject> {
    let versions = bucket.versions(key).unwrap_or_default();
    let object = match version_id {
        Some(version_id) => versions
            .iter()
            .find(|version| version.version_id == version_id)
            .ok_or_else(|| S3Error::with_message(S3ErrorCode::NoSuchVersion, "The specified version does not exist."))?,
        None => versions.last().ok_or_else(no_such_key)?,
    };
    if !object.delete_marker {
        return Ok(object);
    }
    let mut error = match version_id {
        Some(_) => {
            S3Error::with_message(S3ErrorCode::MethodNotAllowed, "The specified method is not allowed against this resource.")
        }
        None => no_such_key(),
    };
    if version_id.is_some() {
        error.set_status_code(StatusCode::METHOD_NOT_ALLOWED);
    }
    let mut headers = HeaderMap::new();
    headers.insert(DELETE_MARKER, HeaderValue::from_static("true"));
    if let Ok(version) = HeaderValue::from_str(&object.version_id) {
        headers.insert(VERSION_ID, version);
    }
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    error.set_headers(headers);
    Err(error)
}

fn no_such_key() -> S3Error {
    S3Error::with_message(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

fn check_conditions(object: &StoredObject, if_match: Option<&IfMatch>, if_none_match: Option<&IfNoneMatch>) -> S3Result<()> {
    let matches = |condition: &ETagCondition| condition.as_etag().is_none_or(|etag| etag.value() == object.etag);
    if if_match.is_some_and(|condition| !matches(condition)) {
        let message = "At least one of the pre-conditions you specified did not hold";
        return Err(S3Error::with_message(S3ErrorCode::PreconditionFailed, message));
    }
    if if_none_match.is_some_and(matches) {
        let mut error = S3Error::with_message(S3ErrorCode::NotModified, "Not Modified");
        error.set_status_code(StatusCode::NOT_MODIFIED);
        return Err(error);
    }
    Ok(())
}

fn metadata(object: &StoredObject) -> Option<Metadata> {
    let entries = object.metadata.iter().map(|(name, value)| (name.clone(), value.clone()));
    (!object.metadata.is_empty()).then(|| entries.collect())
}

/// S3 keeps silent about its standard class.
fn storage_class(object: &StoredObject) -> Option<StorageClass> {
    (object.storage_class != "STANDARD").then(|| StorageClass::from(object.storage_class.clone()))
}

fn shown_version(bucket: &Bucket, object: &StoredObject) -> Option<String> {
    bucket.versioned.then(|| object.version_id.clone())
}
