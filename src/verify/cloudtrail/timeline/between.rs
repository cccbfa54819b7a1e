//! The time before a chain and between two: what switched the trail, and where it delivered.

use crate::cloudtrail::coverage::HourStatus;
use crate::model::{Finding, Severity, Timestamp};

use super::super::switches::{Phase, State};
use super::{EVER, FIRST_DIGEST, LOOK_BACK, STOP_SLACK, TrailTime};

impl TrailTime {
    /// The first chain of all begins at `to`, with a digest that ends at `ends`.
    pub(super) fn begins(&mut self, to: Timestamp, ends: Timestamp, findings: &mut Vec<Finding>) {
        let start = self.window.start().floor_hour();
        let ahead = start.plus_seconds(-LOOK_BACK);
        // An event behind the first digest explains nothing: by then the trail was signed, and delivered here.
        let latest = ends.max(to).plus_seconds(STOP_SLACK);
        let moved = self.moved_between(start, latest).map(|moved| moved.why.clone());
        let first = self.switches.first_between(ahead, latest).map(|first| {
            // A trail of this name may have been there before; whether that one was signed, nothing tells.
            let before = self.switches.off_between(start, first.at).map_or_else(String::new, |off| {
                format!(
                    " A trail of that name was there before, until {}; whether it was signed is not known: {}.",
                    off.at, off.why
                )
            });
            (first.at, first.why.clone(), before)
        });
        // A trail that was stopped and started again was signed before, as far as anything says: those digests are gone.
        let since = first.as_ref().map_or(start, |(at, _, _)| *at).max(start);
        let is_signed = first.is_some();
        let stopped = self.switches.phases(since, to, EVER).iter().any(|phase| phase.state == State::Off);
        let known = (ahead, moved.is_none());
        let detail = match (moved, first) {
            (Some(why), _) => format!(
                "Its chain of digests begins {to}, and the trail was told to deliver elsewhere: {why}. What it signed before may lie \
                 where it delivered then; the case holds nothing that proves that time."
            ),
            (None, Some((at, why, before))) => {
                let when = if at.plus_seconds(FIRST_DIGEST) < to {
                    format!("; the trail came to be, or to be signed, {at} at the latest")
                } else {
                    ", when the trail began to be signed".to_owned()
                };
                format!("Its chain of digests begins {to}{when}: {why}.{before}")
            }
            (None, None) if stopped => return self.account_for(start, to, EVER, known, findings),
            (None, None) => {
                format!("Its chain of digests begins {to}; the case holds nothing that proves the time before.")
            }
        };
        self.find(findings, Severity::Gap, "chain-begins", &detail);
        // That is no excuse for what it signed since.
        let owed = if is_signed { since.plus_seconds(FIRST_DIGEST) < to && (stopped || self.is_home) } else { stopped };
        if owed {
            self.account_for(since, to, EVER, known, findings);
        }
    }

    /// Explains the time between two chains by what switched the trail.
    ///
    /// `known` is a time at which it is known whether collect looked where the trail delivered, and whether it did.
    pub(super) fn account_for(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        before: i64,
        known: (Timestamp, bool),
        findings: &mut Vec<Finding>,
    ) {
        let phases: Vec<(Timestamp, Timestamp, State, String, &str)> = self
            .switches
            .phases(from, to, before)
            .iter()
            // Between making a trail and starting it a console takes a moment.
            .filter(|phase| {
                let made = phase.state == State::Off && phase.began.is_some_and(|switch| switch.creates);
                !made || phase.to > phase.from.plus_seconds(STOP_SLACK)
            })
            .map(|Phase { from, to, state, began }| {
                let (why, off) = began.map_or((String::new(), ""), |switch| (switch.why.clone(), switch.off()));
                (*from, *to, *state, why, off)
            })
            .collect();
        let last = phases.len();
        for (number, (since, until, state, why, off)) in phases.iter().enumerate() {
            // No final digest is promised where validation is switched off before it was due, and the last one may be an hour old.
            let unsigned_before_due = self.switches.unsigned_between(*until, until.plus_seconds(FIRST_DIGEST));
            match state {
                State::Off => {
                    self.timeline.add(*since, *until, HourStatus::LoggingOff);
                    let began = if since == &from { format!("before {since}") } else { since.to_string() };
                    // The next chain need not begin when the trail was switched on: files that tell of it may be out of sight.
                    let again = if number + 1 == last
                        || (number + 2 == last && self.undelivered(*until, to, known, FIRST_DIGEST).is_none())
                    {
                        format!(
                            "Digests prove again from {until} on. Nothing that this trail delivered proves the time between."
                        )
                    } else {
                        format!("It was on again {until}. Nothing was recorded between.")
                    };
                    let detail = format!("{off} {began}: {why}. {again}");
                    self.find(findings, Severity::Gap, "logging-off", &detail);
                }
                State::Unsigned => {
                    let detail =
                        format!("Log file validation was off from {since} to {until}: {why}. Nothing was signed between.");
                    self.find(findings, Severity::Gap, "validation-off", &detail);
                }
                State::On => {
                    // Behind the last switch the new chain begins, within the hour that its first digest takes.
                    let is_last = number + 1 == last;
                    let slack = if is_last || unsigned_before_due { FIRST_DIGEST } else { STOP_SLACK };
                    self.timeline.add(*since, *until, HourStatus::Restart);
                    let Some(stay) = self.undelivered(*since, *until, known, slack) else { continue };
                    let (gone, left) = ((stay.from, stay.to), stay.left.map(|left| left.why.clone()));
                    self.timeline.add(gone.0, gone.1, HourStatus::DigestMissing);
                    let stop = phases.get(number + 1).map_or("", |(_, _, _, why, _)| why.as_str());
                    let detail = match left {
                        Some(left) => format!(
                            "The trail recorded from {} on, and was told to deliver elsewhere {} ({left}), but there is no digest of \
                             the time between: what it signed is gone.",
                            gone.0, gone.1
                        ),
                        None if is_last => {
                            let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
                            format!(
                                "The trail recorded again from {} on{why}, but digests begin only {until}: those between, the first of \
                                 its chain among them, are gone.",
                                gone.0
                            )
                        }
                        None => format!(
                            "The trail recorded until {until} ({stop}), but there is no digest from {} on: the digests between, the \
                             final one that AWS delivers when logging stops among them, are gone.",
                            gone.0
                        ),
                    };
                    self.lose(findings, gone.1, "restart-hides-digests", &detail);
                }
            }
        }
    }
}
