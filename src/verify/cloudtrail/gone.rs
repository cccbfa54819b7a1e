//! What events and delete markers say was there, and is not: trails that were deleted, and files that no digest is left to name.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::CaseIdentity;
use crate::case::gap::Subject;
use crate::cloudtrail::{DigestName, LogName, TrailEvent};
use crate::model::{AccountId, Finding, Region, S3Location, Severity, Timestamp, TrailArn, Window};
use crate::verify::acts::Acts;
use crate::verify::artifacts::Checked;

use super::logs::LogVerdicts;
use super::trails::Trails;
use super::unreadable::Unreadable;
use super::{ChainOf, DELIVERY_LAG, Row};

/// How far back CloudTrail's event history remembers, in seconds.
const REMEMBERED: i64 = 90 * 86_400;

/// Whether a trail, by its name, home region and account, came to be only after the window: the first that is known of its coming and
/// going since the window began is that it was created, and AWS's event history reached back to then.
///
/// AWS creates no trail of a name that is taken, so one that was there before must have been deleted first, which that history would tell.
pub(super) fn came_after_the_window(
    events: &[&TrailEvent],
    (name, home, account): (&str, &Region, AccountId),
    acts: &Acts,
    window: Window,
) -> bool {
    let remembered = acts.collecting_since.is_some_and(|since| since.plus_seconds(-REMEMBERED) <= window.start());
    let first = events.iter().find(|event| {
        matches!(event.telling.name.as_str(), "CreateTrail" | "DeleteTrail")
            && event.telling.at >= window.start()
            && event.concerns(name, home, Some(account))
    });
    remembered && first.is_some_and(|event| event.telling.name == "CreateTrail" && event.telling.at > window.end())
}

/// The name, home region and account of the trail that an event is about.
fn trail_of(event: &TrailEvent) -> Option<(String, Region, AccountId)> {
    match event.trail.parse::<TrailArn>() {
        Ok(arn) => Some((arn.name().to_owned(), arn.home_region().clone(), arn.account())),
        Err(_) => Some((event.trail.clone(), event.telling.region.as_deref()?.parse().ok()?, event.telling.account?)),
    }
}

/// Trails that were deleted within the window or after it, and of which the case holds nothing.
pub(super) fn trails(
    rows: &[Row],
    trails: &Trails,
    events: &[&TrailEvent],
    acts: &Acts,
    identity: &CaseIdentity,
    findings: &mut Vec<Finding>,
) {
    let only = identity.scope.trail_arn.as_ref();
    let mut told = BTreeSet::new();
    let deleted =
        events.iter().filter(|event| event.telling.name == "DeleteTrail" && event.telling.at >= identity.window.start());
    for event in deleted {
        let arn = event.trail.parse::<TrailArn>().ok();
        let name = arn.as_ref().map_or(event.trail.as_str(), TrailArn::name);
        let concerns = |row: &Row| {
            event.concerns(&row.of.trail, &row.of.home_region, row.of.organization.is_none().then_some(row.of.account))
        };
        let known = rows.iter().any(concerns)
            || trails
                .described(None)
                .any(|trail| event.concerns(trail.arn.name(), trail.arn.home_region(), Some(trail.arn.account())));
        // One trail was asked for, and by its name this is another.
        let left_out = only.is_some_and(|only| only.name() != name) || is_of_a_region_left_out(event, events, identity);
        let came_after = trail_of(event)
            .is_some_and(|(name, home, account)| came_after_the_window(events, (&name, &home, account), acts, identity.window));
        if known || left_out || came_after || !told.insert((event.trail.clone(), event.telling.account)) {
            continue;
        }
        let detail = format!(
            "{}. The case holds no digest of it: what it delivered before, and whether that was signed, cannot be told.",
            event.telling.describe()
        );
        findings.push(Finding::new(Severity::Gap, "trail-gone", &format!("trail {}", event.trail), &detail));
    }
}

/// Whether a trail that is gone recorded none of the regions asked for: it was at home elsewhere, and made for its home alone.
fn is_of_a_region_left_out(event: &TrailEvent, events: &[&TrailEvent], identity: &CaseIdentity) -> bool {
    let (Some((name, home, account)), asked) = (trail_of(event), &identity.scope.regions) else { return false };
    let told = || events.iter().filter(|other| other.concerns(&name, &home, Some(account)) && other.multi_region.is_some());
    let was_made_so = told().any(|other| other.telling.name == "CreateTrail");
    !asked.is_empty() && !asked.contains(&home) && was_made_so && told().all(|other| other.multi_region == Some(false))
}

/// CloudTrail's own files of the window of which somebody says that they were deleted, that are not there, and that no other failure names.
///
/// Only where the case holds, or should hold, what the trails deliver: what is deleted elsewhere was never in scope. To delete what never
/// was there is no error in S3, and leaves a marker and an event like any other: only what is known to have been there is gone.
pub(super) fn files(
    rows: &[Row],
    checked: &Checked,
    verdicts: &LogVerdicts,
    unreadable: &Unreadable<'_>,
    (acts, identity): (&Acts, &CaseIdentity),
    findings: &mut Vec<Finding>,
) {
    // When that was, as far as anything says.
    let mut deleted: BTreeMap<&S3Location, Option<Timestamp>> = BTreeMap::new();
    let mut written: BTreeSet<&S3Location> = BTreeSet::new();
    for event in checked.object_events.iter().filter(|event| verdicts.is_proven(&event.telling.witness)) {
        if event.telling.name == "DeleteObject" {
            let at = deleted.entry(&event.location).or_default();
            *at = (*at).max(Some(event.telling.at));
        } else {
            written.insert(&event.location);
        }
    }
    for marker in &checked.delete_markers {
        let at = deleted.entry(&marker.location).or_default();
        *at = (*at).max(marker.at);
    }
    // Collect met it, or a version of it, and could not have it.
    let met: BTreeSet<String> = acts
        .gaps
        .iter()
        .filter_map(|gap| match gap.subject() {
            Subject::Object { object, .. } if gap.reason.is_incompleteness() => Some(object),
            _ => None,
        })
        .collect();
    let named: BTreeSet<&str> = findings.iter().map(|finding| finding.object.as_str()).collect();
    let mut more = Vec::new();
    for (location, at) in deleted {
        let by = at.unwrap_or(identity.window.end());
        let object = location.to_string();
        if verdicts.is_stored(location)
            || !is_of(location, rows, identity)
            || unreadable.covers(location, by)
            || named.contains(object.as_str())
        {
            continue;
        }
        if written.contains(location) || met.contains(&object) {
            let detail = "Somebody deleted it, and no version of it is there; no digest that is left names it.";
            more.push(unreadable.absence(location, by).finding("file-deleted", location, detail));
        } else {
            let detail = "Somebody had it deleted, and no version of it is there; no digest that is left names it. Nothing else shows that it \
                          ever was there: S3 deletes what never was without an error, and leaves the same traces.";
            more.push(Finding::new(Severity::Gap, "file-deleted", location, detail));
        }
    }
    findings.extend(more);
}

/// Whether a log or digest is of the window, and of a trail and place that the case is about.
fn is_of(location: &S3Location, rows: &[Row], identity: &CaseIdentity) -> bool {
    let window = identity.window;
    let is_delivered =
        |row: &Row, prefix: &str| row.places.iter().any(|place| place.bucket == location.bucket && place.prefix == prefix);
    if let Ok(digest) = location.key.parse::<DigestName>() {
        let of = ChainOf::of(&digest);
        return rows.iter().any(|row| row.of == of && is_delivered(row, &digest.prefix))
            && digest.end > window.start()
            && digest.end.plus_seconds(-3600) < window.end().plus_seconds(DELIVERY_LAG);
    }
    let Ok(log) = location.key.parse::<LogName>() else { return false };
    let here = |row: &Row| row.of.account == log.account && row.of.region == log.region && is_delivered(row, &log.prefix);
    // A log that no digest names may be of any trail that delivers there, so one trail asked for is not answered for by it.
    identity.scope.trail_arn.is_none()
        && rows.iter().any(here)
        && window.start() <= log.minute
        && log.minute <= window.end().plus_seconds(DELIVERY_LAG)
}
