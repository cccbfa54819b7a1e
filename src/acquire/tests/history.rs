//! The event history: which events are asked for, of which time, and at which pace.

use super::*;

/// Every `LookupEvents` in the case: region, attribute, start, end, page.
fn looked_up(stage: &Stage) -> Vec<(String, Option<String>, String, String, u32)> {
    let artifacts = stage.artifacts().into_iter().filter_map(|artifact| match artifact.source {
        Origin::ApiResponse(origin) if origin.operation == "LookupEvents" => {
            let parameter = |name: &str| origin.parameters.get(name).cloned();
            Some((
                origin.region.to_string(),
                parameter("LookupAttributes"),
                parameter("StartTime").unwrap(),
                parameter("EndTime").unwrap(),
                origin.page,
            ))
        }
        _ => None,
    });
    artifacts.collect()
}

fn only_cloudtrail(stage: &Stage) -> Request {
    let mut request = stage.request();
    request.scope.sources = vec!["cloudtrail".to_owned()];
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn trail_defining_events_are_asked_for_in_every_region_and_nothing_else_where_a_trail_records() {
    let stage = Stage::new();
    stage.collect(&only_cloudtrail(&stage)).await;
    let asked = looked_up(&stage);
    for region in ["us-east-1", "eu-central-1"] {
        let names: BTreeSet<&str> = asked
            .iter()
            .filter(|(here, ..)| here == region)
            .map(|(_, attribute, ..)| attribute.as_deref().unwrap().strip_prefix("EventName=").unwrap())
            .collect();
        for name in ["StopLogging", "DeleteTrail", "PutEventSelectors", "DeleteFlowLogs", "ModifySnapshotAttribute"] {
            assert!(names.contains(name), "{region} {name}");
        }
    }
    assert_eq!(asked.len(), 2 * super::super::cloudtrail::defining_events().count());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_or_unmakes_evidence_is_asked_for_until_now_and_all_else_up_to_the_windows_end() {
    let stage = Stage::of(&Scenario::incident("2026-03-02T06:00:00Z".parse().unwrap()));
    let mut request = only_cloudtrail(&stage);
    // The trail is stopped at 23:23:48, hours after this window.
    let end: Timestamp = "2026-03-01T20:00:00Z".parse().unwrap();
    request.window = Window::new(request.window.start(), end).unwrap();
    stage.collect(&request).await;
    for (_, attribute, start, until, _) in looked_up(&stage) {
        let until_now = attribute
            .as_deref()
            .and_then(|attribute| attribute.strip_prefix("EventName="))
            .is_some_and(|name| crate::acquire::EVENTS_UNTIL_NOW.contains(&name));
        let until: Timestamp = until.parse().unwrap();
        assert_eq!(start, request.window.start().to_string());
        assert_eq!(until.instant() > stage.account.scenario().end, until_now, "{attribute:?} {until}");
        assert!(until_now || until <= end, "{attribute:?} {until}");
    }
    let stops = stage.artifacts().into_iter().filter(|artifact| match &artifact.source {
        Origin::ApiResponse(origin) => {
            origin.parameters.get("LookupAttributes").is_some_and(|asked| asked == "EventName=StopLogging")
        }
        Origin::S3Object(_) => false,
    });
    let told = stops.map(|artifact| String::from_utf8(stored_bytes(&stage.case(), artifact.path.as_str())).unwrap());
    assert!(told.into_iter().any(|answer| answer.contains("CloudTrailEvent")), "the stop after the window is told of");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_region_left_out_it_is_asked_what_became_of_trails_and_nothing_else() {
    let stage = Stage::new();
    let mut request = only_cloudtrail(&stage);
    request.scope.regions = vec!["eu-central-1".parse().unwrap()];
    let planned = plan(&stage.session().await, &request).await.unwrap();
    let asked_by_plan = stage.server.requests().len();
    let outcome = stage.collect(&request).await;
    assert!(outcome.complete, "{:#?}", outcome.gaps);
    let asked: Vec<_> = looked_up(&stage).into_iter().filter(|(region, ..)| region == "us-east-1").collect();
    let names: BTreeSet<&str> =
        asked.iter().map(|(_, attribute, ..)| attribute.as_deref().unwrap().strip_prefix("EventName=").unwrap()).collect();
    let expected = [
        "CreateTrail",
        "DeleteTrail",
        "PutEventSelectors",
        "PutInsightSelectors",
        "StartLogging",
        "StopLogging",
        "UpdateTrail",
    ];
    assert_eq!((names.into_iter().collect::<Vec<_>>(), asked.len()), (expected.to_vec(), 7));
    let requests = stage.server.requests();
    let lookups = |of: &[crate::sim::Request]| of.iter().filter(|request| request.operation == "LookupEvents").count();
    let (of_plan, of_collection) = requests.split_at(asked_by_plan);
    assert_eq!(lookups(of_plan), 2, "one in each region shows whether the permission is there");
    assert_eq!(lookups(of_collection), super::super::cloudtrail::defining_events().count() + 7);
    assert!(planned.requests_expected >= u64::try_from(lookups(of_collection)).unwrap(), "{planned:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_may_ask_for_regions_the_homes_of_known_trails_are_asked() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("ec2:DescribeRegions"));
    let mut request = only_cloudtrail(&stage);
    request.scope.regions = vec!["eu-central-1".parse().unwrap()];
    let outcome = stage.collect(&request).await;
    assert_eq!(gaps(&outcome, GapReason::Denied), ["DescribeRegions"]);
    assert_eq!(looked_up(&stage).iter().filter(|(region, ..)| region == "us-east-1").count(), 7);
}

/// What a run met that was to ask `asked`, while the history of `closed` refuses, or is not what it should be; and the region as a row has it.
async fn met_where_the_history_is_closed(asked: &str, closed: &str, fault: Fault) -> (Vec<(String, GapReason)>, bool) {
    let stage = Stage::new();
    stage.server.faults().add(fault.in_region(closed));
    let mut request = only_cloudtrail(&stage);
    request.scope.regions = vec![asked.parse().unwrap()];
    let outcome = stage.collect(&request).await;
    let of_history = |gap: &&crate::case::event::Gap| ["LookupEvents", "event history of trails"].contains(&&*gap.what);
    let of_region = outcome.gaps.iter().filter(of_history).filter(|gap| gap.region == Some(closed.parse().unwrap()));
    // One trail was asked for, and it is at home in another region.
    let narrowed = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
    request.scope.trail_arn = Some(format!("arn:aws:cloudtrail:{asked}:{ACCOUNT_ID}:trail/main").parse().unwrap());
    let of_one = narrowed.collect(&request).await;
    assert!(of_one.gaps.iter().all(|gap| !gap.what.starts_with("LookupEvents")), "{:#?}", of_one.gaps);
    (of_region.map(|gap| (gap.what.clone(), gap.reason)).collect(), outcome.complete)
}

fn closed_histories() -> [(Fault, GapReason); 2] {
    let broken = Fault::refuse("cloudtrail:LookupEvents", 400, "UnsupportedOperationException", "not here");
    [(Fault::deny("cloudtrail:LookupEvents"), GapReason::Denied), (broken, GapReason::Failed)]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_region_left_out_is_missing_where_a_trail_is_at_home_that_records_one_in_scope() {
    for (fault, reason) in closed_histories() {
        let met = met_where_the_history_is_closed("eu-central-1", "us-east-1", fault).await;
        assert_eq!(met, (vec![("LookupEvents".to_owned(), reason)], false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_another_region_left_out_is_told_once_and_not_missed_whatever_fails_there() {
    for (fault, _) in closed_histories() {
        let met = met_where_the_history_is_closed("us-east-1", "eu-central-1", fault).await;
        assert_eq!(met, (vec![("event history of trails".to_owned(), GapReason::Skipped)], true));
    }
}

/// The hours of which all events were asked for, region by region.
async fn hours_asked_for(stage: &Stage) -> Vec<String> {
    let connection = Connection { pace: Some(Duration::from_millis(20)), ..stage.connection() };
    let (session, request) = (Session::connect(&connection).await.unwrap(), only_cloudtrail(stage));
    let (_switch, stop) = Stop::pair();
    collect(&session, stage.open(&request), &request, &context(), Arc::new(Silent), stop).await.unwrap();
    let all = looked_up(stage).into_iter().filter(|(_, attribute, _, _, page)| attribute.is_none() && *page == 1);
    let mut asked: Vec<String> = all.map(|(region, _, start, ..)| format!("{region} {}", &start[11..16])).collect();
    asked.sort();
    asked
}

/// Six hours, and the last second, in both regions.
fn all_hours() -> Vec<String> {
    let hours = (0..=6).map(|hour| format!("{hour:02}:00"));
    let hours: Vec<String> = hours.collect();
    ["eu-central-1", "us-east-1"].iter().flat_map(|region| hours.iter().map(move |hour| format!("{region} {hour}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_covers_only_what_it_recorded() {
    let status = |started: u64| {
        let answer = format!(r#"{{"IsLogging":true,"StartLoggingTime":{started},"LatestDeliveryTime":{started}}}"#);
        Fault::replace("cloudtrail:GetTrailStatus", answer.leak())
    };
    let selectors = r#"{"EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":false,"DataResources":[]}]}"#;
    // It was switched on after the window; in it, at three; it records no management events.
    for (fault, expected) in [
        (status(1_772_442_000), all_hours()),
        (status(1_772_420_400), all_hours().into_iter().filter(|hour| hour[hour.len() - 5..] <= *"03:00").collect()),
        (Fault::replace("cloudtrail:GetEventSelectors", selectors), all_hours()),
    ] {
        let stage = Stage::new();
        stage.server.faults().add(fault);
        assert_eq!(hours_asked_for(&stage).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_covers_nothing_where_its_store_cannot_be_read() {
    let stage = Stage::new();
    for operation in ["s3:ListObjectsV2", "s3:ListObjectVersions"] {
        stage.server.faults().add(Fault::deny(operation).on(TRAIL_BUCKET));
    }
    assert_eq!(hours_asked_for(&stage).await, all_hours());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_switched_a_region_off_is_asked_where_aws_records_it() {
    let stage = Stage::new();
    let mut request = only_cloudtrail(&stage);
    request.scope.regions = vec!["eu-central-1".parse().unwrap()];
    let asked_at_home = |stage: &Stage| {
        let of_regions = |attribute: Option<String>| attribute.is_some_and(|attribute| attribute == "EventName=DisableRegion");
        looked_up(stage)
            .into_iter()
            .filter(|(region, attribute, ..)| region == "us-east-1" && of_regions(attribute.clone()))
            .count()
    };
    stage.collect(&request).await;
    assert_eq!(asked_at_home(&stage), 0, "it was left out of scope, and every region asked for is there");
    let stage = Stage { folder: tempfile::tempdir().unwrap(), ..stage };
    request.scope.regions.push("af-south-1".parse().unwrap());
    stage.collect(&request).await;
    assert_eq!(asked_at_home(&stage), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_trail_all_events_are_asked_for_hour_by_hour_and_page_by_page() {
    let stage = Stage::of(&Scenario { events_per_hour: 120, ..Scenario::quiet("2026-03-02T06:00:00Z".parse().unwrap()) });
    stage.account.delete_trail();
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    assert!(gaps(&outcome, GapReason::NotEnabled).contains(&"trails"));
    let all: Vec<_> = looked_up(&stage).into_iter().filter(|(_, attribute, ..)| attribute.is_none()).collect();
    let hours: BTreeSet<&str> =
        all.iter().filter(|(region, ..)| region == "us-east-1").map(|(_, _, start, ..)| &**start).collect();
    assert_eq!(hours.len(), 7, "six hours, and the last second: {hours:?}");
    assert!(all.iter().any(|(.., page)| *page >= 2), "an hour with more than fifty events has further pages");
    let mut ids = Vec::new();
    for artifact in stage.artifacts() {
        if let Origin::ApiResponse(origin) = &artifact.source
            && origin.operation == "LookupEvents"
            && !origin.parameters.contains_key("LookupAttributes")
        {
            let answer: serde_json::Value =
                serde_json::from_slice(&stored_bytes(&stage.case(), artifact.path.as_str())).unwrap();
            ids.extend(answer["Events"].as_array().unwrap().iter().map(|event| event["EventId"].as_str().unwrap().to_owned()));
        }
    }
    let distinct: BTreeSet<&String> = ids.iter().collect();
    assert!(distinct.len() > 600 && distinct.len() == ids.len(), "{} of {}", distinct.len(), ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hours_in_which_a_trail_was_off_are_asked_for() {
    let stage = Stage::of(&Scenario::incident("2026-03-02T06:00:00Z".parse().unwrap()));
    stage.collect(&only_cloudtrail(&stage)).await;
    let all: Vec<_> = looked_up(&stage).into_iter().filter(|(_, attribute, ..)| attribute.is_none()).collect();
    let starts: BTreeSet<Timestamp> = all.iter().map(|(_, _, start, ..)| start.parse().unwrap()).collect();
    let (first, last) = (*starts.first().unwrap(), *starts.last().unwrap());
    // Stopped at 23:23:48, started again at 01:41:21.
    assert_eq!(first, "2026-03-01T23:08:48Z".parse().unwrap());
    assert!(last <= "2026-03-02T01:56:21Z".parse().unwrap(), "{last}");
    let regions: BTreeSet<&str> = all.iter().map(|(region, ..)| &**region).collect();
    assert_eq!(regions.len(), 3, "a trail of all regions was off in all of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_can_be_asked_for_and_so_can_any_attribute() {
    let stage = Stage::new();
    let mut request = only_cloudtrail(&stage);
    request.scope.lookup_events = true;
    request.scope.lookup_attributes = vec!["EventSource=ec2.amazonaws.com".to_owned()];
    stage.collect(&request).await;
    let asked = looked_up(&stage);
    assert!(asked.iter().any(|(_, attribute, ..)| attribute.as_deref() == Some("EventSource=ec2.amazonaws.com")));
    assert_eq!(asked.iter().filter(|(region, attribute, ..)| region == "us-east-1" && attribute.is_none()).count(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_event_history_is_one_gap_a_region() {
    let stage = Stage::new();
    stage.server.faults().add(Fault::deny("cloudtrail:LookupEvents").in_region("eu-central-1"));
    let outcome = stage.collect(&only_cloudtrail(&stage)).await;
    assert_eq!(gaps(&outcome, GapReason::Denied), ["LookupEvents"]);
    let refused = stage.server.requests();
    let refused = refused.iter().filter(|request| request.operation == "LookupEvents" && request.status == 400);
    assert_eq!(refused.count(), 1, "the other questions would have been refused as well");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_is_asked_at_the_pace_that_aws_grants_and_other_questions_are_not_held_up() {
    let stage = Stage::new();
    let connection = Connection { pace: Some(Duration::from_millis(40)), ..stage.connection() };
    let (session, request) = (Session::connect(&connection).await.unwrap(), only_cloudtrail(&stage));
    let case = stage.open(&request);
    let (_switch, stop) = Stop::pair();
    let begun = std::time::Instant::now();
    let outcome = collect(&session, case, &request, &context(), Arc::new(Silent), stop).await.unwrap();
    assert!(outcome.complete);
    let questions = u32::try_from(super::super::cloudtrail::defining_events().count()).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(40) * (questions - 1), "{:?}", begun.elapsed());
    // What is in the case already needs no turn: it is not asked for. What ends with the present is.
    let asked = || stage.server.requests().into_iter().filter(|request| request.operation == "LookupEvents").count();
    let (before, (_switch, stop)) = (asked(), Stop::pair());
    collect(&session, stage.open(&request), &request, &context(), Arc::new(Silent), stop).await.unwrap();
    assert_eq!(asked() - before, crate::acquire::EVENTS_UNTIL_NOW.len() * 2);
}

/// Everything of the time that is over, in one region, from pages of fifty.
fn everything(stage: &Stage) -> Request {
    let mut request = only_cloudtrail(stage);
    request.scope.lookup_events = true;
    request.scope.regions = vec!["us-east-1".parse().unwrap()];
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_is_asked_for_again() {
    let stage = Stage::new();
    let request = everything(&stage);
    let until_now = u32::try_from(crate::acquire::EVENTS_UNTIL_NOW.len()).unwrap();
    let broken = Fault::replace("cloudtrail:LookupEvents", "{\"Events\":[{\"EventId\":\"x\"");
    stage.server.faults().add(broken.after(until_now).times(12));
    let first = stage.collect(&request).await;
    assert!(!gaps(&first, GapReason::Failed).is_empty(), "{:#?}", first.gaps);
    stage.server.faults().clear();
    let second = stage.collect(&request).await;
    assert!(second.complete, "{:#?}", second.case_gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_whose_further_page_failed_is_asked_for_from_its_first_page_again() {
    let busy = || Stage::of(&Scenario { events_per_hour: 120, ..Scenario::quiet("2026-03-02T06:00:00Z".parse().unwrap()) });
    let whole = busy();
    whole.collect(&everything(&whole)).await;
    let asked = looked_up(&whole);
    let at = asked.iter().position(|(.., page)| *page == 2).unwrap();
    let (_, _, start, ..) = &asked[at];
    for code in ["InvalidNextTokenException", "AccessDeniedException"] {
        let stage = busy();
        let failing = Fault::refuse("cloudtrail:LookupEvents", 400, code, "refused").after(u32::try_from(at).unwrap()).times(1);
        stage.server.faults().add(failing);
        assert!(!stage.collect(&everything(&stage)).await.complete, "{code}");
        assert!(stage.artifacts().iter().all(|artifact| match &artifact.source {
            Origin::ApiResponse(origin) => origin.operation != "LookupEvents" || origin.status == 200 || !origin.last,
            Origin::S3Object(_) => true,
        }));
        stage.server.faults().clear();
        let second = stage.collect(&everything(&stage)).await;
        assert!(second.complete, "{code}: {:#?}", second.case_gaps);
        let first_pages = looked_up(&stage)
            .into_iter()
            .filter(|(_, attribute, from, _, page)| attribute.is_none() && from == start && *page == 1);
        assert_eq!(first_pages.count(), 2, "{code}: the token of the first answer has expired");
    }
}
