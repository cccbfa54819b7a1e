//! What tells of flow logs that EC2 does not know any more: the event history, the folders in buckets, the names of files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::aws::Halt;
use crate::case::event::GapReason;
use crate::model::{AccountId, Region, Timestamp, printable};

use super::super::bucket::LogBucket;
use super::super::errand::Errand;
use super::super::log_files::DayLayout;
use super::super::notes::happened;
use super::super::shared::Shared;
use super::super::tally::RowKey;
use super::NAME;

/// The events of the history that name flow logs.
const EVENTS: [&str; 2] = ["CreateFlowLogs", "DeleteFlowLogs"];

/// What a run has met of flow logs, wherever it looked.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    met: Shared<Met>,
}

#[derive(Debug, Default)]
struct Met {
    folders: Vec<Folder>,
    /// Where EC2 said which there are.
    answered: BTreeSet<(AccountId, Region)>,
    /// The ids that it knows.
    described: BTreeSet<String>,
    /// The ids in the names of files of the window.
    seen: BTreeSet<String>,
    /// What the event history tells, by id.
    told: BTreeMap<String, Told>,
}

/// A folder with flow logs of an account, up to where its regions begin.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) log_bucket: LogBucket,
    pub(super) bucket: String,
    pub(super) prefix: String,
    pub(super) account: AccountId,
    pub(super) layout: DayLayout,
}

/// What the event history tells of a flow log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    account: AccountId,
    region: Region,
    /// When it was made.
    made: Option<Timestamp>,
    /// When it was deleted, in the words of the event.
    deleted: Option<String>,
    /// Where it was to deliver.
    destination: Option<String>,
}

impl Traces {
    /// Notes a folder in a bucket that is gone through for other logs.
    pub(crate) fn folder(&self, log_bucket: &LogBucket, bucket: &str, prefix: String, account: AccountId, layout: DayLayout) {
        let folder = Folder { log_bucket: log_bucket.clone(), bucket: bucket.to_owned(), prefix, account, layout };
        self.met.lock().folders.push(folder);
    }

    pub(super) fn take_folders(&self) -> Vec<Folder> {
        std::mem::take(&mut self.met.lock().folders)
    }

    /// Notes what EC2 knows of a region.
    pub(super) fn describes(&self, account: AccountId, region: &Region, ids: impl Iterator<Item = String>) {
        let mut met = self.met.lock();
        met.answered.insert((account, region.clone()));
        met.described.extend(ids);
    }

    /// Notes the id in the name of a file of the window.
    pub(super) fn sees(&self, id: &str) {
        let mut met = self.met.lock();
        if !met.seen.contains(id) {
            met.seen.insert(id.to_owned());
        }
    }

    /// Notes what an event of the history tells, if it is one that tells of flow logs.
    pub(crate) fn note_event(&self, account: AccountId, region: &Region, name: Option<&str>, record: Option<&str>) {
        let Some((name, record)) = happened(&EVENTS, name, record) else { return };
        let (asked, answered) = (record.get("requestParameters"), record.get("responseElements"));
        let (mut ids, mut destination) = (BTreeSet::new(), None);
        [asked, answered].into_iter().flatten().for_each(|part| read(part, &mut ids, &mut destination));
        let at = record.get("eventTime").and_then(Value::as_str);
        let deleted = (name == "DeleteFlowLogs").then(|| at.map(printable));
        let made = at.filter(|_| deleted.is_none()).and_then(|at| at.parse().ok());
        let mut met = self.met.lock();
        for id in ids {
            let told = Told { account, region: region.clone(), made: None, deleted: None, destination: None };
            let told = met.told.entry(id).or_insert(told);
            told.made = told.made.or(made);
            told.deleted = told.deleted.take().or_else(|| deleted.clone().map(Option::unwrap_or_default));
            told.destination = told.destination.take().or_else(|| destination.clone());
        }
    }

    /// Gaps for the flow logs that there were in the window, and of which nothing was found.
    pub(super) async fn say(&self, errand: &Errand) -> Result<(), Halt> {
        for (id, told) in self.gone(errand.window().end()) {
            let row = RowKey { source: NAME, account: Some(told.account), region: Some(told.region) };
            let how = match &told.deleted {
                Some(at) if !at.is_empty() => format!("was deleted at {at}"),
                Some(_) => "was deleted".to_owned(),
                None => "was made in the window and is gone".to_owned(),
            };
            let whither = match &told.destination {
                Some(destination) => format!("its records went to {destination}"),
                None => "where its records went is not known".to_owned(),
            };
            let detail = format!(
                "the event history says that it {how}; {whither}, and no file of it lies where others were looked for: if that is a \
                 bucket, collect it in a case of its own, by its name (--bucket)"
            );
            errand.gap(&row, &format!("records of flow log {}", printable(&id)), GapReason::Failed, Some(&detail)).await?;
        }
        Ok(())
    }

    fn gone(&self, window_end: Timestamp) -> BTreeMap<String, Told> {
        let met = self.met.lock();
        let of_window = |told: &Told| told.made.is_none_or(|made| made <= window_end);
        let gone = met.told.iter().filter(|(_, told)| of_window(told)).filter(|(id, told)| {
            // Where EC2 did not answer, a flow log that was made may be there; one that was deleted is not.
            let is_asked = told.deleted.is_some() || met.answered.contains(&(told.account, told.region.clone()));
            is_asked && !met.described.contains(*id) && !met.seen.contains(*id)
        });
        gone.map(|(id, told)| (id.clone(), told.clone())).collect()
    }
}

/// Finds the ids of flow logs in what was asked or answered, at whatever depth, and where they deliver.
fn read(part: &Value, ids: &mut BTreeSet<String>, destination: &mut Option<String>) {
    match part {
        Value::String(text) if is_id(text) => {
            ids.insert(text.clone());
        }
        Value::Array(parts) => parts.iter().for_each(|part| read(part, ids, destination)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if let ("LogDestination" | "LogGroupName", Value::String(text)) = (name.as_str(), value) {
                    *destination = destination.take().or_else(|| Some(printable(text)));
                }
                read(value, ids, destination);
            }
        }
        _ => {}
    }
}

fn is_id(text: &str) -> bool {
    text.strip_prefix("fl-").is_some_and(|rest| {
        (8..=17).contains(&rest.len()) && rest.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "fl-0123456789abcdef0";

    fn tell(traces: &Traces, record: &Value) {
        let name = record["eventName"].as_str();
        let (account, region) = ("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
        traces.note_event(account, &region, name, Some(&record.to_string()));
    }

    fn gone(traces: &Traces) -> BTreeMap<String, Told> {
        traces.gone("2026-03-02T06:00:00Z".parse().unwrap())
    }

    fn deleted() -> Value {
        json!({"eventName": "DeleteFlowLogs", "eventTime": "2026-03-02T03:00:00Z",
            "requestParameters": {"DeleteFlowLogsRequest": {"FlowLogId": {"content": ID, "tag": 1}}}})
    }

    fn created() -> Value {
        json!({"eventName": "CreateFlowLogs", "eventTime": "2026-03-02T02:00:00Z",
            "requestParameters": {"CreateFlowLogsRequest": {"LogDestination": "arn:aws:s3:::example-flow/team",
                "ResourceId": {"content": "vpc-0123456789abcdef0", "tag": 1}}},
            "responseElements": {"CreateFlowLogsResponse": {"flowLogIdSet": {"item": ID}}}})
    }

    #[test]
    fn a_deleted_flow_log_is_gone_unless_files_of_it_are_met() {
        let traces = Traces::default();
        tell(&traces, &deleted());
        tell(&traces, &created());
        let all = gone(&traces);
        assert_eq!(all.keys().collect::<Vec<_>>(), [ID]);
        let told = &all[ID];
        assert_eq!(told.deleted.as_deref(), Some("2026-03-02T03:00:00Z"));
        assert_eq!(told.destination.as_deref(), Some("arn:aws:s3:::example-flow/team"));
        traces.sees(ID);
        assert!(gone(&traces).is_empty());
    }

    #[test]
    fn one_that_was_made_is_gone_only_if_ec2_does_not_know_it() {
        let (account, region) = ("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
        let traces = Traces::default();
        tell(&traces, &created());
        assert!(gone(&traces).is_empty(), "EC2 did not say which there are");
        traces.describes(account, &region, std::iter::empty());
        assert_eq!(gone(&traces).len(), 1);
        traces.describes(account, &region, [ID.to_owned()].into_iter());
        assert!(gone(&traces).is_empty());
    }

    #[test]
    fn one_that_was_deleted_after_the_window_is_gone_unless_it_was_made_after_it_as_well() {
        let (mut made, mut late) = (created(), deleted());
        late["eventTime"] = "2026-03-09T03:00:00Z".into();
        let traces = Traces::default();
        tell(&traces, &late);
        assert_eq!(gone(&traces).len(), 1);
        made["eventTime"] = "2026-03-08T03:00:00Z".into();
        tell(&traces, &made);
        assert!(gone(&traces).is_empty());
    }

    #[test]
    fn what_was_refused_and_what_cannot_be_read_tells_nothing() {
        let traces = Traces::default();
        let mut refused = deleted();
        refused["errorCode"] = "Client.UnauthorizedOperation".into();
        tell(&traces, &refused);
        let (account, region) = ("111122223333".parse().unwrap(), "us-east-1".parse().unwrap());
        traces.note_event(account, &region, Some("DeleteFlowLogs"), Some("not JSON"));
        traces.note_event(account, &region, Some("RunInstances"), Some(&deleted().to_string()));
        assert!(gone(&traces).is_empty());
    }
}
