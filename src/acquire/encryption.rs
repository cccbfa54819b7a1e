//! The KMS keys that trails, log buckets, volumes and snapshots name: what they are, and who may use them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Call, Halt};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{AccountId, Region, printable};

use super::errand::{Errand, join_all};
use super::tally::RowKey;

/// The one policy that a key has.
const POLICY: &str = "default";

/// Keeps what KMS says of keys, each once in a run. `region` is where a key lies whose name does not say it.
pub(crate) async fn describe_keys(
    errand: &Arc<Errand>,
    source: &'static str,
    region: &Region,
    keys: BTreeSet<String>,
) -> Result<(), Halt> {
    let account = errand.caller().account;
    let mut tasks = JoinSet::new();
    for key in keys.into_iter().filter(|key| !key.is_empty()) {
        let place = arn_part(&key, 3).and_then(|region| region.parse().ok()).unwrap_or_else(|| region.clone());
        if errand.notes.claim(format!("key {key} in {place} as {account}")) {
            let errand = Arc::clone(errand);
            tasks.spawn(async move {
                let permit = errand.discovery().await?;
                let described = describe(&errand, source, account, &place, &key).await;
                drop(permit);
                described
            });
        }
    }
    join_all(&mut tasks).await
}

async fn describe(errand: &Errand, source: &'static str, account: AccountId, region: &Region, key: &str) -> Result<(), Halt> {
    let row = RowKey { source, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().kms(region);
    let asked = Call::new(source, "kms", "DescribeKey", account, region).with("KeyId", key);
    let answer = errand
        .recorder
        .call(&asked, 1, |_| true, |tap| client.describe_key().key_id(key).customize().interceptor(tap).send())
        .await?;
    let described = match answer {
        Ok(output) => output.key_metadata().and_then(|metadata| metadata.arn()).map(str::to_owned),
        Err(failure) => {
            errand.failed(&row, &Subject::answer_about("DescribeKey", key), &failure).await?;
            None
        }
    };
    // A policy is asked for by the key itself, never by an alias of it.
    let arn = described.unwrap_or_else(|| key.to_owned());
    if arn.contains("alias/") {
        return Ok(());
    }
    let what = Subject::answer_about("GetKeyPolicy", &arn);
    if let Some(owner) = arn_part(&arn, 4).filter(|owner| *owner != account.to_string()) {
        let detail = format!("KMS shows the policy of a key to its own account only; assume a role of {}", printable(owner));
        return errand.gap(&row, &what, GapReason::Skipped, Some(&detail)).await;
    }
    let asked = Call::new(source, "kms", "GetKeyPolicy", account, region).with("KeyId", arn.clone());
    let answer = errand
        .recorder
        .call(
            &asked,
            1,
            |_| true,
            |tap| client.get_key_policy().key_id(&arn).policy_name(POLICY).customize().interceptor(tap).send(),
        )
        .await?;
    if let Err(failure) = answer {
        errand.failed(&row, &what, &failure).await?;
    }
    Ok(())
}

/// A part of an ARN, counted from 0.
fn arn_part(text: &str, number: usize) -> Option<&str> {
    text.starts_with("arn:").then(|| text.split(':').nth(number)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_where_a_key_lies_and_whose_it_is_and_an_id_does_not() {
        let arn = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert_eq!((arn_part(arn, 3), arn_part(arn, 4)), (Some("eu-west-1"), Some("444455556666")));
        assert_eq!(arn_part("1234abcd-12ab-34cd-56ef-1234567890ab", 3), None);
        assert_eq!(arn_part("alias/logs", 4), None);
    }
}
