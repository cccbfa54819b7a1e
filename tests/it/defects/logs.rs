//! Logs that are not what CloudTrail wrote, or that it never delivered.

use caselock::cloudtrail::gzip::Limits;
use caselock::model::S3Location;
use caselock::sim::TRAIL_BUCKET;
use caselock::verify::Options;
use serde_json::json;

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, quiet};
use crate::tampering::{gzip, gzip_at};

/// A key beside a log's, of the same time.
fn named_like(log: &S3Location, unique: &str) -> String {
    log.key.replace(log.key.rsplit('_').next().unwrap(), unique)
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "log-edited",
            about: "An address in a log is changed, and the log is compressed again.",
            failures: &["log-modified"],
            others: &[],
            make: Make::Quiet(|it| it.edit(&it.log(HOME, 4), "sourceIPAddress\":\"1", "sourceIPAddress\":\"2")),
        },
        Defect {
            name: "log-replaced-by-another",
            about: "A genuine log is put in the place of another one.",
            failures: &["log-modified"],
            others: &[],
            make: Make::Quiet(|it| it.copy(&it.log(HOME, 5), &it.log(HOME, 4))),
        },
        Defect {
            name: "log-with-a-second-gzip-member",
            about: "A second gzip member with more records is appended to a log. validate-logs before 1.45.12: exit 0.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.append(&it.log(HOME, 4), &gzip(br#"{"Records":[]}"#))),
        },
        Defect {
            name: "log-with-junk-behind-it",
            about: "Bytes are appended to a log behind the gzip member.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.append(&it.log(HOME, 4), b"\0")),
        },
        Defect {
            name: "log-without-its-trailer",
            about: "The gzip trailer, with checksum and length, is cut off a log. validate-logs: valid.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.cut(&it.log(HOME, 4), 8)),
        },
        Defect {
            name: "log-with-a-wrong-checksum",
            about: "The CRC-32 in a log's gzip trailer is changed.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| {
                let log = it.log(HOME, 4);
                let mut body = it.object(&log).unwrap().body.to_vec();
                let at = body.len() - 8;
                body[at] ^= 1;
                it.overwrite(&log, body);
            }),
        },
        Defect {
            name: "log-not-compressed",
            about: "A log is stored without compression.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), it.content(&it.log(HOME, 4)))),
        },
        Defect {
            name: "log-of-no-bytes",
            about: "A log is overwritten with nothing.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), Vec::new())),
        },
        Defect {
            name: "log-that-is-a-bomb",
            about: "A log is replaced by one that unfolds to far more than its size allows.",
            failures: &["log-malformed-gzip"],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), gzip(&vec![b' '; 8 << 20]))),
        },
        Defect {
            name: "log-that-is-too-long-to-be-searched",
            about: "A genuine log unpacks to more than is searched for events: it is verified, and what it may tell of is not known.",
            failures: &[],
            others: &["log-not-searched"],
            make: Make::Own(|| {
                let it = Collection::of(&quiet());
                let keys = it.account.objects().keys(TRAIL_BUCKET, "AWSLogs/111122223333/CloudTrail/");
                let lengths = keys.into_iter().map(|key| it.content(&S3Location::new(TRAIL_BUCKET, key)).len());
                let limits = Limits { searched: lengths.max().unwrap() - 1, ..Limits::default() };
                it.case().verify_with(&Options { limits, ..Options::default() })
            }),
        },
        Defect {
            name: "log-recompressed",
            about: "A log is compressed anew; its content is the same. AWS vouches for the content, so nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| it.overwrite(&it.log(HOME, 4), gzip_at(&it.content(&it.log(HOME, 4)), 1))),
        },
        Defect {
            name: "log-planted",
            about: "A log is planted that CloudTrail never delivered. validate-logs: exit 0, unseen.",
            failures: &["log-uncovered"],
            others: &[],
            make: Make::Quiet(|it| {
                let log = it.log(HOME, 4);
                it.plant(&named_like(&log, "PlantedPlanted00.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-delivered-too-late-for-the-newest-digest",
            about: "A log of an hour that digests cover was received after the end of the newest digest: the one that will list it was not \
                    due when the evidence was collected. Nobody is accused of planting it, and it is not proven.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let log = it.log(HOME, 4);
                it.plant_at(&named_like(&log, "DeliveredLate000.json.gz"), gzip(br#"{"Records":[]}"#), "2026-03-02T11:50:00Z");
            }),
        },
        Defect {
            name: "log-delivered-late-while-a-digest-is-missing",
            about: "A log of an hour that digests cover was received hours later, and the digest of that time is deleted: it may have listed it.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, 6));
                let log = it.log(HOME, 2);
                let time = it.after(&it.digest(HOME, 6), -30);
                it.plant_at(&named_like(&log, "DeliveredLate000.json.gz"), gzip(br#"{"Records":[]}"#), &time);
            }),
        },
        Defect {
            name: "log-planted-where-a-digest-is-missing",
            about: "A log is planted in an hour whose digest is deleted: it cannot be told from that hour's own logs, and that is said.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, 4));
                let log = it.log(HOME, 4);
                it.plant(&named_like(&log, "PlantedPlanted00.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-of-a-trail-without-validation",
            about: "A second trail, without log file validation, delivers to the same bucket and prefix. Its logs are in no digest, and \
                    nobody is accused of planting them.",
            failures: &[],
            others: &["log-unproven", "validation-off"],
            make: Make::Quiet(|it| {
                let answer = it.answers_of("DescribeTrails", HOME).next().unwrap();
                let mut second = answer.body["trailList"][0].clone();
                second["Name"] = json!("unsigned");
                second["TrailARN"] = json!("arn:aws:cloudtrail:us-east-1:111122223333:trail/unsigned");
                second["LogFileValidationEnabled"] = json!(false);
                answer.body["trailList"].as_array_mut().unwrap().push(second);
                let log = it.log(HOME, 4);
                it.plant(&named_like(&log, "SecondTrail00000.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-of-a-region-whose-trails-nobody-described",
            about: "DescribeTrails was answered in one region only. A log of another that no digest lists may be of a trail of that region \
                    alone, and unsigned: nobody is accused of planting it.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.answers_of("DescribeTrails", HOME).for_each(|answer| answer.region = ABROAD.to_owned());
                let log = it.log(HOME, 4);
                it.plant(&named_like(&log, "OneRegionTrail00.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
        Defect {
            name: "log-planted-behind-the-window",
            about: "A log is planted after the newest digest, named for an hour behind the window that digests cover: its events may be of \
                    the window. That the next digest will list it is not taken for granted.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let key = it.log(HOME, -1).key;
                let [slot, unique] = [1, 0].map(|place| key.rsplit('_').nth(place).unwrap());
                let key = key.replace(slot, "20260302T1020Z").replace(unique, "PlantedPlanted00.json.gz");
                it.plant_at(&key, gzip(br#"{"Records":[]}"#), "2026-03-02T11:50:00Z");
            }),
        },
        Defect {
            name: "log-of-a-trail-out-of-scope",
            about: "Only one trail's digests were asked for, and another trail delivers to the same place: its logs are not called planted.",
            failures: &[],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.scope.trail_arn = Some(it.account.trail_arn().parse().unwrap());
                let log = it.log(HOME, 4);
                it.plant(&named_like(&log, "AnotherTrail0000.json.gz"), gzip(br#"{"Records":[]}"#));
            }),
        },
    ]
}
