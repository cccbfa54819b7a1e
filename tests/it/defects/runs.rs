//! What a later run can and cannot take back of what an earlier one proves.

use caselock::case::event::{Gap, GapReason, Listing};
use caselock::model::{S3Location, Window};
use caselock::sim::TRAIL_BUCKET;
use chrono::TimeDelta;
use serde_json::json;

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, LaterRun, end};

const OWN: &str = "111122223333";
const OTHER: &str = "444455556666";

fn gap(it: &mut Collection, what: &str) {
    it.gaps.push(Gap {
        source: "cloudtrail".to_owned(),
        account: None,
        region: None,
        what: what.to_owned(),
        reason: GapReason::Denied,
        error_code: Some("AccessDenied".to_owned()),
        detail: None,
        request_id: None,
    });
}

/// That the first run was refused the digests of the home region.
fn refuse_digests(it: &mut Collection) {
    gap(it, &format!("digests under s3://{TRAIL_BUCKET}/AWSLogs/{OWN}/CloudTrail-Digest/{HOME}/"));
}

/// What AWS said of the trail at home, and what it says a day later: nothing of digests any more.
fn later_status(it: &mut Collection) -> LaterRun {
    let mut answer = it.answers_of("GetTrailStatus", HOME).next().unwrap().clone();
    answer.body.as_object_mut().unwrap().remove("LatestDigestDeliveryTime");
    answer.date = Some("2026-03-03T12:00:00Z".parse().unwrap());
    LaterRun { answers: vec![answer], ..LaterRun::new() }
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = unfinished();
    all.extend(finished());
    all
}

/// Narrows the window to its first hour, and has a log of hours later hold events of it, as the newest digest says; gives the two.
fn late_log(it: &mut Collection) -> (S3Location, S3Location) {
    it.window = Window::new(it.window.start(), it.window.start().plus_seconds(3600)).unwrap();
    it.rule = Listing::rule_for_days("from 15 minutes before the window to 2 hours after it");
    let (digest, log, at) = (it.digest(HOME, -1), it.log(HOME, -1), it.window.start().plus_seconds(1800).to_string());
    it.resign(HOME, &digest, |document| {
        let listed = document["logFiles"].as_array_mut().unwrap();
        let listed = listed.iter_mut().find(|listed| listed["s3Object"] == json!(log.key)).unwrap();
        (listed["oldestEventTime"], listed["newestEventTime"]) = (json!(at), json!(at));
    });
    (digest, log)
}

fn unfinished() -> Vec<Defect> {
    vec![
        Defect {
            name: "digest-deleted-and-a-later-run-killed",
            about: "A digest is deleted, as a run that came to its end shows; another one is killed right after it began.",
            failures: &["digest-missing"],
            others: &["collection-unfinished", "log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, 5));
                it.later.push(LaterRun { lists: false, finished: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "newest-digests-deleted-and-a-later-run-killed",
            about: "The three newest digests are deleted, as the trail's status shows; another run is killed right after it began.",
            failures: &["newest-digests-missing"],
            others: &["collection-unfinished", "log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                digests[digests.len() - 4..].iter().for_each(|digest| it.delete(digest));
                it.later.push(LaterRun { lists: false, finished: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "log-deleted-and-a-later-run-killed",
            about: "A log is deleted, as a run that came to its end shows; another one is killed right after it began.",
            failures: &["log-missing"],
            others: &["collection-unfinished"],
            make: Make::Quiet(|it| {
                it.delete(&it.log(HOME, 4));
                it.later.push(LaterRun { lists: false, finished: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "digests-delivered-late-and-a-later-run-killed",
            about: "AWS could not deliver the last five digests for seven hours. A run that came to its end before could not meet them; the next one \
                    stored those behind the first of them, and was killed. Nobody is accused.",
            failures: &[],
            others: &["collection-unfinished", "digest-missing", "log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                let late = digests[digests.len() - 5..].to_vec();
                let newest = it.object(&digests[digests.len() - 6]).unwrap().last_modified.timestamp();
                it.answers_of("GetTrailStatus", HOME)
                    .for_each(|answer| answer.body["LatestDigestDeliveryTime"] = json!(newest));
                for digest in &late {
                    let at = end() + TimeDelta::hours(7);
                    assert!(it.account.objects().change(TRAIL_BUCKET, &digest.key, |object| object.last_modified = at));
                    it.left_out.insert(digest.clone());
                }
                it.later.push(LaterRun { lists: false, stores: late[1..].to_vec(), finished: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "late-log-that-a-killed-run-did-not-come-to",
            about: "A log came hours late, and only a digest names it that the first run could not read. The next one stored that, and was killed. \
                    Nobody is accused.",
            failures: &[],
            others: &["collection-unfinished", "gap-failed", "log-missing"],
            make: Make::Quiet(|it| {
                let (digest, log) = late_log(it);
                it.left_out.extend([digest.clone(), log]);
                let folder = format!("s3://{TRAIL_BUCKET}/AWSLogs/{OWN}/CloudTrail-Digest/{HOME}/");
                gap(it, &format!("late logs that 1 digests in {folder} name"));
                it.gaps.last_mut().unwrap().reason = GapReason::Failed;
                it.later.push(LaterRun { lists: false, stores: vec![digest], finished: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "late-log-deleted-and-a-later-run-killed",
            about: "A log came hours late and was deleted; a run had the digest that names it, and came to its end. Another one is killed.",
            failures: &["log-missing"],
            others: &["collection-unfinished"],
            make: Make::Quiet(|it| {
                let (_, log) = late_log(it);
                it.delete(&log);
                it.later.push(LaterRun { lists: false, finished: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "digest-and-log-that-a-killed-run-did-not-come-to",
            about: "The only run was killed before it had fetched a digest and a log. Nobody is accused.",
            failures: &[],
            others: &["collection-unfinished", "digest-missing", "log-missing", "log-unproven"],
            make: Make::Quiet(|it| {
                it.left_out.extend([it.digest(HOME, 5), it.log(HOME, 4)]);
                it.finished = false;
            }),
        },
    ]
}

fn finished() -> Vec<Defect> {
    vec![
        Defect {
            name: "region-erased-and-left-out-of-a-later-answer",
            about: "Everything of a region is deleted; in a later run AWS does not name the region any more.",
            failures: &["all-digests-missing"],
            others: &["log-unproven", "region-not-asked-again"],
            make: Make::Quiet(|it| {
                for kind in ["CloudTrail", "CloudTrail-Digest"] {
                    for key in it.account.objects().keys(TRAIL_BUCKET, &format!("AWSLogs/{OWN}/{kind}/{ABROAD}/")) {
                        it.erase(&S3Location::new(TRAIL_BUCKET, key));
                    }
                }
                it.later.push(LaterRun { regions: vec![HOME], ..LaterRun::new() });
            }),
        },
        Defect {
            name: "digest-deleted-and-the-first-run-was-refused",
            about: "A digest is deleted. The first run was refused the listing of its folder; the second one, as another account, listed all of it.",
            failures: &["digest-missing"],
            others: &["gap-denied", "log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, 5));
                refuse_digests(it);
                it.later.push(LaterRun { account: OTHER, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "digest-deleted-where-nobody-could-list",
            about: "A digest is not there, and neither of two runs could list its folder. Nobody is accused.",
            failures: &[],
            others: &["gap-denied", "log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, 5));
                refuse_digests(it);
                it.later.push(LaterRun { account: OTHER, lists: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "newest-digests-deleted-and-a-later-status-without-any",
            about: "The three newest digests are deleted, as the trail's status showed; when it was asked again, it told of no digest.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                digests[digests.len() - 4..].iter().for_each(|digest| it.delete(digest));
                let later = later_status(it);
                it.later.push(later);
            }),
        },
        Defect {
            name: "digest-delivered-behind-the-listing-and-another-account-collects",
            about: "While the window's last hours are collected, a digest is delivered behind the listing, and the trail's status tells of it. A later \
                    run of another account does not look there. Nothing is wrong.",
            failures: &[],
            others: &["digests-pending"],
            make: Make::Quiet(|it| {
                it.window = Window::new(it.window.start(), caselock::model::Timestamp::new(end())).unwrap();
                let said = (end() + TimeDelta::minutes(40)).timestamp();
                it.answers_of("GetTrailStatus", HOME).for_each(|answer| answer.body["LatestDigestDeliveryTime"] = json!(said));
                it.later.push(LaterRun { account: OTHER, lists: false, ..LaterRun::new() });
            }),
        },
        Defect {
            name: "answer-cut-short-and-given-again",
            about: "AWS's answer about the trails was cut short, and given whole when it was asked again. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| {
                let mut cut = it.answers_of("DescribeTrails", HOME).next().unwrap().clone();
                cut.body = json!("trailList");
                it.answers.insert(0, cut);
            }),
        },
        Defect {
            name: "marker-of-a-deletion-of-nothing",
            about: "In a bucket that keeps versions, somebody deletes a log that never was: the marker alone accuses nobody.",
            failures: &[],
            others: &["file-deleted"],
            make: Make::Quiet(|it| {
                it.versions = true;
                let log = it.log(HOME, 4);
                let (front, _) = log.key.rsplit_once('_').unwrap();
                it.delete_what_never_was(&format!("{front}_AAAAAAAAAAAAAAAA.json.gz"));
            }),
        },
    ]
}
