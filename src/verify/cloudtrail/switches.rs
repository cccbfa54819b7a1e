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

/// One change. What it does not name stays as it was: whether a trail records and whether it is signed are two things.
#[derive(Clone, Debug)]
pub(super) struct Switch {
    pub(super) at: Timestamp,
    /// Whether the trail records from then on.
    logging: Option<bool>,
    /// Whether log file validation is on from then on.
    signed: Option<bool>,
    /// Whether the trail is one of this region from then on.
    here: Option<bool>,
    /// Whether the trail began to exist, or may have begun to be signed, so that there was nothing before.
    pub(super) first: bool,
    /// Whether it made the trail, which records nothing until it is started.
    pub(super) creates: bool,
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
    /// Where the trail was told to deliver.
    destinations: Vec<Destination>,
}

/// Where somebody told a trail to deliver; what is none stayed as it was.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) at: Timestamp,
    pub(super) bucket: Option<String>,
    pub(super) prefix: Option<String>,
    /// Whether the trail was made with it.
    pub(super) creates: bool,
    pub(super) why: String,
}

/// What is switched off at some time, each with what did it.
#[derive(Clone, Copy, Debug, Default)]
struct Settings<'a> {
    stopped: Option<&'a Switch>,
    elsewhere: Option<&'a Switch>,
    unsigned: Option<&'a Switch>,
    last: Option<&'a Switch>,
}

impl Switches {
    /// From events that are proven or AWS's own, in [`total_order`], and from what `GetTrailStatus` remembers; `abroad` where the chain is of another region
    /// than the trail's home, which a trail of one region does not record.
    pub(super) fn new(events: &[&TrailEvent], status: Option<Status>, abroad: bool) -> Self {
        let mut switches = Self::default();
        for event in events {
            if event.bucket.is_some() || event.prefix.is_some() {
                switches.destinations.push(Destination {
                    at: event.telling.at,
                    bucket: event.bucket.clone(),
                    prefix: event.prefix.clone(),
                    creates: event.telling.name == "CreateTrail",
                    why: event.telling.describe(),
                });
            }
            let Some(switch) = Switch::of(event, abroad) else { continue };
            // The same event, told by another log or by the history: the first in order speaks, a log before the history. Two events
            // are two acts, however close to each other.
            let mut same_second = switches.all.iter().rev().take_while(|known| known.at == switch.at);
            if !same_second.any(|known| known.event == switch.event && known.does_as(&switch)) {
                switches.all.push(switch);
            }
        }
        let remembered = status.map(|status| [(status.stopped, false), (status.started, true)]);
        for (at, logging) in remembered.into_iter().flatten() {
            let Some(at) = at else { continue };
            if !switches.all.iter().any(|known| known.logging == Some(logging) && close(known.at, at)) {
                let name = if logging { "StartLogging" } else { "StopLogging" };
                let why = format!("{name} at {at}, as the trail's status remembers");
                switches.all.push(Switch { logging: Some(logging), ..Switch::nothing(at, why) });
            }
        }
        // Nothing tells which of a stop and a start in one second came last. The start is put last: a trail that records excuses nothing.
        switches.all.sort_by_key(|switch| (switch.at, switch.rank()));
        switches
    }

    /// The phases between `from` and `to`, given that the trail was on and signed at `from` unless that had been switched off in the
    /// `before` seconds ahead of it.
    pub(super) fn phases(&self, from: Timestamp, to: Timestamp, before: i64) -> Vec<Phase<'_>> {
        let mut settings = Settings::default();
        for switch in self.all.iter().filter(|switch| switch.at <= from && switch.at >= from.plus_seconds(-before)) {
            settings.take(switch);
        }
        let (mut state, mut began) = (settings.state(), settings.began());
        let (mut phases, mut since) = (Vec::new(), from);
        for switch in self.all.iter().filter(|switch| switch.at > from && switch.at <= to) {
            // A trail cannot be made while it is there: there was none, or nothing tells when it was deleted.
            let unknown_before = switch.creates && settings.stopped.is_none();
            settings.take(switch);
            if unknown_before && state != State::Off {
                (state, began) = (State::Off, Some(switch));
                continue;
            }
            if settings.state() == state {
                continue;
            }
            if since < switch.at {
                phases.push(Phase { from: since, to: switch.at, state, began });
            }
            (state, began, since) = (settings.state(), settings.began(), switch.at);
        }
        if since < to {
            phases.push(Phase { from: since, to, state, began });
        }
        phases
    }

    /// Who switched the trail off, last of all, between two instants.
    pub(super) fn off_between(&self, from: Timestamp, to: Timestamp) -> Option<&Switch> {
        let off = |switch: &&Switch| !switch.creates && (switch.logging == Some(false) || switch.here == Some(false));
        self.all.iter().rfind(|switch| off(switch) && switch.at >= from && switch.at < to)
    }

    /// Whether log file validation was switched off between two instants.
    pub(super) fn unsigned_between(&self, from: Timestamp, to: Timestamp) -> bool {
        self.all.iter().any(|switch| switch.signed == Some(false) && switch.at >= from && switch.at <= to)
    }

    /// Whether the trail came to be, or came to be signed, between two instants.
    pub(super) fn first_between(&self, from: Timestamp, to: Timestamp) -> Option<&Switch> {
        self.all.iter().find(|switch| switch.first && switch.at >= from && switch.at <= to)
    }

    /// Where the trail was told to deliver, oldest first.
    pub(super) fn destinations(&self) -> &[Destination] {
        &self.destinations
    }
}

impl Switch {
    /// What an event switches; none if it switches nothing.
    fn of(event: &TrailEvent, abroad: bool) -> Option<Self> {
        let none = Self {
            event: Some((event.telling.name.clone(), event.telling.event_id.clone())),
            ..Self::nothing(event.telling.at, event.telling.describe())
        };
        let here = event.multi_region.filter(|_| abroad);
        let switch = match event.telling.name.as_str() {
            "StopLogging" | "DeleteTrail" => Self { logging: Some(false), ..none },
            "StartLogging" => Self { logging: Some(true), ..none },
            // By itself a trail is of one region, not signed, and not started.
            "CreateTrail" => Self {
                logging: Some(false),
                signed: Some(event.validation == Some(true)),
                here: abroad.then_some(here == Some(true)),
                first: here == Some(true) || !abroad,
                creates: true,
                ..none
            },
            "UpdateTrail" if event.validation.is_some() || here.is_some() => {
                let first = here != Some(false) && (event.validation == Some(true) || here == Some(true));
                Self { signed: event.validation, here, first, ..none }
            }
            _ => return None,
        };
        Some(switch)
    }

    fn nothing(at: Timestamp, why: String) -> Self {
        Self { at, logging: None, signed: None, here: None, first: false, creates: false, why, event: None }
    }

    fn does_as(&self, other: &Self) -> bool {
        (self.logging, self.signed, self.here) == (other.logging, other.signed, other.here)
    }

    /// What comes first of several in one second: a trail is deleted before it is made again, and made before it is started.
    fn rank(&self) -> u8 {
        let off = [self.logging, self.signed, self.here].contains(&Some(false));
        if self.creates {
            1
        } else if off {
            0
        } else {
            2
        }
    }

    /// How findings say that it left the trail off.
    pub(super) fn off(&self) -> &'static str {
        if self.creates { "The trail was created and not started" } else { "The trail was switched off" }
    }
}

impl<'a> Settings<'a> {
    fn take(&mut self, switch: &'a Switch) {
        let set = |by: &mut Option<&'a Switch>, on: Option<bool>| match on {
            Some(true) => *by = None,
            Some(false) => *by = by.or(Some(switch)),
            None => {}
        };
        set(&mut self.stopped, switch.logging);
        set(&mut self.elsewhere, switch.here);
        set(&mut self.unsigned, switch.signed);
        self.last = Some(switch);
    }

    fn state(&self) -> State {
        match (self.stopped.or(self.elsewhere), self.unsigned) {
            (Some(_), _) => State::Off,
            (None, Some(_)) => State::Unsigned,
            (None, None) => State::On,
        }
    }

    /// What brought this state about.
    fn began(&self) -> Option<&'a Switch> {
        self.stopped.or(self.elsewhere).or(self.unsigned).or(self.last)
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
            bucket: None,
            prefix: None,
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

    fn at(second: i64) -> Timestamp {
        let nine: Timestamp = "2026-03-01T09:00:00Z".parse().unwrap();
        nine.plus_seconds(second)
    }

    fn told(events: &[(&str, i64, Option<bool>)]) -> Switches {
        let event = |(number, (name, second, validation)): (usize, &(&str, i64, Option<bool>))| {
            event(name, *second, &number.to_string(), *validation)
        };
        switches(&events.iter().enumerate().map(event).collect::<Vec<_>>())
    }

    /// The states from `second` on, each with the second in which it begins.
    fn phases_from(switches: &Switches, second: i64) -> Vec<(State, i64)> {
        let phases = switches.phases(at(second), at(18_000), 7200);
        let since = |phase: &Phase<'_>| (phase.from.instant() - at(0).instant()).num_seconds();
        phases.iter().map(|phase| (phase.state, since(phase))).collect()
    }

    #[test]
    fn validation_switched_on_starts_no_trail_that_is_stopped() {
        let it = told(&[("StopLogging", 60, None), ("UpdateTrail", 61, Some(true)), ("StartLogging", 3660, None)]);
        assert_eq!(phases_from(&it, 0), [(State::On, 0), (State::Off, 60), (State::On, 3660)]);
    }

    #[test]
    fn a_trail_without_validation_that_is_started_is_not_signed_yet() {
        let it = told(&[
            ("UpdateTrail", 60, Some(false)),
            ("StopLogging", 600, None),
            ("StartLogging", 1200, None),
            ("UpdateTrail", 9000, Some(true)),
        ]);
        let expected = [(0, State::On), (60, State::Unsigned), (600, State::Off), (1200, State::Unsigned), (9000, State::On)];
        assert_eq!(phases_from(&it, 0), expected.map(|(second, state)| (state, second)));
        let off = it.phases(at(0), at(18_000), 0).into_iter().find(|phase| phase.from == at(1200)).unwrap();
        assert!(off.began.unwrap().why.starts_with("UpdateTrail"), "{off:?}");
    }

    #[test]
    fn a_trail_that_is_made_again_is_off_until_it_is_started_and_unsigned_unless_asked() {
        let made =
            |validation| told(&[("DeleteTrail", 60, None), ("CreateTrail", 120, validation), ("StartLogging", 3600, None)]);
        assert_eq!(phases_from(&made(Some(true)), 0), [(State::On, 0), (State::Off, 60), (State::On, 3600)]);
        assert_eq!(phases_from(&made(None), 0), [(State::On, 0), (State::Off, 60), (State::Unsigned, 3600)]);
    }

    #[test]
    fn a_trail_that_is_deleted_and_made_again_in_one_second_was_there_before() {
        let mut events = [event("CreateTrail", 60, "a", Some(true)), event("DeleteTrail", 60, "b", None)];
        for _ in 0..2 {
            assert_eq!(phases_from(&switches(&events), 0), [(State::On, 0), (State::Off, 60)]);
            events.reverse();
        }
    }

    #[test]
    fn of_a_trail_that_is_made_and_that_nobody_deleted_nothing_is_known_before() {
        let it = told(&[("CreateTrail", 60, Some(true)), ("StartLogging", 62, None)]);
        assert_eq!(phases_from(&it, 0), [(State::Off, 0), (State::On, 62)]);
    }

    #[test]
    fn a_start_brings_no_trail_of_one_region_abroad() {
        let narrowed = TrailEvent { multi_region: Some(false), ..event("UpdateTrail", 60, "a", None) };
        let (stop, start) = (event("StopLogging", 120, "b", None), event("StartLogging", 180, "c", None));
        let it = Switches::new(&[&narrowed, &stop, &start], None, true);
        assert_eq!(phases_from(&it, 0), [(State::On, 0), (State::Off, 60)]);
    }
}
