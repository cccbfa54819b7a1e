//! STS: who is asking.

use http::StatusCode;

use super::super::ACCOUNT_ID;
use super::{CALLER_ARN, Refusal, xml};

pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(in super::super) fn answer(operation: &str, request_id: &str) -> Result<String, Refusal> {
    if operation != "GetCallerIdentity" {
        let message = format!("Could not find operation {operation} for version 2011-06-15");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "InvalidAction", message));
    }
    Ok(xml::document(|xml| {
        xml.element_in("GetCallerIdentityResponse", NAMESPACE, |xml| {
            xml.element("GetCallerIdentityResult", |xml| {
                xml.text("Arn", CALLER_ARN);
                xml.text("UserId", "AROAIOSFODNN7RESPONSE:responder");
                xml.text("Account", ACCOUNT_ID);
            });
            xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
        });
    }))
}
