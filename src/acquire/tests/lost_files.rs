//! Files that were stored and are not there any more.
#![expect(clippy::disallowed_methods, reason = "the tests lose files on purpose")]

use super::*;

/// Collects, loses the file of an object and one of a digest, and gives their keys.
async fn lose(stage: &Stage) -> [String; 2] {
    stage.collect(&stage.request()).await;
    let logs = format!("AWSLogs/{ACCOUNT_ID}/CloudTrail/us-east-1/");
    let keys = [stage.account.objects().keys(TRAIL_BUCKET, &logs).pop().unwrap(), digest_keys(stage).remove(2)];
    for key in &keys {
        std::fs::remove_file(stage.case().join(path_of(key).as_str())).unwrap();
    }
    keys
}

/// What the ledger says of the objects with these keys, in its order.
fn recorded(stage: &Stage, keys: &[String; 2]) -> Vec<(PayloadPath, Sha256Hash)> {
    let paths = keys.each_ref().map(|key| path_of(key));
    let of_them = stage.artifacts().into_iter().filter(|artifact| paths.contains(&artifact.path));
    of_them.map(|artifact| (artifact.path, artifact.sha256)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_file_is_fetched_again_and_that_is_no_failure() {
    let stage = Stage::new();
    let keys = lose(&stage).await;
    let (before, asked) = (stage.objects(), stage.server.requests().len());
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete && outcome.totals.stored == 2, "{:#?}", outcome.gaps);
    assert_eq!(stage.objects(), before);
    let fetched = stage.server.requests().split_off(asked).into_iter().filter(|request| request.operation == "GetObject");
    assert_eq!(fetched.count(), 2);
    let mut lines = recorded(&stage, &keys);
    let again: BTreeSet<_> = lines.split_off(2).into_iter().collect();
    assert_eq!(again, lines.into_iter().collect(), "each once more, with the same hash");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_never_take_the_place_of_a_lost_file() {
    let stage = Stage::new();
    let keys = lose(&stage).await;
    for key in &keys {
        assert!(stage.account.objects().put(TRAIL_BUCKET, key, gzipped(b"{}")));
    }
    let lines = stage.artifacts().len();
    let outcome = stage.collect(&stage.request()).await;
    let changed: BTreeSet<_> = gaps(&outcome, GapReason::ChangedDuringAcquisition).into_iter().map(str::to_owned).collect();
    assert_eq!(changed, keys.iter().map(|key| format!("s3://{TRAIL_BUCKET}/{key}")).collect());
    let again = stage.artifacts().split_off(lines);
    assert!(again.iter().all(|artifact| matches!(artifact.source, Origin::ApiResponse(_))));
    for key in &keys {
        assert!(!stage.case().join(path_of(key).as_str()).exists());
    }
    assert_eq!(recorded(&stage, &keys).len(), 2, "what the ledger says of them is what it said");
}
