//! Whose digests must be there: those of every region and account that the trail recorded, unless collect could not look.

use caselock::case::event::{Gap, GapReason};
use caselock::model::S3Location;
use caselock::sim::{Scenario, TRAIL_BUCKET, TRAIL_NAME};
use serde_json::{Value, json};

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, quiet};

const OWN: &str = "111122223333";
const MEMBER: &str = "444455556666";
const THIRD: &str = "us-west-2";

/// Takes everything of an account and region away, as if there had never been any.
fn erase(it: &Collection, account: &str, region: &str) {
    for key in it.account.objects().keys(TRAIL_BUCKET, "") {
        if key.contains(&format!("/{account}/")) && key.contains(&format!("/{region}/")) {
            it.erase(&S3Location::new(TRAIL_BUCKET, key));
        }
    }
}

/// Makes the trail one of an organization with two accounts, each with digests and logs in both regions.
fn organize(it: &mut Collection) {
    organize_in(it, [(OWN, "o-exampleorg/"), (MEMBER, "o-exampleorg/")]);
}

/// The same, with the folder in which the files of each account lie: without one, they are of a trail of its own.
fn organize_in(it: &mut Collection, accounts: [(&str, &str); 2]) {
    let originals = it.account.objects().keys(TRAIL_BUCKET, "AWSLogs/");
    for (account, folder) in accounts {
        let there = |key: &str| key.replace("AWSLogs/", &format!("AWSLogs/{folder}")).replace(OWN, account);
        for region in [HOME, ABROAD] {
            it.rechain(region, 0, |_, document| {
                document["awsAccountId"] = json!(account);
                document["digestS3Object"] = json!(there(document["digestS3Object"].as_str().unwrap()));
                for log in document["logFiles"].as_array_mut().unwrap() {
                    let from = S3Location::new(TRAIL_BUCKET, log["s3Object"].as_str().unwrap());
                    let to = S3Location::new(TRAIL_BUCKET, there(&from.key));
                    it.copy(&from, &to);
                    log["s3Object"] = json!(to.key);
                }
            });
        }
    }
    for key in originals {
        it.erase(&S3Location::new(TRAIL_BUCKET, key));
    }
    it.answers_of("DescribeTrails", HOME).for_each(|answer| {
        answer.body["trailList"][0]["IsOrganizationTrail"] = json!(true);
    });
}

/// Records that something about a place could not be had.
fn gap(it: &mut Collection, what: &str, reason: GapReason, code: Option<&str>) {
    it.gaps.push(Gap {
        source: "cloudtrail".to_owned(),
        account: Some(OWN.parse().unwrap()),
        region: Some(HOME.parse().unwrap()),
        what: what.to_owned(),
        reason,
        error_code: code.map(str::to_owned),
        detail: None,
        request_id: None,
    });
}

/// Says that AWS was asked as the member as well, and of which trails it told that one.
fn ask_as_member(it: &mut Collection, trails: impl FnOnce(&mut Value)) {
    it.also_as.push(MEMBER);
    let mut answer = it.answers_of("DescribeTrails", HOME).next().unwrap().clone();
    answer.account = MEMBER;
    trails(&mut answer.body["trailList"]);
    it.answers.push(answer);
}

pub(super) fn all() -> Vec<Defect> {
    let mut all = regions_and_accounts();
    all.extend(trails_of_one_name());
    all.extend(accounts_that_were_asked_for());
    all.extend(gaps_that_hide_nothing());
    all.extend(places_that_were_not_listed());
    all
}

/// Lets AWS's event history tell what was done in an account to a trail of the name.
fn happened(it: &mut Collection, account: &str, acts: &[(&str, &str)]) {
    let event = |(name, time): &(&str, &str)| {
        let record = json!({"eventName": name, "eventTime": time, "eventSource": "cloudtrail.amazonaws.com", "awsRegion": HOME,
            "eventID": format!("event-of-{time}"), "recipientAccountId": account, "sourceIPAddress": "203.0.113.77",
            "userIdentity": {"arn": format!("arn:aws:iam::{account}:user/contractor")}, "requestParameters": {"name": TRAIL_NAME}});
        json!({"EventName": name, "CloudTrailEvent": record.to_string()})
    };
    let shown: Vec<serde_json::Value> = acts.iter().map(event).collect();
    it.answer("LookupEvents", HOME, &[("EventName", "StopLogging")], json!({"Events": shown}));
}

/// A member of an organization may have a trail of its own, of the same name as the organization's.
fn trails_of_one_name() -> Vec<Defect> {
    vec![
        Defect {
            name: "newest-digests-of-an-organization-deleted-and-a-member-stops-its-own-trail",
            about: "The newest digests that an organization's trail delivered of its owner are deleted. Right after the last that is left, a member \
                    stops a trail of its own that has the same name: that is no excuse.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                let stopped = it.after(&it.digest(HOME, -5), 3);
                let newest = it.digests(HOME);
                organize(it);
                for digest in &newest[newest.len() - 4..] {
                    let key = digest.key.replace("AWSLogs/", "AWSLogs/o-exampleorg/");
                    it.delete(&S3Location::new(TRAIL_BUCKET, key));
                }
                happened(it, MEMBER, &[("StopLogging", &stopped)]);
            }),
        },
        Defect {
            name: "member-switches-its-own-trail-of-the-organizations-name",
            about: "A member of an organization switches a trail of its own off for two hours, which has the name of the organization's. That one \
                    recorded all the time.",
            failures: &[],
            others: &["organization-members-unknown"],
            make: Make::Quiet(|it| {
                let (off, on) = (it.after(&it.digest(HOME, 4), 3), it.after(&it.digest(HOME, 6), 3));
                organize(it);
                happened(it, MEMBER, &[("StopLogging", &off), ("StartLogging", &on)]);
            }),
        },
        Defect {
            name: "outage-of-an-organizations-trail-or-a-members",
            about: "The same, and nothing in the case describes the organization's trail: whose trail was switched off is not known, and that is said.",
            failures: &[],
            others: &["logging-off", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                let (off, on) = (it.after(&it.digest(HOME, 4), 3), it.after(&it.digest(HOME, 6), 3));
                organize(it);
                it.forget("DescribeTrails", HOME);
                happened(it, MEMBER, &[("StopLogging", &off), ("StartLogging", &on)]);
            }),
        },
    ]
}

/// Gaps that say nothing of what is there now, or of where the trail delivers.
fn gaps_that_hide_nothing() -> Vec<Defect> {
    vec![
        Defect {
            name: "digest-deleted-beside-a-mark-without-versions",
            about: "A digest is deleted in mid-chain, and of another one nothing but a delete marker is left, which collect records as a gap. \
                    The listing of what is there was complete: the gap excuses nothing.",
            failures: &["digest-missing"],
            others: &["gap-failed", "log-unproven"],
            make: Make::Quiet(|it| {
                it.erase(&it.digest(HOME, 4));
                let folder = format!("s3://{TRAIL_BUCKET}/AWSLogs/{OWN}/CloudTrail-Digest/{HOME}/");
                gap(it, &format!("1 deleted digests under {folder}"), GapReason::Failed, None);
            }),
        },
        Defect {
            name: "newest-digest-deleted-and-versions-not-to-be-listed",
            about: "The newest digest is deleted, and the permission to list versions was missing. The listing of what is there was complete.",
            failures: &["newest-digests-missing"],
            others: &["gap-denied", "log-unproven"],
            make: Make::Quiet(|it| {
                it.erase(&it.digest(HOME, -1));
                let folder = format!("s3://{TRAIL_BUCKET}/AWSLogs/{OWN}/CloudTrail-Digest/{HOME}/");
                gap(it, &format!("earlier versions of digests under {folder}"), GapReason::Denied, Some("AccessDenied"));
            }),
        },
        Defect {
            name: "newest-digest-deleted-and-another-bucket-not-to-be-listed",
            about: "The newest digest is deleted, and another trail delivers to a bucket that could not be listed, as an opponent can arrange: \
                    no digest of this chain can lie there.",
            failures: &["newest-digests-missing"],
            others: &["gap-denied", "log-unproven"],
            make: Make::Quiet(|it| {
                it.erase(&it.digest(HOME, -1));
                gap(it, "listing of s3://example-opponent/AWSLogs/", GapReason::Denied, Some("AccessDenied"));
            }),
        },
    ]
}

/// Says that the trail delivers to another bucket by now.
fn move_away(it: &mut Collection) {
    it.answers_of("DescribeTrails", HOME).for_each(|answer| {
        answer.body["trailList"][0]["S3BucketName"] = json!("example-corp-elsewhere");
    });
}

/// Nobody is accused of what lies where nobody looked.
fn places_that_were_not_listed() -> Vec<Defect> {
    vec![
        Defect {
            name: "bucket-of-before-a-move-collected",
            about: "The trail was told to deliver to another bucket within the window, and only the one before is collected, by its name. Nothing \
                    is deleted.",
            failures: &[],
            others: &["log-unproven", "not-looked-for"],
            make: Make::Quiet(|it| {
                it.scope.bucket = Some(TRAIL_BUCKET.to_owned());
                move_away(it);
                for region in [HOME, ABROAD] {
                    it.digests(region)[6..].iter().for_each(|digest| it.erase(digest));
                }
                let away = it.after(&it.digest(HOME, 5), 30);
                it.history(&[("UpdateTrail", &away, json!({"s3BucketName": "example-corp-elsewhere"}))]);
            }),
        },
        Defect {
            name: "digests-before-a-move-to-another-bucket-deleted",
            about: "The same, and the three digests before the move are deleted where collect looked.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven", "not-looked-for"],
            make: Make::Quiet(|it| {
                it.scope.bucket = Some(TRAIL_BUCKET.to_owned());
                move_away(it);
                let away = it.after(&it.digest(HOME, 5), 30);
                it.digests(HOME)[3..].iter().for_each(|digest| it.erase(digest));
                it.digests(ABROAD)[6..].iter().for_each(|digest| it.erase(digest));
                it.history(&[("UpdateTrail", &away, json!({"s3BucketName": "example-corp-elsewhere"}))]);
            }),
        },
        Defect {
            name: "digest-of-before-a-move-delivered-behind-it",
            about: "The same, and the trail was told to deliver elsewhere while the digest of the hour before was on its way: it lies where nobody \
                    looked. Nothing is deleted.",
            failures: &[],
            others: &["log-unproven", "not-looked-for"],
            make: Make::Quiet(|it| {
                it.scope.bucket = Some(TRAIL_BUCKET.to_owned());
                move_away(it);
                for region in [HOME, ABROAD] {
                    it.digests(region)[6..].iter().for_each(|digest| it.erase(digest));
                }
                let away = it.after(&it.digest(HOME, 5), 80);
                it.history(&[("UpdateTrail", &away, json!({"s3BucketName": "example-corp-elsewhere"}))]);
            }),
        },
        Defect {
            name: "digests-deleted-and-the-trail-moved-after-the-window",
            about: "The newest digests of the window are deleted, and after the window the trail is told to deliver where nobody can look: until then \
                    it delivered here.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven", "not-looked-for"],
            make: Make::Quiet(|it| {
                it.scope.bucket = Some(TRAIL_BUCKET.to_owned());
                move_away(it);
                let away = it.after(&it.digest(HOME, -1), 49);
                it.digests(HOME)[3..].iter().for_each(|digest| it.erase(digest));
                it.history(&[("UpdateTrail", &away, json!({"s3BucketName": "example-corp-elsewhere"}))]);
            }),
        },
        Defect {
            name: "trail-of-an-account-out-of-scope",
            about: "Another account's files are asked for, and there are none. That the trail of the account that asks is signed, and that none of \
                    its digests were collected, is no deletion.",
            failures: &[],
            others: &["no-digests", "nothing-to-verify"],
            make: Make::Quiet(|it| {
                it.scope.accounts = vec![MEMBER.parse().unwrap()];
                erase(it, OWN, HOME);
                erase(it, OWN, ABROAD);
            }),
        },
        Defect {
            name: "region-erased-beside-a-bucket-that-was-named",
            about: "The bucket of another, deleted trail is named, and that of the trail there is collected besides. All that it delivered abroad is \
                    erased, and its status there could not be asked for.",
            failures: &[],
            others: &["no-digests"],
            make: Make::Quiet(|it| {
                it.scope.bucket = Some("example-corp-old".to_owned());
                it.forget("GetTrailStatus", ABROAD);
                erase(it, OWN, ABROAD);
            }),
        },
        Defect {
            name: "bucket-that-was-not-listed",
            about: "The trail's bucket could not be looked into, and its status remembers digests: nobody deleted them for all that is known.",
            failures: &[],
            others: &["not-looked-for"],
            make: Make::Quiet(|it| {
                it.not_listed.insert(TRAIL_BUCKET.to_owned());
                erase(it, OWN, HOME);
                erase(it, OWN, ABROAD);
            }),
        },
    ]
}

/// Whoever is named, or was asked, is not missing without a word.
fn accounts_that_were_asked_for() -> Vec<Defect> {
    vec![
        Defect {
            name: "account-that-was-asked-for-erased",
            about: "Two accounts are asked for by their numbers. Of one there is nothing: neither a file nor a trail that AWS names.",
            failures: &[],
            others: &["no-digests"],
            make: Make::Quiet(|it| it.scope.accounts = vec![OWN.parse().unwrap(), MEMBER.parse().unwrap()]),
        },
        Defect {
            name: "account-that-was-asked-for",
            about: "The account whose files are there is asked for by its number. Nothing is wrong.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| it.scope.accounts = vec![OWN.parse().unwrap()]),
        },
        Defect {
            name: "member-of-an-organization-that-was-asked-for-erased",
            about: "Two accounts of an organization are asked for by their numbers; everything that its trail delivered of one is erased.",
            failures: &[],
            others: &["no-digests", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                it.scope.accounts = vec![OWN.parse().unwrap(), MEMBER.parse().unwrap()];
                erase(it, MEMBER, HOME);
                erase(it, MEMBER, ABROAD);
            }),
        },
        Defect {
            name: "members-of-an-organization-that-were-asked-for",
            about: "Two accounts of an organization are asked for by their numbers, and AWS was asked as both. Nothing is wrong.",
            failures: &[],
            others: &["organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                ask_as_member(it, |_| {});
                it.scope.accounts = vec![OWN.parse().unwrap(), MEMBER.parse().unwrap()];
            }),
        },
        Defect {
            name: "member-of-an-organization-that-collects-erased",
            about: "AWS was asked as two accounts of an organization; everything that its trail delivered of one is erased.",
            failures: &[],
            others: &["no-digests", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                ask_as_member(it, |_| {});
                erase(it, MEMBER, HOME);
                erase(it, MEMBER, ABROAD);
            }),
        },
        Defect {
            name: "member-of-an-organization-erased-and-taken-out-of-it",
            about: "The same, and the account was taken out of the organization, so that AWS does not name the trail to it any more.",
            failures: &[],
            others: &["no-digests", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                ask_as_member(it, |trails| *trails = json!([]));
                erase(it, MEMBER, HOME);
                erase(it, MEMBER, ABROAD);
            }),
        },
        Defect {
            name: "trail-of-an-organization-narrowed-after-the-window-and-everything-abroad-deleted",
            about: "After the window an organization's trail is made one of its home region alone, and everything of the other region is deleted, \
                    of all accounts.",
            failures: &[],
            others: &["no-digests", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                erase(it, OWN, ABROAD);
                erase(it, MEMBER, ABROAD);
                it.forget("GetTrailStatus", ABROAD);
                it.answers_of("DescribeTrails", HOME).for_each(|answer| {
                    answer.body["trailList"][0]["IsMultiRegionTrail"] = json!(false);
                });
                it.history(&[("UpdateTrail", "2026-03-02T11:30:00Z", json!({"isMultiRegionTrail": false}))]);
            }),
        },
        Defect {
            name: "account-of-no-organization-that-collects-too",
            about: "AWS was asked as the owner of an organization's trail and as an account outside of it, whose own trail lies here too. That \
                    the organization's trail delivered nothing of that one is as it should be.",
            failures: &[],
            others: &["organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize_in(it, [(OWN, "o-exampleorg/"), (MEMBER, "")]);
                ask_as_member(it, |trails| {
                    trails[0]["TrailARN"] = json!(trails[0]["TrailARN"].as_str().unwrap().replace(OWN, MEMBER));
                    trails[0]["IsOrganizationTrail"] = json!(false);
                });
            }),
        },
    ]
}

fn regions_and_accounts() -> Vec<Defect> {
    vec![
        Defect {
            name: "trail-of-an-organization",
            about: "A trail of an organization with two accounts; nothing is wrong. That there may have been others is said.",
            failures: &[],
            others: &["organization-members-unknown"],
            make: Make::Quiet(organize),
        },
        Defect {
            name: "region-of-an-organizations-member-erased",
            about: "Everything that an organization's trail delivered of one member in one region is erased from a bucket without versions.",
            failures: &[],
            others: &["no-digests", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                erase(it, MEMBER, ABROAD);
            }),
        },
        Defect {
            name: "member-of-an-organization-erased",
            about: "Everything that an organization's trail delivered of one member is erased. Nothing in the case names that member; the \
                    accounts that are known are named, so that they can be compared with the organization's own list.",
            failures: &[],
            others: &["organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                erase(it, MEMBER, HOME);
                erase(it, MEMBER, ABROAD);
            }),
        },
        Defect {
            name: "region-of-an-organizations-trail-erased-and-a-member-collects",
            about: "A member of an organization collects, whose trail another account owns; everything of its own in one region is erased.",
            failures: &[],
            others: &["no-digests", "organization-members-unknown"],
            make: Make::Quiet(|it| {
                organize(it);
                let arn = it.account.trail_arn().replace(OWN, MEMBER);
                it.answers_of("DescribeTrails", HOME).for_each(|answer| {
                    answer.body["trailList"][0]["TrailARN"] = json!(arn);
                });
                for region in [HOME, ABROAD] {
                    it.answers_of("GetTrailStatus", region).for_each(|answer| {
                        answer.parameters.insert("Name".to_owned(), arn.clone());
                    });
                }
                erase(it, OWN, ABROAD);
            }),
        },
        Defect {
            name: "region-of-a-deleted-trail-erased",
            about: "A trail of all regions is deleted, and its bucket is collected by name; all that it delivered in one of three regions is \
                    erased. The digests of another region abroad show that it recorded there, too.",
            failures: &[],
            others: &["no-digests"],
            make: Make::Own(|| {
                let regions = [HOME, ABROAD, THIRD].map(str::to_owned).to_vec();
                let mut it = Collection::of(&Scenario { regions, ..quiet() });
                it.scope.bucket = Some(TRAIL_BUCKET.to_owned());
                it.forget("DescribeTrails", HOME);
                for region in [HOME, ABROAD, THIRD] {
                    it.forget("GetTrailStatus", region);
                }
                erase(&it, OWN, THIRD);
                it.report()
            }),
        },
    ]
}
