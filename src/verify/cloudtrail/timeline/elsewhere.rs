//! The end of a chain whose trail delivers where nobody looked.

use crate::cloudtrail::coverage::{DELIVERY_LAG, HourStatus};
use crate::model::{Finding, Severity, Timestamp};

use super::super::Place;
use super::{FIRST_DIGEST, TrailTime};

impl TrailTime {
    /// From the newest digest to the end of the window, where later ones may lie at a `place` that was not listed.
    pub(super) fn elsewhere(&mut self, newest: Option<Timestamp>, place: &Place, findings: &mut Vec<Finding>) {
        let needed_until = self.window.end().plus_seconds(DELIVERY_LAG);
        let mut from = newest.unwrap_or_else(|| self.window.start().floor_hour());
        let moved = newest.and_then(|from| self.switches.moved_between(from, needed_until));
        let moved = moved.map(|(at, why)| (at, why.to_owned()));
        // What it signed up to when it moved was delivered where collect looked.
        if let Some((moved_at, why)) = moved.filter(|(at, _)| self.recorded(from, *at, FIRST_DIGEST)) {
            self.timeline.add(from, moved_at, HourStatus::DigestMissing);
            let detail = format!(
                "The trail was told to deliver elsewhere {moved_at} ({why}), but there is no digest from {from} on: what it signed before \
                 it moved is gone."
            );
            self.find(findings, Severity::Failure, "newest-digests-missing", &detail);
            from = moved_at;
        }
        self.timeline.add(from, needed_until, HourStatus::Unreadable);
        let detail = format!(
            "The trail delivers to s3://{}/{}, and the case holds no listing of that place: nobody looked there for its digests from {from} on.",
            place.bucket, place.prefix
        );
        self.find(findings, Severity::Gap, "not-looked-for", &detail);
    }
}
