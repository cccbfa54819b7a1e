//! In which regions an account may have recorded in the window: those that it had when it was asked, and those that somebody switched off.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::CaseIdentity;
use crate::cloudtrail::RegionDisabled;
use crate::model::{AccountId, Finding, Region, Severity, printable};
use crate::verify::acts::Acts;
use crate::verify::artifacts::Checked;

use super::Row;

/// Most regions that are believed to have been switched off: AWS has a few dozen, and whoever can write an answer can name any.
const MOST: usize = 1000;

/// The regions of every account.
#[derive(Debug)]
pub(super) struct Regions<'a> {
    /// Those that some account had when it was asked, of those in scope.
    enabled: &'a BTreeSet<Region>,
    /// Those that were switched off in the window or after it, by the first event that says so.
    disabled: BTreeMap<(AccountId, Region), &'a RegionDisabled>,
}

impl<'a> Regions<'a> {
    pub(super) fn of(checked: &'a Checked, acts: &'a Acts, identity: &CaseIdentity) -> Self {
        let asked = &identity.scope.regions;
        let mut disabled: BTreeMap<(AccountId, Region), &RegionDisabled> = BTreeMap::new();
        // No event rules out that a region was on in the window: to switch on a region that is on may change nothing.
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
        // Each that is kept is told of, so that no number of them hides one.
        Self { enabled: acts.collections.regions(), disabled: disabled.into_iter().take(MOST).collect() }
    }

    /// Where an account may have recorded in the window.
    pub(super) fn of_account(&self, account: AccountId) -> Vec<Region> {
        let disabled = self.disabled.keys().filter(|(whose, _)| *whose == account).map(|(_, region)| region);
        let all: BTreeSet<&Region> = self.enabled.iter().chain(disabled).collect();
        all.into_iter().cloned().collect()
    }

    /// Says who switched a region off, where digests of it are missing, and of those with none at all that nothing is known.
    pub(super) fn say_which_are_off(&self, rows: &[Row], acts: &Acts, identity: &CaseIdentity, findings: &mut Vec<Finding>) {
        for (region, callers) in acts.collections.regions_not_asked_again() {
            let callers: Vec<String> = callers.iter().map(ToString::to_string).collect();
            let detail = format!(
                "An earlier collection as {} looked into this region, and the last one as the same did not: AWS no longer named it among \
                 those that are enabled. It was switched off meanwhile, or its name was taken out of the answer. It is verified with what \
                 the case holds of it.",
                callers.join(", ")
            );
            findings.push(Finding::new(Severity::Notice, "region-not-asked-again", region, &detail));
        }
        for ((account, region), event) in &self.disabled {
            let switched = printable(&event.telling.describe());
            let here: Vec<&Row> = rows.iter().filter(|row| row.of.account == *account && row.of.region == *region).collect();
            for row in &here {
                let object = printable(&row.of.describe(&row.arn));
                let kinds = ["no-digests", "digests-end"];
                let ends = |finding: &&mut Finding| finding.object == object && kinds.contains(&finding.kind.as_str());
                for finding in findings.iter_mut().filter(ends) {
                    finding.detail.push_str(" The region was switched off: ");
                    finding.detail.push_str(&switched);
                    finding.detail.push('.');
                }
            }
            // Nobody can ask AWS any more whether a trail of that region alone was there.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::{Telling, Witness};
    use crate::model::Window;

    const ACCOUNT: &str = "111122223333";

    fn disabled(region: &str, at: &str) -> RegionDisabled {
        let telling = Telling {
            name: "DisableRegion".to_owned(),
            at: at.parse().unwrap(),
            principal: Some("\u{1b}[2Jcontractor".to_owned()),
            source_address: None,
            event_id: None,
            region: None,
            account: None,
            witness: Witness::History,
        };
        RegionDisabled { telling, account: ACCOUNT.parse().unwrap(), region: region.parse().unwrap() }
    }

    fn with(events: Vec<RegionDisabled>, check: impl FnOnce(&Regions<'_>, &Acts, &CaseIdentity)) {
        let acts = Acts { callers: [ACCOUNT.parse().unwrap()].into(), ..Acts::default() };
        let enabled = ["us-east-1".parse().unwrap()].into();
        let window = Window::new("2026-03-01T00:00:00Z".parse().unwrap(), "2026-03-02T00:00:00Z".parse().unwrap()).unwrap();
        let mut checked = Checked::default();
        checked.regions_disabled = events;
        let identity = CaseIdentity::unnamed(window);
        let regions = Regions { enabled: &enabled, ..Regions::of(&checked, &acts, &identity) };
        check(&regions, &acts, &identity);
    }

    #[test]
    fn a_region_counts_if_it_was_switched_off_no_earlier_than_the_window() {
        let events = vec![disabled("eu-south-1", "2026-03-01T00:00:00Z"), disabled("af-south-1", "2026-02-28T23:59:59Z")];
        with(events, |regions, _, _| {
            let names: Vec<String> = regions.of_account(ACCOUNT.parse().unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(names, ["eu-south-1", "us-east-1"]);
            assert_eq!(regions.of_account("444455556666".parse().unwrap()).len(), 1);
        });
    }

    #[test]
    fn who_switched_it_off_cannot_control_a_terminal_and_many_regions_are_not_all_taken() {
        let letter = |number: usize| char::from(b'a' + u8::try_from(number % 26).unwrap());
        let name = |number: usize| format!("{}{}{}-x-1", letter(number / 676), letter(number / 26), letter(number));
        let events = (0..2000).map(|number| disabled(&name(number), "2026-03-03T00:00:00Z")).collect();
        with(events, |regions, acts, identity| {
            let mut findings = Vec::new();
            regions.say_which_are_off(&[], acts, identity, &mut findings);
            assert_eq!(findings.len(), MOST);
            assert!(findings.iter().all(|finding| !finding.detail.contains('\u{1b}')));
        });
    }
}
