//! VPC Flow Logs: which there are, their records in S3 and CloudWatch Logs, and the networks that they speak of.

mod context;
mod log_groups;
mod places;
mod statuses;
mod traces;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_sdk_ec2::operation::describe_flow_logs::DescribeFlowLogsOutput;
use aws_sdk_ec2::types::{FlowLog, LogDestinationType};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::aws::{Call, Halt, ListQuery, ListedObject};
use crate::case::event::GapReason;
use crate::case::gap::{self, Subject};
use crate::model::{AccountId, Region, printable};

use super::Source;
use super::bucket::{self, LogBucket};
use super::errand::{Errand, join_all};
use super::log_files::{DayLayout, StampRange, file_name, flow_name};
use super::pages::every_page_or_gap;
use super::sweep::{Choose, Chosen, Sweep, sweep};
use super::tally::RowKey;
use super::unasked::say_not_asked;
use super::versions::{InScope, sweep_versions};
use log_groups::Groups;
pub(super) use traces::Traces;

pub(super) const NAME: &str = "flow-logs";
/// A file holds the records of the five minutes that start at its stamp.
const BEFORE: i64 = 5 * 60;
/// A record may be aggregated over ten minutes, and files are delivered within the hour.
const AFTER: i64 = 10 * 60 + 3600;

/// Log groups that are read at once: each takes as long as it has records.
const GROUPS: usize = 8;

/// The source `flow-logs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowLogs;

impl Source for FlowLogs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "VPC flow logs: their configuration, their records in S3 and CloudWatch Logs, and the networks they are of"
    }

    fn gather(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(gather(errand))
    }

    fn conclude(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(async move {
            // Among the logs of trails, whose buckets are known only when these have been gone through.
            for folder in errand.notes.traces.take_folders() {
                places::sweep_folder(&errand, folder).await?;
            }
            places::sweep_named(&errand).await?;
            errand.notes.traces.say(&errand).await?;
            say_not_asked(&errand, NAME, "flow logs").await
        })
    }
}

/// Where flow logs of one account and region lie; several may share a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    bucket: String,
    prefix: String,
    hive: bool,
    region: Region,
}

impl Place {
    /// Two flow logs may deliver to one place, and two identities see it.
    fn claim(&self) -> String {
        format!("{NAME} in s3://{}/{}", self.bucket, self.prefix)
    }
}

async fn gather(errand: Arc<Errand>) -> Result<(), Halt> {
    let account = errand.caller().account;
    if !errand.wants_account(account) {
        let row = RowKey { source: NAME, account: Some(account), region: None };
        return errand.gap(&row, "flow logs", GapReason::Skipped, Some("the account was left out of scope")).await;
    }
    let (mut asking, mut tasks) = (JoinSet::new(), JoinSet::new());
    for region in errand.regions.clone() {
        let (of_flows, of_networks, place) = (Arc::clone(&errand), Arc::clone(&errand), region.clone());
        asking.spawn(async move {
            let permit = of_flows.discovery().await?;
            let described = describe(&of_flows, account, &region).await?;
            drop(permit);
            Ok::<_, Halt>((region, described))
        });
        tasks.spawn(async move {
            let permit = of_networks.survey().await?;
            let collected = context::collect(&of_networks, account, &place).await;
            drop(permit);
            collected
        });
    }
    let (mut places, reading) = (BTreeSet::new(), Arc::new(Semaphore::new(GROUPS)));
    while let Some(done) = asking.join_next().await {
        let (region, described) = done??;
        places.extend(described.places);
        for ((owner, group), format) in described.groups {
            let (errand, reading, region) = (Arc::clone(&errand), Arc::clone(&reading), region.clone());
            tasks.spawn(async move {
                let permit = reading.acquire().await.map_err(|_| Halt::Closed)?;
                let collected = log_groups::collect(&errand, owner, &region, &group, format.as_deref()).await;
                drop(permit);
                collected
            });
        }
    }
    let mut buckets: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for place in places {
        buckets.entry(place.bucket.clone()).or_default().push(place);
    }
    for (bucket, places) in buckets {
        let errand = Arc::clone(&errand);
        tasks.spawn(async move { sweep_bucket(&errand, account, &bucket, places).await });
    }
    join_all(&mut tasks).await
}

async fn sweep_bucket(errand: &Arc<Errand>, account: AccountId, bucket: &str, places: Vec<Place>) -> Result<(), Halt> {
    let mut tasks = JoinSet::new();
    let Some(log_bucket) = bucket::describe(errand, &mut tasks, NAME, account, bucket).await? else { return Ok(()) };
    for place in places.clone() {
        if errand.notes.claim(place.claim()) {
            let (errand, log_bucket) = (Arc::clone(errand), log_bucket.clone());
            tasks.spawn(async move { sweep_place(&errand, account, &log_bucket, place, true).await });
        }
    }
    let (errand, bucket) = (Arc::clone(errand), bucket.to_owned());
    tasks.spawn(async move { places::sweep_beside(&errand, account, &bucket, &log_bucket, &places).await });
    join_all(&mut tasks).await
}

/// The flow logs of a region, by where their records lie.
#[derive(Debug, Default)]
struct Described {
    places: Vec<Place>,
    groups: Groups,
}

/// Where the records of a flow log lie.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    S3(Place),
    /// A log group, and the account that it lies in.
    Group(AccountId, String),
    /// Out of reach, with where it is.
    Elsewhere(String),
}

/// Asks a region for its flow logs; records that lie out of reach become gaps.
async fn describe(errand: &Errand, account: AccountId, region: &Region) -> Result<Described, Halt> {
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeFlowLogs", account, region).with("MaxResults", "1000");
    let mut flow_logs = Vec::new();
    let answered = every_page_or_gap(
        errand,
        &row,
        &call,
        |token, tap| client.describe_flow_logs().max_results(1000).set_next_token(token).customize().interceptor(tap).send(),
        |output: &DescribeFlowLogsOutput| output.next_token(),
        |output| flow_logs.extend(output.flow_logs().iter().cloned()),
    )
    .await?;
    if answered {
        let ids = flow_logs.iter().filter_map(|flow_log| flow_log.flow_log_id().map(str::to_owned));
        errand.notes.traces.describes(account, region, ids);
    }
    if answered && flow_logs.is_empty() {
        errand.gap(&row, "flow logs", GapReason::NotEnabled, Some("the region has no flow log now")).await?;
    }
    let mut described = Described::default();
    for flow_log in &flow_logs {
        let id = printable(flow_log.flow_log_id().unwrap_or("without an id"));
        match destination(flow_log, account, region) {
            Destination::S3(place) => described.places.push(place),
            Destination::Group(owner, group) if log_groups::asker(errand, owner).is_some() => {
                described.groups.insert((owner, group), flow_log.log_format().map(str::to_owned));
            }
            Destination::Group(owner, _) => {
                let place = format!(
                    "they lie in {}, in account {owner}, and the run does not ask as that account: name a role of it (--role-arn)",
                    printable(flow_log.log_destination().unwrap_or_default())
                );
                errand.gap(&row, &format!("records of flow log {id}"), GapReason::Failed, Some(&place)).await?;
            }
            Destination::Elsewhere(place) => {
                errand.gap(&row, &format!("records of flow log {id}"), GapReason::Failed, Some(&place)).await?;
            }
        }
        if let Some(problem) = flow_log.deliver_logs_error_message() {
            let detail = format!("AWS could not deliver them: {}", printable(problem));
            errand.gap(&row, &format!("some records of flow log {id}"), GapReason::Failed, Some(&detail)).await?;
        }
    }
    Ok(described)
}

/// Where the records of a flow log lie.
fn destination(flow_log: &FlowLog, account: AccountId, region: &Region) -> Destination {
    let target = flow_log.log_destination().unwrap_or_default();
    match flow_log.log_destination_type() {
        Some(LogDestinationType::S3) => {}
        Some(LogDestinationType::CloudWatchLogs) => {
            // Either field names it; the ARN ends in the group, or in `:*` after it.
            let (place, named) = target.split_once(":log-group:").unzip();
            let named = named.map(|group| group.trim_end_matches(":*"));
            // The field names no account; the ARN does, and it may be another one.
            let owner = place.and_then(|place| place.rsplit(':').next()?.parse().ok()).unwrap_or(account);
            return match flow_log.log_group_name().or(named).filter(|group| !group.is_empty()) {
                Some(group) => Destination::Group(owner, group.to_owned()),
                None => Destination::Elsewhere("they lie in a CloudWatch Logs group that is not named".to_owned()),
            };
        }
        Some(LogDestinationType::KinesisDataFirehose) => {
            return Destination::Elsewhere(format!(
                "they go to the Firehose stream {}, and from there to wherever that stream delivers; its configuration, and the \
                 records at its end, have to be collected there",
                printable(target)
            ));
        }
        other => {
            let kind = other.map_or("another destination", LogDestinationType::as_str);
            return Destination::Elsewhere(format!("they go to {} {}", printable(kind), printable(target)));
        }
    }
    let Some(resource) = target.split(":::").nth(1) else {
        return Destination::Elsewhere(format!("its destination {} is not a bucket", printable(target)));
    };
    let (bucket, folder) = resource.split_once('/').unwrap_or((resource, ""));
    let folder = folder.trim_end_matches('/');
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let options = flow_log.destination_options();
    let hive = options.and_then(aws_sdk_ec2::types::DestinationOptionsResponse::hive_compatible_partitions) == Some(true);
    let layout = if hive { DayLayout::Hive } else { DayLayout::Plain };
    Destination::S3(places::place_of(bucket, &places::folder_of(&folder, account, layout), region, layout))
}

/// Sweeps a place; `is_known` says whether a flow log delivers there now.
async fn sweep_place(
    errand: &Arc<Errand>,
    account: AccountId,
    log_bucket: &LogBucket,
    place: Place,
    is_known: bool,
) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(account), region: Some(place.region.clone()) };
    let range = StampRange::around(errand.window(), BEFORE, AFTER, BEFORE);
    // Hours, where there are any, lie below days, and the file's name has the stamp in every layout.
    let layout = if place.hive { DayLayout::Hive } else { DayLayout::Plain };
    let (statuses, on_body) = statuses::counting();
    let listing = Sweep {
        row: row.clone(),
        query: ListQuery {
            source: NAME,
            account,
            region: log_bucket.region.clone(),
            bucket: place.bucket.clone(),
            prefix: place.prefix.clone(),
            folders: false,
            start_after: Some(format!("{}{}", place.prefix, range.first_folder(layout))),
        },
        stop_before: format!("{}{}", place.prefix, range.folder_after(layout)),
        rule: "files stamped from 5 minutes before the window to 70 minutes after it".to_owned(),
        what: "flow log files".to_owned(),
        on_body: Some(on_body),
    };
    let files = format!("flow log files under s3://{}/{}", place.bucket, place.prefix);
    let rule = FlowRule { errand: Arc::clone(errand), account, region: place.region.clone(), range };
    let swept = sweep(errand, &listing, &mut rule.clone()).await?;
    if is_known && swept.whole && swept.in_scope == 0 {
        let files = Subject::objects(&listing.what, gap::Place::new(&listing.query.bucket, &listing.query.prefix));
        errand.gap(&row, &files, GapReason::Empty, Some("there are none that the window asks for")).await?;
    }
    if !is_known && swept.in_scope > 0 {
        let text = format!("{} {files} were taken, though no flow log delivers there now", swept.in_scope);
        errand.notice(&row, text).await?;
    }
    let statuses = *statuses.lock();
    let unread = if errand.is_plan() { 0 } else { swept.in_scope.saturating_sub(statuses.read) };
    if let Some(text) = statuses.sentence(&files, unread) {
        errand.notice(&row, text).await?;
    }
    if log_bucket.keeps_versions().await {
        let in_scope: InScope = Arc::new(move |key| rule.is_of_window(key) == Some(true));
        sweep_versions(errand, &Sweep { on_body: None, ..listing }, in_scope).await?;
    }
    Ok(())
}

/// Chooses files by the stamp in their names.
#[derive(Clone)]
struct FlowRule {
    errand: Arc<Errand>,
    account: AccountId,
    region: Region,
    range: StampRange,
}

impl FlowRule {
    /// Whether a file is one that the window asks for, and so a trace of its flow log; nothing where its name is not one of AWS's.
    fn is_of_window(&self, key: &str) -> Option<bool> {
        let (id, stamp) = flow_name(file_name(key), self.account, &self.region)?;
        let holds = self.range.holds(stamp);
        if holds {
            self.errand.notes.traces.sees(id);
        }
        Some(holds)
    }
}

impl Choose for FlowRule {
    fn choose(&mut self, object: ListedObject) -> Chosen {
        Chosen::by_name(object, |key| self.is_of_window(key))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::DestinationOptionsResponse;

    use super::*;

    fn of(flow_log: &FlowLog) -> Destination {
        destination(flow_log, "111122223333".parse().unwrap(), &"us-east-1".parse().unwrap())
    }

    fn place(destination_arn: &str, hive: bool) -> Destination {
        let options = DestinationOptionsResponse::builder().hive_compatible_partitions(hive).build();
        let flow_log = FlowLog::builder().log_destination_type(LogDestinationType::S3).log_destination(destination_arn);
        of(&flow_log.destination_options(options).build())
    }

    #[test]
    fn the_folder_of_the_destination_stands_before_both_layouts() {
        let Destination::S3(plain) = place("arn:aws:s3:::example-flow/team/vpc/", false) else { panic!("S3") };
        assert_eq!(
            (plain.bucket.as_str(), plain.prefix.as_str()),
            ("example-flow", "team/vpc/AWSLogs/111122223333/vpcflowlogs/us-east-1/")
        );
        let Destination::S3(hive) = place("arn:aws-us-gov:s3:::example-flow", true) else { panic!("S3") };
        assert_eq!(hive.prefix, "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=us-east-1/");
    }

    #[test]
    fn a_log_group_is_named_by_either_field() {
        let group = || FlowLog::builder().log_destination_type(LogDestinationType::CloudWatchLogs);
        let named = group().log_group_name("example-group").build();
        let by_arn = group().log_destination("arn:aws:logs:us-east-1:111122223333:log-group:example-group:*").build();
        let own = || Destination::Group("111122223333".parse().unwrap(), "example-group".to_owned());
        assert_eq!([of(&named), of(&by_arn)], [own(), own()]);
        assert!(matches!(of(&group().build()), Destination::Elsewhere(_)));
    }

    #[test]
    fn a_log_group_of_another_account_is_that_accounts() {
        let arn = "arn:aws:logs:us-east-1:444455556666:log-group:example-group:*";
        let both = FlowLog::builder().log_destination_type(LogDestinationType::CloudWatchLogs).log_group_name("example-group");
        let theirs = Destination::Group("444455556666".parse().unwrap(), "example-group".to_owned());
        assert_eq!(of(&both.log_destination(arn).build()), theirs);
    }

    #[test]
    fn destinations_out_of_reach_say_where_the_records_are() {
        let firehose = FlowLog::builder()
            .log_destination_type(LogDestinationType::KinesisDataFirehose)
            .log_destination("arn:aws:firehose:us-east-1:111122223333:deliverystream/flows")
            .build();
        assert!(matches!(of(&firehose), Destination::Elsewhere(place) if place.contains("deliverystream/flows")));
        assert!(matches!(place("example-flow", false), Destination::Elsewhere(_)));
    }
}
