//! Nothing is changed at the source.

use std::collections::BTreeSet;

use crate::account::Simulated;

#[test]
fn every_request_only_reads() {
    let simulated = Simulated::incident();
    let [start, end] = simulated.window(10, 2);
    simulated.run(&["plan", "--start", &start, "--end", &end]).expect(0);
    let read = simulated.requests("s3:GetObject");
    assert!(read.iter().all(|request| request.status == 206), "a plan fetches no object, only a byte of it: {read:#?}");
    assert!((1..=3).contains(&read.len()), "one in each bucket, and an earlier version: {read:#?}");
    simulated.collect("case", &[]).expect(0);
    let asked: BTreeSet<(String, String)> =
        simulated.server.requests().into_iter().map(|request| (request.action(), request.method)).collect();
    assert!(asked.len() > 15, "{asked:?}");
    let reads: BTreeSet<&str> = caselock::acquire::PERMISSIONS.iter().map(|permission| permission.operation).collect();
    for (action, method) in asked {
        assert!(reads.contains(action.as_str()), "{action} is not among the reads that `caselock policy` permits");
        // The query and JSON protocols send every question by POST; S3 does not.
        assert!(method == "GET" || method == "HEAD" || !action.starts_with("s3:"), "{method} {action}");
    }
}
