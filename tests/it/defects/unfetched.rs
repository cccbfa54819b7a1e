//! Digests that are there, or seem to be, and that nobody could fetch.

use caselock::case::event::GapReason;
use caselock::model::S3Location;

use super::{Defect, Make};
use crate::memory_case::{Collection, HOME};

/// Deletes the newest `count` digests of the home region; gives where the newest that is left lies.
fn delete_newest(it: &Collection, count: usize) -> S3Location {
    let digests = it.digests(HOME);
    digests[digests.len() - count..].iter().for_each(|digest| it.delete(digest));
    digests[digests.len() - count - 1].clone()
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "newest-digests-deleted-behind-a-planted-object-in-an-archive",
            about: "The three newest digests are deleted, and an object in an archive is left behind the last that remains, with a name of one second \
                    later. It stands for its own hour at most, and for none of those behind it.",
            failures: &["newest-digests-missing"],
            others: &["digests-unreadable", "gap-archived", "log-unproven"],
            make: Make::Quiet(|it| {
                let left = delete_newest(it, 4);
                let planted = S3Location::new(left.bucket.clone(), left.key.replace("21Z.json.gz", "22Z.json.gz"));
                assert_ne!(left, planted);
                it.refuse(&planted, GapReason::Archived, "InvalidObjectState");
            }),
        },
        Defect {
            name: "newest-digests-deleted-before-a-planted-object-in-an-archive",
            about: "The three newest digests but one are deleted, and the newest is put into an archive, as if it were all that nobody can read.",
            failures: &["newest-digests-missing"],
            others: &["digests-unreadable", "gap-archived", "log-unproven"],
            make: Make::Quiet(|it| {
                let newest = it.digest(HOME, -1);
                delete_newest(it, 4);
                it.refuse(&newest, GapReason::Archived, "InvalidObjectState");
            }),
        },
        Defect {
            name: "newest-digests-in-an-archive",
            about: "A rule moves the four newest digests into an archive: they are there, and nobody is accused.",
            failures: &[],
            others: &["digests-unreadable", "gap-archived", "log-unproven"],
            make: Make::Quiet(|it| {
                let digests = it.digests(HOME);
                for digest in &digests[digests.len() - 4..] {
                    it.refuse(digest, GapReason::Archived, "InvalidObjectState");
                }
            }),
        },
        Defect {
            name: "digests-behind-a-restart-in-an-archive",
            about: "The trail is switched off for two hours, and every digest from then on lies in an archive. Nobody is accused.",
            failures: &[],
            others: &["digests-unreadable", "gap-archived", "log-unproven", "logging-off"],
            make: Make::Stopped(|it| {
                let digests = it.digests(HOME);
                for digest in &digests[it.final_digest(HOME) + 1..] {
                    it.refuse(digest, GapReason::Archived, "InvalidObjectState");
                }
            }),
        },
        Defect {
            name: "all-digests-in-an-archive",
            about: "Every digest of a region lies in an archive. Nobody is accused.",
            failures: &[],
            others: &["digests-unreadable", "gap-archived", "log-unproven"],
            make: Make::Quiet(|it| {
                for digest in it.digests(HOME) {
                    it.refuse(&digest, GapReason::Archived, "InvalidObjectState");
                }
            }),
        },
        Defect {
            name: "newest-digests-deleted-beside-a-digest-in-a-false-place",
            about: "The newest digests are deleted, and junk is left under a key that looks like that of a digest of a prefix where nobody looked: it \
                    does not tell where the trail delivers.",
            failures: &["digest-malformed-gzip", "newest-digests-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let left = delete_newest(it, 4);
                let (folder, _) = left.key.rsplit_once('/').unwrap();
                it.plant(&format!("{folder}/{}", left.key), b"junk".to_vec());
            }),
        },
    ]
}
