//! Reads a page of a listing that is not asked for but given: what a hostile or broken answer would be taken for.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region as SdkRegion, StalledStreamProtectionConfig};

use super::objects::{ListPage, ListQuery, read_page};
use super::wire::{STORED_ANSWER, StoredAnswer, Wire};

/// Reads `body` as S3's answer to `query`, in the way of a collection, without a network.
///
/// # Errors
///
/// In words, why it would be refused.
pub fn read_listing(query: &ListQuery, body: &[u8]) -> Result<ListPage, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(SdkRegion::new(query.region.to_string()))
        .credentials_provider(Credentials::new("nobody", "nothing", None, None::<SystemTime>, "replay"))
        .http_client(Wire::new(aws_smithy_http_client::Builder::new().build_http()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .force_path_style(true)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let stored = StoredAnswer { status: 200, body: body.to_vec() };
    let asked = client.list_objects_v2().bucket(&query.bucket).prefix(&query.prefix).send();
    let output = runtime.block_on(STORED_ANSWER.scope(stored, asked)).map_err(|error| error.to_string())?;
    read_page(&output, query)
}
