//! What is to be simulated.

use chrono::{DateTime, Duration, DurationRound, Utc};

/// Describes the history of a simulated account.
///
/// Equal scenarios give equal accounts, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// What all chance is derived from.
    pub seed: u64,
    /// When the simulated history ends: the account's "now", a full hour.
    pub end: DateTime<Utc>,
    /// How many hours of history there are before the end.
    pub hours: u32,
    /// The enabled regions; the first one is the trail's home.
    pub regions: Vec<String>,
    /// How many management events the home region sees in an hour; others see fewer.
    pub events_per_hour: u32,
    /// Whether an intruder visits.
    pub intrusion: bool,
    /// Whether somebody stops the trail.
    pub stop_logging: bool,
    /// Whether a responder starts a stopped trail again, some two hours later.
    pub restart_logging: bool,
}

impl Scenario {
    /// The demonstration: a day in three regions, an intruder, and two hours without logging.
    #[must_use]
    pub fn incident(end: DateTime<Utc>) -> Self {
        Self {
            seed: 2026,
            end: full_hour(end),
            hours: 24,
            regions: ["us-east-1", "eu-central-1", "us-west-2"].map(String::from).to_vec(),
            events_per_hour: 130,
            intrusion: true,
            stop_logging: true,
            restart_logging: true,
        }
    }

    /// A small account in which nothing remarkable happens: six hours in two regions.
    #[must_use]
    pub fn quiet(end: DateTime<Utc>) -> Self {
        Self {
            hours: 6,
            regions: ["us-east-1", "eu-central-1"].map(String::from).to_vec(),
            events_per_hour: 12,
            intrusion: false,
            stop_logging: false,
            ..Self::incident(end)
        }
    }

    /// When the simulated history begins.
    #[must_use]
    pub fn start(&self) -> DateTime<Utc> {
        self.end - Duration::hours(i64::from(self.hours))
    }

    /// The middle of the simulated history.
    pub(super) fn middle(&self) -> DateTime<Utc> {
        self.start() + Duration::hours(i64::from(self.hours / 2))
    }

    /// The trail's home region.
    #[must_use]
    pub fn home_region(&self) -> &str {
        self.regions.first().map_or("us-east-1", String::as_str)
    }

    /// When digests end: the first instant at or before the start that lies on the trail's fixed
    /// minute and second of the hour.
    pub(super) fn first_digest_end(&self) -> DateTime<Utc> {
        self.start() - Duration::hours(1) + DIGEST_OFFSET
    }

    /// When somebody calls `StopLogging`, and when a responder calls `StartLogging`.
    pub(super) fn outage(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let hour = (self.hours.saturating_mul(17) / 24).min(self.hours.saturating_sub(4));
        let hour = self.start() + Duration::hours(i64::from(hour));
        (hour + Duration::seconds(23 * 60 + 48), hour + Duration::hours(2) + DIGEST_OFFSET)
    }

    /// Whether the trail was recording at an instant.
    pub(super) fn logging_at(&self, instant: DateTime<Utc>) -> bool {
        let (stopped, started) = self.outage();
        !self.stop_logging || instant <= stopped || (self.restart_logging && instant >= started)
    }
}

/// Minute and second of the hour at which this trail's digests end.
const DIGEST_OFFSET: Duration = Duration::seconds(41 * 60 + 21);

fn full_hour(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.duration_trunc(Duration::hours(1)).unwrap_or(instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_ends_at_a_full_hour() {
        let end = "2026-03-02T12:34:56Z".parse().unwrap();
        assert_eq!(Scenario::incident(end).end.to_rfc3339(), "2026-03-02T12:00:00+00:00");
    }

    #[test]
    fn the_outage_lies_within_the_history_and_lasts_about_two_hours() {
        for scenario in [
            Scenario::incident("2026-03-02T12:00:00Z".parse().unwrap()),
            Scenario::quiet("2026-03-02T12:00:00Z".parse().unwrap()),
        ] {
            let (stopped, started) = scenario.outage();
            assert!(scenario.start() < stopped && started < scenario.end - Duration::hours(1));
            assert!((started - stopped).num_minutes() > 120);
        }
    }
}
