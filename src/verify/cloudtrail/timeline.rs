//! Which hours a chain proves, and what explains the others: restarts, trails switched off, digests not yet delivered.

use crate::cloudtrail::TrailEvent;
use crate::cloudtrail::chain::{CheckedDigest, MissingDigest};
use crate::cloudtrail::coverage::{DELIVERY_LAG, HourStatus, Timeline};
use crate::model::{Finding, Severity, Timestamp, Window};

use super::Row;
use super::trails::{Status, Trails};
use super::unreadable::Unreadable;

/// How old the newest digest may be while the next is still due: an hour's interval and its delivery, which AWS takes up to 1.5 hours for.
const FRESH: i64 = 150 * 60;
/// How far the final digest of a segment may end before the stop it was written for, in seconds.
const STOP_SLACK: i64 = 5 * 60;
/// How much later than the newest digest's delivery the trail's status may put it, in seconds.
const DELIVERY_SLACK: i64 = 10 * 60;

/// One chain's time.
#[derive(Debug)]
pub(super) struct TrailTime {
    timeline: Timeline,
    window: Window,
    object: String,
    status: Option<Status>,
    /// Events about this trail in verified logs, oldest first.
    events: Vec<TrailEvent>,
    collected_until: Option<Timestamp>,
}

impl TrailTime {
    pub(super) fn new(
        row: &Row,
        window: Window,
        trails: &Trails,
        events: &[&TrailEvent],
        collected_until: Option<Timestamp>,
    ) -> Self {
        let mut events: Vec<TrailEvent> =
            events.iter().filter(|event| event.concerns(&row.of.trail)).map(|event| (*event).clone()).collect();
        events.sort_by_key(|event| event.at);
        Self {
            timeline: Timeline::new(window),
            window,
            object: row.of.describe(&row.arn),
            status: trails.status(&row.of),
            events,
            collected_until,
        }
    }

    /// The hours of the window.
    pub(super) fn hours(&self) -> Vec<(Timestamp, HourStatus)> {
        self.timeline.hours(HourStatus::NoDigests)
    }

    pub(super) fn worst(&self, from: Timestamp, to: Timestamp) -> HourStatus {
        self.timeline.worst(from, to, HourStatus::NoDigests)
    }

    /// A digest that a verified one names is not there; `lost` unless a gap says that it could not be fetched.
    pub(super) fn missing(&mut self, missing: &MissingDigest, lost: bool, findings: &mut Vec<Finding>) {
        let from = missing.from.unwrap_or_else(|| self.window.start().floor_hour());
        if lost {
            let detail = format!(
                "The signed digest after it names it, and it is not there: nothing proves the time from {from} to {}.",
                missing.to
            );
            findings.push(Finding::new(Severity::Failure, "digest-missing", &missing.location, &detail));
        }
        self.timeline.add(from, missing.to, if lost { HourStatus::DigestMissing } else { HourStatus::Unreadable });
    }

    /// Follows the chain from its oldest digest to its newest, and beyond to the end of the window.
    pub(super) fn follow(&mut self, row: &Row, unreadable: &Unreadable<'_>, findings: &mut Vec<Finding>) {
        let mut known_until = None;
        for digest in &row.standard.digests {
            let end = digest.stored.name.end;
            match digest.proven() {
                Some(content) => {
                    let status = row.digest_status.get(&digest.stored.location).copied().unwrap_or(HourStatus::Verified);
                    // An empty starting digest spans the hour before logging began: it proves nothing about that hour.
                    let proves = content.previous.is_some() || !content.logs.is_empty();
                    if content.previous.is_none() {
                        let to = if proves { content.start } else { end };
                        let hidden = unreadable.hides_digests(&row.of, known_until, Some(to));
                        self.restart(known_until, to, hidden, findings);
                    }
                    if proves {
                        self.timeline.add(content.start, end, status);
                    }
                }
                None => self.timeline.add(start_of_invalid(digest, known_until), end, HourStatus::DigestInvalid),
            }
            known_until = known_until.max(Some(end));
        }
        for digest in row.backfill.digests.iter().filter(|digest| digest.verified) {
            let status = row.digest_status.get(&digest.stored.location).copied();
            if let (Some(status), Some(content)) = (status.filter(|status| *status != HourStatus::Verified), digest.proven()) {
                self.timeline.add(content.start, content.end, status);
            }
        }
        let hidden = unreadable.hides_digests(&row.of, known_until, None);
        self.tail(known_until, row.standard.digests.last(), hidden, findings);
    }

    /// A chain begins at `to`; the chain before it, if any, ended at `from`. `hidden` when digests between could not be read.
    fn restart(&mut self, from: Option<Timestamp>, to: Timestamp, hidden: bool, findings: &mut Vec<Finding>) {
        let needed_until = self.window.end().plus_seconds(DELIVERY_LAG);
        if to <= self.window.start() || from.is_some_and(|from| from >= needed_until) {
            return;
        }
        let Some(from) = from else {
            let detail = format!("Its chain of digests begins {to}; the case holds nothing that proves the time before.");
            findings.push(Finding::new(Severity::Gap, "chain-begins", &self.object, &detail));
            return;
        };
        if from >= to {
            return;
        }
        if hidden {
            self.unread(from, to, findings);
            return;
        }
        let stop = self
            .events
            .iter()
            .rev()
            .find(|event| matches!(event.name.as_str(), "StopLogging" | "DeleteTrail" | "UpdateTrail") && event.at <= to)
            .filter(|event| event.at >= from.plus_seconds(-2 * 3600));
        let stopped_at = stop.map(|event| event.at).or_else(|| {
            let stopped = self.status.and_then(|status| status.stopped);
            stopped.filter(|stopped| *stopped <= to && *stopped >= from.plus_seconds(-2 * 3600))
        });
        let Some(stopped_at) = stopped_at else {
            self.timeline.add(from, to, HourStatus::Restart);
            let detail = format!(
                "A new chain of digests begins {to}, the one before ended {from}, and nothing in the case says why. \
                 Switching a trail off and on does this; so does deleting the digests between."
            );
            findings.push(Finding::new(Severity::Gap, "restart-unexplained", &self.object, &detail));
            return;
        };
        if stopped_at > from.plus_seconds(STOP_SLACK) {
            let detail = format!(
                "Logging stopped {stopped_at}, but the last digest before ends {from}: the digests between, the final one \
                 that AWS delivers when logging stops among them, are not there."
            );
            findings.push(Finding::new(Severity::Failure, "restart-hides-digests", &self.object, &detail));
            self.timeline.add(from, stopped_at, HourStatus::DigestMissing);
        }
        self.timeline.add(from.max(stopped_at), to, HourStatus::LoggingOff);
        let who = stop.map_or_else(
            || "according to the trail's status".to_owned(),
            |event| {
                format!(
                    "by {} from {} ({} event {})",
                    event.principal.as_deref().unwrap_or("an unnamed principal"),
                    event.source_address.as_deref().unwrap_or("an unnamed address"),
                    event.name,
                    event.event_id.as_deref().unwrap_or("without an id")
                )
            },
        );
        let detail =
            format!("The trail was switched off {stopped_at} {who}; digests begin again {to}. Nothing was recorded between.");
        findings.push(Finding::new(Severity::Gap, "logging-off", &self.object, &detail));
    }

    /// Digests of this time may be there, and could not be read.
    fn unread(&mut self, from: Timestamp, to: Timestamp, findings: &mut Vec<Finding>) {
        self.timeline.add(from, to, HourStatus::Unreadable);
        let detail = format!("Its digests from {from} to {to} could not be read, so nothing proves that time; see the gaps.");
        findings.push(Finding::new(Severity::Gap, "digests-unreadable", &self.object, &detail));
    }

    /// From the newest digest to the end of the window.
    fn tail(&mut self, newest: Option<Timestamp>, digest: Option<&CheckedDigest>, hidden: bool, findings: &mut Vec<Finding>) {
        let needed_until = self.window.end().plus_seconds(DELIVERY_LAG);
        let status_delivery = self.status.and_then(|status| status.latest_digest_delivery);
        if hidden && newest.is_none_or(|from| from < needed_until) {
            self.unread(newest.unwrap_or_else(|| self.window.start().floor_hour()), needed_until, findings);
            return;
        }
        let Some(mut from) = newest else {
            let (severity, kind, detail) = match status_delivery {
                Some(delivered) if delivered > self.window.start() => (
                    Severity::Failure,
                    "all-digests-missing",
                    format!("The trail's status says that a digest was delivered {delivered}, and there is none at all."),
                ),
                _ => (Severity::Gap, "no-digests", "There is no digest for it, so nothing proves what it recorded.".to_owned()),
            };
            findings.push(Finding::new(severity, kind, &self.object, &detail));
            if severity == Severity::Failure {
                self.timeline.add(self.window.start().floor_hour(), needed_until, HourStatus::DigestMissing);
            }
            return;
        };
        let fresh = self.collected_until.is_none_or(|at| at < from.plus_seconds(FRESH));
        if from >= needed_until {
            // The window is covered; logs behind it may still wait for their digest.
            if fresh {
                self.timeline.add(from, from.plus_seconds(86_400), HourStatus::Pending);
            }
            return;
        }
        let delivered = digest.and_then(|digest| digest.stored.last_modified);
        if let (Some(said), Some(delivered)) = (status_delivery, delivered)
            && said > delivered.plus_seconds(DELIVERY_SLACK)
        {
            let detail = format!(
                "The trail's status says that a digest was delivered {said}, but the newest there was delivered {delivered} \
                 and ends {from}: what came after it is gone."
            );
            findings.push(Finding::new(Severity::Failure, "newest-digests-missing", &self.object, &detail));
            let until = said.max(from).min(needed_until);
            self.timeline.add(from, until, HourStatus::DigestMissing);
            from = until;
        }
        let off = self.status.filter(|status| !status.is_logging).and_then(|status| status.stopped);
        if let Some(stopped) = off {
            self.timeline.add(from, stopped.max(from), HourStatus::NoDigests);
            self.timeline.add(from.max(stopped), needed_until, HourStatus::LoggingOff);
            let detail = format!("The trail was switched off {stopped} and is off still. Nothing is recorded since.");
            findings.push(Finding::new(Severity::Gap, "logging-off", &self.object, &detail));
        } else if fresh {
            self.timeline.add(from, needed_until.max(from.plus_seconds(86_400)), HourStatus::Pending);
            let detail = format!(
                "The newest digest ends {from}; the next was not due when the evidence was collected. Collect again later \
                 into a new case to prove the rest."
            );
            findings.push(Finding::new(Severity::Gap, "digests-pending", &self.object, &detail));
        } else {
            let detail = format!("The newest digest ends {from}, and none came after it though more were due.");
            findings.push(Finding::new(Severity::Gap, "digests-end", &self.object, &detail));
        }
    }
}

fn start_of_invalid(digest: &CheckedDigest, known_until: Option<Timestamp>) -> Timestamp {
    let claimed = digest.stored.content.as_ref().ok().map(|(content, _)| content.start);
    let hour_before = digest.stored.name.end.plus_seconds(-3600);
    // What an invalid digest claims is worth nothing; it may not claim less than the hour that its name implies.
    claimed
        .into_iter()
        .chain(known_until)
        .chain([hour_before])
        .min()
        .unwrap_or(hour_before)
        .max(hour_before.plus_seconds(-86_400))
}
