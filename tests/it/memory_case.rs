//! A case in memory, made from a simulated account without a network: hundreds of them take seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use caselock::case::event::{
    Agreement, Artifact, Caller, CaseOpened, ClockOffset, CollectionFinished, CollectionInterrupted, CollectionStarted, Event,
    Exchange, Gap, GapReason, ObjectOrigin, Origin, ResponseOrigin,
};
use caselock::case::{CaseError, CaseFiles, CaseIdentity, FORMAT_VERSION, Found, Scope, Workspace};
use caselock::model::{PayloadPath, S3Location, Sha256Hash, Timestamp, Window};
use caselock::sim::{ACCOUNT_ID, Account, Scenario, StoredObject, TRAIL_BUCKET, TRAIL_NAME};
use caselock::verify::{Options, Report, verify};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::sample::tool;

mod later;
mod listings;

pub(crate) use later::LaterRun;

pub(crate) const HOME: &str = "us-east-1";
pub(crate) const ABROAD: &str = "eu-central-1";

/// When simulated histories of this kind end.
pub(crate) fn end() -> DateTime<Utc> {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// A case that lies in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryCase {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) foreign: Vec<(String, &'static str)>,
    /// Whether it is to be taken for what a package holds.
    pub(crate) package: bool,
}

impl CaseFiles for MemoryCase {
    fn walk(&self, visit: &mut dyn FnMut(Found<'_>)) -> Result<(), CaseError> {
        for path in self.files.keys() {
            visit(Found::File { path });
        }
        for (path, what) in &self.foreign {
            visit(Found::Foreign { path, what });
        }
        Ok(())
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send + '_>, CaseError> {
        match self.files.get(path) {
            Some(bytes) => Ok(Box::new(Cursor::new(bytes))),
            None => Err(CaseError::NoCase { path: self.describe(path) }),
        }
    }

    fn describe(&self, path: &str) -> PathBuf {
        PathBuf::from("/case").join(path)
    }

    fn is_package(&self) -> bool {
        self.package
    }
}

impl MemoryCase {
    /// Verifies it twice: in memory, and with everything that may grow put on disk and more threads; it must come to the same.
    pub(crate) fn verify(&self) -> Report {
        let report = self.verify_with(&Options::default());
        let workspace = Workspace { folder: None, held: 0 };
        let on_disk = verify(self, &Options { threads: 3.try_into().unwrap(), workspace, ..Options::default() }).unwrap();
        assert_eq!(json!(report), json!(on_disk));
        report
    }

    pub(crate) fn verify_with(&self, options: &Options<'_>) -> Report {
        verify(self, &Options { threads: 1.try_into().unwrap(), ..*options }).unwrap()
    }

    /// The path of an object's current version.
    pub(crate) fn path_of(location: &S3Location) -> String {
        PayloadPath::for_object(location).to_string()
    }

    /// Changes the ledger, line by line, without mending its chain.
    pub(crate) fn edit_ledger(&mut self, edit: impl FnOnce(&mut Vec<String>)) {
        let text = String::from_utf8(self.files["custody/ledger.jsonl"].clone()).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.files.insert("custody/ledger.jsonl".to_owned(), text.into_bytes());
    }
}

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
    index: BTreeMap<String, Vec<String>>,
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

    /// Writes the case.
    pub(crate) fn case(&self) -> MemoryCase {
        let mut case = MemoryCase::default();
        let identity = CaseIdentity {
            format_version: FORMAT_VERSION,
            case_number: "IR-2026-014".to_owned(),
            evidence_number: String::new(),
            examiner: "A. Examiner".to_owned(),
            organization: String::new(),
            authority: String::new(),
            description: String::new(),
            notes: String::new(),
            opened_at: Timestamp::new(self.at),
            window: self.window,
            scope: self.scope.clone(),
        };
        let identity = toml::to_string(&identity).unwrap().into_bytes();
        let mut ledger = Ledger { at: Timestamp::new(self.at), text: Vec::new(), lines: 0, prev: Sha256Hash::ZERO };
        ledger.append(&Event::CaseOpened(CaseOpened {
            format_version: FORMAT_VERSION,
            case_number: "IR-2026-014".to_owned(),
            case_toml_sha256: Sha256Hash::of(&identity),
            tool: tool(),
        }));
        case.files.insert("custody/case.toml".to_owned(), identity);
        case.files.insert("README.txt".to_owned(), b"README".to_vec());
        if !self.begun_before_as.is_empty() {
            ledger.append(&self.started(1, &self.begun_before_as));
            let cause = Some("the run was asked to stop".to_owned());
            ledger.append(&Event::CollectionInterrupted(CollectionInterrupted { run: 1, discarded: Vec::new(), cause }));
        }
        let run = if self.begun_before_as.is_empty() { 1 } else { 2 };
        ledger.append(&self.started(run, &self.also_as));
        let mut listings = self.listings();
        for (path, bytes, source) in self.artifacts() {
            if matches!(source, Origin::ApiResponse(_)) {
                listings.drain(..).for_each(|listing| ledger.append(&Event::ListingRecorded(listing)));
            }
            ledger.store(&mut case, (path, bytes, source));
        }
        for gap in &self.gaps {
            ledger.append(&Event::GapRecorded(gap.clone()));
        }
        if self.finished {
            let gaps = self.gaps.len().try_into().unwrap();
            let finished = CollectionFinished { run, artifacts: 0, bytes: 0, already_stored: 0, gaps, clock: self.clock };
            ledger.append(&Event::CollectionFinished(finished));
        }
        self.run_later(run, &mut ledger, &mut case);
        case.files.insert("custody/ledger.jsonl".to_owned(), ledger.text);
        case
    }

    pub(crate) fn report(&self) -> Report {
        self.case().verify()
    }

    fn started(&self, run: u32, also_as: &[&str]) -> Event {
        let scenario = self.account.scenario();
        Event::CollectionStarted(Box::new(CollectionStarted {
            run,
            tool: tool(),
            host: "examiner.example.com".to_owned(),
            system: "Linux".to_owned(),
            os_user: "examiner".to_owned(),
            command_line: vec!["caselock".to_owned(), "collect".to_owned()],
            configuration: None,
            caller: caller(ACCOUNT_ID),
            also_as: also_as.iter().map(|account| caller(account)).collect(),
            roles: Vec::new(),
            endpoint_url: self.endpoints[0].map(str::to_owned),
            service_endpoints: self.endpoints[1].map(|url| ("CLOUDTRAIL".to_owned(), url.to_owned())).into_iter().collect(),
            proxies: std::collections::BTreeMap::new(),
            window: self.window,
            scope: self.scope.clone(),
            regions: scenario.regions.iter().map(|region| region.parse().unwrap()).collect(),
            clock: self.clock,
        }))
    }

    fn artifacts(&self) -> Vec<(PayloadPath, Vec<u8>, Origin)> {
        let mut artifacts = Vec::new();
        for bucket in self.account.objects().buckets().into_iter().filter(|bucket| bucket.contains("cloudtrail")) {
            let mut keys = BTreeSet::new();
            keys.extend(self.account.objects().keys(&bucket, ""));
            if self.versions {
                keys.extend(self.index.values().flatten().filter(|_| bucket == TRAIL_BUCKET).cloned());
            }
            for location in keys.into_iter().map(|key| S3Location::new(bucket.clone(), key)) {
                let current = self.object(&location).filter(|_| !self.left_out.contains(&location));
                let newest = current.as_ref().map(|object| object.version_id.clone());
                if let Some(object) = current {
                    artifacts.push(artifact(PayloadPath::for_object(&location), &location, object));
                }
                let older = self.account.objects().versions(&bucket, &location.key);
                let older = older
                    .into_iter()
                    .filter(|object| self.versions && !object.delete_marker && Some(&object.version_id) != newest.as_ref());
                for object in older {
                    let path = PayloadPath::for_version(&location, &object.version_id);
                    artifacts.push(artifact(path, &location, object));
                }
            }
        }
        let mut number = 0;
        for answer in &self.answers {
            number += 1;
            let body = answer.body.to_string().into_bytes();
            artifacts.push(response(number, "cloudtrail", answer, body, "json"));
        }
        if self.versions {
            let listing = self.version_listing();
            let asked = Answer {
                account: ACCOUNT_ID,
                operation: "ListObjectVersions",
                region: HOME.to_owned(),
                parameters: [("Bucket".to_owned(), TRAIL_BUCKET.to_owned())].into(),
                body: Value::Null,
                last: true,
                date: None,
            };
            artifacts.push(response(number + 1, "s3", &asked, listing.into_bytes(), "xml"));
        }
        artifacts
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

fn caller(account: &str) -> Caller {
    Caller {
        account: account.parse().unwrap(),
        arn: format!("arn:aws:iam::{account}:user/examiner"),
        user_id: "AIDAEXAMPLE".to_owned(),
        access_key_id: None,
    }
}

fn artifact(path: PayloadPath, location: &S3Location, object: StoredObject) -> (PayloadPath, Vec<u8>, Origin) {
    let origin = ObjectOrigin {
        source: "cloudtrail".to_owned(),
        account: None,
        region: None,
        bucket: location.bucket.clone(),
        key: location.key.clone(),
        version_id: Some(object.version_id),
        etag: Some(object.etag),
        checksums: BTreeMap::new(),
        last_modified: Some(Timestamp::new(object.last_modified)),
        storage_class: None,
        encryption: None,
        kms_key_id: None,
        content_type: None,
        content_encoding: None,
        metadata: object.metadata,
        aws_digest: Agreement::Match,
        exchange: Exchange { attempts: 1, ..Exchange::default() },
    };
    (path, object.body.to_vec(), Origin::S3Object(Box::new(origin)))
}

fn response(
    number: u32,
    service: &'static str,
    answer: &Answer,
    body: Vec<u8>,
    extension: &'static str,
) -> (PayloadPath, Vec<u8>, Origin) {
    let (account, region) = (answer.account.parse().unwrap(), answer.region.parse().unwrap());
    let path = PayloadPath::for_api_page(service, account, &region, answer.operation, number, extension);
    let origin = ResponseOrigin {
        source: "cloudtrail".to_owned(),
        service: service.to_owned(),
        account,
        region,
        operation: answer.operation.to_owned(),
        parameters: answer.parameters.clone(),
        page: 1,
        last: answer.last,
        status: 200,
        exchange: Exchange { attempts: 1, date: answer.date, ..Exchange::default() },
    };
    (path, body, Origin::ApiResponse(Box::new(origin)))
}

/// A ledger written without the code that writes ledgers.
struct Ledger {
    at: Timestamp,
    text: Vec<u8>,
    lines: u64,
    prev: Sha256Hash,
}

impl Ledger {
    fn append(&mut self, event: &Event) {
        let mut line = serde_json::to_value(event).unwrap();
        line["seq"] = json!(self.lines);
        line["prev"] = json!(self.prev.to_string());
        line["at"] = json!(self.at.to_string());
        let line = serde_json_canonicalizer::to_vec(&line).unwrap();
        self.prev = Sha256Hash::of(&line);
        self.lines += 1;
        self.text.extend(line);
        self.text.push(b'\n');
    }

    fn store(&mut self, case: &mut MemoryCase, (path, bytes, source): (PayloadPath, Vec<u8>, Origin)) {
        self.append(&Event::ArtifactAcquired(Box::new(Artifact {
            size: bytes.len().try_into().unwrap(),
            sha256: Sha256Hash::of(&bytes),
            content_sha256: None,
            source,
            salt: "00".repeat(16),
            path: path.clone(),
        })));
        assert!(case.files.insert(path.to_string(), bytes).is_none(), "{path} twice");
    }
}
