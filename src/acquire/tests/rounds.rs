//! What waits for what: nothing but what names the next question, and what is asked ahead brings the same as what is asked in turn.

use super::*;

async fn collect_ahead(stage: &Stage) -> CollectOutcome {
    let connection = Connection { asks_regions: true, ..stage.connection() };
    let (session, request) = (Session::connect(&connection).await.unwrap(), stage.request());
    let (_switch, stop) = Stop::pair();
    collect(&session, stage.open(&request), &request, &context(), Arc::new(Silent), stop).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_that_are_asked_for_ahead_are_asked_for_once_and_kept_like_every_answer() {
    let in_turn = Stage::new();
    in_turn.collect(&in_turn.request()).await;
    let stage = Stage::new();
    let outcome = collect_ahead(&stage).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    assert_eq!(stage.answers(), in_turn.answers());
    let asked = || stage.server.requests().iter().filter(|request| request.operation == "DescribeRegions").count();
    assert_eq!(asked(), 1);
    let of_regions = |artifact: Artifact| match artifact.source {
        Origin::ApiResponse(origin) if origin.operation == "DescribeRegions" => Some(*origin),
        _ => None,
    };
    let kept: Vec<_> = stage.artifacts().into_iter().filter_map(&of_regions).collect();
    assert!(kept.len() == 1 && kept[0].exchange.request_id.is_some() && kept[0].exchange.attempts == 1, "{kept:#?}");
    // A region may have been switched on since: the next run asks as well, and keeps that answer too.
    assert!(collect_ahead(&stage).await.complete);
    assert_eq!((asked(), stage.artifacts().into_iter().filter_map(of_regions).count()), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_that_are_denied_ahead_are_a_gap_like_those_in_turn() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("ec2:DescribeRegions"));
    let outcome = collect_ahead(&stage).await;
    let denied: Vec<_> = outcome.gaps.iter().filter(|gap| gap.reason == GapReason::Denied).collect();
    assert!(denied.len() == 1 && denied[0].what == "DescribeRegions" && denied[0].request_id.is_some(), "{denied:#?}");
    assert_eq!(outcome.regions.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_does_not_answer_holds_up_nothing_that_another_one_names() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::silence("cloudtrail:DescribeTrails").in_region("eu-central-1").times(1));
    let outcome = stage.collect(&stage.request()).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let asked = stage.server.requests();
    let of_far_region =
        |request: &crate::sim::Request| request.operation == "DescribeTrails" && request.region == "eu-central-1";
    let again = asked.iter().rposition(of_far_region).unwrap();
    let log = |request: &crate::sim::Request| request.operation == "GetObject" && request.target.contains(TRAIL_BUCKET);
    let logs_before = asked[..again].iter().filter(|request| log(request)).count();
    assert_eq!(logs_before, asked.iter().filter(|request| log(request)).count(), "all logs came while it was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_were_looked_into_ahead_and_are_not_there_are_gaps_as_ever() {
    let stage = Stage::new();
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    let objects = stage.account.objects();
    for key in objects.keys(TRAIL_BUCKET, "") {
        assert!(objects.erase(TRAIL_BUCKET, &key));
    }
    let outcome = stage.collect(&request).await;
    let empty = gaps(&outcome, GapReason::Empty);
    assert!(empty.contains(&format!("logs under s3://{TRAIL_BUCKET}/AWSLogs/").as_str()), "{empty:#?}");
    let failed = gaps(&outcome, GapReason::Failed);
    assert!(failed.iter().all(|what| !what.starts_with("listing")), "{failed:#?}");
}
