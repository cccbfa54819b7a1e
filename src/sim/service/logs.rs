//! CloudWatch Logs: JSON 1.1.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::{ACCOUNT_ID, Account};
use super::Refusal;

/// Most events of one answer.
const PAGE: usize = 100;

pub(in super::super) fn answer(account: &Account, region: &str, operation: &str, body: &[u8]) -> Result<Value, Refusal> {
    let request: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).unwrap_or(Value::Null) };
    match operation {
        "DescribeLogGroups" => Ok(groups(account, region, &request)),
        "FilterLogEvents" => events(account, region, &request),
        _ => Err(refusal("UnknownOperationException", "")),
    }
}

fn refusal(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}

fn groups(account: &Account, region: &str, request: &Value) -> Value {
    let prefix = request.get("logGroupNamePrefix").and_then(Value::as_str).unwrap_or_default();
    let groups = account.state().log_groups();
    let shown: Vec<Value> = groups
        .iter()
        .filter(|group| group.region == region && group.name.starts_with(prefix))
        .map(|group| {
            json!({
                "logGroupName": group.name,
                "arn": format!("arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{}:*", group.name),
                "retentionInDays": 90,
                "storedBytes": 0,
            })
        })
        .collect();
    json!({"logGroups": shown})
}

/// Every other page is empty and leads on all the same, as real ones now and then do.
fn events(account: &Account, region: &str, request: &Value) -> Result<Value, Refusal> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let number = |name: &str| request.get(name).and_then(Value::as_i64);
    let name = text("logGroupName").unwrap_or_default();
    let groups = account.state().log_groups();
    let Some(group) = groups.iter().find(|group| group.region == region && group.name == name) else {
        return Err(refusal("ResourceNotFoundException", "The specified log group does not exist."));
    };
    let (start, end) = (number("startTime").unwrap_or(0), number("endTime").unwrap_or(i64::MAX));
    let (skip, full) = match text("nextToken") {
        None => (0, false),
        Some(token) => token
            .strip_prefix("f/")
            .and_then(|token| token.parse::<usize>().ok())
            .map(|skip| (skip, true))
            .or_else(|| Some((token.strip_prefix("e/")?.parse::<usize>().ok()?, false)))
            .ok_or_else(|| refusal("InvalidParameterException", "The specified nextToken is invalid."))?,
    };
    let matching: Vec<_> = group.events.iter().filter(|event| (start..=end).contains(&event.at)).collect();
    if !full && !matching.is_empty() {
        return Ok(json!({"events": [], "searchedLogStreams": [], "nextToken": format!("f/{skip}")}));
    }
    let page: Vec<Value> = matching
        .iter()
        .skip(skip)
        .take(PAGE)
        .map(|event| json!({"logStreamName": event.stream, "timestamp": event.at, "message": event.message, "ingestionTime": event.at}))
        .collect();
    let mut answer = json!({"events": page, "searchedLogStreams": []});
    let next = skip.saturating_add(PAGE);
    if let (true, Some(fields)) = (next < matching.len(), answer.as_object_mut()) {
        fields.insert("nextToken".to_owned(), json!(format!("e/{next}")));
    }
    Ok(answer)
}
