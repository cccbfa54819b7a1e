//! The way out through a proxy.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::aws::{AwsError, Failure, FailureKind, Proxies};

use super::*;

/// The heads of the requests with which connections to a proxy began.
type Heads = Arc<Mutex<Vec<String>>>;

/// A proxy on loopback that knows but one host, and opens no tunnels.
async fn proxy(server: &str) -> (String, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heads) = (listener.local_addr().unwrap(), Heads::default());
    let (to, seen) = (server.strip_prefix("http://").unwrap().to_owned(), Arc::clone(&heads));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (to, seen) = (to.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let mut head = vec![0; 16 * 1024];
                let length = client.read(&mut head).await.unwrap();
                head.truncate(length);
                let text = String::from_utf8_lossy(&head).into_owned();
                let tunnels = text.starts_with("CONNECT");
                seen.lock().unwrap().push(text);
                if tunnels {
                    client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                    return;
                }
                let mut server = TcpStream::connect(&to).await.unwrap();
                server.write_all(&head).await.unwrap();
                // Whoever hangs up first ends it.
                drop(copy_bidirectional(&mut client, &mut server).await);
            });
        }
    });
    (format!("http://responder:s3cret@{address}"), heads)
}

fn through(variable: &'static str, url: &str) -> Proxies {
    let url = url.to_owned();
    Proxies::of(move |name| (name == variable).then(|| url.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_goes_out_through_a_proxy_which_is_recorded_without_its_password() {
    let stage = Stage::new();
    let (url, heads) = proxy(&stage.server.endpoint()).await;
    // A name that resolves nowhere: only the proxy knows the way.
    let endpoint_url = Some("http://aws.invalid".to_owned());
    let connection = Connection { endpoint_url, proxies: through("HTTP_PROXY", &url), ..stage.connection() };
    let session = Session::connect(&connection).await.unwrap();
    let request = Request { scope: Scope { sources: vec!["flow-logs".to_owned()], ..Scope::default() }, ..stage.request() };
    let (_switch, stop) = Stop::pair();
    let outcome = collect(&session, stage.open(&request), &request, &context(), Arc::new(Silent), stop).await.unwrap();
    assert!(outcome.complete && outcome.totals.stored > 0, "{:#?}", outcome.gaps);
    let heads = heads.lock().unwrap();
    for head in heads.iter() {
        let asked = head.lines().next().unwrap();
        assert!(asked.contains(" http://aws.invalid/"), "{asked}");
        // responder:s3cret
        assert!(head.to_lowercase().contains("proxy-authorization: basic cmvzcg9uzgvyonmzy3jlda=="), "{asked}");
    }
    assert!(!heads.is_empty());
    let Event::CollectionStarted(started) = &stage.events()[1] else { panic!("{:?}", stage.events()[1]) };
    let shown = url.replace("responder:s3cret@", "");
    assert_eq!(started.proxies, BTreeMap::from([("HTTP_PROXY".to_owned(), shown)]));
    assert!(!std::fs::read_to_string(stage.case().join("custody/ledger.jsonl")).unwrap().contains("s3cret"));
    stage.all_requests_are_reads();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_encrypted_is_asked_for_a_tunnel() {
    let stage = Stage::new();
    let (url, heads) = proxy(&stage.server.endpoint()).await;
    let endpoint_url = Some("https://aws.invalid".to_owned());
    let connection = Connection { endpoint_url, proxies: through("HTTPS_PROXY", &url), ..stage.connection() };
    let refused = Session::connect(&connection).await.unwrap_err();
    let said = "AWS cannot be reached at https://aws.invalid through the proxy http://127.0.0.1:";
    assert!(matches!(refused, AwsError::Unreachable { .. }) && refused.to_string().starts_with(said), "{refused}");
    let heads = heads.lock().unwrap();
    assert!(!heads.is_empty() && heads.iter().all(|head| head.starts_with("CONNECT aws.invalid:443 ")), "{heads:?}");
    assert!(stage.server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_asked_without_it() {
    let stage = Stage::new();
    let (url, heads) = proxy(&stage.server.endpoint()).await;
    let session = Session::connect(&Connection { proxies: through("ALL_PROXY", &url), ..stage.connection() }).await.unwrap();
    assert!(session.proxies().is_empty() && heads.lock().unwrap().is_empty());
}

/// A proxy on loopback that answers everything with a page of its own.
async fn portal() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let page = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 22\r\nConnection: close\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n<html>Sign in.</html>\n";
                drop(client.read(&mut vec![0; 16 * 1024]).await);
                drop(client.write_all(page).await);
            });
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_s_own_refusal_is_not_taken_for_aws_s() {
    let stage = Stage::new();
    let url = portal().await;
    let endpoint_url = Some("http://aws.invalid".to_owned());
    let connection = Connection { endpoint_url, proxies: through("HTTP_PROXY", &url), ..stage.connection() };
    let refused = Session::connect(&connection).await.unwrap_err();
    let AwsError::Unreachable { source, .. } = &refused else { panic!("{refused:?}") };
    assert_eq!(source.kind, FailureKind::NotOfAws);
    assert!(refused.to_string().ends_with(&format!("through the proxy {url}")), "{refused}");
    assert!(source.to_string().contains("not an answer of AWS"), "{source}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_aws_s_is_a_failure_that_names_where_it_came_from() {
    let stage = Stage::new();
    let session = stage.session().await;
    let failure = || Failure::found(FailureKind::NotOfAws, "HTTP status 403");
    let judged = session.judge(failure()).await.unwrap();
    assert!(judged.message.contains(&format!("asked at {}", stage.server.endpoint())), "{judged}");
    let row = super::super::tally::RowKey { source: "cloudtrail", account: None, region: None };
    assert_eq!(
        super::super::errand::gap_of(&row, "GetObject", &judged).reason,
        GapReason::Failed,
        "nobody was denied anything"
    );
    stage.server.faults().add(Fault::deny("sts:GetCallerIdentity"));
    for _ in 0..20 {
        if session.judge(failure()).await.is_err() {
            return;
        }
    }
    panic!("AWS does not say who is asking, and the run goes on");
}
