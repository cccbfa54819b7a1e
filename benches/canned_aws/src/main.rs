//! A loopback server with canned answers from memory: a trail's logs and digests, properly signed, and large objects beside them.
//!
//! It checks no signature, speaks no TLS and is never the bottleneck of what is measured against it: it shows the limits of clients.
//! `benches/peers` starts it. It says on standard output where it listens and what it holds, and ends when its standard input does.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, IoSlice, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use md5::{Digest as _, Md5};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use sha2::Sha256;

const ACCOUNT: &str = "111122223333";
const BUCKET: &str = "example-logs";
const LARGE_BUCKET: &str = "example-large";
const TRAIL: &str = "bench";
const HOME: &str = "us-east-1";
/// Different contents among the logs.
const CONTENTS: usize = 64;
const REGIONS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
];

/// What may be asked about a bucket besides its objects.
const SUBRESOURCES: [&str; 10] = [
    "acl",
    "encryption",
    "lifecycle",
    "logging",
    "object-lock",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "versions",
];

/// What is asked for on the command line.
struct Arguments {
    regions: usize,
    hours: usize,
    logs_an_hour: usize,
    events_a_log: usize,
    large: usize,
    large_bytes: usize,
    latency: Duration,
    export: Option<String>,
}

impl Arguments {
    fn parse() -> Option<Self> {
        let mut values = HashMap::new();
        let mut words = std::env::args().skip(1).peekable();
        words.peek()?;
        while let Some(name) = words.next() {
            values.insert(name, words.next()?);
        }
        let mut number = |name: &str, default: usize| match values.remove(name) {
            Some(text) => text.parse().ok(),
            None => Some(default),
        };
        Some(Self {
            regions: number("--regions", 1)?,
            hours: number("--hours", 1)?,
            logs_an_hour: number("--logs-an-hour", 0)?,
            events_a_log: number("--events-a-log", 212)?,
            large: number("--large", 0)?,
            large_bytes: number("--large-bytes", 8_000_000)?,
            latency: Duration::from_millis(number("--latency-ms", 0)? as u64),
            export: values.remove("--export"),
        })
    }
}

/// An object as it is served.
struct Object {
    key: String,
    body: Arc<Vec<u8>>,
    etag: Arc<str>,
    /// CRC64NVME, as S3 computes it for everything that is put without another checksum (S3 user guide, "Checking object integrity").
    checksum: Arc<str>,
    modified: DateTime<Utc>,
    signature: Option<String>,
}

struct Store {
    arguments: Arguments,
    regions: Vec<&'static str>,
    /// By bucket, in the order of their keys.
    buckets: HashMap<&'static str, Vec<Object>>,
    public_key: Vec<u8>,
    fingerprint: String,
    end: DateTime<Utc>,
}

fn hex_of(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

fn etag(body: &[u8]) -> Arc<str> {
    format!("\"{}\"", hex_of(&Md5::digest(body))).into()
}

fn checksum(body: &[u8]) -> Arc<str> {
    use base64::Engine as _;
    let mut crc = crc64fast_nvme::Digest::new();
    crc.write(body);
    base64::engine::general_purpose::STANDARD.encode(crc.sum64().to_be_bytes()).into()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(content).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A log's content: records as long as CloudTrail's, with as much in them that does not pack: 20 kB of 12 times as much.
fn log(random: &mut ChaCha8Rng, events: usize) -> Vec<u8> {
    let mut text = String::from("{\"Records\":[");
    for number in 0..events {
        let (first, second, third) = (random.next_u64(), random.next_u64(), random.next_u64());
        let mut host = [0; 44];
        random.fill_bytes(&mut host);
        let comma = if number == 0 { "" } else { "," };
        let name = ["DescribeInstances", "AssumeRole", "GetBucketAcl", "ListBuckets", "Decrypt"][(first % 5) as usize];
        let last = second % 250;
        write!(
            text,
            "{comma}{{\"eventVersion\":\"1.11\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"principalId\":\"AROAEXAMPLE:\
             session\",\"arn\":\"arn:aws:sts::{ACCOUNT}:assumed-role/example-role/session\",\"accountId\":\"{ACCOUNT}\",\
             \"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\"AROAEXAMPLE\",\"arn\":\"arn:aws:iam::\
             {ACCOUNT}:role/example-role\",\"accountId\":\"{ACCOUNT}\",\"userName\":\"example-role\"}},\"attributes\":{{\
             \"creationDate\":\"2026-03-01T00:00:00Z\",\"mfaAuthenticated\":\"false\"}}}}}},\"eventTime\":\
             \"2026-03-01T00:00:{:02}Z\",\"eventSource\":\"ec2.amazonaws.com\",\"eventName\":\"{name}\",\"awsRegion\":\
             \"us-east-1\",\"sourceIPAddress\":\"192.0.2.{last}\",\"userAgent\":\"aws-sdk-example/1.0\",\"requestParameters\":\
             {{\"filterSet\":{{}},\"maxResults\":1000}},\"responseElements\":null,\"additionalEventData\":{{\"x-amz-id-2\":\"{}\"}},\"requestID\":\"{first:016x}\",\"eventID\":\
             \"{second:016x}{:08x}\",\"readOnly\":true,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\
             \"recipientAccountId\":\"{ACCOUNT}\",\"eventCategory\":\"Management\"}}",
            number % 60,
            hex::encode(host),
            third >> 32,
        )
        .expect("memory takes it");
    }
    text.push_str("]}");
    text.into_bytes()
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Store {
    fn make(arguments: Arguments) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(2026);
        let key = RsaPrivateKey::new(&mut random, 2048).expect("a key");
        let public_key = key.to_public_key().to_pkcs1_der().expect("it encodes").as_bytes().to_vec();
        let fingerprint = hex_of(&Md5::digest(&public_key));
        let signing = SigningKey::<Sha256>::new(key);
        let contents: Vec<_> = (0..CONTENTS)
            .map(|_| {
                let content = log(&mut random, arguments.events_a_log);
                let body = gzip(&content);
                (hex_of(&Sha256::digest(&content)), etag(&body), checksum(&body), Arc::new(body))
            })
            .collect();
        let begin: DateTime<Utc> = "2026-03-01T00:00:00Z".parse().expect("a time");
        let regions: Vec<&'static str> = REGIONS[..arguments.regions].to_vec();
        let mut objects = Vec::new();
        for region in &regions {
            let (mut previous, mut previous_object) = (None::<(String, String)>, String::new());
            for hour in 0..arguments.hours {
                let start = begin + TimeDelta::hours(hour as i64);
                let end = start + TimeDelta::hours(1);
                let mut listed = String::new();
                for number in 0..arguments.logs_an_hour {
                    let at = start + TimeDelta::minutes(((number % 11) * 5 + 5) as i64);
                    let (hash, etag, checksum, body) = &contents[(random.next_u32() as usize) % CONTENTS];
                    let key = format!(
                        "AWSLogs/{ACCOUNT}/CloudTrail/{region}/{}/{ACCOUNT}_CloudTrail_{region}_{}_{:016X}.json.gz",
                        at.format("%Y/%m/%d"),
                        at.format("%Y%m%dT%H%MZ"),
                        random.next_u64(),
                    );
                    let comma = if number == 0 { "" } else { "," };
                    let (newest, oldest) = (time(at), time(at - TimeDelta::minutes(4)));
                    write!(
                        listed,
                        "{comma}{{\"s3Bucket\":\"{BUCKET}\",\"s3Object\":\"{key}\",\"hashValue\":\"{hash}\",\
                         \"hashAlgorithm\":\"SHA-256\",\"newestEventTime\":\"{newest}\",\"oldestEventTime\":\"{oldest}\"}}"
                    )
                    .expect("memory takes it");
                    objects.push(Object {
                        key,
                        body: Arc::clone(body),
                        etag: Arc::clone(etag),
                        checksum: Arc::clone(checksum),
                        modified: at + TimeDelta::seconds(30),
                        signature: None,
                    });
                }
                let object = format!(
                    "AWSLogs/{ACCOUNT}/CloudTrail-Digest/{region}/{}/{ACCOUNT}_CloudTrail-Digest_{region}_{TRAIL}_{HOME}_{}.json.gz",
                    end.format("%Y/%m/%d"),
                    end.format("%Y%m%dT%H%M%SZ"),
                );
                let link = previous.as_ref().map_or_else(
                    || {
                        "\"previousDigestS3Bucket\":null,\"previousDigestS3Object\":null,\"previousDigestHashValue\":null,\
                         \"previousDigestHashAlgorithm\":null,\"previousDigestSignature\":null"
                            .to_owned()
                    },
                    |(hash, signature)| {
                        format!(
                            "\"previousDigestS3Bucket\":\"{BUCKET}\",\"previousDigestS3Object\":\"{previous_object}\",\
                             \"previousDigestHashValue\":\"{hash}\",\"previousDigestHashAlgorithm\":\"SHA-256\",\
                             \"previousDigestSignature\":\"{signature}\""
                        )
                    },
                );
                let (newest, oldest) = if arguments.logs_an_hour == 0 {
                    ("null".to_owned(), "null".to_owned())
                } else {
                    (
                        format!("\"{}\"", time(start + TimeDelta::minutes(55))),
                        format!("\"{}\"", time(start + TimeDelta::minutes(1))),
                    )
                };
                let document = format!(
                    "{{\"awsAccountId\":\"{ACCOUNT}\",\"digestStartTime\":\"{}\",\"digestEndTime\":\"{}\",\"digestS3Bucket\":\
                     \"{BUCKET}\",\"digestS3Object\":\"{object}\",\"digestPublicKeyFingerprint\":\"{fingerprint}\",\
                     \"digestSignatureAlgorithm\":\"SHA256withRSA\",\"newestEventTime\":{newest},\"oldestEventTime\":{oldest},\
                     {link},\"logFiles\":[{listed}]}}",
                    time(start),
                    time(end),
                );
                let hash = hex_of(&Sha256::digest(document.as_bytes()));
                let before = previous.as_ref().map_or("null", |(_, signature)| signature);
                let signed = format!("{}\n{BUCKET}/{object}\n{hash}\n{before}", time(end));
                let signature = hex_of(&signing.sign(signed.as_bytes()).to_vec());
                let body = gzip(document.as_bytes());
                objects.push(Object {
                    key: object.clone(),
                    etag: etag(&body),
                    checksum: checksum(&body),
                    body: Arc::new(body),
                    modified: end + TimeDelta::minutes(26),
                    signature: Some(signature.clone()),
                });
                (previous, previous_object) = (Some((hash, signature)), object);
            }
        }
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        let mut block = vec![0; arguments.large_bytes];
        random.fill_bytes(&mut block);
        let large: Vec<Arc<Vec<u8>>> = (0..arguments.large.min(4))
            .map(|number| {
                let mut body = block.clone();
                body[..8].copy_from_slice(&(number as u64).to_le_bytes());
                Arc::new(body)
            })
            .collect();
        let tags: Vec<_> = large.iter().map(|body| (etag(body), checksum(body))).collect();
        let end = begin + TimeDelta::hours(arguments.hours as i64);
        let large = (0..arguments.large)
            .map(|number| {
                let at = begin + TimeDelta::minutes(((number * 5) % (arguments.hours * 60)) as i64);
                Object {
                    key: format!(
                        "AWSLogs/{ACCOUNT}/vpcflowlogs/{HOME}/{}/{ACCOUNT}_vpcflowlogs_{HOME}_fl-0123456789abcdef0_{}_{number:08x}.log.gz",
                        at.format("%Y/%m/%d"),
                        at.format("%Y%m%dT%H%MZ"),
                    ),
                    body: Arc::clone(&large[number % large.len()]),
                    etag: Arc::clone(&tags[number % large.len()].0),
                checksum: Arc::clone(&tags[number % large.len()].1),
                    modified: at,
                    signature: None,
                }
            });
        let mut large: Vec<Object> = large.collect();
        large.sort_by(|one, other| one.key.cmp(&other.key));
        let buckets = HashMap::from([(BUCKET, objects), (LARGE_BUCKET, large)]);
        Self { arguments, regions, buckets, public_key, fingerprint, end }
    }

    /// Writes every object to a folder, for programs that work on files.
    fn export(&self, folder: &Path) {
        for (bucket, objects) in &self.buckets {
            for object in objects {
                let path = folder.join(bucket).join(&object.key);
                fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
                fs::write(path, &*object.body).expect("it can be written");
            }
        }
    }
}

/// One request, as far as it matters.
struct Request {
    method: String,
    path: String,
    query: HashMap<String, String>,
    target: Option<String>,
    /// Whether checksums are asked for: S3 names them only then.
    checksums: bool,
    range: Option<(usize, usize)>,
    body: Vec<u8>,
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits: Vec<u8> = rest.by_ref().take(2).collect();
            bytes.extend(hex::decode(digits).unwrap_or_default());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Request {
    fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let mut words = line.split(' ');
        let (method, url) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut target, mut range, mut checksums) = (0, None, None, false);
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).ok().filter(|count| *count > 0)?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().ok()?;
            } else if name.eq_ignore_ascii_case("x-amz-target") {
                target = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("x-amz-checksum-mode") {
                checksums = true;
            } else if name.eq_ignore_ascii_case("range") {
                let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
                range = Some((from.parse().ok()?, to.parse().unwrap_or(usize::MAX)));
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        let (path, query) = url.split_once('?').unwrap_or((&url, ""));
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name), percent_decoded(value))
        });
        let query = query.collect();
        Some(Self { method, path: percent_decoded(path), query, target, checksums, range, body })
    }
}

/// Answers with a status, headers beyond the usual ones, and a body.
fn answer(stream: &mut TcpStream, head_only: bool, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    let now = Utc::now().format("%a, %d %b %Y %H:%M:%S GMT");
    let head = format!(
        "HTTP/1.1 {status}\r\nDate: {now}\r\nx-amz-request-id: 0123456789ABCDEF\r\nx-amz-id-2: canned\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let body = if head_only { &[][..] } else { body };
    let count = stream.write_vectored(&[IoSlice::new(head.as_bytes()), IoSlice::new(body)])?;
    if count < head.len() {
        stream.write_all(&head.as_bytes()[count..])?;
        return stream.write_all(body);
    }
    stream.write_all(&body[count - head.len()..])
}

impl Store {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut requests = BufReader::with_capacity(16 * 1024, stream.try_clone().ok()?);
        loop {
            let request = Request::read(&mut requests)?;
            if !self.arguments.latency.is_zero() {
                std::thread::sleep(self.arguments.latency);
            }
            self.respond(&request, &mut stream).ok()?;
        }
    }

    fn respond(&self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        let xml = "Content-Type: application/xml\r\n";
        let json = "Content-Type: application/x-amz-json-1.1\r\n";
        if let Some(target) = &request.target {
            let operation = target.rsplit('.').next().unwrap_or_default();
            return match self.cloudtrail(operation) {
                Some(body) => answer(stream, false, "200 OK", json, body.as_bytes()),
                None => answer(
                    stream,
                    false,
                    "400 Bad Request",
                    json,
                    b"{\"__type\":\"AccessDeniedException\",\"message\":\"canned\"}",
                ),
            };
        }
        let (bucket, key) =
            request.path.trim_start_matches('/').split_once('/').unwrap_or((request.path.trim_start_matches('/'), ""));
        if bucket.is_empty() {
            let form = String::from_utf8_lossy(&request.body).into_owned();
            return match self.form(&form) {
                Some(body) => answer(stream, false, "200 OK", xml, body.as_bytes()),
                None => answer(
                    stream,
                    false,
                    "403 Forbidden",
                    xml,
                    b"<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>canned</Message></Error></Errors></Response>",
                ),
            };
        }
        let head = request.method == "HEAD";
        let missing = b"<Error><Code>NoSuchKey</Code><Message>canned</Message></Error>";
        let Some(objects) = self.buckets.get(bucket) else { return answer(stream, head, "404 Not Found", xml, missing) };
        if !key.is_empty() {
            let Ok(place) = objects.binary_search_by(|object| object.key.as_str().cmp(key)) else {
                return answer(stream, head, "404 Not Found", xml, missing);
            };
            return Self::object(&objects[place], request, stream, head);
        }
        if request.query.contains_key("location") {
            let body = b"<LocationConstraint xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
            return answer(stream, head, "200 OK", xml, body);
        }
        if request.query.contains_key("versioning") {
            return answer(
                stream,
                head,
                "200 OK",
                xml,
                b"<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
            );
        }
        if !head && !SUBRESOURCES.iter().any(|name| request.query.contains_key(*name)) {
            return answer(stream, head, "200 OK", xml, list(bucket, objects, &request.query).as_bytes());
        }
        if head {
            return answer(stream, head, "200 OK", "x-amz-bucket-region: us-east-1\r\n", b"");
        }
        answer(stream, head, "403 Forbidden", xml, b"<Error><Code>AccessDenied</Code><Message>canned</Message></Error>")
    }

    fn object(object: &Object, request: &Request, stream: &mut TcpStream, head: bool) -> std::io::Result<()> {
        let modified = object.modified.format("%a, %d %b %Y %H:%M:%S GMT");
        let mut headers = format!("ETag: {}\r\nLast-Modified: {modified}\r\nAccept-Ranges: bytes\r\n", object.etag);
        if object.key.ends_with(".json.gz") {
            headers.push_str("Content-Type: application/json\r\nContent-Encoding: gzip\r\n");
        }
        if request.checksums && request.range.is_none() {
            write!(headers, "x-amz-checksum-crc64nvme: {}\r\nx-amz-checksum-type: FULL_OBJECT\r\n", object.checksum)
                .expect("memory takes it");
        }
        if let Some(signature) = &object.signature {
            write!(headers, "x-amz-meta-signature: {signature}\r\nx-amz-meta-signature-algorithm: SHA256withRSA\r\n")
                .expect("memory takes it");
        }
        match request.range {
            Some((from, to)) if from < object.body.len() => {
                let to = to.min(object.body.len() - 1);
                write!(headers, "Content-Range: bytes {from}-{to}/{}\r\n", object.body.len()).expect("memory takes it");
                answer(stream, head, "206 Partial Content", &headers, &object.body[from..=to])
            }
            _ => answer(stream, head, "200 OK", &headers, &object.body),
        }
    }

    fn cloudtrail(&self, operation: &str) -> Option<String> {
        let arn = format!("arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/{TRAIL}");
        let (delivered, digested) = (self.end.timestamp() + 300, self.end.timestamp() + 1560);
        Some(match operation {
            "DescribeTrails" => format!(
                "{{\"trailList\":[{{\"Name\":\"{TRAIL}\",\"S3BucketName\":\"{BUCKET}\",\"IncludeGlobalServiceEvents\":true,\
                 \"IsMultiRegionTrail\":true,\"HomeRegion\":\"{HOME}\",\"TrailARN\":\"{arn}\",\"LogFileValidationEnabled\":true,\
                 \"HasCustomEventSelectors\":false,\"HasInsightSelectors\":false,\"IsOrganizationTrail\":false}}]}}"
            ),
            "ListTrails" => {
                format!("{{\"Trails\":[{{\"TrailARN\":\"{arn}\",\"Name\":\"{TRAIL}\",\"HomeRegion\":\"{HOME}\"}}]}}")
            }
            "GetTrailStatus" => format!(
                "{{\"IsLogging\":true,\"LatestDeliveryTime\":{delivered},\"LatestDigestDeliveryTime\":{digested},\
                 \"StartLoggingTime\":1767225600}}"
            ),
            "ListPublicKeys" => {
                use base64::Engine as _;
                let key = base64::engine::general_purpose::STANDARD.encode(&self.public_key);
                let fingerprint = &self.fingerprint;
                format!(
                    "{{\"PublicKeyList\":[{{\"Fingerprint\":\"{fingerprint}\",\"ValidityStartTime\":1767225600,\
                     \"ValidityEndTime\":1798761600,\"Value\":\"{key}\"}}]}}"
                )
            }
            _ => return None,
        })
    }

    fn form(&self, form: &str) -> Option<String> {
        if form.contains("Action=GetCallerIdentity") {
            return Some(format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>arn:aws:iam::{ACCOUNT}:user/bench</Arn><UserId>AIDAEXAMPLE</UserId><Account>{ACCOUNT}</Account>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>"
            ));
        }
        if form.contains("Action=DescribeRegions") {
            let item = |region: &&str| {
                format!(
                    "<item><regionName>{region}</regionName><regionEndpoint>ec2.{region}.amazonaws.com</regionEndpoint>\
                     <optInStatus>opt-in-not-required</optInStatus></item>"
                )
            };
            let items: String = self.regions.iter().map(item).collect();
            return Some(format!(
                "<DescribeRegionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>canned</requestId>\
                 <regionInfo>{items}</regionInfo></DescribeRegionsResponse>"
            ));
        }
        (form.contains("Action=DescribeFlowLogs") && self.arguments.large > 0).then(|| {
            format!(
                "<DescribeFlowLogsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>canned</requestId>\
                 <flowLogSet><item><creationTime>2026-01-01T00:00:00Z</creationTime><deliverLogsStatus>SUCCESS</deliverLogsStatus>\
                 <flowLogId>fl-0123456789abcdef0</flowLogId><flowLogStatus>ACTIVE</flowLogStatus>\
                 <resourceId>vpc-0123456789abcdef0</resourceId><trafficType>ALL</trafficType>\
                 <logDestinationType>s3</logDestinationType><logDestination>arn:aws:s3:::{LARGE_BUCKET}</logDestination>\
                 <maxAggregationInterval>600</maxAggregationInterval><destinationOptions><fileFormat>plain-text</fileFormat>\
                 <hiveCompatiblePartitions>false</hiveCompatiblePartitions><perHourPartition>false</perHourPartition>\
                 </destinationOptions></item></flowLogSet></DescribeFlowLogsResponse>"
            )
        })
    }
}

/// A page of ListObjectsV2.
fn list(bucket: &str, objects: &[Object], query: &HashMap<String, String>) -> String {
    let text = |name: &str| query.get(name).map(String::as_str);
    let (prefix, delimiter) = (text("prefix").unwrap_or(""), text("delimiter"));
    let most: usize = text("max-keys").and_then(|count| count.parse().ok()).unwrap_or(1000).min(1000);
    let after = text("continuation-token").or_else(|| text("start-after")).or_else(|| text("marker")).unwrap_or("");
    let mut at = objects.partition_point(|object| object.key.as_str() < prefix || object.key.as_str() <= after);
    let (mut keys, mut folders, mut count, mut last, mut more) = (String::new(), String::new(), 0, "", false);
    while let Some(object) = objects.get(at).filter(|object| object.key.starts_with(prefix)) {
        if count == most {
            more = true;
            break;
        }
        let rest = &object.key[prefix.len()..];
        let folder =
            delimiter.and_then(|delimiter| Some(&object.key[..prefix.len() + rest.find(delimiter)? + delimiter.len()]));
        if let Some(folder) = folder {
            at += objects[at..].partition_point(|object| object.key.starts_with(folder));
            last = &objects[at - 1].key;
            if !after.starts_with(folder) {
                write!(folders, "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>").expect("memory takes it");
                count += 1;
            }
            continue;
        }
        write!(
            keys,
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size>\
             <StorageClass>STANDARD</StorageClass></Contents>",
            object.key,
            object.modified.format("%Y-%m-%dT%H:%M:%S.000Z"),
            object.etag.trim_matches('"'),
            object.body.len(),
        )
        .expect("memory takes it");
        last = &object.key;
        count += 1;
        at += 1;
    }
    let token = if more { format!("<NextContinuationToken>{last}</NextContinuationToken>") } else { String::new() };
    let encoding = text("encoding-type").map_or("", |_| "<EncodingType>url</EncodingType>");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Name>{bucket}</Name><Prefix>{prefix}</Prefix><KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys>{encoding}\
         <IsTruncated>{more}</IsTruncated>{token}{keys}{folders}</ListBucketResult>"
    )
}

fn main() {
    let Some(arguments) = Arguments::parse() else {
        println!("benches/peers starts this server; by itself it has nothing to measure");
        return;
    };
    let store = Arc::new(Store::make(arguments));
    if let Some(folder) = &store.arguments.export {
        store.export(Path::new(folder));
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("an address").port();
    let size = |bucket| {
        let objects = &store.buckets[bucket];
        (objects.len(), objects.iter().map(|object| object.body.len()).sum::<usize>())
    };
    let ((logs, log_bytes), (large, large_bytes)) = (size(BUCKET), size(LARGE_BUCKET));
    println!(
        "{{\"port\":{port},\"objects\":{logs},\"bytes\":{log_bytes},\"large\":{large},\"large_bytes\":{large_bytes},\"start\":\
         \"2026-03-01T00:00:00Z\",\"end\":\"{}\"}}",
        time(store.end)
    );
    let accepting = Arc::clone(&store);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let store = Arc::clone(&accepting);
            std::thread::spawn(move || store.serve(stream));
        }
    });
    // Whoever started it ends it by closing its standard input, or by ending itself.
    let mut rest = Vec::new();
    let _ended = std::io::stdin().read_to_end(&mut rest);
}
