//! What switches a trail, and what only looks like it.

use caselock::sim::TRAIL_BUCKET;
use serde_json::json;

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME};
use crate::tampering::unlink;

/// Lets a new chain begin at digest `number` of the home region, as if there had been none from `from` on.
fn begin_anew(it: &Collection, from: usize, number: usize) {
    let digests = it.digests(HOME);
    it.rechain(HOME, number, |current, document| {
        if current == number {
            unlink(document);
            document["logFiles"] = json!([]);
        }
    });
    digests[from..number].iter().for_each(|digest| it.erase(digest));
}

/// Takes away every digest of the home region from before the trail was stopped.
fn delete_before_the_stop(it: &Collection) {
    it.digests(HOME)[..=it.final_digest(HOME)].iter().for_each(|digest| it.delete(digest));
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = honest();
    all.extend(acts_that_change_nothing());
    all
}

/// Whoever asks for what is so anyway must not excuse by it that digests are gone.
fn acts_that_change_nothing() -> Vec<Defect> {
    vec![
        Defect {
            name: "restart-hides-digests-and-validation-was-confirmed-before",
            about: "Early in the window somebody asks for log file validation, which was on. Hours later the trail is stopped and started, and every \
                    digest from before is deleted. The trail was signed from that update on at the latest.",
            failures: &["restart-hides-digests"],
            others: &["chain-begins", "log-unproven", "logging-off"],
            make: Make::Stopped(|it| {
                let confirmed = it.after(&it.digest(HOME, 2), 20);
                delete_before_the_stop(it);
                it.history(&[("UpdateTrail", &confirmed, json!({"enableLogFileValidation": true}))]);
            }),
        },
        Defect {
            name: "restart-hides-digests-and-validation-is-confirmed-behind-it",
            about: "The same, with the update half an hour after the start: the chain had begun, so the trail was signed before.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven", "logging-off"],
            make: Make::Stopped(|it| {
                let digests = it.digests(HOME);
                let confirmed = it.after(&digests[it.final_digest(HOME) + 1], 30);
                delete_before_the_stop(it);
                it.history(&[("UpdateTrail", &confirmed, json!({"enableLogFileValidation": true}))]);
            }),
        },
        Defect {
            name: "trail-made-in-the-window-and-its-first-digests-deleted",
            about: "The trail is made in the window. Hours later it is stopped and started within minutes, and every digest from before is deleted.",
            failures: &["restart-hides-digests"],
            others: &["chain-begins", "log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                let made = it.after(&digests[3], 0);
                let (off, on) = (it.after(&digests[7], -7), it.after(&digests[7], 0));
                begin_anew(it, 0, 7);
                let settings =
                    json!({"s3BucketName": TRAIL_BUCKET, "enableLogFileValidation": true, "isMultiRegionTrail": true});
                it.history(&[
                    ("CreateTrail", &made, settings),
                    ("StartLogging", &made, json!({})),
                    ("StopLogging", &off, json!({})),
                    ("StartLogging", &on, json!({})),
                ]);
            }),
        },
        Defect {
            name: "validation-switched-off-and-the-digests-before-deleted",
            about: "Log file validation is switched off, and the digests of the three hours before are deleted. The trail's status was not collected.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven", "validation-off"],
            make: Make::Quiet(|it| {
                let off = it.after(&it.digest(HOME, 5), 19);
                it.digests(HOME)[3..].iter().for_each(|digest| it.delete(digest));
                it.forget("GetTrailStatus", HOME);
                it.at += chrono::TimeDelta::hours(6);
                it.history(&[("UpdateTrail", &off, json!({"enableLogFileValidation": false}))]);
            }),
        },
        Defect {
            name: "all-digests-deleted-and-the-bucket-named-again",
            about: "The trail is told to deliver to the bucket that it delivers to anyway, and all its digests are deleted there, where collect \
                    looked.",
            failures: &["all-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let named = it.after(&it.digest(HOME, 2), 0);
                for region in [HOME, ABROAD] {
                    it.digests(region).iter().for_each(|digest| it.delete(digest));
                }
                it.history(&[("UpdateTrail", &named, json!({"s3BucketName": TRAIL_BUCKET}))]);
            }),
        },
        Defect {
            name: "digests-before-a-move-deleted-and-the-bucket-named-again",
            about: "The trail is told to deliver under another prefix, and the three digests before that are deleted. Minutes after the last that is \
                    left somebody named the bucket that it delivered to anyway.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                it.rechain(HOME, 6, |number, document| {
                    let object = document["digestS3Object"].as_str().unwrap().to_owned();
                    document["digestS3Object"] = json!(format!("moved/{object}"));
                    if number == 6 {
                        unlink(document);
                        document["logFiles"] = json!([]);
                    }
                });
                digests[6..].iter().for_each(|digest| it.erase(digest));
                digests[3..6].iter().for_each(|digest| it.delete(digest));
                let (named, away) = (it.after(&digests[2], 4), it.after(&digests[5], 10));
                it.history(&[
                    ("UpdateTrail", &named, json!({"s3BucketName": TRAIL_BUCKET})),
                    ("UpdateTrail", &away, json!({"s3KeyPrefix": "moved"})),
                ]);
            }),
        },
    ]
}

/// What ordinary life does to a trail.
fn honest() -> Vec<Defect> {
    vec![
        Defect {
            name: "bucket-named-again",
            about: "Somebody updates the trail and names the bucket that it delivers to anyway, and asks for validation, which is on. Nothing is \
                    wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                let named = it.after(&it.digest(HOME, 4), 9);
                it.history(&[("UpdateTrail", &named, json!({"s3BucketName": TRAIL_BUCKET, "enableLogFileValidation": true}))]);
            }),
        },
        Defect {
            name: "trail-moved-away-and-back",
            about: "For three hours the trail is told to deliver to a bucket that nobody looked into, and then here again, where a new chain begins. \
                    Nobody is accused of what may lie there.",
            failures: &[],
            others: &["log-unproven", "restart-after-move"],
            make: Make::Quiet(|it| {
                begin_anew(it, 5, 8);
                let digests = it.digests(HOME);
                let (away, back) = (it.after(&digests[4], 5), it.after(&digests[8], -55));
                it.history(&[
                    ("UpdateTrail", &away, json!({"s3BucketName": "example-corp-elsewhere"})),
                    ("UpdateTrail", &back, json!({"s3BucketName": TRAIL_BUCKET})),
                ]);
            }),
        },
        Defect {
            name: "validation-switched-off-until-after-the-window",
            about: "Log file validation is switched off in the window, minutes after a digest, and on again behind it: the status remembers digests of \
                    then. No final digest is promised, and nobody is accused.",
            failures: &[],
            others: &["log-unproven", "validation-off"],
            make: Make::Quiet(|it| {
                let off = it.after(&it.digest(HOME, 5), 19);
                it.digests(HOME)[6..].iter().for_each(|digest| it.erase(digest));
                it.history(&[("UpdateTrail", &off, json!({"enableLogFileValidation": false}))]);
            }),
        },
        Defect {
            name: "final-digest-delivered-where-nobody-looked",
            about: "The trail is switched off, and minutes later told to deliver to a bucket that nobody looked into, and here again before it is \
                    switched on. Its final digest may lie there.",
            failures: &[],
            others: &["log-unproven", "logging-off"],
            make: Make::Stopped(|it| {
                let digests = it.digests(HOME);
                let number = it.final_digest(HOME);
                let (away, back) = (it.after(&digests[number], -12), it.after(&digests[number + 1], -5));
                it.erase(&digests[number]);
                it.history(&[
                    ("UpdateTrail", &away, json!({"s3BucketName": "example-corp-elsewhere"})),
                    ("UpdateTrail", &back, json!({"s3BucketName": TRAIL_BUCKET})),
                ]);
            }),
        },
        Defect {
            name: "validation-confirmed-while-the-trail-is-off",
            about: "The trail is switched off for two hours. A second after the stop somebody updates it and asks for log file validation, which \
                    was on: that starts nothing. The outage is told of as a whole, and nobody is accused.",
            failures: &[],
            others: &["logging-off"],
            make: Make::Stopped(|it| {
                for region in [HOME, ABROAD] {
                    let answer = it.answers_of("GetTrailStatus", region).next().unwrap();
                    let stopped = answer.body["StopLoggingTime"].as_i64().unwrap() + 1;
                    let update = chrono::DateTime::from_timestamp(stopped, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string();
                    it.history(&[("UpdateTrail", &update, json!({"enableLogFileValidation": true}))]);
                }
            }),
        },
        Defect {
            name: "trail-stopped-and-started-while-it-was-not-signed",
            about: "Log file validation is switched off; the trail is stopped and started again, and validation is switched on hours later. That \
                    there is no digest from the start on is as it must be.",
            failures: &[],
            others: &["log-unproven", "logging-off", "validation-off"],
            make: Make::Quiet(|it| {
                begin_anew(it, 6, 8);
                let digests = it.digests(HOME);
                let (unsigned, signed) = (it.after(&digests[5], 9), it.after(&digests[8], 0));
                let (off, on) = (it.after(&digests[5], 70), it.after(&digests[5], 90));
                it.history(&[
                    ("UpdateTrail", &unsigned, json!({"enableLogFileValidation": false})),
                    ("StopLogging", &off, json!({})),
                    ("StartLogging", &on, json!({})),
                    ("UpdateTrail", &signed, json!({"enableLogFileValidation": true})),
                ]);
            }),
        },
        Defect {
            name: "trail-made-again-and-started-hours-later",
            about: "The trail is deleted, made again soon, and started two hours after that: making it starts nothing.",
            failures: &[],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                begin_anew(it, 6, 8);
                let digests = it.digests(HOME);
                let (deleted, made, on) = (it.after(&digests[5], -1), it.after(&digests[5], 9), it.after(&digests[8], 0));
                let settings = json!({"enableLogFileValidation": true, "isMultiRegionTrail": true});
                it.history(&[
                    ("DeleteTrail", &deleted, json!({})),
                    ("CreateTrail", &made, settings),
                    ("StartLogging", &on, json!({})),
                ]);
            }),
        },
        Defect {
            name: "trail-made-again-without-validation",
            about: "The trail is deleted, made again without a word about log file validation, which AWS then leaves off, and started; validation is \
                    switched on two hours later.",
            failures: &[],
            others: &["log-unproven", "logging-off", "validation-off"],
            make: Make::Quiet(|it| {
                begin_anew(it, 6, 8);
                let digests = it.digests(HOME);
                let (deleted, made) = (it.after(&digests[5], -1), it.after(&digests[5], 9));
                let (on, signed) = (it.after(&digests[5], 10), it.after(&digests[8], 0));
                it.history(&[
                    ("DeleteTrail", &deleted, json!({})),
                    ("CreateTrail", &made, json!({"isMultiRegionTrail": true})),
                    ("StartLogging", &on, json!({})),
                    ("UpdateTrail", &signed, json!({"enableLogFileValidation": true})),
                ]);
            }),
        },
    ]
}
