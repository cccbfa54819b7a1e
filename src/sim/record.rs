//! CloudTrail event records, as they stand in log files and in the event history.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::ACCOUNT_ID;
use super::chance::Chance;

/// Who does something, from where, with what.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) identity: Value,
    pub(super) name: String,
    pub(super) access_key: Option<String>,
    pub(super) address: String,
    pub(super) agent: String,
}

impl Actor {
    /// An IAM user with a long-term access key.
    pub(super) fn user(name: &str, user_id: &str, access_key: &str, address: &str, agent: &str) -> Self {
        let identity = json!({
            "type": "IAMUser",
            "principalId": user_id,
            "arn": format!("arn:aws:iam::{ACCOUNT_ID}:user/{name}"),
            "accountId": ACCOUNT_ID,
            "accessKeyId": access_key,
            "userName": name,
        });
        Self {
            identity,
            name: name.to_owned(),
            access_key: Some(access_key.to_owned()),
            address: address.to_owned(),
            agent: agent.to_owned(),
        }
    }

    /// A session of a role.
    pub(super) fn session(
        role: &str,
        role_id: &str,
        session: &str,
        access_key: &str,
        address: &str,
        agent: &str,
        since: DateTime<Utc>,
    ) -> Self {
        let identity = json!({
            "type": "AssumedRole",
            "principalId": format!("{role_id}:{session}"),
            "arn": format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/{session}"),
            "accountId": ACCOUNT_ID,
            "accessKeyId": access_key,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": role_id,
                    "arn": format!("arn:aws:iam::{ACCOUNT_ID}:role/{role}"),
                    "accountId": ACCOUNT_ID,
                    "userName": role,
                },
                "attributes": {"creationDate": timestamp(since), "mfaAuthenticated": "false"},
            },
        });
        Self {
            identity,
            name: session.to_owned(),
            access_key: Some(access_key.to_owned()),
            address: address.to_owned(),
            agent: agent.to_owned(),
        }
    }

    /// An AWS service acting on its own.
    pub(super) fn service(host: &str) -> Self {
        Self {
            identity: json!({"type": "AWSService", "invokedBy": host}),
            name: host.to_owned(),
            access_key: None,
            address: host.to_owned(),
            agent: host.to_owned(),
        }
    }
}

/// What is done.
#[derive(Debug, Clone)]
pub(super) struct Deed {
    /// Such as `ec2.amazonaws.com`.
    pub(super) source: &'static str,
    pub(super) name: &'static str,
    pub(super) read_only: bool,
    pub(super) request: Value,
    pub(super) response: Value,
    pub(super) error: Option<(&'static str, String)>,
    pub(super) additional: Option<Value>,
    /// ARN and type of what it is done to.
    pub(super) resources: Vec<(String, &'static str)>,
    pub(super) kind: &'static str,
    pub(super) data_event: bool,
}

impl Deed {
    pub(super) fn read(source: &'static str, name: &'static str, request: Value) -> Self {
        Self {
            source,
            name,
            read_only: true,
            request,
            response: Value::Null,
            error: None,
            additional: None,
            resources: Vec::new(),
            kind: "AwsApiCall",
            data_event: false,
        }
    }

    pub(super) fn write(source: &'static str, name: &'static str, request: Value, response: Value) -> Self {
        Self { read_only: false, response, ..Self::read(source, name, request) }
    }

    pub(super) fn on(mut self, resource: impl Into<String>, kind: &'static str) -> Self {
        self.resources.push((resource.into(), kind));
        self
    }
}

/// An event that happened: its record, and what the event history is searched by.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) time: DateTime<Utc>,
    pub(super) region: String,
    pub(super) id: String,
    pub(super) source: String,
    pub(super) name: String,
    pub(super) username: String,
    pub(super) access_key: Option<String>,
    pub(super) read_only: bool,
    pub(super) management: bool,
    pub(super) resources: Vec<(String, String)>,
    /// The record itself: compact JSON.
    pub(super) record: String,
}

impl Event {
    pub(super) fn new(chance: &mut Chance, time: DateTime<Utc>, region: &str, actor: &Actor, deed: Deed) -> Self {
        let id = chance.uuid();
        let by_service = actor.access_key.is_none();
        let host = format!("{}.{region}.amazonaws.com", deed.source.trim_end_matches(".amazonaws.com"));
        let (error_code, error_message) = deed.error.unzip();
        let resources = deed.resources.iter().map(|(arn, kind)| json!({"accountId": ACCOUNT_ID, "type": kind, "ARN": arn}));
        let resources: Vec<Value> = resources.collect();
        let record = Record {
            event_version: "1.11",
            user_identity: &actor.identity,
            event_time: timestamp(time),
            event_source: deed.source,
            event_name: deed.name,
            aws_region: region,
            source_ip_address: &actor.address,
            user_agent: &actor.agent,
            error_code,
            error_message,
            request_parameters: &deed.request,
            response_elements: &deed.response,
            additional_event_data: deed.additional.as_ref(),
            request_id: chance.uuid(),
            event_id: &id,
            read_only: deed.read_only,
            resources: (!resources.is_empty()).then_some(resources),
            event_type: deed.kind,
            management_event: !deed.data_event,
            recipient_account_id: ACCOUNT_ID,
            event_category: if deed.data_event { "Data" } else { "Management" },
            tls_details: (!by_service).then(|| {
                json!({
                    "tlsVersion": "TLSv1.3",
                    "cipherSuite": "TLS_AES_128_GCM_SHA256",
                    "clientProvidedHostHeader": host,
                })
            }),
        };
        Self {
            time,
            region: region.to_owned(),
            source: deed.source.to_owned(),
            name: deed.name.to_owned(),
            username: actor.name.clone(),
            access_key: actor.access_key.clone(),
            read_only: deed.read_only,
            management: !deed.data_event,
            resources: deed.resources.into_iter().map(|(arn, kind)| (kind.to_owned(), arn)).collect(),
            record: serde_json::to_string(&record).unwrap_or_default(),
            id,
        }
    }
}

/// The fields of a record in the order CloudTrail writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    event_version: &'a str,
    user_identity: &'a Value,
    event_time: String,
    event_source: &'a str,
    event_name: &'a str,
    aws_region: &'a str,
    #[serde(rename = "sourceIPAddress")]
    source_ip_address: &'a str,
    user_agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_message: Option<String>,
    request_parameters: &'a Value,
    response_elements: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_event_data: Option<&'a Value>,
    #[serde(rename = "requestID")]
    request_id: String,
    #[serde(rename = "eventID")]
    event_id: &'a str,
    read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    resources: Option<Vec<Value>>,
    event_type: &'a str,
    management_event: bool,
    recipient_account_id: &'a str,
    event_category: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_details: Option<Value>,
}

/// `YYYY-MM-DDTHH:MM:SSZ`.
pub(super) fn timestamp(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
