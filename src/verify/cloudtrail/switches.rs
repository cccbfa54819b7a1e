//! When a trail was recording, as far as events and its status say: what tells a restart from a deletion.

use std::cmp::Ordering;

use crate::cloudtrail::{TrailEvent, Witness};
use crate::model::Timestamp;

use super::trails::Status;

/// A status that remembers a switch this close to an event, in seconds, tells of the same act.
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
    /// The event's name and id; none of what the trail's status remembers.
    event: Option<(String, Option<String>)>,
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
    /// From events that are proven or AWS's own, in [`total_order`], and from what `GetTrailStatus` remembers; `abroad` where the chain is of another region
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
            // The same event, told by another log or by the history: the first in order speaks, a log before the history. Two events
            // are two acts, however close to each other.
            let told = (event.telling.name.clone(), event.telling.event_id.clone());
            let mut same_second = switches.all.iter_mut().rev().take_while(|known| known.at == at);
            match same_second.find(|known| known.to == to && known.event.as_ref() == Some(&told)) {
                Some(known) => known.first |= first,
                None => switches.all.push(Switch { at, to, first, why, event: Some(told) }),
            }
        }
        let remembered = status.map(|status| [(status.stopped, State::Off), (status.started, State::On)]);
        for (at, to) in remembered.into_iter().flatten() {
            let Some(at) = at else { continue };
            if !switches.all.iter().any(|known| known.to == to && close(known.at, at)) {
                let name = if to == State::Off { "StopLogging" } else { "StartLogging" };
                let why = format!("{name} at {at}, as the trail's status remembers");
                switches.all.push(Switch { at, to, first: false, why, event: None });
            }
        }
        // Of a stop and a start in one second nothing tells which came last; that it records accuses, that it does not explains away.
        switches.all.sort_by_key(|switch| (switch.at, switch.to == State::On));
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

/// The order of events: by their time, then their ids, then who tells of them, logs before the history.
pub(super) fn total_order(a: &TrailEvent, b: &TrailEvent) -> Ordering {
    let key = |event: &TrailEvent| (event.telling.at, event.telling.event_id.clone(), event.telling.name.clone());
    let place = |event: &TrailEvent| match &event.telling.witness {
        Witness::Log(location, version) => (false, Some((location.clone(), version.clone()))),
        Witness::History => (true, None),
    };
    key(a).cmp(&key(b)).then_with(|| place(a).cmp(&place(b))).then_with(|| a.trail.cmp(&b.trail))
}

fn close(a: Timestamp, b: Timestamp) -> bool {
    (a.instant() - b.instant()).num_seconds().abs() <= SAME
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudtrail::Telling;

    fn event(name: &str, second: i64, id: &str, validation: Option<bool>) -> TrailEvent {
        let at: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
        TrailEvent {
            telling: Telling {
                name: name.to_owned(),
                at: at.plus_seconds(second),
                principal: None,
                source_address: None,
                event_id: Some(id.to_owned()),
                region: None,
                account: None,
                witness: Witness::History,
            },
            trail: "trail".to_owned(),
            validation,
            multi_region: None,
            moves: false,
        }
    }

    fn switches(events: &[TrailEvent]) -> Switches {
        let mut events: Vec<&TrailEvent> = events.iter().collect();
        events.sort_by(|a, b| total_order(a, b));
        Switches::new(&events, None, false)
    }

    fn states(switches: &Switches) -> Vec<State> {
        let from: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
        switches.phases(from, from.plus_seconds(7200), 0).iter().map(|phase| phase.state).collect()
    }

    #[test]
    fn a_start_right_after_a_stop_is_not_the_start_before_it() {
        let events = [("StartLogging", 0, "a"), ("StopLogging", 2, "b"), ("StartLogging", 4, "c")];
        let events = events.map(|(name, second, id)| event(name, second, id, None));
        assert_eq!(states(&switches(&events)), [State::On, State::Off, State::On]);
    }

    #[test]
    fn the_order_in_which_events_are_read_changes_nothing() {
        let events = [
            event("CreateTrail", 0, "a", Some(true)),
            event("StartLogging", 3, "b", None),
            event("StopLogging", 60, "c", None),
            event("StartLogging", 60, "d", None),
        ];
        let backwards: Vec<TrailEvent> = events.iter().rev().cloned().collect();
        for told in [&events[..], &backwards] {
            let switches = switches(told);
            assert_eq!(states(&switches).last(), Some(&State::On));
            let begun: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
            assert_eq!(switches.first_between(begun, begun).map(|switch| switch.first), Some(true));
        }
    }

    #[test]
    fn an_event_that_two_witnesses_tell_of_is_one_act_and_the_log_speaks() {
        let history = event("StopLogging", 0, "a", None);
        let mut log = history.clone();
        log.telling.witness = Witness::Log(crate::model::S3Location::new("bucket", "log"), None);
        for told in [[history.clone(), log.clone()], [log, history]] {
            let switches = switches(&told);
            assert_eq!(switches.all.len(), 1);
            assert!(switches.all[0].why.contains("s3://bucket/log"), "{}", switches.all[0].why);
        }
    }
}
