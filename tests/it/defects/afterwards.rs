//! What is done after the window, to take away what there was in it: the event history tells, and what is in the bucket does not.

use caselock::model::S3Location;
use caselock::sim::{Scenario, TRAIL_BUCKET, TRAIL_NAME};
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, quiet};

const OWN: &str = "111122223333";
/// A region that the account has not now.
const GONE: &str = "eu-south-1";

/// Adds events to what AWS's event history tells, each with its source, name, time and parameters.
fn tell(it: &mut Collection, events: &[(&str, &str, &str, Value)]) {
    let shown: Vec<Value> = (1..)
        .zip(events)
        .map(|(number, (source, name, time, parameters))| {
            let record = json!({"eventName": name, "eventTime": format!("2026-03-02T{time}Z"), "eventSource": format!("{source}.amazonaws.com"),
                "awsRegion": HOME, "eventID": format!("{number:08}-2222-3333-4444-555555555555"), "recipientAccountId": OWN,
                "sourceIPAddress": "203.0.113.77", "userIdentity": {"arn": "arn:aws:iam::111122223333:user/contractor"},
                "requestParameters": parameters});
            json!({"EventName": name, "CloudTrailEvent": record.to_string()})
        })
        .collect();
    it.answer("LookupEvents", HOME, &[("LookupAttributes", "EventName=DeleteTrail")], json!({"Events": shown}));
}

fn erase_abroad(it: &mut Collection) {
    for kind in ["CloudTrail", "CloudTrail-Digest"] {
        for key in it.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{OWN}/{kind}/{ABROAD}/")) {
            it.erase(&S3Location::new(TRAIL_BUCKET, key));
        }
    }
    it.forget("GetTrailStatus", ABROAD);
}

/// Two regions are asked for, and a trail that is at home in a third one is made and deleted.
fn delete_at_home_elsewhere(it: &mut Collection, all_regions: bool) {
    it.scope.regions = vec![HOME.parse().unwrap(), ABROAD.parse().unwrap()];
    let name = format!("arn:aws:cloudtrail:{GONE}:111122223333:trail/elsewhere");
    let made = json!({"name": name, "isMultiRegionTrail": all_regions});
    tell(it, &[("cloudtrail", "DeleteTrail", "09:00:00", of_trail(&name)), ("cloudtrail", "CreateTrail", "05:00:00", made)]);
}

fn of_trail(name: &str) -> Value {
    json!({"name": name})
}

/// The window ends at 10:00, and the evidence is collected at 12:00.
pub(super) fn all() -> Vec<Defect> {
    let mut all = trails();
    all.extend(regions());
    all
}

fn trails() -> Vec<Defect> {
    vec![
        Defect {
            name: "trail-narrowed-after-the-window-and-everything-abroad-deleted",
            about: "After the window the trail is made one of its home region alone, and everything of the other region is deleted.",
            failures: &[],
            others: &["no-digests"],
            make: Make::Quiet(|it| {
                erase_abroad(it);
                it.answers_of("DescribeTrails", HOME).for_each(|answer| {
                    answer.body["trailList"][0]["IsMultiRegionTrail"] = json!(false);
                });
                let narrowed = json!({"name": TRAIL_NAME, "isMultiRegionTrail": false});
                tell(it, &[("cloudtrail", "UpdateTrail", "11:30:00", narrowed)]);
            }),
        },
        Defect {
            name: "trail-deleted-after-the-window-with-all-it-delivered",
            about: "Another trail is deleted after the window, and all that it delivered.",
            failures: &[],
            others: &["trail-gone"],
            make: Make::Quiet(|it| tell(it, &[("cloudtrail", "DeleteTrail", "11:30:00", of_trail("elsewhere"))])),
        },
        Defect {
            name: "trail-made-and-deleted-after-the-window",
            about: "Another trail is made after the window, and deleted. It recorded nothing of the window: nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                let (made, deleted) =
                    (of_trail("elsewhere"), of_trail("arn:aws:cloudtrail:us-east-1:111122223333:trail/elsewhere"));
                tell(
                    it,
                    &[("cloudtrail", "DeleteTrail", "11:30:00", deleted), ("cloudtrail", "CreateTrail", "10:30:00", made)],
                );
            }),
        },
        Defect {
            name: "trail-deleted-and-made-and-deleted-again-after-the-window",
            about: "The same, but a trail of that name was there before, and deleted first: it may have recorded the window.",
            failures: &[],
            others: &["trail-gone"],
            make: Make::Quiet(|it| {
                let events = [("DeleteTrail", "10:15:00"), ("CreateTrail", "10:30:00"), ("DeleteTrail", "11:30:00")];
                tell(it, &events.map(|(name, time)| ("cloudtrail", name, time, of_trail("elsewhere"))));
            }),
        },
        Defect {
            name: "trail-made-and-deleted-longer-ago-than-the-history-reaches",
            about: "A trail is made after the window, and deleted; by then the event history has forgotten the window, so that one of that name \
                    may have been there.",
            failures: &[],
            others: &["log-unproven", "trail-gone"],
            make: Make::Quiet(|it| {
                it.at += chrono::TimeDelta::days(91);
                let events = [("CreateTrail", "10:30:00"), ("DeleteTrail", "11:30:00")];
                tell(it, &events.map(|(name, time)| ("cloudtrail", name, time, of_trail("elsewhere"))));
            }),
        },
        Defect {
            name: "trail-of-a-region-left-out-of-scope-deleted",
            about: "Two regions were asked for. A trail of another one alone is made, and deleted: it recorded neither, and nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| delete_at_home_elsewhere(it, false)),
        },
        Defect {
            name: "trail-of-all-regions-at-home-in-one-left-out-of-scope-deleted",
            about: "The same, but that trail was one of all regions.",
            failures: &[],
            others: &["trail-gone"],
            make: Make::Quiet(|it| delete_at_home_elsewhere(it, true)),
        },
    ]
}

fn regions() -> Vec<Defect> {
    vec![
        Defect {
            name: "region-erased-and-switched-off-after-the-window",
            about: "Everything of a region is deleted, and the region is switched off, so that AWS does not count it among the account's regions.",
            failures: &[],
            others: &["no-digests"],
            make: Make::Quiet(|it| tell(it, &[("account", "DisableRegion", "11:30:00", json!({"regionName": GONE}))])),
        },
        Defect {
            name: "region-without-a-known-trail-switched-off-after-the-window",
            about: "The trail is one of its home region alone. Another region is switched off: whether a trail recorded that one, AWS cannot be \
                    asked any more.",
            failures: &[],
            others: &["no-digests"],
            make: Make::Own(|| {
                let mut it = Collection::of(&Scenario { regions: vec![HOME.to_owned()], ..quiet() });
                it.answers_of("DescribeTrails", HOME).for_each(|answer| {
                    answer.body["trailList"][0]["IsMultiRegionTrail"] = json!(false);
                });
                tell(&mut it, &[("account", "DisableRegion", "11:30:00", json!({"regionName": GONE}))]);
                it.report()
            }),
        },
        Defect {
            name: "regions-that-are-none-of-the-cases",
            about: "A region was switched off before the window, one is another account's, and one event only has that name. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                tell(
                    it,
                    &[
                        ("account", "DisableRegion", "03:59:59", json!({"regionName": GONE})),
                        ("iam", "DisableRegion", "11:30:00", json!({"regionName": GONE})),
                    ],
                );
                let anothers = json!({"regionName": GONE, "accountId": "444455556666"});
                tell(it, &[("account", "DisableRegion", "11:30:00", anothers)]);
            }),
        },
        Defect {
            name: "region-left-out-of-scope-switched-off",
            about: "Two regions were asked for, and another one was switched off after the window. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                it.scope.regions = vec![HOME.parse().unwrap(), ABROAD.parse().unwrap()];
                tell(it, &[("account", "DisableRegion", "11:30:00", json!({"regionName": GONE}))]);
            }),
        },
    ]
}
