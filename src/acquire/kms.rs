//! The KMS keys that trails, log buckets, volumes and snapshots name: what they are, and who may use them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::aws::{Call, Halt};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{AccountId, Region};

use super::askers::{Asker, Door};
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
        // A name that is no ARN means another key to everybody.
        let claim = if owner(&key).is_some() { format!("key {key}") } else { format!("key {key} in {place} as {account}") };
        if errand.notes.claim(claim) {
            let errand = Arc::clone(errand);
            tasks.spawn(async move {
                let permit = errand.discovery().await?;
                let described = describe(&errand, source, &place, &key).await;
                drop(permit);
                described
            });
        }
    }
    join_all(&mut tasks).await
}

/// Asks about a key: as its own account where the run has an identity of it, then as whoever else may.
async fn describe(errand: &Errand, source: &'static str, region: &Region, key: &str) -> Result<(), Halt> {
    let first = asker_of(errand, owner(key)).unwrap_or_else(|| errand.asker());
    let row = RowKey { source, account: Some(account_of(&first)), region: Some(region.clone()) };
    let ask = |asker: Asker| async move {
        let client = asker.recorder.session().kms(region);
        let asked = Call::new(source, "kms", "DescribeKey", account_of(&asker), region).with("KeyId", key);
        let send = |tap| client.describe_key().key_id(key).customize().interceptor(tap).send();
        asker.recorder.call(&asked, 1, |_| true, send).await
    };
    let answer = match owner(key) {
        Some(account) => {
            let door = Door { act: "DescribeKey", bucket: key, account: Some(account) };
            errand.notes.askers.ask(first.clone(), door, ask).await?
        }
        None => ask(first.clone()).await?,
    };
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
    let asker = match owner(&arn) {
        Some(account) => match asker_of(errand, Some(account)) {
            Some(asker) => asker,
            None => {
                let detail = format!("KMS shows the policy of a key to its own account only; assume a role of {account}");
                return errand.gap(&row, &what, GapReason::Skipped, Some(&detail)).await;
            }
        },
        None => first,
    };
    let client = asker.recorder.session().kms(region);
    let asked = Call::new(source, "kms", "GetKeyPolicy", account_of(&asker), region).with("KeyId", arn.clone());
    let send = |tap| client.get_key_policy().key_id(&arn).policy_name(POLICY).customize().interceptor(tap).send();
    if let Err(failure) = asker.recorder.call(&asked, 1, |_| true, send).await? {
        errand.failed(&row, &what, &failure).await?;
    }
    Ok(())
}

/// The identity of the run that is of an account, whose turn it is or not.
fn asker_of(errand: &Errand, account: Option<AccountId>) -> Option<Asker> {
    if Some(errand.caller().account) == account {
        return Some(errand.asker());
    }
    errand.notes.askers.all().iter().find(|asker| Some(account_of(asker)) == account).cloned()
}

fn account_of(asker: &Asker) -> AccountId {
    asker.recorder.session().caller().account
}

/// The account whose a key is, where its name says so.
fn owner(key: &str) -> Option<AccountId> {
    arn_part(key, 4)?.parse().ok()
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
        assert_eq!((arn_part(arn, 3), owner(arn)), (Some("eu-west-1"), "444455556666".parse().ok()));
        assert_eq!(arn_part("1234abcd-12ab-34cd-56ef-1234567890ab", 3), None);
        assert_eq!(owner("alias/logs"), None);
    }
}
