//! CloudTrail's own proof: chains of digests, every listed log, every hour of the window.

mod logs;
mod timeline;
mod trails;
mod unreadable;

use std::collections::{BTreeMap, HashMap};

use crate::case::CaseIdentity;
use crate::cloudtrail::chain::{Chain, MissingDigest, StoredDigest, check_chain};
use crate::cloudtrail::coverage::{DELIVERY_LAG, HourStatus, count_hours, uncovered_ranges};
use crate::cloudtrail::{DigestName, TrailEvent};
use crate::model::{AccountId, Finding, Region, S3Location, Severity, TrailArn, Window};

use super::Acts;
use super::artifacts::Checked;
use super::report::{DigestCounts, LogCounts, TrailReport};

use logs::LogVerdicts;
use timeline::TrailTime;
use trails::{Trail, Trails};
use unreadable::Unreadable;

/// What a chain is of: a trail's digests in one account and region. The bucket may change in mid-chain; the trail does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ChainOf {
    trail: String,
    home_region: Region,
    account: AccountId,
    region: Region,
}

/// One trail in one account and region, on its way to its report.
#[derive(Debug)]
struct Row {
    of: ChainOf,
    arn: String,
    standard: Chain,
    backfill: Chain,
    logs: LogCounts,
    /// The worst that is known of each verified digest's logs, by the digest's location.
    digest_status: HashMap<S3Location, HourStatus>,
}

/// Verifies all of CloudTrail's evidence in the case.
pub(super) fn check(checked: &Checked, identity: &CaseIdentity, acts: &Acts, findings: &mut Vec<Finding>) -> Vec<TrailReport> {
    let in_scope = identity.scope.sources.is_empty() || identity.scope.sources.iter().any(|source| source == "cloudtrail");
    let trails = Trails::read(checked, findings);
    let unreadable = Unreadable::of(&acts.gaps);
    let window = identity.window;

    let mut rows = chains(checked, &trails, acts, identity, findings);
    let mut verdicts = LogVerdicts::new(&checked.logs, &unreadable, window);
    for row in &mut rows {
        verdicts.judge(row, findings);
    }
    let events: Vec<&TrailEvent> =
        checked.events.iter().filter(|(log, _)| verdicts.is_verified(log)).map(|(_, event)| event).collect();

    let mut times = Vec::with_capacity(rows.len());
    for row in &mut rows {
        let mut time = TrailTime::new(row, window, &trails, &events, acts.collected_until);
        for missing in standard_missing(row, window) {
            let lost = !unreadable.covers(&missing.location);
            time.missing(&missing, lost, findings);
        }
        time.follow(row, &unreadable, findings);
        times.push(time);
    }
    verdicts.judge_uncovered(&mut rows, &times, findings);

    if rows.is_empty() && in_scope {
        let detail =
            "The case holds no digest of any trail, so nothing that CloudTrail recorded can be proven by AWS's signatures.";
        findings.push(Finding::new(Severity::Gap, "nothing-to-verify", &"cloudtrail", detail));
    }
    rows.into_iter().zip(times).map(|(row, time)| report(row, &time, window, &unreadable)).collect()
}

/// Missing digests whose time the window needs.
fn standard_missing(row: &Row, window: Window) -> Vec<MissingDigest> {
    let needed = |missing: &&MissingDigest| {
        missing.to > window.start() && missing.from.is_none_or(|from| from < window.end().plus_seconds(DELIVERY_LAG))
    };
    row.standard.missing.iter().filter(needed).cloned().collect()
}

/// The chains that are in the case, and those that should be.
fn chains(checked: &Checked, trails: &Trails, acts: &Acts, identity: &CaseIdentity, findings: &mut Vec<Finding>) -> Vec<Row> {
    let mut stored: BTreeMap<ChainOf, (Vec<StoredDigest>, Vec<StoredDigest>)> = BTreeMap::new();
    for trail in trails.validated(identity.scope.trail_arn.as_ref()) {
        for region in trail.source_regions(&acts.regions) {
            stored.entry(trail.chain_in(trail.arn.account(), region)).or_default();
        }
    }
    for digest in &checked.digests {
        let of = ChainOf::of(&digest.name);
        let (standard, backfill) = stored.entry(of).or_default();
        if digest.name.backfill { backfill.push(digest.clone()) } else { standard.push(digest.clone()) }
    }
    let mut rows = Vec::new();
    for (of, (standard, backfill)) in stored {
        let asked = trails.keys_asked(&of.region);
        let mut standard = check_chain(standard, trails.keys(), asked);
        let mut backfill = check_chain(backfill, trails.keys(), asked);
        findings.append(&mut standard.findings);
        findings.append(&mut backfill.findings);
        let arn = trails
            .arn_of(&of)
            .unwrap_or_else(|| format!("arn:aws:cloudtrail:{}:{}:trail/{}", of.home_region, of.account, of.trail));
        rows.push(Row { of, arn, standard, backfill, logs: LogCounts::default(), digest_status: HashMap::new() });
    }
    rows
}

fn report(row: Row, time: &TrailTime, window: Window, unreadable: &Unreadable<'_>) -> TrailReport {
    let counts = |chain: &Chain, missing: &[MissingDigest]| {
        let gone = missing.iter().filter(|digest| unreadable.covers(&digest.location)).count();
        DigestCounts {
            verified: count(chain.digests.iter().filter(|digest| digest.verified).count()),
            invalid: count(chain.digests.iter().filter(|digest| !digest.verified).count()),
            missing: count(missing.len() - gone),
            unreadable: count(gone),
        }
    };
    let missing = standard_missing(&row, window);
    let hours = time.hours();
    TrailReport {
        digests: counts(&row.standard, &missing),
        backfill: counts(&row.backfill, &[]),
        trail_arn: row.arn,
        account: row.of.account,
        region: row.of.region,
        home_region: row.of.home_region,
        logs: row.logs,
        hours: count_hours(&hours),
        uncovered_hours: uncovered_ranges(&hours),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Trail {
    fn chain_in(&self, account: AccountId, region: Region) -> ChainOf {
        ChainOf { trail: self.arn.name().to_owned(), home_region: self.arn.home_region().clone(), account, region }
    }
}

impl ChainOf {
    /// The chain that a digest of this name belongs to.
    fn of(name: &DigestName) -> Self {
        let DigestName { trail, home_region, account, region, .. } = name.clone();
        Self { trail, home_region, account, region }
    }

    fn is_chain_of(&self, name: &DigestName) -> bool {
        !name.backfill && *self == Self::of(name)
    }

    fn is_of(&self, arn: &TrailArn) -> bool {
        arn.name() == self.trail && *arn.home_region() == self.home_region
    }

    /// How findings name it.
    fn describe(&self, arn: &str) -> String {
        format!("{arn} in {} {}", self.account, self.region)
    }
}
