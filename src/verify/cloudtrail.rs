//! CloudTrail's own proof: chains of digests, every listed log, every hour of the window.

mod expected;
mod gone;
mod links;
mod logs;
mod looked;
mod members;
mod regions;
mod switches;
mod timeline;
mod traces;
mod trails;
mod unreadable;

use std::collections::BTreeSet;

use crate::case::sorting::Sorted;
use crate::case::{CaseError, CaseIdentity};
use crate::cloudtrail::chain::{MissingDigest, StoredDigest, check_chain};
use crate::cloudtrail::coverage::{DELIVERY_LAG, count_hours, uncovered_ranges};
use crate::cloudtrail::{DigestName, KeyRing, TrailEvent};
use crate::model::{AccountId, Finding, Region, S3Location, Severity, Timestamp, Window};

use super::Options;
use super::acts::Acts;
use super::artifacts::Checked;
use super::digest_records::DigestRecord;
use super::report::{DigestCounts, LogCounts, TrailReport};

use links::{Link, Links};
use logs::Wanted;
use looked::{Absence, DELIVERED, Looked};
use members::Members;
use regions::Regions;
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
    /// The organization's id, where the trail is one of an organization: a member may have a trail of the same name.
    organization: Option<String>,
}

/// Where a trail delivers to. Log names do not tell trails apart that deliver to one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    bucket: String,
    prefix: String,
    organization: Option<String>,
}

/// One trail in one account and region, on its way to its report.
#[derive(Debug)]
struct Row {
    of: ChainOf,
    arn: String,
    places: BTreeSet<Place>,
    /// Those of them that verified digests or AWS's answers tell of, if any do: under any other somebody may have planted a digest.
    delivers: BTreeSet<Place>,
    standard: Links,
    backfill: Links,
    logs: LogCounts,
}

/// Verifies all of CloudTrail's evidence in the case.
pub(super) fn check(
    checked: &mut Checked,
    identity: &CaseIdentity,
    acts: &Acts,
    options: &Options<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(Vec<TrailReport>, KeyRing), CaseError> {
    let in_scope = identity.scope.sources.is_empty() || identity.scope.sources.iter().any(|source| source == "cloudtrail");
    let mut wanted = Wanted::of(checked);
    let (digests, logs) = (std::mem::take(&mut checked.digests), std::mem::take(&mut checked.logs));
    let places = std::mem::take(&mut checked.places);
    let checked = &*checked;
    let trails = Trails::read(checked, options.keys, findings);
    let unreadable = Unreadable::of(&acts.gaps, &checked.unreadable_objects, Looked::of(acts, identity));
    let window = identity.window;

    let before = findings.len();
    let mut rows = chains(digests, &trails, &mut wanted, findings)?;
    not_fetched_yet(&rows, &unreadable.looked, findings.get_mut(before..).unwrap_or_default());
    let (members, regions) = (Members::read(checked), Regions::of(checked, acts, identity));
    for of in expected::chains(rows.iter().map(|row| &row.of), &trails, &members, &regions, acts, identity, &unreadable.looked)
    {
        rows.push(Row::new(of, Links::default(), Links::default(), BTreeSet::new(), &trails));
    }
    rows.sort_by(|a, b| a.of.cmp(&b.of));
    let mut verdicts = logs::judge((places, logs), &mut rows, wanted, &unreadable, window, &options.workspace, findings)?;
    let told = checked.events.iter().chain(&checked.history);
    let mut events: Vec<&TrailEvent> = told.filter(|event| verdicts.is_proven(&event.telling.witness)).collect();
    // The threads that read logs find them in any order.
    events.sort_by(|a, b| switches::total_order(a, b));

    let wants = |of: &ChainOf| unreadable.looked.wants(of.account);
    let off = switched_off_rows(&rows, &trails, &events, (&members, &regions), acts, identity);
    rows.extend(off.into_iter().filter(|row| wants(&row.of)));
    rows.sort_by(|a, b| a.of.cmp(&b.of));
    // The trail, whichever of its regions and accounts a row is of.
    let trail = |row: &Row| (row.of.trail.clone(), row.of.home_region.clone(), trails.owner_of(&row.of));
    let signed: BTreeSet<_> = rows.iter().filter(|row| is_signed_within(row, window)).map(trail).collect();
    let mut times = Vec::with_capacity(rows.len());
    for row in &mut rows {
        let signed_here = signed.contains(&trail(row)) && verdicts.any_in_window(row);
        let mut time = TrailTime::new(row, window, &trails, &events, acts, signed_here, &unreadable.looked);
        for missing in standard_missing(row, window) {
            let absence = unreadable.absence(&missing.location, delivered_by(row, &missing));
            time.missing(&missing, absence, findings);
        }
        for (missing, from, to) in backfill_missing(row, window) {
            let absence = unreadable.absence(&missing.location, backfilled_by(row, &missing));
            time.missing_backfill(&missing, from, to, absence, findings);
        }
        time.follow(row, &unreadable, findings);
        times.push(time);
    }
    let named: Vec<S3Location> = rows
        .iter()
        .flat_map(|row| {
            let late = backfill_missing(row, window).into_iter().map(|(missing, _, _)| missing.location);
            standard_missing(row, window).into_iter().map(|missing| missing.location).chain(late)
        })
        .collect();
    for location in named.iter().filter(|location| !unreadable.looked.for_object(location)) {
        verdicts.not_looked_for.add(location);
    }
    verdicts.not_looked_for.say(&unreadable.looked, findings);
    gone::trails(&rows, &trails, &events, acts, identity, findings);
    if in_scope {
        regions.say_which_are_off(&rows, acts, identity, findings);
        expected::say_which_accounts_are_missing(&rows, identity, findings);
    }
    expected::say_which_members_are_known(&rows, &trails, identity, findings);
    let one_trail = identity.scope.trail_arn.is_some();
    verdicts.judge_uncovered(&mut rows, &times, &trails, one_trail, &unreadable.looked, findings)?;
    gone::files(&rows, checked, &verdicts, &unreadable, (acts, identity), findings);
    traces::add(checked, &verdicts, findings);
    for location in &checked.unsearched {
        let detail = "It unpacks to more than is searched for events: whether it tells of a trail that was switched, or of a file that was \
                      deleted, is known of its beginning only.";
        findings.push(Finding::new(Severity::Gap, "log-not-searched", location, detail));
    }

    if rows.is_empty() && in_scope {
        let detail =
            "The case holds no digest of any trail, so nothing that CloudTrail recorded can be proven by AWS's signatures.";
        findings.push(Finding::new(Severity::Gap, "nothing-to-verify", &"cloudtrail", detail));
    }
    let reports = rows.into_iter().zip(times).map(|(row, time)| report(row, &time, window, &unreadable)).collect();
    Ok((reports, trails.into_keys()))
}

/// No hour may go unproven without a word: whatever the cause, a window with such an hour never passes.
pub(super) fn say_what_is_unproven(reports: &[TrailReport], findings: &mut Vec<Finding>) {
    if findings.iter().any(|finding| finding.severity != Severity::Notice) {
        return;
    }
    for report in reports {
        if let Some(first) = report.uncovered_hours.first() {
            let object = format!("{} in {} {}", report.trail_arn, report.account, report.region);
            let detail =
                format!("Not every hour is proven; the first that is not begins {}: {}.", first.from, first.status.as_str());
            findings.push(Finding::new(Severity::Gap, "hours-unproven", &object, &detail));
        }
    }
}

/// Whether a verified digest covers some of the window.
fn is_signed_within(row: &Row, window: Window) -> bool {
    let mut digests = row.standard.digests.iter().filter_map(|digest| digest.proven);
    digests.any(|content| content.start < window.end() && content.end > window.start())
}

/// Chains of which nothing is there, and that events say were written until somebody switched them off in or after the window.
///
/// A trail that is not signed any more, or not in all regions, is not expected to have digests by what AWS says of it today.
fn switched_off_rows(
    rows: &[Row],
    trails: &Trails,
    events: &[&TrailEvent],
    (members, recorded): (&Members, &Regions<'_>),
    acts: &Acts,
    identity: &CaseIdentity,
) -> Vec<Row> {
    let window = identity.window;
    let stored: BTreeSet<&ChainOf> = rows.iter().filter(|row| !row.standard.digests.is_empty()).map(|row| &row.of).collect();
    let mut more = Vec::new();
    for trail in trails.described(identity.scope.trail_arn.as_ref()) {
        let (owner, home) = (trail.arn.account(), trail.arn.home_region());
        if gone::came_after_the_window(events, (trail.arn.name(), home, owner), acts, window) {
            continue;
        }
        let updates: Vec<&&TrailEvent> = events
            .iter()
            .filter(|event| event.telling.at > window.start() && event.concerns(trail.arn.name(), home, Some(owner)))
            .collect();
        let unsigned = updates.iter().any(|event| event.validation == Some(false) && event.telling.name == "UpdateTrail");
        let narrowed = updates.iter().any(|event| event.multi_region == Some(false) && event.telling.name == "UpdateTrail");
        if !narrowed && !unsigned {
            continue;
        }
        let (mut accounts, organization) = expected::accounts_of(trail, &stored, members, acts, identity);
        // Of an organization's trail, the accounts that have digests of another region tell of themselves as well.
        accounts.extend(stored.iter().filter(|of| trail.of_organization && of.is_of(trail)).map(|of| of.account));
        for account in accounts {
            let regions = recorded.of_account(account);
            for region in regions.into_iter().filter(|region| narrowed || trail.records(region)) {
                let of = ChainOf { organization: organization.clone(), ..trail.chain_in(account, region) };
                if !rows.iter().any(|row| row.of == of || (trail.of_organization && row.of.is_in_organization(&of))) {
                    let row = Row::new(of, Links::default(), Links::default(), BTreeSet::new(), trails);
                    more.push(Row { arn: trail.arn.to_string(), ..row });
                }
            }
        }
    }
    more
}

/// Missing backfill digests of the window, each with the interval that its name tells.
fn backfill_missing(row: &Row, window: Window) -> Vec<(MissingDigest, Timestamp, Timestamp)> {
    let interval = |missing: &MissingDigest| {
        let end = missing.location.key.parse::<DigestName>().ok()?.end;
        let start = end.plus_seconds(-3600);
        (end > window.start() && start < window.end().plus_seconds(DELIVERY_LAG)).then(|| (missing.clone(), start, end))
    };
    row.backfill.missing.iter().filter_map(interval).collect()
}

/// When a missing digest had been delivered, at the latest: the next one that is there came after it. AWS tries for weeks, so that only where
/// nothing shows when that one came is it taken to have been as quick as ever.
fn delivered_by(row: &Row, missing: &MissingDigest) -> Timestamp {
    row.standard.received_behind(missing.to).unwrap_or(missing.to.plus_seconds(DELIVERED))
}

/// The same of a backfill digest, which names no time of its own: those that are there name it.
fn backfilled_by(row: &Row, missing: &MissingDigest) -> Timestamp {
    let received = row.backfill.digests.iter().filter_map(|digest| digest.received).max();
    received.unwrap_or(missing.to).max(missing.to.plus_seconds(DELIVERED))
}

/// A digest of which only earlier versions are there may not have been fetched yet, unless a run that came to its end would have met it.
fn not_fetched_yet(rows: &[Row], looked: &Looked<'_>, findings: &mut [Finding]) {
    // Its own version tells when it was delivered, or else what came behind it.
    let received = |name: &DigestName| {
        let row = rows.iter().find(|row| row.of == ChainOf::of(name))?;
        let digests = if name.backfill { &row.backfill.digests } else { &row.standard.digests };
        let verified = || digests.iter().filter(|digest| digest.verified);
        let own = verified().find(|digest| digest.end == name.end).and_then(|digest| digest.received);
        own.or_else(|| {
            if name.backfill {
                verified().filter_map(|digest| digest.received).max()
            } else {
                row.standard.received_behind(name.end)
            }
        })
    };
    let of_digests = findings.iter_mut().filter(|finding| finding.kind == "digest-missing");
    for finding in of_digests.filter(|finding| finding.severity == Severity::Failure) {
        let place = finding.object.strip_prefix("s3://").and_then(|place| place.split_once('/'));
        let Some((bucket, key)) = place else { continue };
        let (location, name) = (S3Location::new(bucket, key), key.parse::<DigestName>().ok());
        let due = |name: &DigestName| received(name).unwrap_or(name.end.plus_seconds(DELIVERED));
        let is_met = |name: DigestName| looked.would_have_met(&location, due(&name));
        if looked.absence(|| name.is_some_and(is_met)) == Absence::Unfetched {
            *finding = Absence::Unfetched.finding(&finding.kind, &finding.object, &finding.detail);
        }
    }
}

/// Missing digests whose time the window needs.
fn standard_missing(row: &Row, window: Window) -> Vec<MissingDigest> {
    let needed = |missing: &&MissingDigest| {
        missing.to > window.start() && missing.from.is_none_or(|from| from < window.end().plus_seconds(DELIVERY_LAG))
    };
    row.standard.missing.iter().filter(needed).cloned().collect()
}

/// The chains that are in the case, each checked while its digests alone are in memory.
fn chains(
    digests: Sorted<DigestRecord>,
    trails: &Trails,
    wanted: &mut Wanted,
    findings: &mut Vec<Finding>,
) -> Result<Vec<Row>, CaseError> {
    let mut rows = Vec::new();
    let mut chain: Vec<StoredDigest> = Vec::new();
    for record in digests.merge() {
        let DigestRecord(digest) = record?;
        wanted.note_digest(&digest.location);
        if chain.last().is_some_and(|last| ChainOf::of(&last.name) != ChainOf::of(&digest.name)) {
            rows.extend(check_digests(std::mem::take(&mut chain), trails, findings));
        }
        chain.push(digest);
    }
    rows.extend(check_digests(chain, trails, findings));
    Ok(rows)
}

/// Checks the digests of a trail in one account and region, if there are any.
fn check_digests(digests: Vec<StoredDigest>, trails: &Trails, findings: &mut Vec<Finding>) -> Option<Row> {
    let of = ChainOf::of(&digests.first()?.name);
    let delivered = digests.iter().map(Place::of).collect();
    let (backfill, standard) = digests.into_iter().partition(|digest| digest.name.backfill);
    let mut checked = |digests| {
        let mut chain = check_chain(digests, trails.keys());
        findings.append(&mut chain.findings);
        Links::from(chain)
    };
    let (standard, backfill) = (checked(standard), checked(backfill));
    Some(Row::new(of, standard, backfill, delivered, trails))
}

fn report(row: Row, time: &TrailTime, window: Window, unreadable: &Unreadable<'_>) -> TrailReport {
    let counts = |chain: &Links, missing: &[MissingDigest], by: fn(&Row, &MissingDigest) -> Timestamp| {
        let of = |wanted: &dyn Fn(&Link) -> bool| count(chain.digests.iter().filter(|digest| wanted(digest)).count());
        let (unreadable, missing): (Vec<_>, Vec<_>) =
            missing.iter().partition(|digest| unreadable.covers(&digest.location, by(&row, digest)));
        DigestCounts {
            verified: of(&|digest| digest.verified && !digest.recovered),
            invalid: of(&|digest| !digest.deleted && (!digest.verified || digest.recovered)),
            missing: missing.iter().map(|digest| digest.count()).sum::<u64>() + of(&|digest| digest.deleted),
            unreadable: unreadable.iter().map(|digest| digest.count()).sum(),
            recovered: of(&|digest| digest.recovered),
        }
    };
    let missing = standard_missing(&row, window);
    let late: Vec<MissingDigest> = backfill_missing(&row, window)
        .into_iter()
        .map(|(digest, from, to)| MissingDigest { from: Some(from), to, ..digest })
        .collect();
    let hours = time.hours();
    TrailReport {
        digests: counts(&row.standard, &missing, delivered_by),
        backfill: counts(&row.backfill, &late, backfilled_by),
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

impl Row {
    /// A chain that delivered at these places, and wherever AWS says that it does.
    fn new(of: ChainOf, standard: Links, backfill: Links, delivered: BTreeSet<Place>, trails: &Trails) -> Self {
        let arn = trails
            .arn_of(&of)
            .unwrap_or_else(|| format!("arn:aws:cloudtrail:{}:{}:trail/{}", of.home_region, of.account, of.trail));
        let verified = standard.places.iter().chain(&backfill.places).cloned();
        let mut delivers: BTreeSet<Place> = verified.chain(trails.place_of(&of)).collect();
        let places: BTreeSet<Place> = delivered.into_iter().chain(delivers.iter().cloned()).collect();
        if delivers.is_empty() {
            delivers.clone_from(&places);
        }
        Self { of, arn, places, delivers, standard, backfill, logs: LogCounts::default() }
    }
}

impl Place {
    /// Where a digest lies.
    fn of(digest: &StoredDigest) -> Self {
        Self {
            bucket: digest.location.bucket.clone(),
            prefix: digest.name.prefix.clone(),
            organization: digest.name.organization.clone(),
        }
    }
}

impl Trail {
    fn chain_in(&self, account: AccountId, region: Region) -> ChainOf {
        ChainOf {
            trail: self.arn.name().to_owned(),
            home_region: self.arn.home_region().clone(),
            account,
            region,
            organization: None,
        }
    }
}

impl ChainOf {
    fn of(name: &DigestName) -> Self {
        Self {
            trail: name.trail.clone(),
            home_region: name.home_region.clone(),
            account: name.account,
            region: name.region.clone(),
            organization: name.organization.clone(),
        }
    }

    /// Whether it is of this trail. What an organization's trail delivers is of many accounts, and a member may have a trail of its own of
    /// the same name.
    fn is_of(&self, trail: &Trail) -> bool {
        let arn = &trail.arn;
        let owned = if self.organization.is_some() { trail.of_organization } else { arn.account() == self.account };
        owned && arn.name() == self.trail && *arn.home_region() == self.home_region
    }

    fn is_chain_of(&self, name: &DigestName) -> bool {
        !name.backfill && *self == Self::of(name)
    }

    /// Whether it is `other`, but for the organization that only the names of its files tell.
    fn is_in_organization(&self, other: &Self) -> bool {
        self.organization.is_some() && Self { organization: None, ..self.clone() } == *other
    }

    /// How findings name it.
    fn describe(&self, arn: &str) -> String {
        format!("{arn} in {} {}", self.account, self.region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::coverage::HourStatus;

    fn report(status: HourStatus) -> TrailReport {
        let hour: Timestamp = "2026-03-02T04:00:00Z".parse().unwrap();
        let hours = [(hour, status)];
        TrailReport {
            trail_arn: "arn:aws:cloudtrail:us-east-1:111122223333:trail/trail".to_owned(),
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            home_region: "us-east-1".parse().unwrap(),
            digests: DigestCounts::default(),
            backfill: DigestCounts::default(),
            logs: LogCounts::default(),
            hours: count_hours(&hours),
            uncovered_hours: uncovered_ranges(&hours),
        }
    }

    fn kinds(status: HourStatus, mut findings: Vec<Finding>) -> Vec<String> {
        say_what_is_unproven(&[report(status)], &mut findings);
        findings.into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn an_hour_that_nothing_explains_is_a_gap_of_its_own() {
        let notice = Finding::new(Severity::Notice, "key-encoding", &"key", "It is a notice.");
        assert_eq!(kinds(HourStatus::Restart, vec![notice]), ["key-encoding", "hours-unproven"]);
        assert_eq!(kinds(HourStatus::Verified, vec![]), [""; 0]);
        let gap = Finding::new(Severity::Gap, "digests-end", &"trail", "It is a gap.");
        assert_eq!(kinds(HourStatus::NoDigests, vec![gap]), ["digests-end"]);
    }
}
