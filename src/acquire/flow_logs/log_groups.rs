//! Flow logs that are delivered to CloudWatch Logs.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::operation::describe_log_groups::DescribeLogGroupsOutput;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;

use crate::aws::{Call, Failure, FailureKind, Halt, Recorder};
use crate::case::event::GapReason;
use crate::case::gap::Subject;
use crate::model::{AccountId, Region, Timestamp, printable};

use super::super::errand::Errand;
use super::super::log_files::hours;
use super::super::pages::every_page_as;
use super::super::tally::RowKey;
use super::NAME;
use super::statuses::{Statuses, status_field};

/// A record's time is the start of its flow, which may have begun ten minutes before the window.
const BEFORE: i64 = 10 * 60;

/// Log groups of a region, each with whose it is and with the format of its records.
pub(super) type Groups = BTreeMap<(AccountId, String), Option<String>>;

/// As whom the log groups of an account are asked for; none where the run does not ask as it.
pub(super) fn asker(errand: &Errand, owner: AccountId) -> Option<Recorder> {
    let others = errand.notes.askers.all().iter().map(|asker| &asker.recorder);
    let mut all = std::iter::once(&errand.recorder).chain(others);
    all.find(|recorder| recorder.session().caller().account == owner).cloned()
}

/// Keeps the configuration and the records of a log group, asking as the account that it lies in.
pub(super) async fn collect(
    errand: &Errand,
    account: AccountId,
    region: &Region,
    group: &str,
    format: Option<&str>,
) -> Result<(), Halt> {
    // Flow logs of several accounts may deliver to one.
    let Some(recorder) = asker(errand, account) else { return Ok(()) };
    if !errand.notes.claim(format!("log group {group} in {region} of {account}")) {
        return Ok(());
    }
    let row = RowKey { source: NAME, account: Some(account), region: Some(region.clone()) };
    let client = recorder.session().logs(region);
    let call = Call::new(NAME, "logs", "DescribeLogGroups", account, region).with("logGroupNamePrefix", group);
    let mut there = false;
    let described = every_page_as(
        &recorder,
        &call,
        |token, tap| {
            let asked = client.describe_log_groups().log_group_name_prefix(group).set_next_token(token);
            asked.customize().interceptor(tap).send()
        },
        |output: &DescribeLogGroupsOutput| output.next_token(),
        |output| there |= output.log_groups().iter().any(|found| found.log_group_name() == Some(group)),
    )
    .await?;
    if let Err(failure) = &described {
        errand.failed(&row, call.operation, failure).await?;
    }
    let what = Subject::records(group, None);
    if described.is_ok() && !there {
        let detail = "the log group does not exist (any more), so the records in it are gone";
        return errand.gap(&row, &what, GapReason::Failed, Some(detail)).await;
    }
    let (window, status_at) = (errand.window(), status_field(format));
    let (mut records, mut statuses) = (0_usize, Statuses::default());
    let (mut refusal, mut missing, mut failed) = (None::<Failure>, Vec::new(), false);
    // Hour by hour, so that an interrupted run goes on at the hour where it stopped.
    let slices = hours(window.start().plus_seconds(-BEFORE), window.end());
    let all = slices.len();
    for (number, (from, to)) in slices.into_iter().enumerate() {
        // Both ends are inclusive, and to the millisecond.
        let (start, end) = (milliseconds(from), milliseconds(to) + if to < window.end() { 999 } else { 0 });
        let call = Call::new(NAME, "logs", "FilterLogEvents", account, region)
            .with("logGroupName", group)
            .with("startTime", start.to_string())
            .with("endTime", end.to_string());
        if refusal.is_some() && !recorder.holds(&call) {
            // It would be refused as well.
            miss(&mut missing, (from, to));
            continue;
        }
        if errand.is_plan() && number > 0 {
            // One question shows whether the permission is there.
            errand.expect_requests(u64::try_from(all - number).unwrap_or(u64::MAX));
            return Ok(());
        }
        let answered = every_page_as(
            &recorder,
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
            failed = true;
            if failure.kind == FailureKind::Denied {
                miss(&mut missing, (from, to));
                refusal = Some(failure);
            } else {
                errand.failed(&row, &Subject::records(group, Some((from, to))), &failure).await?;
            }
        }
    }
    if let Some(refusal) = refusal {
        for stretch in missing {
            errand.failed(&row, &Subject::records(group, Some(stretch)), &refusal).await?;
        }
    }
    if records == 0 && !failed {
        errand.gap(&row, &what, GapReason::Empty, Some("the group holds none of the window")).await?;
    }
    if let Some(text) = statuses.sentence(&format!("log group {}", printable(group)), 0) {
        errand.notice(&row, text).await?;
    }
    Ok(())
}

/// Notes one more stretch of time that is missing: one that follows the last is one with it.
fn miss(missing: &mut Vec<(Timestamp, Timestamp)>, (from, to): (Timestamp, Timestamp)) {
    match missing.last_mut() {
        Some((_, last)) if last.plus_seconds(1) == from => *last = to,
        _ => missing.push((from, to)),
    }
}

fn milliseconds(at: Timestamp) -> i64 {
    at.instant().timestamp_millis()
}
