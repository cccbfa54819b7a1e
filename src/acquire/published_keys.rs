//! Asks AWS for CloudTrail's public keys once more, long after the evidence was collected: a read, of which nothing is kept.

use crate::aws::{ExchangeTap, Failure, FailureKind, Session};
use crate::model::{Region, Timestamp};

use super::pages::Tokens;

/// The answers of `region` to `ListPublicKeys` for a stretch of time, page by page, as AWS sends them.
///
/// # Errors
///
/// What AWS answered instead, or that it did not.
pub async fn published_keys(
    session: &Session,
    region: &Region,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Vec<u8>>, Failure> {
    let client = session.cloudtrail(region);
    let time = |at: Timestamp| aws_smithy_types::DateTime::from_secs(at.instant().timestamp());
    let (mut bodies, mut token, mut tokens) = (Vec::new(), None::<String>, Tokens::default());
    loop {
        let tap = ExchangeTap::default();
        let asked = client.list_public_keys().start_time(time(from)).end_time(time(until)).set_next_token(token);
        let output = asked.customize().interceptor(tap.clone()).send().await.map_err(|error| Failure::of(&error))?;
        let Some((_, body)) = tap.take_answer() else {
            return Err(Failure::found(FailureKind::Other, "the answer has no body"));
        };
        bodies.push(body);
        let is_empty = output.public_key_list().is_empty();
        token = output.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        let Some(following) = &token else { return Ok(bodies) };
        tokens.take(following, is_empty)?;
    }
}
