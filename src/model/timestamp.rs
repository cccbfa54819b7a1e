//! Instants in UTC and their one spelling. A time without its offset is none.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, TimeDelta, Timelike, Utc};

use super::serde_as_text;

/// An instant in UTC, written in RFC 3339 with `Z`, to the second or to the millisecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

/// The text is not an instant with its offset from UTC.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 time with its offset from UTC, such as 2026-03-01T09:00:00Z")]
pub struct ParseTimestampError {
    text: String,
}

impl Timestamp {
    /// The instant, cut to the millisecond.
    #[must_use]
    pub fn new(instant: DateTime<Utc>) -> Self {
        let millis = instant.nanosecond() / 1_000_000 * 1_000_000;
        Self(instant.with_nanosecond(millis).unwrap_or(instant))
    }

    /// The instant in the name of a log file, to the minute: `YYYYMMDDTHHMMZ`, and nothing else.
    #[must_use]
    pub fn from_minute_stamp(stamp: &str) -> Option<Self> {
        let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
        if time.len() == 4 { Self::from_digits(date, time, "00") } else { None }
    }

    /// The instant in the name of a digest, to the second: `YYYYMMDDTHHMMSSZ`, and nothing else.
    #[must_use]
    pub fn from_second_stamp(stamp: &str) -> Option<Self> {
        let (date, time) = stamp.strip_suffix('Z')?.split_once('T')?;
        if time.len() == 6 { Self::from_digits(date, time, time.get(4..)?) } else { None }
    }

    fn from_digits(date: &str, time: &str, second: &str) -> Option<Self> {
        let number =
            |text: Option<&str>| text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<u32>().ok();
        let year = i32::try_from(number(date.get(..4))?).ok()?;
        let (month, day) = (number(date.get(4..6))?, number(date.get(6..).filter(|day| day.len() == 2))?);
        let (hour, minute) = (number(time.get(..2))?, number(time.get(2..4))?);
        let instant = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, minute, number(Some(second))?)?;
        Some(Self(instant.and_utc()))
    }

    /// The instant as chrono knows it.
    #[must_use]
    pub fn instant(self) -> DateTime<Utc> {
        self.0
    }

    /// The instant `seconds` later, or earlier when negative.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.checked_add_signed(TimeDelta::seconds(seconds)).unwrap_or(self.0))
    }

    /// Whether RFC 3339 has a text for it, which has four digits for the year.
    #[must_use]
    pub fn has_a_text(&self) -> bool {
        (0..=9999).contains(&self.0.year())
    }

    /// The start of this instant's second.
    #[must_use]
    pub fn floor_second(self) -> Self {
        Self(self.0.with_nanosecond(0).unwrap_or(self.0))
    }

    /// The start of this instant's hour.
    #[must_use]
    pub fn floor_hour(self) -> Self {
        let hour = self.0.with_minute(0).and_then(|t| t.with_second(0)).and_then(|t| t.with_nanosecond(0));
        Self(hour.unwrap_or(self.0))
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|instant| Self::new(instant.with_timezone(&Utc)))
            // The first and the last year have hours that belong to others in UTC.
            .filter(Self::has_a_text)
            .ok_or_else(|| ParseTimestampError { text: super::printable(&text.chars().take(64).collect::<String>()) })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = if self.0.nanosecond() == 0 { SecondsFormat::Secs } else { SecondsFormat::Millis };
        f.write_str(&self.0.to_rfc3339_opts(format, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(Timestamp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_converted_never_dropped() {
        let time: Timestamp = "2026-03-01T09:00:00+05:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-03-01T04:00:00Z");
    }

    #[test]
    fn text_and_value_agree_to_the_millisecond() {
        for text in ["2026-03-01T04:00:00Z", "2026-03-01T04:00:00.120Z"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn stamps_are_read_in_one_spelling_each() {
        let minute = Timestamp::from_minute_stamp("20260301T0405Z").unwrap();
        assert_eq!(minute.to_string(), "2026-03-01T04:05:00Z");
        assert_eq!(Timestamp::from_second_stamp("20260301T040521Z").unwrap(), minute.plus_seconds(21));
        for text in ["", "Z", "TZ", "20260301T040Z", "20260301T0405", "20260301T040521Z", "2026031T0405Z", "202603010T0405Z"] {
            assert_eq!(Timestamp::from_minute_stamp(text), None, "{text}");
        }
        for text in ["20261301T0405Z", "20260230T0405Z", "20260301T2405Z", "20260301T0460Z", "+0260301T0405Z", "2026ü301T0405Z"]
        {
            assert_eq!(Timestamp::from_minute_stamp(text), None, "{text}");
        }
        for text in ["20260301T0405Z", "20260301T040560Z", "20260301T0405+1Z", "20260301T04052ü"] {
            assert_eq!(Timestamp::from_second_stamp(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        assert!("2026-03-01T04:00:00".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_time_that_has_no_text_in_utc_is_refused() {
        for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert!("9999-12-31T23:59:59Z".parse::<Timestamp>().is_ok());
    }
}
