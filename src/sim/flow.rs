//! VPC flow logs: their settings, and the files they leave in S3.

use chrono::{DateTime, Duration, Utc};

use super::chance::Chance;
use super::objects::{Objects, Upload};
use super::scenario::Scenario;
use super::story::{EXFILTRATION_ADDRESS, INTRUDER_ADDRESS, OFFICE_ADDRESS, intrusion_start};
use super::{ACCOUNT_ID, FLOW_BUCKET, FOREIGN_ACCOUNT_ID, gzip};

const DEFAULT_FIELDS: &str =
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
const CUSTOM_FIELDS: &str = "version account-id vpc-id subnet-id instance-id interface-id srcaddr dstaddr srcport dstport protocol tcp-flags packets bytes start end flow-direction action log-status";

/// A flow log.
#[derive(Debug, Clone)]
pub(super) struct FlowLog {
    pub(super) region: String,
    pub(super) id: String,
    pub(super) resource: String,
    pub(super) created: DateTime<Utc>,
    /// Folder within the bucket, with its slash.
    pub(super) folder: &'static str,
    /// Whether files lie in Hive folders, one an hour.
    pub(super) hive: bool,
    pub(super) fields: &'static str,
    pub(super) aggregation: u32,
    /// Where its records go, if not to the account's bucket.
    pub(super) elsewhere: Option<FlowDestination>,
}

/// Where a flow log's records go, if not to S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowDestination {
    /// A CloudWatch Logs group.
    LogGroup(String),
    /// A CloudWatch Logs group of the foreign account.
    ForeignLogGroup(String),
    /// A Firehose delivery stream.
    Firehose(String),
}

/// A CloudWatch Logs group.
#[derive(Debug, Clone)]
pub(super) struct LogGroup {
    pub(super) region: String,
    pub(super) name: String,
    pub(super) events: Vec<LogEvent>,
}

/// An event of a log group.
#[derive(Debug, Clone)]
pub(super) struct LogEvent {
    /// Milliseconds of the epoch.
    pub(super) at: i64,
    pub(super) stream: String,
    pub(super) message: String,
}

impl FlowLog {
    /// `LogFormat`, as the API shows it.
    pub(super) fn format(&self) -> String {
        self.fields.split(' ').map(|field| format!("${{{field}}}")).collect::<Vec<_>>().join(" ")
    }

    /// A flow log of the account's VPC with another destination than S3.
    pub(super) fn to(destination: FlowDestination, region: &str, number: usize, created: DateTime<Utc>) -> Self {
        Self {
            region: region.to_owned(),
            id: format!("fl-0{number:016x}"),
            resource: "vpc-0aa11bb22cc33dd44".to_owned(),
            created,
            folder: "",
            hive: false,
            fields: DEFAULT_FIELDS,
            aggregation: 600,
            elsewhere: Some(destination),
        }
    }

    /// `LogDestinationType`.
    pub(super) fn destination_type(&self) -> &'static str {
        match &self.elsewhere {
            None => "s3",
            Some(FlowDestination::LogGroup(_) | FlowDestination::ForeignLogGroup(_)) => "cloud-watch-logs",
            Some(FlowDestination::Firehose(_)) => "kinesis-data-firehose",
        }
    }

    /// `LogGroupName`.
    pub(super) fn group(&self) -> Option<&str> {
        match &self.elsewhere {
            Some(FlowDestination::LogGroup(name) | FlowDestination::ForeignLogGroup(name)) => Some(name),
            _ => None,
        }
    }

    /// `LogDestination`.
    pub(super) fn destination(&self) -> String {
        match &self.elsewhere {
            Some(FlowDestination::LogGroup(name)) => {
                return format!("arn:aws:logs:{}:{ACCOUNT_ID}:log-group:{name}", self.region);
            }
            Some(FlowDestination::ForeignLogGroup(name)) => {
                return format!("arn:aws:logs:{}:{FOREIGN_ACCOUNT_ID}:log-group:{name}", self.region);
            }
            Some(FlowDestination::Firehose(name)) => {
                return format!("arn:aws:firehose:{}:{ACCOUNT_ID}:deliverystream/{name}", self.region);
            }
            None => {}
        }
        let folder = if self.folder.is_empty() { String::new() } else { format!("/{}", self.folder) };
        format!("arn:aws:s3:::{FLOW_BUCKET}{folder}")
    }

    fn key(&self, slot: DateTime<Utc>, suffix: &str) -> String {
        let (folder, region, id) = (self.folder, &self.region, &self.id);
        let place = if self.hive {
            format!(
                "aws-account-id={ACCOUNT_ID}/aws-service=vpcflowlogs/aws-region={region}/{}",
                slot.format("year=%Y/month=%m/day=%d/hour=%H")
            )
        } else {
            format!("{ACCOUNT_ID}/vpcflowlogs/{region}/{}", slot.format("%Y/%m/%d"))
        };
        let stamp = slot.format("%Y%m%dT%H%MZ");
        format!("{folder}AWSLogs/{place}/{ACCOUNT_ID}_vpcflowlogs_{region}_{id}_{stamp}_{suffix}.log.gz")
    }
}

/// Sets up the account's flow logs: a VPC of the home region, and a subnet of the second region.
pub(super) fn flow_logs(scenario: &Scenario) -> Vec<FlowLog> {
    let mut chance = Chance::new(scenario.seed, "flow logs");
    let created = scenario.start() - Duration::days(40);
    let mut logs = vec![FlowLog {
        region: scenario.home_region().to_owned(),
        id: format!("fl-0{}", chance.hex(16)),
        resource: format!("vpc-0{}", chance.hex(16)),
        created,
        folder: "",
        hive: false,
        fields: DEFAULT_FIELDS,
        aggregation: 600,
        elsewhere: None,
    }];
    if let Some(region) = scenario.regions.get(1) {
        logs.push(FlowLog {
            region: region.clone(),
            id: format!("fl-0{}", chance.hex(16)),
            resource: format!("subnet-0{}", chance.hex(16)),
            created: created + Duration::hours(5),
            folder: "eu/",
            hive: true,
            fields: CUSTOM_FIELDS,
            aggregation: 60,
            elsewhere: None,
        });
    }
    logs
}

/// Writes the files of all flow logs, up to the scenario's end.
pub(super) fn deliver(scenario: &Scenario, logs: &[FlowLog], objects: &Objects) {
    for log in logs {
        let mut chance = Chance::new(scenario.seed, &format!("flows of {}", log.id));
        let interfaces: Vec<String> = (0..4).map(|_| format!("eni-0{}", chance.hex(16))).collect();
        let mut slot = scenario.start();
        let step = Duration::minutes(if log.hive { 10 } else { 5 });
        let mut number = 0_u32;
        while slot < scenario.end {
            let delivered = slot + Duration::minutes(5) + Duration::seconds(i64::from(chance.between(40, 280)));
            let body = flows(scenario, log, slot, number, &interfaces, &mut chance);
            let key = log.key(slot, &chance.hex(8));
            if delivered <= scenario.end {
                let upload = Upload {
                    content_type: Some("application/octet-stream".to_owned()),
                    at: Some(delivered),
                    ..Upload::new(gzip(body.as_bytes()))
                };
                objects.put_new_version(FLOW_BUCKET, &key, upload);
            }
            slot += step;
            number = number.saturating_add(1);
        }
    }
}

/// One record of a file; what a field does not say is a dash.
struct Flow<'a> {
    interface: &'a str,
    from: (&'a str, u32),
    to: (&'a str, u32),
    packets: u32,
    bytes: u64,
    start: i64,
    end: i64,
    outgoing: bool,
    verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accept,
    Reject,
    NoData,
    SkipData,
}

fn flows(
    scenario: &Scenario,
    log: &FlowLog,
    slot: DateTime<Utc>,
    number: u32,
    interfaces: &[String],
    chance: &mut Chance,
) -> String {
    let names: Vec<&str> = interfaces.iter().map(String::as_str).collect();
    let web = names.first().copied().unwrap_or_default();
    let mut lines = vec![log.fields.to_owned()];
    for _ in 0..chance.between(8, 24) {
        let interface = chance.pick(&names);
        let end = slot.timestamp() + i64::from(chance.below(300));
        let (port, verdict) = match chance.below(10) {
            0 => (chance.between(1, 1024), Verdict::Reject),
            1 => (22, Verdict::Accept),
            2..=4 => (5432, Verdict::Accept),
            _ => (443, Verdict::Accept),
        };
        let outside = match port {
            22 => OFFICE_ADDRESS,
            5432 => "10.0.2.15",
            _ => chance.pick(&["198.51.100.40", "198.51.100.61", "198.51.100.97", "203.0.113.5", "203.0.113.140"]),
        };
        let packets = chance.between(1, 400);
        let outgoing = verdict == Verdict::Accept && chance.below(2) == 0;
        let (inner, outer) = (("10.0.1.10", port), (outside, chance.between(32_768, 60_999)));
        let (from, to) = if outgoing { (inner, outer) } else { (outer, inner) };
        let bytes = u64::from(packets) * u64::from(chance.between(52, 1_400));
        lines.push(line(
            log,
            &Flow {
                interface,
                from,
                to,
                packets,
                bytes,
                start: end - i64::from(chance.between(5, 59)),
                end,
                outgoing,
                verdict,
            },
        ));
    }
    if scenario.intrusion && !log.hive {
        lines.extend(intruder_flow(scenario, log, slot, web, chance));
    }
    // Now and then an interface has nothing to say, or AWS had no room for what it said.
    let odd = match number % 24 {
        7 => Some(Verdict::NoData),
        19 => Some(Verdict::SkipData),
        _ => None,
    };
    if let (Some(verdict), Some(interface)) = (odd, names.last()) {
        let (start, end) = (slot.timestamp(), slot.timestamp() + 59);
        lines.push(line(
            log,
            &Flow { interface, from: ("-", 0), to: ("-", 0), packets: 0, bytes: 0, start, end, outgoing: false, verdict },
        ));
    }
    lines.join("\n") + "\n"
}

/// The scan before, and the large uploads during, the theft.
fn intruder_flow(scenario: &Scenario, log: &FlowLog, slot: DateTime<Utc>, web: &str, chance: &mut Chance) -> Vec<String> {
    let into = (slot - intrusion_start(scenario)).num_minutes();
    let mut lines = Vec::new();
    if (-20..0).contains(&into) {
        for port in [22, 23, 445, 3389, 8080] {
            let end = slot.timestamp() + i64::from(chance.below(300));
            let flow = Flow {
                interface: web,
                from: (INTRUDER_ADDRESS, chance.between(40_000, 60_000)),
                to: ("10.0.1.10", port),
                packets: 1,
                bytes: 44,
                start: end - 1,
                end,
                outgoing: false,
                verdict: Verdict::Reject,
            };
            lines.push(line(log, &flow));
        }
    }
    if (80..125).contains(&into) {
        let end = slot.timestamp() + 290;
        let packets = chance.between(400_000, 900_000);
        let flow = Flow {
            interface: web,
            from: ("10.0.1.10", chance.between(40_000, 60_000)),
            to: (EXFILTRATION_ADDRESS, 443),
            packets,
            bytes: u64::from(packets) * 1_420,
            start: end - 285,
            end,
            outgoing: true,
            verdict: Verdict::Accept,
        };
        lines.push(line(log, &flow));
    }
    lines
}

fn line(log: &FlowLog, flow: &Flow<'_>) -> String {
    let value = |field: &str| -> String {
        let silent = matches!(flow.verdict, Verdict::NoData | Verdict::SkipData);
        match field {
            "version" => if log.hive { "5" } else { "2" }.to_owned(),
            "account-id" => ACCOUNT_ID.to_owned(),
            "subnet-id" => log.resource.clone(),
            "vpc-id" => "vpc-0aa11bb22cc33dd44".to_owned(),
            "interface-id" => flow.interface.to_owned(),
            "start" => flow.start.to_string(),
            "end" => flow.end.to_string(),
            "log-status" => match flow.verdict {
                Verdict::NoData => "NODATA",
                Verdict::SkipData => "SKIPDATA",
                Verdict::Accept | Verdict::Reject => "OK",
            }
            .to_owned(),
            _ if silent => "-".to_owned(),
            "instance-id" => flow.interface.replace("eni-", "i-"),
            "srcaddr" => flow.from.0.to_owned(),
            "srcport" => flow.from.1.to_string(),
            "dstaddr" => flow.to.0.to_owned(),
            "dstport" => flow.to.1.to_string(),
            "protocol" => "6".to_owned(),
            "tcp-flags" => if flow.verdict == Verdict::Reject { "2" } else { "19" }.to_owned(),
            "packets" => flow.packets.to_string(),
            "bytes" => flow.bytes.to_string(),
            "flow-direction" => if flow.outgoing { "egress" } else { "ingress" }.to_owned(),
            "action" => if flow.verdict == Verdict::Reject { "REJECT" } else { "ACCEPT" }.to_owned(),
            _ => "-".to_owned(),
        }
    };
    log.fields.split(' ').map(value).collect::<Vec<_>>().join(" ")
}
