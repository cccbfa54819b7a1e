//! Of which time the trails there are recorded what happened in a region: what of the window they left out, only the event history knows.

use std::collections::BTreeSet;
use std::ops::Bound;

use aws_sdk_cloudtrail::operation::get_event_selectors::GetEventSelectorsOutput;
use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector, ReadWriteType};
use serde_json::Value;

use crate::model::{Region, Timestamp, Window};

use super::trails::{Standing, Trail};

/// What happened to what a trail records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Switch {
    /// It was switched off, or deleted.
    Off,
    /// It was made, and records nothing yet.
    Made,
    /// It was switched on.
    On,
    /// It was told what to record: all management events, or not.
    Told(bool),
    /// It was told to record all regions: whether it did before, nobody says.
    Widened,
}

/// What happened to a trail, and when.
pub(super) type Switches = BTreeSet<(Timestamp, Switch)>;

/// The events of the history that tell of switches.
pub(super) const SWITCHES: [&str; 6] =
    ["CreateTrail", "DeleteTrail", "UpdateTrail", "StartLogging", "StopLogging", "PutEventSelectors"];

/// What an event of such a name tells.
pub(super) fn switch(name: &str, record: &Value) -> Option<Switch> {
    let asked = record.get("requestParameters");
    match name {
        "CreateTrail" => Some(Switch::Made),
        "StartLogging" => Some(Switch::On),
        "DeleteTrail" | "StopLogging" => Some(Switch::Off),
        "PutEventSelectors" => Some(Switch::Told(asked.is_some_and(|asked| in_record(asked).is_everything()))),
        "UpdateTrail" => {
            let all_regions = asked?.get("isMultiRegionTrail")?.as_bool()?;
            all_regions.then_some(Switch::Widened)
        }
        _ => None,
    }
}

/// Which management events are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Kinds {
    reads: bool,
    writes: bool,
}

impl Kinds {
    fn is_everything(self) -> bool {
        self.reads && self.writes
    }

    /// Adds what a selector takes: of reads, or of changes, or both where it does not say.
    fn add(&mut self, only_reads: bool, only_writes: bool) {
        self.reads |= !only_writes;
        self.writes |= !only_reads;
    }

    /// Adds what an advanced selector takes, of which each field has a name and what it must equal. Some sources may be left out, as AWS lets
    /// only the noisy ones be; with any other field nobody can tell how much is left.
    fn add_advanced<'a>(&mut self, fields: impl Iterator<Item = (&'a str, Vec<&'a str>)>) {
        let (mut is_management, mut reads, mut writes) = (false, true, true);
        for (field, equals) in fields {
            match field {
                "eventCategory" => is_management = equals.contains(&"Management"),
                "readOnly" => (reads, writes) = (equals.contains(&"true"), equals.contains(&"false")),
                "eventSource" if equals.is_empty() => {}
                _ => return,
            }
        }
        if is_management {
            self.reads |= reads;
            self.writes |= writes;
        }
    }
}

/// Whether a trail records all management events now.
pub(super) fn records_management(selectors: &GetEventSelectorsOutput) -> bool {
    let mut kinds = Kinds::default();
    selectors.event_selectors().iter().for_each(|selector| add_basic(&mut kinds, selector));
    selectors.advanced_event_selectors().iter().for_each(|selector| add_advanced(&mut kinds, selector));
    kinds.is_everything()
}

fn add_basic(kinds: &mut Kinds, selector: &EventSelector) {
    if selector.include_management_events() != Some(false) {
        let only = |kind| selector.read_write_type() == Some(&kind);
        kinds.add(only(ReadWriteType::ReadOnly), only(ReadWriteType::WriteOnly));
    }
}

fn add_advanced(kinds: &mut Kinds, selector: &AdvancedEventSelector) {
    let fields = selector.field_selectors().iter();
    kinds.add_advanced(fields.map(|field| (field.field(), field.equals().iter().map(String::as_str).collect())));
}

/// The same as the request of a change says it.
fn in_record(asked: &Value) -> Kinds {
    let mut kinds = Kinds::default();
    let all = |field: &str| asked.get(field).and_then(Value::as_array).into_iter().flatten();
    for selector in all("eventSelectors") {
        if selector.get("includeManagementEvents").and_then(Value::as_bool) != Some(false) {
            let only = |kind: &str| selector.get("readWriteType").and_then(Value::as_str) == Some(kind);
            kinds.add(only("ReadOnly"), only("WriteOnly"));
        }
    }
    for selector in all("advancedEventSelectors") {
        let fields = selector.get("fieldSelectors").and_then(Value::as_array).into_iter().flatten();
        kinds.add_advanced(fields.filter_map(|field| {
            let equals = field.get("equals").and_then(Value::as_array).into_iter().flatten();
            Some((field.get("field")?.as_str()?, equals.filter_map(Value::as_str).collect()))
        }));
    }
    kinds
}

/// A trail, how it stands, and what the history tells of it.
#[derive(Clone, Debug)]
pub(super) struct Course {
    standing: Standing,
    /// When it was switched, and whether on.
    logging: BTreeSet<(Timestamp, bool)>,
    /// When it was made.
    made: BTreeSet<Timestamp>,
    /// When it was told what to record, and whether that is everything.
    told: BTreeSet<(Timestamp, bool)>,
    /// When it was told to record all regions, where the region is not its home.
    widened: Option<Timestamp>,
}

impl Course {
    /// The course of a trail as far as it concerns a region.
    pub(super) fn of(trail: &Trail, standing: Standing, switches: &Switches, region: &Region) -> Self {
        let (mut logging, mut made, mut told, mut widened) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), None);
        // A status names the last time only.
        logging.extend(standing.stopped.map(|at| (at, false)));
        logging.extend(standing.started.map(|at| (at, true)));
        for (at, switch) in switches {
            match switch {
                Switch::Off => {
                    logging.insert((*at, false));
                }
                Switch::On => {
                    logging.insert((*at, true));
                }
                Switch::Made => {
                    made.insert(*at);
                    logging.insert((*at, false));
                }
                Switch::Told(everything) => {
                    told.insert((*at, *everything));
                }
                Switch::Widened => widened = widened.max(Some(*at)),
            }
        }
        let widened = widened.filter(|_| trail.arn.home_region() != region);
        Self { standing, logging, made, told, widened }
    }

    /// When it may have begun or ceased to record.
    fn turns(&self) -> impl Iterator<Item = Timestamp> {
        let switched = self.logging.iter().chain(&self.told).map(|(at, _)| *at);
        switched.chain(self.widened)
    }

    /// Whether it recorded what happened from one of its turns on, up to the next.
    fn records(&self, at: Timestamp) -> bool {
        self.is_on(at) && self.takes_management(at) && self.widened.is_none_or(|widened| widened <= at)
    }

    fn is_on(&self, at: Timestamp) -> bool {
        let before = self.logging.range(..=(at, true)).next_back();
        match (before, self.logging.range((Bound::Excluded((at, true)), Bound::Unbounded)).next()) {
            // Nothing was said of it since.
            (Some((_, on)), None) => *on && self.standing.logging,
            (Some((_, on)), Some(_)) => *on,
            // What is switched off was on, and what is made or switched on was not.
            (None, Some((first, on))) => !on && !self.made.contains(first),
            (None, None) => self.standing.logging,
        }
    }

    fn takes_management(&self, at: Timestamp) -> bool {
        let before = self.told.range(..=(at, true)).next_back();
        match (before, self.told.last()) {
            (Some(told), Some(last)) => told.1 && (told != last || self.standing.management),
            // What it recorded before it was told otherwise, nobody says.
            (_, Some(_)) => false,
            (_, None) => self.standing.management,
        }
    }
}

/// The stretches of the window in which none of the trails recorded, each `around` seconds longer at both of its ends, where the window is.
pub(super) fn left_out(courses: &[Course], window: Window, around: i64) -> Vec<(Timestamp, Timestamp)> {
    let (start, end) = (window.start(), window.end());
    let mut turns: BTreeSet<Timestamp> =
        courses.iter().flat_map(Course::turns).filter(|at| start < *at && *at <= end).collect();
    turns.insert(start);
    let nexts = turns.iter().skip(1).copied().chain([end]);
    let mut stretches: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (from, to) in turns.iter().copied().zip(nexts) {
        if courses.iter().any(|course| course.records(from)) {
            continue;
        }
        let (from, to) = (from.plus_seconds(-around).max(start), to.plus_seconds(around).min(end));
        match stretches.last_mut() {
            Some((_, until)) if from <= *until => *until = to.max(*until),
            _ => stretches.push((from, to)),
        }
    }
    stretches
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ON: Standing = Standing { logging: true, started: None, stopped: None, management: true };

    fn at(time: &str) -> Timestamp {
        format!("2026-03-02T{time}:00Z").parse().unwrap()
    }

    fn trail() -> Trail {
        Trail::in_all_regions("arn:aws:cloudtrail:us-east-1:111122223333:trail/main".parse().unwrap())
    }

    /// What of 00:00 to 04:00 is left out, of a region and without anything around it.
    fn left_of(region: &str, standing: Standing, switches: &[(&str, Switch)]) -> Vec<String> {
        let switches = switches.iter().map(|(time, switch)| (at(time), *switch)).collect();
        let course = Course::of(&trail(), standing, &switches, &region.parse().unwrap());
        let left = left_out(&[course], Window::new(at("00:00"), at("04:00")).unwrap(), 0);
        left.iter().map(|(from, to)| format!("{} {}", &from.to_string()[11..16], &to.to_string()[11..16])).collect()
    }

    fn left(standing: Standing, switches: &[(&str, Switch)]) -> Vec<String> {
        left_of("us-east-1", standing, switches)
    }

    const ALL: [&str; 1] = ["00:00 04:00"];

    #[test]
    fn a_trail_that_was_on_all_along_leaves_nothing_out() {
        assert_eq!(left(ON, &[]), [""; 0]);
        let years = Some("2020-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(left(Standing { started: years, ..ON }, &[]), [""; 0]);
        // It was off before, and once more behind the window.
        let stopped = Some("2019-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(left(Standing { started: years, stopped, ..ON }, &[("06:00", Switch::Off), ("07:00", Switch::On)]), [""; 0]);
    }

    #[test]
    fn a_trail_records_from_when_it_was_switched_on() {
        let since = |time| Standing { started: Some(at(time)), ..ON };
        assert_eq!(left(since("06:30"), &[]), ALL);
        assert_eq!(left(since("01:30"), &[]), ["00:00 01:30"]);
        assert_eq!(left(since("06:30"), &[("06:30", Switch::Made), ("06:30", Switch::On)]), ALL);
        assert_eq!(left(ON, &[("03:00", Switch::Made), ("03:10", Switch::On)]), ["00:00 03:10"]);
        // It was made, and never switched on.
        assert_eq!(left(Standing { logging: false, ..ON }, &[]), ALL);
    }

    #[test]
    fn the_history_tells_of_every_time_that_it_was_off() {
        let standing = Standing { stopped: Some(at("02:00")), started: Some(at("02:30")), ..ON };
        assert_eq!(left(standing, &[]), ["02:00 02:30"]);
        let earlier = [("00:30", Switch::Off), ("01:00", Switch::On), ("02:00", Switch::Off), ("02:30", Switch::On)];
        assert_eq!(left(standing, &earlier), ["00:30 01:00", "02:00 02:30"]);
        let off = Standing { logging: false, stopped: Some(at("03:00")), ..ON };
        assert_eq!(left(off, &[]), ["03:00 04:00"]);
    }

    #[test]
    fn a_trail_without_management_events_records_nothing_that_counts() {
        let without = Standing { management: false, ..ON };
        assert_eq!(left(without, &[]), ALL);
        assert_eq!(left(without, &[("02:00", Switch::Told(false))]), ALL);
        // Before it was told so, nobody knows.
        assert_eq!(left(ON, &[("06:00", Switch::Told(true))]), ALL);
        assert_eq!(
            left(ON, &[("01:00", Switch::Told(true)), ("02:00", Switch::Told(false)), ("03:00", Switch::Told(true))]),
            ["00:00 01:00", "02:00 03:00"]
        );
    }

    #[test]
    fn a_trail_that_was_widened_may_have_recorded_its_home_alone_before() {
        assert_eq!(left_of("eu-central-1", ON, &[("03:00", Switch::Widened)]), ["00:00 03:00"]);
        assert_eq!(left(ON, &[("03:00", Switch::Widened)]), [""; 0]);
    }

    #[test]
    fn what_one_trail_leaves_out_another_may_have() {
        let course = |started| {
            let standing = Standing { started: Some(at(started)), ..ON };
            Course::of(&trail(), standing, &Switches::new(), &"us-east-1".parse().unwrap())
        };
        let window = Window::new(at("00:00"), at("04:00")).unwrap();
        assert_eq!(left_out(&[course("03:00"), course("01:00")], window, 0), [(at("00:00"), at("01:00"))]);
        assert_eq!(left_out(&[course("01:00")], window, 900), [(at("00:00"), at("01:15"))]);
        assert_eq!(left_out(&[], window, 900), [(at("00:00"), at("04:00"))]);
    }

    #[test]
    fn selectors_are_read_as_the_history_has_them() {
        let told = |selectors: Value| switch("PutEventSelectors", &json!({"requestParameters": selectors}));
        let basic = |kind: &str, management: bool| {
            told(json!({"trailName": "main",
                "eventSelectors": [{"readWriteType": kind, "includeManagementEvents": management, "dataResources": []}]}))
        };
        assert_eq!((basic("All", true), basic("All", false)), (Some(Switch::Told(true)), Some(Switch::Told(false))));
        assert_eq!((basic("ReadOnly", true), basic("WriteOnly", true)), (Some(Switch::Told(false)), Some(Switch::Told(false))));
        let advanced = |more: Value| {
            let mut fields = vec![json!({"field": "eventCategory", "equals": ["Management"]})];
            fields.extend(more.as_array().unwrap().iter().cloned());
            told(json!({"trailName": "main", "advancedEventSelectors": [{"name": "x", "fieldSelectors": fields}]}))
        };
        assert_eq!(advanced(json!([])), Some(Switch::Told(true)));
        let quiet = json!([{"field": "eventSource", "notEquals": ["kms.amazonaws.com"]}]);
        assert_eq!(advanced(quiet), Some(Switch::Told(true)));
        assert_eq!(advanced(json!([{"field": "readOnly", "equals": ["true"]}])), Some(Switch::Told(false)));
        assert_eq!(advanced(json!([{"field": "eventName", "equals": ["x"]}])), Some(Switch::Told(false)));
        assert_eq!(told(json!({"trailName": "main"})), Some(Switch::Told(false)));
        let updated = |asked: Value| switch("UpdateTrail", &json!({"requestParameters": asked}));
        assert_eq!(updated(json!({"name": "main"})), None);
        assert_eq!(updated(json!({"name": "main", "isMultiRegionTrail": true})), Some(Switch::Widened));
    }

    #[test]
    fn selectors_are_read_as_aws_answers_them() {
        let basic =
            |kind, management| EventSelector::builder().read_write_type(kind).include_management_events(management).build();
        let of = |selectors: Vec<EventSelector>| {
            records_management(&GetEventSelectorsOutput::builder().set_event_selectors(Some(selectors)).build())
        };
        assert!(of(vec![basic(ReadWriteType::All, true)]) && of(vec![EventSelector::builder().build()]));
        assert!(!of(vec![basic(ReadWriteType::All, false)]) && !of(vec![basic(ReadWriteType::ReadOnly, true)]));
        assert!(of(vec![basic(ReadWriteType::ReadOnly, true), basic(ReadWriteType::WriteOnly, true)]));
    }
}
