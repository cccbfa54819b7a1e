use std::collections::BTreeSet;

use crate::case::event::{Gap, GapReason};
use crate::cloudtrail::DigestName;
use crate::model::{S3Location, Timestamp};

use super::ChainOf;

/// What the recorded gaps say could not be fetched or not even listed, though it may be there: its absence is no tampering.
#[derive(Debug, Default)]
pub(super) struct Unreadable<'a> {
    objects: BTreeSet<&'a str>,
    prefixes: Vec<&'a str>,
}

impl<'a> Unreadable<'a> {
    /// What `gaps` say was not had, and stored `objects` that the disk would not give.
    pub(super) fn of(gaps: &'a [Gap], objects: &'a [String]) -> Self {
        let mut unreadable = Self::default();
        unreadable.objects.extend(objects.iter().map(String::as_str));
        for gap in gaps {
            let absent = gap
                .error_code
                .as_deref()
                .is_some_and(|code| matches!(code, "NoSuchKey" | "NotFound" | "NoSuchVersion" | "NoSuchBucket"));
            let refused = matches!(
                gap.reason,
                GapReason::Denied | GapReason::Failed | GapReason::Archived | GapReason::ChangedDuringAcquisition
            );
            if absent || !refused {
                continue;
            }
            if gap.what.starts_with("s3://") {
                unreadable.objects.insert(&gap.what);
            } else if let Some(at) = gap.what.find(" s3://") {
                // A listing that broke off, named by the place that was listed.
                unreadable.prefixes.extend(gap.what.get(at + 1..));
            }
        }
        unreadable
    }

    /// Whether an object may be there although the case does not hold it.
    pub(super) fn covers(&self, location: &S3Location) -> bool {
        let location = location.to_string();
        self.objects.contains(location.as_str()) || self.prefixes.iter().any(|prefix| location.starts_with(prefix))
    }

    /// Whether digests of a chain that end after `from`, and no later than `to`, may be there.
    pub(super) fn hides_digests(&self, of: &ChainOf, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
        let in_time = |end: Timestamp| from.is_none_or(|from| end > from) && to.is_none_or(|to| end <= to);
        let digests = self.objects.iter().filter_map(|object| object.splitn(4, '/').nth(3)?.parse::<DigestName>().ok());
        let folder = format!("{}/CloudTrail-Digest/{}/", of.account, of.region);
        digests.into_iter().any(|name| of.is_chain_of(&name) && in_time(name.end))
            || self.prefixes.iter().any(|prefix| {
                let Some((_, below)) = prefix.split_once("AWSLogs/") else { return false };
                // The folders of an organization lie below its own.
                let below = if below.starts_with("o-") { below.split_once('/').map_or("", |(_, below)| below) } else { below };
                folder.starts_with(below) || below.starts_with(&folder)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(what: &str, reason: GapReason, code: Option<&str>) -> Gap {
        Gap {
            source: "cloudtrail".to_owned(),
            account: None,
            region: None,
            what: what.to_owned(),
            reason,
            error_code: code.map(str::to_owned),
            detail: None,
            request_id: None,
        }
    }

    fn chain(region: &str) -> ChainOf {
        ChainOf {
            trail: "trail".to_owned(),
            home_region: "us-east-1".parse().unwrap(),
            account: "111122223333".parse().unwrap(),
            region: region.parse().unwrap(),
            organization: None,
        }
    }

    #[test]
    fn what_is_gone_is_not_unreadable() {
        let gaps = [
            gap("s3://b/denied", GapReason::Denied, Some("AccessDenied")),
            gap("s3://b/gone", GapReason::ChangedDuringAcquisition, Some("NoSuchKey")),
            gap("s3://b/empty", GapReason::Empty, None),
        ];
        let unreadable = Unreadable::of(&gaps, &[]);
        assert!(unreadable.covers(&S3Location::new("b", "denied")));
        assert!(!unreadable.covers(&S3Location::new("b", "gone")) && !unreadable.covers(&S3Location::new("b", "empty")));
    }

    #[test]
    fn a_listing_that_broke_off_hides_what_lies_below_it() {
        for (what, here, elsewhere) in [
            ("digests under s3://b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/", true, false),
            ("listing of s3://b/AWSLogs/", true, true),
            ("listing of s3://b/AWSLogs/o-example/111122223333/", true, true),
            ("CloudTrail logs under s3://b/AWSLogs/111122223333/CloudTrail/us-east-1/", false, false),
        ] {
            let gaps = [gap(what, GapReason::Denied, Some("AccessDenied"))];
            let unreadable = Unreadable::of(&gaps, &[]);
            assert_eq!(unreadable.hides_digests(&chain("us-east-1"), None, None), here, "{what}");
            assert_eq!(unreadable.hides_digests(&chain("us-west-2"), None, None), elsewhere, "{what}");
        }
        let gaps = [gap("CloudTrail logs under s3://b/AWSLogs/1/CloudTrail/us-east-1/", GapReason::Failed, None)];
        assert!(
            Unreadable::of(&gaps, &[]).covers(&S3Location::new("b", "AWSLogs/1/CloudTrail/us-east-1/2026/03/01/x.json.gz"))
        );
    }

    #[test]
    fn a_digest_that_could_not_be_fetched_is_one_of_its_chain_and_time() {
        let key = "s3://b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/03/01/\
                   111122223333_CloudTrail-Digest_us-east-1_trail_us-east-1_20260301T094121Z.json.gz";
        let gaps = [gap(key, GapReason::Denied, Some("AccessDenied"))];
        let unreadable = Unreadable::of(&gaps, &[]);
        let hides = |region, from: &str, to: &str| {
            unreadable.hides_digests(&chain(region), Some(from.parse().unwrap()), Some(to.parse().unwrap()))
        };
        assert!(hides("us-east-1", "2026-03-01T08:41:21Z", "2026-03-01T09:41:21Z"));
        assert!(!hides("us-east-1", "2026-03-01T09:41:21Z", "2026-03-01T12:00:00Z"));
        assert!(!hides("us-west-2", "2026-03-01T08:41:21Z", "2026-03-01T09:41:21Z"));
    }
}
