//! The event history: what CloudTrail itself remembers of 90 days, whatever became of the files in S3.

use std::sync::Arc;

use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsOutput;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::aws::{Call, Failure, FailureKind, Halt};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{Region, Timestamp};

use super::super::errand::{Errand, join_all};
use super::super::log_files::hours;
use super::super::pages::every_page;
use super::super::tally::RowKey;
use super::NAME;
use super::coverage::{Course, left_out};
use super::store::Store;
use super::trails::{Standing, Trail};

/// Events of the history that are asked for until now, whatever the window: what was done after it to trails and regions decides what
/// must be there of it, and what was done to flow logs, buckets, log groups, keys and snapshots, what is left of it.
pub const EVENTS_UNTIL_NOW: [&str; 17] = [
    "CreateTrail",
    "DeleteTrail",
    "UpdateTrail",
    "StartLogging",
    "StopLogging",
    "PutEventSelectors",
    "DisableRegion",
    "DeleteBucket",
    "PutBucketLifecycle",
    "DisableKey",
    "ScheduleKeyDeletion",
    "CreateFlowLogs",
    "DeleteFlowLogs",
    "DeleteLogGroup",
    "DeleteLogStream",
    "PutRetentionPolicy",
    "DeleteSnapshot",
];
/// The other events that decide what a trail, a log bucket or a snapshot gives away.
const EVENTS_OF_THE_WINDOW: [&str; 16] = [
    "PutInsightSelectors",
    "DeleteBucketLifecycle",
    "DeleteBucketPolicy",
    "PutBucketAcl",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketReplication",
    "PutBucketVersioning",
    "CopySnapshot",
    "CreateSnapshot",
    "CreateSnapshots",
    "DisableSnapshotBlockPublicAccess",
    "ModifySnapshotAttribute",
    "ResetSnapshotAttribute",
    "SharedSnapshotCopyInitiated",
    "SharedSnapshotVolumeCreated",
];

/// Those of them that tell what became of trails. AWS records them where the trail is at home, so they are asked for there though that
/// region was left out of scope.
const EVENTS_OF_TRAILS: [&str; 7] =
    ["DeleteTrail", "UpdateTrail", "CreateTrail", "StopLogging", "StartLogging", "PutEventSelectors", "PutInsightSelectors"];

/// The names of the events that are asked for in every region, always: the answer survives whatever was done to the files in S3.
pub(crate) fn defining_events() -> impl Iterator<Item = &'static str> {
    EVENTS_UNTIL_NOW.into_iter().chain(EVENTS_OF_THE_WINDOW)
}

/// Most events of one answer.
const PAGE: i32 = 50;
/// Where AWS records that an account's regions are switched on and off.
const OF_THE_ACCOUNT: &str = "us-east-1";
/// How the names of regions begin of which none can be switched off.
const ALWAYS_ON: [&str; 3] = ["cn-", "us-gov-", "us-iso"];
/// How far back CloudTrail remembers.
const REMEMBERED: i64 = 90 * 86_400;
/// What lies around a switched-off trail is asked for too: the last deliveries before may have been lost with it.
const AROUND_OUTAGE: i64 = 15 * 60;

/// One question: all events of a stretch of time, or those with one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Series {
    attribute: Option<(String, String)>,
    start: Timestamp,
    end: Timestamp,
}

/// How the trails stand, once that is known.
pub(super) type Standings = watch::Receiver<Option<Arc<Vec<(Trail, Standing)>>>>;

/// Asks every region for the events that the scope and the state of the trails call for.
///
/// Only what the state of the trails calls for waits until that is known.
pub(super) async fn look_up(errand: &Arc<Errand>, trails: Standings) -> Result<(), Halt> {
    let account = errand.caller().account;
    if !errand.wants_account(account) {
        let row = RowKey { source: NAME, account: Some(account), region: None };
        let detail = "it tells of the asking account only, which was left out of scope";
        return errand.gap(&row, "event history", GapReason::Skipped, Some(detail)).await;
    }
    let mut tasks = JoinSet::new();
    for region in errand.regions.clone() {
        let (errand, trails) = (Arc::clone(errand), trails.clone());
        // No permit: a region's questions are paced, so most of the time they only wait.
        tasks.spawn(async move { look_up_region(&errand, &region, trails).await });
    }
    if let Some(region) = region_of_the_account(errand) {
        let errand = Arc::clone(errand);
        tasks.spawn(async move {
            let row = RowKey { source: NAME, account: Some(account), region: Some(region) };
            look_up_one(&errand, &row, &series_of_name(&errand, "DisableRegion"), &mut 0).await.map(drop)
        });
    }
    join_all(&mut tasks).await
}

/// Asks a region that was left out of scope what became of the trails that are at home there.
pub(super) async fn look_up_trails(errand: &Errand, region: Region) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(errand.caller().account), region: Some(region) };
    let of_trails: Vec<Series> = EVENTS_OF_TRAILS.iter().map(|name| series_of_name(errand, name)).collect();
    let asked = look_up_all(errand, &row, &of_trails).await.map(drop);
    errand.notes.homes.has_asked(&row);
    asked
}

/// The region that tells who switched off another one, where that one was asked for and this one was not.
fn region_of_the_account(errand: &Errand) -> Option<Region> {
    let missed = errand.request.scope.regions.iter().filter(|region| !errand.regions.contains(region));
    let mut missed = missed.filter(|region| !ALWAYS_ON.iter().any(|on| region.as_str().starts_with(on)));
    let region = OF_THE_ACCOUNT.parse().ok().filter(|region| !errand.regions.contains(region))?;
    missed.next().map(|_| region)
}

/// The questions for any region, whatever its trails do: the defining events, and the attributes asked for.
fn series_of_attributes(errand: &Errand) -> Vec<Series> {
    let named = defining_events().map(|name| series_of_name(errand, name));
    let asked = errand.request.scope.lookup_attributes.iter().filter_map(|text| text.split_once('='));
    named.chain(asked.map(|(key, value)| series_of(errand, (key.to_owned(), value.to_owned())))).collect()
}

/// The question for the events of one name.
fn series_of_name(errand: &Errand, name: &str) -> Series {
    series_of(errand, ("EventName".to_owned(), name.to_owned()))
}

/// The question for the events with an attribute: of the window, or until now where what came after it decides what must be there of it.
fn series_of(errand: &Errand, attribute: (String, String)) -> Series {
    let (start, end) = (errand.window().start(), errand.window().end());
    let until_now = attribute.0 == "EventName" && EVENTS_UNTIL_NOW.contains(&attribute.1.as_str());
    Series { attribute: Some(attribute), start, end: if until_now { end.max(errand.now) } else { end } }
}

/// The questions for one region where S3 has nothing: all events, of the time that no trail recorded.
fn series_of_everything(errand: &Errand, trails: &[(Trail, Standing)], region: &Region) -> Vec<Series> {
    let window = errand.window();
    let stretches = if errand.request.scope.lookup_events {
        vec![(window.start(), window.end())]
    } else {
        let homes = &errand.notes.homes;
        let here = trails.iter().filter(|(trail, _)| trail.records(region) && !homes.is_out_of_reach(&Store::of(trail)));
        let courses: Vec<Course> =
            here.map(|(trail, standing)| Course::of(trail, *standing, &homes.switches(&trail.arn), region)).collect();
        left_out(&courses, window, AROUND_OUTAGE)
    };
    // Hour by hour, so that an interrupted run goes on at the hour where it stopped.
    let slices = stretches.into_iter().flat_map(|(from, to)| hours(from, to));
    slices.map(|(start, end)| Series { attribute: None, start, end }).collect()
}

async fn look_up_region(errand: &Errand, region: &Region, mut trails: Standings) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(errand.caller().account), region: Some(region.clone()) };
    let oldest = errand.now.plus_seconds(-REMEMBERED);
    if errand.window().start() < oldest {
        let detail = format!("CloudTrail remembers 90 days, so it was asked in vain for what lies before {oldest}");
        errand.gap(&row, "older event history", GapReason::Empty, Some(&detail)).await?;
    }
    let asked = look_up_all(errand, &row, &series_of_attributes(errand)).await?;
    errand.notes.homes.has_asked(&row);
    if asked.is_none() {
        return Ok(());
    }
    let Some(trails) = known(&mut trails).await else { return Ok(()) };
    // What was done to a trail, its home tells.
    let own = trails.iter().filter(|(trail, _)| Some(trail.arn.account()) == row.account && trail.records(region));
    let homes = own.map(|(trail, _)| RowKey { region: Some(trail.arn.home_region().clone()), ..row.clone() });
    errand.notes.homes.have_asked(&homes.collect()).await;
    let of_everything = series_of_everything(errand, &trails, region);
    if errand.is_plan() {
        expect(errand, of_everything.len());
    } else if look_up_all(errand, &row, &of_everything).await? == Some(0) && !of_everything.is_empty() {
        let detail = "CloudTrail remembers no event of the region for the time asked about";
        errand.gap(&row, "event history", GapReason::Empty, Some(detail)).await?;
    }
    Ok(())
}

/// Asks one question after the other, and counts their events; none where the others have no hope any more. A plan asks the first, which
/// shows whether the permission is there.
async fn look_up_all(errand: &Errand, row: &RowKey, all: &[Series]) -> Result<Option<usize>, Halt> {
    let (now, later) = all.split_at(if errand.is_plan() { all.len().min(1) } else { all.len() });
    let mut events = 0;
    for series in now {
        if !look_up_one(errand, row, series, &mut events).await? {
            return Ok(None);
        }
    }
    expect(errand, later.len());
    Ok(Some(events))
}

/// Notes questions that a collection puts and a plan does not.
fn expect(errand: &Errand, questions: usize) {
    errand.expect_requests(u64::try_from(questions).unwrap_or(u64::MAX));
}

/// Waits until it is known how the trails stand. Where it never will be, whoever was to tell says why.
async fn known(trails: &mut Standings) -> Option<Arc<Vec<(Trail, Standing)>>> {
    trails.wait_for(Option::is_some).await.ok()?.clone()
}

/// Asks one question, and counts its events. Says whether the others have any hope: a refusal is one of them all.
async fn look_up_one(errand: &Errand, row: &RowKey, series: &Series, events: &mut usize) -> Result<bool, Halt> {
    let Some(region) = &row.region else { return Ok(false) };
    let Err(failure) = look_up_series(errand, region, series, events).await? else { return Ok(true) };
    // Nobody asked for a region that was left out of scope: what that means depends on the trails that are at home there.
    if !errand.regions.contains(region) {
        errand.notes.homes.was_refused(row, failure);
        return Ok(false);
    }
    let refused = matches!(failure.kind, FailureKind::Denied | FailureKind::NotEnabled);
    let what = match &series.attribute {
        _ if refused => Subject::answer("LookupEvents"),
        Some((key, value)) => Subject::answer_to("LookupEvents", std::iter::once((key.as_str(), value.as_str()))),
        None => Subject::answer_from("LookupEvents", (series.start, series.end)),
    };
    errand.failed(row, &what, &failure).await?;
    Ok(!refused)
}

async fn look_up_series(
    errand: &Errand,
    region: &Region,
    series: &Series,
    events: &mut usize,
) -> Result<Result<(), Failure>, Halt> {
    let client = errand.session().cloudtrail(region);
    // Both ends are fixed before the first page, so that events that happen meanwhile shift nothing.
    let mut call = Call::new(NAME, "cloudtrail", "LookupEvents", errand.caller().account, region)
        .with("StartTime", series.start.to_string())
        .with("EndTime", series.end.to_string())
        .paced();
    let mut attribute = None;
    if let Some((key, value)) = &series.attribute {
        call = call.with("LookupAttributes", format!("{key}={value}"));
        let built = LookupAttribute::builder().attribute_key(LookupAttributeKey::from(key.as_str())).attribute_value(value);
        attribute = Some(built.build().map_err(|_| Halt::Unexpected("a question to the event history could not be put"))?);
    }
    let time = |at: Timestamp| aws_smithy_types::DateTime::from_secs(at.instant().timestamp());
    every_page(
        errand,
        &call,
        |token, tap| {
            let asked = client.lookup_events().start_time(time(series.start)).end_time(time(series.end)).max_results(PAGE);
            let asked = asked.set_lookup_attributes(attribute.clone().map(|attribute| vec![attribute]));
            asked.set_next_token(token).customize().interceptor(tap).send()
        },
        |output: &LookupEventsOutput| output.next_token(),
        |output| {
            *events += output.events().len();
            for event in output.events() {
                let account = errand.caller().account;
                errand.notes.note_event(account, region, event.event_name(), event.cloud_trail_event());
            }
        },
    )
    .await
}
