//! STS: who is asking, and how to become somebody else.

use http::StatusCode;

use super::super::principals::{Issued, Principal, Principals};
use super::{Form, Refusal, xml};

pub(super) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

pub(in super::super) fn answer(
    principals: &Principals,
    asking: &Principal,
    operation: &str,
    form: &Form,
    request_id: &str,
) -> Result<String, Refusal> {
    match operation {
        "GetCallerIdentity" => Ok(response(operation, request_id, |xml| {
            xml.text("Arn", &asking.arn);
            xml.text("UserId", &asking.user_id);
            xml.text("Account", &asking.account);
        })),
        "AssumeRole" => {
            let (Some(role), Some(name)) = (form.get("RoleArn"), form.get("RoleSessionName")) else {
                return Err(invalid("ValidationError", "RoleArn and RoleSessionName are needed".to_owned()));
            };
            let code = form.get("SerialNumber").zip(form.get("TokenCode"));
            let issued = principals.assume(asking, role, name, form.get("ExternalId"), code).map_err(|why| denied(&why))?;
            Ok(response(operation, request_id, |xml| {
                write_credentials(xml, &issued);
                xml.element("AssumedRoleUser", |xml| {
                    xml.text("AssumedRoleId", &issued.principal.user_id);
                    xml.text("Arn", &issued.principal.arn);
                });
            }))
        }
        "GetSessionToken" => {
            let code = form.get("SerialNumber").zip(form.get("TokenCode"));
            let issued = principals.session(asking, code).map_err(|why| denied(&why))?;
            Ok(response(operation, request_id, |xml| write_credentials(xml, &issued)))
        }
        _ => {
            let message = format!("Could not find operation {operation} for version 2011-06-15");
            Err(invalid("InvalidAction", message))
        }
    }
}

fn response(operation: &str, request_id: &str, write: impl FnOnce(&mut xml::Xml)) -> String {
    xml::document(|xml| {
        xml.element_in(&format!("{operation}Response"), NAMESPACE, |xml| {
            xml.element(&format!("{operation}Result"), write);
            xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
        });
    })
}

fn write_credentials(xml: &mut xml::Xml, issued: &Issued) {
    xml.element("Credentials", |xml| {
        xml.text("AccessKeyId", &issued.access_key_id);
        xml.text("SecretAccessKey", &issued.principal.secret);
        xml.text("SessionToken", issued.principal.token.as_deref().unwrap_or_default());
        let expiry = chrono::Utc::now() + chrono::Duration::hours(1);
        xml.text("Expiration", &expiry.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    });
}

fn denied(why: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "AccessDenied", why)
}

fn invalid(code: &str, message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, code, message)
}
