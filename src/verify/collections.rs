//! What each run of collect asked, and where those looked that came to their end: what is not there where one looked is gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::event::{Event, Gap, GapReason, Listing};
use crate::case::gap::{DIGEST_FILES, EVERYTHING, LOG_FILES, Place, Subject};
use crate::model::{AccountId, Region, Timestamp};

/// The runs of a case, followed line by line.
#[derive(Debug, Default)]
pub(super) struct Collections {
    /// Those that came to their end, in the order of the ledger.
    finished: Vec<Collection>,
    current: Option<Collection>,
    /// The regions of every run: a case's scope is fixed, and whoever can switch a region off can take it out of a later answer.
    regions: BTreeSet<Region>,
    by_callers: BTreeMap<BTreeSet<AccountId>, Asked>,
    /// How many artifacts there are so far.
    artifacts: u64,
}

/// The regions that runs as the same accounts had.
#[derive(Debug, Default)]
struct Asked {
    ever: BTreeSet<Region>,
    last: BTreeSet<Region>,
}

/// Where one run looked.
#[derive(Debug)]
pub(super) struct Collection {
    /// When it began and ended, by AWS's clock.
    pub(super) began: Timestamp,
    pub(super) ended: Timestamp,
    regions: BTreeSet<Region>,
    /// The places whose objects were listed, all of them.
    listed: BTreeSet<String>,
    /// Those of which only what is stamped with a time around the window was.
    listed_around_the_window: BTreeSet<String>,
    /// How many artifacts the case held when it ended.
    artifacts: u64,
    /// Those that could not be listed to their end.
    refused: BTreeSet<String>,
    /// By bucket, what stands before `AWSLogs/` where it looked; none where nothing of the bucket is left to list.
    roots: BTreeSet<(String, Option<String>)>,
}

/// A place whose objects could not be listed to their end, as they are now.
///
/// That earlier versions could not be listed, or that nothing but delete markers is left, says nothing of what is there.
pub(super) fn refused_listing(gap: &Gap) -> Option<Place> {
    match gap.subject() {
        Subject::Listing(place) | Subject::Objects { place, .. } if gap.source == "cloudtrail" && is_refused(gap) => {
            Some(place)
        }
        _ => None,
    }
}

/// Whether what a gap is about may be there.
pub(super) fn is_refused(gap: &Gap) -> bool {
    let absent = ["NoSuchKey", "NotFound", "NoSuchVersion", "NoSuchBucket"];
    let is_absent = gap.error_code.as_deref().is_some_and(|code| absent.contains(&code));
    let reasons = [GapReason::Denied, GapReason::Failed, GapReason::Archived, GapReason::ChangedDuringAcquisition];
    !is_absent && reasons.contains(&gap.reason)
}

/// The bucket of which a gap says that nothing is there to be listed any further, with what stands before `AWSLogs/`; without it where it
/// says so of the whole bucket.
pub(super) fn looked_through(gap: &Gap) -> Option<(String, Option<String>)> {
    let root = |place: Place| Some((place.bucket, Some(root_of(&place.prefix)?.to_owned())));
    match gap.subject() {
        Subject::Bucket(bucket) if gap.error_code.as_deref() == Some("NoSuchBucket") => Some((bucket, None)),
        _ if gap.reason != GapReason::Empty => None,
        Subject::Objects { kind, place } if kind == EVERYTHING => root(place),
        // There is no folder of an account and region.
        Subject::Within { kind, place } if kind == LOG_FILES || kind == DIGEST_FILES => root(place),
        // Earlier ledgers name the bucket in the detail, and nothing else.
        Subject::Other(kind) if kind == LOG_FILES || kind == DIGEST_FILES => {
            let (bucket, _) = gap.detail.as_deref()?.strip_prefix("s3://")?.split_once(" has no ")?;
            Some((bucket.to_owned(), None))
        }
        _ => None,
    }
}

/// What stands before `AWSLogs/` in a prefix.
pub(super) fn root_of(prefix: &str) -> Option<&str> {
    prefix.rfind("AWSLogs/").and_then(|at| prefix.get(..at))
}

impl Collections {
    /// Shows the next line of the ledger, with its time by AWS's clock.
    pub(super) fn take(&mut self, event: &Event, at: Timestamp) {
        match event {
            Event::CollectionStarted(started) => {
                let regions: BTreeSet<Region> = started.regions.iter().cloned().collect();
                self.regions.extend(regions.iter().cloned());
                let asked = self.by_callers.entry(started.callers().map(|caller| caller.account).collect()).or_default();
                asked.ever.extend(regions.iter().cloned());
                asked.last.clone_from(&regions);
                self.current = Some(Collection::new(at, regions));
            }
            Event::CollectionFinished(_) => {
                let ended = self.current.take().map(|run| Collection { ended: at, artifacts: self.artifacts, ..run });
                self.finished.extend(ended);
            }
            Event::ListingRecorded(listing) if listing.source == "cloudtrail" => {
                if let Some(run) = &mut self.current {
                    run.list(listing);
                }
            }
            Event::GapRecorded(gap) if gap.source == "cloudtrail" => {
                if let Some(run) = &mut self.current {
                    run.refused.extend(refused_listing(gap).map(|place| place.to_string()));
                    run.roots.extend(looked_through(gap));
                }
            }
            _ => {}
        }
    }

    /// Shows a line about the next artifact.
    pub(super) fn take_artifact(&mut self) {
        self.artifacts += 1;
    }

    /// The regions that any run had.
    pub(super) fn regions(&self) -> &BTreeSet<Region> {
        &self.regions
    }

    /// The regions that an earlier run had, and the last one as the same accounts had not.
    pub(super) fn regions_not_asked_again(&self) -> BTreeMap<&Region, BTreeSet<AccountId>> {
        let mut left: BTreeMap<&Region, BTreeSet<AccountId>> = BTreeMap::new();
        for (callers, asked) in &self.by_callers {
            for region in asked.ever.difference(&asked.last) {
                left.entry(region).or_default().extend(callers);
            }
        }
        left
    }

    /// The runs that came to their end, the last one first.
    pub(super) fn finished(&self) -> impl Iterator<Item = &Collection> {
        self.finished.iter().rev()
    }
}

impl Collection {
    fn new(began: Timestamp, regions: BTreeSet<Region>) -> Self {
        Self {
            began,
            ended: began,
            regions,
            listed: BTreeSet::new(),
            listed_around_the_window: BTreeSet::new(),
            artifacts: 0,
            refused: BTreeSet::new(),
            roots: BTreeSet::new(),
        }
    }

    fn list(&mut self, listing: &Listing) {
        let root = root_of(&listing.prefix).map(|root| (listing.bucket.clone(), Some(root.to_owned())));
        self.roots.extend(root);
        if listing.is_whole() && !listing.is_of_versions() {
            let listed = if listing.is_of_days() { &mut self.listed_around_the_window } else { &mut self.listed };
            listed.insert(Place::new(&listing.bucket, &listing.prefix).to_string());
        }
    }

    /// Whether what lies at `place`, an object or a folder as it is printed, would have been met: it or a folder around it is among those
    /// `listed`, and was to its end, but for what `is_hidden` by another listing below that was not.
    fn listed_to_its_end(&self, listed: &[&BTreeSet<String>], place: &str, is_hidden: impl Fn(&str) -> bool) -> bool {
        let around = place.match_indices('/').filter_map(|(at, _)| place.get(..=at)).chain([place]);
        let is_listed = |around: &str| listed.iter().any(|listed| listed.contains(around));
        let mut whole = around.filter(|around| is_listed(around) && !self.refused.contains(*around));
        whole.any(|around| !self.refused.iter().any(|refused| refused.starts_with(around) && is_hidden(refused)))
    }

    /// Whether it looked through a place of this bucket and `root`, in this region, and would have met what lies there, whether or not it
    /// had a folder; `is_hidden` tells of a prefix that could not be listed whether that may be below it.
    pub(super) fn would_have_met(
        &self,
        place: &str,
        (bucket, root): (&str, &str),
        region: Option<&Region>,
        is_hidden: impl Fn(&str) -> bool,
    ) -> bool {
        if self.listed_to_its_end(&[&self.listed, &self.listed_around_the_window], place, &is_hidden) {
            return true;
        }
        let is_there = |root: Option<&str>| self.roots.contains(&(bucket.to_owned(), root.map(str::to_owned)));
        region.is_some_and(|region| self.regions.contains(region))
            && (is_there(Some(root)) || is_there(None))
            && !self.refused.iter().any(|refused| is_hidden(refused))
    }

    /// The same of a log whose stamp is none of the window's: no listing by stamps brings it, and nothing shows that a folder is not there. It
    /// would have been asked for by its name, where the case held by then what it is `named_by`: the digest of this number.
    pub(super) fn would_have_met_late(&self, place: &str, named_by: Option<u64>, is_hidden: impl Fn(&str) -> bool) -> bool {
        named_by.is_some_and(|digest| digest < self.artifacts) || self.listed_to_its_end(&[&self.listed], place, is_hidden)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION: &str = "us-west-2";

    fn started(run: u32, account: &str, regions: &[&str]) -> Event {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let window = crate::model::Window::new(at("2026-03-01T00:00:00Z"), at("2026-03-02T00:00:00Z")).unwrap();
        let started = serde_json::json!({"event": "collection.started", "run": run, "host": "h", "system": "s", "os_user": "u",
            "tool": {"name": "caselock", "version": "1"}, "command_line": [], "window": window, "regions": regions,
            "caller": {"account": account, "arn": "a", "user_id": "u"}, "scope": crate::case::Scope::default()});
        serde_json::from_value(started).unwrap()
    }

    fn names(collections: &Collections) -> Vec<&str> {
        collections.regions().iter().map(Region::as_str).collect()
    }

    #[test]
    fn a_region_that_a_later_run_has_not_is_kept_and_told_of() {
        let at = "2026-03-03T00:00:00Z".parse().unwrap();
        let mut collections = Collections::default();
        for (run, account, regions) in
            [(1, "111122223333", &["us-east-1", REGION][..]), (2, "111122223333", &["us-east-1"]), (3, "444455556666", &[])]
        {
            collections.take(&started(run, account, regions), at);
        }
        assert_eq!(names(&collections), ["us-east-1", REGION]);
        let account: AccountId = "111122223333".parse().unwrap();
        assert_eq!(collections.regions_not_asked_again(), [(&REGION.parse().unwrap(), [account].into())].into());
        collections.take(&started(4, "111122223333", &["us-east-1", REGION]), at);
        assert!(collections.regions_not_asked_again().is_empty());
    }

    fn gap(what: &str, reason: GapReason, code: Option<&str>, detail: Option<&str>) -> Gap {
        let mut gap = Gap::denied("cloudtrail", what);
        (gap.reason, gap.error_code, gap.detail) = (reason, code.map(str::to_owned), detail.map(str::to_owned));
        gap
    }

    #[test]
    fn a_place_without_a_folder_was_looked_through_and_no_other_of_its_bucket() {
        let new = Some(("b".to_owned(), Some("new/".to_owned())));
        let whole = Some(("b".to_owned(), None));
        for (gap, expected) in [
            (gap("digests in s3://b/new/AWSLogs/", GapReason::Empty, None, None), new.clone()),
            (gap("log files in s3://b/new/AWSLogs/o-example/", GapReason::Empty, None, None), new.clone()),
            (gap("logs under s3://b/new/AWSLogs/", GapReason::Empty, None, None), new),
            (gap("bucket b", GapReason::Failed, Some("NoSuchBucket"), None), whole.clone()),
            (gap("digests", GapReason::Empty, None, Some("s3://b has no CloudTrail-Digest folder")), whole),
            (gap("digests in s3://b/new/AWSLogs/", GapReason::Denied, None, None), None),
            (gap("other regions in s3://b/new/AWSLogs/", GapReason::Empty, None, None), None),
        ] {
            assert_eq!(looked_through(&gap), expected, "{}", gap.what);
        }
    }

    fn listing(prefix: &str) -> Event {
        listing_by("all", prefix)
    }

    fn listing_by(rule: &str, prefix: &str) -> Event {
        let listing = serde_json::json!({"event": "listing.recorded", "source": "cloudtrail", "bucket": "b", "prefix": prefix,
            "listed": 0, "in_scope": 0, "bytes": 0, "pages": 1, "rule": rule});
        serde_json::from_value(listing).unwrap()
    }

    /// A run of one region that came to its end, when the case held three artifacts, and met this.
    fn run(events: &[Event]) -> Collections {
        let mut run = Collections { artifacts: 3, ..Collections::default() };
        let at = "2026-03-03T00:00:00Z".parse().unwrap();
        let finished = serde_json::json!({"event": "collection.finished", "run": 1, "artifacts": 0, "bytes": 0,
            "already_stored": 0, "gaps": 0});
        let finished = serde_json::from_value(finished).unwrap();
        for event in [started(1, "111122223333", &["us-east-1"])].iter().chain(events).chain([&finished]) {
            run.take(event, at);
        }
        run
    }

    /// Whether it would have met an object of that region, and of another below the same root.
    fn meets(events: &[Event]) -> [bool; 2] {
        let run = run(events);
        ["us-east-1", REGION].map(|region| {
            let object = format!("s3://b/AWSLogs/111122223333/CloudTrail/{region}/2026/03/01/x");
            let region = region.parse().unwrap();
            run.finished()
                .all(|run| run.would_have_met(&object, ("b", ""), Some(&region), |refused| object.starts_with(refused)))
        })
    }

    #[test]
    fn a_log_that_only_a_digest_names_is_met_by_a_run_that_had_the_digest_or_listed_all() {
        let folder = "AWSLogs/111122223333/CloudTrail/us-east-1/";
        let by_stamps = || listing_by(&Listing::rule_for_days("from 15 minutes before the window"), folder);
        let meets = |event: Event, named_by: Option<u64>| {
            let run = run(&[event]);
            let object = format!("s3://b/{folder}2026/03/09/x");
            run.finished().all(|run| run.would_have_met_late(&object, named_by, |refused| object.starts_with(refused)))
        };
        assert!(!meets(by_stamps(), None) && !meets(by_stamps(), Some(3)), "the digest was stored by a later run");
        assert!(meets(by_stamps(), Some(2)));
        assert!(meets(listing(folder), None) && !meets(listing("AWSLogs/444455556666/"), None));
        let found = self::meets(&[by_stamps()]);
        assert_eq!(found, [true, false], "of the window's own stamps it tells all the same");
    }

    #[test]
    fn what_lies_where_a_run_looked_to_the_end_would_have_been_met() {
        let folder = "AWSLogs/111122223333/CloudTrail/us-east-1/";
        let refused = |what: String| Event::GapRecorded(gap(&what, GapReason::Denied, Some("AccessDenied"), None));
        assert_eq!(meets(&[]), [false, false]);
        assert_eq!(meets(&[listing(folder)]), [true, false]);
        // A listing that broke off is recorded, too.
        assert_eq!(meets(&[refused(format!("CloudTrail logs under s3://b/{folder}")), listing(folder)]), [false, false]);
        assert_eq!(meets(&[listing("AWSLogs/")]), [true, true]);
        // Above the folder nobody could see what there is; it was listed all the same.
        assert_eq!(meets(&[refused("listing of s3://b/AWSLogs/".to_owned()), listing(folder)]), [true, false]);
        let elsewhere = "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/";
        assert_eq!(meets(&[listing(elsewhere)]), [true, false]);
        assert_eq!(meets(&[refused("listing of s3://b/AWSLogs/".to_owned()), listing(elsewhere)]), [false, false]);
    }
}
