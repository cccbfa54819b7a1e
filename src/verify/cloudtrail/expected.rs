//! Which chains must be there: a place where none is left says by itself nothing of what lay there.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::CaseIdentity;
use crate::model::{AccountId, Finding, Region, Severity};
use crate::verify::acts::Acts;

use super::looked::Looked;
use super::members::Members;
use super::regions::Regions;
use super::trails::{Trail, Trails};
use super::{ChainOf, Row};

/// A trail in one account, whichever of its regions a chain is of.
type TrailIn = (String, Region, AccountId, Option<String>);

/// Chains of which nothing is stored, though the trail that they are of is signed, and records in their region.
///
/// What AWS says of trails today tells of those of the accounts that were asked. Of deleted trails, and of the other accounts of an
/// organization, the chains that are left tell: one abroad shows that the trail is of all regions. Of an organization's trail, every
/// account that the scope names, or else every account as which AWS was asked, must have its own.
pub(super) fn chains<'a>(
    stored: impl Iterator<Item = &'a ChainOf>,
    trails: &Trails,
    members: &Members,
    regions: &Regions<'_>,
    acts: &Acts,
    identity: &CaseIdentity,
    looked: &Looked<'_>,
) -> BTreeSet<ChainOf> {
    let stored: BTreeSet<&ChainOf> = stored.collect();
    let mut of_trails: BTreeMap<TrailIn, Vec<&ChainOf>> = BTreeMap::new();
    for of in &stored {
        let trail = (of.trail.clone(), of.home_region.clone(), of.account, of.organization.clone());
        of_trails.entry(trail).or_default().push(of);
    }
    let mut expected = BTreeSet::new();
    for trail in trails.validated(identity.scope.trail_arn.as_ref()) {
        // Where a bucket is named, that alone was asked for by earlier versions; since then, those of the trails besides.
        let is_named = |bucket: &String| trail.delivers_to(bucket, identity.scope.prefix.as_deref());
        if identity.scope.bucket.as_ref().is_some_and(|bucket| !is_named(bucket)) && !looked.in_store(trail.store()) {
            continue;
        }
        let (accounts, organization) = accounts_of(trail, &stored, members, acts, identity);
        for account in accounts {
            for region in trail.source_regions(&regions.of_account(account)) {
                let of = ChainOf { organization: organization.clone(), ..trail.chain_in(account, region) };
                if !stored.iter().any(|there| **there == of || (trail.of_organization && there.is_in_organization(&of))) {
                    expected.insert(of);
                }
            }
        }
    }
    for chains in of_trails.into_values() {
        let abroad = chains.iter().any(|of| of.region != of.home_region);
        let Some(of) = chains.first().filter(|of| abroad || trails.is_multi_region(of)) else { continue };
        for region in regions.of_account(of.account) {
            let of = ChainOf { region, ..(*of).clone() };
            if !stored.contains(&of) {
                expected.remove(&ChainOf { organization: None, ..of.clone() });
                expected.insert(of);
            }
        }
    }
    expected.retain(|of| looked.wants(of.account));
    expected
}

/// The accounts that must have chains of a trail, and the organization whose trail it is, where the chains that are there agree on one.
pub(super) fn accounts_of(
    trail: &Trail,
    stored: &BTreeSet<&ChainOf>,
    members: &Members,
    acts: &Acts,
    identity: &CaseIdentity,
) -> (BTreeSet<AccountId>, Option<String>) {
    if !trail.of_organization {
        return ([trail.arn.account()].into(), None);
    }
    let of_trail = stored.iter().filter(|of| of.is_of(trail));
    let organizations: BTreeSet<&String> = of_trail.filter_map(|of| of.organization.as_ref()).collect();
    let organization = organizations.first().filter(|_| organizations.len() == 1).map(|organization| (*organization).clone());
    (members.of(trail, stored, &acts.callers, identity), organization)
}

/// Says which accounts that the scope names have no chain, neither one that is there nor one that a known trail should have.
pub(super) fn say_which_accounts_are_missing(rows: &[Row], identity: &CaseIdentity, findings: &mut Vec<Finding>) {
    for account in identity.scope.accounts.iter().filter(|account| !rows.iter().any(|row| row.of.account == **account)) {
        let detail = "It was asked for by its number, and the case holds no digest of it, nor names a trail that should have some: nothing \
                      proves what happened there. Either nothing was delivered where collect looked, or it was removed.";
        findings.push(Finding::new(Severity::Gap, "no-digests", &format!("account {account}"), detail));
    }
}

/// Says of each trail of an organization whose digests are there, and that whoever is left out cannot be named.
pub(super) fn say_which_members_are_known(rows: &[Row], trails: &Trails, identity: &CaseIdentity, findings: &mut Vec<Finding>) {
    let mut known: BTreeMap<String, BTreeSet<AccountId>> = BTreeMap::new();
    for trail in trails.validated(identity.scope.trail_arn.as_ref()).filter(|trail| trail.of_organization) {
        known.entry(trail.arn.to_string()).or_default();
    }
    for row in rows.iter().filter(|row| row.of.organization.is_some()) {
        let accounts = known.entry(trails.arn_of(&row.of).unwrap_or_else(|| format!("trail {}", row.of.trail))).or_default();
        accounts.extend((!row.standard.digests.is_empty()).then_some(row.of.account));
    }
    for (trail, accounts) in known {
        let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
        let whose = if accounts.is_empty() { "no account".to_owned() } else { accounts.join(", ") };
        let detail = format!(
            "It is a trail of an organization, and the case holds digests of {whose}. Which other accounts belonged to the organization \
             cannot be known from it: one whose files were all removed leaves no trace here. Compare with the organization's own list of \
             accounts."
        );
        findings.push(Finding::new(Severity::Notice, "organization-members-unknown", &trail, &detail));
    }
}
