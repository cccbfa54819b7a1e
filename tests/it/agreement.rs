//! `aws cloudtrail validate-logs` and caselock over the same accounts, sound and tampered with.
//!
//! What AWS's own tool calls invalid is a failure here, on the same object. What it misses is found here as well.

mod cases;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use caselock::sim::{Account, Scenario, StoredObject, TRAIL_BUCKET};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::account::{Simulated, last_hour, without_aws};
use crate::findings::printed;
use crate::peers;

use cases::{CASES, Case};

const HOME: &str = "us-east-1";
/// The cases whose digest cannot be read for the logs that it names.
const UNREADABLE: [&str; 2] = ["a digest's object is no JSON", "the trailer is cut off a digest's gzip member"];

/// What `validate-logs` says about one region.
#[derive(Debug, Default)]
struct Validated {
    code: i32,
    valid: BTreeSet<String>,
    invalid: BTreeSet<String>,
    text: String,
}

fn validate(simulated: &Simulated, region: &str) -> Validated {
    let [start, end] = simulated.window(2, 2);
    let mut command = Command::new(peers::aws());
    without_aws(&mut command);
    simulated.is_asked_by(&mut command);
    let output = command
        .args(["cloudtrail", "validate-logs", "--verbose", "--region", region, "--trail-arn", &simulated.account.trail_arn()])
        .args(["--start-time", &start, "--end-time", &end, "--endpoint-url", &simulated.server.endpoint()])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut validated = Validated { code: output.status.code().unwrap_or(-1), ..Validated::default() };
    for line in text.lines() {
        // `Digest file\ts3://bucket/key\tINVALID: reason`
        let words: Vec<&str> = line.split('\t').collect();
        let [_, object, verdict, ..] = words[..] else { continue };
        if verdict == "valid" {
            validated.valid.insert(object.to_owned());
        } else if verdict.starts_with("INVALID") {
            validated.invalid.insert(object.to_owned());
        }
    }
    validated.text = text;
    validated
}

fn digests(account: &Account, region: &str) -> Vec<String> {
    account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/111122223333/CloudTrail-Digest/{region}/"))
}

/// A digest of the window that is neither its oldest nor the chain's newest.
fn a_digest(account: &Account) -> String {
    let digests = digests(account, HOME);
    digests[digests.len() / 2].clone()
}

/// A log that this digest lists.
fn a_log(account: &Account) -> String {
    document(account, &a_digest(account))["logFiles"][6]["s3Object"].as_str().unwrap().to_owned()
}

fn document(account: &Account, key: &str) -> Value {
    serde_json::from_slice(&unpack(&account.objects().get(TRAIL_BUCKET, key).unwrap().body)).unwrap()
}

fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    std::io::Read::read_to_end(&mut GzDecoder::new(bytes), &mut content).unwrap();
    content
}

fn pack(content: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

fn change(account: &Account, key: &str, edit: impl FnOnce(&mut StoredObject)) {
    assert!(account.objects().change(TRAIL_BUCKET, key, edit));
}

/// Changes the bytes of an object in place.
fn rewrite(account: &Account, key: &str, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = edit(account.objects().get(TRAIL_BUCKET, key).unwrap().body.to_vec());
    assert!(account.objects().put(TRAIL_BUCKET, key, bytes));
}

fn erase(account: &Account, key: &str) {
    assert!(account.objects().erase(TRAIL_BUCKET, key));
}

fn object(key: &str) -> String {
    format!("s3://{TRAIL_BUCKET}/{key}")
}

/// Where both find nothing wrong, or the peer alone does and the page says why.
#[test]
fn what_takes_nothing_from_the_proof_is_no_failure_here() {
    // Compressed bytes are not signed: another compression of the same content is genuine to both.
    let simulated = Simulated::quiet();
    let log = a_log(&simulated.account);
    rewrite(&simulated.account, &log, |bytes| pack(&unpack(&bytes)));
    simulated.collect("case", &[]).expect(0);
    assert_eq!((validate(&simulated, HOME).invalid.len(), simulated.verify("case").0), (0, 0));

    // A signature that only the successor still has is one all the same; the peer does not look there.
    let simulated = Simulated::quiet();
    let digest = a_digest(&simulated.account);
    change(&simulated.account, &digest, |object| drop(object.metadata.remove("signature")));
    simulated.collect("case", &[]).expect(0);
    let peer = validate(&simulated, HOME);
    assert!(peer.invalid.contains(&object(&digest)), "{}", peer.text);
    let (code, report) = simulated.verify("case");
    let notices = printed(&report, "notice");
    // The simulated account is not AWS, which is notable too.
    let expected = [
        ("digest-signature-from-successor".to_owned(), object(&digest)),
        ("keys-from-another-endpoint".to_owned(), "custody/ledger.jsonl".to_owned()),
    ];
    assert_eq!((code, notices), (0, expected.to_vec()), "{report:#}");
}

#[test]
fn where_the_peer_sees_nothing_the_page_names_our_finding() {
    let page = include_str!("../../docs/verification.md");
    let (_, table) = page.split_once("## 4. Beside").unwrap();
    let (table, _) = table.split_once("## 5.").unwrap();
    let unseen: Vec<&Case> = CASES.iter().filter(|case| !case.peer_sees).collect();
    assert!(unseen.len() >= 5, "{}", unseen.len());
    for case in unseen {
        assert!(table.contains(&format!("`{}`", case.kind)), "{}: {}", case.name, case.kind);
        assert!(page.contains(&format!("**`{}`**", case.kind)), "{}: {}", case.name, case.kind);
    }
}

#[test]
fn both_find_nothing_wrong_with_a_sound_account() {
    let simulated = Simulated::quiet();
    simulated.collect("case", &[]).expect(0);
    let (code, report) = simulated.verify("case");
    assert_eq!((code, printed(&report, "failure")), (0, vec![]), "{report:#}");
    let before_window = simulated.account.scenario().start() + chrono::TimeDelta::minutes(115);
    let before_window = before_window.format("%Y%m%dT%H%MZ").to_string();
    for region in &simulated.account.scenario().regions {
        let validated = validate(&simulated, region);
        assert_eq!((validated.code, &validated.invalid), (0, &BTreeSet::new()), "{}", validated.text);
        let row = report["cloudtrail"].as_array().unwrap().iter().find(|row| row["region"] == **region).unwrap();
        let is_digest = |object: &&String| object.contains("/CloudTrail-Digest/");
        let digests = validated.valid.iter().filter(is_digest).count();
        let is_early = |object: &&String| !is_digest(object) && object.split('_').nth(3).unwrap() < before_window.as_str();
        let logs = validated.valid.len() - digests - validated.valid.iter().filter(is_early).count();
        assert!(digests >= 2 && logs > 5, "{}", validated.text);
        // Nothing may be verified there that is not here; caselock takes digests until the chain's end, so it has more.
        assert!(row["digests"]["verified"].as_u64().unwrap() >= digests as u64, "{row:#}\n{}", validated.text);
        assert!(row["logs"]["verified"].as_u64().unwrap() >= logs as u64, "{row:#}\n{}", validated.text);
        for sort in ["invalid", "missing"] {
            assert_eq!(row["digests"][sort], 0);
        }
        for sort in ["modified", "missing", "malformed", "uncovered", "unreadable"] {
            assert_eq!(row["logs"][sort], 0, "{row:#}");
        }
        let stored = simulated.fetched();
        for object in &validated.valid {
            // The tool's first digest covers time before the window; logs of that time are none of the window's.
            assert!(
                is_early(&object) || stored.contains_key(object.strip_prefix("s3://").unwrap()),
                "{object} is not in the case"
            );
        }
    }
}

#[test]
fn what_the_peer_calls_invalid_is_a_failure_here_and_so_is_what_it_misses() {
    // Several accounts at once: the peer takes a second for each.
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(case) = CASES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    problems.lock().unwrap().extend(judge(case));
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

fn judge(case: &Case) -> Vec<String> {
    let simulated = Simulated::quiet();
    let tampered = object(&(case.tamper)(&simulated.account));
    let peer = validate(&simulated, HOME);
    let mut problems = Vec::new();
    let mut expect = |holds: bool, what: &str, shown: &str| {
        if !holds {
            problems.push(format!("{}: {what}\n{tampered}\n{shown}", case.name));
        }
    };
    expect(peer.invalid.is_empty() != case.peer_sees, "the table is wrong about the peer", &peer.text);
    // What happened in AWS is no damage to the case: it is collected as it is. What a digest names that cannot be read cannot be looked for.
    let collected = simulated.collect("case", &["--source", "cloudtrail", "--no-verification"]);
    let unread = collected.stdout.contains("Not had (1)") && collected.stdout.contains("they are too large or cannot be read");
    expect(
        collected.code == if unread { 4 } else { 0 },
        "it was not collected whole",
        &format!("{} {}{}", collected.code, collected.stdout, collected.stderr),
    );
    expect(
        unread == UNREADABLE.contains(&case.name),
        "of a digest that cannot be read it is told that it was not read",
        &collected.stdout,
    );
    let (code, report) = simulated.verify("case");
    let shown = format!("{:#}\n{}", report["findings"], peer.text);
    let failures = printed(&report, "failure");
    expect(code == 3, "it passes here", &shown);
    let named = failures.iter().any(|(kind, object)| kind == case.kind && (!case.on_object || *object == tampered));
    expect(named, &format!("there is no {}", case.kind), &shown);
    for object in &peer.invalid {
        expect(failures.iter().any(|(_, named)| named == object), &format!("the peer alone names {object}"), &shown);
    }
    problems
}

#[test]
fn a_stopped_trail_whose_last_digests_were_deleted_does_not_look_like_one_that_was_only_stopped() {
    let sound = Simulated::of(&Scenario { intrusion: false, events_per_hour: 30, ..Scenario::incident(last_hour()) });
    sound.collect("case", &["--source", "cloudtrail"]).expect(0);
    let (code, report) = sound.verify("case");
    assert_eq!((code, printed(&report, "failure")), (4, vec![]), "{report:#}");
    assert!(printed(&report, "gap").iter().any(|(kind, _)| kind == "logging-off"));

    let hidden = Simulated::of(sound.account.scenario());
    let digests = digests(&hidden.account, HOME);
    let restart = digests.iter().rposition(|key| document(&hidden.account, key)["previousDigestS3Object"].is_null()).unwrap();
    for key in &digests[restart - 3..restart] {
        erase(&hidden.account, key);
    }
    // AWS's tool says that the chain restarts, which it says of the sound account as well.
    let (before, after) = (validate(&sound, HOME), validate(&hidden, HOME));
    assert_eq!((before.invalid.len(), after.invalid.len(), after.code), (0, 0, before.code), "{}", after.text);
    hidden.collect("case", &["--source", "cloudtrail"]).expect(0);
    let (code, report) = hidden.verify("case");
    assert_eq!(code, 3, "{report:#}");
    assert!(printed(&report, "failure").iter().any(|(kind, _)| kind == "restart-hides-digests"), "{report:#}");
}
