//! Which trails there are, by the word of every region, and how each stands. Those that AWS does not know any more are for `traces`.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use tokio::task::JoinSet;

use crate::aws::{Call, Failure, FailureKind, Halt};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{AccountId, Region, Timestamp, TrailArn, printable};

use super::super::errand::Errand;
use super::super::kms::describe_keys;
use super::super::pages::every_page_or_gap;
use super::super::tally::RowKey;
use super::NAME;
use super::coverage::records_management;
use super::folders::{DIGESTS, LOGS};

/// A trail, as `DescribeTrails` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trail {
    pub(super) arn: TrailArn,
    pub(super) bucket: String,
    pub(super) prefix: Option<String>,
    multi_region: bool,
    validated: bool,
    /// Whether it delivers for a whole organization, to folders below the organization's.
    of_organization: bool,
    /// The KMS key under which it delivers.
    key: Option<String>,
}

impl Trail {
    #[cfg(test)]
    pub(super) fn in_all_regions(arn: TrailArn) -> Self {
        let (bucket, prefix, key) = ("example-logs".to_owned(), None, None);
        Self { arn, bucket, prefix, multi_region: true, validated: true, of_organization: false, key }
    }

    /// Whether the trail records what happens in a region.
    pub(super) fn records(&self, region: &Region) -> bool {
        self.multi_region || self.arn.home_region() == region
    }

    /// The kinds of files that it delivers to the folder of an account, as far as its configuration says.
    pub(super) fn kinds_of(&self, account: AccountId) -> Vec<&'static str> {
        match (self.of_organization || self.arn.account() != account, self.validated) {
            (true, _) => Vec::new(),
            (false, false) => vec![LOGS],
            (false, true) => vec![DIGESTS, LOGS],
        }
    }
}

/// How a trail stands, as its status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it records now, as far as is known.
    pub(super) logging: bool,
    /// When it was last switched on.
    pub(super) started: Option<Timestamp>,
    /// When it was last switched off.
    pub(super) stopped: Option<Timestamp>,
    /// Whether it records all management events now, as far as is known.
    pub(super) management: bool,
}

/// What asking every region for its trails came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// How many there are.
    pub(super) trails: usize,
    /// Whether some region did not answer, so that none found does not mean none there.
    pub(super) refused: bool,
}

/// Asks every region in scope for the trails that concern it, those of other home regions included; tells of each once.
pub(super) async fn find(errand: &Arc<Errand>, mut tell: impl FnMut(Trail)) -> Result<Found, Halt> {
    let mut tasks = JoinSet::new();
    for region in errand.regions.clone() {
        let errand = Arc::clone(errand);
        tasks.spawn(async move {
            let permit = errand.discovery().await?;
            let found = trails_of_region(&errand, &region).await;
            drop(permit);
            found.map(|found| (region, found))
        });
    }
    let (mut trails, mut refused) = (BTreeSet::new(), BTreeSet::new());
    let describing = async {
        while let Some(done) = tasks.join_next().await {
            match done?? {
                (_, Some(found)) => found.into_iter().filter(|trail| trails.insert(trail.arn.clone())).for_each(&mut tell),
                (region, None) => drop(refused.insert(region)),
            }
        }
        Ok(())
    };
    let ((), named) = tokio::try_join!(describing, list_trails(errand))?;
    let account = errand.caller().account;
    let only = errand.request.scope.trail_arn.as_ref();
    for arn in named.iter().filter(|arn| !trails.contains(*arn)) {
        let row = RowKey { source: NAME, account: Some(account), region: Some(arn.home_region().clone()) };
        let (reason, detail) = if errand.wants_region(arn.home_region()) {
            // That nobody could ask at its home is told already.
            if only.is_some_and(|only| only != arn) || refused.contains(arn.home_region()) {
                continue;
            }
            (GapReason::Failed, "AWS lists it, and did not describe it: where it delivers is not known")
        } else {
            // Its home region is out of scope and it is not in any region of the scope: nothing of it is asked for.
            (GapReason::Skipped, "the trail records only regions that were left out of scope")
        };
        errand.gap(&row, &format!("trail {arn}"), reason, Some(detail)).await?;
    }
    Ok(Found { trails: trails.len(), refused: !refused.is_empty() })
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
            of_organization: trail.is_organization_trail() == Some(true),
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

/// Asks one question about a trail and keeps the answer.
macro_rules! ask {
    ($errand:ident, $row:ident, $home:ident, $client:ident, $name:ident, $operation:literal, $parameter:literal,
        $method:ident, $set:ident) => {
        // In a place of its own: the futures of all the questions together would be large.
        Box::pin(async {
            let account = $errand.caller().account;
            let asked = Call::new(NAME, "cloudtrail", $operation, account, $home).with($parameter, $name.as_str());
            let send = |tap| $client.$method().$set($name.as_str()).customize().interceptor(tap).send();
            let answer = $errand.recorder.call(&asked, 1, |_| true, send).await?;
            if let Err(failure) = &answer {
                $errand.failed(&$row, &Subject::answer_about($operation, &$name), failure).await?;
            }
            Ok::<_, Halt>(answer.ok())
        })
    };
}

/// Asks all there is to know about one trail, and notes what is switched off.
pub(super) async fn question(errand: &Arc<Errand>, trail: &Trail) -> Result<Standing, Halt> {
    let home = trail.arn.home_region();
    let row = RowKey { source: NAME, account: Some(errand.caller().account), region: Some(home.clone()) };
    if !trail.validated {
        let (what, detail) = (
            format!("log file validation of {}", trail.arn),
            "CloudTrail writes no digests for it, so nothing can be proven about its logs",
        );
        errand.gap(&row, &what, GapReason::NotEnabled, Some(detail)).await?;
    }
    // Side by side: what they ask is independent.
    let keys = describe_keys(errand, NAME, home, trail.key.iter().cloned().collect());
    let (management, (), standing) =
        tokio::try_join!(configuration(errand, trail, &row), keys, standing_in_all_regions(errand, trail))?;
    Ok(Standing { management, ..standing })
}

/// Keeps what a trail records, and its tags; says whether it records all management events, as far as is known.
async fn configuration(errand: &Errand, trail: &Trail, row: &RowKey) -> Result<bool, Halt> {
    let (name, home) = (trail.arn.to_string(), trail.arn.home_region());
    let client = errand.session().cloudtrail(home);
    let _permit = errand.discovery().await?;
    let (selectors, ..) = tokio::try_join!(
        ask!(errand, row, home, client, name, "GetEventSelectors", "TrailName", get_event_selectors, trail_name),
        ask!(errand, row, home, client, name, "GetInsightSelectors", "TrailName", get_insight_selectors, trail_name),
        ask!(errand, row, home, client, name, "ListTags", "ResourceIdList", list_tags, resource_id_list),
    )?;
    Ok(selectors.is_none_or(|selectors| records_management(&selectors)))
}

/// Asks for the state of a trail in every region that it is of; gives how it stands at home.
async fn standing_in_all_regions(errand: &Arc<Errand>, trail: &Trail) -> Result<Standing, Halt> {
    let home = trail.arn.home_region();
    let mut regions: BTreeSet<Region> = [home.clone()].into();
    if trail.multi_region {
        regions.extend(errand.regions.iter().cloned());
    }
    let mut tasks = JoinSet::new();
    for region in regions {
        let (errand, trail) = (Arc::clone(errand), trail.clone());
        tasks.spawn(async move {
            let permit = errand.discovery().await?;
            let at_home = status(&errand, &trail, &region, region == *trail.arn.home_region()).await;
            drop(permit);
            at_home
        });
    }
    let mut standing = Standing { logging: true, started: None, stopped: None, management: true };
    while let Some(done) = tasks.join_next().await {
        if let Some(at_home) = done?? {
            standing = at_home;
        }
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
            errand.failed(&row, &Subject::answer_about("GetTrailStatus", &name), &failure).await?;
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
    Ok(home.then(|| standing(&output)))
}

/// Reads a status.
fn standing(output: &GetTrailStatusOutput) -> Standing {
    Standing {
        logging: output.is_logging() != Some(false),
        started: output.start_logging_time().and_then(crate::aws::timestamp),
        stopped: output.stop_logging_time().and_then(crate::aws::timestamp),
        management: true,
    }
}
