//! Small objects are asked for with requests that the SDK only made the first of: they bring the same, and are left to it whenever
//! anything is out of the ordinary.

use crate::aws::{Fetched, ObjectFetcher, Wanted};
use crate::case::event::{Agreement, Exchange, ObjectOrigin};
use crate::sim::{self, Upload};

use super::*;

/// What was asked of one bucket's objects: whether by the SDK, and how it was answered.
fn asked(stage: &Stage, bucket: &str) -> Vec<(bool, u16)> {
    let of_bucket = |request: &sim::Request| {
        request.operation == "GetObject" && request.target.starts_with(bucket) && request.status != 206
    };
    stage.server.requests().iter().filter(|request| of_bucket(request)).map(|request| (request.sdk, request.status)).collect()
}

/// Objects of the trail's bucket, one after the other, through one fetcher.
struct Fetching {
    stage: Stage,
    fetcher: ObjectFetcher,
}

impl Fetching {
    async fn of(stage: Stage) -> Self {
        let staging = stage.open(&stage.request()).staging();
        let fetcher = ObjectFetcher::new(&stage.session().await, staging);
        Self { stage, fetcher }
    }

    fn wanted(&self, key: &str) -> Wanted {
        let object = self.stage.account.objects().get(TRAIL_BUCKET, key).unwrap();
        Wanted {
            source: "cloudtrail",
            account: None,
            region: None,
            location: S3Location::new(TRAIL_BUCKET, key),
            size: u64::try_from(object.body.len()).ok(),
            etag: Some(format!("\"{}\"", object.etag)),
            last_modified: None,
            version: None,
            optional: false,
            archived: false,
        }
    }

    async fn fetch(&self, key: &str) -> Result<Fetched, crate::aws::Failure> {
        let wanted = self.wanted(key);
        self.fetcher.fetch(&"us-east-1".parse().unwrap(), &wanted, &wanted.path()).await.unwrap()
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<(bool, u16)> {
        asked(&self.stage, TRAIL_BUCKET)
    }
}

/// What the ledger would say of the object, apart from the request.
fn said(fetched: &Fetched) -> (Sha256Hash, Option<Sha256Hash>, ObjectOrigin) {
    let origin = ObjectOrigin { exchange: Exchange::default(), ..fetched.origin.clone() };
    (fetched.body.sha256(), fetched.content_sha256, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_shows_the_way_to_a_bucket_once_and_is_not_needed_again() {
    let stage = Stage::new();
    let outcome = stage.collect(&Request { concurrency: NonZeroUsize::new(1), ..stage.request() }).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    for bucket in [TRAIL_BUCKET, FLOW_BUCKET] {
        let asked = asked(&stage, bucket);
        assert!(asked.len() > 10, "{bucket}: {asked:?}");
        assert_eq!(asked.iter().filter(|(sdk, _)| *sdk).count(), 1, "{bucket}: {asked:?}");
        assert!(asked.iter().all(|(_, status)| *status == 200), "{bucket}: {asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_of_an_object_is_what_the_sdk_says() {
    let stage = Stage::new();
    let objects = stage.account.objects();
    let upload = |body: &'static [u8]| Upload {
        content_encoding: Some("gzip".to_owned()),
        metadata: BTreeMap::from([("log-key".to_owned(), "a value, with more".to_owned()), ("b".to_owned(), String::new())]),
        storage_class: Some("STANDARD_IA".to_owned()),
        ..Upload::new(body)
    };
    let odd = ["AWSLogs/aws-account-id=1/a b+c%20&?#'ü\"<>.gz", "AWSLogs/~/-._*!()", "AWSLogs/plain"];
    for key in odd {
        objects.put_new_version(TRAIL_BUCKET, key, upload(b"some bytes")).unwrap();
    }
    let mut keys = stage.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{ACCOUNT_ID}/CloudTrail-Digest/us-east-1/"));
    keys.extend(odd.map(str::to_owned));
    let by_sdk = Fetching::of(stage).await;
    for key in &keys {
        // A fetcher of its own has nobody to learn from.
        let alone = ObjectFetcher::new(&by_sdk.stage.session().await, by_sdk.stage.open(&by_sdk.stage.request()).staging());
        let wanted = by_sdk.wanted(key);
        let first = alone.fetch(&"us-east-1".parse().unwrap(), &wanted, &wanted.path()).await.unwrap().unwrap();
        assert_eq!(by_sdk.asked().last(), Some(&(true, 200)), "{key}");
        let shortly = alone.fetch(&"us-east-1".parse().unwrap(), &wanted, &wanted.path()).await.unwrap().unwrap();
        assert_eq!(by_sdk.asked().last(), Some(&(false, 200)), "{key}");
        assert_eq!(said(&shortly), said(&first), "{key}");
        assert!(shortly.origin.exchange.request_id.is_some() && shortly.origin.exchange.date.is_some());
        assert_eq!((shortly.origin.exchange.attempts, &shortly.origin.exchange.host), (1, &first.origin.exchange.host));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_reads_as_a_path_is_left_to_the_sdk() {
    let stage = Stage::new();
    let keys = ["AWSLogs//a", "AWSLogs/a/"];
    for key in keys {
        stage.account.objects().put_new_version(TRAIL_BUCKET, key, Upload::new(&b"some bytes"[..])).unwrap();
    }
    let (first, fetching) = (digest_keys(&stage), Fetching::of(stage).await);
    fetching.fetch(&first[0]).await.unwrap();
    for key in keys {
        assert_eq!(fetching.fetch(key).await.unwrap().body.held(), Some(&b"some bytes"[..]), "{key}");
        assert_eq!(fetching.asked().last(), Some(&(true, 200)), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_not_answered_with_the_object_the_sdk_asks_again() {
    for (status, code) in [(503, "SlowDown"), (400, "ExpiredToken"), (403, "RequestTimeTooSkewed"), (500, "InternalError")] {
        let (keys, fetching) = {
            let stage = Stage::new();
            (digest_keys(&stage), Fetching::of(stage).await)
        };
        fetching.fetch(&keys[0]).await.unwrap();
        fetching.stage.server.faults().add(Fault::refuse("s3:GetObject", status, code, "no").times(1));
        let fetched = fetching.fetch(&keys[1]).await.unwrap();
        assert_eq!((fetched.throttled, fetched.origin.exchange.attempts), (status == 503, 2), "{code}");
        fetching.fetch(&keys[2]).await.unwrap();
        let expected = [(true, 200), (false, status), (true, 200), (false, 200)];
        assert_eq!(fetching.asked(), expected, "{code}: left once, and learned anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_without_the_checksum_that_is_named_are_asked_for_again() {
    let stage = Stage::new();
    let (keys, fetching) = (digest_keys(&stage), Fetching::of(stage).await);
    fetching.fetch(&keys[0]).await.unwrap();
    fetching.stage.server.faults().add(Fault::wrong_checksum("s3:GetObject").times(1));
    let fetched = fetching.fetch(&keys[1]).await.unwrap();
    assert_eq!(
        fetched.body.sha256(),
        Sha256Hash::of(&fetching.stage.account.objects().get(TRAIL_BUCKET, &keys[1]).unwrap().body)
    );
    assert_eq!(fetching.asked(), [(true, 200), (false, 200), (true, 200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_another_one_since_it_was_listed_is_never_taken() {
    let stage = Stage::new();
    let (keys, fetching) = (digest_keys(&stage), Fetching::of(stage).await);
    fetching.fetch(&keys[0]).await.unwrap();
    let wanted = fetching.wanted(&keys[1]);
    let mut other = fetching.stage.account.objects().get(TRAIL_BUCKET, &keys[1]).unwrap().body.to_vec();
    other[9] ^= 1;
    assert!(fetching.stage.account.objects().put(TRAIL_BUCKET, &keys[1], other));
    let refused = fetching.fetcher.fetch(&"us-east-1".parse().unwrap(), &wanted, &wanted.path()).await.unwrap().unwrap_err();
    assert_eq!(refused.kind, crate::aws::FailureKind::Changed, "{refused:?}");
    assert_eq!(fetching.asked(), [(true, 200), (false, 412), (true, 412)]);
}

/// An object for which S3 names no checksum, so that only its entity tag says what it is.
const PLAIN: &str = "AWSLogs/plain";

async fn fetching_plain() -> Fetching {
    let stage = Stage::new();
    stage.account.objects().put_new_version(TRAIL_BUCKET, PLAIN, Upload::new(&b"some bytes"[..])).unwrap();
    Fetching::of(stage).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_contradict_the_entity_tag_are_asked_for_again() {
    let fetching = fetching_plain().await;
    let garbled = Fault::replace("s3:GetObject", "s0me bytes");
    fetching.stage.server.faults().add(garbled.clone().times(1));
    let fetched = fetching.fetch(PLAIN).await.unwrap();
    assert_eq!((fetched.body.held(), fetched.origin.aws_digest), (Some(&b"some bytes"[..]), Agreement::Match));
    // A store whose tags are no MD5 says the same every time.
    fetching.stage.server.faults().add(garbled);
    let fetched = fetching.fetch(PLAIN).await.unwrap();
    assert_eq!((fetched.body.held(), fetched.origin.aws_digest), (Some(&b"s0me bytes"[..]), Agreement::Mismatch));
    assert_eq!(fetched.origin.exchange.attempts, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_body_comes_without_the_permission_to_name_its_version() {
    let fetching = fetching_plain().await;
    fetching.stage.server.faults().add(Fault::deny("s3:GetObjectVersion"));
    fetching.stage.server.faults().add(Fault::cut("s3:GetObject", 4).times(1));
    let fetched = fetching.fetch(PLAIN).await.unwrap();
    assert_eq!(fetched.body.held(), Some(&b"some bytes"[..]));
    let expected = [200, 403, 200];
    assert_eq!(fetching.asked().into_iter().map(|(_, status)| status).collect::<Vec<_>>(), expected);
}
