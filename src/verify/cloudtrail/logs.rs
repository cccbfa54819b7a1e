//! Every log that a verified digest lists, and every log that none lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::case::sorting::{Sorted, Sorting};
use crate::case::{CaseError, Workspace};
use crate::cloudtrail::coverage::HourStatus;
use crate::cloudtrail::{LogFolder, Witness};
use crate::model::{AccountId, Finding, Region, S3Location, Severity, Timestamp, Window};
use crate::verify::artifacts::Checked;
use crate::verify::collections::root_of;
use crate::verify::log_records::{Listing, LogRecord, Places, Said, Spot, StoredLog};

use super::links::{Link, Links};
use super::looked::{Absence, DELIVERED, Due, Looked, NotLookedFor};
use super::timeline::{Deliveries, TrailTime};
use super::trails::Trails;
use super::unreadable::Unreadable;
use super::{Place, Row};

/// How far a log's slot may lie outside the interval of the digest that lists it, in seconds.
const SLOT_SLACK: i64 = 10 * 60;

/// What a log that is stored came to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judged {
    /// It is as a digest lists it.
    Verified,
    /// It is not, but this older version is.
    Recovered(Option<Box<str>>),
    /// Neither.
    Wrong,
}

/// What is to be known of one log or digest by name.
#[derive(Debug, Default)]
struct Told {
    /// Whether the case holds any version of it.
    stored: bool,
    judged: Option<Judged>,
}

/// The few logs and digests that something else speaks of, so that they must be known by name: those that events are known from, and
/// those that somebody deleted.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    told: HashMap<Spot, Told>,
}

impl Wanted {
    pub(super) fn of(checked: &Checked) -> Self {
        let witnesses = checked.events.iter().chain(&checked.history).map(|event| &event.telling.witness);
        let witnesses = witnesses.chain(checked.object_events.iter().map(|event| &event.telling.witness));
        let logs = witnesses.filter_map(|witness| match witness {
            Witness::Log(location, _) => Some(location),
            Witness::History => None,
        });
        let deleted = checked.object_events.iter().map(|event| &event.location);
        let deleted = deleted.chain(checked.delete_markers.iter().map(|marker| &marker.location));
        Self { told: logs.chain(deleted).map(|location| (checked.places.spot(location), Told::default())).collect() }
    }

    /// Notes that a digest is stored.
    pub(super) fn note_digest(&mut self, location: &S3Location) {
        if !self.told.is_empty()
            && let Some(told) = self.told.get_mut(&Spot::Other(Box::new(location.clone())))
        {
            told.stored = true;
        }
    }
}

/// Everything that is said of one log.
#[derive(Debug)]
struct Log {
    spot: Spot,
    current: Option<StoredLog>,
    /// In the order of the ledger.
    older: Vec<StoredLog>,
    /// Each with the place of its digest in the order of judging.
    listed: Vec<(usize, Listing)>,
}

impl Log {
    fn new(spot: Spot) -> Self {
        Self { spot, current: None, older: Vec::new(), listed: Vec::new() }
    }
}

/// Where a verified digest is to be found among the rows.
#[derive(Clone, Copy, Debug)]
struct Lister {
    row: usize,
    backfill: bool,
    at: usize,
}

/// The judgement on all logs, and what later steps need of it.
#[derive(Debug)]
pub(super) struct LogVerdicts {
    places: Places,
    window: Window,
    wanted: Wanted,
    /// Where logs of the window lie, by the numbers of their places.
    in_window: BTreeSet<u32>,
    /// What digests name where nobody looked.
    pub(super) not_looked_for: NotLookedFor,
    /// Logs that are stored and that no verified digest lists.
    unlisted: Sorted<LogRecord>,
}

/// Judges log after log.
struct Judge<'a> {
    unreadable: &'a Unreadable<'a>,
    verdicts: LogVerdicts,
    unlisted: Sorting<LogRecord>,
    /// The verified digests, in the order in which their word counts.
    listers: Vec<Lister>,
}

/// How one listing of a log turned out.
struct Outcome {
    status: HourStatus,
    malformed: bool,
    /// Whether the current version is there.
    current: bool,
}

/// Compares what the verified digests list with what is stored. Of each log, all that is said comes together.
pub(super) fn judge(
    (places, records): (Places, Sorted<LogRecord>),
    rows: &mut [Row],
    wanted: Wanted,
    unreadable: &Unreadable<'_>,
    window: Window,
    workspace: &Workspace<'_>,
    findings: &mut Vec<Finding>,
) -> Result<LogVerdicts, CaseError> {
    let mut listers = Vec::new();
    let mut ranks: HashMap<u64, usize> = HashMap::new();
    for (number, row) in rows.iter().enumerate() {
        for (links, backfill) in [(&row.standard, false), (&row.backfill, true)] {
            for (at, link) in links.digests.iter().enumerate().filter(|(_, link)| link.proven.is_some()) {
                ranks.insert(link.number, listers.len());
                listers.push(Lister { row: number, backfill, at });
            }
        }
    }
    let verdicts = LogVerdicts {
        places,
        window,
        wanted,
        in_window: BTreeSet::new(),
        not_looked_for: NotLookedFor::default(),
        unlisted: Sorted::default(),
    };
    let mut judge = Judge { unreadable, verdicts, unlisted: Sorting::new(workspace), listers };
    let mut log: Option<Log> = None;
    for record in records.merge() {
        let LogRecord { spot, said } = record?;
        if log.as_ref().is_none_or(|log| log.spot != spot)
            && let Some(whole) = log.replace(Log::new(spot))
        {
            judge.take(whole, rows, findings);
        }
        let Some(log) = &mut log else { continue };
        match said {
            // Of two at one place, the one that the ledger names first.
            Said::Current(_, current) => drop(log.current.get_or_insert(current)),
            Said::Older(_, older) => log.older.push(older),
            // The list of an unverified digest is nobody's word, so it does not count.
            Said::Listed(listing) => log.listed.extend(ranks.get(&listing.digest).map(|rank| (*rank, listing))),
        }
    }
    if let Some(whole) = log {
        judge.take(whole, rows, findings);
    }
    Ok(LogVerdicts { unlisted: judge.unlisted.finish(), ..judge.verdicts })
}

impl Judge<'_> {
    fn take(&mut self, mut log: Log, rows: &mut [Row], findings: &mut Vec<Finding>) {
        // Of digests that list it with different hashes, the one that it agrees with is heard first, whichever is the older.
        let Log { current, older, listed, .. } = &mut log;
        let holds = |stored: &StoredLog, listing: &Listing| stored.content == Ok(listing.sha256);
        listed.sort_by_cached_key(|(rank, listing)| {
            let current = current.iter().any(|current| holds(current, listing));
            (!current, !older.iter().any(|older| holds(older, listing)), *rank)
        });
        let (mut judged, mut absent) = (None, false);
        for (rank, listing) in &log.listed {
            let Some(lister) = self.listers.get(*rank).copied() else { continue };
            // Every log that a digest lists had been delivered when the digest was.
            let link = rows.get(lister.row).and_then(|row| row.link(lister));
            let by = link.map_or(self.verdicts.window.end(), |link| link.received.unwrap_or(link.end.plus_seconds(DELIVERED)));
            let lies_at = rows.get(lister.row).and_then(|row| row.links(lister).place_of(link?)).map(|(_, place)| place);
            // Of what is there, it is of no interest.
            let is_beside = log.current.is_none() && lies_at.is_some_and(|place| self.verdicts.lies_in(&log.spot, place));
            let due = Due { by, named_by: link.filter(|_| is_beside).map(|link| link.number) };
            let Some(outcome) = self.judge(&log, (listing, due), &mut judged, &mut absent, findings) else { continue };
            if let Some(row) = rows.get_mut(lister.row) {
                row.count(lister, &outcome);
            }
        }
        if let Some(told) = self.verdicts.wanted.told.get_mut(&log.spot) {
            told.stored = log.current.is_some() || !log.older.is_empty();
            told.judged.clone_from(&judged);
        }
        let Log { spot, current: Some(current), .. } = log else { return };
        if let Spot::Slot(place, slot) = &spot
            && self.verdicts.window.overlaps(slot.minute(), slot.minute())
        {
            self.verdicts.in_window.insert(*place);
        }
        if judged.is_none() {
            self.unlisted.push(LogRecord { spot, said: Said::Current(0, current) });
        }
    }

    /// What comes of one listing, and of the log having been due some time; nothing if another was judged before, or if the log
    /// is not there and has no event in the window.
    fn judge(
        &mut self,
        log: &Log,
        (listing, due): (&Listing, Due),
        judged: &mut Option<Judged>,
        absent: &mut bool,
        findings: &mut Vec<Finding>,
    ) -> Option<Outcome> {
        let location = || self.verdicts.places.location(&log.spot);
        let mut find = |severity, kind: &str, detail: &str| findings.push(Finding::new(severity, kind, &location(), detail));
        let current = log.current.as_ref();
        if judged.is_some() || *absent {
            let holds = current.is_some_and(|current| current.content == Ok(listing.sha256));
            if current.is_some() && !holds && *judged == Some(Judged::Verified) {
                let detail = "Two signed digests list it with different hashes; it agrees with one of them.";
                find(Severity::Gap, "log-listed-twice", detail);
            }
            return None;
        }
        let (status, malformed) = match current.map(|current| &current.content) {
            Some(Ok(sha256)) if *sha256 == listing.sha256 => (HourStatus::Verified, false),
            Some(Ok(_)) => {
                let detail =
                    "Its content is not what CloudTrail delivered: its hash differs from the one in the signed digest.";
                find(Severity::Failure, "log-modified", detail);
                (HourStatus::LogModified, false)
            }
            Some(Err(problem)) => {
                find(Severity::Failure, "log-malformed-gzip", &format!("It is not one whole gzip member: {problem}."));
                (HourStatus::LogModified, true)
            }
            None => {
                let in_window = match (listing.oldest_event, listing.newest_event) {
                    (Some(oldest), Some(newest)) => self.verdicts.window.overlaps(oldest, newest),
                    _ => true,
                };
                if !in_window && log.older.is_empty() {
                    return None;
                }
                let location = location();
                let absence = self.unreadable.absence(&location, due);
                if absence == Absence::Unreadable {
                    *absent = true;
                    if !self.unreadable.looked.for_object(&location) {
                        self.verdicts.not_looked_for.add(&location);
                    }
                    return Some(Outcome { status: HourStatus::Unreadable, malformed: false, current: false });
                }
                let (severity, detail) = absence.told("A signed digest lists it, and it is not there.");
                find(severity, "log-missing", &detail);
                (HourStatus::LogMissing, false)
            }
        };
        let genuine = log.older.iter().filter(|older| older.content == Ok(listing.sha256));
        // Of several, the first that was stored.
        let genuine = genuine.min_by_key(|older| (older.received, &older.version_id));
        let verdict = match (status, genuine) {
            (HourStatus::Verified, _) => Judged::Verified,
            (_, Some(genuine)) => {
                find(Severity::Notice, "log-recovered", &recovered(genuine, current));
                Judged::Recovered(genuine.version_id.clone())
            }
            (_, None) => Judged::Wrong,
        };
        let status = if matches!(verdict, Judged::Recovered(_)) { HourStatus::Recovered } else { status };
        // Of what is not there in any version, nothing more is to be said.
        if current.is_some() || !log.older.is_empty() {
            *judged = Some(verdict);
        } else {
            *absent = true;
        }
        Some(Outcome { status, malformed, current: current.is_some() })
    }
}

impl Row {
    fn links(&self, lister: Lister) -> &Links {
        if lister.backfill { &self.backfill } else { &self.standard }
    }

    fn link(&self, lister: Lister) -> Option<&Link> {
        self.links(lister).digests.get(lister.at)
    }

    fn count(&mut self, lister: Lister, outcome: &Outcome) {
        let Outcome { status, malformed, current } = *outcome;
        let links = if lister.backfill { &mut self.backfill } else { &mut self.standard };
        if let Some(link) = links.digests.get_mut(lister.at) {
            link.logs = link.logs.max(status);
        }
        let logs = &mut self.logs;
        logs.recovered += u64::from(status == HourStatus::Recovered);
        *match status {
            HourStatus::Verified => &mut logs.verified,
            HourStatus::Unreadable => &mut logs.unreadable,
            _ if malformed => &mut logs.malformed,
            _ if current => &mut logs.modified,
            _ => &mut logs.missing,
        } += 1;
    }
}

impl LogVerdicts {
    /// Whether the case holds any version of a log or digest of which somebody says that it was deleted.
    pub(super) fn is_stored(&self, location: &S3Location) -> bool {
        self.wanted.told.get(&self.places.spot(location)).is_some_and(|told| told.stored)
    }

    /// Whether a log lies in the store that a place is of.
    fn lies_in(&self, spot: &Spot, store: &Place) -> bool {
        let location = self.places.location(spot);
        location.bucket == store.bucket && root_of(&location.key) == Some(store.prefix.as_str())
    }

    /// Whether what this witness tells is proven by AWS.
    pub(super) fn is_proven(&self, witness: &Witness) -> bool {
        let (location, expected) = match witness {
            Witness::History => return true,
            Witness::Log(location, None) => (location, Judged::Verified),
            Witness::Log(location, Some(version)) => (location, Judged::Recovered(Some(version.as_str().into()))),
        };
        self.wanted.told.get(&self.places.spot(location)).is_some_and(|told| told.judged.as_ref() == Some(&expected))
    }

    /// Whether a log of the window lies where this chain's trail delivers.
    pub(super) fn any_in_window(&self, row: &Row) -> bool {
        self.in_window.iter().filter_map(|number| self.places.get(*number)).any(|logs| {
            logs.account == row.of.account
                && logs.region == row.of.region
                && row.places.iter().any(|place| place.bucket == logs.bucket && place.prefix == logs.prefix)
        })
    }

    /// Judges the logs that no verified digest lists.
    pub(super) fn judge_uncovered(
        &mut self,
        rows: &mut [Row],
        times: &[TrailTime],
        trails: &Trails,
        one_trail: bool,
        looked: &Looked<'_>,
        findings: &mut Vec<Finding>,
    ) -> Result<(), CaseError> {
        let mut unproven: BTreeMap<String, Unproven> = BTreeMap::new();
        let deliveries: Vec<Deliveries> = times.iter().map(TrailTime::deliveries).collect();
        let mut deliver: HashMap<(AccountId, Region, Place), Vec<usize>> = HashMap::new();
        for (number, row) in rows.iter().enumerate() {
            for place in &row.places {
                deliver.entry((row.of.account, row.of.region.clone(), place.clone())).or_default().push(number);
            }
        }
        for record in std::mem::take(&mut self.unlisted).merge() {
            let LogRecord { spot, said: Said::Current(_, log) } = record? else { continue };
            let Spot::Slot(number, slot) = spot else { continue };
            let Some(name) = self.places.get(number) else { continue };
            let location = &name.location(slot);
            let place =
                Place { bucket: name.bucket.clone(), prefix: name.prefix.clone(), organization: name.organization.clone() };
            let here = deliver.get(&(name.account, name.region.clone(), place.clone())).map(Vec::as_slice).unwrap_or_default();
            let at = slot.minute();
            // It may be of any trail that delivers here: the worst of their times decides whether some digest could still list it.
            let status = here
                .iter()
                .filter_map(|number| deliveries.get(*number))
                .map(|deliveries| deliveries.of_unlisted(at, log.received, SLOT_SLACK))
                .max();
            // A fresh log is taken to be listed by the next digest; one that came long after its slot is not.
            let late = here.iter().filter_map(|number| deliveries.get(*number)).all(|known| known.are_proven(at, SLOT_SLACK));
            let first = here.first().copied();
            let received = log.received.map_or_else(String::new, |at| format!(" S3 received it {at}."));
            let covered = matches!(status, Some(HourStatus::Verified | HourStatus::Recovered));
            if covered
                && name.folder == LogFolder::CloudTrail
                && !one_trail
                && !trails.may_deliver_unsigned(name.account, &name.region, &place)
            {
                let detail = format!(
                    "No digest lists it, though digests cover its time without a hole: CloudTrail did not deliver it here.{received}"
                );
                // Only a run that looked where backfill digests lie knows whether one of them lists it.
                let delivered = log.received.map_or(at, |received| received.max(at));
                // The digests that cover its time may have come late themselves, and all with them.
                let known = here.iter().filter_map(|number| rows.get(*number)?.standard.received_behind(delivered));
                let due = known.max().map_or(delivered, |known| known.max(delivered)).plus_seconds(3600 + DELIVERED);
                let absence = looked.absence(|| {
                    let mut rows = here.iter().filter_map(|number| rows.get(*number)).peekable();
                    let through = |row: &Row| looked.through(&row.of, &row.delivers).is_some_and(|(began, _)| began >= due);
                    rows.peek().is_some() && rows.all(through)
                });
                findings.push(absence.finding("log-uncovered", location, &detail));
            } else if status == Some(HourStatus::Pending) && !late {
                if let Some(row) = first.and_then(|number| rows.get_mut(number)) {
                    row.logs.pending += 1;
                }
                continue;
            } else {
                let (folder, _) = location.key.rsplit_once('/').unwrap_or_default();
                unproven.entry(format!("s3://{}/{folder}/", location.bucket)).or_default().take(at);
            }
            if let Some(row) = first.and_then(|number| rows.get_mut(number)) {
                row.logs.uncovered += 1;
            }
        }
        for (folder, logs) in unproven {
            findings.push(Finding::new(Severity::Gap, "log-unproven", &folder, &logs.describe()));
        }
        Ok(())
    }
}

/// Logs of one folder that nothing speaks for: a trail without validation may have any number of them.
#[derive(Debug, Default)]
struct Unproven {
    count: u64,
    slots: Option<(Timestamp, Timestamp)>,
}

impl Unproven {
    fn take(&mut self, slot: Timestamp) {
        self.count += 1;
        let (first, last) = self.slots.unwrap_or((slot, slot));
        self.slots = Some((first.min(slot), last.max(slot)));
    }

    fn describe(&self) -> String {
        let slots = self.slots.map(|(first, last)| format!(", named {first} to {last}")).unwrap_or_default();
        let logs = if self.count == 1 { "1 log".to_owned() } else { format!("{} logs", self.count) };
        format!("{logs} here{slots}: no digest in the case lists them, so AWS's signatures say nothing about them.")
    }
}

fn recovered(genuine: &StoredLog, current: Option<&StoredLog>) -> String {
    let version = genuine.version_id.as_deref().unwrap_or("without an id");
    let received = genuine.received.map(|at| format!(", received {at},")).unwrap_or_default();
    let instead = match current {
        Some(current) => {
            let version = current.version_id.as_deref().unwrap_or("without an id");
            let at = current.received.map(|at| format!(" of {at}")).unwrap_or_default();
            format!("the current version {version}{at} is not")
        }
        None => "the object was deleted".to_owned(),
    };
    format!("Its genuine bytes are in the case: version {version}{received} is what CloudTrail delivered, though {instead}.")
}
