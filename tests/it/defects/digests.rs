//! Digests that are not what CloudTrail wrote, without a new signature.

use caselock::cloudtrail::gzip::Limits;
use caselock::model::S3Location;
use caselock::verify::Options;

use super::{Defect, Make};
use crate::memory_case::{ABROAD, Collection, HOME, quiet};
use crate::tampering::gzip;

/// The digest in the middle of the home region's chain.
fn digest(it: &Collection) -> S3Location {
    it.digest(HOME, 4)
}

pub(super) fn all() -> Vec<Defect> {
    vec![
        Defect {
            name: "digest-edited",
            about: "In a digest a log's bucket is changed.",
            failures: &["digest-link-mismatch", "digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.edit(&digest(it), "[{\"s3Bucket\":\"example", "[{\"s3Bucket\":\"exemple")),
        },
        Defect {
            name: "newest-digest-edited",
            about: "The newest digest is changed; no successor vouches for it.",
            failures: &["digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.edit(&it.digest(HOME, -1), "newestEventTime\":\"2026", "newestEventTime\":\"2025")),
        },
        Defect {
            name: "digest-with-a-second-gzip-member",
            about: "A second gzip member is appended to a digest. validate-logs: exit 0, valid.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.append(&digest(it), &gzip(b"{}"))),
        },
        Defect {
            name: "digest-with-junk-behind-it",
            about: "A byte is appended to a digest.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.append(&digest(it), b"x")),
        },
        Defect {
            name: "digest-without-its-trailer",
            about: "The gzip trailer is cut off a digest.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.cut(&digest(it), 8)),
        },
        Defect {
            name: "digest-that-is-no-json",
            about: "A digest is overwritten with text.",
            failures: &["digest-malformed"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.rewrite(&digest(it), b"no digest")),
        },
        Defect {
            name: "digest-with-another-signature",
            about: "A digit of the signature in a digest's metadata is changed.",
            failures: &["digest-link-mismatch", "digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let signature = it.object(&digest(it)).unwrap().metadata["signature"].clone();
                let other = if signature.starts_with('0') { "1" } else { "0" };
                it.metadata(&digest(it), "signature", Some(&format!("{other}{}", &signature[1..])));
            }),
        },
        Defect {
            name: "digest-whose-signature-is-no-hexadecimal",
            about: "The signature of the newest digest is cut to an odd number of digits.",
            failures: &["digest-signature-invalid"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| {
                let newest = it.digest(HOME, -1);
                let signature = it.object(&newest).unwrap().metadata["signature"].clone();
                it.metadata(&newest, "signature", Some(&signature[1..]));
            }),
        },
        Defect {
            name: "newest-digest-without-signature",
            about: "The newest digest has lost its metadata; nothing else holds its signature.",
            failures: &["digest-signature-missing"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.metadata(&it.digest(HOME, -1), "signature", None)),
        },
        Defect {
            name: "digest-without-signature-and-successor-has-it",
            about: "A digest in mid chain was copied without its metadata. Its successor, itself signed, holds the same signature: a full \
                    substitute. validate-logs: invalid.",
            failures: &[],
            others: &["digest-signature-from-successor"],
            make: Make::Quiet(|it| {
                it.metadata(&digest(it), "signature", None);
                it.metadata(&digest(it), "signature-algorithm", None);
            }),
        },
        Defect {
            name: "digest-of-a-nonsense-algorithm",
            about: "The metadata names an algorithm that does not exist. validate-logs: valid.",
            failures: &["digest-algorithm"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.metadata(&digest(it), "signature-algorithm", Some("ROT13"))),
        },
        Defect {
            name: "digest-without-an-algorithm",
            about: "The metadata holds a signature and no algorithm. validate-logs: invalid.",
            failures: &["digest-algorithm"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.metadata(&digest(it), "signature-algorithm", None)),
        },
        Defect {
            name: "digest-in-the-place-of-another",
            about: "A genuine digest is put in the place of another one.",
            failures: &["digest-link-mismatch", "digest-moved", "digest-name-mismatch"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.copy(&it.digest(HOME, 3), &digest(it))),
        },
        Defect {
            name: "digest-of-another-region",
            about: "A genuine digest of another region is put in the place of one of this region.",
            failures: &["digest-link-mismatch", "digest-moved", "key-unknown"],
            others: &["log-unproven"],
            make: Make::Quiet(|it| it.copy(&it.digest(ABROAD, 4), &digest(it))),
        },
        Defect {
            name: "digest-longer-than-any",
            about: "A digest is replaced by one that unpacks to more than a digest may: it is not read to its end.",
            failures: &["digest-malformed-gzip"],
            others: &["log-unproven"],
            make: Make::Own(|| {
                let it = Collection::of(&quiet());
                let mut content = it.content(&digest(&it));
                content.resize(200 * 1024, b' ');
                it.rewrite(&digest(&it), &content);
                let limits = Limits { digest: 100 * 1024, ..Limits::default() };
                it.case().verify_with(&Options { limits, ..Options::default() })
            }),
        },
    ]
}
