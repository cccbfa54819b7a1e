//! Files that were stored and are not there any more.

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

fn findings(stage: &Stage) -> Vec<(crate::model::Severity, String, String)> {
    let options = crate::verify::Options::default();
    let report = crate::verify::verify(&CaseFolder::open(&stage.case()).unwrap(), &options).unwrap();
    let of_files = report.findings.into_iter().filter(|finding| finding.kind.starts_with("artifact-"));
    of_files.map(|finding| (finding.severity, finding.kind, finding.object)).collect()
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
    let mut restored = keys.map(|key| path_of(&key).to_string());
    restored.sort();
    let notice = |path: String| (crate::model::Severity::Notice, "artifact-restored".to_owned(), path);
    assert_eq!(findings(&stage), restored.map(notice));
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
    let missing: Vec<_> = findings(&stage).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(missing, ["artifact-missing", "artifact-missing"]);
}
