use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use tokio::task::JoinSet;

use crate::aws::{Call, Failure, FailureKind, Halt};
use crate::case::event::GapReason;
use crate::model::{Region, Timestamp, TrailArn, Window, printable};

use super::super::encryption::describe_keys;
use super::super::errand::Errand;
use super::super::pages::every_page_or_gap;
use super::super::tally::RowKey;
use super::NAME;

/// A trail, as `DescribeTrails` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trail {
    pub(super) arn: TrailArn,
    pub(super) bucket: String,
    pub(super) prefix: Option<String>,
    multi_region: bool,
    validated: bool,
    /// The KMS key under which it delivers.
    key: Option<String>,
}

impl Trail {
    /// Whether the trail records what happens in a region.
    pub(super) fn records(&self, region: &Region) -> bool {
        self.multi_region || self.arn.home_region() == region
    }
}

/// How a trail stands, as its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it records now, as far as is known.
    pub(super) logging: bool,
    /// When in the window it was switched off, and on again.
    pub(super) outage: Option<(Timestamp, Timestamp)>,
}

/// What asking every region for its trails came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) trails: Vec<Trail>,
    /// Whether some region did not answer, so that none found does not mean none there.
    pub(super) refused: bool,
}

/// Asks every region in scope for the trails that concern it, those of other home regions included.
pub(super) async fn find(errand: &Arc<Errand>) -> Result<Found, Halt> {
    let mut tasks = JoinSet::new();
    for region in errand.regions.clone() {
        let errand = Arc::clone(errand);
        tasks.spawn(async move {
            let permit = errand.discovery().await?;
            let found = trails_of_region(&errand, &region).await;
            drop(permit);
            found
        });
    }
    let (mut trails, mut refused) = (BTreeMap::new(), false);
    while let Some(done) = tasks.join_next().await {
        match done.map_err(|_| Halt::TaskLost)?? {
            Some(found) => trails.extend(found.into_iter().map(|trail| (trail.arn.clone(), trail))),
            None => refused = true,
        }
    }
    let named = list_trails(errand).await?;
    let account = errand.caller().account;
    for arn in named.iter().filter(|arn| !trails.contains_key(*arn)) {
        // Its home region is out of scope and it is not in any region of the scope: nothing of it is asked for.
        let row = RowKey { source: NAME, account: Some(account), region: Some(arn.home_region().clone()) };
        if !errand.wants_region(arn.home_region()) {
            let detail = "the trail records only regions that were left out of scope";
            errand.gap(&row, &format!("trail {arn}"), GapReason::Skipped, Some(detail)).await?;
        }
    }
    Ok(Found { trails: trails.into_values().collect(), refused })
}

async fn trails_of_region(errand: &Errand, region: &Region) -> Result<Option<Vec<Trail>>, Halt> {
    let account = errand.caller().account;
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().cloudtrail(region);
    let call = Call::new(NAME, "cloudtrail", "DescribeTrails", account, region).with("includeShadowTrails", "true");
    let answer = errand
        .recorder
        .call(
            &call,
            1,
            |_| true,
            |tap| client.describe_trails().include_shadow_trails(true).customize().interceptor(tap).send(),
        )
        .await?;
    let output = match answer {
        Ok(output) => output,
        Err(failure) => {
            errand.failed(&row, "DescribeTrails", &failure).await?;
            return Ok(None);
        }
    };
    let mut trails = Vec::new();
    for trail in output.trail_list() {
        let arn = trail.trail_arn().and_then(|arn| arn.parse::<TrailArn>().ok());
        let (Some(arn), Some(bucket)) = (arn, trail.s3_bucket_name()) else {
            let name = printable(trail.trail_arn().or(trail.name()).unwrap_or("without a name"));
            let failure = Failure::found(FailureKind::Other, "the answer names no ARN or no bucket for it");
            errand.failed(&row, &format!("trail {name}"), &failure).await?;
            continue;
        };
        trails.push(Trail {
            arn,
            bucket: bucket.to_owned(),
            prefix: trail.s3_key_prefix().map(str::to_owned),
            multi_region: trail.is_multi_region_trail() == Some(true),
            validated: trail.log_file_validation_enabled() == Some(true),
            key: trail.kms_key_id().map(str::to_owned),
        });
    }
    Ok(Some(trails))
}

/// The ARNs of all trails of the account, wherever they are at home.
async fn list_trails(errand: &Errand) -> Result<BTreeSet<TrailArn>, Halt> {
    let (account, region) = (errand.caller().account, errand.session().region().clone());
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().cloudtrail(&region);
    let call = Call::new(NAME, "cloudtrail", "ListTrails", account, &region);
    let mut arns = BTreeSet::new();
    every_page_or_gap(
        errand,
        &row,
        &call,
        |token, tap| client.list_trails().set_next_token(token).customize().interceptor(tap).send(),
        |output: &aws_sdk_cloudtrail::operation::list_trails::ListTrailsOutput| output.next_token(),
        |output| arns.extend(output.trails().iter().filter_map(|trail| trail.trail_arn()?.parse::<TrailArn>().ok())),
    )
    .await?;
    Ok(arns)
}

/// Asks all there is to know about one trail, and notes what is switched off.
pub(super) async fn question(errand: &Arc<Errand>, trail: &Trail) -> Result<Standing, Halt> {
    let home = trail.arn.home_region().clone();
    let (name, account) = (trail.arn.to_string(), errand.caller().account);
    let row = RowKey { source: NAME, account: Some(account), region: Some(home.clone()) };
    let client = errand.session().cloudtrail(&home);
    let permit = errand.discovery().await?;
    if !trail.validated {
        let detail = "CloudTrail writes no digests for it, so nothing can be proven about its logs";
        errand.gap(&row, &format!("log file validation of {name}"), GapReason::NotEnabled, Some(detail)).await?;
    }
    let call = |operation| Call::new(NAME, "cloudtrail", operation, account, &home);

    let asked = call("GetEventSelectors").with("TrailName", name.clone());
    let answer = errand
        .recorder
        .call(&asked, 1, |_| true, |tap| client.get_event_selectors().trail_name(&name).customize().interceptor(tap).send())
        .await?;
    if let Err(failure) = answer {
        errand.failed(&row, &format!("GetEventSelectors of {name}"), &failure).await?;
    }

    let asked = call("GetInsightSelectors").with("TrailName", name.clone());
    let answer = errand
        .recorder
        .call(&asked, 1, |_| true, |tap| client.get_insight_selectors().trail_name(&name).customize().interceptor(tap).send())
        .await?;
    if let Err(failure) = answer {
        errand.failed(&row, &format!("GetInsightSelectors of {name}"), &failure).await?;
    }

    let asked = call("ListTags").with("ResourceIdList", name.clone());
    let answer = errand
        .recorder
        .call(&asked, 1, |_| true, |tap| client.list_tags().resource_id_list(&name).customize().interceptor(tap).send())
        .await?;
    if let Err(failure) = answer {
        errand.failed(&row, &format!("ListTags of {name}"), &failure).await?;
    }

    describe_keys(errand, NAME, &home, trail.key.iter().cloned().collect()).await?;
    drop(permit);
    let mut regions: BTreeSet<Region> = [home.clone()].into();
    if trail.multi_region {
        regions.extend(errand.regions.iter().cloned());
    }
    let mut standing = Standing { logging: true, outage: None };
    for region in regions {
        let permit = errand.discovery().await?;
        if let Some(at_home) = status(errand, trail, &region, region == home).await? {
            standing = at_home;
        }
        drop(permit);
    }
    Ok(standing)
}

/// The state of a trail in one of its regions; how it stands, where that is its home.
async fn status(errand: &Errand, trail: &Trail, region: &Region, home: bool) -> Result<Option<Standing>, Halt> {
    let (name, account) = (trail.arn.to_string(), errand.caller().account);
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().cloudtrail(region);
    let asked = Call::new(NAME, "cloudtrail", "GetTrailStatus", account, region).with("Name", name.clone());
    let answer = errand
        .recorder
        .call(&asked, 1, |_| true, |tap| client.get_trail_status().name(&name).customize().interceptor(tap).send())
        .await?;
    let output = match answer {
        Ok(output) => output,
        Err(failure) => {
            errand.failed(&row, &format!("GetTrailStatus of {name}"), &failure).await?;
            return Ok(None);
        }
    };
    if home && output.is_logging() == Some(false) {
        let since = output.stop_logging_time().and_then(crate::aws::timestamp);
        let since = since.map_or_else(String::new, |since| format!(" since {since}"));
        let detail = format!("the trail has been switched off{since}");
        errand.gap(&row, &format!("logging of {name}"), GapReason::NotEnabled, Some(&detail)).await?;
    }
    let last = output.latest_delivery_time().and_then(crate::aws::timestamp);
    if home && last.is_none_or(|last| last < errand.window().start()) {
        let last = last.map_or_else(|| "never".to_owned(), |last| format!("last at {last}"));
        let detail = format!("the trail has delivered {last}, before the window");
        errand.gap(&row, &format!("deliveries of {name}"), GapReason::Empty, Some(&detail)).await?;
    }
    Ok(home.then(|| standing(&output, errand.window())))
}

/// Reads out of a status when in the window the trail was off. It names the last time only.
fn standing(output: &GetTrailStatusOutput, window: Window) -> Standing {
    let logging = output.is_logging() != Some(false);
    let stopped = output.stop_logging_time().and_then(crate::aws::timestamp);
    let started = output.start_logging_time().and_then(crate::aws::timestamp);
    let outage = stopped.map(|stopped| (stopped, started.filter(|started| *started > stopped).unwrap_or(window.end())));
    Standing { logging, outage: outage.filter(|(from, to)| window.overlaps(*from, *to)) }
}
