//! What goes on in the account on any day.

use chrono::{DateTime, Duration, Utc};
use serde_json::{Value, json};

use super::super::disks::{Disks, disk_key};
use super::super::record::{Actor, Deed, timestamp};
use super::super::{ACCOUNT_ID, DATA_BUCKET};
use super::{OFFICE_ADDRESS, Script};

const PYTHON_AGENT: &str = "Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.2";
const CONSOLE_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const CLI_AGENT: &str =
    "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.2 cfg/retry-mode#standard";

pub(super) fn play(script: &mut Script<'_>, disks: &Disks) {
    let scenario = script.scenario;
    for (number, region) in (0_u32..).zip(&scenario.regions) {
        // The home region is the busy one.
        let divisor = match number {
            0 => 1,
            1 => 5,
            _ => 16,
        };
        let instances: Vec<&str> = disks
            .volumes
            .iter()
            .filter(|volume| &volume.region == region)
            .filter_map(|volume| volume.instance.as_deref())
            .collect();
        let volumes: Vec<&str> =
            disks.volumes.iter().filter(|volume| &volume.region == region).map(|volume| volume.id.as_str()).collect();
        for hour in 0..scenario.hours {
            let begins = scenario.start() + Duration::hours(i64::from(hour));
            let usual = (scenario.events_per_hour / divisor).max(1);
            let count = script.chance.between(usual.saturating_sub(usual / 6), usual + usual / 6);
            for _ in 0..count {
                let time = begins + Duration::seconds(i64::from(script.chance.below(3600)));
                happening(script, time, region, &instances, &volumes);
            }
        }
    }
}

fn happening(script: &mut Script<'_>, time: DateTime<Utc>, region: &str, instances: &[&str], volumes: &[&str]) {
    let home = region == script.scenario.home_region();
    let instance = script.chance.pick(instances).to_owned();
    let volume = script.chance.pick(volumes).to_owned();
    let roll = script.chance.below(100);
    let (actor, deed) = match roll {
        0..=17 => (
            continuous_integration(script, time),
            Deed::read(
                "ec2.amazonaws.com",
                "DescribeInstances",
                json!({"instancesSet": {}, "filterSet": {"items": [{"name": "tag:stack", "valueSet": {"items": [{"value": "web"}]}}]}}),
            ),
        ),
        18..=31 => (application(script, time, &instance), decrypt(region)),
        32..=43 => assumed_role(script, time),
        44..=51 => (
            application(script, time, &instance),
            Deed::read(
                "ssm.amazonaws.com",
                "GetParametersByPath",
                json!({"path": "/web/production/", "recursive": true, "withDecryption": true}),
            ),
        ),
        52..=59 => (
            Actor::service("ec2.amazonaws.com"),
            Deed::read(
                "sts.amazonaws.com",
                "AssumeRole",
                json!({"roleArn": format!("arn:aws:iam::{ACCOUNT_ID}:role/web-app"), "roleSessionName": instance}),
            ),
        ),
        60..=67 => (
            continuous_integration(script, time),
            Deed::read(
                "ecr.amazonaws.com",
                "BatchGetImage",
                json!({"registryId": ACCOUNT_ID, "repositoryName": "web", "imageIds": [{"imageTag": format!("build-{}", script.chance.between(1000, 1999))}]}),
            ),
        ),
        68..=73 => (
            administrator(script),
            Deed::read(
                "ec2.amazonaws.com",
                "DescribeVolumes",
                json!({"volumeSet": {"items": [{"volumeId": volume}]}, "filterSet": {}}),
            ),
        ),
        74..=79 => (
            administrator(script),
            Deed::read("cloudwatch.amazonaws.com", "DescribeAlarms", json!({"alarmTypes": ["MetricAlarm"], "maxRecords": 100})),
        ),
        80..=84 => (application(script, time, &instance), log_stream(&instance)),
        85..=88 => (
            administrator(script),
            Deed::read(
                "ec2.amazonaws.com",
                "DescribeSecurityGroups",
                json!({"securityGroupSet": {}, "securityGroupIdSet": {}, "filterSet": {}}),
            ),
        ),
        89..=91 => (continuous_integration(script, time), tag_instance(&instance)),
        92..=93 if home => console_login(script),
        94..=95 if home => (administrator(script), Deed::read("iam.amazonaws.com", "ListUsers", json!({"maxItems": 100}))),
        96..=97 if home => (application(script, time, &instance), read_report(script)),
        98 => (administrator(script), denied(region, &instance)),
        _ => (continuous_integration(script, time), Deed::read("sts.amazonaws.com", "GetCallerIdentity", Value::Null)),
    };
    script.happens(time, region, &actor, deed);
}

fn continuous_integration(script: &mut Script<'_>, time: DateTime<Utc>) -> Actor {
    let session = format!("build-{}", script.chance.between(1000, 1999));
    let since = time - Duration::seconds(i64::from(script.chance.between(10, 900)));
    Actor::session("ci-deploy", "AROAIOSFODNN7CIDEPLOY", &session, "ASIAIOSFODNN7EXAMPLE", "192.0.2.200", PYTHON_AGENT, since)
}

fn application(script: &mut Script<'_>, time: DateTime<Utc>, instance: &str) -> Actor {
    let address = script.chance.pick(&["198.51.100.11", "198.51.100.12", "198.51.100.14"]);
    let since = time - Duration::seconds(i64::from(script.chance.between(60, 20_000)));
    Actor::session("web-app", "AROAIOSFODNN7WEBAPPXX", instance, "ASIAI44QH8DHBEXAMPLE", address, PYTHON_AGENT, since)
}

fn administrator(script: &mut Script<'_>) -> Actor {
    let address = script.chance.pick(&[OFFICE_ADDRESS, "192.0.2.11"]);
    Actor::user("ops-admin", "AIDACKCEVSQ6C2EXAMPLE", "AKIAI44QH8DHBEXAMPLE", address, CLI_AGENT)
}

fn decrypt(region: &str) -> Deed {
    let request = json!({"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "encryptionContext": {"PARAMETER_ARN": format!("arn:aws:ssm:{region}:{ACCOUNT_ID}:parameter/web/production/db")}});
    Deed::read("kms.amazonaws.com", "Decrypt", request).on(disk_key(region), "AWS::KMS::Key")
}

fn assumed_role(script: &mut Script<'_>, time: DateTime<Utc>) -> (Actor, Deed) {
    let session = format!("build-{}", script.chance.between(1000, 1999));
    let role = format!("arn:aws:iam::{ACCOUNT_ID}:role/ci-deploy");
    let mut deed = Deed::read(
        "sts.amazonaws.com",
        "AssumeRole",
        json!({"roleArn": role, "roleSessionName": session, "durationSeconds": 3600}),
    );
    deed.response = json!({
        "credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "expiration": timestamp(time + Duration::hours(1))},
        "assumedRoleUser": {
            "assumedRoleId": format!("AROAIOSFODNN7CIDEPLOY:{session}"),
            "arn": format!("arn:aws:sts::{ACCOUNT_ID}:assumed-role/ci-deploy/{session}"),
        },
    });
    let runner = Actor::user("ci-runner", "AIDAIOSFODNN7CIRUNNER", "AKIAIOSFODNN7CIEXAMP", "192.0.2.200", PYTHON_AGENT);
    (runner, deed.on(role, "AWS::IAM::Role"))
}

fn log_stream(instance: &str) -> Deed {
    Deed::write(
        "logs.amazonaws.com",
        "CreateLogStream",
        json!({"logGroupName": "/web/access", "logStreamName": instance}),
        Value::Null,
    )
}

fn tag_instance(instance: &str) -> Deed {
    let request = json!({
        "resourcesSet": {"items": [{"resourceId": instance}]},
        "tagSet": {"items": [{"key": "last-deployed-by", "value": "ci-deploy"}]},
    });
    Deed::write("ec2.amazonaws.com", "CreateTags", request, json!({"_return": true})).on(instance, "AWS::EC2::Instance")
}

fn console_login(script: &mut Script<'_>) -> (Actor, Deed) {
    let mut actor = administrator(script);
    CONSOLE_AGENT.clone_into(&mut actor.agent);
    let mut deed = Deed::write("signin.amazonaws.com", "ConsoleLogin", Value::Null, json!({"ConsoleLogin": "Success"}));
    deed.additional =
        Some(json!({"LoginTo": "https://console.aws.amazon.com/console/home", "MobileVersion": "No", "MFAUsed": "Yes"}));
    deed.kind = "AwsConsoleSignIn";
    (actor, deed)
}

/// A data event: the web application reads a report.
fn read_report(script: &mut Script<'_>) -> Deed {
    let key = format!("reports/2026/summary-{:03}.csv", script.chance.between(1, 200));
    get_object(&key, script.chance.between(2_000, 60_000))
}

/// A data event of somebody reading an object of the customer data bucket.
pub(super) fn get_object(key: &str, bytes: u32) -> Deed {
    let mut deed = Deed::read(
        "s3.amazonaws.com",
        "GetObject",
        json!({"bucketName": DATA_BUCKET, "Host": format!("{DATA_BUCKET}.s3.us-east-1.amazonaws.com"), "key": key}),
    );
    deed.additional = Some(json!({
        "SignatureVersion": "SigV4",
        "CipherSuite": "TLS_AES_128_GCM_SHA256",
        "bytesTransferredIn": 0,
        "AuthenticationMethod": "AuthHeader",
        "bytesTransferredOut": bytes,
    }));
    deed.data_event = true;
    deed.on(format!("arn:aws:s3:::{DATA_BUCKET}/{key}"), "AWS::S3::Object")
        .on(format!("arn:aws:s3:::{DATA_BUCKET}"), "AWS::S3::Bucket")
}

fn denied(region: &str, instance: &str) -> Deed {
    let mut deed = Deed::write(
        "ec2.amazonaws.com",
        "StopInstances",
        json!({"instancesSet": {"items": [{"instanceId": instance}]}, "force": false}),
        Value::Null,
    );
    deed.error = Some((
        "Client.UnauthorizedOperation",
        format!(
            "You are not authorized to perform this operation. User: arn:aws:iam::{ACCOUNT_ID}:user/ops-admin is not authorized to perform: ec2:StopInstances on resource: arn:aws:ec2:{region}:{ACCOUNT_ID}:instance/{instance} because no identity-based policy allows the ec2:StopInstances action"
        ),
    ));
    deed
}
