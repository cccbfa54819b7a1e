//! Times without recording or signing that no hole between digests shows.

use crate::cloudtrail::coverage::HourStatus;
use crate::model::{Finding, Severity, Timestamp};

use super::super::Row;
use super::super::links::Link;
use super::super::switches::State;
use super::{LOOK_BACK, STOP_SLACK, TrailTime};

impl TrailTime {
    /// Tells of outages that digests before and behind them overlap, so that no hole between them shows them.
    pub(super) fn outages(&mut self, row: &Row, findings: &mut Vec<Finding>) {
        let whose = match self.suspected {
            Some(_) => " Nothing in the case tells whether that was this trail or one of a member, of the same name.",
            None => "",
        };
        let phases: Vec<(Timestamp, Timestamp, State, String, bool)> = self
            .suspected
            .as_ref()
            .unwrap_or(&self.switches)
            .phases(self.window.start(), self.window.end(), LOOK_BACK)
            .into_iter()
            .filter_map(|phase| {
                let began = phase.began?;
                // The digests tell what was there before a trail was made.
                let from = if began.creates { phase.from.max(began.at) } else { phase.from };
                Some((from, phase.to, phase.state, began.why.clone(), began.creates))
            })
            .collect();
        let begins = |digest: &Link| digest.proven.filter(|content| content.is_first).map(|content| content.end);
        let known = self.timeline.index(HourStatus::NoDigests);
        for (from, to, state, why, created) in phases {
            // A new chain says that it was on again, and signed, whether or not anything tells of who switched it on. That of a trail that
            // is made begins in that second.
            let again =
                row.standard.digests.iter().filter_map(begins).find(|begun| *begun > from || (created && *begun == from));
            let to = again.map_or(to, |again| again.min(to));
            // Between making a trail and starting it a console takes a moment.
            if created && to <= from.plus_seconds(STOP_SLACK) {
                continue;
            }
            let unnoticed = known.worst(from, to) <= HourStatus::Recovered;
            let (status, kind, what) = match state {
                State::Off if created => (HourStatus::LoggingOff, "logging-off", "The trail was created and not started"),
                State::Off => (HourStatus::LoggingOff, "logging-off", "The trail was switched off"),
                State::Unsigned => (HourStatus::NoDigests, "validation-off", "Log file validation was off"),
                State::On => continue,
            };
            if unnoticed && from < to {
                self.timeline.add(from, to, status);
                let detail = format!(
                    "{what} from {from} to {to}: {why}. The digests around it leave no hole; that proves nothing of that time.{whose}"
                );
                self.find(findings, Severity::Gap, kind, &detail);
            }
        }
    }
}
