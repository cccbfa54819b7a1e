//! The account as it is served: asked by the SDK's own clients, and with requests that no client would send.

use std::time::{Duration, Instant};

use aws_sdk_cloudtrail::config::{BehaviorVersion, Credentials as Key, Region, SharedHttpClient};
use aws_sdk_cloudtrail::error::ProvideErrorMetadata as _;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_sdk_s3::config::retry::RetryConfig;

use super::super::{ACCOUNT_ID, FLOW_BUCKET, Fault, Scenario, TRAIL_BUCKET, TRAIL_NAME, Upload};
use super::*;

fn server() -> (Account, Server) {
    let account = Account::simulate(&Scenario::quiet("2026-03-02T12:00:00Z".parse().unwrap()));
    let server = Server::start(account.clone()).unwrap();
    (account, server)
}

fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

macro_rules! client {
    ($service:ident, $server:expr, $key:expr, $region:expr) => {
        $service::Client::from_conf(
            $service::Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .endpoint_url($server.endpoint())
                .region(Region::new($region))
                .retry_config(RetryConfig::disabled())
                .http_client(http())
                .credentials_provider($key)
                .build(),
        )
    };
}

fn key(server: &Server) -> Key {
    let key = server.credentials();
    Key::new(key.access_key_id.clone(), key.secret_access_key.clone(), None, None, "test")
}

fn s3(server: &Server, key: Key) -> aws_sdk_s3::Client {
    let configuration = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(server.endpoint())
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .http_client(http())
        .credentials_provider(key)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(configuration)
}

#[tokio::test]
async fn a_listing_in_small_pages_shows_every_key_once() {
    let (account, server) = server();
    let client = s3(&server, key(&server));
    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let page =
            client.list_objects_v2().bucket(TRAIL_BUCKET).max_keys(7).set_continuation_token(token).send().await.unwrap();
        assert_eq!(page.key_count(), Some(i32::try_from(page.contents().len()).unwrap()));
        seen.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        token = page.next_continuation_token().map(str::to_owned);
        if page.is_truncated() != Some(true) {
            break;
        }
    }
    assert_eq!(seen, account.objects().keys(TRAIL_BUCKET, ""));
}

#[tokio::test]
async fn a_digest_is_served_as_it_is_stored() {
    let (account, server) = server();
    let name = account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/")).remove(0);
    let stored = account.objects().get(TRAIL_BUCKET, &name).unwrap();
    let got = s3(&server, key(&server)).get_object().bucket(TRAIL_BUCKET).key(&name).send().await.unwrap();
    assert_eq!(got.content_encoding(), Some("gzip"));
    assert_eq!(got.version_id(), Some(stored.version_id.as_str()));
    assert_eq!(got.e_tag(), Some(format!("\"{}\"", stored.etag).as_str()));
    assert_eq!(got.metadata().unwrap()["signature"], stored.metadata["signature"]);
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), stored.body);
}

#[tokio::test]
async fn a_deleted_object_is_missing_but_its_versions_are_listed() {
    let (account, server) = server();
    let client = s3(&server, key(&server));
    let name = account.objects().keys(TRAIL_BUCKET, "").remove(0);
    let before = account.objects().get(TRAIL_BUCKET, &name).unwrap();
    client.delete_object().bucket(TRAIL_BUCKET).key(&name).send().await.unwrap();
    let error = client.get_object().bucket(TRAIL_BUCKET).key(&name).send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchKey"));
    let listed = client.list_object_versions().bucket(TRAIL_BUCKET).prefix(&name).send().await.unwrap();
    assert_eq!((listed.versions().len(), listed.delete_markers().len()), (1, 1));
    let old = client.get_object().bucket(TRAIL_BUCKET).key(&name).version_id(&before.version_id).send().await.unwrap();
    assert_eq!(old.body.collect().await.unwrap().into_bytes(), before.body);
}

#[tokio::test]
async fn conditions_ranges_and_archives_are_answered_as_s3_does() {
    let (account, server) = server();
    let client = s3(&server, key(&server));
    account.objects().put_new_version(FLOW_BUCKET, "note", Upload::new("0123456789"));
    let get = || client.get_object().bucket(FLOW_BUCKET).key("note");
    let part = get().range("bytes=2-4").send().await.unwrap();
    assert_eq!(part.content_range(), Some("bytes 2-4/10"));
    assert_eq!(part.body.collect().await.unwrap().into_bytes(), "234");
    let error = get().if_match("\"0\"").send().await.unwrap_err();
    assert_eq!(error.code(), Some("PreconditionFailed"));
    assert!(account.objects().change(FLOW_BUCKET, "note", |object| object.storage_class = "GLACIER".to_owned()));
    assert_eq!(get().send().await.unwrap_err().code(), Some("InvalidObjectState"));
    let error = client.get_object().bucket("no-such-bucket-here").key("k").send().await.unwrap_err();
    assert_eq!(error.code(), Some("NoSuchBucket"));
}

#[tokio::test]
async fn an_upload_by_a_client_is_a_new_version() {
    let (account, server) = server();
    let name = account.objects().keys(TRAIL_BUCKET, "").remove(0);
    let body = aws_sdk_s3::primitives::ByteStream::from_static(b"tampered");
    s3(&server, key(&server)).put_object().bucket(TRAIL_BUCKET).key(&name).metadata("m", "v").body(body).send().await.unwrap();
    let stored = account.objects().get(TRAIL_BUCKET, &name).unwrap();
    assert_eq!((stored.body.as_ref(), stored.metadata["m"].as_str()), (&b"tampered"[..], "v"));
    assert_eq!(account.objects().versions(TRAIL_BUCKET, &name).len(), 2);
}

#[tokio::test]
async fn faults_come_in_the_shape_of_each_service() {
    let (account, server) = server();
    let name = account.objects().keys(TRAIL_BUCKET, "").remove(0);
    let storage = s3(&server, key(&server));
    let computing = client!(aws_sdk_ec2, server, key(&server), "us-east-1");
    let trails = client!(aws_sdk_cloudtrail, server, key(&server), "us-east-1");
    let get = || storage.get_object().bucket(TRAIL_BUCKET).key(&name);

    server.faults().add(Fault::deny("ec2:DescribeFlowLogs"));
    server.faults().add(Fault::deny("cloudtrail:ListPublicKeys").times(1));
    server.faults().add(Fault::throttle("cloudtrail:ListPublicKeys").times(1));
    server.faults().add(Fault::deny("s3:GetObject").on(&name).times(1));
    server.faults().add(Fault::throttle("s3:GetObject").times(1));
    server.faults().add(Fault::cut("s3:GetObject", 10).times(1));
    server.faults().add(Fault::reset("s3:GetObject").times(1));

    assert_eq!(computing.describe_flow_logs().send().await.unwrap_err().code(), Some("UnauthorizedOperation"));
    let keys = || trails.list_public_keys().send();
    assert_eq!(keys().await.unwrap_err().code(), Some("AccessDeniedException"));
    assert_eq!(keys().await.unwrap_err().code(), Some("ThrottlingException"));
    assert_eq!(keys().await.unwrap().public_key_list().len(), 1);
    assert_eq!(get().send().await.unwrap_err().code(), Some("AccessDenied"));
    assert_eq!(get().send().await.unwrap_err().code(), Some("SlowDown"));
    let broken = get().send().await.unwrap();
    assert!(broken.content_length().unwrap() > 10);
    assert!(broken.body.collect().await.is_err());
    assert_eq!(get().send().await.unwrap_err().code(), None);
    assert!(get().send().await.is_ok());
    let statuses: Vec<u16> =
        server.requests().iter().filter(|request| request.action() == "s3:GetObject").map(|request| request.status).collect();
    assert_eq!(statuses, [403, 503, 200, 0, 200]);
}

#[tokio::test]
async fn latency_delays_every_answer() {
    let (_, server) = server();
    server.faults().set_latency(Duration::from_millis(60));
    let begun = Instant::now();
    client!(aws_sdk_sts, server, key(&server), "us-east-1").get_caller_identity().send().await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn an_unknown_key_is_refused_in_each_services_words() {
    let (_, server) = server();
    let stranger = || Key::new("AKIAI44QH8DHBEXAMPLE", "x", None, None, "test");
    let code = s3(&server, stranger()).list_buckets().send().await.unwrap_err().code().map(str::to_owned);
    assert_eq!(code.as_deref(), Some("InvalidAccessKeyId"));
    let error = client!(aws_sdk_ec2, server, stranger(), "us-east-1").describe_regions().send().await.unwrap_err();
    assert_eq!(error.code(), Some("AuthFailure"));
    let error = client!(aws_sdk_cloudtrail, server, stranger(), "us-east-1").describe_trails().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnrecognizedClientException"));
    let error = client!(aws_sdk_sts, server, stranger(), "us-east-1").get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidClientTokenId"));
}

#[tokio::test]
async fn a_wrong_secret_opens_nothing() {
    let (_, server) = server();
    let forger = || Key::new(server.credentials().access_key_id.clone(), "wrong", None, None, "test");
    let error = s3(&server, forger()).list_buckets().send().await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
    let error = client!(aws_sdk_ec2, server, forger(), "us-east-1").describe_regions().send().await.unwrap_err();
    assert_eq!(error.code(), Some("AuthFailure"));
    let error = client!(aws_sdk_cloudtrail, server, forger(), "us-east-1").describe_trails().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
    let error = client!(aws_sdk_sts, server, forger(), "us-east-1").get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
}

#[tokio::test]
async fn a_trail_is_known_by_name_at_home_and_by_arn_elsewhere() {
    let (account, server) = server();
    let home = client!(aws_sdk_cloudtrail, server, key(&server), "us-east-1");
    let away = client!(aws_sdk_cloudtrail, server, key(&server), "eu-central-1");
    assert_eq!(home.get_trail_status().name(TRAIL_NAME).send().await.unwrap().is_logging(), Some(true));
    let error = away.get_trail_status().name(TRAIL_NAME).send().await.unwrap_err();
    assert_eq!(error.code(), Some("TrailNotFoundException"));
    assert!(away.get_trail_status().name(account.trail_arn()).send().await.unwrap().latest_digest_delivery_time().is_some());
    assert_eq!(away.describe_trails().send().await.unwrap().trail_list().len(), 1);
    assert!(away.describe_trails().include_shadow_trails(false).send().await.unwrap().trail_list().is_empty());
    let error = home.get_insight_selectors().trail_name(TRAIL_NAME).send().await.unwrap_err();
    assert_eq!(error.code(), Some("InsightNotEnabledException"));
}

#[tokio::test]
async fn the_event_history_pages_back_in_time_and_finds_by_name() {
    let (_, server) = server();
    let trails = client!(aws_sdk_cloudtrail, server, key(&server), "us-east-1");
    let (mut times, mut token) = (Vec::new(), None);
    loop {
        let page = trails.lookup_events().max_results(20).set_next_token(token).send().await.unwrap();
        times.extend(page.events().iter().map(|event| event.event_time().unwrap().secs()));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert!(times.len() > 40 && times.is_sorted_by(|newer, older| newer >= older));
    let wanted = LookupAttribute::builder()
        .attribute_key(LookupAttributeKey::EventName)
        .attribute_value("DescribeInstances")
        .build()
        .unwrap();
    let found = trails.lookup_events().lookup_attributes(wanted).send().await.unwrap();
    assert!(!found.events().is_empty());
    assert!(found.events().iter().all(|event| event.event_name() == Some("DescribeInstances")));
}

#[tokio::test]
async fn ec2_lists_in_pages_what_belongs_to_a_region() {
    let (account, server) = server();
    let computing = client!(aws_sdk_ec2, server, key(&server), "us-east-1");
    let (mut seen, mut pages, mut token) = (0, 0, None);
    loop {
        let page = computing.describe_snapshots().owner_ids("self").max_results(5).set_next_token(token).send().await.unwrap();
        (seen, pages) = (seen + page.snapshots().len(), pages + 1);
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    let here = account.state().disks().snapshots.iter().filter(|snapshot| snapshot.region == "us-east-1").count();
    assert_eq!((seen, pages), (here, here.div_ceil(5)));
    assert!(pages > 1);
    let logs = client!(aws_sdk_ec2, server, key(&server), "eu-central-1").describe_flow_logs().send().await.unwrap();
    assert_eq!(logs.flow_logs()[0].log_destination(), Some(format!("arn:aws:s3:::{FLOW_BUCKET}/eu/").as_str()));
    let regions = computing.describe_regions().send().await.unwrap();
    assert_eq!(regions.regions().len(), 2);
}

#[tokio::test]
async fn a_deleted_trail_and_a_new_snapshot_show_at_once() {
    let (account, server) = server();
    let trails = client!(aws_sdk_cloudtrail, server, key(&server), "us-east-1");
    account.delete_trail();
    assert!(trails.describe_trails().send().await.unwrap().trail_list().is_empty());
    let error = trails.get_trail().name(TRAIL_NAME).send().await.unwrap_err();
    assert_eq!(error.code(), Some("TrailNotFoundException"));
    let id = account.create_snapshot("us-east-1").unwrap();
    let computing = client!(aws_sdk_ec2, server, key(&server), "us-east-1");
    let found = computing.describe_snapshots().snapshot_ids(&id).send().await.unwrap();
    assert_eq!(found.snapshots().len(), 1);
}

/// Sends a request as it stands and returns the whole answer.
fn send_raw(server: &Server, request: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_request_without_signature_is_refused() {
    let (_, server) = server();
    let trails = send_raw(
        &server,
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Amz-Target: com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.ListTrails\r\nContent-Length: 2\r\n\r\n{}",
    );
    assert!(trails.starts_with("HTTP/1.1 400") && trails.contains("MissingAuthenticationTokenException"), "{trails}");
    let buckets = send_raw(&server, "GET /?x-id=ListBuckets HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(buckets.starts_with("HTTP/1.1 403") && buckets.contains("<Code>AccessDenied</Code>"), "{buckets}");
    assert!(buckets.contains("x-amz-request-id") && buckets.contains("<RequestId>"), "{buckets}");
    assert_eq!(server.requests().iter().map(|request| request.status).collect::<Vec<_>>(), [400, 403]);
}
