//! S3, spoken by `s3s`, over the account's buckets.

mod access;
mod listing;
mod reading;
mod settings;
mod writing;

use futures::future::{BoxFuture, ready};
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, GetBucketAclInput, GetBucketAclOutput, GetBucketEncryptionInput,
    GetBucketEncryptionOutput, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketLoggingInput, GetBucketLoggingOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketPolicyStatusInput,
    GetBucketPolicyStatusOutput, GetBucketReplicationInput, GetBucketReplicationOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput,
    GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput, GetObjectOutput, GetPublicAccessBlockInput,
    GetPublicAccessBlockOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput,
    ListBucketsOutput, ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
    ListObjectsV2Input, ListObjectsV2Output, Owner, PutObjectInput, PutObjectOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use super::super::ACCOUNT_ID;
use super::super::faults::Faults;
use super::super::objects::{Bucket, Objects};
use super::super::principals::Principals;

pub(in super::super) use access::Trace;

/// The canonical user id of the account.
const OWNER_ID: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be";

/// The S3 operations over the account's buckets.
#[derive(Debug, Clone)]
struct Storage {
    objects: Objects,
}

/// Makes the service that answers S3 requests.
pub(in super::super) fn service(objects: &Objects, principals: &Principals, faults: &Faults) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Storage { objects: objects.clone() });
    builder.set_auth(access::KnownKeys(principals.clone()));
    builder.set_access(access::Gate { faults: faults.clone(), principals: principals.clone() });
    builder.build()
}

impl Storage {
    fn in_bucket<T>(&self, name: &str, owner: Option<&str>, answer: impl FnOnce(&Bucket) -> S3Result<T>) -> S3Result<T> {
        let buckets = self.objects.read();
        let bucket = buckets.get(name).ok_or_else(no_such_bucket)?;
        check_owner(owner)?;
        answer(bucket)
    }
}

fn no_such_bucket() -> S3Error {
    S3Error::with_message(S3ErrorCode::NoSuchBucket, "The specified bucket does not exist")
}

/// Every bucket is ours; whoever expects another owner is turned away.
fn check_owner(expected: Option<&str>) -> S3Result<()> {
    match expected {
        Some(owner) if owner != ACCOUNT_ID => Err(S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied")),
        _ => Ok(()),
    }
}

fn owner() -> Owner {
    Owner { display_name: None, id: Some(OWNER_ID.to_owned()) }
}

/// Declares which operations there are: each is an inherent method of [`Storage`] of the same name
/// that takes the operation's input.
macro_rules! operations {
    ($($name:ident: $input:ty => $output:ty;)*) => {
        impl S3 for Storage {
            $(
                fn $name<'storage, 'answer>(
                    &'storage self,
                    request: S3Request<$input>,
                ) -> BoxFuture<'answer, S3Result<S3Response<$output>>>
                where
                    'storage: 'answer,
                    Self: 'answer,
                {
                    Box::pin(ready(Storage::$name(self, &request.input).map(S3Response::new)))
                }
            )*

            fn put_object<'storage, 'answer>(
                &'storage self,
                request: S3Request<PutObjectInput>,
            ) -> BoxFuture<'answer, S3Result<S3Response<PutObjectOutput>>>
            where
                'storage: 'answer,
                Self: 'answer,
            {
                Box::pin(async move { Storage::put_object(self, request.input).await.map(S3Response::new) })
            }
        }
    };
}

operations! {
    list_buckets: ListBucketsInput => ListBucketsOutput;
    head_bucket: HeadBucketInput => HeadBucketOutput;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput;
    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput;
    get_bucket_policy_status: GetBucketPolicyStatusInput => GetBucketPolicyStatusOutput;
    get_bucket_acl: GetBucketAclInput => GetBucketAclOutput;
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput;
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput;
    get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput;
    get_bucket_logging: GetBucketLoggingInput => GetBucketLoggingOutput;
    get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput;
    get_bucket_replication: GetBucketReplicationInput => GetBucketReplicationOutput;
    get_bucket_notification_configuration: GetBucketNotificationConfigurationInput => GetBucketNotificationConfigurationOutput;
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput;
    get_object_lock_configuration: GetObjectLockConfigurationInput => GetObjectLockConfigurationOutput;
    list_objects: ListObjectsInput => ListObjectsOutput;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput;
    head_object: HeadObjectInput => HeadObjectOutput;
    get_object: GetObjectInput => GetObjectOutput;
    delete_object: DeleteObjectInput => DeleteObjectOutput;
}
