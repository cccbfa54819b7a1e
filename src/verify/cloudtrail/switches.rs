//! When a trail was recording, as far as events and its status say: what tells a restart from a deletion.

use crate::cloudtrail::{TrailEvent, Witness};
use crate::model::Timestamp;

use super::trails::Status;

/// Events this close to each other, in seconds, are one act told twice.
const SAME: i64 = 5;

/// Whether a trail writes digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It records and signs.
    On,
    /// It was stopped or deleted.
    Off,
    /// It records, but log file validation is off.
    Unsigned,
}

/// One change.
#[derive(Clone, Debug)]
pub(super) struct Switch {
    pub(super) at: Timestamp,
    pub(super) to: State,
    /// Whether the trail began to exist, or to be signed, so that there was nothing before.
    pub(super) first: bool,
    /// Who did it, from where, and how that is known.
    pub(super) why: String,
}

/// A stretch in one state, with the change that began it.
#[derive(Clone, Debug)]
pub(super) struct Phase<'a> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) state: State,
    pub(super) began: Option<&'a Switch>,
}

/// Everything that switched a trail, oldest first.
#[derive(Debug, Default)]
pub(super) struct Switches {
    all: Vec<Switch>,
    /// Updates that sent the trail's files elsewhere.
    moves: Vec<(Timestamp, String)>,
}

impl Switches {
    /// From events that are proven or AWS's own, and from what `GetTrailStatus` remembers; `abroad` where the chain is of another region
    /// than the trail's home, which a trail of one region does not record.
    pub(super) fn new(events: &[&TrailEvent], status: Option<Status>, abroad: bool) -> Self {
        let mut switches = Self::default();
        for event in events {
            let (at, why) = (event.telling.at, event.telling.describe());
            if event.moves && event.telling.name == "UpdateTrail" {
                switches.moves.push((at, why.clone()));
            }
            let (to, first) = match (event.telling.name.as_str(), event.validation) {
                ("UpdateTrail", _) if abroad && event.multi_region == Some(false) => (State::Off, false),
                ("UpdateTrail", None) if abroad && event.multi_region == Some(true) => (State::On, true),
                ("CreateTrail", _) if abroad && event.multi_region != Some(true) => continue,
                ("StopLogging" | "DeleteTrail", _) => (State::Off, false),
                ("StartLogging", _) => (State::On, false),
                ("CreateTrail" | "UpdateTrail", Some(false)) => (State::Unsigned, false),
                ("CreateTrail", _) | ("UpdateTrail", Some(true)) => (State::On, true),
                _ => continue,
            };
            // A log is named rather than the history that repeats it.
            let known = switches.all.iter_mut().find(|known| known.to == to && close(known.at, at));
            match known {
                Some(known) if event.telling.witness != Witness::History => known.why = why,
                Some(_) => {}
                None => switches.all.push(Switch { at, to, first, why }),
            }
        }
        let remembered = status.map(|status| [(status.stopped, State::Off), (status.started, State::On)]);
        for (at, to) in remembered.into_iter().flatten() {
            let Some(at) = at else { continue };
            if !switches.all.iter().any(|known| known.to == to && close(known.at, at)) {
                let why = if to == State::Off { "StopLogging" } else { "StartLogging" };
                switches.all.push(Switch {
                    at,
                    to,
                    first: false,
                    why: format!("{why} at {at}, as the trail's status remembers"),
                });
            }
        }
        switches.all.sort_by_key(|switch| switch.at);
        switches
    }

    /// The phases between `from` and `to`, given that the trail was on at `from` unless it had been switched off in the `before` seconds
    /// ahead of it.
    pub(super) fn phases(&self, from: Timestamp, to: Timestamp, before: i64) -> Vec<Phase<'_>> {
        let earlier = self.all.iter().rfind(|switch| switch.at <= from && switch.at >= from.plus_seconds(-before));
        let (mut state, mut began) = earlier.map_or((State::On, None), |switch| (switch.to, Some(switch)));
        let (mut phases, mut since) = (Vec::new(), from);
        for switch in self.all.iter().filter(|switch| switch.at > from && switch.at <= to) {
            if switch.to == state {
                continue;
            }
            if since < switch.at {
                phases.push(Phase { from: since, to: switch.at, state, began });
            }
            (state, began, since) = (switch.to, Some(switch), switch.at);
        }
        if since < to {
            phases.push(Phase { from: since, to, state, began });
        }
        phases
    }

    /// Who switched the trail off, last of all, between two instants.
    pub(super) fn off_between(&self, from: Timestamp, to: Timestamp) -> Option<&Switch> {
        self.all.iter().rfind(|switch| switch.to == State::Off && switch.at >= from && switch.at < to)
    }

    /// Whether the trail came to be, or came to be signed, between two instants.
    pub(super) fn first_between(&self, from: Timestamp, to: Timestamp) -> Option<&Switch> {
        self.all.iter().find(|switch| switch.first && switch.at >= from && switch.at <= to)
    }

    /// The first update between two instants that sent the trail's files elsewhere.
    pub(super) fn moved_between(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, &str)> {
        let moves = self.moves.iter().filter(|(at, _)| *at >= from && *at <= to);
        moves.min_by_key(|(at, _)| *at).map(|(at, why)| (*at, why.as_str()))
    }
}

fn close(a: Timestamp, b: Timestamp) -> bool {
    (a.instant() - b.instant()).num_seconds().abs() <= SAME
}
