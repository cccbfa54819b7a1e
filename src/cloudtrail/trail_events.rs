//! Events that say who switched, changed or deleted a trail, or touched its files. They explain what digests show; they prove no hour.

use memchr::memmem;
use serde_json::Value;

use crate::model::{AccountId, Region, S3Location, Timestamp, TrailArn};

use super::records::{for_each_record, records_in_history};
use super::{DigestName, LogName};

/// Where an event is known from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// A log file, which is as good as the digest that lists it: the object and, of an older version, the version's id.
    Log(S3Location, Option<String>),
    /// An answer of `LookupEvents`: AWS's own event history, which nobody in the account can change.
    History,
}

/// Who did something, when, from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// The event's name, such as `StopLogging`.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The ARN of the principal, as far as the event says.
    pub principal: Option<String>,
    /// From where.
    pub source_address: Option<String>,
    /// The event's id.
    pub event_id: Option<String>,
    /// The region that recorded it.
    pub region: Option<String>,
    /// The account in which it happened.
    pub account: Option<AccountId>,
    /// How it is known.
    pub witness: Witness,
}

/// An event that changes what a trail delivers: `StopLogging`, `StartLogging`, `CreateTrail`, `UpdateTrail` or `DeleteTrail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEvent {
    /// The event.
    pub telling: Telling,
    /// The trail as the request named it: its name or its ARN.
    pub trail: String,
    /// Whether the request switched log file validation on or off.
    pub validation: Option<bool>,
    /// Whether the request made it a trail of all regions, or of its home region alone.
    pub multi_region: Option<bool>,
    /// The bucket to deliver to, if the request named one, or named a prefix and AWS's answer tells the bucket.
    pub bucket: Option<String>,
    /// What stands before `AWSLogs/` there, with its slash, as far as request or answer tell.
    pub prefix: Option<String>,
}

/// A write to, or a deletion of, one of CloudTrail's own files by somebody other than CloudTrail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEvent {
    /// The event: `DeleteObject` or `PutObject`.
    pub telling: Telling,
    /// The object.
    pub location: S3Location,
}

const TRAIL_EVENTS: [&str; 5] = ["StopLogging", "StartLogging", "CreateTrail", "UpdateTrail", "DeleteTrail"];
const OBJECT_EVENTS: [&str; 2] = ["DeleteObject", "PutObject"];

impl Telling {
    /// Words for a finding: by whom, from where, known from what.
    #[must_use]
    pub fn describe(&self) -> String {
        let known = match &self.witness {
            Witness::Log(location, None) => format!("recorded in {location}"),
            Witness::Log(location, Some(version)) => format!("recorded in {location}, version {version}"),
            Witness::History => "recorded in AWS's event history".to_owned(),
        };
        format!(
            "{} by {} from {} at {} (event {}, {known})",
            self.name,
            self.principal.as_deref().unwrap_or("an unnamed principal"),
            self.source_address.as_deref().unwrap_or("an unnamed address"),
            self.at,
            self.event_id.as_deref().unwrap_or("without an id"),
        )
    }
}

impl TrailEvent {
    /// Whether it concerns the trail of this name and home region. By its name alone a trail is called only at home, and only in the
    /// account that owns it: buckets hold the logs of many accounts, whose trails often have one name.
    #[must_use]
    pub fn concerns(&self, name: &str, home: &Region, owner: Option<AccountId>) -> bool {
        match self.trail.parse::<TrailArn>() {
            Ok(arn) => arn.name() == name && arn.home_region() == home && owner.is_none_or(|account| arn.account() == account),
            Err(_) => {
                self.trail == name
                    && self.telling.region.as_deref().is_none_or(|region| region == home.as_str())
                    && self.telling.account.is_none_or(|account| owner.is_none_or(|owner| owner == account))
            }
        }
    }
}

/// Events in a log's content that change what a trail delivers, and those that touch CloudTrail's own files; attempts that were refused
/// are left out.
///
/// Logs without a trace of either, almost all, are passed over without being parsed.
#[must_use]
pub fn events_in_log(content: &[u8], location: &S3Location, version: Option<&str>) -> (Vec<TrailEvent>, Vec<ObjectEvent>) {
    let has = |word: &&str| memmem::find(content, word.as_bytes()).is_some();
    // What several names have in common is looked for first: almost every log is passed over after these few passes.
    let mentions = |common: &[&str], names: &[&str]| common.iter().any(has) && names.iter().any(has);
    let files = has(&"AWSLogs/") && mentions(&["tObject", "eObject"], &OBJECT_EVENTS);
    if !files && !mentions(&["Logging", "eTrail"], &TRAIL_EVENTS) {
        return (Vec::new(), Vec::new());
    }
    let witness = || Witness::Log(location.clone(), version.map(str::to_owned));
    let (mut trails, mut objects) = (Vec::new(), Vec::new());
    // One at a time: of a log of any size, only the events are held that are looked for.
    for_each_record(content, &mut |record| {
        trails.extend(trail_event(record, witness()));
        objects.extend(object_event(record, witness()));
    });
    (trails, objects)
}

/// The same, in an answer of `LookupEvents`.
pub fn events_in_history(body: &[u8]) -> Result<Vec<TrailEvent>, serde_json::Error> {
    let records = records_in_history(body)?;
    Ok(records.iter().filter_map(|record| trail_event(record, Witness::History)).collect())
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

/// What every event says of itself, if it is of `source`, has one of these names and was not refused.
pub(super) fn telling(record: &Value, source: &str, names: &[&str], witness: Witness) -> Option<Telling> {
    let name = text(record, "eventName").filter(|name| names.contains(name))?;
    if text(record, "eventSource") != Some(source) || text(record, "errorCode").is_some() {
        return None;
    }
    Some(Telling {
        name: name.to_owned(),
        at: text(record, "eventTime")?.parse().ok()?,
        principal: record.get("userIdentity").and_then(|who| text(who, "arn")).map(str::to_owned),
        source_address: text(record, "sourceIPAddress").map(str::to_owned),
        event_id: text(record, "eventID").map(str::to_owned),
        region: text(record, "awsRegion").map(str::to_owned),
        account: text(record, "recipientAccountId").and_then(|account| account.parse().ok()),
        witness,
    })
}

fn trail_event(record: &Value, witness: Witness) -> Option<TrailEvent> {
    let telling = telling(record, "cloudtrail.amazonaws.com", &TRAIL_EVENTS, witness)?;
    let request = record.get("requestParameters")?;
    // What AWS answered tells the settings as they then were, those included that the request did not name.
    let answer = record.get("responseElements").filter(|answer| text(answer, "s3BucketName").is_some());
    let creates = telling.name == "CreateTrail";
    let told = |field: &str| request.get(field).and_then(Value::as_bool);
    let answered = |field: &str| answer.filter(|_| creates)?.get(field)?.as_bool();
    let (bucket, prefix) = destination(request, answer, creates);
    Some(TrailEvent {
        trail: text(request, "name")?.to_owned(),
        validation: told("enableLogFileValidation").or_else(|| answered("logFileValidationEnabled")),
        multi_region: told("isMultiRegionTrail").or_else(|| answered("isMultiRegionTrail")),
        bucket,
        prefix,
        telling,
    })
}

/// Where a request told a trail to deliver; what it left as it was is none, unless AWS's answer tells.
fn destination(request: &Value, answer: Option<&Value>, creates: bool) -> (Option<String>, Option<String>) {
    let (bucket, prefix) = (text(request, "s3BucketName"), text(request, "s3KeyPrefix"));
    if bucket.is_none() && prefix.is_none() {
        return (None, None);
    }
    // A trail that is made has no prefix unless it is named.
    let none = (creates || answer.is_some()).then_some("");
    let prefix = prefix.or_else(|| text(answer?, "s3KeyPrefix")).or(none).map(|prefix| match prefix.trim_end_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    });
    (bucket.or_else(|| text(answer?, "s3BucketName")).map(str::to_owned), prefix)
}

fn object_event(record: &Value, witness: Witness) -> Option<ObjectEvent> {
    let telling = telling(record, "s3.amazonaws.com", &OBJECT_EVENTS, witness)?;
    let request = record.get("requestParameters")?;
    let location = S3Location::new(text(request, "bucketName")?, text(request, "key")?);
    let ours = location.key.parse::<LogName>().is_ok() || location.key.parse::<DigestName>().is_ok();
    let by_cloudtrail = record.get("userIdentity").and_then(|who| text(who, "invokedBy")) == Some("cloudtrail.amazonaws.com");
    (ours && !by_cloudtrail).then_some(ObjectEvent { telling, location })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(fields: &str) -> Vec<u8> {
        format!(
            r#"{{"Records":[{{"eventTime":"2026-03-01T09:00:00Z","awsRegion":"us-east-1","eventSource":"cloudtrail.amazonaws.com",{fields}}}]}}"#
        )
        .into_bytes()
    }

    fn place() -> S3Location {
        S3Location::new("example-corp", "log")
    }

    fn trail_events(content: &[u8]) -> Vec<TrailEvent> {
        events_in_log(content, &place(), None).0
    }

    #[test]
    fn a_stop_is_found_by_name_or_by_arn() {
        let home: Region = "us-east-1".parse().unwrap();
        for trail in ["management-events", "arn:aws:cloudtrail:us-east-1:111122223333:trail/management-events"] {
            let found = trail_events(&log(&format!(r#""eventName":"StopLogging","requestParameters":{{"name":"{trail}"}}"#)));
            assert!(found.len() == 1 && found[0].concerns("management-events", &home, None));
            assert!(!found[0].concerns("events", &home, None));
            assert!(!found[0].concerns("management-events", &"eu-central-1".parse().unwrap(), None));
        }
    }

    #[test]
    fn a_trail_of_the_same_name_in_another_account_is_another_trail() {
        let home: Region = "us-east-1".parse().unwrap();
        let stop = r#""eventName":"StopLogging","recipientAccountId":"444455556666","requestParameters":{"name":"trail"}"#;
        let found = trail_events(&log(stop));
        assert!(found[0].concerns("trail", &home, Some("444455556666".parse().unwrap())));
        assert!(!found[0].concerns("trail", &home, Some("111122223333".parse().unwrap())));
    }

    #[test]
    fn a_refused_attempt_changed_nothing() {
        let refused =
            r#""eventName":"StopLogging","errorCode":"AccessDenied","requestParameters":{"name":"management-events"}"#;
        assert_eq!(trail_events(&log(refused)), []);
    }

    #[test]
    fn a_name_that_merely_occurs_is_no_event() {
        assert_eq!(trail_events(&log(r#""eventName":"LookupEvents","requestParameters":{"name":"StopLogging"}"#)), []);
        assert_eq!(trail_events(b"StopLogging is not JSON"), []);
    }

    #[test]
    fn an_update_says_what_it_switched() {
        let update = r#""eventName":"UpdateTrail","requestParameters":{"name":"t","enableLogFileValidation":false}"#;
        let found = trail_events(&log(update));
        assert_eq!((found[0].validation, &found[0].bucket, &found[0].prefix), (Some(false), &None, &None));
    }

    /// Bucket and prefix that an event tells.
    fn destination(fields: &str) -> (Option<String>, Option<String>) {
        let event = trail_events(&log(fields)).remove(0);
        (event.bucket, event.prefix)
    }

    #[test]
    fn a_request_tells_where_to_and_aws_answers_what_it_left_out() {
        let some = |text: &str| Some(text.to_owned());
        let update = r#""eventName":"UpdateTrail","requestParameters":{"name":"t","s3KeyPrefix":"elsewhere"}"#;
        assert_eq!(destination(update), (None, some("elsewhere/")));
        let answered = format!(r#"{update},"responseElements":{{"s3BucketName":"b","s3KeyPrefix":"elsewhere"}}"#);
        assert_eq!(destination(&answered), (some("b"), some("elsewhere/")));
        let update = r#""eventName":"UpdateTrail","requestParameters":{"name":"t","s3BucketName":"b"}"#;
        assert_eq!(destination(update), (some("b"), None));
        let answered = format!(r#"{update},"responseElements":{{"s3BucketName":"b"}}"#);
        assert_eq!(destination(&answered), (some("b"), some("")));
        let create = r#""eventName":"CreateTrail","requestParameters":{"name":"t","s3BucketName":"b"}"#;
        assert_eq!(destination(create), (some("b"), some("")));
        let other = r#""eventName":"UpdateTrail","requestParameters":{"name":"t"},"responseElements":{"s3BucketName":"b"}"#;
        assert_eq!(destination(other), (None, None));
    }

    #[test]
    fn the_event_history_tells_the_same() {
        let event = String::from_utf8(log(r#""eventName":"StopLogging","requestParameters":{"name":"t"}"#)).unwrap();
        let record = event.strip_prefix(r#"{"Records":["#).unwrap().strip_suffix("]}").unwrap();
        let body = serde_json::json!({"Events": [{"CloudTrailEvent": record}, {"EventName": "without a record"}]});
        let found = events_in_history(body.to_string().as_bytes()).unwrap();
        assert_eq!((found.len(), &found[0].telling.witness), (1, &Witness::History));
    }

    #[test]
    fn who_deleted_a_log_is_found_and_cloudtrail_writing_one_is_not() {
        let key = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0935Z_AbCdEfGh12345678.json.gz";
        let event = |name: &str, who: &str| {
            format!(
                r#"{{"Records":[{{"eventTime":"2026-03-01T09:00:00Z","eventSource":"s3.amazonaws.com","eventName":"{name}","userIdentity":{who},"requestParameters":{{"bucketName":"example-corp","key":"{key}"}}}}]}}"#
            )
        };
        let deleted = event("DeleteObject", r#"{"arn":"arn:aws:iam::111122223333:user/contractor"}"#);
        assert_eq!(events_in_log(deleted.as_bytes(), &place(), None).1.len(), 1);
        let written = event("PutObject", r#"{"invokedBy":"cloudtrail.amazonaws.com"}"#);
        assert_eq!(events_in_log(written.as_bytes(), &place(), None).1, []);
    }
}
