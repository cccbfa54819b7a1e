//! The records of a log, one at a time, and of each only the fields that are looked at: whoever can write a log can write any.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The fields that are kept, at whatever depth.
const KEPT: [&str; 26] = [
    "accountId",
    "AccountId",
    "arn",
    "awsRegion",
    "bucketName",
    "enableLogFileValidation",
    "errorCode",
    "eventID",
    "eventName",
    "eventSource",
    "eventTime",
    "invokedBy",
    "isMultiRegionTrail",
    "key",
    "logFileValidationEnabled",
    "name",
    "recipientAccountId",
    "regionName",
    "RegionName",
    "requestParameters",
    "responseElements",
    "s3BucketName",
    "s3KeyPrefix",
    "sourceIPAddress",
    "userIdentity",
    "Records",
];
/// Characters that are kept of a text: a key has 1,024 bytes, an ARN 2,048.
const LONGEST: usize = 4096;

/// Shows the records of a log's content, up to where it ceases to be JSON.
pub(super) fn for_each_record(content: &[u8], show: &mut dyn FnMut(&Value)) {
    let mut deserializer = serde_json::Deserializer::from_slice(content);
    let _broken_off = Log(show).deserialize(&mut deserializer);
}

/// What is kept of one record.
fn of_record(text: &str) -> Option<Value> {
    serde_json::from_str::<Kept>(text).ok().map(|kept| kept.0)
}

#[derive(serde::Deserialize)]
struct History {
    #[serde(rename = "Events", default)]
    events: Vec<Shown>,
}

#[derive(serde::Deserialize)]
struct Shown {
    #[serde(rename = "CloudTrailEvent")]
    event: Option<String>,
}

/// The records of an answer of `LookupEvents`; one that cannot be read is left out.
pub(super) fn records_in_history(body: &[u8]) -> Result<Vec<Value>, serde_json::Error> {
    let history: History = serde_json::from_slice(body)?;
    Ok(history.events.iter().filter_map(|shown| of_record(shown.event.as_deref()?)).collect())
}

struct Log<'a>(&'a mut dyn FnMut(&Value));
struct Records<'a>(&'a mut dyn FnMut(&Value));
/// A value without the fields that nobody looks at.
struct Kept(Value);
struct KeptVisitor;

impl<'de> DeserializeSeed<'de> for Log<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Log<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key::<String>()? {
            if field == "Records" {
                map.next_value_seed(Records(&mut *self.0))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(Kept(record)) = records.next_element()? {
            (self.0)(&record);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeptVisitor).map(Kept)
    }
}

/// Numbers and lists are never looked at.
impl<'de> Visitor<'de> for KeptVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(if text.len() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).collect() }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(field) = fields.next_key::<String>()? {
            if KEPT.contains(&field.as_str()) {
                let Kept(value) = fields.next_value()?;
                kept.insert(field, value);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(kept))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(content: &str) -> Vec<Value> {
        let mut shown = Vec::new();
        for_each_record(content.as_bytes(), &mut |record| shown.push(record.clone()));
        shown
    }

    #[test]
    fn of_a_record_only_what_is_looked_at_is_kept() {
        let record = json!({"eventName": "StopLogging", "eventVersion": "1.08", "additionalEventData": {"name": "x"},
            "userIdentity": {"arn": "a", "sessionContext": {"arn": "b"}}, "requestParameters": {"name": "trail", "list": ["name"]}});
        let log = json!({"other": [1, {"Records": []}], "Records": [record, 7, null, {"eventName": 3}]}).to_string();
        let kept = json!({"eventName": "StopLogging", "userIdentity": {"arn": "a"}, "requestParameters": {"name": "trail"}});
        assert_eq!(shown(&log), [kept, Value::Null, Value::Null, json!({"eventName": null})]);
    }

    #[test]
    fn records_before_a_cut_are_shown() {
        assert_eq!(shown(r#"{"Records":[{"name":"a"},{"name":"b"},{"na"#).len(), 2);
        assert_eq!(shown("[1]").len() + shown("").len() + shown(r#"{"Records":{}}"#).len(), 0);
    }

    #[test]
    fn a_long_text_is_cut() {
        let log = json!({"Records": [{"name": "\u{e4}".repeat(LONGEST)}]}).to_string();
        assert_eq!(shown(&log)[0]["name"].as_str().map(|name| name.chars().count()), Some(LONGEST));
    }
}
