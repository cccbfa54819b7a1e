//! Flow logs that are delivered to CloudWatch Logs.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::operation::describe_log_groups::DescribeLogGroupsOutput;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;

use crate::aws::{Call, FailureKind, Halt};
use crate::case::event::GapReason;
use crate::model::{AccountId, Region, Timestamp, printable};

use super::super::errand::Errand;
use super::super::keys::hours;
use super::super::pages::{every_page, every_page_or_gap};
use super::super::tally::RowKey;
use super::NAME;
use super::statuses::{Statuses, status_field};

/// A record's time is the start of its flow, which may have begun ten minutes before the window.
const BEFORE: i64 = 10 * 60;

/// Log groups of a region, each with the format of its records.
pub(super) type Groups = BTreeMap<String, Option<String>>;

/// Keeps the configuration and the records of a log group.
pub(super) async fn collect(
    errand: &Errand,
    account: AccountId,
    region: &Region,
    group: &str,
    format: Option<&str>,
) -> Result<(), Halt> {
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = errand.session().logs(region);
    let call = Call::new(NAME, "logs", "DescribeLogGroups", account, region).with("logGroupNamePrefix", group);
    let mut there = false;
    let answered = every_page_or_gap(
        errand,
        &row,
        &call,
        |token, tap| {
            let asked = client.describe_log_groups().log_group_name_prefix(group).set_next_token(token);
            asked.customize().interceptor(tap).send()
        },
        |output: &DescribeLogGroupsOutput| output.next_token(),
        |output| there |= output.log_groups().iter().any(|found| found.log_group_name() == Some(group)),
    )
    .await?;
    let what = format!("records in log group {}", printable(group));
    if answered && !there {
        let detail = "the log group does not exist (any more), so the records in it are gone";
        return errand.gap(&row, &what, GapReason::Failed, Some(detail)).await;
    }
    let (window, status_at) = (errand.window(), status_field(format));
    let (mut records, mut statuses) = (0_usize, Statuses::default());
    // Hour by hour, so that an interrupted run goes on at the hour where it stopped.
    let slices = hours(window.start().plus_seconds(-BEFORE), window.end());
    let all = slices.len();
    for (number, (from, to)) in slices.into_iter().enumerate() {
        if errand.is_plan() && number > 0 {
            // One question shows whether the permission is there.
            errand.expect_requests(u64::try_from(all - number).unwrap_or(u64::MAX));
            return Ok(());
        }
        // Both ends are inclusive, and to the millisecond.
        let (start, end) = (milliseconds(from), milliseconds(to) + if to < window.end() { 999 } else { 0 });
        let call = Call::new(NAME, "logs", "FilterLogEvents", account, region)
            .with("logGroupName", group)
            .with("startTime", start.to_string())
            .with("endTime", end.to_string());
        let answered = every_page(
            errand,
            &call,
            |token, tap| {
                let asked = client.filter_log_events().log_group_name(group).start_time(start).end_time(end);
                asked.set_next_token(token).customize().interceptor(tap).send()
            },
            |output: &FilterLogEventsOutput| output.next_token(),
            |output| {
                records += output.events().len();
                for message in output.events().iter().filter_map(|event| event.message()) {
                    statuses.take(message, status_at);
                }
            },
        );
        if let Err(failure) = answered.await? {
            errand.failed(&row, &format!("{what} from {from} to {to}"), &failure).await?;
            if failure.kind == FailureKind::Denied {
                // The other hours would be refused as well.
                return Ok(());
            }
        }
    }
    if records == 0 {
        errand.gap(&row, &what, GapReason::Empty, Some("the group holds none of the window")).await?;
    }
    if let Some(text) = statuses.sentence(&format!("log group {}", printable(group)), 0) {
        errand.notice(&row, text).await?;
    }
    Ok(())
}

fn milliseconds(at: Timestamp) -> i64 {
    at.instant().timestamp_millis()
}
