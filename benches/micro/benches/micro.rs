//! What the inner loops of caselock take: hashing, inflating, ledger lines, Merkle leaves, payload paths, digests.

use std::hint::black_box;
use std::io::Write as _;

use caselock::case::event::{Artifact, Event, Exchange, ObjectOrigin, Origin, Tool};
use caselock::case::ledger::read_ledger;
use caselock::case::merkle::MerkleTree;
use caselock::case::{CaseIdentity, CaseWriter, FORMAT_VERSION, LEDGER, Pending, Scope};
use caselock::cloudtrail::{Digest, events_in_log, gzip};
use caselock::model::{PayloadPath, S3Location, Sha256Hash, Window};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

fn main() {
    divan::main();
}

const KEY: &str = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01/111122223333_CloudTrail_us-east-1_20260301T0405Z_AbCdEfGh01234567.json.gz";

/// A log as CloudTrail writes it: records that differ in their ids, as many as come to 20 KB when they are packed.
fn content() -> Vec<u8> {
    let mut text = String::from("{\"Records\":[");
    let mut state = 1_u64;
    for number in 0..330 {
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state
        };
        let [first, second, third, fourth, fifth] = [random(), random(), random(), random(), random()];
        text.push_str(if number == 0 { "" } else { "," });
        text.push_str(&format!(
            "{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"arn\":\"arn:aws:sts::111122223333:assumed-role/\
             example-role/session\",\"accountId\":\"111122223333\",\"sessionContext\":{{\"attributes\":{{\"mfaAuthenticated\":\"false\"}}\
             }}}},\"eventTime\":\"2026-03-01T04:0{}:00Z\",\"eventSource\":\"ec2.amazonaws.com\",\"eventName\":\"DescribeInstances\",\
             \"awsRegion\":\"us-east-1\",\"sourceIPAddress\":\"192.0.2.10\",\"userAgent\":\"aws-sdk-example/1.0\",\"requestParameters\":\
             {{\"filterSet\":{{}}}},\"responseElements\":null,\"requestID\":\"{first:016x}\",\"eventID\":\"{second:016x}{third:016x}\",\
             \"sharedEventID\":\"{fourth:016x}{fifth:016x}\",\"readOnly\":true,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\"recipientAccountId\":\"111122223333\"}}",
            number % 5,
        ));
    }
    text.push_str("]}");
    text.into_bytes()
}

fn member() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&content()).unwrap();
    encoder.finish().unwrap()
}

#[divan::bench(args = [1 << 10, 20 << 10, 1 << 20])]
fn sha256(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench(|| Sha256Hash::of(black_box(&bytes)));
}

/// One member, strictly and piece by piece, with the hash of its content: what is done to a log that is too large to be held.
#[divan::bench]
fn inflate_and_hash(bencher: Bencher<'_, '_>) {
    let (member, size) = (member(), content().len());
    assert!((18_000..24_000).contains(&member.len()), "{} bytes", member.len());
    bencher.counter(BytesCount::new(size)).bench(|| {
        gzip::read_member(black_box(&member), &gzip::Limits::default(), &mut |piece| {
            black_box(piece);
        })
        .unwrap()
    });
}

/// The same at once: what a fetch and a verification do to every other log.
#[divan::bench]
fn inflate_at_once_and_hash(bencher: Bencher<'_, '_>) {
    let (member, size) = (member(), content().len());
    let most = gzip::Limits::default().allowed(&member);
    let mut out = Vec::new();
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        assert!(gzip::unpack_at_once(black_box(&member), most, &mut out));
        Sha256Hash::of(&out)
    });
}

/// Inflating alone, without any hash but the checksum of the format, by the decoder for whole members.
#[divan::bench]
fn inflate_libdeflate(bencher: Bencher<'_, '_>) {
    let (member, size) = (member(), content().len());
    let (mut decoder, mut out) = (libdeflater::Decompressor::new(), vec![0; size]);
    bencher.counter(BytesCount::new(size)).bench_local(|| decoder.gzip_decompress(black_box(&member), &mut out).unwrap());
}

/// The same by the decoder for pieces.
#[divan::bench]
fn inflate_zlib_rs(bencher: Bencher<'_, '_>) {
    let (member, size) = (member(), content().len());
    let (mut decoder, mut out) = (flate2::Decompress::new(false), vec![0; size + 1]);
    bencher.counter(BytesCount::new(size)).bench_local(|| {
        decoder.reset(false);
        // Ten bytes of header, as the encoder above writes it.
        decoder.decompress(black_box(&member[10..]), &mut out, flate2::FlushDecompress::Finish).unwrap();
        let mut checksum = flate2::Crc::new();
        checksum.update(&out[..size]);
        assert_eq!(decoder.total_out(), size as u64);
        checksum.sum()
    });
}

/// The search of a log for events that concern trails.
#[divan::bench]
fn search_a_log(bencher: Bencher<'_, '_>) {
    let (content, place) = (content(), S3Location::new("example-logs", KEY));
    bencher.counter(BytesCount::new(content.len())).bench(|| events_in_log(black_box(&content), &place, None));
}

#[divan::bench]
fn payload_path_of_an_aws_key(bencher: Bencher<'_, '_>) {
    let place = S3Location::new("example-logs", KEY);
    bencher.bench(|| PayloadPath::for_object(black_box(&place)));
}

#[divan::bench]
fn payload_path_of_a_hostile_key(bencher: Bencher<'_, '_>) {
    let place = S3Location::new("example-logs", "../AWSLogs//CON/a\nb:c%d~e. /".repeat(30));
    bencher.bench(|| PayloadPath::for_object(black_box(&place)));
}

#[divan::bench]
fn merkle_leaf(bencher: Bencher<'_, '_>) {
    let line = vec![b'x'; 1_000];
    let mut tree = MerkleTree::default();
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| tree.push(black_box(&line)));
}

/// A digest that lists a thousand logs.
#[divan::bench]
fn parse_a_digest(bencher: Bencher<'_, '_>) {
    let entry = |number: u32| {
        format!(
            "{{\"s3Bucket\":\"example-logs\",\"s3Object\":\"{KEY}{number}\",\"hashValue\":\"{}\",\"hashAlgorithm\":\"SHA-256\",\"newestEventTime\":\
         \"2026-03-01T04:04:00Z\",\"oldestEventTime\":\"2026-03-01T04:00:00Z\"}}",
            "0".repeat(64)
        )
    };
    let entries = (0..1_000).map(entry).collect::<Vec<_>>().join(",");
    let digest = format!(
        "{{\"awsAccountId\":\"111122223333\",\"digestStartTime\":\"2026-03-01T04:00:00Z\",\"digestEndTime\":\"2026-03-01T05:00:00Z\",\
         \"digestS3Bucket\":\"example-logs\",\"digestS3Object\":\"AWSLogs/x.json.gz\",\"digestPublicKeyFingerprint\":\"{}\",\
         \"digestSignatureAlgorithm\":\"SHA256withRSA\",\"newestEventTime\":\"2026-03-01T04:55:00Z\",\"oldestEventTime\":\
         \"2026-03-01T04:01:00Z\",\"previousDigestS3Bucket\":null,\"previousDigestS3Object\":null,\"previousDigestHashValue\":null,\
         \"previousDigestHashAlgorithm\":null,\"previousDigestSignature\":null,\"logFiles\":[{entries}]}}",
        "0".repeat(32)
    );
    assert_eq!(Digest::parse(digest.as_bytes()).unwrap().logs.len(), 1_000);
    bencher.counter(ItemsCount::new(1_000_u32)).bench(|| Digest::parse(black_box(digest.as_bytes())).unwrap());
}

/// The lines of a ledger, read back and checked.
#[divan::bench(sample_count = 20)]
fn read_a_thousand_ledger_lines(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("case");
    let (start, end) = ("2026-02-28T00:00:00Z".parse().unwrap(), "2026-03-01T00:00:00Z".parse().unwrap());
    let identity = CaseIdentity {
        format_version: FORMAT_VERSION,
        case_number: "BENCH".to_owned(),
        evidence_number: String::new(),
        examiner: String::new(),
        organization: String::new(),
        authority: String::new(),
        description: String::new(),
        notes: String::new(),
        opened_at: start,
        window: Window::new(start, end).unwrap(),
        scope: Scope::default(),
    };
    let tool = Tool { name: "bench".to_owned(), version: "0".to_owned(), sha256: None };
    let mut writer = CaseWriter::create(&case, &identity, &tool).unwrap();
    let pending = (0..1_000).map(|number| {
        let key = KEY.replace("AbCdEfGh01234567", &format!("{number:016}"));
        let path = PayloadPath::for_object(&S3Location::new("example-logs", key.clone()));
        let mut file = writer.staging().stage(&path).unwrap();
        file.write(b"x").unwrap();
        let staged = file.finish();
        let origin = ObjectOrigin {
            source: "cloudtrail".to_owned(),
            account: Some("111122223333".parse().unwrap()),
            region: Some("us-east-1".parse().unwrap()),
            bucket: "example-logs".to_owned(),
            key,
            version_id: None,
            etag: Some("0".repeat(32)),
            checksums: std::collections::BTreeMap::new(),
            last_modified: Some(start),
            storage_class: None,
            encryption: Some("AES256".to_owned()),
            kms_key_id: None,
            content_type: Some("application/json".to_owned()),
            content_encoding: Some("gzip".to_owned()),
            metadata: std::collections::BTreeMap::new(),
            aws_digest: caselock::case::event::Agreement::Match,
            exchange: Exchange::default(),
        };
        let artifact = Artifact {
            path,
            size: staged.size,
            sha256: staged.sha256,
            content_sha256: None,
            source: Origin::S3Object(Box::new(origin)),
            salt: "0".repeat(32),
        };
        Pending { staged, event: Event::ArtifactAcquired(Box::new(artifact)) }
    });
    let pending: Vec<Pending> = pending.collect();
    writer.commit(pending).unwrap();
    let path = case.join(LEDGER);
    let ledger = std::fs::read(&path).unwrap();
    bencher
        .counter(ItemsCount::new(1_000_u32))
        .bench(|| read_ledger(black_box(ledger.as_slice()), &path, &mut |_| {}).unwrap());
}
