//! What switches a trail, and what only looks like it.

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

pub(super) fn all() -> Vec<Defect> {
    vec![
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
