//! Who did what in the account: the events, before anybody delivers them.

mod background;
mod intrusion;

use chrono::{DateTime, Utc};

use super::chance::Chance;
use super::disks::Disks;
use super::record::{Actor, Event};
use super::scenario::Scenario;

/// The address of the office the account's people work from.
pub(super) const OFFICE_ADDRESS: &str = "192.0.2.10";
/// Where the intruder first comes from.
pub(super) const INTRUDER_ADDRESS: &str = "203.0.113.77";
/// Where the intruder's tools run, and where the data goes.
pub(super) const EXFILTRATION_ADDRESS: &str = "198.51.100.23";

/// Tells the whole story, in order of time; the intruder's doings leave their mark on the disks.
pub(super) fn tell(scenario: &Scenario, disks: &mut Disks) -> Vec<Event> {
    let mut script = Script { scenario, chance: Chance::new(scenario.seed, "story"), events: Vec::new() };
    background::play(&mut script, disks);
    if scenario.intrusion {
        intrusion::play(&mut script, disks);
    }
    if scenario.stop_logging {
        intrusion::stop_and_restart_logging(&mut script);
    }
    let mut events = script.events;
    events.retain(|event| event.time >= scenario.start() && event.time < scenario.end);
    events.sort_by(|left, right| (left.time, &left.region, &left.id).cmp(&(right.time, &right.region, &right.id)));
    events
}

/// An intruder deletes flow logs of a region, in the middle of the history.
pub(super) fn flow_logs_deleted(scenario: &Scenario, region: &str, ids: &[String]) -> Event {
    let mut chance = Chance::new(scenario.seed, &format!("flow logs deleted in {region}"));
    let (actor, deed) = intrusion::delete_flow_logs(ids);
    Event::new(&mut chance, scenario.middle(), region, &actor, deed)
}

/// An intruder deletes the trail.
pub(super) fn trail_deleted(scenario: &Scenario, at: DateTime<Utc>) -> Event {
    let mut chance = Chance::new(scenario.seed, "trail deleted");
    let (actor, deed) = intrusion::delete_trail(scenario.home_region());
    Event::new(&mut chance, at, scenario.home_region(), &actor, deed)
}

/// An intruder sends the trail to another bucket.
pub(super) fn trail_sent(scenario: &Scenario, bucket: &str, at: DateTime<Utc>) -> Event {
    let mut chance = Chance::new(scenario.seed, &format!("trail sent to {bucket}"));
    let (actor, deed) = intrusion::send_trail(scenario.home_region(), bucket);
    Event::new(&mut chance, at, scenario.home_region(), &actor, deed)
}

/// When the intruder arrives: some two hours before the trail is stopped.
pub(super) fn intrusion_start(scenario: &Scenario) -> DateTime<Utc> {
    let (stopped, _) = scenario.outage();
    stopped - chrono::Duration::minutes(126)
}

/// The story while it is being written.
struct Script<'a> {
    scenario: &'a Scenario,
    chance: Chance,
    events: Vec<Event>,
}

impl Script<'_> {
    fn happens(&mut self, time: DateTime<Utc>, region: &str, actor: &Actor, deed: super::record::Deed) {
        let event = Event::new(&mut self.chance, time, region, actor, deed);
        self.events.push(event);
    }
}
