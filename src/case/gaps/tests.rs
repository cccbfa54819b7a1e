//! What closes a gap, and what only seems to.

use crate::case::event::GapReason;

use super::*;

fn gap(what: &str) -> Event {
    Event::GapRecorded(Gap::denied("cloudtrail", what))
}

fn line(json: serde_json::Value) -> Event {
    serde_json::from_value(json).unwrap()
}

const HOME: &str = "111122223333";
const MEMBER: &str = "444455556666";
const ROLE: &str = "arn:aws:iam::444455556666:role/reader";

fn started(run: u32) -> Event {
    started_as(run, &[HOME], &[])
}

fn started_as(run: u32, accounts: &[&str], roles: &[&str]) -> Event {
    let callers: Vec<_> =
        accounts.iter().map(|account| serde_json::json!({"account": account, "arn": "", "user_id": ""})).collect();
    line(serde_json::json!({"event": "collection.started", "run": run, "tool": {"name": "caselock", "version": "1"},
        "host": "", "system": "", "os_user": "", "command_line": [],
        "caller": callers[0], "also_as": callers[1..], "roles": roles,
        "window": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z"}, "scope": {}, "regions": []}))
}

fn finished(run: u32) -> Event {
    line(
        serde_json::json!({"event": "collection.finished", "run": run, "artifacts": 0, "bytes": 0, "already_stored": 0, "gaps": 0}),
    )
}

fn acquired(key: &str) -> Event {
    stored(&crate::model::PayloadPath::for_object(&S3Location::new("b", key)), key, Some("v2"))
}

fn acquired_version(key: &str, version: &str) -> Event {
    stored(&crate::model::PayloadPath::for_version(&S3Location::new("b", key), version), key, Some(version))
}

fn stored(path: &crate::model::PayloadPath, key: &str, version: Option<&str>) -> Event {
    line(serde_json::json!({"event": "artifact.acquired", "path": path, "size": 0, "sha256": "00".repeat(32), "salt": "",
        "source": {"kind": "s3-object", "source": "cloudtrail", "bucket": "b", "key": key, "version_id": version,
            "aws_digest": "absent", "exchange": {"attempts": 1}}}))
}

/// The answer of an operation, in the home account and region.
fn answer(operation: &str, parameters: &serde_json::Value) -> Event {
    answer_of(operation, parameters, 200, HOME)
}

fn answer_of(operation: &str, parameters: &serde_json::Value, status: u16, account: &str) -> Event {
    let path = format!("data/api/s/{account}/us-east-1/{operation}/00001.json");
    line(serde_json::json!({"event": "artifact.acquired", "path": path, "size": 0, "sha256": "00".repeat(32), "salt": "",
        "source": {"kind": "api-response", "source": "cloudtrail", "service": "s", "account": account, "region": "us-east-1",
            "operation": operation, "parameters": parameters, "page": 1, "last": true, "status": status,
            "exchange": {"attempts": 1}}}))
}

/// The answer to a look below a place, or to a listing of all of it.
fn listing(operation: &str, prefix: &str, folders: bool) -> Event {
    let mut parameters = serde_json::json!({"Bucket": "b", "Prefix": prefix});
    if folders {
        parameters["Delimiter"] = "/".into();
    }
    answer(operation, &parameters)
}

fn plain(operation: &str) -> Event {
    answer(operation, &serde_json::json!({"MaxResults": "1000"}))
}

/// What is left open of a gap when a second run had these answers and came to its end.
fn left(what: &str, answers: &[Event]) -> usize {
    open(&[&[started(1), gap(what), finished(1), started(2)][..], answers, &[finished(2)]].concat()).len()
}

fn after(events: &[Event]) -> Gaps {
    let mut gaps = Gaps::default();
    for event in events {
        gaps.take(event);
    }
    gaps
}

fn open(events: &[Event]) -> Vec<String> {
    after(events).into_open().0.into_iter().map(|gap| gap.what).collect()
}

fn unfinished(events: &[Event]) -> Vec<String> {
    after(events).unfinished_as().iter().map(ToString::to_string).collect()
}

fn refused_role(account: Option<&str>) -> Event {
    let Event::GapRecorded(gap) = gap(&Subject::Role(ROLE.to_owned()).to_string()) else { panic!("a gap") };
    Event::GapRecorded(Gap { account: account.map(|account| account.parse().unwrap()), ..gap })
}

#[test]
fn a_finished_run_closes_what_it_does_not_meet_again() {
    let first = [started(1), gap("DescribeVolumes"), gap("DescribeImages"), finished(1), started(2)];
    let answers = [plain("DescribeVolumes"), plain("DescribeImages")];
    assert_eq!(open(&[&first[..], &answers, &[gap("DescribeImages"), finished(2)]].concat()), ["DescribeImages"]);
}

#[test]
fn a_run_that_does_not_end_closes_nothing() {
    let first = [started(1), gap("DescribeVolumes"), finished(1), started(2), plain("DescribeVolumes")];
    assert_eq!(open(&first), ["DescribeVolumes"]);
    // Nor does its answer, where a run is asked again anyway.
    assert_eq!(open(&[&first[..], &[started(3), finished(3)]].concat()), ["DescribeVolumes"]);
}

#[test]
fn a_run_that_never_came_to_the_question_closes_nothing() {
    let arn = "arn:aws:cloudtrail:us-east-1:111122223333:trail/t";
    let others = [plain("DescribeTrails"), listing("ListObjectsV2", "other/", true), listing("ListObjectsV2", "other/", false)];
    for (what, answer) in [
        ("DescribeVolumes".to_owned(), plain("DescribeVolumes")),
        (format!("GetTrailStatus of {arn}"), answer("GetTrailStatus", &serde_json::json!({"Name": arn}))),
        (
            "GetBucketPolicy of bucket b".to_owned(),
            answer_of("GetBucketPolicy", &serde_json::json!({"Bucket": "b"}), 404, HOME),
        ),
        (
            "DescribeSnapshots with OwnerIds self".to_owned(),
            answer("DescribeSnapshots", &serde_json::json!({"MaxResults": "1000", "OwnerIds": "self"})),
        ),
        (
            "createVolumePermission of snap-1".to_owned(),
            answer(
                "DescribeSnapshotAttribute",
                &serde_json::json!({"SnapshotId": "snap-1", "Attribute": "createVolumePermission"}),
            ),
        ),
        (
            "LookupEvents with EventName StopLogging".to_owned(),
            answer(
                "LookupEvents",
                &serde_json::json!({"StartTime": "x", "EndTime": "y", "LookupAttributes": "EventName=StopLogging"}),
            ),
        ),
        ("LookupEvents from x to y".to_owned(), answer("LookupEvents", &serde_json::json!({"StartTime": "x", "EndTime": "y"}))),
        ("records in log group g".to_owned(), answer("DescribeLogGroups", &serde_json::json!({"logGroupNamePrefix": "g"}))),
        ("listing of s3://b/AWSLogs/".to_owned(), listing("ListObjectsV2", "AWSLogs/", true)),
        ("digests under s3://b/p/".to_owned(), listing("ListObjectsV2", "p/", false)),
        ("earlier versions of digests under s3://b/p/".to_owned(), listing("ListObjectVersions", "p/", false)),
        ("3 deleted digests under s3://b/p/".to_owned(), listing("ListObjectVersions", "p/", false)),
        ("earlier versions of folders under s3://b/p/".to_owned(), listing("ListObjectsV2", "p/", true)),
        ("late logs that 2 digests in s3://b/p/ name".to_owned(), listing("ListObjectsV2", "p/", false)),
        ("bucket a".to_owned(), answer("GetBucketLocation", &serde_json::json!({"Bucket": "a"}))),
    ] {
        assert_eq!(left(&what, &others), 1, "{what}");
        assert_eq!(left(&what, &[&others[..], &[answer]].concat()), 0, "{what}");
    }
}

/// The records of a log group between two moments of a day.
fn records(from: &str, to: &str) -> Event {
    let at = |time: &str| {
        let at: crate::model::Timestamp = format!("2026-03-01T{time}Z").parse().unwrap();
        at.instant().timestamp_millis()
    };
    let parameters =
        serde_json::json!({"logGroupName": "g", "startTime": at(from).to_string(), "endTime": (at(to) + 999).to_string()});
    answer("FilterLogEvents", &parameters)
}

#[test]
fn a_stretch_of_records_is_closed_by_answers_to_all_of_it_whatever_else_was_told_of_the_group() {
    let what = "records in log group g from 2026-03-01T09:00:00Z to 2026-03-01T10:59:59Z";
    let there = answer("DescribeLogGroups", &serde_json::json!({"logGroupNamePrefix": "g"}));
    let (first, second, other) =
        (records("09:00:00", "09:59:59"), records("10:00:00", "10:59:59"), records("11:00:00", "11:59:59"));
    assert_eq!(left(what, &[there.clone(), other.clone()]), 1);
    assert_eq!(left(what, &[there.clone(), first.clone(), other]), 1);
    assert_eq!(left(what, &[second.clone(), first.clone()]), 0);
    // An hour that is in the case is not asked for again.
    let cut_off = [started(1), gap(what), finished(1), started(2), first, started(3), there, second, finished(3)];
    assert_eq!(open(&cut_off), Vec::<String>::new());
}

fn listed(rule: &str, whole: Option<bool>, pages: u32) -> Event {
    let mut listing = serde_json::json!({"event": "listing.recorded", "source": "cloudtrail", "bucket": "b", "prefix": "p/",
        "listed": 0, "in_scope": 0, "bytes": 0, "pages": pages, "rule": rule});
    if let Some(whole) = whole {
        listing["whole"] = whole.into();
    }
    line(listing)
}

#[test]
fn a_listing_that_did_not_come_to_its_end_is_no_answer() {
    let (what, of_versions) = ("1 deleted digests under s3://b/p/", Listing::rule_for_versions("all"));
    assert_eq!(left(what, &[listed(&of_versions, Some(true), 1)]), 0);
    assert_eq!(left(what, &[listed(&of_versions, Some(false), 1)]), 1);
    // A line of before that was said: one that has no page is none, nor is one beside a gap about the place.
    assert_eq!(left(what, &[listed(&of_versions, None, 1)]), 0);
    assert_eq!(left(what, &[listed(&of_versions, None, 0)]), 1);
    let refused = gap("earlier versions of digests under s3://b/p/");
    for pages in [0, 1] {
        assert_eq!(left(what, &[refused.clone(), listed(&of_versions, None, pages)]), 2, "{pages}");
    }
    // Nor do the objects that are there tell of the versions that were refused, whichever was asked first.
    let current = listed("all", Some(true), 1);
    assert_eq!(left(what, &[current.clone(), refused.clone()]), 2);
    assert_eq!(left(what, &[refused, current]), 2);
}

#[test]
fn a_listing_that_the_ledger_tells_of_is_an_answer() {
    let listed = |rule: &str| listed(rule, Some(true), 1);
    let of_versions = Listing::rule_for_versions("all");
    assert_eq!(left("digests under s3://b/p/", &[listed("all")]), 0);
    assert_eq!(left("digests under s3://b/p/", &[listed(&of_versions)]), 1, "what was deleted says nothing of what is there");
    assert_eq!(left("earlier versions of digests under s3://b/p/", &[listed(&of_versions)]), 0);
    assert_eq!(left("listing of s3://b/p/", &[listed("all")]), 1, "another question");
}

#[test]
fn an_answer_that_is_refused_or_of_somebody_else_or_without_its_end_is_none() {
    let refused = answer_of("DescribeVolumes", &serde_json::json!({}), 403, HOME);
    assert_eq!(left("DescribeVolumes", &[refused]), 1);
    let gone = answer_of("ListObjectsV2", &serde_json::json!({"Bucket": "b", "Prefix": "p/", "Delimiter": "/"}), 404, HOME);
    assert_eq!(left("listing of s3://b/p/", &[gone]), 1);
    let Event::ArtifactAcquired(mut artifact) = plain("DescribeVolumes") else { panic!("an artifact") };
    if let Origin::ApiResponse(origin) = &mut artifact.source {
        origin.last = false;
    }
    assert_eq!(left("DescribeVolumes", &[Event::ArtifactAcquired(artifact)]), 1);
    let Event::GapRecorded(of_home) = gap("DescribeVolumes") else { panic!("a gap") };
    let of_home = Event::GapRecorded(Gap { account: Some(HOME.parse().unwrap()), ..of_home });
    let then = |account| {
        let both = |run| started_as(run, &[HOME, MEMBER], &[]);
        let answer = answer_of("DescribeVolumes", &serde_json::json!({}), 200, account);
        open(&[both(1), of_home.clone(), finished(1), both(2), answer, finished(2)]).len()
    };
    assert_eq!((then(MEMBER), then(HOME)), (1, 0));
}

#[test]
fn what_is_not_asked_twice_is_closed_by_the_answer_of_a_run_that_was_interrupted() {
    let lookup = answer("LookupEvents", &serde_json::json!({"StartTime": "x", "EndTime": "y"}));
    let until = [started(1), gap("LookupEvents from x to y"), finished(1), started(2), lookup];
    assert_eq!(open(&[&until[..], &[started(3), finished(3)]].concat()), Vec::<String>::new());
}

#[test]
fn a_place_that_was_only_guessed_at_is_seen_in_the_one_above_it() {
    let (root, own, logs) =
        ("listing of s3://b/AWSLogs/", "listing of s3://b/AWSLogs/1/", "listing of s3://b/AWSLogs/1/CloudTrail/");
    let looked = [listing("ListObjectsV2", "AWSLogs/", true), finished(2)];
    let after = |gaps: &[Event]| open(&[&[started(1)][..], gaps, &[finished(1), started(2)], &looked].concat());
    assert_eq!(after(&[gap(root), gap(own), gap(logs)]), Vec::<String>::new());
    // Somebody saw this one: that it cannot be seen any more explains nothing.
    assert_eq!(after(&[gap(own)]), [own]);
    assert_eq!(after(&[gap(root), gap(logs)]), [logs]);
    let nothing = [gap(root), gap(own), gap(logs), finished(1), started(2), plain("DescribeTrails"), finished(2)];
    assert_eq!(open(&[&[started(1)][..], &nothing].concat()), [root, own, logs]);
}

#[test]
fn what_is_told_in_other_words_is_closed_by_whoever_heard_of_its_source_again() {
    assert_eq!(left("snapshots", &[]), 1);
    assert_eq!(left("snapshots", &[plain("DescribeSnapshots")]), 0);
    assert_eq!(left("records of flow log fl-1", &[plain("DescribeVpcs")]), 1);
    assert_eq!(left("records of flow log fl-1", &[plain("DescribeFlowLogs")]), 0);
    let empty = |gap: Event| match gap {
        Event::GapRecorded(gap) => Event::GapRecorded(Gap { reason: GapReason::Empty, ..gap }),
        other => other,
    };
    assert_eq!(open(&[started(1), empty(gap("event history")), finished(1), started(2), finished(2)]), Vec::<String>::new());
    let nothing_there = empty(gap("logs under s3://b/AWSLogs/"));
    let once = [started(1), nothing_there, finished(1), started(2)];
    assert_eq!(open(&[&once[..], &[finished(2)]].concat()).len(), 1, "nobody looked again");
    assert_eq!(open(&[&once[..], &[listing("ListObjectsV2", "AWSLogs/", true), finished(2)]].concat()).len(), 0);
}

/// An answer of the event history, as of a day.
fn told(event: &str, day: &str) -> Event {
    let (start, end) = ("2026-03-01T00:00:00Z", format!("{day}T00:00:00Z"));
    let asked = format!("EventName={event}");
    answer("LookupEvents", &serde_json::json!({"StartTime": start, "EndTime": end, "LookupAttributes": asked}))
}

/// What is left open of a gap with a detail when a second run had these answers and came to its end.
fn left_with(what: &str, detail: &str, answers: &[Event]) -> usize {
    let Event::GapRecorded(gap) = gap(what) else { panic!("a gap") };
    let gap = Event::GapRecorded(Gap { detail: Some(detail.to_owned()), ..gap });
    open(&[&[started(1), gap, finished(1), started(2)][..], answers, &[finished(2)]].concat()).len()
}

#[test]
fn what_the_history_told_is_closed_only_by_a_history_that_would_tell_it_still() {
    type Told<'a> = &'a dyn Fn(&str) -> [Event; 3];

    let detail =
        "the event history says that it was deleted at 2026-03-01T23:16:40Z; where it delivered until then is not known";
    let undated = "the event history says that it was deleted";
    let of_trails = |day: &str| ["CreateTrail", "UpdateTrail", "DeleteTrail"].map(|event| told(event, day));
    let of_flow_logs = |day: &str| [told("CreateFlowLogs", day), told("DeleteFlowLogs", day), plain("DescribeFlowLogs")];
    let cases: [(&str, Told<'_>); 2] =
        [("logs and digests of trail ghost", &of_trails), ("records of flow log fl-1", &of_flow_logs)];
    for (what, of) in cases {
        let others = [plain("DescribeTrails"), plain("DescribeFlowLogs"), told("StopLogging", "2026-03-03")];
        assert_eq!(left_with(what, detail, &others), 1, "{what}: the history was refused");
        assert_eq!(left_with(what, detail, &of("2026-03-03")), 0, "{what}");
        assert_eq!(left_with(what, detail, &of("2026-03-03")[..1]), 1, "{what}: some of it was refused");
        assert_eq!(left_with(what, detail, &of("2026-05-30")), 0, "{what}: the 90th day");
        assert_eq!(left_with(what, detail, &of("2026-05-31")), 1, "{what}: it has forgotten");
        assert_eq!(left_with(what, undated, &of("2026-05-30")), 0, "{what}: it remembers all of the window");
        assert_eq!(left_with(what, undated, &of("2026-05-31")), 1, "{what}");
    }
    // The answers of two runs together are none.
    let what = "logs and digests of trail ghost";
    let [first, second, third] = of_trails("2026-03-03");
    let runs = [started(1), gap(what), finished(1), started(2), first, finished(2), started(3), second, third, finished(3)];
    assert_eq!(open(&runs), [what]);
}

#[test]
fn a_trail_that_was_not_described_is_closed_by_those_who_list_and_describe() {
    let what = "trail arn:aws:cloudtrail:us-east-1:111122223333:trail/t";
    let listed = |region: &str| {
        let Event::ArtifactAcquired(mut artifact) = plain("ListTrails") else { panic!("an artifact") };
        if let Origin::ApiResponse(origin) = &mut artifact.source {
            origin.region = region.parse().unwrap();
        }
        Event::ArtifactAcquired(artifact)
    };
    assert_eq!(left(what, &[plain("DescribeTrails")]), 1);
    assert_eq!(left(what, &[listed("us-east-1"), plain("ListPublicKeys")]), 1);
    assert_eq!(left(what, &[listed("eu-central-1"), plain("DescribeTrails")]), 0);
}

#[test]
fn a_gap_about_an_object_is_closed_only_by_the_object() {
    let first = [started(1), gap("s3://b/k"), finished(1), started(2)];
    assert_eq!(open(&[&first[..], &[finished(2)]].concat()), ["s3://b/k"]);
    assert_eq!(open(&[&first[..], &[acquired("other"), finished(2)]].concat()), ["s3://b/k"]);
    assert_eq!(open(&[&first[..], &[acquired("k"), finished(2)]].concat()), Vec::<String>::new());
}

#[test]
fn an_earlier_version_is_not_the_object_nor_the_object_its_earlier_version() {
    let after = |what: &str, then: Event| open(&[started(1), gap(what), then, finished(1)]).len();
    assert_eq!(after("s3://b/k", acquired_version("k", "v1")), 1, "what was overwritten is not what overwrote it");
    assert_eq!(after("s3://b/k", acquired("k")), 0);
    assert_eq!(after("s3://b/k version v1", acquired_version("k", "v1")), 0);
    assert_eq!(after("s3://b/k version v1", acquired_version("k", "v2")), 1);
    assert_eq!(after("s3://b/k version v1", acquired("k")), 1);
    assert_eq!(after("s3://b/k version v1", acquired("k version v1")), 1, "anybody can name an object so");
    assert_eq!(after("data/s3/b/k~o", acquired("k")), 0);
}

#[test]
fn somebody_else_closes_nothing_and_whoever_met_it_does() {
    let first = [started(1), gap("DescribeVolumes"), finished(1)];
    let other = [started_as(2, &[MEMBER], &[]), plain("DescribeVolumes"), finished(2)];
    assert_eq!(open(&[&first[..], &other].concat()), ["DescribeVolumes"]);
    let both = [started_as(3, &[MEMBER, HOME], &[]), plain("DescribeVolumes"), finished(3)];
    assert_eq!(open(&[&first[..], &other, &both].concat()), Vec::<String>::new());
}

#[test]
fn one_of_two_closes_nothing_that_both_may_have_met() {
    let first = [started_as(1, &[HOME, MEMBER], &[]), gap("DescribeVolumes"), finished(1)];
    assert_eq!(open(&[&first[..], &[started(2), plain("DescribeVolumes"), finished(2)]].concat()), ["DescribeVolumes"]);
    let both = [started_as(2, &[MEMBER, HOME], &[]), plain("DescribeVolumes"), finished(2)];
    assert_eq!(open(&[&first[..], &both].concat()), Vec::<String>::new());
}

#[test]
fn a_refused_role_is_closed_by_asking_for_it_again_or_as_its_account() {
    let first = [started_as(1, &[HOME], &[ROLE]), refused_role(Some(MEMBER)), finished(1)];
    let then = |run: &[Event]| open(&[&first[..], run].concat()).len();
    assert_eq!(then(&[started(2), finished(2)]), 1, "the role was not asked for");
    assert_eq!(then(&[started_as(2, &[HOME, MEMBER], &[ROLE]), finished(2)]), 0);
    assert_eq!(then(&[started_as(2, &[MEMBER], &[]), finished(2)]), 0, "the account answers, whoever asks as it");
    assert_eq!(then(&[started_as(2, &[HOME], &[ROLE]), refused_role(Some(MEMBER)), finished(2)]), 1, "met again");
    // A second role of an account as which the run asked all along.
    let second = [started_as(1, &[MEMBER], &[ROLE]), refused_role(Some(MEMBER)), finished(1)];
    assert_eq!(open(&[&second[..], &[started_as(2, &[MEMBER], &[]), finished(2)]].concat()).len(), 1);
}

#[test]
fn what_was_begun_as_an_account_is_ended_by_a_run_as_that_account() {
    let begun = [started_as(1, &[HOME, MEMBER], &[])];
    assert_eq!(unfinished(&begun), [HOME, MEMBER]);
    let one = [started(2), finished(2)];
    assert_eq!(unfinished(&[&begun[..], &one].concat()), [MEMBER]);
    let other = [started_as(3, &[MEMBER], &[]), finished(3)];
    assert_eq!(unfinished(&[&begun[..], &one, &other].concat()), Vec::<String>::new());
}
