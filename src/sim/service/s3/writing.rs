//! Storing and deleting: how an intruder with a client tampers.

use bytes::BytesMut;
use futures::StreamExt as _;
use s3s::dto::{DeleteObjectInput, DeleteObjectOutput, ETag, PutObjectInput, PutObjectOutput};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::super::super::objects::Upload;
use super::{Storage, check_owner, no_such_bucket};

impl Storage {
    pub(super) async fn put_object(&self, input: PutObjectInput) -> S3Result<PutObjectOutput> {
        check_owner(input.expected_bucket_owner.as_deref())?;
        let mut body = BytesMut::new();
        if let Some(mut stream) = input.body {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|source| S3Error::with_source(S3ErrorCode::IncompleteBody, source))?;
                body.extend_from_slice(&chunk);
            }
        }
        let upload = Upload {
            body: body.freeze(),
            content_type: input.content_type,
            content_encoding: input.content_encoding.filter(|encoding| encoding != "aws-chunked"),
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            at: None,
        };
        let mut buckets = self.objects.write();
        let bucket = buckets.get_mut(&input.bucket).ok_or_else(no_such_bucket)?;
        let version_id = bucket.put(&input.bucket, &input.key, upload);
        let etag = bucket.current(&input.key).map(|object| ETag::Strong(object.etag.clone()));
        Ok(PutObjectOutput { e_tag: etag, version_id: bucket.versioned.then_some(version_id), ..PutObjectOutput::default() })
    }

    pub(super) fn delete_object(&self, input: &DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        check_owner(input.expected_bucket_owner.as_deref())?;
        let mut buckets = self.objects.write();
        let bucket = buckets.get_mut(&input.bucket).ok_or_else(no_such_bucket)?;
        let deletion = bucket.delete(&input.bucket, &input.key, input.version_id.as_deref());
        Ok(DeleteObjectOutput {
            delete_marker: deletion.marker.then_some(true),
            version_id: deletion.version_id,
            ..DeleteObjectOutput::default()
        })
    }
}
