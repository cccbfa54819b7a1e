//! KMS: JSON 1.1. Every key of the account that anything names is there.

use http::StatusCode;
use serde_json::{Value, json};

use super::super::ACCOUNT_ID;
use super::Refusal;

pub(in super::super) fn answer(region: &str, operation: &str, body: &[u8]) -> Result<Value, Refusal> {
    let request: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let Some(key) = request.get("KeyId").and_then(Value::as_str) else {
        return Err(refusal("ValidationException", "1 validation error detected: Value null at 'keyId'"));
    };
    let Some((arn, id)) = own(key, region) else {
        let message = format!("User is not authorized to perform: kms:{operation} on resource: {key}");
        return Err(refusal("AccessDeniedException", message));
    };
    match operation {
        "DescribeKey" => Ok(json!({"KeyMetadata": {
            "AWSAccountId": ACCOUNT_ID,
            "KeyId": id,
            "Arn": arn,
            "CreationDate": 1_700_000_000,
            "Enabled": true,
            "Description": "",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "KeyState": "Enabled",
            "Origin": "AWS_KMS",
            "KeyManager": "CUSTOMER",
            "MultiRegion": false,
        }})),
        "GetKeyPolicy" if request.get("PolicyName").is_none_or(|name| name == "default") => {
            let policy = json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Sid": "Enable IAM User Permissions",
                    "Effect": "Allow",
                    "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT_ID}:root")},
                    "Action": "kms:*",
                    "Resource": "*",
                }],
            });
            Ok(json!({"Policy": policy.to_string(), "PolicyName": "default"}))
        }
        "GetKeyPolicy" => Err(refusal("NotFoundException", "No such policy exists")),
        _ => Err(refusal("UnknownOperationException", "")),
    }
}

/// The ARN and id of a key of ours in this region, however it is named.
fn own(key: &str, region: &str) -> Option<(String, String)> {
    let prefix = format!("arn:aws:kms:{region}:{ACCOUNT_ID}:key/");
    let id = if key.starts_with("arn:") { key.strip_prefix(&prefix)? } else { key };
    (!id.is_empty()).then(|| (format!("{prefix}{id}"), id.to_owned()))
}

fn refusal(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}
