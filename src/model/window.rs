//! The time that a case asks about, as people write it and as it is kept. Which of AWS's files belong to it is for others to say.

use std::fmt;

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};

use super::Timestamp;

/// The closed interval of time that a case asks about; its start lies before its end by construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Ends", into = "Ends")]
pub struct Window {
    start: Timestamp,
    end: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    start: Timestamp,
    end: Timestamp,
}

impl TryFrom<Ends> for Window {
    type Error = WindowError;

    fn try_from(ends: Ends) -> Result<Self, WindowError> {
        Self::new(ends.start, ends.end)
    }
}

impl From<Window> for Ends {
    fn from(window: Window) -> Self {
        Self { start: window.start, end: window.end }
    }
}

/// Why a window is refused.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The text names no instant.
    #[error(
        "`{text}` is not a time: write RFC 3339 with its offset (2026-03-01T09:00:00Z), a UTC date (2026-03-01), \
         or a span back from now (-48h, -7d, -90m)"
    )]
    NotATime {
        /// What was given.
        text: String,
    },
    /// A clock time without an offset could mean any of a day's instants.
    #[error("`{text}` does not say its offset from UTC: write `{text}Z` for UTC, or add an offset such as +01:00")]
    NoOffset {
        /// What was given.
        text: String,
    },
    /// The ends are the wrong way round, or equal.
    #[error("the window is reversed or empty: it starts {start} and ends {end} (UTC)")]
    Reversed {
        /// The start as understood.
        start: Timestamp,
        /// The end as understood.
        end: Timestamp,
    },
    /// It is longer than anything that can be asked about.
    #[error("the window is longer than {} years: it starts {start} and ends {end} (UTC)", Window::MOST_DAYS / 365)]
    TooLong {
        /// The start as understood.
        start: Timestamp,
        /// The end as understood.
        end: Timestamp,
    },
    /// The window reaches past the present.
    #[error("the window lies in the future: {bound} is {at}, and now is {now} (UTC)")]
    InTheFuture {
        /// `the start` or `the end`.
        bound: &'static str,
        /// The instant asked for.
        at: Timestamp,
        /// This machine's clock.
        now: Timestamp,
    },
}

/// Which end of a window a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A plain date means its first second.
    Start,
    /// A plain date means its last second.
    End,
}

/// Reads one end of a window as people write it.
///
/// RFC 3339 with any offset is converted to UTC; a plain date is that whole UTC day; `-48h`, `-7d`, `-90m`, `-30s` count
/// back from `now`; `now` is itself. An end of today's date stops at `now`.
pub fn parse_bound(text: &str, bound: Bound, now: Timestamp) -> Result<Timestamp, WindowError> {
    let text = text.trim();
    let not_a_time = || WindowError::NotATime { text: super::printable(&text.chars().take(64).collect::<String>()) };
    if text.eq_ignore_ascii_case("now") {
        return Ok(now);
    }
    if let Some(span) = text.strip_prefix('-') {
        let (number, unit) = span.split_at_checked(span.len().saturating_sub(1)).ok_or_else(not_a_time)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            "w" => 7 * 86_400,
            _ => return Err(not_a_time()),
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(not_a_time());
        }
        let back = number.parse::<i64>().ok().and_then(|n| n.checked_mul(seconds)).ok_or_else(not_a_time)?;
        let instant = TimeDelta::try_seconds(back).and_then(|back| now.instant().checked_sub_signed(back));
        return instant.map(Timestamp::new).filter(Timestamp::has_a_text).ok_or_else(not_a_time);
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        let midnight = Timestamp::new(day.and_time(NaiveTime::MIN).and_utc());
        if !midnight.has_a_text() {
            return Err(not_a_time());
        }
        return Ok(match bound {
            Bound::Start => midnight,
            Bound::End => {
                let last = midnight.plus_seconds(86_399);
                if midnight <= now && now < last { now } else { last }
            }
        });
    }
    let looks_like_a_clock_time = text.parse::<chrono::NaiveDateTime>().is_ok()
        || chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").is_ok();
    if looks_like_a_clock_time {
        return Err(WindowError::NoOffset { text: text.to_owned() });
    }
    text.parse().map_err(|_| not_a_time())
}

impl Window {
    /// Longest window, in days: two hundred years. Its hours are counted one by one, and a case may come from anybody.
    const MOST_DAYS: i64 = 200 * 365;

    /// The window from `start` to `end`, both included.
    pub fn new(start: Timestamp, end: Timestamp) -> Result<Self, WindowError> {
        if start >= end {
            return Err(WindowError::Reversed { start, end });
        }
        if end.instant() - start.instant() > TimeDelta::days(Self::MOST_DAYS) {
            return Err(WindowError::TooLong { start, end });
        }
        Ok(Self { start, end })
    }

    /// Reads both ends as people write them; no `end` means now. Nothing of the window may lie in the future.
    pub fn parse(start: &str, end: Option<&str>, now: Timestamp) -> Result<Self, WindowError> {
        // Whole seconds are what AWS's own times have, and what people can read out.
        let now = now.floor_second();
        let start = parse_bound(start, Bound::Start, now)?;
        let end = end.map_or(Ok(now), |end| parse_bound(end, Bound::End, now))?;
        if start > now {
            return Err(WindowError::InTheFuture { bound: "the start", at: start, now });
        }
        let window = Self::new(start, end)?;
        if end > now {
            return Err(WindowError::InTheFuture { bound: "the end", at: end, now });
        }
        Ok(window)
    }

    /// The first instant.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The last instant.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Whether any instant of `[start, end]` lies in the window.
    #[must_use]
    pub fn overlaps(&self, start: Timestamp, end: Timestamp) -> bool {
        start <= self.end && end >= self.start
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        at("2026-03-02T12:00:00Z")
    }

    #[test]
    fn a_plain_date_is_the_whole_utc_day() {
        let window = Window::parse("2026-02-28", Some("2026-02-28"), now()).unwrap();
        assert_eq!(window.to_string(), "2026-02-28T00:00:00Z to 2026-02-28T23:59:59Z");
    }

    #[test]
    fn todays_date_as_the_end_stops_now() {
        assert_eq!(Window::parse("2026-03-02", Some("2026-03-02"), now()).unwrap().end(), now());
    }

    #[test]
    fn a_span_counts_back_from_now_and_no_end_means_now() {
        let window = Window::parse("-48h", None, now()).unwrap();
        assert_eq!(window.to_string(), "2026-02-28T12:00:00Z to 2026-03-02T12:00:00Z");
    }

    #[test]
    fn now_is_cut_to_the_second() {
        let now = at("2026-03-02T12:00:00.789Z");
        assert_eq!(Window::parse("-1h", None, now).unwrap().to_string(), "2026-03-02T11:00:00Z to 2026-03-02T12:00:00Z");
    }

    #[test]
    fn an_offset_is_converted() {
        let window = Window::parse("2026-03-01T02:00:00+05:00", Some("2026-03-01T00:00:00-01:00"), now()).unwrap();
        assert_eq!(window.to_string(), "2026-02-28T21:00:00Z to 2026-03-01T01:00:00Z");
    }

    #[test]
    fn a_reversed_an_empty_and_a_future_window_are_refused() {
        assert!(matches!(Window::parse("2026-03-02", Some("2026-03-01"), now()), Err(WindowError::Reversed { .. })));
        assert!(matches!(Window::parse("now", Some("now"), now()), Err(WindowError::Reversed { .. })));
        assert!(matches!(Window::parse("2026-04-01", None, now()), Err(WindowError::InTheFuture { bound: "the start", .. })));
        let future_end = Window::parse("2026-03-01", Some("2026-03-03T00:00:00Z"), now());
        assert!(matches!(future_end, Err(WindowError::InTheFuture { bound: "the end", .. })));
    }

    #[test]
    fn all_of_the_past_that_aws_knows_can_be_asked_about_and_a_thousand_years_cannot() {
        for start in ["1970-01-01", "1900-01-01"] {
            assert!(Window::parse(start, None, now()).is_ok(), "{start}");
        }
        assert!(matches!(Window::parse("0001-01-01", None, now()), Err(WindowError::TooLong { .. })));
        let read = |text: &str| serde_json::from_str::<Window>(text);
        assert!(read(r#"{"start":"1970-01-01T00:00:00Z","end":"2026-03-01T00:00:00Z"}"#).is_ok());
        let refused = read(r#"{"start":"0001-01-01T00:00:00Z","end":"9999-12-31T23:59:59Z"}"#).unwrap_err().to_string();
        assert!(refused.contains("longer than 200 years"), "{refused}");
    }

    #[test]
    fn a_clock_time_without_an_offset_is_refused_with_the_remedy() {
        let refused = Window::parse("2026-03-01T10:00:00", None, now()).unwrap_err().to_string();
        assert!(refused.contains("2026-03-01T10:00:00Z"), "{refused}");
    }

    #[test]
    fn nonsense_and_overflowing_spans_are_refused() {
        for text in [
            "",
            "-",
            "yesterday",
            "-h",
            "-5x",
            "--5h",
            "-99999999999999999999d",
            "-9999999999999d",
            "-484848488h",
            "2026-13-01",
            "+10000-01-01",
        ] {
            assert!(matches!(parse_bound(text, Bound::Start, now()), Err(WindowError::NotATime { .. })), "{text}");
        }
    }
}
