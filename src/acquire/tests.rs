use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::aws::{AccessKey, Connection, Session};
use crate::case::event::{Agreement, Artifact, Event, GapReason, Origin, Tool};
use crate::case::{CaseIdentity, CaseWriter, FORMAT_VERSION};
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
        Request { window, scope: Scope::default(), concurrency: 0 }
    }

    async fn session(&self) -> Session {
        let credentials = self.server.credentials();
        let key = AccessKey {
            id: credentials.access_key_id.clone(),
            secret: credentials.secret_access_key.clone(),
            session_token: None,
        };
        let connection = Connection {
            endpoint_url: Some(self.server.endpoint()),
            region: Some("us-east-1".parse().unwrap()),
            access_key: Some(key),
            ..Connection::default()
        };
        Session::connect(&connection).await.unwrap()
    }

    fn case(&self) -> std::path::PathBuf {
        self.folder.path().join("IR-2026-014")
    }

    fn open(&self, request: &Request) -> CaseWriter {
        if self.case().join("custody/case.toml").exists() {
            return CaseWriter::open(&self.case()).unwrap();
        }
        let identity = CaseIdentity {
            format_version: FORMAT_VERSION,
            case_number: "IR-2026-014".to_owned(),
            evidence_number: String::new(),
            examiner: String::new(),
            organization: String::new(),
            authority: String::new(),
            description: String::new(),
            notes: String::new(),
            opened_at: request.window.end(),
            window: request.window,
            scope: request.scope.clone(),
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

    /// Every question whose answer is in the case, page by page.
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
        answers.sort();
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
            let operation = action.split(':').nth(1).unwrap();
            assert!(["Get", "List", "Describe", "Head"].iter().any(|verb| operation.starts_with(verb)), "{action}");
        }
    }
}

fn path_of(key: &str) -> PayloadPath {
    PayloadPath::for_object(&S3Location::new(TRAIL_BUCKET, key))
}

fn context() -> RunContext {
    let tool = Tool { name: "caselock".to_owned(), version: "0.0.0".to_owned(), sha256: None };
    let text = || "test".to_owned();
    RunContext { tool, host: text(), system: text(), os_user: text(), command_line: vec![text()] }
}

fn gaps(outcome: &CollectOutcome, reason: GapReason) -> Vec<&str> {
    outcome.gaps.iter().filter(|gap| gap.reason == reason).map(|gap| gap.what.as_str()).collect()
}

fn stored_bytes(case: &Path, path: &str) -> Vec<u8> {
    std::fs::read(case.join(path)).unwrap()
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
    assert!(!stage.server.requests().iter().any(|request| request.action() == "s3:GetObject"));
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
async fn a_denied_call_becomes_a_gap_and_the_rest_goes_on() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("ec2:DescribeVolumes").in_region("eu-central-1"));
    stage.server.faults().add(Fault::deny("s3:GetObject").on("CloudTrail-Digest/us-east-1").times(1));
    let outcome = stage.collect(&stage.request()).await;
    let denied: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Denied).collect();
    assert_eq!(denied.len(), 2, "{denied:#?}");
    assert!(denied.iter().any(|gap| gap.source == "ebs" && gap.what == "DescribeVolumes"));
    assert!(denied.iter().all(|gap| gap.request_id.is_some() && gap.account.is_some() && gap.region.is_some()));
    assert!(!outcome.complete && outcome.totals.stored + 1 == outcome.totals.found, "{:?}", outcome.totals);
    let refused = |artifact: &Artifact| matches!(&artifact.source, Origin::ApiResponse(origin) if origin.operation == "DescribeVolumes" && origin.status == 403);
    assert!(stage.artifacts().iter().any(refused), "the refusal itself is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_waited_out() {
    let stage = Stage::new();
    for action in ["s3:GetObject", "s3:ListObjectsV2", "ec2:DescribeSnapshotAttribute", "cloudtrail:ListPublicKeys"] {
        stage.server.faults().add(Fault::throttle(action).after(1).times(2));
    }
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(stage.artifacts().iter().any(|artifact| match &artifact.source {
        Origin::S3Object(origin) => origin.exchange.attempts > 1,
        Origin::ApiResponse(_) => false,
    }));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_are_fetched_again() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::cut("s3:GetObject", 100).times(6));
    stage.server.faults().add(Fault::cut("s3:ListObjectsV2", 50).times(1));
    stage.server.faults().add(Fault::reset("s3:GetObject").times(2));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(outcome.totals.stored, outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_always_breaks_off_becomes_a_gap() {
    let stage = Stage::new();
    let key = stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/")).pop().unwrap();
    stage.server.faults().add(Fault::cut("s3:GetObject", 20).on(&key));
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(gaps(&outcome, GapReason::Failed), [format!("s3://{TRAIL_BUCKET}/{key}")]);
    assert!(!stage.case().join(path_of(&key).as_str()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_ends_as_an_undisturbed_one() {
    let whole = Stage::new();
    whole.collect(&whole.request()).await;
    let stage = Stage::new();
    stage.server.faults().set_latency(Duration::from_millis(3));
    let mut cut_off = 0;
    for wait in [150, 300, 450, 600] {
        let (session, request) = (stage.session().await, stage.request());
        let case = stage.open(&request);
        let (_switch, stop) = Stop::pair();
        let run = context();
        let collecting = collect(&session, case, &request, &run, Arc::new(Silent), stop);
        if tokio::time::timeout(Duration::from_millis(wait), collecting).await.is_err() {
            cut_off += 1;
        }
        // What had begun to be written at that moment still ends.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!(cut_off > 0, "no run was cut off: the test proves nothing");
    stage.server.faults().clear();
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(stage.objects(), whole.objects());
    assert_eq!(stage.answers(), whole.answers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_stores_nothing_twice_and_asks_no_settled_question_again() {
    let stage = Stage::new();
    let first = stage.collect(&stage.request()).await;
    let (artifacts, asked) = (stage.artifacts().len(), stage.server.requests().len());
    let second = stage.collect(&stage.request()).await;
    assert_eq!((second.totals.stored, second.totals.already_stored), (0, first.totals.stored));
    assert_eq!(second.totals.gaps, first.totals.gaps);
    assert_eq!(stage.artifacts().len(), artifacts);
    let again: BTreeSet<String> = stage.server.requests().split_off(asked).iter().map(crate::sim::Request::action).collect();
    assert_eq!(again.into_iter().collect::<Vec<_>>(), ["sts:GetCallerIdentity"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_is_asked_again_and_stored_by_the_next_run() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("s3:ListObjectsV2").on(FLOW_BUCKET));
    let first = stage.collect(&stage.request()).await;
    assert!(!first.complete);
    stage.server.faults().clear();
    let second = stage.collect(&stage.request()).await;
    assert!(second.complete, "{:#?}", second.gaps);
    assert!(second.totals.stored > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stop_signal_leaves_a_case_that_can_be_resumed() {
    let stage = Stage::new();
    stage.server.faults().set_latency(Duration::from_millis(5));
    let (session, request) = (stage.session().await, stage.request());
    let case = stage.open(&request);
    let (switch, stop) = Stop::pair();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        switch.stop();
    });
    let outcome = collect(&session, case, &request, &context(), Arc::new(Silent), stop).await.unwrap();
    assert!(outcome.interrupted.is_some() && !outcome.complete);
    assert!(matches!(stage.events().last(), Some(Event::CollectionInterrupted(_))));
    stage.server.faults().clear();
    assert!(stage.collect(&request).await.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_and_no_network_are_told_apart() {
    let stage = Stage::new();
    let key = AccessKey { id: "AKIAIOSFODNN7OTHER00".to_owned(), secret: "wrong".to_owned(), session_token: None };
    let mut connection = Connection {
        endpoint_url: Some(stage.server.endpoint()),
        region: Some("us-east-1".parse().unwrap()),
        access_key: Some(key),
        ..Connection::default()
    };
    let refused = Session::connect(&connection).await.unwrap_err();
    assert!(matches!(refused, AwsError::WrongCredentials(_)), "{refused:?}");
    connection.endpoint_url = Some("http://127.0.0.1:9".to_owned());
    let unreachable = tokio::time::timeout(Duration::from_secs(120), Session::connect(&connection)).await.unwrap().unwrap_err();
    assert!(matches!(unreachable, AwsError::Unreachable { .. }), "{unreachable:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_out_of_scope_are_named_as_skipped_and_left_alone() {
    let stage = Stage::new();
    let mut request = stage.request();
    request.scope.regions = vec!["eu-central-1".parse().unwrap()];
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(gaps(&outcome, GapReason::Skipped).contains(&"other regions"));
    for artifact in stage.artifacts() {
        if let Origin::S3Object(origin) = artifact.source {
            assert_eq!(origin.region.unwrap().as_str(), "eu-central-1");
        }
    }
    assert!(outcome.totals.stored > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_trail_is_a_gap_and_its_bucket_can_still_be_named() {
    let stage = Stage::new();
    stage.account.delete_trail();
    let outcome = stage.collect(&stage.request()).await;
    assert!(gaps(&outcome, GapReason::NotEnabled).contains(&"trails"), "{:#?}", outcome.gaps);
    let named = Stage::new();
    named.account.delete_trail();
    let mut request = named.request();
    request.scope.bucket = Some(TRAIL_BUCKET.to_owned());
    request.scope.trail_arn = Some(named.account.trail_arn().parse().unwrap());
    assert!(named.collect(&request).await.totals.stored > outcome.totals.stored + 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_gone_is_a_gap_and_the_rest_goes_on() {
    let stage = Stage::new();
    let mut request = stage.request();
    request.scope.bucket = Some("example-corp-gone".to_owned());
    let outcome = stage.collect(&request).await;
    assert_eq!(gaps(&outcome, GapReason::Failed), ["bucket example-corp-gone"]);
    assert!(!outcome.complete && outcome.totals.stored > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changed_since_it_was_stored_is_a_gap_and_the_first_bytes_stay() {
    let stage = Stage::new();
    stage.collect(&stage.request()).await;
    let before = stage.objects();
    let key = stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/")).pop().unwrap();
    assert!(stage.account.objects().put(TRAIL_BUCKET, &key, "changed"));
    // An hour later the listing is asked for again.
    let outcome = {
        let (session, case) = (stage.session().await, stage.open(&stage.request()));
        let (_switch, stop) = Stop::pair();
        let later = Timestamp::new(chrono::Utc::now()).plus_seconds(7_200);
        collect::collect_at(later, &session, case, &stage.request(), &context(), Arc::new(Silent), stop).await.unwrap()
    };
    assert_eq!(gaps(&outcome, GapReason::ChangedDuringAcquisition), [format!("s3://{TRAIL_BUCKET}/{key}")]);
    assert_eq!(stage.objects(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_there_is_not_is_refused_before_anything_is_asked() {
    let stage = Stage::new();
    let mut request = stage.request();
    request.scope.sources = vec!["guardduty".to_owned()];
    let refused = stage.try_collect(&request).await.unwrap_err().to_string();
    assert!(refused.contains("cloudtrail, flow-logs, ebs"), "{refused}");
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
async fn a_log_that_came_late_is_found_through_the_digest_that_names_it() {
    let stage = Stage::new();
    let (objects, last) = (stage.account.objects(), digest_keys(&stage).pop().unwrap());
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260309T0405Z_LateLateLateLate.json.gz");
    let late = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/09/{name}");
    objects.put_new_version(TRAIL_BUCKET, &late, crate::sim::Upload::new(gzipped(b"{\"Records\":[]}"))).unwrap();
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, &last).unwrap().body);
    digest["logFiles"].as_array_mut().unwrap().push(serde_json::json!({
        "s3Bucket": TRAIL_BUCKET, "s3Object": late, "hashAlgorithm": "SHA-256", "hashValue": "00",
        "oldestEventTime": "2026-03-02T03:00:00Z", "newestEventTime": "2026-03-02T03:01:00Z",
    }));
    assert!(objects.put(TRAIL_BUCKET, &last, gzipped(digest.to_string().as_bytes())));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(stage.objects().contains_key(path_of(&late).as_str()));
    assert_eq!(outcome.totals.stored, outcome.totals.found);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_digest_names_in_another_bucket_is_not_followed_but_told() {
    let stage = Stage::new();
    let (objects, last) = (stage.account.objects(), digest_keys(&stage).pop().unwrap());
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, &last).unwrap().body);
    digest["logFiles"].as_array_mut().unwrap().push(serde_json::json!({
        "s3Bucket": "example-corp-elsewhere", "s3Object": "AWSLogs/a", "hashAlgorithm": "SHA-256", "hashValue": "00",
        "oldestEventTime": "2026-03-02T03:00:00Z", "newestEventTime": "2026-03-02T03:01:00Z",
    }));
    assert!(objects.put(TRAIL_BUCKET, &last, gzipped(digest.to_string().as_bytes())));
    let outcome = stage.collect(&stage.request()).await;
    assert!(
        gaps(&outcome, GapReason::Failed).iter().any(|what| what.contains("example-corp-elsewhere")),
        "{:#?}",
        outcome.gaps
    );
    assert!(!stage.server.requests().iter().any(|request| format!("{request:?}").contains("example-corp-elsewhere")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_digest_brings_the_predecessor_that_it_links_to_however_old() {
    let stage = Stage::new();
    let (objects, keys) = (stage.account.objects(), digest_keys(&stage));
    let before = keys.first().unwrap();
    let old_name = format!("{ACCOUNT_ID}_CloudTrail-Digest_us-east-1_management-events_us-east-1_20260101T044121Z.json.gz");
    let old = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/us-east-1/2026/01/01/{old_name}");
    objects.put_new_version(TRAIL_BUCKET, &old, crate::sim::Upload::new(gzipped(b"{\"logFiles\":[]}"))).unwrap();
    let mut digest = gunzipped(&objects.get(TRAIL_BUCKET, before).unwrap().body);
    digest["previousDigestS3Bucket"] = TRAIL_BUCKET.into();
    digest["previousDigestS3Object"] = old.clone().into();
    assert!(objects.put(TRAIL_BUCKET, before, gzipped(digest.to_string().as_bytes())));
    // A window that starts so early that nothing of the chain lies before it.
    let mut request = stage.request();
    request.window = Window::new("2026-03-01T12:00:00Z".parse().unwrap(), request.window.end()).unwrap();
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(stage.objects().contains_key(path_of(&old).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn member_accounts_of_an_organization_and_every_kind_of_log_are_found_by_their_folders() {
    let stage = Stage::new();
    let member = crate::sim::FOREIGN_ACCOUNT_ID;
    for kind in ["CloudTrail", "CloudTrail-Insight", "CloudTrail-NetworkActivity"] {
        let name = format!("{member}_{kind}_ap-southeast-2_20260302T0305Z_AbCdEfGh01234567.json.gz");
        let key = format!("AWSLogs/o-exampleorgid/{member}/{kind}/ap-southeast-2/2026/03/02/{name}");
        stage.account.objects().put_new_version(TRAIL_BUCKET, &key, crate::sim::Upload::new(gzipped(b"{}"))).unwrap();
    }
    let outcome = stage.collect(&stage.request()).await;
    let row = outcome
        .rows
        .iter()
        .find(|row| row.account == Some(member.parse().unwrap()) && row.region == Some("ap-southeast-2".parse().unwrap()));
    assert_eq!(row.unwrap().stored, 3, "a region that is not enabled today had logs then");
    let mut request = stage.request();
    request.scope.accounts = vec![ACCOUNT_ID.parse().unwrap()];
    let narrowed = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
    let outcome = narrowed.collect(&request).await;
    assert!(narrowed.objects().keys().all(|path| !path.contains(member)));
    assert!(gaps(&outcome, GapReason::Skipped).iter().any(|what| what.starts_with("other accounts")), "{:#?}", outcome.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn archived_objects_and_strangers_are_named() {
    let stage = Stage::new();
    let folder = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/");
    let key = stage.account.objects().keys(TRAIL_BUCKET, &folder).pop().unwrap();
    assert!(stage.account.objects().change(TRAIL_BUCKET, &key, |object| "DEEP_ARCHIVE".clone_into(&mut object.storage_class)));
    let stranger = format!("{folder}2026/03/02/notes.txt");
    stage.account.objects().put_new_version(TRAIL_BUCKET, &stranger, crate::sim::Upload::new("x")).unwrap();
    let outcome = stage.collect(&stage.request()).await;
    assert_eq!(gaps(&outcome, GapReason::Archived), [format!("s3://{TRAIL_BUCKET}/{key}")]);
    let skipped = outcome.gaps.iter().find(|gap| gap.reason == GapReason::Skipped).unwrap();
    assert!(skipped.detail.as_ref().unwrap().contains("notes.txt"), "{skipped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_objects_come_page_by_page_and_none_is_lost_or_doubled() {
    let stage = Stage::new();
    for number in 0..2_300 {
        let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_{number:016}.json.gz");
        let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
        let body = gzipped(format!("{{\"Records\":[{number}]}}").as_bytes());
        stage.account.objects().put_new_version(TRAIL_BUCKET, &key, crate::sim::Upload::new(body)).unwrap();
    }
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert!(outcome.totals.stored > 2_300 && outcome.totals.stored == outcome.totals.found);
    assert_eq!(stage.objects().len(), usize::try_from(outcome.totals.stored).unwrap());
    let listings = stage.events().into_iter().filter_map(|event| match event {
        Event::ListingRecorded(listing) => Some(listing),
        _ => None,
    });
    assert!(listings.map(|listing| listing.pages).max().unwrap() >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_object_is_streamed_and_survives_a_cut() {
    let stage = Stage::new();
    // Bytes that do not compress, so that the object stays large.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(3 << 20)
    .collect();
    let name = format!("{ACCOUNT_ID}_CloudTrail_us-east-1_20260302T0305Z_LARGELARGELARGEX.json.gz");
    let key = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/2026/03/02/{name}");
    stage.account.objects().put_new_version(TRAIL_BUCKET, &key, crate::sim::Upload::new(gzipped(&noise))).unwrap();
    stage.server.faults().add(Fault::cut("s3:GetObject", 2 << 20).on("LARGELARGE").times(2));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let artifact = stage.artifacts().into_iter().find(|artifact| artifact.path == path_of(&key)).unwrap();
    assert_eq!(artifact.content_sha256, Some(Sha256Hash::of(&noise)));
    let Origin::S3Object(origin) = artifact.source else { panic!("an object") };
    assert_eq!((origin.exchange.attempts, origin.aws_digest), (3, Agreement::Match));
}
