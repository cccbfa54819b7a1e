//! The real program against moto, a simulated AWS that we did not write: what it has is collected whole, what it lacks is a gap.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use caselock::model::Sha256Hash;
use serde_json::Value;

use crate::account::{Ran, ledger, program, run, without_aws};
use crate::peers;

/// Serves moto on loopback and says on which port. What moto has not, it would answer with 500, which is worth many attempts; 501 is not.
const SERVE: &str = r#"
from werkzeug.serving import make_server
from werkzeug.wrappers import Response
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
moto = DomainDispatcherApplication(create_backend_app)
def honest(environ, start_response):
    try:
        return moto(environ, start_response)
    except NotImplementedError as missing:
        return Response(str(missing), status=501)(environ, start_response)
server = make_server("127.0.0.1", 0, honest, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// Makes an account with boto3: a trail and its bucket with objects like logs in two versions, a VPC with flow logs, disks. Prints the
/// SHA-256 of what each object, and each earlier version, holds.
const PREPARE: &str = r#"
import boto3, datetime, gzip, hashlib, json, sys
def client(service): return boto3.client(service, region_name="us-east-1", endpoint_url=sys.argv[1])
s3, trail, ec2 = client("s3"), client("cloudtrail"), client("ec2")
account = client("sts").get_caller_identity()["Account"]
hashes, made = {}, {}
def put(bucket, key, body):
    answer = s3.put_object(Bucket=bucket, Key=key, Body=body)
    hashes.setdefault(f"{bucket}/{key}", []).append(hashlib.sha256(body).hexdigest())
logs, flows = "example-moto-logs", "example-moto-flows"
for bucket in (logs, flows): s3.create_bucket(Bucket=bucket)
s3.put_bucket_versioning(Bucket=logs, VersioningConfiguration={"Status": "Enabled"})
trail.create_trail(Name="moto-trail", S3BucketName=logs, IsMultiRegionTrail=True, EnableLogFileValidation=True)
trail.start_logging(Name="moto-trail")
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
flow = ec2.create_flow_logs(ResourceIds=[vpc], ResourceType="VPC", TrafficType="ALL", LogDestinationType="s3", LogDestination=f"arn:aws:s3:::{flows}")["FlowLogIds"][0]
now = datetime.datetime.now(datetime.timezone.utc)
for number in range(40):
    at = now - datetime.timedelta(minutes=90 - number)
    name = f"{account}_CloudTrail_us-east-1_{at:%Y%m%dT%H%M}Z_{number:016d}.json.gz"
    put(logs, f"AWSLogs/{account}/CloudTrail/us-east-1/{at:%Y/%m/%d}/{name}", gzip.compress(json.dumps({"Records": [], "number": number}).encode()))
    name = f"{account}_vpcflowlogs_us-east-1_{flow}_{at:%Y%m%dT%H%M}Z_{number:08x}.log.gz"
    put(flows, f"AWSLogs/{account}/vpcflowlogs/us-east-1/{at:%Y/%m/%d}/{name}", gzip.compress(b"version\n2\n"))
again = sorted(key for key in hashes if key.startswith(logs))[7].split("/", 1)
put(*again, gzip.compress(b"overwritten"))
volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=8)["VolumeId"]
snapshot = ec2.create_snapshot(VolumeId=volume, Description="of the test")["SnapshotId"]
ec2.modify_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=["444455556666"])
print(json.dumps({"account": account, "hashes": hashes, "volume": volume, "snapshot": snapshot, "overwritten": "/".join(again)}))
"#;

/// A moto on loopback, until dropped.
struct Moto {
    server: Child,
    url: String,
}

impl Moto {
    fn start() -> Self {
        let mut command = python(SERVE);
        // Hundreds of images and their snapshots, which nobody made here.
        command.env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false");
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { server, url: format!("http://127.0.0.1:{}", port.trim()) }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

fn python(script: &str) -> Command {
    let mut command = Command::new(peers::moto_python());
    without_aws(&mut command);
    command.args(["-c", script]).env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "example");
    command
}

fn prepare(moto: &Moto) -> Value {
    let output = python(PREPARE).arg(&moto.url).output().unwrap();
    std::io::stderr().write_all(&output.stderr).unwrap();
    serde_json::from_slice(output.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap()
}

fn caselock(moto: &Moto, folder: &std::path::Path, arguments: &[&str]) -> Ran {
    let mut command = program(arguments);
    command
        .current_dir(folder)
        .env("AWS_ENDPOINT_URL", &moto.url)
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "example")
        .env("AWS_REGION", "us-east-1");
    run(&mut command)
}

/// Operations that this version of moto has not.
const MISSING: [&str; 9] = [
    "DescribeFastSnapshotRestores",
    "DescribeLockedSnapshots",
    "GetEbsDefaultKmsKeyId",
    "GetSnapshotBlockPublicAccessState",
    "ListImagesInRecycleBin",
    "ListPublicKeys",
    "ListSnapshotsInRecycleBin",
    "ListVolumesInRecycleBin",
    "LookupEvents",
];

#[test]
fn what_moto_has_is_collected_byte_for_byte_and_what_it_has_not_is_a_gap() {
    let moto = Moto::start();
    let made = prepare(&moto);
    let folder = tempfile::tempdir().unwrap();
    let scope = ["--start", "-3h", "--region", "us-east-1"];
    let planned = caselock(&moto, folder.path(), &[&["plan", "--json"], &scope[..]].concat()).expect(4).json();
    let line = [&["collect", "case", "--json", "--case-number", "IR-1", "--examiner", "A. Examiner"], &scope[..]].concat();
    let collected = caselock(&moto, folder.path(), &line).expect(4).json();
    // 80 objects, and the earlier version of the one that was overwritten.
    assert_eq!(collected["outcome"]["totals"]["stored"], 81, "{:#}", collected["outcome"]["totals"]);
    assert_eq!(planned["totals"]["found"], collected["outcome"]["totals"]["found"]);

    let case: PathBuf = folder.path().join("case");
    let mut stored: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in ledger(&case).iter().filter(|line| line["source"]["kind"] == "s3-object") {
        let bytes = std::fs::read(case.join(line["path"].as_str().unwrap())).unwrap();
        let name = format!("{}/{}", line["source"]["bucket"].as_str().unwrap(), line["source"]["key"].as_str().unwrap());
        stored.entry(name).or_default().insert(Sha256Hash::of(&bytes).to_string());
    }
    let real: BTreeMap<String, BTreeSet<String>> = serde_json::from_value(made["hashes"].clone()).unwrap();
    assert_eq!(stored, real);
    assert_eq!(real[made["overwritten"].as_str().unwrap()].len(), 2);

    let mut missing = BTreeSet::new();
    for gap in ledger(&case).iter().filter(|line| line["event"] == "gap.recorded" && line["reason"] == "failed") {
        let what = gap["what"].as_str().unwrap();
        // This one it answers under a name that S3 does not give the answer; versions are then looked for all the same.
        let detail = if what.starts_with("GetBucketVersioning ") {
            "the answer cannot be read as one to this question"
        } else {
            missing.insert(what.split(' ').next().unwrap().to_owned());
            "HTTP status 501"
        };
        assert_eq!(gap["detail"], detail, "{gap:#}");
    }
    assert_eq!(missing.iter().map(String::as_str).collect::<Vec<_>>(), MISSING);

    let report: Value = serde_json::from_slice(&std::fs::read(case.join("reports/snapshots.json")).unwrap()).unwrap();
    let snapshots = report["snapshots"].as_array().unwrap();
    let ours = snapshots.iter().find(|entry| entry["snapshot_id"] == made["snapshot"]).unwrap();
    assert_eq!((&ours["volume_id"], &ours["shared_with"]), (&made["volume"], &serde_json::json!(["444455556666"])));

    let verified = caselock(&moto, folder.path(), &["verify", "case", "--json"]).expect(4).json();
    assert_eq!(verified["artifacts"]["valid"], verified["artifacts"]["total"]);
}
