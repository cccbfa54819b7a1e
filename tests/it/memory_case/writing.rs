//! The case of what is collected, written without the code that writes cases.

use std::collections::{BTreeMap, BTreeSet};

use caselock::case::event::{
    Agreement, Artifact, Caller, CaseOpened, CollectionFinished, CollectionInterrupted, CollectionStarted, Event, Exchange,
    ObjectOrigin, Origin, ResponseOrigin,
};
use caselock::case::{CASE_TOML, CaseIdentity, FORMAT_VERSION, LEDGER};
use caselock::model::{PayloadPath, S3Location, Sha256Hash, Timestamp};
use caselock::sim::{ACCOUNT_ID, StoredObject, TRAIL_BUCKET};
use caselock::verify::Report;
use serde_json::{Value, json};

use super::{Answer, Collection, HOME, MemoryCase};
use crate::sample::tool;

impl Collection {
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
        case.files.insert(CASE_TOML.to_owned(), identity);
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
        case.files.insert(LEDGER.to_owned(), ledger.text);
        case
    }

    pub(crate) fn report(&self) -> Report {
        self.case().verify()
    }

    pub(super) fn started(&self, run: u32, also_as: &[&str]) -> Event {
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
}

pub(super) fn caller(account: &str) -> Caller {
    Caller {
        account: account.parse().unwrap(),
        arn: format!("arn:aws:iam::{account}:user/examiner"),
        user_id: "AIDAEXAMPLE".to_owned(),
        access_key_id: None,
    }
}

pub(super) fn artifact(path: PayloadPath, location: &S3Location, object: StoredObject) -> (PayloadPath, Vec<u8>, Origin) {
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

pub(super) fn response(
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
pub(super) struct Ledger {
    pub(super) at: Timestamp,
    text: Vec<u8>,
    lines: u64,
    prev: Sha256Hash,
}

impl Ledger {
    pub(super) fn append(&mut self, event: &Event) {
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

    pub(super) fn store(&mut self, case: &mut MemoryCase, (path, bytes, source): (PayloadPath, Vec<u8>, Origin)) {
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
