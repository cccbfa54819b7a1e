//! Absence that a refusal, a failure or a scope explains, and that therefore speaks against nobody.

use std::collections::BTreeSet;

use crate::case::event::Gap;
use crate::case::gap::Subject;
use crate::cloudtrail::{DigestName, LogName};
use crate::model::{S3Location, Timestamp};
use crate::verify::collections::{is_refused, refused_listing};

use super::looked::{Absence, Due, Looked};
use super::{ChainOf, Place};

/// What the recorded gaps say could not be fetched or not even listed, though it may be there, and what nobody looked for: its absence is
/// no tampering.
#[derive(Debug)]
pub(super) struct Unreadable<'a> {
    /// As they are printed.
    objects: BTreeSet<String>,
    prefixes: Vec<String>,
    /// The folders of digests that name more late logs than were looked for.
    crowded: BTreeSet<String>,
    pub(super) looked: Looked<'a>,
}

impl<'a> Unreadable<'a> {
    /// What `gaps` say was not had, and stored `objects` that the disk would not give.
    pub(super) fn of(gaps: &[Gap], objects: &[String], looked: Looked<'a>) -> Self {
        let (objects, prefixes, crowded) = (objects.iter().cloned().collect(), Vec::new(), BTreeSet::new());
        let mut unreadable = Self { objects, prefixes, crowded, looked };
        for gap in gaps {
            unreadable.prefixes.extend(refused_listing(gap).map(|place| place.to_string()));
            match gap.subject() {
                Subject::Object { object, version: None } if is_refused(gap) => {
                    unreadable.objects.insert(object);
                }
                Subject::NamedLogs { absent: false, place } => {
                    unreadable.crowded.insert(place.to_string());
                }
                _ => {}
            }
        }
        unreadable
    }

    /// What to make of it that an object is not there which was due some time.
    pub(super) fn absence(&self, location: &S3Location, due: impl Into<Due>) -> Absence {
        let due = due.into();
        if self.covers(location, due) {
            return Absence::Unreadable;
        }
        self.looked.absence(|| self.looked.would_have_met(location, due))
    }

    /// Whether an object that was due some time may be there although the case does not hold it: not if a run that began
    /// no earlier would have met it, whoever else was refused.
    pub(super) fn covers(&self, location: &S3Location, due: impl Into<Due>) -> bool {
        if !self.looked.for_object(location) || self.is_crowded_out(location) {
            return true;
        }
        let is_below = |location: &str| self.prefixes.iter().any(|prefix| location.starts_with(prefix.as_str()));
        match Subject::object(location, None) {
            Subject::Object { object, .. } => {
                let is_refused = is_below(&location.to_string()) && !self.looked.would_have_met(location, due);
                self.objects.contains(&object) || is_refused
            }
            _ => false,
        }
    }

    /// Whether a log is one of those that digests name, no listing brings, and for which there were too many to be looked for.
    fn is_crowded_out(&self, location: &S3Location) -> bool {
        if self.crowded.is_empty() {
            return false;
        }
        let Ok(log) = location.key.parse::<LogName>() else { return false };
        let organization = log.organization.map_or_else(String::new, |organization| format!("{organization}/"));
        let (account, region) = (log.account, log.region);
        let below = format!("{}AWSLogs/{organization}{account}/CloudTrail-Digest/{region}/", log.prefix);
        let folder = crate::case::gap::Place::new(&location.bucket, &below);
        self.crowded.contains(&folder.to_string()) && !self.looked.lists_logs_of(log.minute)
    }

    /// Whether digests of a chain may be there that had been delivered by some time, in one of the `places` of its trail, because it was not
    /// listed to its end since.
    pub(super) fn hides_digests(&self, of: &ChainOf, places: &BTreeSet<Place>, by: Timestamp) -> bool {
        let is_hidden = places.iter().any(|place| self.prefixes.iter().any(|prefix| hides(prefix, of, place)));
        is_hidden && self.looked.through(of, places).is_none_or(|(began, _)| began < by)
    }

    /// The ends of the digests of a chain that are there, in one of the `places` of its trail, and could not be read; oldest first.
    ///
    /// Anybody can leave an object that nobody can fetch: each speaks of its own hour, and of no other.
    pub(super) fn digests(&self, of: &ChainOf, places: &BTreeSet<Place>) -> BTreeSet<Timestamp> {
        let end = |object: &String| {
            let mut parts = object.splitn(4, '/').skip(2);
            let (bucket, name) = (parts.next()?, parts.next()?.parse::<DigestName>().ok()?);
            let there = places.iter().any(|place| place.bucket == bucket && place.prefix == name.prefix);
            (there && of.is_chain_of(&name)).then_some(name.end)
        };
        self.objects.iter().filter_map(end).collect()
    }
}

/// Whether the folder of a chain's digests at `place` lies below `prefix`, or around it.
pub(super) fn hides(prefix: &str, of: &ChainOf, place: &Place) -> bool {
    let root = format!("s3://{}/{}AWSLogs/", place.bucket, place.prefix);
    let Some(below) = prefix.strip_prefix(&root) else { return root.starts_with(prefix) };
    // The folders of an organization lie below its own, whose name is not always known.
    let below = if below.starts_with("o-") { below.split_once('/').map_or("", |(_, below)| below) } else { below };
    let folder = format!("{}/CloudTrail-Digest/{}/", of.account, of.region);
    folder.starts_with(below) || below.starts_with(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::CaseIdentity;
    use crate::case::event::GapReason;
    use crate::verify::acts::Acts;

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

    fn with_all_listed(gaps: &[Gap], check: impl FnOnce(&Unreadable<'_>)) {
        let acts = Acts { listed: [("b".to_owned(), String::new())].into(), ..Acts::default() };
        let window =
            crate::model::Window::new("2026-03-01T00:00:00Z".parse().unwrap(), "2026-03-02T00:00:00Z".parse().unwrap());
        let identity = CaseIdentity::unnamed(window.unwrap());
        check(&Unreadable::of(gaps, &[], Looked::of(&acts, &identity)));
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

    fn end() -> Timestamp {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn places(bucket: &str, prefix: &str) -> BTreeSet<Place> {
        [Place { bucket: bucket.to_owned(), prefix: prefix.to_owned(), organization: None }].into()
    }

    #[test]
    fn only_a_listing_of_what_is_there_now_hides_what_lies_below_it() {
        let folder = "s3://b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/";
        for what in ["earlier versions of digests under", "3 deleted digests under", "flow logs of"] {
            let gaps = [gap(&format!("{what} {folder}"), GapReason::Failed, None)];
            with_all_listed(&gaps, |unreadable| {
                assert!(!unreadable.hides_digests(&chain("us-east-1"), &places("b", ""), end()), "{what}");
                let below = S3Location::new("b", "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/x");
                assert!(!unreadable.covers(&below, end()), "{what}");
            });
        }
    }

    #[test]
    fn what_is_gone_is_not_unreadable() {
        let gaps = [
            gap("s3://b/denied", GapReason::Denied, Some("AccessDenied")),
            gap("s3://b/gone", GapReason::ChangedDuringAcquisition, Some("NoSuchKey")),
            gap("s3://b/empty", GapReason::Empty, None),
        ];
        with_all_listed(&gaps, |unreadable| {
            assert!(unreadable.covers(&S3Location::new("b", "denied"), end()));
            assert!(
                !unreadable.covers(&S3Location::new("b", "gone"), end())
                    && !unreadable.covers(&S3Location::new("b", "empty"), end())
            );
            assert!(unreadable.covers(&S3Location::new("never-listed", "gone"), end()));
            assert!(unreadable.covers(&S3Location::new("b", "other/AWSLogs/gone"), end()));
        });
    }

    #[test]
    fn late_logs_that_were_too_many_to_be_looked_for_are_not_gone() {
        let log = |region: &str, stamp: &str| {
            let day = format!("{}/{}/{}", &stamp[..4], &stamp[4..6], &stamp[6..8]);
            let name = format!("111122223333_CloudTrail_{region}_{stamp}_AbCdEfGh12345678.json.gz");
            S3Location::new("b", format!("AWSLogs/111122223333/CloudTrail/{region}/{day}/{name}"))
        };
        let folder = "s3://b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/";
        let further = gap(&format!("further late logs that digests in {folder} name"), GapReason::Failed, None);
        with_all_listed(&[further], |unreadable| {
            assert!(unreadable.covers(&log("us-east-1", "20260302T0205Z"), end()));
            assert!(!unreadable.covers(&log("us-east-1", "20260302T0200Z"), end()), "it is listed by its name");
            assert!(!unreadable.covers(&log("eu-central-1", "20260302T0205Z"), end()));
        });
        let absent = gap(&format!("late logs that digests in {folder} name and S3 does not have"), GapReason::Failed, None);
        with_all_listed(&[absent], |unreadable| assert!(!unreadable.covers(&log("us-east-1", "20260302T0205Z"), end())));
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
            with_all_listed(&gaps, |unreadable| {
                assert_eq!(unreadable.hides_digests(&chain("us-east-1"), &places("b", ""), end()), here, "{what}");
                assert_eq!(unreadable.hides_digests(&chain("us-west-2"), &places("b", ""), end()), elsewhere, "{what}");
                assert!(!unreadable.hides_digests(&chain("us-east-1"), &places("other", ""), end()), "{what}");
                assert!(!unreadable.hides_digests(&chain("us-east-1"), &places("b", "other/"), end()), "{what}");
            });
        }
        let gaps = [gap("CloudTrail logs under s3://b/AWSLogs/1/CloudTrail/us-east-1/", GapReason::Failed, None)];
        with_all_listed(&gaps, |unreadable| {
            assert!(unreadable.covers(&S3Location::new("b", "AWSLogs/1/CloudTrail/us-east-1/2026/03/01/x.json.gz"), end()));
        });
    }

    #[test]
    fn a_digest_that_could_not_be_fetched_is_one_of_its_chain_and_time() {
        let key = "s3://b/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/03/01/\
                   111122223333_CloudTrail-Digest_us-east-1_trail_us-east-1_20260301T094121Z.json.gz";
        let gaps = [gap(key, GapReason::Denied, Some("AccessDenied"))];
        with_all_listed(&gaps, |unreadable| {
            let end: Timestamp = "2026-03-01T09:41:21Z".parse().unwrap();
            assert_eq!(unreadable.digests(&chain("us-east-1"), &places("b", "")), [end].into());
            assert!(unreadable.digests(&chain("us-west-2"), &places("b", "")).is_empty());
            assert!(unreadable.digests(&chain("us-east-1"), &places("other", "")).is_empty());
            assert!(!unreadable.hides_digests(&chain("us-east-1"), &places("b", ""), end));
        });
    }
}
