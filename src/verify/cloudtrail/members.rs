//! Which accounts an organization's trail is of, as far as the case tells.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::case::CaseIdentity;
use crate::model::{AccountId, Region, TrailArn};
use crate::verify::artifacts::Checked;

use super::ChainOf;
use super::trails::Trail;

/// The trails that AWS told each account of when it asked itself: those of its organization are among them.
#[derive(Debug, Default)]
pub(super) struct Members {
    told: BTreeMap<AccountId, Vec<(Region, BTreeSet<TrailArn>)>>,
}

#[derive(Deserialize)]
struct Described {
    #[serde(rename = "trailList", default)]
    trails: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "TrailARN")]
    arn: TrailArn,
}

impl Members {
    pub(super) fn read(checked: &Checked) -> Self {
        let mut members = Self::default();
        for response in &checked.responses {
            let origin = &response.origin;
            if origin.operation != "DescribeTrails" || origin.status != 200 {
                continue;
            }
            // One that does not parse tells nothing here, and is told of where it is read as a whole.
            if let Ok(described) = serde_json::from_slice::<Described>(&response.body) {
                let arns = described.trails.into_iter().map(|trail| trail.arn).collect();
                members.told.entry(origin.account).or_default().push((origin.region.clone(), arns));
            }
        }
        members
    }

    /// The accounts that must have chains of an organization's trail: those that the scope names, or else those as which AWS was asked.
    ///
    /// One that has chains, and to which AWS did not name this trail, belongs to no organization, or to another. One without any is not
    /// let off: whoever took its files away may have taken it out of the organization, too.
    pub(super) fn of(
        &self,
        trail: &Trail,
        stored: &BTreeSet<&ChainOf>,
        callers: &BTreeSet<AccountId>,
        identity: &CaseIdentity,
    ) -> BTreeSet<AccountId> {
        let named = &identity.scope.accounts;
        let mut accounts: BTreeSet<AccountId> =
            if named.is_empty() { callers.clone() } else { named.iter().copied().collect() };
        if accounts.is_empty() {
            accounts.insert(trail.arn.account());
        }
        accounts.retain(|account| !self.is_outside(*account, trail) || !stored.iter().any(|of| of.account == *account));
        accounts
    }

    /// Whether AWS told the account of its trails where it would have named this one, and did not.
    fn is_outside(&self, account: AccountId, trail: &Trail) -> bool {
        let Some(told) = self.told.get(&account) else { return false };
        told.iter().any(|(region, _)| trail.records(region)) && !told.iter().any(|(_, arns)| arns.contains(&trail.arn))
    }
}
