//! What an opposing expert would try: a pass that is not deserved, and an accusation that is not either.

use caselock::model::{PayloadPath, S3Location, Sha256Hash};
use caselock::sim::TRAIL_NAME;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, MemoryCase};
use crate::tampering::{gzip, unlink};

const ELSEWHERE: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/elsewhere";

/// Moves the digests from number `first` on under another prefix, where a new chain begins.
fn moved(it: &Collection, first: usize) {
    let digests = it.digests(HOME);
    it.rechain(HOME, first, |number, document| {
        let object = document["digestS3Object"].as_str().unwrap().to_owned();
        document["digestS3Object"] = json!(format!("moved/{object}"));
        if number == first {
            unlink(document);
            document["logFiles"] = json!([]);
        }
    });
    digests.iter().skip(first).for_each(|digest| it.erase(digest));
}

fn set_trail(it: &mut Collection, field: &str, value: Value) {
    let answer = it.answers_of("DescribeTrails", HOME).next().unwrap();
    answer.body["trailList"][0][field] = value;
}

/// Takes all digests of a region away, as if there had never been any.
fn erase_digests(it: &Collection, region: &str) {
    it.digests(region).iter().for_each(|digest| it.erase(digest));
}

/// Takes everything of a region away.
fn erase_region(it: &Collection, region: &str) {
    for prefix in ["CloudTrail", "CloudTrail-Digest"] {
        for key in it.account.objects().keys(caselock::sim::TRAIL_BUCKET, &format!("AWSLogs/111122223333/{prefix}/{region}/")) {
            it.erase(&S3Location::new(caselock::sim::TRAIL_BUCKET, key));
        }
    }
}

fn status_days_later(it: &mut Collection, region: &str, days: i64) {
    it.at += TimeDelta::days(days);
    let said = (it.at - TimeDelta::hours(1)).timestamp();
    let answer = it.answers_of("GetTrailStatus", region).next().unwrap();
    answer.body["LatestDigestDeliveryTime"] = json!(said);
}

/// A backfill digest of the hour of digest `number` that lists the logs given, behind the one before.
fn backfill(it: &Collection, number: i64, logs: &[Value], before: Option<&S3Location>, generated: &str) -> S3Location {
    let mut document = it.document(&it.digest(HOME, number));
    unlink(&mut document);
    if let Some(before) = before {
        document["previousDigestS3Bucket"] = json!(before.bucket);
        document["previousDigestS3Object"] = json!(before.key);
        document["previousDigestHashValue"] = json!(Sha256Hash::of(&it.content(before)).to_string());
        document["previousDigestHashAlgorithm"] = json!("SHA-256");
        document["previousDigestSignature"] = json!(it.object(before).unwrap().metadata["signature"]);
    }
    let object = document["digestS3Object"].as_str().unwrap().replace(".json.gz", "_backfill.json.gz");
    document["digestS3Object"] = json!(object);
    document["logFiles"] = json!(logs);
    it.publish(HOME, &serde_json::to_vec(&document).unwrap(), Some(generated))
}

/// Signs the digests anew without the first log of two of them; gives what they said of these.
fn delayed(it: &Collection) -> (Value, Value) {
    let (mut early, mut late) = (Value::Null, Value::Null);
    it.rechain(HOME, 3, |number, document| {
        let logs = document["logFiles"].as_array_mut().unwrap();
        match number {
            3 => early = logs.remove(0),
            4 => late = logs.remove(0),
            _ => {}
        }
    });
    (early, late)
}

fn location(log: &Value) -> S3Location {
    S3Location::new(log["s3Bucket"].as_str().unwrap(), log["s3Object"].as_str().unwrap())
}

/// Adds a line to a ledger that nobody sealed, and mends nothing else.
fn add_line(case: &mut MemoryCase, change: impl FnOnce(&mut Value)) {
    case.edit_ledger(|lines| {
        let like = lines.iter().rfind(|line| line.contains("\"artifact.acquired\"") && line.contains("_CloudTrail_us-east-1_"));
        let mut line: Value = serde_json::from_str(like.unwrap()).unwrap();
        line["seq"] = json!(lines.len());
        line["prev"] = json!(Sha256Hash::of(lines.last().unwrap().as_bytes()).to_string());
        change(&mut line);
        lines.push(String::from_utf8(serde_json_canonicalizer::to_vec(&line).unwrap()).unwrap());
    });
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = passes();
    all.extend(accusations());
    all
}

/// What must not pass, or not as lightly.
fn passes() -> Vec<Defect> {
    vec![
        Defect {
            name: "outage-between-digests-that-leave-no-hole",
            about: "The trail is switched off for six minutes, and the digests around leave no hole: the hour is not proven all the same.",
            failures: &[],
            others: &["logging-off"],
            make: Make::Quiet(|it| {
                it.rechain(HOME, 5, |number, document| {
                    if number == 5 {
                        unlink(document);
                    }
                });
                let digest = it.digest(HOME, 4);
                let (off, on) = (it.after(&digest, -8), it.after(&digest, -2));
                it.history(&[("StopLogging", &off, json!({})), ("StartLogging", &on, json!({}))]);
            }),
        },
        Defect {
            name: "restart-that-an-older-stop-does-not-explain",
            about: "The trail was stopped and started again within minutes; hours later two digests are deleted before a second restart, \
                    which nothing explains. The stop must not serve as its excuse.",
            failures: &[],
            others: &["log-unproven", "logging-off", "restart-unexplained"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                it.rechain(HOME, 4, |number, document| {
                    if number == 4 || number == 7 {
                        unlink(document);
                    }
                });
                digests[5..7].iter().for_each(|digest| it.delete(digest));
                let (off, on) = (it.after(&digests[3], 10), it.after(&digests[3], 12));
                it.history(&[("StopLogging", &off, json!({})), ("StartLogging", &on, json!({}))]);
            }),
        },
        Defect {
            name: "digests-behind-a-restart-deleted-up-to-a-move",
            about: "The trail is stopped and soon started again, and hours later told to deliver elsewhere; every digest between is deleted.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                moved(it, 7);
                digests[3..7].iter().for_each(|digest| it.delete(digest));
                let (off, on, away) = (it.after(&digests[2], 10), it.after(&digests[2], 20), it.after(&digests[6], 55));
                it.history(&[
                    ("StopLogging", &off, json!({})),
                    ("StartLogging", &on, json!({})),
                    ("UpdateTrail", &away, json!({"s3KeyPrefix": "moved"})),
                ]);
            }),
        },
        Defect {
            name: "digests-before-a-move-deleted",
            about: "The trail is told to deliver under another prefix, and the three digests before that are deleted.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                moved(it, 6);
                digests[3..6].iter().for_each(|digest| it.delete(digest));
                let away = it.after(&digests[5], 10);
                it.history(&[("UpdateTrail", &away, json!({"s3KeyPrefix": "moved"}))]);
            }),
        },
        Defect {
            name: "final-digests-deleted-and-only-the-history-tells",
            about: "The trail was stopped and never started again; the digests of the five hours before are deleted, and its status was \
                    not collected. The event history says when it was stopped.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                digests[3..].iter().for_each(|digest| it.delete(digest));
                it.forget("GetTrailStatus", HOME);
                it.at += TimeDelta::hours(6);
                let off = it.after(&digests[7], 0);
                it.history(&[("StopLogging", &off, json!({}))]);
            }),
        },
        Defect {
            name: "newest-digests-deleted-behind-a-stop-of-two-seconds",
            about: "The trail is started, stopped two seconds later and started again two seconds after that; the digests of the three hours \
                    behind are deleted. The second start must not be taken for the first: it recorded.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                digests[digests.len() - 3..].iter().for_each(|digest| it.delete(digest));
                let on = it.ends(&digests[digests.len() - 4]) + TimeDelta::minutes(1);
                let seconds = |count| (on + TimeDelta::seconds(count)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
                it.history(&[
                    ("StartLogging", &seconds(0), json!({})),
                    ("StopLogging", &seconds(2), json!({})),
                    ("StartLogging", &seconds(4), json!({})),
                ]);
            }),
        },
        Defect {
            name: "newest-digest-deleted-and-an-older-status-read-last",
            about: "The newest digest is deleted between two runs of collect. The answer of the first run, which knew of the digest before \
                    only, is read after that of the second.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let before = it.object(&it.digest(HOME, -2)).unwrap().last_modified.timestamp();
                it.delete(&it.digest(HOME, -1));
                let newer = it.answers_of("GetTrailStatus", HOME).next().unwrap();
                newer.date = Some("2026-03-02T12:00:00Z".parse().unwrap());
                let mut older = newer.clone();
                older.date = Some("2026-03-02T10:30:00Z".parse().unwrap());
                older.body["LatestDigestDeliveryTime"] = json!(before);
                it.answers.push(older);
            }),
        },
        Defect {
            name: "stop-of-another-accounts-trail",
            about: "The newest digest is deleted. A proven event says that a trail of the same name was stopped, in another account: it must \
                    not explain anything.",
            failures: &[],
            others: &["digests-end", "log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, -1));
                it.forget("GetTrailStatus", HOME);
                it.at += TimeDelta::hours(6);
                let record = json!({"eventName": "StopLogging", "eventTime": it.after(&it.digest(HOME, -2), 2),
                    "eventSource": "cloudtrail.amazonaws.com", "awsRegion": HOME, "recipientAccountId": "444455556666",
                    "requestParameters": {"name": TRAIL_NAME}});
                let shown = json!({"Events": [{"EventName": "StopLogging", "CloudTrailEvent": record.to_string()}]});
                it.answer("LookupEvents", HOME, &[("EventName", "StopLogging")], shown);
            }),
        },
        Defect {
            name: "trail-narrowed-to-one-region",
            about: "The trail is made one of its home region alone, and every digest of the other region is deleted; the logs stay. What \
                    AWS says of the trail today does not mention that region.",
            failures: &["all-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                erase_digests(it, ABROAD);
                it.forget("GetTrailStatus", ABROAD);
                set_trail(it, "IsMultiRegionTrail", json!(false));
                let narrowed = it.after(&it.digest(HOME, 7), 0);
                it.history(&[("UpdateTrail", &narrowed, json!({"isMultiRegionTrail": false}))]);
            }),
        },
        Defect {
            name: "trail-narrowed-and-everything-abroad-deleted",
            about: "The same, and the logs are deleted, too: nothing shows that anything was recorded there, and nothing is proven.",
            failures: &[],
            others: &["no-digests"],
            make: Make::Quiet(|it| {
                erase_region(it, ABROAD);
                it.forget("GetTrailStatus", ABROAD);
                set_trail(it, "IsMultiRegionTrail", json!(false));
                let narrowed = it.after(&it.digest(HOME, 7), 0);
                it.history(&[("UpdateTrail", &narrowed, json!({"isMultiRegionTrail": false}))]);
            }),
        },
        Defect {
            name: "validation-switched-off-and-digests-deleted",
            about: "Log file validation is switched off, and all digests are deleted: AWS does not count the trail among the signed ones \
                    any more, but it was.",
            failures: &["all-digests-missing"],
            others: &["log-unproven", "validation-off"],
            make: Make::Quiet(|it| {
                let off = it.after(&it.digest(HOME, 7), 0);
                erase_digests(it, HOME);
                erase_digests(it, ABROAD);
                set_trail(it, "LogFileValidationEnabled", json!(false));
                it.history(&[("UpdateTrail", &off, json!({"enableLogFileValidation": false}))]);
            }),
        },
        Defect {
            name: "trail-deleted-with-all-it-delivered",
            about: "Another trail is deleted within the window, and all that it delivered: only the event history knows of it.",
            failures: &[],
            others: &["trail-gone"],
            make: Make::Quiet(|it| {
                let deleted = it.after(&it.digest(HOME, 5), 0);
                let record = json!({"eventName": "DeleteTrail", "eventTime": deleted, "eventSource": "cloudtrail.amazonaws.com",
                    "awsRegion": HOME, "recipientAccountId": "111122223333", "sourceIPAddress": "203.0.113.77",
                    "userIdentity": {"arn": "arn:aws:iam::111122223333:user/contractor"}, "requestParameters": {"name": ELSEWHERE}});
                let shown = json!({"Events": [{"EventName": "DeleteTrail", "CloudTrailEvent": record.to_string()}]});
                it.answer("LookupEvents", HOME, &[("EventName", "DeleteTrail")], shown);
            }),
        },
        Defect {
            name: "backfill-digest-deleted-with-its-log",
            about: "A backfill digest is deleted together with the late log that it alone lists; the next backfill digest names it.",
            failures: &["digest-missing"],
            others: &[],
            make: Make::Quiet(|it| {
                let (early, late) = delayed(it);
                let first = backfill(it, 3, std::slice::from_ref(&early), None, "2026-03-02T06:10:00Z");
                backfill(it, 4, &[late], Some(&first), "2026-03-02T06:50:00Z");
                it.delete(&first);
                it.delete(&location(&early));
            }),
        },
        Defect {
            name: "newest-backfill-digest-deleted-with-its-log",
            about: "The only backfill digest is deleted together with the late log that it alone lists. No digest names either; a data event in a \
                    proven log does.",
            failures: &[],
            others: &["file-deleted"],
            make: Make::Quiet(|it| {
                let (early, late) = delayed(it);
                let digest = backfill(it, 4, &[early.clone(), late], None, "2026-03-02T06:30:00Z");
                it.plant_proven_deletions(&[location(&early), digest.clone()]);
                let late = it.document(&digest)["logFiles"][1].clone();
                for gone in [location(&early), location(&late), digest] {
                    it.delete(&gone);
                }
            }),
        },
        Defect {
            name: "object-that-is-in-the-case-twice",
            about: "Somebody who can write to an unsealed case adds a second file for a log that is there, with a line in the ledger that \
                    holds by itself.",
            failures: &["artifact-misplaced"],
            others: &[],
            make: Make::Case(|case| {
                let other = S3Location::new("example-corp", "notes.txt");
                let (path, bytes) = (PayloadPath::for_object(&other).to_string(), gzip(br#"{"Records":[]}"#));
                add_line(case, |line| {
                    line["path"] = json!(path);
                    line["size"] = json!(bytes.len());
                    line["sha256"] = json!(Sha256Hash::of(&bytes).to_string());
                });
                case.files.insert(path, bytes);
            }),
        },
    ]
}

/// Whom nobody may accuse.
fn accusations() -> Vec<Defect> {
    vec![
        Defect {
            name: "backfill-digests-not-in-the-order-of-their-hours",
            about: "AWS writes a backfill digest for a later hour first, and then one for an earlier hour that names it as the one before. \
                    Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                let (early, late) = delayed(it);
                let first = backfill(it, 4, &[late], None, "2026-03-02T06:10:00Z");
                backfill(it, 3, &[early], Some(&first), "2026-03-02T06:50:00Z");
            }),
        },
        Defect {
            name: "backfill-chain-that-began-long-before",
            about: "The first backfill digest of the window names one of weeks ago, which was not in scope. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                let (early, late) = delayed(it);
                let ancient = S3Location::new(
                    caselock::sim::TRAIL_BUCKET,
                    "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/02/01/111122223333_CloudTrail-Digest_us-east-1_\
                     management-events_us-east-1_20260201T004121Z_backfill.json.gz",
                );
                let digest = backfill(it, 4, &[early, late], None, "2026-03-02T06:30:00Z");
                let mut document = it.document(&digest);
                document["previousDigestS3Bucket"] = json!(ancient.bucket);
                document["previousDigestS3Object"] = json!(ancient.key);
                document["previousDigestHashValue"] = json!("11".repeat(32));
                document["previousDigestHashAlgorithm"] = json!("SHA-256");
                document["previousDigestSignature"] = json!("22".repeat(256));
                it.publish(HOME, &serde_json::to_vec(&document).unwrap(), Some("2026-03-02T06:30:00Z"));
            }),
        },
        Defect {
            name: "region-that-was-enabled-after-the-window",
            about: "Days after the window a region is enabled, and its trail delivers by the time of collection. That there is nothing of the \
                    window is no sign of tampering.",
            failures: &[],
            others: &["log-unproven", "no-digests"],
            make: Make::Quiet(|it| {
                erase_region(it, ABROAD);
                status_days_later(it, ABROAD, 5);
            }),
        },
        Defect {
            name: "all-digests-of-a-region-deleted-days-before-collection",
            about: "All digests of a region are deleted, and collected is days later. The logs of that region, and the digests of the other, \
                    show that it was signed then.",
            failures: &["all-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                erase_digests(it, ABROAD);
                status_days_later(it, ABROAD, 5);
            }),
        },
        Defect {
            name: "trail-deleted-and-made-again-after-the-window",
            about: "The trail is deleted in the window, its last digests are there, and days later a trail of that name is made: its status \
                    remembers digests of its own, which say nothing about the old one.",
            failures: &[],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                let deleted = it.after(&digests[6], -1);
                for (number, digest) in digests.iter().enumerate().skip(7) {
                    it.logs(HOME, number.try_into().unwrap()).iter().for_each(|log| it.erase(log));
                    it.erase(digest);
                }
                let fresh: Vec<String> =
                    it.account.objects().keys(caselock::sim::TRAIL_BUCKET, "AWSLogs/111122223333/CloudTrail/us-east-1/");
                let last = format!("_{}", it.ends(&digests[6]).format("%Y%m%dT%H%MZ"));
                for key in fresh
                    .into_iter()
                    .filter(|key| key.rsplit('/').next().unwrap().split_once("us-east-1").unwrap().1 > last.as_str())
                {
                    it.erase(&S3Location::new(caselock::sim::TRAIL_BUCKET, key));
                }
                it.history(&[("DeleteTrail", &deleted, json!({}))]);
                let started = (it.at + TimeDelta::days(2)).timestamp();
                status_days_later(it, HOME, 5);
                let answer = it.answers_of("GetTrailStatus", HOME).next().unwrap();
                answer.body["StartLoggingTime"] = json!(started);
            }),
        },
    ]
}
