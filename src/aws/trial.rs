//! Tries whether an object could be fetched, without keeping it.

use crate::model::Region;

use super::Halt;
use super::exchange::ExchangeTap;
use super::failure::{Failure, FailureKind};
use super::fetch::Wanted;
use super::session::Session;

/// Reads the first byte of an object and throws it away: whether it could be fetched, its encryption key included.
pub(crate) async fn try_reading(
    session: &Session,
    bucket_region: &Region,
    wanted: &Wanted,
) -> Result<Result<(), Failure>, Halt> {
    let tap = ExchangeTap::default();
    let answer = session
        .s3(bucket_region)
        .get_object()
        .bucket(&wanted.location.bucket)
        .key(&wanted.location.key)
        .set_version_id(wanted.version.clone())
        .range("bytes=0-0")
        .customize()
        .interceptor(tap.clone())
        .send()
        .await;
    session.note(&tap);
    let failure = match answer {
        Ok(output) => {
            // Read to its end, so that the connection can be used again; what it says is of no interest.
            let _discarded = output.body.collect().await;
            session.answered();
            return Ok(Ok(()));
        }
        Err(error) => session.judge(Failure::of(&error)).await?,
    };
    // It changed since it was listed, or is empty: neither says anything about permission.
    let readable = matches!(failure.kind, FailureKind::Changed | FailureKind::NotFound);
    Ok(if readable || failure.code.as_deref() == Some("InvalidRange") { Ok(()) } else { Err(failure) })
}
