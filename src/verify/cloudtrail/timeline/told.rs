//! What the trail's status says of when digests were delivered, held against where collect looked.

use crate::cloudtrail::coverage::DELIVERY_LAG;
use crate::model::Timestamp;

use super::moves::Moved;
use super::{FIRST_DIGEST, LOOK_BACK, NEXT_DUE, TrailTime};

/// How much later than the newest digest's delivery the trail's status may put it, in seconds.
const DELIVERY_SLACK: i64 = 10 * 60;

impl TrailTime {
    /// When a digest was last delivered according to the trail's status, of a chain of which none is there, and from when on those of the
    /// window must lie where collect looked.
    pub(super) fn told_of_all(&self) -> Option<(Timestamp, Timestamp)> {
        let told =
            self.last_delivery().filter(|said| (self.status_is_its_own || self.signed_here) && *said > self.window.start());
        told.and_then(|said| Some((said, self.here_since(said)?)))
    }

    /// From when on, in the window, a digest that was delivered at some time must lie where collect looked; none if it may lie elsewhere.
    fn here_since(&self, said: Timestamp) -> Option<Timestamp> {
        let (start, until) = (self.window.start(), self.window.end().plus_seconds(DELIVERY_LAG));
        let within = |moved: &&Moved| moved.at >= start && moved.at <= until.plus_seconds(LOOK_BACK);
        let Some(last) = self.moves.iter().rfind(within) else { return Some(start) };
        let slack = if last.creates { 0 } else { FIRST_DIGEST };
        (last.looked && last.at.plus_seconds(slack) < said.min(until)).then_some(last.at)
    }

    /// When a digest was last delivered, according to whatever status of the trail, before the bucket was listed to its end; that of a
    /// backfill digest tells nothing of how far the chain reaches.
    pub(super) fn last_delivery(&self) -> Option<Timestamp> {
        let since = self.looked_since?;
        let close = |said: Timestamp, at: Timestamp| {
            said >= at.plus_seconds(-DELIVERY_SLACK) && said <= at.plus_seconds(DELIVERY_SLACK)
        };
        let is_backfill = |said: Timestamp| self.backfilled.iter().any(|at| close(said, *at));
        self.told.iter().rev().find(|said| **said < since && !is_backfill(**said)).copied()
    }
}

/// Whether a remembered delivery cannot be that of the newest digest there, which ends at `end` and was `delivered`.
pub(super) fn is_of_a_later_digest(said: Timestamp, end: Timestamp, delivered: Option<Timestamp>) -> bool {
    match delivered {
        Some(delivered) if said > delivered.plus_seconds(DELIVERY_SLACK) => true,
        // The digest was stored again later, so its own time of delivery is not known; but it is known when the next one was due.
        Some(delivered) if said < delivered.plus_seconds(-DELIVERY_SLACK) => said > end.plus_seconds(NEXT_DUE),
        Some(_) => false,
        None => said > end.plus_seconds(NEXT_DUE),
    }
}
