//! Whose digests must be there: those of every region and account that the trail recorded.

use caselock::model::S3Location;
use caselock::sim::{Scenario, TRAIL_BUCKET};
use serde_json::json;

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
    let originals = it.account.objects().keys(TRAIL_BUCKET, "AWSLogs/");
    for account in [OWN, MEMBER] {
        let there = |key: &str| key.replace("AWSLogs/", "AWSLogs/o-exampleorg/").replace(OWN, account);
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

pub(super) fn all() -> Vec<Defect> {
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
