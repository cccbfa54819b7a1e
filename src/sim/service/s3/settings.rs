//! Buckets and their settings.

use s3s::dto::{
    BucketLocationConstraint, BucketVersioningStatus, GetBucketAclInput, GetBucketAclOutput, GetBucketEncryptionInput,
    GetBucketEncryptionOutput, GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput,
    GetBucketLocationInput, GetBucketLocationOutput, GetBucketLoggingInput, GetBucketLoggingOutput,
    GetBucketNotificationConfigurationInput, GetBucketNotificationConfigurationOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketPolicyStatusInput,
    GetBucketPolicyStatusOutput, GetBucketReplicationInput, GetBucketReplicationOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectLockConfigurationInput,
    GetObjectLockConfigurationOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput, Grant, Grantee, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput, ObjectOwnership, OwnershipControls, OwnershipControlsRule,
    Permission, PolicyStatus, PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Timestamp, Type,
};
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::{OWNER_ID, Storage, owner};

/// The error S3 gives for a setting nobody made.
fn unset<T>(code: &'static str, message: &'static str) -> S3Result<T> {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(http::StatusCode::NOT_FOUND);
    Err(error)
}

impl Storage {
    pub(super) fn list_buckets(&self, input: &ListBucketsInput) -> S3Result<ListBucketsOutput> {
        if input.max_buckets.is_some_and(|limit| !(1..=10_000).contains(&limit)) {
            let message = "Argument max-buckets must be an integer between 1 and 10000";
            return Err(S3Error::with_message(S3ErrorCode::InvalidArgument, message));
        }
        let prefix = input.prefix.as_deref().unwrap_or_default();
        let buckets = self.objects.read();
        let wanted = buckets.iter().filter(|(name, bucket)| {
            name.starts_with(prefix) && input.bucket_region.as_ref().is_none_or(|region| *region == bucket.region)
        });
        let shown = wanted.map(|(name, bucket)| s3s::dto::Bucket {
            bucket_region: Some(bucket.region.clone()),
            creation_date: Some(Timestamp::from(std::time::SystemTime::from(bucket.created))),
            name: Some(name.clone()),
        });
        Ok(ListBucketsOutput {
            buckets: Some(shown.collect()),
            owner: Some(owner()),
            prefix: input.prefix.clone(),
            ..ListBucketsOutput::default()
        })
    }

    pub(super) fn head_bucket(&self, input: &HeadBucketInput) -> S3Result<HeadBucketOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            Ok(HeadBucketOutput { bucket_region: Some(bucket.region.clone()), ..HeadBucketOutput::default() })
        })
    }

    pub(super) fn get_bucket_location(&self, input: &GetBucketLocationInput) -> S3Result<GetBucketLocationOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            // The oldest region has no name here.
            let named = (bucket.region != "us-east-1").then(|| bucket.region.clone());
            Ok(GetBucketLocationOutput { location_constraint: named.map(BucketLocationConstraint::from) })
        })
    }

    pub(super) fn get_bucket_versioning(&self, input: &GetBucketVersioningInput) -> S3Result<GetBucketVersioningOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let status = bucket.versioned.then(|| BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
            Ok(GetBucketVersioningOutput { status, ..GetBucketVersioningOutput::default() })
        })
    }

    pub(super) fn get_bucket_policy(&self, input: &GetBucketPolicyInput) -> S3Result<GetBucketPolicyOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| match &bucket.policy {
            Some(policy) => Ok(GetBucketPolicyOutput { policy: Some(policy.clone()) }),
            None => unset("NoSuchBucketPolicy", "The bucket policy does not exist"),
        })
    }

    pub(super) fn get_bucket_policy_status(&self, input: &GetBucketPolicyStatusInput) -> S3Result<GetBucketPolicyStatusOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| match &bucket.policy {
            Some(_) => Ok(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(false) }) }),
            None => unset("NoSuchBucketPolicy", "The bucket policy does not exist"),
        })
    }

    pub(super) fn get_bucket_acl(&self, input: &GetBucketAclInput) -> S3Result<GetBucketAclOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            let grantee = Grantee {
                display_name: None,
                email_address: None,
                id: Some(OWNER_ID.to_owned()),
                type_: Type::from_static(Type::CANONICAL_USER),
                uri: None,
            };
            let grant = Grant { grantee: Some(grantee), permission: Some(Permission::from_static(Permission::FULL_CONTROL)) };
            Ok(GetBucketAclOutput { grants: Some(vec![grant]), owner: Some(owner()) })
        })
    }

    pub(super) fn get_public_access_block(&self, input: &GetPublicAccessBlockInput) -> S3Result<GetPublicAccessBlockOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            let configuration = PublicAccessBlockConfiguration {
                block_public_acls: Some(true),
                block_public_policy: Some(true),
                ignore_public_acls: Some(true),
                restrict_public_buckets: Some(true),
            };
            Ok(GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) })
        })
    }

    pub(super) fn get_bucket_ownership_controls(
        &self,
        input: &GetBucketOwnershipControlsInput,
    ) -> S3Result<GetBucketOwnershipControlsOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
            let controls = OwnershipControls { rules: vec![OwnershipControlsRule { object_ownership }] };
            Ok(GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) })
        })
    }

    pub(super) fn get_bucket_encryption(&self, input: &GetBucketEncryptionInput) -> S3Result<GetBucketEncryptionOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
            let algorithm = if bucket.key.is_some() { ServerSideEncryption::AWS_KMS } else { ServerSideEncryption::AES256 };
            let sse_algorithm = ServerSideEncryption::from_static(algorithm);
            let rule = ServerSideEncryptionRule {
                apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
                    kms_master_key_id: bucket.key.clone(),
                    sse_algorithm,
                }),
                bucket_key_enabled: Some(false),
            };
            let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
            Ok(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
        })
    }

    pub(super) fn get_bucket_logging(&self, input: &GetBucketLoggingInput) -> S3Result<GetBucketLoggingOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| Ok(GetBucketLoggingOutput::default()))
    }

    pub(super) fn get_bucket_lifecycle_configuration(
        &self,
        input: &GetBucketLifecycleConfigurationInput,
    ) -> S3Result<GetBucketLifecycleConfigurationOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            unset("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
        })
    }

    pub(super) fn get_bucket_replication(&self, input: &GetBucketReplicationInput) -> S3Result<GetBucketReplicationOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            unset("ReplicationConfigurationNotFoundError", "The replication configuration was not found")
        })
    }

    pub(super) fn get_bucket_notification_configuration(
        &self,
        input: &GetBucketNotificationConfigurationInput,
    ) -> S3Result<GetBucketNotificationConfigurationOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            Ok(GetBucketNotificationConfigurationOutput::default())
        })
    }

    pub(super) fn get_bucket_tagging(&self, input: &GetBucketTaggingInput) -> S3Result<GetBucketTaggingOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            unset("NoSuchTagSet", "The TagSet does not exist")
        })
    }

    pub(super) fn get_object_lock_configuration(
        &self,
        input: &GetObjectLockConfigurationInput,
    ) -> S3Result<GetObjectLockConfigurationOutput> {
        self.in_bucket(&input.bucket, input.expected_bucket_owner.as_deref(), |_| {
            unset("ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
        })
    }
}
