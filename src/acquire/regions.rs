//! Which regions a run asks: the enabled ones in scope. One that was asked for and cannot be asked is a gap, never left out in silence.

use std::collections::BTreeSet;

use crate::aws::{Call, Halt, Identities, Recorder};
use crate::case::Scope;
use crate::case::event::{Gap, GapReason};
use crate::model::{AccountId, Region};

use super::Request;
use super::errand::{Errand, gap, gap_of};
use super::tally::RowKey;

/// The name under which the ledger files what concerns no single source.
pub(crate) const SOURCE: &str = "session";

/// The regions that an account has, so far as AWS says so.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    /// Those that the scope comes to.
    pub(crate) in_scope: Vec<Region>,
    /// The others.
    pub(crate) left_out: Vec<Region>,
}

/// Keeps what AWS says of who is asking; nothing waits for it, as the session knows it already.
pub(crate) async fn record_caller(errand: &Errand) -> Result<(), Halt> {
    let session = errand.session();
    let (account, home, sts) = (session.caller().account, session.region(), session.sts());
    let call = Call::new(SOURCE, "sts", "GetCallerIdentity", account, home);
    let send = |tap| sts.get_caller_identity().customize().interceptor(tap).send();
    if let Err(failure) = errand.recorder.call(&call, 1, |_| true, send).await? {
        let row = RowKey { source: SOURCE, account: Some(account), region: None };
        errand.failed(&row, "GetCallerIdentity", &failure).await?;
    }
    Ok(())
}

/// The regions of a scope that AWS names to nobody who may ask. Where nobody may, nothing is known of any.
pub async fn unknown_regions(identities: &Identities, scope: &Scope) -> Vec<Region> {
    if scope.regions.is_empty() {
        return Vec::new();
    }
    let (mut named, mut is_known) = (BTreeSet::new(), false);
    for session in identities.sessions() {
        let answered = session.regions_named().await;
        is_known |= answered.is_some();
        named.extend(answered.into_iter().flatten());
    }
    scope.regions.iter().filter(|region| is_known && !named.contains(region)).cloned().collect()
}

/// The gap of a run that has no region to ask: without it, nothing at all would pass for everything.
pub(crate) fn nowhere(account: AccountId) -> Gap {
    let row = RowKey { source: SOURCE, account: Some(account), region: None };
    let detail = "no region that was asked for can be asked, so nothing was collected";
    gap(&row, "any region", GapReason::Failed, Some(detail))
}

/// Where nothing is said of it, a region is there to be asked.
fn is_enabled(region: &aws_sdk_ec2::types::Region) -> bool {
    region.opt_in_status() != Some("not-opted-in")
}

/// Finds the regions that the scope comes to, with what could not be had or is left out.
pub(crate) async fn identify(recorder: &Recorder, request: &Request) -> Result<(Regions, Vec<Gap>), Halt> {
    let mut gaps = Vec::new();
    let session = recorder.session();
    let (account, home) = (session.caller().account, session.region().clone());
    let row = RowKey { source: SOURCE, account: Some(account), region: None };
    let call = Call::new(SOURCE, "ec2", "DescribeRegions", account, &home).with("AllRegions", "true");
    let answer = recorder.call(&call, 1, |_| true, |tap| session.describe_regions(tap)).await?;
    let asked = &request.scope.regions;
    let (mut enabled, not_enabled): (Vec<Region>, Vec<Region>) = match answer {
        Ok(output) => {
            let named = |wanted: bool| {
                let regions = output.regions().iter().filter(|region| is_enabled(region) == wanted);
                regions.filter_map(|region| region.region_name()?.parse().ok()).collect()
            };
            (named(true), named(false))
        }
        Err(failure) => {
            let mut gap = gap_of(&row, "DescribeRegions", &failure);
            let instead = if asked.is_empty() {
                format!("only {home} was asked")
            } else {
                "the regions asked for were taken as enabled, and what became of trails was asked at home of those only that are known"
                    .to_owned()
            };
            gap.detail = Some(format!("{}; {instead}", gap.detail.unwrap_or_default()));
            gaps.push(gap);
            (if asked.is_empty() { vec![home] } else { asked.clone() }, Vec::new())
        }
    };
    enabled.sort();
    enabled.dedup();
    for region in asked.iter().filter(|region| !enabled.contains(region)) {
        let row = RowKey { region: Some(region.clone()), ..row.clone() };
        let (reason, detail) = if not_enabled.contains(region) {
            (GapReason::NotEnabled, "the region is not enabled for this account")
        } else {
            (GapReason::Failed, "AWS names no such region, so nothing could be asked there; the name may be a slip of the keys")
        };
        gaps.push(gap(&row, "the region", reason, Some(detail)));
    }
    let (in_scope, left_out): (Vec<Region>, Vec<Region>) =
        enabled.into_iter().partition(|region| asked.is_empty() || asked.contains(region));
    if !left_out.is_empty() {
        let skipped: Vec<&str> = left_out.iter().map(Region::as_str).collect();
        let detail = format!("left out of scope: {}", skipped.join(", "));
        gaps.push(gap(&row, "other regions", GapReason::Skipped, Some(&detail)));
    }
    Ok((Regions { in_scope, left_out }, gaps))
}
