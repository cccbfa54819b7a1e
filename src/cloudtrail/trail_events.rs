use memchr::memmem;
use serde_json::Value;

use crate::model::Timestamp;

/// An event that changes what a trail delivers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEvent {
    /// `StopLogging`, `StartLogging`, `CreateTrail`, `UpdateTrail` or `DeleteTrail`.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// The trail as the request named it: its name or its ARN.
    pub trail: String,
    /// By whom: the ARN of the principal, as far as the event says.
    pub principal: Option<String>,
    /// From where.
    pub source_address: Option<String>,
    /// The event's id.
    pub event_id: Option<String>,
}

const NAMES: [&str; 5] = ["StopLogging", "StartLogging", "CreateTrail", "UpdateTrail", "DeleteTrail"];

impl TrailEvent {
    /// Whether it concerns the trail with this name.
    #[must_use]
    pub fn concerns(&self, trail_name: &str) -> bool {
        self.trail == trail_name || self.trail.rsplit_once(":trail/").is_some_and(|(_, name)| name == trail_name)
    }
}

/// The successful events in a log's content that change what a trail delivers.
///
/// Logs without a trace of them, almost all, are passed over without being parsed.
#[must_use]
pub fn find_trail_events(content: &[u8]) -> Vec<TrailEvent> {
    if !NAMES.iter().any(|name| memmem::find(content, name.as_bytes()).is_some()) {
        return Vec::new();
    }
    let Ok(log) = serde_json::from_slice::<Value>(content) else { return Vec::new() };
    let records = log.get("Records").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    records.iter().filter_map(trail_event).collect()
}

fn trail_event(record: &Value) -> Option<TrailEvent> {
    let text = |field: &str| record.get(field).and_then(Value::as_str);
    let name = text("eventName").filter(|name| NAMES.contains(name))?;
    if text("eventSource") != Some("cloudtrail.amazonaws.com") || text("errorCode").is_some() {
        return None;
    }
    Some(TrailEvent {
        name: name.to_owned(),
        at: text("eventTime")?.parse().ok()?,
        trail: record.get("requestParameters")?.get("name")?.as_str()?.to_owned(),
        principal: record.get("userIdentity").and_then(|who| who.get("arn")).and_then(Value::as_str).map(str::to_owned),
        source_address: text("sourceIPAddress").map(str::to_owned),
        event_id: text("eventID").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(fields: &str) -> Vec<u8> {
        format!(r#"{{"Records":[{{"eventTime":"2026-03-01T09:00:00Z","eventSource":"cloudtrail.amazonaws.com",{fields}}}]}}"#)
            .into_bytes()
    }

    #[test]
    fn a_stop_is_found_by_name_or_by_arn() {
        for trail in ["management-events", "arn:aws:cloudtrail:us-east-1:111122223333:trail/management-events"] {
            let found =
                find_trail_events(&log(&format!(r#""eventName":"StopLogging","requestParameters":{{"name":"{trail}"}}"#)));
            assert!(found.len() == 1 && found[0].concerns("management-events") && !found[0].concerns("events"));
        }
    }

    #[test]
    fn a_refused_attempt_changed_nothing() {
        let refused =
            r#""eventName":"StopLogging","errorCode":"AccessDenied","requestParameters":{"name":"management-events"}"#;
        assert_eq!(find_trail_events(&log(refused)), []);
    }

    #[test]
    fn a_name_that_merely_occurs_is_no_event() {
        assert_eq!(find_trail_events(&log(r#""eventName":"LookupEvents","requestParameters":{"name":"StopLogging"}"#)), []);
        assert_eq!(find_trail_events(b"StopLogging is not JSON"), []);
    }
}
