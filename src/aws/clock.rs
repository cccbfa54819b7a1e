//! How far this machine's clock is from AWS's, as far as the `Date` of each answer bounds it. No clock is set.

use chrono::{DateTime, TimeDelta, Utc};

use crate::case::event::ClockOffset;
use crate::model::Timestamp;

/// How many milliseconds the clocks may be apart before people are told of it.
const APART: u64 = 60_000;

/// What the `Date` headers of answers say about this machine's clock.
///
/// `Date` is cut to the second, so the true time of the answer lies in `[date, date + 1 s)`; it was written some time between
/// sending the request and receiving the answer. Each answer therefore bounds the offset from both sides, and many bound it well.
#[derive(Clone, Debug, Default)]
pub struct ClockSamples {
    lowest: Option<i64>,
    highest: Option<i64>,
    samples: u32,
}

impl ClockSamples {
    /// Takes the `date` of an answer to a request that was sent and answered at these local times.
    pub fn add(&mut self, sent: DateTime<Utc>, received: DateTime<Utc>, date: DateTime<Utc>) {
        if received < sent {
            return; // the local clock was set back meanwhile: this says nothing
        }
        let low = date.signed_duration_since(received).num_milliseconds();
        let high = (date + TimeDelta::seconds(1)).signed_duration_since(sent).num_milliseconds();
        let (narrow_low, narrow_high) =
            (self.lowest.map_or(low, |known| known.max(low)), self.highest.map_or(high, |known| known.min(high)));
        // Servers disagree by a little; bounds that exclude each other are widened to hold both.
        let (low, high) = if narrow_low <= narrow_high { (narrow_low, narrow_high) } else { (narrow_high, narrow_low) };
        (self.lowest, self.highest) = (Some(low), Some(high));
        self.samples = self.samples.saturating_add(1);
    }

    /// AWS's clock minus this machine's, and how far that may be wrong.
    #[must_use]
    pub fn offset(&self) -> Option<ClockOffset> {
        let (low, high) = (self.lowest?, self.highest?);
        Some(ClockOffset {
            offset_milliseconds: i64::midpoint(low, high),
            uncertainty_milliseconds: (high - low + 1) / 2,
            samples: self.samples,
        })
    }
}

/// AWS's time at a moment of this machine's clock, as far as AWS has told it. Where the clocks may be the same, they are taken for the same.
#[must_use]
pub fn time_of_aws(local: Timestamp, clock: Option<ClockOffset>) -> Timestamp {
    let offset = clock.filter(|clock| clock.offset_milliseconds.abs() > clock.uncertainty_milliseconds);
    let moved =
        offset.and_then(|clock| local.instant().checked_add_signed(TimeDelta::try_milliseconds(clock.offset_milliseconds)?));
    moved.map_or(local, Timestamp::new)
}

/// Whether this machine's clock is certain to be wrong by more than a minute.
#[must_use]
pub fn is_wrong(clock: ClockOffset) -> bool {
    clock.offset_milliseconds.unsigned_abs() > APART.saturating_add(clock.uncertainty_milliseconds.unsigned_abs())
}

/// Reads an HTTP `Date` (RFC 9110, section 5.6.7, the preferred form).
pub(crate) fn parse_http_date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_772_000_000_000 + millis).unwrap()
    }

    #[test]
    fn one_answer_bounds_the_offset_by_the_round_trip_and_the_second() {
        let mut samples = ClockSamples::default();
        samples.add(at(0), at(200), at(5_000));
        let offset = samples.offset().unwrap();
        // The truth lies in [4800, 6000].
        assert_eq!((offset.offset_milliseconds, offset.uncertainty_milliseconds, offset.samples), (5_400, 600, 1));
    }

    #[test]
    fn more_answers_narrow_it() {
        let mut samples = ClockSamples::default();
        for step in 0..10 {
            // AWS is exactly 1,700 ms ahead, and cuts to the second.
            let server = (step * 1_370 + 50 + 1_700) / 1000 * 1000;
            samples.add(at(step * 1_370), at(step * 1_370 + 100), at(server));
        }
        let offset = samples.offset().unwrap();
        assert!((offset.offset_milliseconds - 1_700).abs() <= offset.uncertainty_milliseconds, "{offset:?}");
        assert!(offset.uncertainty_milliseconds < 300, "{offset:?}");
    }

    fn offset(milliseconds: i64) -> ClockOffset {
        ClockOffset { offset_milliseconds: milliseconds, uncertainty_milliseconds: 600, samples: 1 }
    }

    #[test]
    fn aws_s_time_is_this_machine_s_where_the_clocks_may_be_the_same() {
        let local: Timestamp = "2026-03-01T04:00:00Z".parse().unwrap();
        assert_eq!(time_of_aws(local, None), local);
        assert_eq!(time_of_aws(local, Some(offset(-600))), local);
        assert_eq!(time_of_aws(local, Some(offset(86_400_000))).to_string(), "2026-03-02T04:00:00Z");
        assert_eq!(time_of_aws(local, Some(offset(-90_500))).to_string(), "2026-03-01T03:58:29.500Z");
    }

    #[test]
    fn a_clock_is_wrong_from_a_minute_on_either_way() {
        assert!(is_wrong(offset(61_000)) && is_wrong(offset(-86_400_000)));
        assert!(!is_wrong(offset(60_500)) && !is_wrong(offset(-59_000)));
    }

    #[test]
    fn no_answer_says_nothing() {
        assert!(ClockSamples::default().offset().is_none());
    }

    #[test]
    fn an_http_date_is_read() {
        assert_eq!(parse_http_date("Sun, 01 Mar 2026 04:00:00 GMT").unwrap().to_rfc3339(), "2026-03-01T04:00:00+00:00");
        assert!(parse_http_date("yesterday").is_none());
    }
}
