//! What older versions give back, and what could not be read.

use caselock::case::event::GapReason;

use super::{Defect, Make};
use crate::memory_case::HOME;

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "versions-of-an-untouched-bucket",
            about: "Versions are collected, and nothing was done.",
            failures: &[],
            others: &[],
            make: Make::Quiet(|it| it.versions = true),
        },
        Defect {
            name: "log-overwritten-and-recovered",
            about: "A log is overwritten in a bucket that keeps versions: its genuine bytes are named.",
            failures: &["log-modified"],
            others: &["log-recovered"],
            make: Make::Quiet(|it| {
                it.versions = true;
                it.rewrite(&it.log(HOME, 4), br#"{"Records":[]}"#);
            }),
        },
        Defect {
            name: "log-deleted-and-recovered",
            about: "A log is deleted in a bucket that keeps versions: its genuine bytes and the delete marker are named.",
            failures: &["log-missing"],
            others: &["log-recovered"],
            make: Make::Quiet(|it| {
                it.versions = true;
                it.delete(&it.log(HOME, 4));
            }),
        },
        Defect {
            name: "log-overwritten-twice-and-recovered",
            about: "A log is overwritten twice: of its three versions the first is genuine.",
            failures: &["log-modified"],
            others: &["log-recovered"],
            make: Make::Quiet(|it| {
                it.versions = true;
                it.rewrite(&it.log(HOME, 4), br#"{"Records":[1]}"#);
                it.rewrite(&it.log(HOME, 4), br#"{"Records":[2]}"#);
            }),
        },
        Defect {
            name: "log-overwritten-and-its-versions-erased",
            about: "A log is overwritten, and its older versions are destroyed.",
            failures: &["log-modified"],
            others: &[],
            make: Make::Quiet(|it| {
                it.versions = true;
                let log = it.log(HOME, 4);
                assert!(it.account.objects().put(&log.bucket, &log.key, crate::tampering::gzip(b"{}")));
            }),
        },
        Defect {
            name: "digest-overwritten-and-recovered",
            about: "A digest is overwritten in a bucket that keeps versions.",
            failures: &["digest-link-mismatch", "digest-signature-invalid"],
            others: &["digest-recovered"],
            make: Make::Quiet(|it| {
                it.versions = true;
                it.edit(&it.digest(HOME, 4), "newestEventTime\":\"2026", "newestEventTime\":\"2025");
            }),
        },
        Defect {
            name: "digest-deleted-and-recovered",
            about: "A digest in mid chain is deleted in a bucket that keeps versions.",
            failures: &["digest-missing"],
            others: &["digest-recovered"],
            make: Make::Quiet(|it| {
                it.versions = true;
                it.delete(&it.digest(HOME, 4));
            }),
        },
        Defect {
            name: "newest-digests-deleted-and-recovered",
            about: "The three newest digests are deleted in a bucket that keeps versions: no successor names the last, but its version is there.",
            failures: &["digest-missing"],
            others: &["digest-recovered"],
            make: Make::Quiet(|it| {
                it.versions = true;
                (1..=3).for_each(|number| it.delete(&it.digest(HOME, -number)));
            }),
        },
        Defect {
            name: "digest-deleted-whose-version-is-no-digest",
            about: "A digest is overwritten with junk, and then deleted; of the junk alone there is a version.",
            failures: &["digest-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                it.versions = true;
                let digest = it.digest(HOME, 4);
                assert!(it.account.objects().put(&digest.bucket, &digest.key, b"junk".to_vec()));
                it.delete(&digest);
            }),
        },
        Defect {
            name: "log-deleted-and-a-proven-event-says-by-whom",
            about: "A log is deleted, and a data event in a log that a signed digest lists says by whom.",
            failures: &["log-missing"],
            others: &["log-recovered"],
            make: Make::Quiet(|it| {
                it.versions = true;
                let log = it.log(HOME, 4);
                it.plant_proven_deletions(std::slice::from_ref(&log));
                it.delete(&log);
            }),
        },
        Defect {
            name: "log-that-was-refused",
            about: "Access to a log was denied. It is there, so it is a gap and not a failure. validate-logs: aborts.",
            failures: &[],
            others: &["gap-denied"],
            make: Make::Quiet(|it| {
                let log = it.log(HOME, 4);
                it.refuse(&log, GapReason::Denied, "AccessDenied");
            }),
        },
        Defect {
            name: "digest-that-is-archived",
            about: "A digest lies in an archive and could not be read. validate-logs: aborts.",
            failures: &[],
            others: &["gap-archived", "log-unproven"],
            make: Make::Quiet(|it| {
                let digest = it.digest(HOME, 4);
                it.refuse(&digest, GapReason::Archived, "InvalidObjectState");
            }),
        },
        Defect {
            name: "newest-digest-that-was-refused",
            about: "Access to the newest digest was denied. No other digest names it, but the collection does: a gap and not a failure.",
            failures: &[],
            others: &["digests-unreadable", "gap-denied", "log-unproven"],
            make: Make::Quiet(|it| {
                let digest = it.digest(HOME, -1);
                it.refuse(&digest, GapReason::Denied, "AccessDenied");
            }),
        },
        Defect {
            name: "log-that-vanished-while-it-was-collected",
            about: "A log was listed, and gone when it was fetched.",
            failures: &["log-missing"],
            others: &["gap-failed"],
            make: Make::Quiet(|it| {
                let log = it.log(HOME, 4);
                it.refuse(&log, GapReason::Failed, "NoSuchKey");
            }),
        },
    ]
}
