//! Chains that fork, overlap, move or are not alone.

use caselock::sim::TRAIL_NAME;
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{Collection, HOME};
use crate::tampering::{at, unlink};

const OTHER: &str = "foo_us-east-1_bar";

/// A second trail of another name in the same bucket, with digests of its own that list nothing.
fn second_trail(it: &mut Collection) {
    let answer = it.answers_of("DescribeTrails", HOME).next().unwrap();
    let mut second = answer.body["trailList"][0].clone();
    second["Name"] = json!(OTHER);
    second["TrailARN"] = json!(format!("arn:aws:cloudtrail:us-east-1:111122223333:trail/{OTHER}"));
    second["IsMultiRegionTrail"] = json!(false);
    answer.body["trailList"].as_array_mut().unwrap().push(second);
    it.rechain(HOME, 0, |_, document| {
        let object = document["digestS3Object"].as_str().unwrap().replace(TRAIL_NAME, OTHER);
        document["digestS3Object"] = json!(object);
        document["logFiles"] = json!([]);
    });
}

fn unlink_and_empty(document: &mut Value) {
    unlink(document);
    document["logFiles"] = json!([]);
}

/// A backfill digest that lists a log of `hour` which the regular digest, signed anew, no longer does.
fn backfill(it: &Collection, generated: Option<&str>) -> caselock::model::S3Location {
    let mut late = Value::Null;
    it.rechain(HOME, 4, |number, document| {
        if number == 4 {
            late = document["logFiles"].as_array_mut().unwrap().remove(0);
        }
    });
    let mut document = it.document(&it.digest(HOME, 4));
    unlink(&mut document);
    let object = document["digestS3Object"].as_str().unwrap().replace(".json.gz", "_backfill.json.gz");
    document["digestS3Object"] = json!(object);
    document["logFiles"] = json!([late]);
    it.publish(HOME, &serde_json::to_vec(&document).unwrap(), generated)
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "two-trails-of-which-one-looks-like-the-other",
            about: "A second trail named foo_us-east-1_bar delivers to the same bucket. Nothing is wrong with either. validate-logs mixes \
                    such chains up.",
            failures: &[],
            others: &[],
            make: Make::Quiet(second_trail),
        },
        Defect {
            name: "digest-of-the-second-of-two-trails-deleted",
            about: "Of two trails with names that look alike, a digest of the second is deleted: only its row suffers.",
            failures: &["digest-missing"],
            others: &[],
            make: Make::Quiet(|it| {
                second_trail(it);
                let digest = it.digest(HOME, 4);
                let key = digest.key.replace(TRAIL_NAME, OTHER);
                it.delete(&caselock::model::S3Location::new(digest.bucket, key));
            }),
        },
        Defect {
            name: "chain-that-forks",
            about: "Two signed digests name the same predecessor.",
            failures: &[],
            others: &["chain-fork", "chain-overlap"],
            make: Make::Quiet(|it| {
                let (object, ends) = (it.digest(HOME, 6).key, it.after(&it.digest(HOME, 6), 2));
                let name = object.replace("T074121Z", "T074321Z");
                let mut document = it.document(&it.digest(HOME, 6));
                document["digestS3Object"] = json!(name);
                document["digestEndTime"] = json!(ends);
                document["logFiles"] = json!([]);
                it.publish(HOME, &serde_json::to_vec(&document).unwrap(), None);
            }),
        },
        Defect {
            name: "chain-that-begins-twice",
            about: "A signed digest that begins a chain lies inside the time of a chain that runs on: one of the two is not the trail's history.",
            failures: &[],
            others: &["chain-overlap", "restart-unexplained"],
            make: Make::Quiet(|it| {
                let (object, ends) = (it.digest(HOME, 6).key, it.after(&it.digest(HOME, 6), -30));
                let mut document = it.document(&it.digest(HOME, 6));
                unlink_and_empty(&mut document);
                document["digestS3Object"] = json!(object.replace("T074121Z", "T071121Z"));
                document["digestEndTime"] = json!(ends);
                it.publish(HOME, &serde_json::to_vec(&document).unwrap(), None);
            }),
        },
        Defect {
            name: "chain-that-changes-its-bucket",
            about: "From the sixth hour on the trail delivers to another bucket; the chain goes on there. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                let bucket = "example-corp-cloudtrail-new";
                it.account.objects().create_bucket(bucket, HOME, true, at("2026-03-01T00:00:00Z"));
                let old: Vec<_> = it.digests(HOME).into_iter().skip(5).collect();
                it.rechain(HOME, 5, |_, document| document["digestS3Bucket"] = json!(bucket));
                old.iter().for_each(|digest| it.erase(digest));
            }),
        },
        Defect {
            name: "digest-deleted-where-the-bucket-changes",
            about: "The last digest before the trail changed its bucket is deleted.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let bucket = "example-corp-cloudtrail-new";
                it.account.objects().create_bucket(bucket, HOME, true, at("2026-03-01T00:00:00Z"));
                let old: Vec<_> = it.digests(HOME).into_iter().skip(5).collect();
                it.rechain(HOME, 5, |_, document| document["digestS3Bucket"] = json!(bucket));
                old.iter().for_each(|digest| it.erase(digest));
                it.delete(&it.digest(HOME, 4));
            }),
        },
        Defect {
            name: "prefix-changed-behind-a-restart",
            about: "The trail is told to deliver under another prefix; a new chain begins there, and the event history says so.",
            failures: &[],
            others: &["log-unproven", "restart-after-move"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                it.rechain(HOME, 6, |number, document| {
                    let object = document["digestS3Object"].as_str().unwrap().to_owned();
                    document["digestS3Object"] = json!(format!("moved/{object}"));
                    if number == 6 {
                        unlink_and_empty(document);
                    }
                });
                digests.iter().skip(6).for_each(|digest| it.erase(digest));
                let moved = it.after(&digests[5], 10);
                it.history(&[("UpdateTrail", &moved, json!({"s3KeyPrefix": "moved"}))]);
            }),
        },
        Defect {
            name: "validation-switched-off-and-on-again",
            about: "Log file validation is switched off for an hour and on again; the event history says so.",
            failures: &[],
            others: &["log-unproven", "validation-off"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                it.rechain(HOME, 6, |number, document| {
                    if number == 6 {
                        unlink_and_empty(document);
                    }
                });
                let (off, on) = (it.after(&digests[5], 20), it.after(&digests[6], 0));
                it.history(&[
                    ("UpdateTrail", &off, json!({"enableLogFileValidation": false})),
                    ("UpdateTrail", &on, json!({"enableLogFileValidation": true})),
                ]);
            }),
        },
        Defect {
            name: "chain-that-begins-in-the-window",
            about: "The trail was created within the window, and the event history says so: nothing can have been there before.",
            failures: &[],
            others: &["chain-begins", "log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                it.rechain(HOME, 5, |number, document| {
                    if number == 5 {
                        unlink_and_empty(document);
                    }
                });
                digests[..5].iter().for_each(|digest| it.erase(digest));
                let made = it.after(&digests[5], 0);
                let bucket = caselock::sim::TRAIL_BUCKET;
                let settings = json!({"s3BucketName": bucket, "enableLogFileValidation": true, "isMultiRegionTrail": true});
                it.history(&[("CreateTrail", &made, settings), ("StartLogging", &made, json!({}))]);
            }),
        },
        Defect {
            name: "log-in-a-backfill-digest",
            about: "A log that was delayed is in a backfill digest alone. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| drop(backfill(it, Some("2026-03-02T06:30:00Z")))),
        },
        Defect {
            name: "backfill-digest-remembered-as-the-latest",
            about: "The window reaches up to the moment of collection. AWS delivered a backfill digest last, and the trail's status remembers that: the next \
                    regular one was not due, and nobody is accused of its absence.",
            failures: &[],
            others: &["digests-pending"],
            make: Make::Quiet(|it| {
                let digest = backfill(it, Some("2026-03-02T06:30:00Z"));
                let delivered = at("2026-03-02T11:50:00Z");
                assert!(it.account.objects().change(&digest.bucket, &digest.key, |object| object.last_modified = delivered));
                for answer in it.answers_of("GetTrailStatus", HOME) {
                    answer.body["LatestDigestDeliveryTime"] = json!(delivered.timestamp());
                }
                let now = caselock::model::Timestamp::new(it.account.scenario().end);
                it.window = caselock::model::Window::new(it.window.start(), now).unwrap();
            }),
        },
        Defect {
            name: "backfill-digest-edited",
            about: "The only digest that lists a log, a backfill digest, is changed.",
            failures: &["digest-signature-invalid", "log-uncovered"],
            others: &[],
            make: Make::Quiet(|it| {
                let digest = backfill(it, Some("2026-03-02T06:30:00Z"));
                it.edit(&digest, "oldestEventTime\":\"2026", "oldestEventTime\":\"2025");
            }),
        },
        Defect {
            name: "backfill-digest-without-its-time",
            about: "A backfill digest's metadata does not say when it was generated. validate-logs: invalid format.",
            failures: &["digest-backfill-time", "log-uncovered"],
            others: &[],
            make: Make::Quiet(|it| drop(backfill(it, None))),
        },
        Defect {
            name: "log-modified-that-a-backfill-digest-lists",
            about: "A log that only a backfill digest lists is changed.",
            failures: &["log-modified"],
            others: &[],
            make: Make::Quiet(|it| {
                let digest = backfill(it, Some("2026-03-02T06:30:00Z"));
                let log = it.document(&digest)["logFiles"][0]["s3Object"].as_str().unwrap().to_owned();
                it.rewrite(&caselock::model::S3Location::new(digest.bucket, log), br#"{"Records":[]}"#);
            }),
        },
    ]
}
