//! Every log that a verified digest lists, and every log that none lists.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::cloudtrail::coverage::HourStatus;
use crate::cloudtrail::{ListedLog, LogFolder, LogPlace, Witness};
use crate::model::{AccountId, Finding, Region, S3Location, Severity, Timestamp, Window};
use crate::verify::artifacts::Checked;
use crate::verify::stored_logs::StoredLog;

use super::timeline::{Deliveries, TrailTime};
use super::trails::Trails;
use super::unreadable::Unreadable;
use super::{Place, Row};

/// How far a log's slot may lie outside the interval of the digest that lists it, in seconds.
const SLOT_SLACK: i64 = 10 * 60;

/// What a log that is stored came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged<'a> {
    /// It is as a digest lists it.
    Verified,
    /// It is not, but this older version is.
    Recovered(Option<&'a str>),
    /// Neither.
    Wrong,
}

/// The same in a byte: there may be a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Verified,
    Recovered,
    Wrong,
}

/// The judgement on all logs, as far as it has come.
#[derive(Debug)]
pub(super) struct LogVerdicts<'a> {
    checked: &'a Checked,
    unreadable: &'a Unreadable<'a>,
    window: Window,
    /// Of logs whose current version is stored, by their numbers; none if no digest has spoken of them yet.
    current: Vec<Option<Verdict>>,
    /// The versions that recovered some of them.
    recovered: HashMap<usize, Option<&'a str>>,
    /// Of logs of which only older versions are stored.
    older: HashMap<&'a S3Location, Judged<'a>>,
    /// Where logs of the window lie.
    in_window: Vec<&'a LogPlace>,
    /// Logs that are listed and not stored at all.
    absent: BTreeSet<S3Location>,
}

impl<'a> LogVerdicts<'a> {
    pub(super) fn new(checked: &'a Checked, unreadable: &'a Unreadable<'a>, window: Window) -> Self {
        Self {
            checked,
            unreadable,
            window,
            current: vec![None; checked.logs.len()],
            recovered: HashMap::new(),
            older: HashMap::new(),
            in_window: checked.logs.places_with(|minute| window.overlaps(minute, minute)),
            absent: BTreeSet::new(),
        }
    }

    /// Logs that are listed and not stored at all.
    pub(super) fn absent(&self) -> impl Iterator<Item = &S3Location> {
        self.absent.iter()
    }

    /// What was judged of a log that is stored, in whatever version.
    fn judged(&self, location: &S3Location) -> Option<Judged<'a>> {
        match self.checked.logs.find(location) {
            Some(number) => self.judged_current(number),
            None => self.older.get(location).copied(),
        }
    }

    fn judged_current(&self, number: usize) -> Option<Judged<'a>> {
        let verdict = self.current.get(number).copied().flatten()?;
        Some(match verdict {
            Verdict::Verified => Judged::Verified,
            Verdict::Recovered => Judged::Recovered(self.recovered.get(&number).copied().flatten()),
            Verdict::Wrong => Judged::Wrong,
        })
    }

    fn judge_current(&mut self, number: usize, judged: Judged<'a>) {
        let verdict = match judged {
            Judged::Verified => Verdict::Verified,
            Judged::Recovered(version) => {
                self.recovered.insert(number, version);
                Verdict::Recovered
            }
            Judged::Wrong => Verdict::Wrong,
        };
        if let Some(entry) = self.current.get_mut(number) {
            *entry = Some(verdict);
        }
    }

    /// Whether what this witness tells is proven by AWS.
    pub(super) fn is_proven(&self, witness: &Witness) -> bool {
        match witness {
            Witness::History => true,
            Witness::Log(location, None) => self.judged(location) == Some(Judged::Verified),
            Witness::Log(location, Some(version)) => self.judged(location) == Some(Judged::Recovered(Some(version.as_str()))),
        }
    }

    /// Whether a log of the window lies where this chain's trail delivers.
    pub(super) fn any_in_window(&self, row: &Row) -> bool {
        self.in_window.iter().any(|logs| {
            logs.account == row.of.account
                && logs.region == row.of.region
                && row.places.iter().any(|place| place.bucket == logs.bucket && place.prefix == logs.prefix)
        })
    }

    /// Judges the logs that this chain's verified digests list.
    pub(super) fn judge(&mut self, row: &mut Row, findings: &mut Vec<Finding>) {
        let Row { standard, backfill, logs, digest_status, .. } = row;
        for digest in standard.digests.iter().chain(&backfill.digests) {
            let Some(content) = digest.proven() else { continue };
            let mut worst = HourStatus::Verified;
            for log in content.logs.iter() {
                let Some((status, malformed, current)) = self.judge_log(&log, findings) else { continue };
                worst = worst.max(status);
                logs.recovered += u64::from(status == HourStatus::Recovered);
                *match status {
                    HourStatus::Verified => &mut logs.verified,
                    HourStatus::Unreadable => &mut logs.unreadable,
                    _ if malformed => &mut logs.malformed,
                    _ if current => &mut logs.modified,
                    _ => &mut logs.missing,
                } += 1;
            }
            digest_status.insert(digest.stored.location.clone(), worst);
        }
    }

    /// The status of one listed log, whether it is malformed, and whether its current version is there; none if it has been judged, or
    /// is not there and has no event in the window.
    fn judge_log(&mut self, log: &ListedLog, findings: &mut Vec<Finding>) -> Option<(HourStatus, bool, bool)> {
        let checked = self.checked;
        let mut find = |severity, kind: &str, detail: &str| findings.push(Finding::new(severity, kind, &log.location, detail));
        let number = checked.logs.find(&log.location);
        let current = number.and_then(|number| checked.logs.get(number)).map(|(_, _, log)| log);
        let older = checked.older_logs.get_key_value(&log.location);
        let before = match number {
            Some(number) => self.judged_current(number),
            None => older.and_then(|(place, _)| self.older.get(place).copied()),
        };
        if before.is_some() || self.absent.contains(&log.location) {
            let holds = current.as_ref().is_some_and(|current| current.content == Ok(log.sha256));
            if current.is_some() && !holds && before == Some(Judged::Verified) {
                let detail = "Two signed digests list it with different hashes; it agrees with one of them.";
                find(Severity::Gap, "log-listed-twice", detail);
            }
            return None;
        }
        let (status, malformed) = match current.as_ref().map(|current| &current.content) {
            Some(Ok(sha256)) if *sha256 == log.sha256 => (HourStatus::Verified, false),
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
                let in_window = match (log.oldest_event, log.newest_event) {
                    (Some(oldest), Some(newest)) => self.window.overlaps(oldest, newest),
                    _ => true,
                };
                if !in_window && older.is_none() {
                    return None;
                }
                if self.unreadable.covers(&log.location) {
                    self.absent.insert(log.location.clone());
                    return Some((HourStatus::Unreadable, false, false));
                }
                find(Severity::Failure, "log-missing", "A signed digest lists it, and it is not there.");
                (HourStatus::LogMissing, false)
            }
        };
        let genuine = older.into_iter().flat_map(|(_, versions)| versions).filter(|older| older.content == Ok(log.sha256));
        // Of several, the first that was stored.
        let genuine = genuine.min_by_key(|older| (older.received, &older.version_id));
        let judged = match (status, genuine) {
            (HourStatus::Verified, _) => Judged::Verified,
            (_, Some(genuine)) => {
                find(Severity::Notice, "log-recovered", &recovered(genuine, current.as_ref()));
                Judged::Recovered(genuine.version_id.as_deref())
            }
            (_, None) => Judged::Wrong,
        };
        match (number, older) {
            (Some(number), _) => self.judge_current(number, judged),
            (None, Some((place, _))) => drop(self.older.insert(place, judged)),
            (None, None) => drop(self.absent.insert(log.location.clone())),
        }
        let status = if matches!(judged, Judged::Recovered(_)) { HourStatus::Recovered } else { status };
        Some((status, malformed, current.is_some()))
    }

    /// Judges the logs that no verified digest lists.
    pub(super) fn judge_uncovered(
        &self,
        rows: &mut [Row],
        times: &[TrailTime],
        trails: &Trails,
        one_trail: bool,
        findings: &mut Vec<Finding>,
    ) {
        let mut unproven: BTreeMap<String, Unproven> = BTreeMap::new();
        let deliveries: Vec<Deliveries> = times.iter().map(TrailTime::deliveries).collect();
        let mut deliver: HashMap<(AccountId, Region, Place), Vec<usize>> = HashMap::new();
        for (number, row) in rows.iter().enumerate() {
            for place in &row.places {
                deliver.entry((row.of.account, row.of.region.clone(), place.clone())).or_default().push(number);
            }
        }
        for number in (0..self.current.len()).filter(|number| self.judged_current(*number).is_none()) {
            let Some((name, slot, log)) = self.checked.logs.get(number) else { continue };
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
            // It came long after its slot: that the next digest will list it is not taken for granted, as it is of fresh logs.
            let late = self.window.overlaps(at, at)
                && here.iter().filter_map(|number| deliveries.get(*number)).all(|known| known.are_proven(at, SLOT_SLACK));
            let row = here.first().and_then(|number| rows.get_mut(*number));
            let received = log.received.map_or_else(String::new, |at| format!(" S3 received it {at}."));
            let covered = matches!(status, Some(HourStatus::Verified | HourStatus::Recovered));
            if covered && name.folder == LogFolder::CloudTrail && !one_trail && !trails.may_deliver_unsigned(&place) {
                let detail = format!(
                    "No digest lists it, though digests cover its time without a hole: CloudTrail did not deliver it here.{received}"
                );
                findings.push(Finding::new(Severity::Failure, "log-uncovered", location, &detail));
            } else if status == Some(HourStatus::Pending) && !late {
                if let Some(row) = row {
                    row.logs.pending += 1;
                }
                continue;
            } else {
                let (folder, _) = location.key.rsplit_once('/').unwrap_or_default();
                unproven.entry(format!("s3://{}/{folder}/", location.bucket)).or_default().take(at);
            }
            if let Some(row) = row {
                row.logs.uncovered += 1;
            }
        }
        for (folder, logs) in unproven {
            findings.push(Finding::new(Severity::Gap, "log-unproven", &folder, &logs.describe()));
        }
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
