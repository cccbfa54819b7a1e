//! Windows and trails for which there is nothing, not yet, or no more.

use caselock::case::event::ClockOffset;
use caselock::model::{Timestamp, Window};
use caselock::sim::Scenario;
use chrono::TimeDelta;
use serde_json::json;

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, stopped};

fn window_until_the_end(it: &mut Collection) {
    let end = Timestamp::new(it.account.scenario().end);
    it.window = Window::new(it.window.start(), end).unwrap();
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "window-up-to-now",
            about: "The window reaches up to the moment of collection: the last hours wait for their digest.",
            failures: &[],
            others: &["digests-pending"],
            make: Make::Quiet(window_until_the_end),
        },
        Defect {
            name: "window-up-to-now-collected-long-after",
            about: "The same window, but by the time of collection more digests were long due.",
            failures: &[],
            others: &["digests-end", "log-unproven"],
            make: Make::Quiet(|it| {
                window_until_the_end(it);
                it.at += TimeDelta::hours(8);
            }),
        },
        Defect {
            name: "digest-delivered-while-collecting",
            about: "AWS's status tells of a digest delivered after the collection began: it may have come after the listing, so nobody is accused.",
            failures: &[],
            others: &["digests-pending"],
            make: Make::Quiet(|it| {
                window_until_the_end(it);
                let during = it.account.scenario().end.timestamp() + 30;
                for answer in it.answers.iter_mut().filter(|answer| answer.operation == "GetTrailStatus") {
                    answer.body["LatestDigestDeliveryTime"] = json!(during);
                }
            }),
        },
        Defect {
            name: "trail-just-stopped-and-the-clock-of-the-machine-fast",
            about: "The trail was stopped ten minutes ago, and its final digest is not due yet. The clock of the machine that collects is three hours \
                    fast, which the ledger says: by AWS's clock nothing is missing.",
            failures: &[],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                window_until_the_end(it);
                let off = it.after(&it.digest(HOME, -1), 70);
                it.history(&[("StopLogging", &off, json!({}))]);
                it.at += TimeDelta::hours(3);
                it.clock = Some(ClockOffset { offset_milliseconds: -10_800_000, uncertainty_milliseconds: 600, samples: 3 });
            }),
        },
        Defect {
            name: "log-that-is-too-fresh",
            about: "The newest logs are younger than the newest digest: they are pending, and no finding.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                let key = it.log(HOME, -1).key;
                let (folder, _) = key.rsplit_once('/').unwrap();
                let name = "111122223333_CloudTrail_us-east-1_20260302T1150Z_FreshFreshFresh0.json.gz";
                it.plant_at(&format!("{folder}/{name}"), crate::tampering::gzip(b"{}"), "2026-03-02T11:52:00Z");
            }),
        },
        Defect {
            name: "trail-still-off",
            about: "The trail was stopped within the window and not started again.",
            failures: &[],
            others: &["logging-off"],
            make: Make::Own(|| Collection::of(&Scenario { restart_logging: false, ..stopped() }).report()),
        },
        Defect {
            name: "trail-still-off-and-final-digest-deleted",
            about: "The trail was stopped and not started again, and the final digest is deleted.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven", "logging-off"],
            make: Make::Own(|| {
                let running = Collection::of(&stopped());
                let number = running.final_digest(HOME);
                let mut it = Collection::of(&Scenario { restart_logging: false, ..stopped() });
                it.at += TimeDelta::hours(4);
                it.delete(&it.digests(HOME)[number]);
                it.report()
            }),
        },
        Defect {
            name: "trail-without-validation",
            about: "Log file validation is off, and there are no digests: the logs prove only themselves.",
            failures: &[],
            others: &["log-unproven", "nothing-to-verify", "validation-off"],
            make: Make::Quiet(|it| {
                let answer = it.answers_of("DescribeTrails", HOME).next().unwrap();
                answer.body["trailList"][0]["LogFileValidationEnabled"] = json!(false);
                for region in [HOME, ABROAD] {
                    it.digests(region).iter().for_each(|digest| it.erase(digest));
                }
            }),
        },
        Defect {
            name: "nothing-to-verify",
            about: "There is no trail, no log and no digest. Nothing to verify is never a pass.",
            failures: &[],
            others: &["nothing-to-verify"],
            make: Make::Quiet(|it| {
                it.answers.clear();
                for key in it.account.objects().keys(caselock::sim::TRAIL_BUCKET, "") {
                    it.erase(&caselock::model::S3Location::new(caselock::sim::TRAIL_BUCKET, key));
                }
            }),
        },
        Defect {
            name: "trail-that-never-delivered",
            about: "AWS knows of no digest of a region, and there is none.",
            failures: &[],
            others: &["log-unproven", "no-digests"],
            make: Make::Quiet(|it| {
                it.digests(ABROAD).iter().for_each(|digest| it.erase(digest));
                let answer = it.answers_of("GetTrailStatus", ABROAD).next().unwrap();
                answer.body.as_object_mut().unwrap().remove("LatestDigestDeliveryTime");
            }),
        },
        Defect {
            name: "trail-off-throughout",
            about: "The trail was stopped long before the window, and no digest is there.",
            failures: &[],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                for region in [HOME, ABROAD] {
                    it.digests(region).iter().for_each(|digest| it.erase(digest));
                    let answer = it.answers_of("GetTrailStatus", region).next().unwrap();
                    answer.body = json!({"IsLogging": false, "StopLoggingTime": 1_772_000_000, "StartLoggingTime": 1_700_000_000,
                        "LatestDigestDeliveryTime": 1_772_001_000});
                }
            }),
        },
        Defect {
            name: "status-that-does-not-parse",
            about: "AWS's answer about a trail's status is not what it answers.",
            failures: &[],
            others: &["answer-unusable"],
            make: Make::Quiet(|it| it.answers_of("GetTrailStatus", HOME).for_each(|answer| answer.body = json!("status"))),
        },
        Defect {
            name: "history-that-does-not-parse",
            about: "AWS's event history, as stored, is not what it answers.",
            failures: &[],
            others: &["answer-unusable"],
            make: Make::Quiet(|it| it.answer("LookupEvents", HOME, &[], json!({"Events": 1}))),
        },
    ]
}
