//! The end of a chain whose trail delivers where nobody looked.

use crate::cloudtrail::coverage::{DELIVERY_LAG, HourStatus};
use crate::model::{Finding, Severity, Timestamp};

use super::super::Place;
use super::TrailTime;
use super::moves::Moved;

impl TrailTime {
    /// From the newest digest to the end of the window, where later ones may lie at a `place` that was not listed.
    pub(super) fn elsewhere(
        &mut self,
        newest: Option<Timestamp>,
        (place, advice): (&Place, &str),
        findings: &mut Vec<Finding>,
    ) {
        let needed_until = self.window.end().plus_seconds(DELIVERY_LAG);
        let mut from = newest.unwrap_or_else(|| self.window.start().floor_hour());
        let (mut gone, mut looked_until) = (Vec::new(), from);
        // Until the trail moved, it delivered what it signed to where collect looked.
        let last = self.moves.last().map_or(needed_until, |moved| moved.at);
        let stays = newest.map_or_else(Vec::new, |newest| self.stays(newest, last.max(needed_until), (newest, true)));
        for stay in stays.iter().filter(|stay| stay.looked && stay.from < needed_until) {
            let recorded = |left: &&Moved| self.recorded(stay.from, left.at, left.slack());
            let Some(left) = stay.left.filter(recorded) else { continue };
            gone.push((stay.from, left.at, left.why.clone()));
            looked_until = left.at;
        }
        self.timeline.add(from, needed_until, HourStatus::Unreadable);
        for (since, moved_at, why) in gone {
            self.timeline.add(since, moved_at.min(needed_until), HourStatus::DigestMissing);
            let detail = format!(
                "The trail was told to deliver elsewhere {moved_at} ({why}), but there is no digest from {since} on: what it signed before \
                 it moved is gone."
            );
            self.lose(findings, moved_at, "newest-digests-missing", &detail);
        }
        from = looked_until.min(needed_until);
        let detail = format!(
            "The trail delivers to s3://{}/{}, and the case holds no listing of that place: nobody looked there for its digests from {from} on. {advice}",
            place.bucket, place.prefix
        );
        self.find(findings, Severity::Gap, "not-looked-for", &detail);
    }
}
