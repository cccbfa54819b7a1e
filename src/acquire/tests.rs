//! The sources and the pipeline against the simulated account, asked through the SDK: what is stored, what is a gap, what the ledger says.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests say what must hold by panicking")]
mod disks;
mod faults;
mod floods;
mod flows;
mod history;
mod identities;
mod lost_files;
mod open_gaps;
mod proxies;
mod rounds;
mod scope;
mod short_way;
mod trails;
mod versions;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::aws::{AccessKey, Connection, Session};
use crate::case::event::{Agreement, Artifact, Event, GapReason, Origin, Tool};
use crate::case::{CaseFolder, CaseIdentity, CaseWriter};
use crate::model::{PayloadPath, S3Location, Sha256Hash, Timestamp};
use crate::sim::{ACCOUNT_ID, Account, FLOW_BUCKET, Fault, Scenario, Server, TRAIL_BUCKET};

use super::*;

/// A simulated account that is being asked, and a case to put it in.
struct Stage {
    account: Account,
    server: Server,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::of(&Scenario::quiet("2026-03-02T06:00:00Z".parse().unwrap()))
    }

    fn of(scenario: &Scenario) -> Self {
        let account = Account::simulate(scenario);
        let server = Server::start(account.clone()).unwrap();
        Self { account, server, folder: tempfile::tempdir().unwrap() }
    }

    fn request(&self) -> Request {
        let scenario = self.account.scenario();
        let window = Window::new(Timestamp::new(scenario.start()), Timestamp::new(scenario.end)).unwrap();
        Request { window, scope: Scope::default(), concurrency: None }
    }

    /// How the account's own user reaches it.
    fn connection(&self) -> Connection {
        let credentials = self.server.credentials();
        let key = AccessKey {
            id: credentials.access_key_id.clone(),
            secret: credentials.secret_access_key.clone(),
            session_token: None,
        };
        Connection {
            endpoint_url: Some(self.server.endpoint()),
            region: Some("us-east-1".parse().unwrap()),
            access_key: Some(key),
            ..Connection::default()
        }
    }

    async fn session(&self) -> Session {
        Session::connect(&self.connection()).await.unwrap()
    }

    fn case(&self) -> std::path::PathBuf {
        self.folder.path().join("IR-2026-014")
    }

    fn open(&self, request: &Request) -> CaseWriter {
        if self.case().join("custody/case.toml").exists() {
            return CaseWriter::open(&self.case()).unwrap();
        }
        let identity = CaseIdentity {
            case_number: "IR-2026-014".to_owned(),
            scope: request.scope.clone(),
            ..CaseIdentity::unnamed(request.window)
        };
        CaseWriter::create(&self.case(), &identity, &context().tool).unwrap()
    }

    async fn collect(&self, request: &Request) -> CollectOutcome {
        self.try_collect(request).await.unwrap()
    }

    async fn try_collect(&self, request: &Request) -> Result<CollectOutcome, AcquireError> {
        let (session, case) = (self.session().await, self.open(request));
        let (_switch, stop) = Stop::pair();
        collect(&session, case, request, &context(), Arc::new(Silent), stop).await
    }

    fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        CaseWriter::open(&self.case()).unwrap().read_ledger(&mut |line| events.push(line.entry.event.clone())).unwrap();
        events
    }

    fn artifacts(&self) -> Vec<Artifact> {
        let artifacts = self.events().into_iter().filter_map(|event| match event {
            Event::ArtifactAcquired(artifact) => Some(*artifact),
            _ => None,
        });
        artifacts.collect()
    }

    /// Every object of the case, with the hash that the ledger has.
    fn objects(&self) -> BTreeMap<String, Sha256Hash> {
        let objects = self.artifacts().into_iter().filter(|artifact| matches!(artifact.source, Origin::S3Object(_)));
        objects.map(|artifact| (artifact.path.to_string(), artifact.sha256)).collect()
    }

    /// Every question whose answer is in the case, page by page, each once.
    fn answers(&self) -> Vec<String> {
        let mut answers: Vec<String> = self
            .artifacts()
            .into_iter()
            .filter_map(|artifact| match artifact.source {
                Origin::ApiResponse(origin) => {
                    let mut parameters = origin.parameters.clone();
                    parameters.remove("EndTime");
                    Some(format!("{} {} {:?} {}", origin.region, origin.operation, parameters, origin.page))
                }
                Origin::S3Object(_) => None,
            })
            .collect();
        // What may have changed is asked by every run.
        answers.sort();
        answers.dedup();
        answers
    }

    /// Keys of the account that are logs, digests or flow logs.
    fn evidence(&self) -> BTreeSet<String> {
        let objects = self.account.objects();
        let buckets = [TRAIL_BUCKET, FLOW_BUCKET].into_iter();
        buckets.flat_map(|bucket| objects.keys(bucket, "").into_iter().map(move |key| format!("{bucket}/{key}"))).collect()
    }

    fn all_requests_are_reads(&self) {
        for request in self.server.requests() {
            let action = request.action();
            if action == "sts:AssumeRole" {
                continue; // gives credentials, and changes nothing
            }
            let operation = action.split(':').nth(1).unwrap();
            assert!(
                ["Get", "List", "Describe", "Head", "Lookup", "Filter"].iter().any(|verb| operation.starts_with(verb)),
                "{action}"
            );
        }
    }
}

fn path_of(key: &str) -> PayloadPath {
    PayloadPath::for_object(&S3Location::new(TRAIL_BUCKET, key))
}

fn context() -> RunContext {
    let tool = Tool { name: "caselock".to_owned(), version: "0.0.0".to_owned(), sha256: None };
    let text = || "test".to_owned();
    RunContext { tool, host: text(), system: text(), os_user: text(), command_line: vec![text()], configuration: None }
}

fn gaps(outcome: &CollectOutcome, reason: GapReason) -> Vec<&str> {
    outcome.gaps.iter().filter(|gap| gap.reason == reason).map(|gap| gap.what.as_str()).collect()
}

fn stored_bytes(case: &Path, path: &str) -> Vec<u8> {
    std::fs::read(case.join(path)).unwrap()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn gunzipped(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_reader(flate2::read::GzDecoder::new(bytes)).unwrap()
}

fn digest_keys(stage: &Stage) -> Vec<String> {
    stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/us-east-1/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_scope_is_stored_with_its_bytes_hashes_and_metadata() {
    let stage = Stage::new();
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let objects = stage.account.objects();
    let artifacts = stage.artifacts();
    let mut seen = BTreeSet::new();
    for artifact in &artifacts {
        assert_eq!(Sha256Hash::of(&stored_bytes(&stage.case(), artifact.path.as_str())), artifact.sha256);
        let Origin::S3Object(origin) = &artifact.source else { continue };
        let real = objects.get(&origin.bucket, &origin.key).unwrap();
        assert_eq!(stored_bytes(&stage.case(), artifact.path.as_str()), real.body);
        assert_eq!(origin.metadata, real.metadata.into_iter().collect::<BTreeMap<_, _>>());
        assert_eq!(origin.aws_digest, Agreement::Match, "{}", origin.key);
        assert!(origin.exchange.request_id.is_some() && origin.exchange.date.is_some());
        assert!(artifact.content_sha256.is_some() || origin.key.ends_with(".parquet"), "{}", origin.key);
        seen.insert(format!("{}/{}", origin.bucket, origin.key));
    }
    let missed: Vec<_> = stage.evidence().difference(&seen).cloned().collect();
    assert!(missed.iter().all(|key| key.ends_with('/')), "{missed:#?}");
    assert!(outcome.totals.stored > 50 && outcome.totals.stored == outcome.totals.found, "{:?}", outcome.totals);
    stage.all_requests_are_reads();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_finds_what_a_collection_stores_and_writes_nothing() {
    let stage = Stage::new();
    let planned = plan(&stage.session().await, &stage.request()).await.unwrap();
    let read: Vec<_> = stage.server.requests().into_iter().filter(|request| request.action() == "s3:GetObject").collect();
    assert_eq!((read.len(), read.iter().all(|request| request.status == 206)), (2, true), "a byte of each bucket: {read:#?}");
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!((planned.totals.found, planned.totals.found_bytes), (outcome.totals.stored, outcome.totals.stored_bytes));
    assert_eq!(planned.totals.gaps, outcome.totals.gaps);
    assert!(serde_json::to_string(&planned).is_ok() && serde_json::to_string(&outcome).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_says_first_that_a_run_started_and_last_that_it_finished() {
    let stage = Stage::new();
    let outcome = stage.collect(&stage.request()).await;
    let events = stage.events();
    assert!(matches!(&events[1], Event::CollectionStarted(started) if started.clock.is_some() && started.regions.len() == 2));
    let Some(Event::CollectionFinished(finished)) = events.last() else { panic!("{:?}", events.last()) };
    let artifacts = stage.artifacts();
    assert_eq!(finished.artifacts, u64::try_from(artifacts.len()).unwrap());
    assert_eq!(finished.bytes, artifacts.iter().map(|artifact| artifact.size).sum::<u64>());
    assert_eq!(outcome.totals.stored + outcome.totals.answers, finished.artifacts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_fetches_nothing_twice_and_asks_only_what_may_have_changed() {
    let stage = Stage::new();
    let first = stage.collect(&stage.request()).await;
    let (objects, asked) = (stage.objects(), stage.server.requests().len());
    let second = stage.collect(&stage.request()).await;
    assert_eq!((second.totals.stored, second.totals.already_stored), (0, first.totals.stored));
    assert_eq!((second.totals.gaps.clone(), stage.objects()), (first.totals.gaps.clone(), objects));
    for outcome in [&first, &second] {
        assert!(outcome.complete);
        let at_sources = outcome.case_rows.iter().map(|row| row.source.as_str()).collect::<BTreeSet<_>>();
        assert_eq!(at_sources.into_iter().collect::<Vec<_>>(), ["cloudtrail", "ebs", "flow-logs", "session"]);
    }
    let read_again = crate::case::summary::summarize(&CaseFolder::open(&stage.case()).unwrap()).unwrap();
    assert_eq!(second.case_rows, read_again.rows, "the ledger says the same when it is read");
    let again = stage.server.requests().split_off(asked);
    let actions: BTreeSet<String> = again.iter().map(crate::sim::Request::action).collect();
    assert!(actions.contains("s3:ListObjectsV2") && actions.contains("cloudtrail:DescribeTrails"), "{actions:?}");
    assert!(!actions.contains("s3:GetObject"), "what was stored is not fetched again");
    // Of a time that is over nothing is asked again; what was done to trails and regions is asked for until now.
    let lookups = again.iter().filter(|request| request.operation == "LookupEvents").count();
    assert_eq!(lookups, super::EVENTS_UNTIL_NOW.len() * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_there_is_not_is_refused_before_anything_is_asked() {
    let stage = Stage::new();
    let mut request = stage.request();
    request.scope.sources = vec!["guardduty".to_owned()];
    let refused = stage.try_collect(&request).await.unwrap_err().to_string();
    assert!(refused.contains("cloudtrail, flow-logs, ebs"), "{refused}");
}
