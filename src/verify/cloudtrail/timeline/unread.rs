//! Digests that are there, and could not be read.

use crate::cloudtrail::coverage::{DELIVERY_LAG, HourStatus};
use crate::model::{Finding, Severity, Timestamp};

use super::super::switches::State;
use super::{FIRST_DIGEST, LOOK_BACK, TrailTime};

impl TrailTime {
    /// Digests of this time may be there, and could not be read.
    pub(super) fn unread(&mut self, from: Timestamp, to: Timestamp, findings: &mut Vec<Finding>) {
        self.timeline.add(from, to, HourStatus::Unreadable);
        let detail = format!("Its digests from {from} to {to} could not be read, so nothing proves that time; see the gaps.");
        self.find(findings, Severity::Gap, "digests-unreadable", &detail);
    }

    /// A digest by its name, that could not be read, stands for its own hour. Gives whether the chain reaches up to it.
    ///
    /// Anybody can leave such an object under any name. It is taken for the chain's next digest where that was due, and for the first of a new
    /// chain where something tells that one began.
    pub(super) fn pass_unread(&mut self, end: Timestamp, known_until: Option<Timestamp>, findings: &mut Vec<Finding>) -> bool {
        let needed_until = self.window.end().plus_seconds(DELIVERY_LAG);
        let from = end.plus_seconds(-3600);
        let since = self.covered_until(from);
        if since < end && end > self.window.start() && since < needed_until {
            self.unread.push((since, end));
        }
        let Some(known) = known_until else {
            if end > self.window.start().plus_seconds(FIRST_DIGEST) && from < needed_until {
                self.begins(from, end, findings);
            }
            return true;
        };
        if end <= known.plus_seconds(FIRST_DIGEST) {
            return end > known;
        }
        let began = self.switches.phases(known, from, LOOK_BACK).iter().any(|phase| phase.state != State::On)
            || self.moved_between(known, from).is_some();
        if began {
            self.restart(Some(known), (from, end), false, findings);
        }
        began
    }

    /// Says of which time digests could not be read.
    pub(super) fn say_unread(&mut self, findings: &mut Vec<Finding>) {
        let mut merged: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (from, to) in std::mem::take(&mut self.unread) {
            match merged.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => merged.push((from, to)),
            }
        }
        for (from, to) in merged {
            self.unread(from, to, findings);
        }
    }
}
