//! Whether two times that different clocks told leave room for the order in which things must have happened.

use crate::model::Timestamp;

use super::event::{ClockOffset, Event};

/// How far clocks may be apart, in seconds, before two times contradict each other: those of honest machines are off by minutes, or by the
/// hours of a time zone.
pub const CLOCKS_APART: i64 = 86_400;

/// What two times come to, of which one must have been before the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// They can be those of clocks that were about right.
    Holds,
    /// They are too far apart the wrong way round, by no more than a clock was ahead that the case was collected by.
    Explained,
    /// They contradict each other: one of the clocks was wrong, or one of the times was made up.
    Contradicted,
}

impl Order {
    /// Of what was done at `earlier` and what was done after it at `later`, where the ledger says that a clock was `ahead` seconds ahead.
    #[must_use]
    pub fn of(earlier: Timestamp, later: Timestamp, ahead: i64) -> Self {
        let by = (earlier.instant() - later.instant()).num_seconds();
        if by <= CLOCKS_APART {
            Self::Holds
        } else if by <= CLOCKS_APART.saturating_add(ahead) {
            Self::Explained
        } else {
            Self::Contradicted
        }
    }
}

/// By how many seconds the clock was ahead of AWS's by which an event was recorded, at most; 0 where it was not, or nobody compared them.
#[must_use]
pub fn seconds_ahead(event: &Event) -> i64 {
    let compared: Option<ClockOffset> = match event {
        Event::CollectionStarted(started) => started.clock,
        Event::CollectionFinished(finished) => finished.clock,
        _ => None,
    };
    let earliest = compared.map_or(0, |clock| clock.offset_milliseconds.saturating_sub(clock.uncertainty_milliseconds));
    (earliest.saturating_neg() / 1000).max(0)
}

#[cfg(test)]
mod tests {
    use super::super::event::CollectionFinished;
    use super::*;

    const DAYS: i64 = 86_400;

    fn order(earlier: &str, later: &str, ahead: i64) -> Order {
        Order::of(earlier.parse().unwrap(), later.parse().unwrap(), ahead)
    }

    #[test]
    fn clocks_that_are_off_by_minutes_or_a_time_zone_contradict_nothing() {
        assert_eq!(order("2026-03-02T10:00:00Z", "2026-03-02T10:00:01Z", 0), Order::Holds);
        assert_eq!(order("2026-03-02T23:59:00Z", "2026-03-02T10:00:00Z", 0), Order::Holds);
        assert_eq!(order("2026-03-03T10:00:01Z", "2026-03-02T10:00:00Z", 0), Order::Contradicted);
    }

    #[test]
    fn a_clock_that_was_ahead_explains_as_much_as_it_was_ahead() {
        assert_eq!(order("2026-03-05T09:00:00Z", "2026-03-02T10:00:00Z", 3 * DAYS), Order::Explained);
        assert_eq!(order("2026-03-07T09:00:00Z", "2026-03-02T10:00:00Z", 3 * DAYS), Order::Contradicted);
    }

    #[test]
    fn how_far_a_clock_was_ahead_is_what_a_run_recorded() {
        let finished = |offset: Option<i64>| {
            let clock = offset.map(|offset_milliseconds| ClockOffset {
                offset_milliseconds,
                uncertainty_milliseconds: 1000,
                samples: 3,
            });
            let nothing = CollectionFinished { run: 1, artifacts: 0, bytes: 0, already_stored: 0, gaps: 0, clock };
            seconds_ahead(&Event::CollectionFinished(nothing))
        };
        assert_eq!(finished(Some(-3 * DAYS * 1000)), 3 * DAYS + 1);
        assert_eq!(finished(Some(3 * DAYS * 1000)), 0, "a clock that was slow explains nothing");
        assert_eq!(finished(None), 0);
    }
}
