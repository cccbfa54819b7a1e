//! In which regions an account may have recorded in the window: those that it has now, and those that somebody switched off since.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::CaseIdentity;
use crate::cloudtrail::RegionDisabled;
use crate::model::{AccountId, Finding, Region, Severity};
use crate::verify::Acts;
use crate::verify::artifacts::Checked;

use super::Row;

/// The regions of every account.
#[derive(Debug)]
pub(super) struct Regions<'a> {
    /// Those that some account has now, of those in scope.
    enabled: &'a [Region],
    /// Those that were switched off in the window or after it, by the first event that says so.
    disabled: BTreeMap<(AccountId, Region), &'a RegionDisabled>,
}

impl<'a> Regions<'a> {
    pub(super) fn of(checked: &'a Checked, acts: &'a Acts, identity: &CaseIdentity) -> Self {
        let asked = &identity.scope.regions;
        let mut disabled: BTreeMap<(AccountId, Region), &RegionDisabled> = BTreeMap::new();
        // Whatever is told of it, that it was on in the window is never ruled out: to switch on what is on may change nothing.
        let in_scope = checked
            .regions_disabled
            .iter()
            .filter(|event| event.telling.at >= identity.window.start() && (asked.is_empty() || asked.contains(&event.region)));
        let order = |event: &RegionDisabled| (event.telling.at, event.telling.event_id.clone());
        for event in in_scope {
            let known = disabled.entry((event.account, event.region.clone())).or_insert(event);
            if order(event) < order(known) {
                *known = event;
            }
        }
        Self { enabled: &acts.regions, disabled }
    }

    /// Where an account may have recorded in the window.
    pub(super) fn of_account(&self, account: AccountId) -> Vec<Region> {
        let disabled = self.disabled.keys().filter(|(whose, _)| *whose == account).map(|(_, region)| region);
        let all: BTreeSet<&Region> = self.enabled.iter().chain(disabled).collect();
        all.into_iter().cloned().collect()
    }

    /// Says who switched a region off, where digests of it are missing, and of those with none at all that nothing is known.
    pub(super) fn say_which_are_off(&self, rows: &[Row], acts: &Acts, identity: &CaseIdentity, findings: &mut Vec<Finding>) {
        for ((account, region), event) in &self.disabled {
            let switched = event.telling.describe();
            let here: Vec<&Row> = rows.iter().filter(|row| row.of.account == *account && row.of.region == *region).collect();
            for row in &here {
                let object = row.of.describe(&row.arn);
                let kinds = ["no-digests", "digests-end"];
                let ends = |finding: &&mut Finding| finding.object == object && kinds.contains(&finding.kind.as_str());
                for finding in findings.iter_mut().filter(ends) {
                    finding.detail.push_str(&format!(" The region was switched off: {switched}."));
                }
            }
            // Whether a trail of that region alone was there, nobody can ask AWS any more.
            let of_the_case = match &identity.scope.accounts[..] {
                [] => acts.callers.contains(account) || rows.iter().any(|row| row.of.account == *account),
                named => named.contains(account),
            };
            let asked_for = identity.scope.trail_arn.is_none() && of_the_case;
            if here.is_empty() && asked_for && !self.enabled.contains(region) {
                let detail = format!(
                    "The region was switched off: {switched}. The case holds no digest of it, and AWS cannot be asked there any more: which \
                     trails recorded it before, and what, cannot be told."
                );
                findings.push(Finding::new(Severity::Gap, "no-digests", &format!("{account} in {region}"), &detail));
            }
        }
    }
}
