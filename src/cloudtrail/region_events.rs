//! Events that switch a region off: what AWS says of an account's regions and trails today does not speak of such a one any more.

use memchr::memmem;

use crate::model::{AccountId, Region};

use super::records::records_in_history;
use super::trail_events::{Telling, Witness, telling, text};

/// An account's region was switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionDisabled {
    /// The event.
    pub telling: Telling,
    /// Whose region: a member's may be switched off by the account that manages its organization.
    pub account: AccountId,
    /// The region.
    pub region: Region,
}

const EVENT: &str = "DisableRegion";

/// The regions that an answer of `LookupEvents`, given to the account `asked`, says were switched off. Attempts that were refused are left
/// out.
#[must_use]
pub fn regions_disabled_in_history(body: &[u8], asked: AccountId) -> Vec<RegionDisabled> {
    if memmem::find(body, EVENT.as_bytes()).is_none() {
        return Vec::new();
    }
    // One that does not parse is told of where its other events are read.
    let Ok(records) = records_in_history(body) else { return Vec::new() };
    let disabled = records.iter().filter_map(|record| {
        let telling = telling(record, "account.amazonaws.com", &[EVENT], Witness::History)?;
        let request = record.get("requestParameters")?;
        // CloudTrail writes most names of parameters with a small letter, and some as the service has them.
        let parameter = |names: [&str; 2]| names.into_iter().find_map(|name| text(request, name));
        let region = parameter(["regionName", "RegionName"])?.parse().ok()?;
        let named = parameter(["accountId", "AccountId"]).and_then(|account| account.parse().ok());
        Some(RegionDisabled { account: named.or(telling.account).unwrap_or(asked), region, telling })
    });
    disabled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &str = "111122223333";

    fn disabled(fields: &str) -> Vec<(String, String)> {
        let record = format!(
            r#"{{"eventName":"DisableRegion","eventSource":"account.amazonaws.com","eventTime":"2026-03-01T09:00:00Z",{fields}}}"#
        );
        let body = serde_json::json!({"Events": [{"CloudTrailEvent": record}]}).to_string();
        let found = regions_disabled_in_history(body.as_bytes(), ASKED.parse().unwrap());
        found.into_iter().map(|event| (event.account.to_string(), event.region.to_string())).collect()
    }

    fn pair(account: &str, region: &str) -> (String, String) {
        (account.to_owned(), region.to_owned())
    }

    #[test]
    fn a_region_is_named_with_either_letter() {
        for name in ["regionName", "RegionName"] {
            let found = disabled(&format!(r#""requestParameters":{{"{name}":"af-south-1"}}"#));
            assert_eq!(found, [pair(ASKED, "af-south-1")]);
        }
    }

    #[test]
    fn a_members_region_is_not_that_of_whoever_switched_it_off() {
        let fields =
            r#""recipientAccountId":"111122223333","requestParameters":{"accountId":"444455556666","regionName":"af-south-1"}"#;
        assert_eq!(disabled(fields), [pair("444455556666", "af-south-1")]);
    }

    #[test]
    fn a_refused_attempt_switched_nothing_off() {
        assert_eq!(disabled(r#""errorCode":"AccessDenied","requestParameters":{"regionName":"af-south-1"}"#), []);
        assert_eq!(disabled(r#""requestParameters":null"#), []);
    }
}
