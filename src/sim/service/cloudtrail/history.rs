//! The event history: what `LookupEvents` knows, whatever becomes of the log files.

use chrono::DateTime;
use serde_json::{Value, json};

use super::super::super::State;
use super::super::super::record::Event;
use super::{Refusal, refusal, seconds, time};

const PAGE: usize = 50;

pub(super) fn look_up(state: &State, region: &str, request: &Value) -> Result<Value, Refusal> {
    let attribute = attribute(request)?;
    let limit = match request.get("MaxResults").and_then(Value::as_u64) {
        None => PAGE,
        Some(limit) => usize::try_from(limit).ok().filter(|limit| (1..=PAGE).contains(limit)).ok_or_else(|| {
            refusal(
                "InvalidMaxResultsException",
                format!("A maximum results value of {limit} is invalid. Specify a value between 1 and 50."),
            )
        })?,
    };
    let limit = limit.min(state.objects.page_limit());
    let start = time(request, "StartTime").unwrap_or(DateTime::UNIX_EPOCH);
    let end = time(request, "EndTime").unwrap_or(state.scenario.end);
    if start > end {
        return Err(refusal("InvalidTimeRangeException", "Start time is later than end time"));
    }
    let query = fingerprint(region, request);
    let skip = match request.get("NextToken").and_then(Value::as_str) {
        None => 0,
        Some(token) => token
            .split_once('.')
            .filter(|(asked, _)| *asked == query)
            .and_then(|(_, position)| position.parse().ok())
            .ok_or_else(|| refusal("InvalidNextTokenException", "The specified next token is invalid"))?,
    };
    let unlogged = state.unlogged();
    let mut all: Vec<&Event> = state.events.iter().chain(unlogged.iter()).collect();
    all.sort_by_key(|event| event.time);
    let matching = all.into_iter().rev().filter(|event| {
        event.management
            && event.region == region
            && (start..=end).contains(&event.time)
            && attribute.as_ref().is_none_or(|attribute| attribute.matches(event))
    });
    let mut page: Vec<&Event> = matching.skip(skip).take(limit.saturating_add(1)).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let mut answer = json!({"Events": page.into_iter().map(shown).collect::<Vec<_>>()});
    if let (true, Some(answer)) = (more, answer.as_object_mut()) {
        answer.insert("NextToken".to_owned(), json!(format!("{query}.{}", skip.saturating_add(limit))));
    }
    Ok(answer)
}

/// A token is good only with the question it came from.
fn fingerprint(region: &str, request: &Value) -> String {
    let mut question = request.clone();
    if let Some(fields) = question.as_object_mut() {
        fields.remove("NextToken");
        fields.remove("MaxResults");
    }
    let digest = <sha2::Sha256 as sha2::Digest>::digest(format!("{region} {question}"));
    hex::encode(digest).chars().take(24).collect()
}

/// The one attribute a look-up may be narrowed by.
struct Attribute {
    key: String,
    value: String,
}

fn attribute(request: &Value) -> Result<Option<Attribute>, Refusal> {
    let Some(attributes) = request.get("LookupAttributes").and_then(Value::as_array) else {
        return Ok(None);
    };
    let invalid = |message: &str| refusal("InvalidLookupAttributesException", message);
    if attributes.len() > 1 {
        return Err(invalid("You can specify only one attribute in a lookup request."));
    }
    let Some(attribute) = attributes.first() else {
        return Ok(None);
    };
    let text = |name: &str| attribute.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(key), Some(value)) = (text("AttributeKey"), text("AttributeValue")) else {
        return Err(invalid("An attribute needs a key and a value."));
    };
    let known = ["EventId", "EventName", "ReadOnly", "Username", "ResourceType", "ResourceName", "EventSource", "AccessKeyId"];
    if !known.contains(&key.as_str()) {
        return Err(invalid("Unknown attribute key."));
    }
    Ok(Some(Attribute { key, value }))
}

impl Attribute {
    fn matches(&self, event: &Event) -> bool {
        let value = self.value.as_str();
        match self.key.as_str() {
            "EventId" => event.id == value,
            "EventName" => event.name == value,
            "ReadOnly" => event.read_only.to_string() == value,
            "Username" => event.username == value,
            "EventSource" => event.source == value,
            "AccessKeyId" => event.access_key.as_deref() == Some(value),
            "ResourceType" => event.resources.iter().any(|(kind, _)| kind == value),
            _ => event.resources.iter().any(|(_, name)| name == value),
        }
    }
}

fn shown(event: &Event) -> Value {
    let resources: Vec<Value> =
        event.resources.iter().map(|(kind, name)| json!({"ResourceType": kind, "ResourceName": name})).collect();
    let mut shown = json!({
        "EventId": event.id,
        "EventName": event.name,
        "ReadOnly": event.read_only.to_string(),
        "EventTime": seconds(event.time),
        "EventSource": event.source,
        "Username": event.username,
        "Resources": resources,
        "CloudTrailEvent": event.record,
    });
    if let (Some(key), Some(fields)) = (&event.access_key, shown.as_object_mut()) {
        fields.insert("AccessKeyId".to_owned(), json!(key));
    }
    shown
}
