//! What the event history tells of trails that were deleted, or sent elsewhere: where they delivered before, CloudTrail does not say any
//! more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::aws::Halt;
use crate::case::Scope;
use crate::case::event::GapReason;
use crate::cloudtrail::names::DigestFile;
use crate::model::{AccountId, Region, Timestamp, TrailArn, Window, printable};

use super::super::errand::Errand;
use super::super::notes::happened;
use super::super::shared::Shared;
use super::super::tally::RowKey;
use super::NAME;
use super::store::Store;

/// The events of the history that tell where trails deliver.
const EVENTS: [&str; 3] = ["CreateTrail", "UpdateTrail", "DeleteTrail"];
/// Between two digests of a chain lies an hour, and the last one before the window begins may be more than an hour old.
const DIGESTS_BEFORE: i64 = 2 * 3600;
/// A digest goes to where its trail delivers when it is written, at most so long after the hour that it is of.
const DIGEST_DELAY: i64 = 3600;
/// The same of a log.
const LOG_DELAY: i64 = 15 * 60;
/// Stores that are gone through because the history names them: whoever changes trails may name any number.
const FOLLOWED: usize = 20;

/// What a run has met of trails, wherever it looked.
#[derive(Debug, Default)]
pub(crate) struct TrailTraces {
    met: Shared<Met>,
}

#[derive(Debug, Default)]
struct Met {
    /// What the event history tells.
    told: BTreeMap<Trail, BTreeSet<Change>>,
    /// Which trails deliver to a store today.
    described: BTreeMap<Store, BTreeSet<Trail>>,
    /// When the digests of a trail end that a store holds. The account is that of the folder.
    digests: BTreeMap<Store, BTreeMap<Trail, BTreeSet<Timestamp>>>,
    /// The stamp of the oldest log of an account that a store holds for the window.
    logs: BTreeMap<(Store, AccountId), Timestamp>,
}

/// A trail, as its digests name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trail {
    account: AccountId,
    home: Region,
    name: String,
}

impl Trail {
    pub(super) fn of(arn: &TrailArn) -> Self {
        Self { account: arn.account(), home: arn.home_region().clone(), name: arn.name().to_owned() }
    }
}

/// What an event tells of where a trail delivers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    at: Timestamp,
    deed: Deed,
    /// Whether the trail is, or may have been, one of all regions; none where the event says nothing of it.
    all_regions: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Deleted,
    /// It was made, to deliver there as far as the event says.
    Made(Option<Store>),
    /// It was told to deliver there, as far as the event says.
    Sent(Option<Store>),
    /// Something else was changed, and it went on delivering there.
    Told(Store),
}

/// A time in which a trail delivered to one store.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Era {
    /// None where it began before the history.
    from: Option<Timestamp>,
    /// How it ended, if it has.
    end: Option<Change>,
    /// Where it delivered, if that is known.
    store: Option<Store>,
}

impl TrailTraces {
    /// Notes where a trail delivers today.
    pub(super) fn describes(&self, arn: &TrailArn, store: &Store) {
        self.met.lock().described.entry(store.clone()).or_default().insert(Trail::of(arn));
    }

    /// Notes a digest in a store, by its name.
    pub(super) fn sees_digest(&self, store: &Store, account: AccountId, digest: DigestFile) {
        let trail = Trail { account, home: digest.home_region, name: digest.trail };
        self.met.lock().digests.entry(store.clone()).or_default().entry(trail).or_default().insert(digest.end);
    }

    /// Notes the oldest log of an account that a store holds for the window.
    pub(super) fn sees_logs(&self, store: &Store, account: AccountId, oldest: Timestamp) {
        let mut met = self.met.lock();
        let known = met.logs.entry((store.clone(), account)).or_insert(oldest);
        *known = oldest.min(*known);
    }

    /// Notes what an event of the history tells, if it is one that tells where a trail delivers.
    pub(crate) fn note_event(&self, account: AccountId, region: &Region, name: Option<&str>, record: Option<&str>) {
        let happened = happened(&EVENTS, name, record);
        if let Some((trail, change)) = happened.and_then(|(name, record)| read(account, region, name, &record)) {
            self.met.lock().told.entry(trail).or_default().insert(change);
        }
    }

    /// The stores to which the history says that trails delivered in the window, and how many there are besides.
    pub(super) fn stores(&self, window: Window, scope: &Scope) -> (Vec<Store>, usize) {
        let met = self.met.lock();
        let stores: BTreeSet<Store> = met.eras(window, scope).into_iter().filter_map(|(_, era)| era.store).collect();
        let beyond = stores.len().saturating_sub(FOLLOWED);
        (stores.into_iter().take(FOLLOWED).collect(), beyond)
    }

    /// Gaps for the trails that delivered in the window to where nobody knows, and of which nothing was met.
    pub(super) async fn say(&self, errand: &Errand) -> Result<(), Halt> {
        for (trail, ends) in self.lost(errand.window(), &errand.request.scope) {
            let why = if errand.wants_region(&trail.home) {
                ""
            } else {
                "; its home was left out of scope, but it recorded all regions, as far as is known"
            };
            let row = RowKey { source: NAME, account: Some(trail.account), region: Some(trail.home) };
            let how: Vec<String> = ends.iter().map(in_words).collect();
            let detail = format!(
                "the event history says that it {}{why}; where it delivered until then is not known, and no digest of it lies where \
                 others were looked for: collect that bucket in a case of its own, by its name (--bucket, and --prefix if it had one)",
                how.join(", and ")
            );
            let what = format!("logs and digests of trail {}", printable(&trail.name));
            errand.gap(&row, &what, GapReason::Failed, Some(&detail)).await?;
        }
        Ok(())
    }

    /// Whether a trail that records a region in scope is at home in a region that was left out, as far as anything shows: it is described in
    /// one in scope, or its digests lie there, or the history tells of it.
    pub(super) fn is_home(&self, row: &RowKey) -> bool {
        let met = self.met.lock();
        let of_home = |trail: &&Trail| Some(&trail.home) == row.region.as_ref();
        let is_own = |trail: &&Trail| Some(trail.account) == row.account;
        let described: Vec<&Trail> = met.described.values().flatten().filter(of_home).collect();
        // An organization's trail delivers as a member, and is changed as its owner.
        let of_another = |trail: &&Trail| described.iter().any(|other| other.name == trail.name && !is_own(other));
        let digests = met.digests.values().flat_map(BTreeMap::keys).chain(met.told.keys()).filter(of_home);
        described.iter().any(is_own) || digests.filter(is_own).any(|trail| !of_another(&trail))
    }

    /// The trails of which a part is lost, with what ended each part.
    fn lost(&self, window: Window, scope: &Scope) -> BTreeMap<Trail, Vec<Change>> {
        let met = self.met.lock();
        let mut lost: BTreeMap<Trail, Vec<Change>> = BTreeMap::new();
        for (trail, era) in met.eras(window, scope) {
            if let (None, Some(end)) = (era.store, era.end)
                && !met.is_met(&trail, end.at, window)
            {
                lost.entry(trail).or_default().push(end);
            }
        }
        lost
    }
}

impl Met {
    /// The eras of the trails in scope that reach into the window, and that the history tells of.
    fn eras(&self, window: Window, scope: &Scope) -> Vec<(Trail, Era)> {
        let only = scope.trail_arn.as_ref().map(Trail::of);
        let told = self.told.iter().filter(|(trail, changes)| {
            only.as_ref().is_none_or(|only| only == *trail) && may_record_any(&scope.regions, &trail.home, changes)
        });
        let eras = told.flat_map(|(trail, changes)| eras(changes).into_iter().map(|era| (trail.clone(), era)));
        // What happened at the window's end was delivered a little later.
        let last = window.end().plus_seconds(LOG_DELAY);
        let reaches =
            |era: &Era| era.from.is_none_or(|from| from <= last) && era.end.as_ref().is_none_or(|end| end.at >= window.start());
        eras.filter(|(_, era)| reaches(era)).collect()
    }

    /// Whether anything shows that where a trail delivered in the window, up to an instant, has been gone through.
    fn is_met(&self, trail: &Trail, until: Timestamp, window: Window) -> bool {
        let before = |delay: i64| {
            let earlier = until.plus_seconds(-delay);
            if earlier > window.start() { earlier } else { until }
        };
        let (first, last) = (window.start().plus_seconds(-DIGESTS_BEFORE), before(DIGEST_DELAY));
        let mut digests = self.digests.values().filter_map(|trails| trails.get(trail));
        if digests.any(|ends| ends.iter().any(|end| (first..=last).contains(end))) {
            return true;
        }
        // Logs do not say which trail they are of: they count where nothing else can have brought them.
        self.logs.iter().any(|((store, account), oldest)| {
            let others = self.described.get(store).is_some_and(|trails| trails.iter().any(|other| other != trail));
            let digests = self.digests.get(store).is_some_and(|trails| trails.keys().any(|of| of.account == trail.account));
            *account == trail.account && *oldest <= before(LOG_DELAY) && !others && !digests
        })
    }
}

/// Whether a trail may have recorded any of these regions, or of all where there are none: one that is at home elsewhere did not if it is
/// known to be of its home alone.
fn may_record_any(regions: &[Region], home: &Region, changes: &BTreeSet<Change>) -> bool {
    let is_told = |all: bool| changes.iter().any(|change| change.all_regions == Some(all));
    regions.is_empty() || regions.contains(home) || is_told(true) || !is_told(false)
}

/// The eras of a trail.
fn eras(changes: &BTreeSet<Change>) -> Vec<Era> {
    let mut eras = Vec::new();
    let mut now = Some(Era { from: None, end: None, store: None });
    for change in changes {
        let began = |store: Option<Store>| Some(Era { from: Some(change.at), end: None, store });
        match (&change.deed, &mut now) {
            (Deed::Told(store), Some(era)) => era.store = era.store.take().or_else(|| Some(store.clone())),
            (Deed::Told(store), none) => *none = began(Some(store.clone())),
            // The event repeats what the trail did already.
            (Deed::Sent(store), Some(era)) if store.is_some() && era.store == *store => {}
            (deed, era) => {
                // A trail that is made was not there before.
                let was_there = !matches!(deed, Deed::Made(_));
                if let Some(ended) = era.take().filter(|era| was_there || era.from.is_some()) {
                    eras.push(Era { end: Some(change.clone()), ..ended });
                }
                if let Deed::Made(store) | Deed::Sent(store) = deed {
                    *era = began(store.clone());
                }
            }
        }
    }
    // CloudTrail itself says where a trail delivers since then, unless it has forgotten the trail.
    eras.extend(now.filter(|era| era.from.is_some()));
    eras
}

/// Reads which trail an event is about.
pub(super) fn trail_of(account: AccountId, region: &Region, record: &Value) -> Option<Trail> {
    let text = |part: &str, field: &str| record.get(part)?.get(field)?.as_str().filter(|text| !text.is_empty());
    let asked = text("requestParameters", "name").or_else(|| text("requestParameters", "trailName"));
    let named = asked.or_else(|| text("responseElements", "name"));
    let answered = text("responseElements", "trailARN");
    let arn = named.into_iter().chain(answered).find_map(|text| text.parse::<TrailArn>().ok());
    match arn {
        Some(arn) => Some(Trail::of(&arn)),
        // By its name alone a trail is called only at home.
        None => Some(Trail { account, home: region.clone(), name: named?.to_owned() }),
    }
}

/// Reads which trail an event is about, and what it tells of where it delivers.
fn read(account: AccountId, region: &Region, name: &str, record: &Value) -> Option<(Trail, Change)> {
    let at = record.get("eventTime")?.as_str()?.parse().ok()?;
    let text = |part: &str, field: &str| record.get(part)?.get(field)?.as_str().filter(|text| !text.is_empty());
    let (asked, answered) = (|field| text("requestParameters", field), |field| text("responseElements", field));
    let trail = trail_of(account, region, record)?;
    let makes = name == "CreateTrail";
    // An answer has all settings, those included that the request did not name.
    let is_whole = makes || answered("s3BucketName").is_some();
    let prefix = asked("s3KeyPrefix").or_else(|| answered("s3KeyPrefix"));
    let bucket = asked("s3BucketName").or_else(|| answered("s3BucketName")).filter(|_| is_whole || prefix.is_some());
    let store = bucket.map(|bucket| Store::new(bucket.to_owned(), prefix));
    let sends = [("requestParameters", "s3BucketName"), ("requestParameters", "s3KeyPrefix")];
    let sends = sends.iter().any(|(part, field)| record.get(part).and_then(|part| part.get(field)).is_some());
    let deed = match store {
        _ if name == "DeleteTrail" => Deed::Deleted,
        store if makes => Deed::Made(store),
        store if sends => Deed::Sent(store),
        store => Deed::Told(store?),
    };
    let flag = |part: &str| record.get(part)?.get("isMultiRegionTrail")?.as_bool();
    let (asked, answered) = (flag("requestParameters"), flag("responseElements"));
    // One that is narrowed to its home was of all regions before.
    let all_regions = if makes { asked.or(answered) } else { asked.map(|_| true).or(answered) };
    Some((trail, Change { at, deed, all_regions }))
}

fn in_words(end: &Change) -> String {
    let at = end.at;
    match &end.deed {
        Deed::Deleted => format!("was deleted at {at}"),
        Deed::Made(Some(store)) | Deed::Sent(Some(store)) | Deed::Told(store) => {
            format!("was sent to bucket {} below {}AWSLogs/ at {at}", printable(&store.bucket), printable(&store.prefix))
        }
        Deed::Made(None) | Deed::Sent(None) => format!("was sent to another place at {at}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:cloudtrail:us-east-1:111122223333:trail/main";

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-03-02T{time}Z").parse().unwrap()
    }

    /// From 01:00 to 06:00.
    fn window() -> Window {
        Window::new(at("01:00:00"), at("06:00:00")).unwrap()
    }

    fn store(bucket: &str) -> Store {
        Store::new(bucket.to_owned(), None)
    }

    /// Tells of an event; `bucket` is what the request names, `answered` what AWS answers.
    fn tell(traces: &TrailTraces, name: &str, time: &str, bucket: Option<&str>, answered: Option<&str>) {
        let mut record = json!({"eventName": name, "eventTime": format!("2026-03-02T{time}Z"),
            "requestParameters": {"name": "main"}, "responseElements": null});
        if let Some(bucket) = bucket {
            record["requestParameters"]["s3BucketName"] = bucket.into();
        }
        if let Some(bucket) = answered {
            record["responseElements"] = json!({"trailARN": ARN, "s3BucketName": bucket});
        }
        traces.note_event(account(), &"us-east-1".parse().unwrap(), Some(name), Some(&record.to_string()));
    }

    fn see_digest(traces: &TrailTraces, bucket: &str, trail: &str, end: &str) {
        let home_region = "us-east-1".parse().unwrap();
        let digest = DigestFile { trail: trail.to_owned(), home_region, end: at(end), backfill: false };
        traces.sees_digest(&store(bucket), account(), digest);
    }

    fn lost(traces: &TrailTraces) -> Vec<String> {
        let lost = traces.lost(window(), &Scope::default());
        lost.iter()
            .map(|(trail, ends)| format!("{}: {}", trail.name, ends.iter().map(in_words).collect::<Vec<_>>().join(", ")))
            .collect()
    }

    fn followed(traces: &TrailTraces) -> Vec<String> {
        traces.stores(window(), &Scope::default()).0.into_iter().map(|store| store.bucket).collect()
    }

    #[test]
    fn a_deleted_trail_is_lost_unless_digests_of_it_are_met() {
        let traces = TrailTraces::default();
        tell(&traces, "DeleteTrail", "03:00:00", None, None);
        assert_eq!(lost(&traces), ["main: was deleted at 2026-03-02T03:00:00Z"]);
        see_digest(&traces, "logs", "other", "02:00:00");
        assert_eq!(lost(&traces).len(), 1, "of another trail");
        see_digest(&traces, "logs", "main", "02:00:00");
        assert_eq!(lost(&traces), Vec::<String>::new());
    }

    #[test]
    fn a_trail_that_was_deleted_after_the_window_or_refused_to_be_is_told_apart() {
        let traces = TrailTraces::default();
        tell(&traces, "DeleteTrail", "23:00:00", None, None);
        assert_eq!(lost(&traces).len(), 1, "it delivered what the window asks for");
        let traces = TrailTraces::default();
        let refused = json!({"eventName": "DeleteTrail", "eventTime": "2026-03-02T03:00:00Z", "errorCode": "AccessDenied",
            "requestParameters": {"name": ARN}});
        traces.note_event(account(), &"us-east-1".parse().unwrap(), Some("DeleteTrail"), Some(&refused.to_string()));
        assert_eq!(lost(&traces), Vec::<String>::new());
        tell(&traces, "CreateTrail", "22:00:00", Some("new"), None);
        tell(&traces, "DeleteTrail", "23:00:00", None, None);
        assert_eq!((lost(&traces).len(), followed(&traces).len()), (0, 0), "it was made after the window");
    }

    #[test]
    fn a_move_loses_what_was_delivered_before_it_and_what_lies_at_its_end_does_not_count() {
        let traces = TrailTraces::default();
        tell(&traces, "UpdateTrail", "03:00:00", Some("evil"), Some("evil"));
        see_digest(&traces, "evil", "main", "02:41:00");
        assert_eq!(
            lost(&traces),
            ["main: was sent to bucket evil below AWSLogs/ at 2026-03-02T03:00:00Z"],
            "written after the move"
        );
        see_digest(&traces, "evil", "main", "01:41:00");
        assert_eq!(lost(&traces), Vec::<String>::new(), "it delivered there before: nothing was moved");
    }

    #[test]
    fn where_the_history_names_the_store_it_is_gone_through_and_nothing_is_lost() {
        let traces = TrailTraces::default();
        tell(&traces, "UpdateTrail", "02:00:00", None, Some("logs"));
        tell(&traces, "UpdateTrail", "03:00:00", Some("evil"), Some("evil"));
        tell(&traces, "UpdateTrail", "04:00:00", Some("logs"), Some("logs"));
        assert_eq!((followed(&traces), lost(&traces)), (["evil", "logs"].map(str::to_owned).to_vec(), Vec::new()));
        let traces = TrailTraces::default();
        tell(&traces, "CreateTrail", "02:00:00", Some("made"), None);
        tell(&traces, "DeleteTrail", "03:00:00", None, None);
        assert_eq!((followed(&traces), lost(&traces)), (vec!["made".to_owned()], Vec::new()));
    }

    #[test]
    fn logs_count_where_no_other_trail_can_have_brought_them() {
        let traces = TrailTraces::default();
        tell(&traces, "DeleteTrail", "03:00:00", None, None);
        traces.sees_logs(&store("late"), account(), at("02:50:00"));
        assert_eq!(lost(&traces).len(), 1, "it may be of a trail that was made later");
        traces.sees_logs(&store("shared"), account(), at("01:00:00"));
        traces.describes(&"arn:aws:cloudtrail:us-east-1:111122223333:trail/other".parse().unwrap(), &store("shared"));
        assert_eq!(lost(&traces).len(), 1, "another trail delivers there");
        traces.sees_logs(&store("digested"), account(), at("01:00:00"));
        see_digest(&traces, "digested", "other", "02:00:00");
        assert_eq!(lost(&traces).len(), 1, "what lies there is of a trail that is named");
        traces.sees_logs(&store("named"), account(), at("01:00:00"));
        assert_eq!(lost(&traces), Vec::<String>::new());
    }

    #[test]
    fn one_trail_asked_for_leaves_the_others_out() {
        let traces = TrailTraces::default();
        tell(&traces, "DeleteTrail", "03:00:00", None, None);
        let other = "arn:aws:cloudtrail:us-east-1:111122223333:trail/other".parse().unwrap();
        let only = |arn| traces.lost(window(), &Scope { trail_arn: Some(arn), ..Scope::default() }).len();
        assert_eq!((only(other), only(ARN.parse().unwrap())), (0, 1));
    }

    #[test]
    fn a_trail_at_home_elsewhere_counts_unless_it_is_known_to_be_of_its_home_alone() {
        let counts = |events: &[(&str, Value, Value)]| {
            let traces = TrailTraces::default();
            for (minute, (name, asked, answered)) in events.iter().enumerate() {
                let mut record = json!({"eventName": name, "eventTime": format!("2026-03-02T03:{minute:02}:00Z"),
                    "requestParameters": {"name": "main"}, "responseElements": {"trailARN": ARN, "s3BucketName": "logs"}});
                record["requestParameters"]["isMultiRegionTrail"] = asked.clone();
                record["responseElements"]["isMultiRegionTrail"] = answered.clone();
                traces.note_event(account(), &"us-east-1".parse().unwrap(), Some(name), Some(&record.to_string()));
            }
            let scope = Scope { regions: vec!["eu-central-1".parse().unwrap()], ..Scope::default() };
            !traces.met.lock().eras(window(), &scope).is_empty()
        };
        let (none, deleted) = (Value::Null, ("DeleteTrail", Value::Null, Value::Null));
        assert!(counts(std::slice::from_ref(&deleted)), "nobody says which it recorded");
        assert!(counts(&[("CreateTrail", none.clone(), true.into()), deleted.clone()]));
        assert!(!counts(&[("CreateTrail", none.clone(), false.into()), deleted.clone()]));
        assert!(counts(&[("UpdateTrail", false.into(), false.into()), deleted.clone()]), "it was narrowed");
        let widened = ("UpdateTrail", true.into(), true.into());
        assert!(counts(&[("CreateTrail", none, false.into()), widened, deleted]));
    }
}
