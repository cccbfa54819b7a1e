//! Keeps the public keys with which AWS signs digests, region by region.

use crate::aws::{Call, Halt};
use crate::model::Region;

use super::super::errand::Errand;
use super::super::pages::every_page_or_gap;
use super::super::tally::RowKey;
use super::NAME;

/// A day: keys that signed the digest before the window's first may have gone out of use by its start.
const BEFORE: i64 = 86_400;

/// Keeps the public keys with which a region has signed digests from before the window until now.
///
/// How far back AWS keeps them is not documented, so they cannot be left for later.
pub(super) async fn collect(errand: &Errand, region: &Region) -> Result<(), Halt> {
    let permit = errand.discovery().await?;
    let account = errand.caller().account;
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().cloudtrail(region);
    let (start, end) = (errand.window().start().plus_seconds(-BEFORE), errand.now);
    let call = Call::new(NAME, "cloudtrail", "ListPublicKeys", account, region)
        .with("StartTime", start.to_string())
        .with("EndTime", end.to_string());
    let time = |at: crate::model::Timestamp| aws_smithy_types::DateTime::from_secs(at.instant().timestamp());
    every_page_or_gap(
        errand,
        &row,
        &call,
        |token, tap| {
            let asked = client.list_public_keys().start_time(time(start)).end_time(time(end)).set_next_token(token);
            asked.customize().interceptor(tap).send()
        },
        |output: &aws_sdk_cloudtrail::operation::list_public_keys::ListPublicKeysOutput| output.next_token(),
        |_| (),
    )
    .await?;
    drop(permit);
    Ok(())
}
