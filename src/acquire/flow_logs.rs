//! VPC Flow Logs: which there are, and the files of those that are delivered to S3.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aws_sdk_ec2::types::{FlowLog, LogDestinationType};
use tokio::task::JoinSet;

use crate::aws::{Call, Failure, FailureKind, Halt, ListQuery, ListedObject};
use crate::case::event::GapReason;
use crate::model::{AccountId, Region, printable};

use super::Source;
use super::bucket::{self, LogBucket};
use super::errand::{Errand, join_all};
use super::keys::{DayLayout, StampRange, flow_stamp};
use super::sweep::{Choose, Chosen, Sweep, sweep};
use super::tally::RowKey;
use super::versions::{InScope, sweep_versions};

const NAME: &str = "flow-logs";
/// A file holds the records of the five minutes that start at its stamp.
const BEFORE: i64 = 5 * 60;
/// A record may be aggregated over ten minutes, and files are delivered within the hour.
const AFTER: i64 = 10 * 60 + 3600;

/// The source `flow-logs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowLogs;

impl Source for FlowLogs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "VPC flow logs: their configuration, and the files of those delivered to S3"
    }

    fn gather(&self, errand: Arc<Errand>) -> Pin<Box<dyn Future<Output = Result<(), Halt>> + Send>> {
        Box::pin(gather(errand))
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

async fn gather(errand: Arc<Errand>) -> Result<(), Halt> {
    let account = errand.caller().account;
    if !errand.wants_account(account) {
        let row = RowKey { source: NAME, account: Some(account), region: None };
        return errand.gap(&row, "flow logs", GapReason::Skipped, Some("the account was left out of scope")).await;
    }
    let mut tasks = JoinSet::new();
    for region in errand.regions.clone() {
        let errand = Arc::clone(&errand);
        tasks.spawn(async move {
            let permit = errand.discovery().await?;
            let places = describe(&errand, account, &region).await;
            drop(permit);
            places
        });
    }
    let mut places = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        places.extend(done.map_err(|_| Halt::TaskLost)??);
    }
    let buckets: BTreeSet<String> = places.iter().map(|place| place.bucket.clone()).collect();
    let mut sweeps = JoinSet::new();
    for bucket in buckets {
        let Some(log_bucket) = bucket::describe(&errand, NAME, account, &bucket).await? else { continue };
        for place in places.iter().filter(|place| place.bucket == bucket).cloned() {
            let (errand, log_bucket) = (Arc::clone(&errand), log_bucket.clone());
            sweeps.spawn(async move {
                let permit = errand.discovery().await?;
                let swept = sweep_place(&errand, account, &log_bucket, place).await;
                drop(permit);
                swept
            });
        }
    }
    join_all(&mut sweeps).await
}

/// Asks a region for its flow logs; gives the places in S3, and gaps for records that lie elsewhere.
async fn describe(errand: &Errand, account: AccountId, region: &Region) -> Result<Vec<Place>, Halt> {
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().ec2(region);
    let call = Call::new(NAME, "ec2", "DescribeFlowLogs", account, region).with("MaxResults", "1000");
    let (mut places, mut count, mut token, mut page) = (Vec::new(), 0_u64, None::<String>, 1);
    loop {
        let answer = errand
            .recorder
            .call(
                &call,
                page,
                |output: &aws_sdk_ec2::operation::describe_flow_logs::DescribeFlowLogsOutput| {
                    output.next_token().is_none_or(str::is_empty)
                },
                |tap| {
                    let asked = client.describe_flow_logs().max_results(1000).set_next_token(token.clone());
                    asked.customize().interceptor(tap).send()
                },
            )
            .await?;
        let output = match answer {
            Ok(output) => output,
            Err(failure) => {
                errand.failed(&row, "DescribeFlowLogs", &failure).await?;
                return Ok(places);
            }
        };
        for flow_log in output.flow_logs() {
            count += 1;
            match destination(flow_log, account, region) {
                Ok(place) => places.push(place),
                Err(elsewhere) => {
                    let what = format!("records of flow log {}", printable(flow_log.flow_log_id().unwrap_or("without an id")));
                    errand.gap(&row, &what, GapReason::Failed, Some(&elsewhere)).await?;
                }
            }
        }
        let next = output.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
        if next.is_none() {
            break;
        }
        if next == token {
            let failure =
                Failure::found(FailureKind::Other, "the answer repeats itself: the same continuation token came twice");
            errand.failed(&row, "DescribeFlowLogs", &failure).await?;
            break;
        }
        (token, page) = (next, page + 1);
    }
    if count == 0 {
        errand.gap(&row, "flow logs", GapReason::NotEnabled, Some("the region has no flow log")).await?;
    }
    Ok(places)
}

/// The place in S3 to which a flow log is delivered, or in words where else its records lie.
fn destination(flow_log: &FlowLog, account: AccountId, region: &Region) -> Result<Place, String> {
    let target = flow_log.log_destination().unwrap_or_default();
    match flow_log.log_destination_type() {
        Some(LogDestinationType::S3) => {}
        Some(LogDestinationType::CloudWatchLogs) => {
            let group = flow_log.log_group_name().unwrap_or(target);
            return Err(format!(
                "they lie in the CloudWatch Logs group {}, which this version does not collect from",
                printable(group)
            ));
        }
        other => {
            let kind = other.map_or("another destination", LogDestinationType::as_str);
            return Err(format!("they go to {kind} {}, which this version does not collect from", printable(target)));
        }
    }
    let resource =
        target.split(":::").nth(1).ok_or_else(|| format!("its destination {} is not a bucket", printable(target)))?;
    let (bucket, folder) = resource.split_once('/').unwrap_or((resource, ""));
    let folder = folder.trim_end_matches('/');
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let options = flow_log.destination_options();
    let hive = options.and_then(aws_sdk_ec2::types::DestinationOptionsResponse::hive_compatible_partitions) == Some(true);
    let prefix = if hive {
        format!("{folder}AWSLogs/aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/")
    } else {
        format!("{folder}AWSLogs/{account}/vpcflowlogs/{region}/")
    };
    Ok(Place { bucket: bucket.to_owned(), prefix, hive, region: region.clone() })
}

async fn sweep_place(errand: &Arc<Errand>, account: AccountId, log_bucket: &LogBucket, place: Place) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(account), region: Some(place.region.clone()) };
    let range = StampRange::around(errand.window(), BEFORE, AFTER, BEFORE);
    // Hours, where there are any, lie below days, and the file's name has the stamp in every layout.
    let layout = if place.hive { DayLayout::Hive } else { DayLayout::Plain };
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
        on_body: None,
    };
    let swept = sweep(errand, &listing, &mut FlowRule { account, region: place.region.clone(), range }).await?;
    if swept.whole && swept.in_scope == 0 {
        let what = format!("flow log files under s3://{}/{}", place.bucket, place.prefix);
        errand.gap(&row, &what, GapReason::Empty, Some("there are none that the window asks for")).await?;
    }
    if log_bucket.keeps_versions {
        let in_scope: InScope = Arc::new(move |key| {
            let name = key.rsplit('/').next().unwrap_or_default();
            flow_stamp(name, account, &place.region).is_some_and(|stamp| range.holds(stamp))
        });
        sweep_versions(errand, &listing, in_scope).await?;
    }
    Ok(())
}

/// Chooses files by the stamp in their names.
struct FlowRule {
    account: AccountId,
    region: Region,
    range: StampRange,
}

impl Choose for FlowRule {
    fn choose(&mut self, object: ListedObject) -> Chosen {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        if name.is_empty() && object.size == 0 {
            return Chosen::InScope(Vec::new());
        }
        match flow_stamp(name, self.account, &self.region) {
            Some(stamp) if self.range.holds(stamp) => Chosen::InScope(vec![object]),
            Some(_) => Chosen::InScope(Vec::new()),
            None => Chosen::Stranger(object),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::DestinationOptionsResponse;

    use super::*;

    fn place(destination_arn: &str, hive: bool) -> Result<Place, String> {
        let options = DestinationOptionsResponse::builder().hive_compatible_partitions(hive).build();
        let flow_log = FlowLog::builder()
            .log_destination_type(LogDestinationType::S3)
            .log_destination(destination_arn)
            .destination_options(options)
            .build();
        destination(&flow_log, "111122223333".parse().unwrap(), &"us-east-1".parse().unwrap())
    }

    #[test]
    fn the_folder_of_the_destination_stands_before_both_layouts() {
        let plain = place("arn:aws:s3:::example-flow/team/vpc/", false).unwrap();
        assert_eq!(
            (plain.bucket.as_str(), plain.prefix.as_str()),
            ("example-flow", "team/vpc/AWSLogs/111122223333/vpcflowlogs/us-east-1/")
        );
        let hive = place("arn:aws-us-gov:s3:::example-flow", true).unwrap();
        assert_eq!(hive.prefix, "AWSLogs/aws-account-id=111122223333/aws-service=vpcflowlogs/aws-region=us-east-1/");
    }

    #[test]
    fn other_destinations_say_where_the_records_are() {
        let flow_log =
            FlowLog::builder().log_destination_type(LogDestinationType::CloudWatchLogs).log_group_name("example-group").build();
        let elsewhere = destination(&flow_log, "111122223333".parse().unwrap(), &"us-east-1".parse().unwrap()).unwrap_err();
        assert!(elsewhere.contains("example-group"), "{elsewhere}");
        assert!(place("example-flow", false).is_err());
    }
}
