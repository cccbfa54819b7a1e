//! An account, and what of it is collected.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caselock::case::Scope;
use caselock::case::event::{ClockOffset, Gap, GapReason};
use caselock::model::{S3Location, Timestamp, Window};
use caselock::sim::{ACCOUNT_ID, Account, Scenario, StoredObject, TRAIL_BUCKET, TRAIL_NAME};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{HOME, LaterRun, end};

/// An account, what of it is collected, and how.
pub(crate) struct Collection {
    pub(crate) account: Account,
    pub(crate) window: Window,
    /// When the evidence was collected.
    pub(crate) at: DateTime<Utc>,
    pub(crate) scope: Scope,
    /// Whether older versions and their listing are collected.
    pub(crate) versions: bool,
    /// The answers of APIs: service, operation, region, parameters, body. The last page of each.
    pub(crate) answers: Vec<Answer>,
    pub(crate) gaps: Vec<Gap>,
    /// Objects that are not collected, though they are there.
    pub(crate) left_out: BTreeSet<S3Location>,
    /// Buckets that were not listed.
    pub(crate) not_listed: BTreeSet<String>,
    /// By which rule the others were.
    pub(crate) rule: String,
    /// Further accounts as which AWS was asked.
    pub(crate) also_as: Vec<&'static str>,
    /// Further accounts as which a run before this one began, which did not come to its end.
    pub(crate) begun_before_as: Vec<&'static str>,
    /// The runs after it.
    pub(crate) later: Vec<LaterRun>,
    /// Whether the run came to its end.
    pub(crate) finished: bool,
    /// How the machine's clock compares with AWS's.
    pub(crate) clock: Option<ClockOffset>,
    /// Where AWS was asked, if not at its own endpoints: all its services, and CloudTrail.
    pub(crate) endpoints: [Option<&'static str>; 2],
    /// The keys of the account before anybody tampered with it.
    pub(super) index: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The account that asked.
    pub(crate) account: &'static str,
    pub(crate) operation: &'static str,
    pub(crate) region: String,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) last: bool,
    /// When AWS answered.
    pub(crate) date: Option<Timestamp>,
}

/// Ten quiet hours in two regions; six of them are asked about.
pub(crate) fn quiet() -> Scenario {
    Scenario { hours: 10, ..Scenario::quiet(end()) }
}

/// The same with the trail switched off for a while in their midst.
pub(crate) fn stopped() -> Scenario {
    Scenario { hours: 14, stop_logging: true, ..Scenario::quiet(end()) }
}

impl Collection {
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let account = Account::simulate(scenario);
        let (start, end) = (scenario.start() + TimeDelta::hours(2), scenario.end - TimeDelta::hours(2));
        let window = Window::new(Timestamp::new(start), Timestamp::new(end)).unwrap();
        let index = scenario
            .regions
            .iter()
            .flat_map(|region| ["CloudTrail-Digest", "CloudTrail"].map(|kind| (kind, region)))
            .map(|(kind, region)| {
                let prefix = format!("AWSLogs/{ACCOUNT_ID}/{kind}/{region}/");
                (prefix.clone(), account.objects().keys(TRAIL_BUCKET, &prefix))
            })
            .collect();
        let mut collection = Self {
            account,
            window,
            at: scenario.end,
            scope: Scope::default(),
            versions: false,
            answers: Vec::new(),
            gaps: Vec::new(),
            left_out: BTreeSet::new(),
            not_listed: BTreeSet::new(),
            rule: "all".to_owned(),
            also_as: Vec::new(),
            begun_before_as: Vec::new(),
            later: Vec::new(),
            finished: true,
            clock: None,
            endpoints: [None, None],
            index,
        };
        collection.ask(scenario);
        collection
    }

    /// What AWS answers about the account before anybody tampers with its files.
    fn ask(&mut self, scenario: &Scenario) {
        let arn = self.account.trail_arn();
        let trail = json!({"Name": TRAIL_NAME, "TrailARN": arn, "S3BucketName": TRAIL_BUCKET, "HomeRegion": HOME,
            "IsMultiRegionTrail": true, "IsOrganizationTrail": false, "LogFileValidationEnabled": true});
        self.answer("DescribeTrails", HOME, &[("includeShadowTrails", "true")], json!({"trailList": [trail]}));
        for region in &scenario.regions {
            let newest = self.digest(region, -1);
            let delivered = self.account.objects().get(TRAIL_BUCKET, &newest.key).unwrap().last_modified.timestamp();
            let mut status = json!({"IsLogging": true, "LatestDigestDeliveryTime": delivered,
                "StartLoggingTime": (scenario.start() - TimeDelta::days(200)).timestamp()});
            if scenario.stop_logging {
                // As the scenario has it: the trail is stopped in the first half of the hour and started two hours later.
                let stopped = self.stop_time(region);
                status["StopLoggingTime"] = json!(stopped.timestamp());
                status["IsLogging"] = json!(scenario.restart_logging);
                if scenario.restart_logging {
                    status["StartLoggingTime"] = json!(self.start_time(region).timestamp());
                }
            }
            self.answer("GetTrailStatus", region, &[("Name", &arn)], status);
            let keys = self.account.keys(region).iter().map(|key| {
                json!({"Value": STANDARD.encode(&key.public_der), "Fingerprint": key.fingerprint,
                    "ValidityStartTime": key.valid_from.timestamp(), "ValidityEndTime": key.valid_until.timestamp()})
            });
            let keys: Vec<Value> = keys.collect();
            let asked = (self.window.start().plus_seconds(-86_400).to_string(), Timestamp::new(scenario.end).to_string());
            self.answer(
                "ListPublicKeys",
                region,
                &[("StartTime", &asked.0), ("EndTime", &asked.1)],
                json!({"PublicKeyList": keys}),
            );
        }
    }

    pub(crate) fn answer(&mut self, operation: &'static str, region: &str, parameters: &[(&str, &str)], body: Value) {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.answers.push(Answer {
            account: ACCOUNT_ID,
            operation,
            region: region.to_owned(),
            parameters,
            body,
            last: true,
            date: None,
        });
    }

    /// The answers of one operation in one region, to change.
    pub(crate) fn answers_of(&mut self, operation: &str, region: &str) -> impl Iterator<Item = &mut Answer> {
        self.answers.iter_mut().filter(move |answer| answer.operation == operation && answer.region == region)
    }

    pub(crate) fn forget(&mut self, operation: &str, region: &str) {
        self.answers.retain(|answer| answer.operation != operation || answer.region != region);
    }

    fn indexed(&self, kind: &str, region: &str, number: i64) -> S3Location {
        let keys = &self.index[&format!("AWSLogs/{ACCOUNT_ID}/{kind}/{region}/")];
        let count = i64::try_from(keys.len()).unwrap();
        let at = usize::try_from(if number < 0 { count + number } else { number }).unwrap();
        S3Location::new(TRAIL_BUCKET, keys[at].clone())
    }

    /// A digest of the untampered account, counted from the oldest, or with a negative number from the newest.
    pub(crate) fn digest(&self, region: &str, number: i64) -> S3Location {
        self.indexed("CloudTrail-Digest", region, number)
    }

    /// All digests of the untampered account's region.
    pub(crate) fn digests(&self, region: &str) -> Vec<S3Location> {
        let keys = &self.index[&format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/{region}/")];
        keys.iter().map(|key| S3Location::new(TRAIL_BUCKET, key.clone())).collect()
    }

    /// The number of the last digest before the trail was stopped.
    pub(crate) fn final_digest(&self, region: &str) -> usize {
        let starts = |location: &S3Location| self.document(location)["previousDigestS3Object"].is_null();
        let digests = self.digests(region);
        (1..digests.len()).find(|&number| starts(&digests[number])).unwrap_or(digests.len()) - 1
    }

    fn stop_time(&self, region: &str) -> DateTime<Utc> {
        let ends =
            self.document(&self.digests(region)[self.final_digest(region)])["digestEndTime"].as_str().unwrap().to_owned();
        let ends: DateTime<Utc> = ends.parse().unwrap();
        ends - TimeDelta::seconds(17 * 60 + 33)
    }

    fn start_time(&self, region: &str) -> DateTime<Utc> {
        let first = &self.digests(region)[self.final_digest(region) + 1];
        self.document(first)["digestEndTime"].as_str().unwrap().parse().unwrap()
    }

    /// The first log that a digest lists.
    pub(crate) fn log(&self, region: &str, digest: i64) -> S3Location {
        self.logs(region, digest).remove(0)
    }

    pub(crate) fn logs(&self, region: &str, digest: i64) -> Vec<S3Location> {
        let listed = self.document(&self.digest(region, digest));
        let listed = listed["logFiles"].as_array().unwrap().iter();
        listed.map(|log| S3Location::new(log["s3Bucket"].as_str().unwrap(), log["s3Object"].as_str().unwrap())).collect()
    }

    /// The uncompressed content of an object as it is now, or of its oldest version if it is deleted.
    pub(crate) fn content(&self, location: &S3Location) -> Vec<u8> {
        let oldest = || self.account.objects().versions(&location.bucket, &location.key).pop();
        let object = self.object(location).or_else(oldest).unwrap();
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(&object.body[..]).read_to_end(&mut content).unwrap();
        content
    }

    pub(crate) fn document(&self, location: &S3Location) -> Value {
        serde_json::from_slice(&self.content(location)).unwrap()
    }

    pub(crate) fn object(&self, location: &S3Location) -> Option<StoredObject> {
        self.account.objects().get(&location.bucket, &location.key)
    }

    /// Records that an object is there and could not be fetched.
    pub(crate) fn refuse(&mut self, location: &S3Location, reason: GapReason, code: &str) {
        self.left_out.insert(location.clone());
        self.gaps.push(Gap {
            source: "cloudtrail".to_owned(),
            account: Some(ACCOUNT_ID.parse().unwrap()),
            region: Some(HOME.parse().unwrap()),
            what: location.to_string(),
            reason,
            error_code: Some(code.to_owned()),
            detail: None,
            request_id: None,
        });
    }
}
