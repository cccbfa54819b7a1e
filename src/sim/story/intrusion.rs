//! The intruder, and the responder who finds the trail stopped.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::super::disks::Disks;
use super::super::record::{Actor, Deed, timestamp};
use super::super::{ACCOUNT_ID, FOREIGN_ACCOUNT_ID, TRAIL_NAME};
use super::background::get_object;
use super::{EXFILTRATION_ADDRESS, INTRUDER_ADDRESS, OFFICE_ADDRESS, Script, intrusion_start};

const INTRUDER_BROWSER: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const INTRUDER_CLI: &str = "aws-cli/1.42.60 md/Botocore#1.40.60 ua/2.1 os/linux#5.15 md/arch#x86_64 lang/python#3.10.12";
const RESPONDER_CLI: &str = "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.2";
/// The access key the intruder makes for an account nobody watches.
const STOLEN_KEY: &str = "AKIAIOSFODNN7BKEXAMP";

pub(super) fn play(script: &mut Script<'_>, disks: &mut Disks) {
    let start = intrusion_start(script.scenario);
    let at = |minutes: i64, seconds: i64| start + Duration::minutes(minutes) + Duration::seconds(seconds);
    break_in(script, at);
    look_around(script, at);
    mine(script, at);
    leak_snapshot(script, disks, at);
    exfiltrate(script, start + Duration::minutes(84));
}

/// Signs in without a second factor and makes a key with all rights for a service user.
fn break_in(script: &mut Script<'_>, at: impl Fn(i64, i64) -> DateTime<Utc>) {
    let home = script.scenario.home_region().to_owned();
    let mut contractor =
        Actor::user("contractor", "AIDAIOSFODNN7CONTRACT", "ASIAIOSFODNN7CTEXAMP", INTRUDER_ADDRESS, INTRUDER_BROWSER);
    let sign_in = |outcome: &str| {
        let mut deed = Deed::write("signin.amazonaws.com", "ConsoleLogin", Value::Null, json!({"ConsoleLogin": outcome}));
        deed.additional =
            Some(json!({"LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": "No"}));
        deed.kind = "AwsConsoleSignIn";
        deed
    };
    for second in [0, 19, 41] {
        let mut failure = sign_in("Failure");
        failure.error = Some(("Client.Unauthorized", "Failed authentication".to_owned()));
        script.happens(at(0, second), &home, &contractor, failure);
    }
    script.happens(at(1, 12), &home, &contractor, sign_in("Success"));
    if let Some(identity) = contractor.identity.as_object_mut() {
        identity.insert(
            "sessionContext".to_owned(),
            json!({"attributes": {"creationDate": timestamp(at(1, 12)), "mfaAuthenticated": "false"}}),
        );
    }
    let user = format!("arn:aws:iam::{ACCOUNT_ID}:user/backup-service");
    script.happens(at(4, 3), &home, &contractor, Deed::read("iam.amazonaws.com", "ListUsers", json!({"maxItems": 1000})));
    let key = Deed::write(
        "iam.amazonaws.com",
        "CreateAccessKey",
        json!({"userName": "backup-service"}),
        json!({"accessKey": {"accessKeyId": STOLEN_KEY, "status": "Active", "userName": "backup-service", "createDate": timestamp(at(6, 30))}}),
    );
    script.happens(at(6, 30), &home, &contractor, key.on(user.clone(), "AWS::IAM::User"));
    let policy = Deed::write(
        "iam.amazonaws.com",
        "AttachUserPolicy",
        json!({"userName": "backup-service", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        Value::Null,
    );
    script.happens(at(7, 2), &home, &contractor, policy.on(user, "AWS::IAM::User"));
}

/// Finds out what there is to take.
fn look_around(script: &mut Script<'_>, at: impl Fn(i64, i64) -> DateTime<Utc>) {
    let home = script.scenario.home_region().to_owned();
    let intruder = intruder();
    script.happens(at(11, 8), &home, &intruder, Deed::read("sts.amazonaws.com", "GetCallerIdentity", Value::Null));
    script.happens(
        at(11, 40),
        &home,
        &intruder,
        Deed::read("s3.amazonaws.com", "ListBuckets", json!({"Host": "s3.us-east-1.amazonaws.com"})),
    );
    script.happens(
        at(13, 5),
        &home,
        &intruder,
        Deed::read("cloudtrail.amazonaws.com", "DescribeTrails", json!({"includeShadowTrails": true})),
    );
    for (number, region) in (0_i64..).zip(script.scenario.regions.clone()) {
        for (step, name) in [(0, "DescribeInstances"), (4, "DescribeVolumes"), (9, "DescribeSnapshots")] {
            let time = at(14 + number, step);
            script.happens(
                time,
                &region,
                &intruder,
                Deed::read("ec2.amazonaws.com", name, json!({"maxResults": 1000, "filterSet": {}})),
            );
        }
    }
    let mut refused = Deed::read("organizations.amazonaws.com", "ListAccounts", Value::Null);
    refused.error = Some(("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.".to_owned()));
    script.happens(at(18, 51), &home, &intruder, refused);
}

/// Starts large instances where nobody looks.
fn mine(script: &mut Script<'_>, at: impl Fn(i64, i64) -> DateTime<Utc>) {
    let Some(region) = script.scenario.regions.last().cloned() else {
        return;
    };
    let intruder = intruder();
    for round in 0..4_i64 {
        let items: Vec<Value> = (0..4)
            .map(|_| json!({"instanceId": format!("i-0{}", script.chance.hex(16)), "instanceType": "p5.48xlarge", "imageId": "ami-0abcdef1234567890", "instanceState": {"code": 0, "name": "pending"}}))
            .collect();
        let instances: Vec<String> =
            items.iter().filter_map(|item| item.get("instanceId")?.as_str().map(str::to_owned)).collect();
        let request = json!({
            "instancesSet": {"items": [{"imageId": "ami-0abcdef1234567890", "minCount": 4, "maxCount": 4}]},
            "instanceType": "p5.48xlarge",
            "userData": "<sensitiveDataRemoved>",
        });
        let mut deed = Deed::write(
            "ec2.amazonaws.com",
            "RunInstances",
            request,
            json!({"reservationId": format!("r-0{}", script.chance.hex(16)), "ownerId": ACCOUNT_ID, "instancesSet": {"items": items}}),
        );
        for instance in instances {
            deed = deed.on(instance, "AWS::EC2::Instance");
        }
        script.happens(at(27 + round, 14), &region, &intruder, deed);
    }
}

/// Copies the database's disk and lets a foreign account read the copy.
fn leak_snapshot(script: &mut Script<'_>, disks: &mut Disks, at: impl Fn(i64, i64) -> DateTime<Utc>) {
    let home = script.scenario.home_region().to_owned();
    let intruder = intruder();
    let snapshot = format!("snap-0{}", script.chance.hex(16));
    let volume = disks.database(&home).map(|volume| volume.id.clone()).unwrap_or_default();
    let created = Deed::write(
        "ec2.amazonaws.com",
        "CreateSnapshot",
        json!({"volumeId": volume, "description": "tmp"}),
        json!({"snapshotId": snapshot, "volumeId": volume, "status": "pending", "startTime": at(46, 20).timestamp_millis(), "ownerId": ACCOUNT_ID, "encrypted": false}),
    );
    script.happens(at(46, 20), &home, &intruder, created.on(snapshot.clone(), "AWS::EC2::Snapshot"));
    let shared = Deed::write(
        "ec2.amazonaws.com",
        "ModifySnapshotAttribute",
        json!({"snapshotId": snapshot, "createVolumePermission": {"add": {"items": [{"userId": FOREIGN_ACCOUNT_ID}]}}, "attributeType": "CREATE_VOLUME_PERMISSION"}),
        json!({"_return": true}),
    );
    script.happens(at(59, 2), &home, &intruder, shared.on(snapshot.clone(), "AWS::EC2::Snapshot"));
    disks.leak(script.scenario, &snapshot, at(46, 20));
}

/// Reads the customer data, object by object.
fn exfiltrate(script: &mut Script<'_>, start: DateTime<Utc>) {
    let home = script.scenario.home_region().to_owned();
    let intruder = intruder();
    for number in 0..240_i64 {
        let key = format!("customers/export-{number:04}.parquet");
        let bytes = script.chance.between(900_000, 8_000_000);
        script.happens(start + Duration::seconds(number * 7), &home, &intruder, get_object(&key, bytes));
    }
}

/// Switches the trail off; a responder switches it on again. What happens in between is in the
/// event history only.
pub(super) fn stop_and_restart_logging(script: &mut Script<'_>) {
    let home = script.scenario.home_region().to_owned();
    let (stopped, started) = script.scenario.outage();
    let arn = trail_arn(&home);
    let intruder = intruder();
    let stop = Deed::write("cloudtrail.amazonaws.com", "StopLogging", json!({"name": TRAIL_NAME}), Value::Null);
    script.happens(stopped, &home, &intruder, stop.on(arn.clone(), "AWS::CloudTrail::Trail"));
    let unseen = Deed::write(
        "iam.amazonaws.com",
        "CreateUser",
        json!({"userName": "support-2"}),
        json!({"user": {"userName": "support-2", "path": "/"}}),
    );
    script.happens(stopped + Duration::minutes(9), &home, &intruder, unseen);
    if !script.scenario.restart_logging {
        return;
    }
    let since = started - Duration::minutes(12);
    let responder = Actor::session(
        "incident-response",
        "AROAIOSFODNN7RESPONSE",
        "responder",
        "ASIAIOSFODNN7IREXAMP",
        OFFICE_ADDRESS,
        RESPONDER_CLI,
        since,
    );
    script.happens(
        started - Duration::minutes(3),
        &home,
        &responder,
        Deed::read("cloudtrail.amazonaws.com", "GetTrailStatus", json!({"name": TRAIL_NAME})),
    );
    let start = Deed::write("cloudtrail.amazonaws.com", "StartLogging", json!({"name": TRAIL_NAME}), Value::Null);
    script.happens(started, &home, &responder, start.on(arn, "AWS::CloudTrail::Trail"));
    let key = Deed::write(
        "iam.amazonaws.com",
        "UpdateAccessKey",
        json!({"userName": "backup-service", "accessKeyId": STOLEN_KEY, "status": "Inactive"}),
        Value::Null,
    );
    script.happens(started + Duration::minutes(4), &home, &responder, key);
}

fn trail_arn(home: &str) -> String {
    format!("arn:aws:cloudtrail:{home}:{ACCOUNT_ID}:trail/{TRAIL_NAME}")
}

/// Who deletes the trail, and how CloudTrail writes it down.
pub(super) fn delete_trail(home: &str) -> (Actor, Deed) {
    let deed = Deed::write("cloudtrail.amazonaws.com", "DeleteTrail", json!({"name": trail_arn(home)}), Value::Null);
    (intruder(), deed.on(trail_arn(home), "AWS::CloudTrail::Trail"))
}

/// Who sends the trail to another bucket without digests, and how CloudTrail writes it down.
pub(super) fn send_trail(home: &str, bucket: &str) -> (Actor, Deed) {
    let deed = Deed::write(
        "cloudtrail.amazonaws.com",
        "UpdateTrail",
        json!({"name": TRAIL_NAME, "s3BucketName": bucket, "enableLogFileValidation": false}),
        json!({"name": TRAIL_NAME, "s3BucketName": bucket, "includeGlobalServiceEvents": true, "isMultiRegionTrail": true,
            "trailARN": trail_arn(home), "logFileValidationEnabled": false, "isOrganizationTrail": false}),
    );
    (intruder(), deed.on(trail_arn(home), "AWS::CloudTrail::Trail"))
}

/// Who deletes flow logs, and how CloudTrail writes it down.
pub(super) fn delete_flow_logs(ids: &[String]) -> (Actor, Deed) {
    let id = |(tag, id): (u32, &String)| json!({"tag": tag, "content": id});
    let ids: Vec<Value> = (1..).zip(ids).map(id).collect();
    let deed = Deed::write(
        "ec2.amazonaws.com",
        "DeleteFlowLogs",
        json!({"DeleteFlowLogsRequest": {"FlowLogId": if let [only] = &ids[..] { only.clone() } else { json!(ids) }}}),
        json!({"DeleteFlowLogsResponse": {"unsuccessful": ""}}),
    );
    (intruder(), deed)
}

fn intruder() -> Actor {
    Actor::user("backup-service", "AIDAIOSFODNN7BACKUPSV", STOLEN_KEY, EXFILTRATION_ADDRESS, INTRUDER_CLI)
}
