//! A simulated AWS account on loopback, for the demonstration and for tests.
//!
//! It is an implementation of what AWS does that shares no code with the rest of caselock: what
//! caselock reads and verifies, this part invents, signs and serves. [`Account::simulate`] makes
//! up an account's history from a [`Scenario`]; [`Server::start`] serves it to real AWS clients.
//! [`Account::objects`] tampers with it, [`Server::faults`] makes it misbehave.

mod chance;
mod disks;
mod faults;
mod flow;
mod keys;
mod objects;
mod principals;
mod record;
mod requests;
mod scenario;
mod server;
mod service;
mod story;
mod trail;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use chrono::{DateTime, Duration, Utc};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

pub use faults::{Fault, Faults};
pub use flow::FlowDestination;
pub use keys::RegionKey;
pub use objects::{Objects, StoredObject, Upload};
pub use requests::Request;
pub use scenario::Scenario;
pub use server::{Credentials, Server};

/// The account's number.
pub const ACCOUNT_ID: &str = "111122223333";
/// The account that is given what it should not have.
pub const FOREIGN_ACCOUNT_ID: &str = "444455556666";
/// The trail's name.
pub const TRAIL_NAME: &str = "management-events";
/// Where the trail delivers to.
pub const TRAIL_BUCKET: &str = "example-corp-cloudtrail";
/// Where the flow logs deliver to.
pub const FLOW_BUCKET: &str = "example-corp-flow-logs";
/// The bucket whose data events the trail records.
pub const DATA_BUCKET: &str = "example-corp-customer-data";

/// A simulated account; clones share it.
#[derive(Debug, Clone)]
pub struct Account {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    scenario: Scenario,
    objects: Objects,
    keys: keys::Keys,
    events: Vec<record::Event>,
    /// What happened besides, and is in the event history alone.
    unlogged: RwLock<Vec<record::Event>>,
    deliveries: BTreeMap<String, trail::LastDelivery>,
    disks: RwLock<disks::Disks>,
    flow_logs: RwLock<Vec<flow::FlowLog>>,
    log_groups: RwLock<Vec<flow::LogGroup>>,
    trail_deleted: AtomicBool,
    trail_key: RwLock<Option<String>>,
    /// Where the trail says that it delivers, if not to its own bucket. Such a trail has no digests.
    trail_bucket: RwLock<Option<String>>,
}

impl State {
    fn disks(&self) -> RwLockReadGuard<'_, disks::Disks> {
        self.disks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn flow_logs(&self) -> RwLockReadGuard<'_, Vec<flow::FlowLog>> {
        self.flow_logs.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn unlogged(&self) -> RwLockReadGuard<'_, Vec<record::Event>> {
        self.unlogged.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn trail_key(&self) -> Option<String> {
        self.trail_key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn trail_bucket(&self) -> Option<String> {
        self.trail_bucket.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something that is in the event history alone.
    fn happens(&self, event: record::Event) {
        self.unlogged.write().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    fn log_groups(&self) -> RwLockReadGuard<'_, Vec<flow::LogGroup>> {
        self.log_groups.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// Invents an account's history. Equal scenarios give equal accounts.
    #[must_use]
    pub fn simulate(scenario: &Scenario) -> Self {
        let objects = Objects::default();
        create_buckets(scenario, &objects);
        let keys = keys::Keys::generate(scenario);
        let mut disks = disks::Disks::new(scenario);
        let events = story::tell(scenario, &mut disks);
        let deliveries = trail::deliver(scenario, &events, &keys, &objects);
        let flow_logs = flow::flow_logs(scenario);
        flow::deliver(scenario, &flow_logs, &objects);
        let state = State {
            scenario: scenario.clone(),
            objects,
            keys,
            events,
            unlogged: RwLock::default(),
            deliveries,
            disks: RwLock::new(disks),
            flow_logs: RwLock::new(flow_logs),
            log_groups: RwLock::default(),
            trail_deleted: AtomicBool::new(false),
            trail_key: RwLock::default(),
            trail_bucket: RwLock::default(),
        };
        Self { state: Arc::new(state) }
    }

    /// The buckets, to look at and to tamper with.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.state.objects
    }

    /// What was simulated.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.state.scenario
    }

    /// The trail's ARN.
    #[must_use]
    pub fn trail_arn(&self) -> String {
        format!("arn:aws:cloudtrail:{}:{ACCOUNT_ID}:trail/{TRAIL_NAME}", self.scenario().home_region())
    }

    /// The keys a region has signed with, oldest first.
    #[must_use]
    pub fn keys(&self, region: &str) -> &[RegionKey] {
        self.state.keys.of_region(region)
    }

    /// Signs a digest document with the region's real key that the document names, as CloudTrail
    /// would. Nothing when the document is no digest or names no key of the region.
    #[must_use]
    pub fn sign_digest(&self, region: &str, document: &[u8]) -> Option<String> {
        let digest: Value = serde_json::from_slice(document).ok()?;
        let fingerprint = digest.get("digestPublicKeyFingerprint")?.as_str()?;
        let key = self.state.keys.by_fingerprint(region, fingerprint)?;
        Some(key.sign(&trail::data_to_sign(document)?))
    }

    /// Signs a digest document and stores it, compressed, as a new version of the object it names:
    /// a forgery that only the rest of the chain gives away. Returns its signature.
    #[must_use]
    pub fn publish_digest(&self, region: &str, document: &[u8]) -> Option<String> {
        let signature = self.sign_digest(region, document)?;
        let digest: Value = serde_json::from_slice(document).ok()?;
        let (bucket, object) = (digest.get("digestS3Bucket")?.as_str()?, digest.get("digestS3Object")?.as_str()?);
        let upload = trail::digest_upload(document, &signature, None);
        self.objects().put_new_version(bucket, object, upload)?;
        Some(signature)
    }

    /// Deletes the trail in the middle of the history: CloudTrail no longer knows it, its files stay where they are, and the event history
    /// tells of it.
    pub fn delete_trail(&self) {
        self.delete_trail_at(self.scenario().middle());
    }

    /// The same, at some time.
    pub fn delete_trail_at(&self, at: DateTime<Utc>) {
        self.state.trail_deleted.store(true, Ordering::Relaxed);
        self.state.happens(story::trail_deleted(self.scenario(), at));
    }

    /// Sends the trail to another bucket, and switches its validation off. Its files stay where they are, and the event history tells of it.
    pub fn send_trail(&self, bucket: &str, at: DateTime<Utc>) {
        *self.state.trail_bucket.write().unwrap_or_else(PoisonError::into_inner) = Some(bucket.to_owned());
        self.state.happens(story::trail_sent(self.scenario(), bucket, at));
    }

    /// Sets the KMS key under which the trail says that it delivers.
    pub fn set_trail_key(&self, key: Option<String>) {
        *self.state.trail_key.write().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Copies a region's first snapshot, as the console does, and returns the ids of both; nothing without one.
    pub fn copy_snapshot(&self, region: &str) -> Option<(String, String)> {
        let mut disks = self.state.disks.write().unwrap_or_else(PoisonError::into_inner);
        disks.copy_snapshot(region, self.scenario().end)
    }

    /// Lets a foreign account use a region's first snapshot, and the image that is made of it.
    pub fn share_snapshot(&self, region: &str, with: &str) {
        let mut disks = self.state.disks.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(snapshot) = disks.snapshots.iter_mut().find(|snapshot| snapshot.region == region) {
            snapshot.shared_with.push(with.to_owned());
        }
    }

    /// Makes a new snapshot of a region's first volume, and returns its id; nothing without one.
    pub fn create_snapshot(&self, region: &str) -> Option<String> {
        let mut disks = self.state.disks.write().unwrap_or_else(PoisonError::into_inner);
        disks.copy_first(region, self.scenario().end)
    }

    /// Adds a flow log that does not deliver to S3.
    pub fn add_flow_log(&self, region: &str, destination: FlowDestination) {
        let mut flow_logs = self.state.flow_logs.write().unwrap_or_else(PoisonError::into_inner);
        let number = flow_logs.len();
        flow_logs.push(flow::FlowLog::to(destination, region, number, self.scenario().start()));
    }

    /// Deletes the flow logs of a region in the middle of the history, and returns their ids. Their files stay where they are, and the event
    /// history tells of it.
    pub fn delete_flow_logs(&self, region: &str) -> Vec<String> {
        let mut flow_logs = self.state.flow_logs.write().unwrap_or_else(PoisonError::into_inner);
        let gone = flow_logs.extract_if(.., |flow_log| flow_log.region == region).map(|flow_log| flow_log.id);
        let ids: Vec<String> = gone.collect();
        self.state.happens(story::flow_logs_deleted(self.scenario(), region, &ids));
        ids
    }

    /// Makes a CloudWatch Logs group of records, each with its time and the stream that it is in.
    pub fn add_log_group(&self, region: &str, name: &str, records: impl IntoIterator<Item = (DateTime<Utc>, String, String)>) {
        let events = records
            .into_iter()
            .map(|(at, stream, message)| flow::LogEvent { at: at.timestamp_millis(), stream, message })
            .collect();
        let group = flow::LogGroup { region: region.to_owned(), name: name.to_owned(), events };
        self.state.log_groups.write().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    fn state(&self) -> &State {
        &self.state
    }
}

fn create_buckets(scenario: &Scenario, objects: &Objects) {
    let home = scenario.home_region();
    let created = scenario.start() - Duration::days(400);
    objects.create_bucket(TRAIL_BUCKET, home, true, created);
    objects.create_bucket(FLOW_BUCKET, home, false, created + Duration::days(30));
    objects.create_bucket(DATA_BUCKET, home, false, created + Duration::days(31));
    for (bucket, writer) in [(TRAIL_BUCKET, "cloudtrail.amazonaws.com"), (FLOW_BUCKET, "delivery.logs.amazonaws.com")] {
        objects.set_policy(bucket, Some(delivery_policy(bucket, writer)));
    }
    store_reports(objects, created + Duration::days(90));
}

fn delivery_policy(bucket: &str, writer: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "AclCheck", "Effect": "Allow", "Principal": {"Service": writer}, "Action": "s3:GetBucketAcl", "Resource": format!("arn:aws:s3:::{bucket}")},
            {
                "Sid": "Write",
                "Effect": "Allow",
                "Principal": {"Service": writer},
                "Action": "s3:PutObject",
                "Resource": format!("arn:aws:s3:::{bucket}/*"),
                "Condition": {"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
            },
        ],
    })
    .to_string()
}

fn store_reports(objects: &Objects, at: DateTime<Utc>) {
    for number in 1..=5 {
        let key = format!("reports/2026/summary-{number:03}.csv");
        let upload = Upload {
            at: Some(at),
            content_type: Some("text/csv".to_owned()),
            ..Upload::new(format!("region,total\nall,{}\n", number * 1_000))
        };
        objects.put_new_version(DATA_BUCKET, &key, upload);
    }
}

/// Compresses as AWS does: one member, without name or time.
#[expect(clippy::expect_used, reason = "writing to memory cannot fail")]
fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    encoder.write_all(content).expect("memory takes all bytes");
    encoder.finish().expect("memory takes all bytes")
}

#[cfg(test)]
mod tests;
