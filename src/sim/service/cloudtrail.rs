//! CloudTrail: JSON 1.1.

mod history;

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use http::StatusCode;
use serde_json::{Map, Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::record::timestamp;
use super::super::scenario::Scenario;
use super::super::{ACCOUNT_ID, Account, DATA_BUCKET, State, TRAIL_BUCKET, TRAIL_NAME};
use super::Refusal;

pub(in super::super) fn answer(account: &Account, region: &str, operation: &str, body: &[u8]) -> Result<Value, Refusal> {
    let request: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).unwrap_or(Value::Null) };
    if !request.is_object() {
        return Err(refusal("SerializationException", "The request is not a JSON object"));
    }
    let call = Call { account, state: account.state(), region, request: &request };
    match operation {
        "DescribeTrails" => Ok(call.describe_trails()),
        "ListTrails" => Ok(call.list_trails()),
        "GetTrail" => call.named_trail("Name").map(|()| json!({"Trail": call.trail()})),
        "GetTrailStatus" => call.named_trail("Name").map(|()| call.status()),
        "GetEventSelectors" => call.named_trail("TrailName").map(|()| call.selectors()),
        "GetInsightSelectors" => call.named_trail("TrailName").and_then(|()| Err(refusal(
            "InsightNotEnabledException",
            format!("Trail {} does not have Insights enabled. Edit the trail settings to enable Insights, and then try the operation again.", account.trail_arn()),
        ))),
        "ListTags" => Ok(call.tags()),
        "ListPublicKeys" => Ok(call.public_keys()),
        "LookupEvents" => history::look_up(call.state, region, &request),
        "ListEventDataStores" => Ok(json!({"EventDataStores": []})),
        "ListChannels" => Ok(json!({"Channels": []})),
        _ => Err(refusal("UnknownOperationException", "")),
    }
}

fn refusal(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

/// One request on its way.
struct Call<'a> {
    account: &'a Account,
    state: &'a State,
    region: &'a str,
    request: &'a Value,
}

impl Call<'_> {
    fn scenario(&self) -> &Scenario {
        &self.state.scenario
    }

    fn home(&self) -> &str {
        self.state.scenario.home_region()
    }

    /// A trail goes by its name at home and by its ARN everywhere.
    fn named_trail(&self, field: &str) -> Result<(), Refusal> {
        let Some(name) = self.request.get(field).and_then(Value::as_str) else {
            return Err(refusal("InvalidTrailNameException", "Trail name cannot be blank!"));
        };
        let known = name == self.account.trail_arn() || (name == TRAIL_NAME && self.region == self.home());
        if known && self.trail_exists() {
            return Ok(());
        }
        Err(refusal("TrailNotFoundException", format!("Unknown trail: {name} for the user: {ACCOUNT_ID}")))
    }

    fn trail(&self) -> Value {
        let elsewhere = self.state.trail_bucket();
        let mut trail = json!({
            "Name": TRAIL_NAME,
            "S3BucketName": elsewhere.as_deref().unwrap_or(TRAIL_BUCKET),
            "IncludeGlobalServiceEvents": true,
            "IsMultiRegionTrail": true,
            "HomeRegion": self.home(),
            "TrailARN": self.account.trail_arn(),
            "LogFileValidationEnabled": elsewhere.is_none(),
            "HasCustomEventSelectors": true,
            "HasInsightSelectors": false,
            "IsOrganizationTrail": false,
        });
        if let (Some(key), Some(fields)) = (self.state.trail_key(), trail.as_object_mut()) {
            fields.insert("KmsKeyId".to_owned(), Value::String(key));
        }
        trail
    }

    fn trail_exists(&self) -> bool {
        !self.state.trail_deleted.load(Ordering::Relaxed)
    }

    fn list_trails(&self) -> Value {
        let trail = json!({"TrailARN": self.account.trail_arn(), "Name": TRAIL_NAME, "HomeRegion": self.home()});
        json!({"Trails": if self.trail_exists() { vec![trail] } else { Vec::new() }})
    }

    fn describe_trails(&self) -> Value {
        let shadows = self.request.get("includeShadowTrails").and_then(Value::as_bool).unwrap_or(true);
        let at_home = self.region == self.home();
        let arn = self.account.trail_arn();
        let named = self.request.get("trailNameList").and_then(Value::as_array).filter(|names| !names.is_empty());
        let wanted = named.is_none_or(|names| {
            names.iter().filter_map(Value::as_str).any(|name| name == arn || (name == TRAIL_NAME && at_home))
        });
        // A trail asked for by its ARN is shown whatever the shadow flag says.
        let shown = self.trail_exists() && wanted && (at_home || shadows || named.is_some());
        json!({"trailList": if shown { vec![self.trail()] } else { Vec::new() }})
    }

    fn status(&self) -> Value {
        let scenario = self.scenario();
        let delivery = self.state.deliveries.get(self.region).copied().unwrap_or_default();
        let (stopped, restarted) = scenario.outage();
        let enabled = scenario.first_digest_end() - chrono::Duration::days(200);
        let restart = scenario.stop_logging && scenario.restart_logging;
        let started = if restart { restarted } else { enabled };
        let mut status = Map::new();
        let mut set = |name: &str, value: Value| status.insert(name.to_owned(), value);
        set("IsLogging", json!(!scenario.stop_logging || restart));
        if let Some(delivered) = delivery.log {
            set("LatestDeliveryTime", seconds(delivered));
            set("LatestDeliveryAttemptTime", json!(timestamp(delivered)));
            set("LatestDeliveryAttemptSucceeded", json!(timestamp(delivered)));
        }
        set("StartLoggingTime", seconds(started));
        set("TimeLoggingStarted", json!(timestamp(started)));
        if scenario.stop_logging {
            set("StopLoggingTime", seconds(stopped));
        }
        set("TimeLoggingStopped", json!(if scenario.stop_logging { timestamp(stopped) } else { String::new() }));
        if let Some(delivered) = delivery.digest {
            set("LatestDigestDeliveryTime", seconds(delivered));
        }
        set("LatestNotificationAttemptTime", json!(""));
        set("LatestNotificationAttemptSucceeded", json!(""));
        Value::Object(status)
    }

    fn selectors(&self) -> Value {
        json!({
            "TrailARN": self.account.trail_arn(),
            "EventSelectors": [{
                "ReadWriteType": "All",
                "IncludeManagementEvents": true,
                "DataResources": [{"Type": "AWS::S3::Object", "Values": [format!("arn:aws:s3:::{DATA_BUCKET}/")]}],
                "ExcludeManagementEventSources": [],
            }],
        })
    }

    fn tags(&self) -> Value {
        let asked = self.request.get("ResourceIdList").and_then(Value::as_array).cloned().unwrap_or_default();
        let tagged = asked.into_iter().filter(|arn| arn.as_str() == Some(&self.account.trail_arn()));
        let tags: Vec<Value> =
            tagged.map(|arn| json!({"ResourceId": arn, "TagsList": [{"Key": "owner", "Value": "security"}]})).collect();
        json!({"ResourceTagList": tags})
    }

    fn public_keys(&self) -> Value {
        let now = self.scenario().end;
        let start = time(self.request, "StartTime").unwrap_or(now);
        let end = time(self.request, "EndTime").unwrap_or(now);
        let valid = self.account.keys(self.region).iter().filter(|key| key.valid_from <= end && key.valid_until >= start);
        let keys: Vec<Value> = valid
            .map(|key| {
                json!({
                    "Value": STANDARD.encode(&key.public_der),
                    "ValidityStartTime": seconds(key.valid_from),
                    "ValidityEndTime": seconds(key.valid_until),
                    "Fingerprint": key.fingerprint,
                })
            })
            .collect();
        json!({"PublicKeyList": keys})
    }
}

fn seconds(instant: DateTime<Utc>) -> Value {
    json!(instant.timestamp())
}

/// A time in the way clients send it: seconds of the epoch, whole or with a fraction.
fn time(request: &Value, field: &str) -> Option<DateTime<Utc>> {
    let value = request.get(field)?;
    if let Some(whole) = value.as_i64() {
        return DateTime::from_timestamp(whole, 0);
    }
    // The fraction of a second decides nothing here.
    let text = format!("{:.3}", value.as_f64()?);
    let (whole, _fraction) = text.split_once('.')?;
    DateTime::from_timestamp(whole.parse().ok()?, 0)
}
