//! The services behind the endpoint, each speaking its own protocol.

pub(super) mod cloudtrail;
pub(super) mod ec2;
mod form;
pub(super) mod kms;
pub(super) mod logs;
pub(super) mod s3;
pub(super) mod sts;
mod xml;

pub(super) use form::Form;

use http::StatusCode;

/// Who asks: the only principal the account knows.
pub(super) const CALLER_ARN: &str = "arn:aws:sts::111122223333:assumed-role/incident-response/responder";

const EXPIRED: &str = "The security token included in the request is expired";
const WRONG_SIGNATURE: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// An answer of one of the services other than S3.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// An error, before it is put into a protocol's own shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }
}

/// What can be wrong with a request before anybody looks at what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Objection {
    /// It carries no signature.
    Unsigned,
    /// Its access key is not one of ours.
    UnknownKey,
    /// Its signature was made with another secret.
    WrongSignature,
    /// It is refused by fault injection.
    Denied,
    /// Its session has expired, by fault injection.
    Expired,
    /// It is throttled by fault injection.
    Throttled,
    /// It is refused with a status, a code and a message by fault injection.
    Refused(u16, &'static str, &'static str),
}

/// The protocol a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    CloudTrail,
    Logs,
    Ec2,
    Sts,
    Kms,
}

impl Protocol {
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::CloudTrail => "cloudtrail",
            Self::Logs => "logs",
            Self::Ec2 => "ec2",
            Self::Sts => "sts",
            Self::Kms => "kms",
        }
    }

    /// The way this service words an objection.
    pub(super) fn object(self, objection: Objection, operation: &str) -> Refusal {
        let action = format!("{}:{operation}", self.service());
        let denied = format!(
            "User: {CALLER_ARN} is not authorized to perform: {action} because no identity-based policy allows the {action} action"
        );
        let (status, code, message) = match (self, objection) {
            (_, Objection::Refused(status, code, message)) => {
                (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), code, message.to_owned())
            }
            (Self::CloudTrail | Self::Logs | Self::Kms, Objection::Unsigned) => {
                (StatusCode::BAD_REQUEST, "MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
            }
            (_, Objection::Unsigned) => {
                (StatusCode::FORBIDDEN, "MissingAuthenticationToken", "Request is missing Authentication Token".to_owned())
            }
            (Self::CloudTrail | Self::Logs | Self::Kms, Objection::UnknownKey) => (
                StatusCode::BAD_REQUEST,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            ),
            (Self::Ec2, Objection::UnknownKey | Objection::WrongSignature) => (
                StatusCode::UNAUTHORIZED,
                "AuthFailure",
                "AWS was not able to validate the provided access credentials".to_owned(),
            ),
            (Self::Sts, Objection::UnknownKey) => (
                StatusCode::FORBIDDEN,
                "InvalidClientTokenId",
                "The security token included in the request is invalid.".to_owned(),
            ),
            (Self::CloudTrail | Self::Logs | Self::Kms, Objection::WrongSignature) => {
                (StatusCode::BAD_REQUEST, "InvalidSignatureException", WRONG_SIGNATURE.to_owned())
            }
            (Self::Sts, Objection::WrongSignature) => {
                (StatusCode::FORBIDDEN, "SignatureDoesNotMatch", WRONG_SIGNATURE.to_owned())
            }
            (Self::CloudTrail | Self::Logs | Self::Kms, Objection::Denied) => {
                (StatusCode::BAD_REQUEST, "AccessDeniedException", denied)
            }
            (Self::Ec2, Objection::Denied) => (
                StatusCode::FORBIDDEN,
                "UnauthorizedOperation",
                format!("You are not authorized to perform this operation. {denied}"),
            ),
            (Self::Sts, Objection::Denied) => (StatusCode::FORBIDDEN, "AccessDenied", denied),
            (Self::CloudTrail | Self::Logs | Self::Kms, Objection::Expired) => {
                (StatusCode::BAD_REQUEST, "ExpiredTokenException", EXPIRED.to_owned())
            }
            (Self::Ec2, Objection::Expired) => (StatusCode::BAD_REQUEST, "RequestExpired", "Request has expired.".to_owned()),
            (Self::Sts, Objection::Expired) => (StatusCode::FORBIDDEN, "ExpiredToken", EXPIRED.to_owned()),
            (Self::CloudTrail | Self::Logs | Self::Kms, Objection::Throttled) => {
                (StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded".to_owned())
            }
            (Self::Ec2, Objection::Throttled) => {
                (StatusCode::SERVICE_UNAVAILABLE, "RequestLimitExceeded", "Request limit exceeded.".to_owned())
            }
            (Self::Sts, Objection::Throttled) => (StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded".to_owned()),
        };
        Refusal::new(status, code, message)
    }

    /// Puts a refusal into this service's shape.
    pub(super) fn refuse(self, refusal: &Refusal, request_id: &str) -> Answer {
        let body = match self {
            Self::CloudTrail | Self::Logs | Self::Kms => {
                serde_json::json!({"__type": refusal.code, "message": refusal.message}).to_string()
            }
            Self::Ec2 => xml::document(|xml| {
                xml.element("Response", |xml| {
                    xml.element("Errors", |xml| {
                        xml.element("Error", |xml| {
                            xml.text("Code", &refusal.code);
                            xml.text("Message", &refusal.message);
                        });
                    });
                    xml.text("RequestID", request_id);
                });
            }),
            Self::Sts => xml::document(|xml| {
                xml.element_in("ErrorResponse", sts::NAMESPACE, |xml| {
                    xml.element("Error", |xml| {
                        xml.text("Type", "Sender");
                        xml.text("Code", &refusal.code);
                        xml.text("Message", &refusal.message);
                    });
                    xml.text("RequestId", request_id);
                });
            }),
        };
        Answer { status: refusal.status, content_type: self.content_type(), body }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::CloudTrail | Self::Logs | Self::Kms => "application/x-amz-json-1.1",
            Self::Ec2 => "text/xml;charset=UTF-8",
            Self::Sts => "text/xml",
        }
    }
}
