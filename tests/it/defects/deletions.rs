//! Digests and logs that are gone.

use serde_json::json;

use super::{Defect, Make};
use crate::memory_case::{ABROAD, HOME};
use crate::tampering::unlink;

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "untouched",
            about: "Nothing was done. There must be no finding at all.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|_| {}),
        },
        Defect {
            name: "newest-digest-deleted",
            about: "The newest digest of one region is deleted; its logs stay. validate-logs: exit 0, every digest valid.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.delete(&it.digest(HOME, -1))),
        },
        Defect {
            name: "newest-digest-deleted-with-its-logs",
            about: "The newest digest of one region is deleted, and the logs it lists. validate-logs: exit 0, everything valid.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.logs(HOME, -1).iter().for_each(|log| it.delete(log));
                it.delete(&it.digest(HOME, -1));
            }),
        },
        Defect {
            name: "three-newest-digests-deleted",
            about: "The three newest digests of one region are deleted. validate-logs: exit 0.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| (1..=3).for_each(|number| it.delete(&it.digest(HOME, -number)))),
        },
        Defect {
            name: "newest-digest-deleted-and-the-one-before-stored-again",
            about: "The newest digest is deleted and the one before it is stored again, so that it looks as if it had just been delivered.",
            failures: &["newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, -1));
                let before = it.digest(HOME, -2);
                it.overwrite(&before, it.object(&before).unwrap().body.to_vec());
            }),
        },
        Defect {
            name: "newest-digest-deleted-and-no-status-collected",
            about: "The newest digest is deleted, and AWS was not asked for the trail's status: all that can be said is that more was due.",
            failures: &[],
            others: &["digests-end", "log-unproven"],
            make: Make::Quiet(|it| {
                it.delete(&it.digest(HOME, -1));
                it.forget("GetTrailStatus", HOME);
                it.at += chrono::TimeDelta::hours(6);
            }),
        },
        Defect {
            name: "oldest-digests-deleted",
            about: "The four oldest digests of one region are deleted; the fifth names the fourth.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| (0..4).for_each(|number| it.delete(&it.digest(HOME, number)))),
        },
        Defect {
            name: "digest-deleted-in-mid-chain",
            about: "One digest in the middle of the chain is deleted.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.delete(&it.digest(HOME, 4))),
        },
        Defect {
            name: "two-adjacent-digests-deleted",
            about: "Two adjacent digests are deleted. validate-logs reports one of them (aws-cli issue 7054).",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| [4, 5].iter().for_each(|number| it.delete(&it.digest(HOME, *number)))),
        },
        Defect {
            name: "six-adjacent-digests-deleted",
            about: "Six adjacent digests are deleted. validate-logs reports one of them.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| (1..7).for_each(|number| it.delete(&it.digest(HOME, number)))),
        },
        Defect {
            name: "every-other-digest-deleted",
            about: "Every other digest is deleted: each hole is named on its own.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| [2, 4, 6].iter().for_each(|number| it.delete(&it.digest(HOME, *number)))),
        },
        Defect {
            name: "all-digests-of-a-region-deleted",
            about: "All digests of one region are deleted; the logs stay. validate-logs: exit 0, \"No digests found\".",
            failures: &["all-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.digests(ABROAD).iter().for_each(|digest| it.delete(digest))),
        },
        Defect {
            name: "all-digests-deleted",
            about: "All digests of all regions are deleted, and the logs with them.",
            failures: &["all-digests-missing"],
            others: &[],
            make: Make::Quiet(|it| {
                for region in [HOME, ABROAD] {
                    for number in 0..it.digests(region).len() {
                        it.logs(region, number.try_into().unwrap()).iter().for_each(|log| it.delete(log));
                    }
                    it.digests(region).iter().for_each(|digest| it.delete(digest));
                }
                for key in it.account.objects().keys(caselock::sim::TRAIL_BUCKET, "") {
                    it.delete(&caselock::model::S3Location::new(caselock::sim::TRAIL_BUCKET, key));
                }
            }),
        },
        Defect {
            name: "log-deleted",
            about: "One log is deleted.",
            failures: &["log-missing"],
            others: &[],
            make: Make::Quiet(|it| it.delete(&it.log(HOME, 4))),
        },
        Defect {
            name: "all-logs-of-an-hour-deleted",
            about: "All logs that one digest lists are deleted.",
            failures: &["log-missing"],
            others: &[],
            make: Make::Quiet(|it| it.logs(HOME, 4).iter().for_each(|log| it.delete(log))),
        },
        Defect {
            name: "trail-switched-off-for-two-hours",
            about: "The trail is stopped and started again two hours later; nothing is deleted. A gap, not a failure.",
            failures: &[],
            others: &["logging-off"],
            make: Make::Stopped(|_| {}),
        },
        Defect {
            name: "restart-hides-the-final-digest",
            about: "The trail is stopped and started again; the final digest, with the hour in which it was stopped, is deleted. \
                    validate-logs: exit 0, \"No log files were delivered\".",
            failures: &["restart-hides-digests"],
            others: &["log-unproven", "logging-off"],
            make: Make::Stopped(|it| it.delete(&it.digests(HOME)[it.final_digest(HOME)])),
        },
        Defect {
            name: "restart-hides-two-digests",
            about: "The trail is stopped and started again; the two digests before are deleted. validate-logs: exit 0.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven", "logging-off"],
            make: Make::Stopped(|it| {
                let last = it.final_digest(HOME);
                it.digests(HOME)[last - 1..=last].iter().for_each(|digest| it.delete(digest));
            }),
        },
        Defect {
            name: "restart-hides-the-whole-chain-before",
            about: "The trail is stopped and started again; every digest before is deleted. validate-logs: exit 0, no message.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven", "logging-off"],
            make: Make::Stopped(|it| it.digests(HOME)[..=it.final_digest(HOME)].iter().for_each(|digest| it.delete(digest))),
        },
        Defect {
            name: "restart-without-evidence",
            about: "The final digest before a restart is deleted, and neither the trail's status nor the event history was collected: \
                    whether anything is missing cannot be told, and that is said.",
            failures: &[],
            others: &["log-unproven", "restart-unexplained"],
            make: Make::Stopped(|it| {
                it.delete(&it.digests(HOME)[it.final_digest(HOME)]);
                it.forget("GetTrailStatus", HOME);
                it.forget("GetTrailStatus", ABROAD);
            }),
        },
        Defect {
            name: "restart-told-by-the-event-history",
            about: "The same, but AWS's event history says when the trail was stopped: the digest must have been there.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven", "logging-off"],
            make: Make::Stopped(|it| {
                let last = it.digests(HOME)[it.final_digest(HOME)].clone();
                let stopped = it.after(&last, -18);
                it.delete(&last);
                it.forget("GetTrailStatus", HOME);
                it.history(&[("StopLogging", &stopped, json!({}))]);
            }),
        },
        Defect {
            name: "restart-told-by-a-proven-log",
            about: "The trail was stopped and started again, nothing is deleted and no status was collected: the StopLogging event in a \
                    proven log explains the restart.",
            failures: &[],
            others: &["logging-off"],
            make: Make::Stopped(|it| {
                it.forget("GetTrailStatus", HOME);
                it.forget("GetTrailStatus", ABROAD);
            }),
        },
        Defect {
            name: "segment-between-two-stops-deleted",
            about: "The trail is stopped, recorded for three hours, and is stopped again; every digest of those three hours is deleted. \
                    The event history knows of both stops.",
            failures: &["restart-hides-digests"],
            others: &["log-unproven", "logging-off"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                it.rechain(HOME, 7, |number, document| {
                    if number == 7 {
                        unlink(document);
                        document["logFiles"] = json!([]);
                    }
                });
                for digest in &digests[4..7] {
                    it.delete(digest);
                }
                let times =
                    [it.after(&digests[3], -10), it.after(&digests[3], 20), it.after(&digests[6], 1), it.after(&digests[7], 0)];
                it.history(&[
                    ("StopLogging", &times[0], json!({})),
                    ("StartLogging", &times[1], json!({})),
                    ("StopLogging", &times[2], json!({})),
                    ("StartLogging", &times[3], json!({})),
                ]);
            }),
        },
    ]
}
