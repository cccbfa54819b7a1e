//! Which hours a chain proves, and what explains the others: restarts, trails switched off, digests not yet delivered.

mod between;
mod deliveries;
mod elsewhere;
mod moves;
mod outages;
mod told;
mod unread;

use std::collections::BTreeSet;

use crate::cloudtrail::TrailEvent;
use crate::cloudtrail::chain::MissingDigest;
use crate::cloudtrail::coverage::{DELIVERY_LAG, HourStatus, Timeline};
use crate::model::{Finding, Severity, Timestamp, TrailArn, Window};
use crate::verify::acts::Acts;

use super::Row;
use super::links::Link;
use super::looked::{Absence, DELIVERED, Looked};
use super::switches::{Phase, State, Switches};
use super::trails::Trails;
use super::unreadable::Unreadable;

pub(super) use deliveries::Deliveries;
use moves::Moved;
use told::is_of_a_later_digest;

/// How old the newest digest may be while the next is still due: an hour's interval and its delivery, which AWS takes up to 1.5 hours for.
const FRESH: i64 = 150 * 60;
/// How far the final digest of a segment may end before the stop it was written for, in seconds.
const STOP_SLACK: i64 = 5 * 60;
/// How long after its end a digest's own delivery may be remembered before it must be that of a later one, in seconds.
const NEXT_DUE: i64 = 75 * 60;
/// How far before the end of a chain the act that ended it is looked for, in seconds.
const LOOK_BACK: i64 = 2 * 3600;
/// How long a trail that is switched on, or was told to deliver elsewhere, may take until digests show it: an hour's interval.
const FIRST_DIGEST: i64 = 3600 + STOP_SLACK;
/// Longer ago than any trail, in seconds.
const EVER: i64 = 1 << 32;

/// One chain's time.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that do not exclude each other")]
pub(super) struct TrailTime {
    timeline: Timeline,
    window: Window,
    object: String,
    /// When digests were delivered according to the trail's status, whichever run asked.
    told: BTreeSet<Timestamp>,
    switches: Switches,
    /// What may have switched it, of an organization's trail whose owner is not known: or a member's own of that name.
    suspected: Option<Switches>,
    /// Where it was told to deliver instead of where it did, oldest first.
    moves: Vec<Moved>,
    /// Whether the chain is one that the trail always has: of its owner, at home. Others begin when a region is enabled or an account joins.
    is_home: bool,
    /// What verified digests cover, oldest first.
    covered: Vec<(Timestamp, Timestamp)>,
    /// The ends of verified digests, oldest first, and when S3 received them.
    receipts: Vec<(Timestamp, Timestamp)>,
    /// Whether anything shows that the trail recorded and was signed here in the window, though no digest of the chain may be there.
    signed_here: bool,
    /// Whether the trail's status speaks of this account: that of an organization's trail is its owner's.
    status_is_its_own: bool,
    /// The time of digests that are there and could not be read, oldest first.
    unread: Vec<(Timestamp, Timestamp)>,
    /// When S3 received its verified backfill digests.
    backfilled: Vec<Timestamp>,
    /// When the last run that came to its end, and would have met its digests, began.
    looked_since: Option<Timestamp>,
    /// When that one ended; without any, when the last run of all did.
    collected_until: Option<Timestamp>,
    /// Whether another may not have fetched them yet.
    unfinished: bool,
    /// How what is not delivered yet can be had later: a case that is sealed takes no more.
    collect_again: &'static str,
}

impl TrailTime {
    pub(super) fn new(
        row: &Row,
        window: Window,
        trails: &Trails,
        events: &[&TrailEvent],
        acts: &Acts,
        signed_here: bool,
        looked: &Looked<'_>,
    ) -> Self {
        let owner = trails.owner_of(&row.of);
        let events: Vec<&TrailEvent> =
            events.iter().filter(|event| event.concerns(&row.of.trail, &row.of.home_region, owner)).copied().collect();
        let through = looked.through(&row.of, &row.delivers);
        let (status, abroad) = (trails.status(&row.of), row.of.region != row.of.home_region);
        // If nothing describes the trail, nobody knows whose these events are: they are told of, and neither excuse nor accuse.
        let (certain, suspected) = match owner {
            Some(_) => (events, Vec::new()),
            None => (Vec::new(), events),
        };
        let switches = Switches::new(&certain, status, abroad);
        let suspected = owner.is_none().then(|| Switches::new(&suspected, None, abroad));
        let status_is_its_own = row.arn.parse::<TrailArn>().is_ok_and(|arn| arn.account() == row.of.account);
        Self {
            timeline: Timeline::new(window),
            window,
            object: row.of.describe(&row.arn),
            told: trails.digest_deliveries(&row.of),
            moves: moves::resolve(switches.destinations(), row, looked, trails.place_of(&row.of).as_ref()),
            is_home: status_is_its_own && row.of.region == row.of.home_region,
            switches,
            suspected,
            covered: row.standard.digests.iter().filter_map(covered).collect(),
            receipts: row.standard.digests.iter().filter_map(receipt).collect(),
            signed_here,
            status_is_its_own,
            unread: Vec::new(),
            backfilled: row
                .backfill
                .digests
                .iter()
                .filter(|digest| digest.verified)
                .filter_map(|digest| digest.received)
                .collect(),
            looked_since: through.map(|(began, _)| began),
            collected_until: through.map(|(_, ended)| ended).or(acts.collected_until),
            unfinished: looked.is_unfinished(),
            collect_again: if acts.sealed.is_empty() {
                "Run collect again later on the same folder"
            } else {
                "The case is sealed: collect again later into a new one"
            },
        }
    }

    /// The hours of the window.
    pub(super) fn hours(&self) -> Vec<(Timestamp, HourStatus)> {
        self.timeline.hours(HourStatus::NoDigests)
    }

    fn find(&self, findings: &mut Vec<Finding>, severity: Severity, kind: &str, detail: &str) {
        findings.push(Finding::new(severity, kind, &self.object, detail));
    }

    /// Tells of digests that are not there, of the time up to `until`.
    fn lose(&self, findings: &mut Vec<Finding>, until: Timestamp, kind: &str, detail: &str) {
        // Where those behind came late, these may have come no sooner.
        let behind = self.receipts.iter().find(|(end, _)| *end > until).map(|(_, received)| *received);
        let by = until.plus_seconds(DELIVERED).max(behind.unwrap_or(until));
        let is_certain = self.looked_since.is_some_and(|since| since >= by);
        let absence = if self.unfinished && !is_certain { Absence::Unfetched } else { Absence::Gone };
        findings.push(absence.finding(kind, &self.object, detail));
    }

    /// A digest that a verified one names is not there.
    pub(super) fn missing(&mut self, missing: &MissingDigest, absence: Absence, findings: &mut Vec<Finding>) {
        let lost = absence != Absence::Unreadable;
        let from = missing.from.unwrap_or_else(|| self.window.start().floor_hour());
        if lost && !missing.reported {
            let others = match missing.count() {
                1 => String::new(),
                count => format!(" By the hour, {count} digests are gone."),
            };
            let detail = format!(
                "The signed digest after it names it, and it is not there: nothing proves the time from {from} to {}.{others}",
                missing.to
            );
            findings.push(absence.finding("digest-missing", &missing.location, &detail));
        }
        self.timeline.add(from, missing.to, if lost { HourStatus::DigestMissing } else { HourStatus::Unreadable });
    }

    /// A backfill digest that a verified one names is not there; by its name it is of the time from `from` to `to`.
    pub(super) fn missing_backfill(
        &mut self,
        missing: &MissingDigest,
        from: Timestamp,
        to: Timestamp,
        absence: Absence,
        findings: &mut Vec<Finding>,
    ) {
        let lost = absence != Absence::Unreadable;
        if lost && !missing.reported {
            let detail = format!(
                "A signed backfill digest names it as the one before, and it is not there: logs of {from} to {to} that were delivered \
                 late, and listed nowhere else, may be gone with it."
            );
            findings.push(absence.finding("digest-missing", &missing.location, &detail));
        }
        self.timeline.add(from, to, if lost { HourStatus::DigestMissing } else { HourStatus::Unreadable });
    }

    /// Follows the chain from its oldest digest to its newest, and beyond to the end of the window.
    pub(super) fn follow(&mut self, row: &Row, unreadable: &Unreadable<'_>, findings: &mut Vec<Finding>) {
        let (mut known_until, mut newest) = (None, None);
        let hidden = |by: Timestamp| unreadable.hides_digests(&row.of, &row.delivers, by);
        let listed = !hidden(self.window.end().plus_seconds(DELIVERY_LAG + DELIVERED));
        let mut unread =
            unreadable.digests(&row.of, &row.delivers).into_iter().filter(|end| listed && !is_named(row, *end)).peekable();
        for digest in &row.standard.digests {
            let end = digest.end;
            while let Some(end) = unread.next_if(|unread| *unread <= end) {
                if self.pass_unread(end, known_until, findings) {
                    (known_until, newest) = (Some(end), None);
                }
            }
            match digest.proven {
                Some(content) => {
                    let status = if digest.recovered { digest.logs.max(HourStatus::Recovered) } else { digest.logs };
                    let proves = content.proves_its_time();
                    if content.is_first {
                        let to = if proves { content.start } else { end };
                        let by = digest.received.max(Some(end.plus_seconds(DELIVERED))).unwrap_or(end);
                        self.restart(known_until, (to, end), hidden(by), findings);
                    }
                    if proves {
                        self.timeline.add(content.start, end, status);
                    }
                }
                None => {
                    let status = if digest.unchecked { HourStatus::Unreadable } else { HourStatus::DigestInvalid };
                    self.timeline.add(start_of_invalid(digest, known_until), end, status);
                    if !digest.unchecked && !self.is_next(digest, known_until) {
                        continue;
                    }
                }
            }
            if known_until.is_none_or(|known| end >= known) {
                (known_until, newest) = (Some(end), Some(digest));
            }
        }
        for digest in row.backfill.digests.iter().filter(|digest| digest.verified) {
            if let Some(content) = digest.proven.filter(|_| digest.logs != HourStatus::Verified) {
                self.timeline.add(content.start, content.end, digest.logs);
            }
        }
        for end in unread {
            if self.pass_unread(end, known_until, findings) {
                (known_until, newest) = (Some(end), None);
            }
        }
        self.say_unread(findings);
        let needs_more = known_until.is_none_or(|known| known < self.window.end().plus_seconds(DELIVERY_LAG));
        match row.delivers.iter().find(|place| !unreadable.looked.at(place, row.of.account)) {
            Some(place) if listed && needs_more => {
                self.elsewhere(known_until, (place, unreadable.looked.advice()), findings);
            }
            _ => self.tail(known_until, newest, !listed, findings),
        }
        self.outages(row, findings);
    }

    /// Whether a digest that does not hold lies where the chain's next one would: it was changed, and stands for that one alone.
    ///
    /// Anybody can plant a digest under any name: any other tells nothing of how far the chain reaches.
    fn is_next(&self, digest: &Link, known_until: Option<Timestamp>) -> bool {
        let due = known_until.unwrap_or(self.window.start()).plus_seconds(FIRST_DIGEST);
        digest.end <= due && !digest.ahead_of_its_time
    }

    /// Up to when verified digests cover the time from `from` on without a hole.
    fn covered_until(&self, from: Timestamp) -> Timestamp {
        self.covered.iter().fold(from, |until, (start, end)| if *start <= until { until.max(*end) } else { until })
    }

    /// A chain begins at `to`, with a digest that ends at `first`; the chain before it, if any, ended at `from`. `hidden` when digests between
    /// could not be read.
    fn restart(
        &mut self,
        from: Option<Timestamp>,
        (to, first): (Timestamp, Timestamp),
        hidden: bool,
        findings: &mut Vec<Finding>,
    ) {
        let needed_until = self.window.end().plus_seconds(DELIVERY_LAG);
        if to <= self.window.start() || from.is_some_and(|from| from >= needed_until || from >= to) {
            return;
        }
        if hidden {
            return self.unread(from.unwrap_or_else(|| self.window.start().floor_hour()), to, findings);
        }
        let Some(from) = from else { return self.begins(to, first, findings) };
        if self.switches.phases(from, to, LOOK_BACK).iter().any(|phase| phase.state != State::On) {
            // The chain before may have ended after the new one began: its final digest ends when it would have ended anyway.
            let from = self.covered_until(from);
            if from < to {
                self.account_for(from, to, LOOK_BACK, (from, true), findings);
            }
            return;
        }
        let Some(moved) = self.moved_between(from.plus_seconds(-LOOK_BACK), to.max(first).plus_seconds(STOP_SLACK)).cloned()
        else {
            self.timeline.add(from, to, HourStatus::Restart);
            let detail = format!(
                "A new chain of digests begins {to}, the one before ended {from}, and nothing in the case says why. \
                 Switching a trail off and on does this; so does deleting the digests between."
            );
            return self.find(findings, Severity::Gap, "restart-unexplained", &detail);
        };
        if let Some(stay) = self.undelivered(from, to, (from, true), FIRST_DIGEST) {
            let (since, until, is_left) = (stay.from, stay.to, stay.left.is_some());
            let left = stay.left.cloned().unwrap_or(moved);
            self.timeline.add(from, to, HourStatus::Restart);
            self.timeline.add(since, until, HourStatus::DigestMissing);
            let detail = if is_left {
                format!(
                    "The trail was told to deliver elsewhere {until} ({}), but there is no digest from {since} on: what it signed before \
                     it moved is gone.",
                    left.why
                )
            } else {
                format!(
                    "The trail was told where to deliver ({}), and from {since} on that was where collect looked, but digests begin only \
                     {until}: those between are gone.",
                    left.why
                )
            };
            return self.lose(findings, until, "restart-hides-digests", &detail);
        }
        self.timeline.add(from, to, HourStatus::Restart);
        let detail = format!(
            "A new chain of digests begins {to}, the one before ended {from}, and the trail was told to deliver elsewhere: {}. \
             Nothing proves the time between.",
            moved.why
        );
        self.find(findings, Severity::Gap, "restart-after-move", &detail);
    }

    /// From the newest digest to the end of the window.
    fn tail(&mut self, newest: Option<Timestamp>, digest: Option<&Link>, hidden: bool, findings: &mut Vec<Finding>) {
        let needed_until = self.window.end().plus_seconds(DELIVERY_LAG);
        let Some(mut from) = newest else {
            // A listing that failed does not excuse the digests that another run would have met.
            if hidden && self.told_of_all().is_none() {
                return self.unread(self.window.start().floor_hour(), needed_until, findings);
            }
            return self.no_digests(needed_until, findings);
        };
        let is_fresh = |from: Timestamp| self.collected_until.is_some_and(|at| at < from.plus_seconds(FRESH));
        let mut fresh = is_fresh(from);
        if from >= needed_until {
            // The window is covered; logs behind it may still wait for their digest.
            if fresh {
                self.timeline.add(from, from.plus_seconds(86_400), HourStatus::Pending);
            }
            return;
        }
        let delivered = digest.and_then(|digest| digest.received);
        let later = |said: &Timestamp| {
            is_of_a_later_digest(*said, from, delivered) && self.recorded(from, (*said).min(needed_until), STOP_SLACK)
        };
        if let Some(said) = self.last_delivery().filter(later) {
            let last = delivered.map_or_else(String::new, |at| format!(" was delivered {at} and"));
            let detail = format!(
                "The trail's status says that a digest was delivered {said}, but the newest there{last} ends {from}: what came \
                 after it is gone."
            );
            self.find(findings, Severity::Failure, "newest-digests-missing", &detail);
            self.timeline.add(from, said, HourStatus::DigestMissing);
            from = said.max(from);
            fresh = is_fresh(from);
            if from >= needed_until {
                return self.timeline.add(from, from.plus_seconds(if fresh { 86_400 } else { 0 }), HourStatus::Pending);
            }
        }
        if hidden {
            return self.unread(from, needed_until, findings);
        }
        let phases = self.switches.phases(from, needed_until, LOOK_BACK);
        let ended = phases.last().filter(|phase| phase.state != State::On);
        if let Some((off, state, began)) = ended.map(|phase| (phase.from, phase.state, phase.began)) {
            let (why, left_off) = began.map_or((String::new(), ""), |switch| (switch.why.clone(), switch.off()));
            let (status, kind, what) = match state {
                State::Unsigned => (
                    HourStatus::NoDigests,
                    "validation-off",
                    format!("Log file validation was switched off: {why}. Nothing is signed since."),
                ),
                _ => (HourStatus::LoggingOff, "logging-off", format!("{left_off}: {why}. Nothing is recorded since.")),
            };
            self.timeline.add(from, off, if fresh { HourStatus::Pending } else { HourStatus::NoDigests });
            self.timeline.add(off, needed_until, status);
            self.find(findings, Severity::Gap, kind, &what);
            if !fresh && self.recorded(from, off, FIRST_DIGEST) {
                self.timeline.add(from, off, HourStatus::DigestMissing);
                let (switched, last) = match state {
                    State::Unsigned => ("validation was switched", ""),
                    _ => ("it was switched", ", the final one that AWS delivers when logging stops among them,"),
                };
                let detail = format!(
                    "The trail recorded until {off}, when {switched} off, but there is no digest from {from} on: those between{last} \
                     are gone."
                );
                self.lose(findings, off, "newest-digests-missing", &detail);
            } else if !fresh && state == State::Off && off > from.plus_seconds(STOP_SLACK) {
                let detail = format!("The newest digest ends {from}, and the final one, due after the stop, is not there.");
                self.find(findings, Severity::Gap, "digests-end", &detail);
            }
        } else if fresh {
            self.timeline.add(from, needed_until.max(from.plus_seconds(86_400)), HourStatus::Pending);
            let detail = format!(
                "What digests there are, or were, reach up to {from}; the next was not due when the evidence was collected. {} to \
                 prove the rest.",
                self.collect_again
            );
            self.find(findings, Severity::Gap, "digests-pending", &detail);
        } else {
            let detail = format!("What digests there are, or were, reach up to {from}; none came after, though more were due.");
            self.find(findings, Severity::Gap, "digests-end", &detail);
        }
    }

    /// There is no digest at all.
    fn no_digests(&mut self, needed_until: Timestamp, findings: &mut Vec<Finding>) {
        let start = self.window.start();
        let moved = self.moved_between(start, needed_until.plus_seconds(LOOK_BACK)).map(|moved| moved.why.clone());
        if let Some((said, since)) = self.told_of_all() {
            // A digest delivered long after the window is none of the window's, and says only that the trail is signed by then.
            if said <= needed_until.plus_seconds(FRESH) || self.signed_here {
                let before = moved
                    .filter(|_| since > start)
                    .map_or_else(String::new, |why| format!(" It was told where to deliver ({why}); collect looked there."));
                let detail =
                    format!("The trail's status says that a digest was delivered {said}, and there is none at all.{before}");
                self.find(findings, Severity::Failure, "all-digests-missing", &detail);
                self.timeline.add(since.floor_hour(), said.min(needed_until), HourStatus::DigestMissing);
            } else {
                let detail = format!(
                    "There is no digest for it, so nothing proves what it recorded. Its status says that one was delivered {said}, after \
                     the window: whether the trail was there, and signed, in the window is not known."
                );
                self.find(findings, Severity::Gap, "no-digests", &detail);
            }
            return;
        }
        let phases = self.switches.phases(start, needed_until, EVER);
        if let [Phase { state: State::Off, began: Some(switch), .. }] = phases.as_slice() {
            let detail = format!("{} throughout the window: {}. Nothing was recorded.", switch.off(), switch.why);
            self.find(findings, Severity::Gap, "logging-off", &detail);
            self.timeline.add(start.floor_hour(), needed_until, HourStatus::LoggingOff);
            return;
        }
        if let [Phase { state: State::On, to, .. }, Phase { state: State::Off | State::Unsigned, began: Some(switch), .. }, ..] =
            phases.as_slice()
            && self.signed_here
            && *to > start.plus_seconds(FIRST_DIGEST)
        {
            let (to, detail) =
                (*to, format!("It recorded and was signed here until {to} ({}), and there is no digest at all.", switch.why));
            self.lose(findings, to, "all-digests-missing", &detail);
            self.timeline.add(start.floor_hour(), to, HourStatus::DigestMissing);
            return;
        }
        let moved = moved.map_or_else(String::new, |why| {
            format!(
                " The trail was told to deliver elsewhere ({why}): its digests may lie where it delivered before, or there."
            )
        });
        let detail = format!("There is no digest for it, so nothing proves what it recorded.{moved}");
        self.find(findings, Severity::Gap, "no-digests", &detail);
    }

    /// Whether the trail was on for more than so many seconds without a break between two instants, so that a digest came of it.
    fn recorded(&self, from: Timestamp, until: Timestamp, seconds: i64) -> bool {
        let long = |phase: &Phase<'_>| {
            // No final digest is promised where validation is switched off before it was due.
            let unsigned = self.switches.unsigned_between(phase.to, phase.to.plus_seconds(FIRST_DIGEST));
            let seconds = if unsigned { seconds.max(FIRST_DIGEST) } else { seconds };
            phase.state == State::On && phase.to > phase.from.plus_seconds(seconds)
        };
        self.switches.phases(from, until, LOOK_BACK).iter().any(long)
    }
}

/// Whether a verified digest names those up to this end, so that what is known of them is said with it.
fn is_named(row: &Row, end: Timestamp) -> bool {
    row.standard.missing.iter().any(|missing| end <= missing.to && missing.from.is_none_or(|from| end > from))
}

/// The time that a verified digest proves.
fn covered(digest: &Link) -> Option<(Timestamp, Timestamp)> {
    digest.proven.filter(|content| content.proves_its_time()).map(|content| (content.start, content.end))
}

/// When S3 received a verified digest.
fn receipt(digest: &Link) -> Option<(Timestamp, Timestamp)> {
    digest.received.filter(|_| digest.verified).map(|received| (digest.end, received))
}

fn start_of_invalid(digest: &Link, known_until: Option<Timestamp>) -> Timestamp {
    let hour_before = digest.end.plus_seconds(-3600);
    // What an invalid digest claims is worth nothing; it may not claim less than the hour that its name implies.
    let starts = digest.claimed_start.into_iter().chain(known_until).chain([hour_before]);
    starts.min().unwrap_or(hour_before).max(hour_before.plus_seconds(-86_400))
}
