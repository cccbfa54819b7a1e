//! Every log that a verified digest lists, and every log that none lists.

use std::collections::{HashMap, HashSet};

use crate::cloudtrail::coverage::HourStatus;
use crate::cloudtrail::{ListedLog, LogFolder};
use crate::model::{Finding, S3Location, Severity, Window};
use crate::verify::artifacts::StoredLog;

use super::Row;
use super::timeline::TrailTime;
use super::unreadable::Unreadable;

/// How far a log's slot may lie outside the interval of the digest that lists it, in seconds.
const SLOT_SLACK: i64 = 10 * 60;

/// The judgement on all logs, as far as it has come.
#[derive(Debug)]
pub(super) struct LogVerdicts<'a> {
    stored: &'a HashMap<S3Location, StoredLog>,
    unreadable: &'a Unreadable<'a>,
    window: Window,
    listed: HashSet<S3Location>,
    verified: HashSet<S3Location>,
}

impl<'a> LogVerdicts<'a> {
    pub(super) fn new(stored: &'a HashMap<S3Location, StoredLog>, unreadable: &'a Unreadable<'a>, window: Window) -> Self {
        Self { stored, unreadable, window, listed: HashSet::new(), verified: HashSet::new() }
    }

    pub(super) fn is_verified(&self, location: &S3Location) -> bool {
        self.verified.contains(location)
    }

    /// Judges the logs that this chain's verified digests list.
    pub(super) fn judge(&mut self, row: &mut Row, findings: &mut Vec<Finding>) {
        let Row { standard, backfill, logs, digest_status, .. } = row;
        for digest in standard.digests.iter().chain(&backfill.digests) {
            let Some(content) = digest.proven() else { continue };
            let mut worst = HourStatus::Verified;
            for log in &content.logs {
                let Some(status) = self.judge_log(log, findings) else { continue };
                worst = worst.max(status);
                let malformed = self.stored.get(&log.location).is_some_and(|stored| stored.content.is_err());
                *match status {
                    HourStatus::Verified => &mut logs.verified,
                    HourStatus::LogMissing => &mut logs.missing,
                    HourStatus::Unreadable => &mut logs.unreadable,
                    _ if malformed => &mut logs.malformed,
                    _ => &mut logs.modified,
                } += 1;
            }
            digest_status.insert(digest.stored.location.clone(), worst);
        }
    }

    /// The status of one listed log; none if it has been judged, or is not there and has no event in the window.
    fn judge_log(&mut self, log: &ListedLog, findings: &mut Vec<Finding>) -> Option<HourStatus> {
        if !self.listed.insert(log.location.clone()) {
            return None;
        }
        let mut fail = |kind: &str, detail: &str| findings.push(Finding::new(Severity::Failure, kind, &log.location, detail));
        match self.stored.get(&log.location).map(|stored| &stored.content) {
            Some(Ok(sha256)) if *sha256 == log.sha256 => {
                self.verified.insert(log.location.clone());
                Some(HourStatus::Verified)
            }
            Some(Ok(_)) => {
                fail(
                    "log-modified",
                    "Its content is not what CloudTrail delivered: its hash differs from the one in the signed digest.",
                );
                Some(HourStatus::LogModified)
            }
            Some(Err(problem)) => {
                fail("log-malformed-gzip", &format!("It is not one whole gzip member: {problem}."));
                Some(HourStatus::LogModified)
            }
            None => {
                let in_window = match (log.oldest_event, log.newest_event) {
                    (Some(oldest), Some(newest)) => self.window.overlaps(oldest, newest),
                    _ => true,
                };
                if !in_window {
                    return None;
                }
                if self.unreadable.covers(&log.location) {
                    return Some(HourStatus::Unreadable);
                }
                fail("log-missing", "A signed digest lists it, and it is not there.");
                Some(HourStatus::LogMissing)
            }
        }
    }

    /// Judges the logs that no verified digest lists.
    pub(super) fn judge_uncovered(&self, rows: &mut [Row], times: &[TrailTime], findings: &mut Vec<Finding>) {
        let mut uncovered: Vec<&StoredLog> = self.stored.values().filter(|log| !self.listed.contains(&log.location)).collect();
        uncovered.sort_by(|a, b| a.location.cmp(&b.location));
        for log in uncovered {
            let here = |row: &&mut Row| row.of.account == log.name.account && row.of.region == log.name.region;
            let at = log.name.minute;
            let status = rows
                .iter()
                .zip(times)
                .filter(|(row, _)| row.of.account == log.name.account && row.of.region == log.name.region)
                .map(|(_, time)| time.worst(at.plus_seconds(-SLOT_SLACK), at.plus_seconds(SLOT_SLACK)))
                .min();
            let row = rows.iter_mut().find(here);
            match status {
                Some(HourStatus::Verified) if log.name.folder == LogFolder::CloudTrail => {
                    let detail =
                        "No digest lists it, though digests cover its time without a hole: CloudTrail did not deliver it here.";
                    findings.push(Finding::new(Severity::Failure, "log-uncovered", &log.location, detail));
                }
                Some(HourStatus::Pending) => {
                    if let Some(row) = row {
                        row.logs.pending += 1;
                    }
                    continue;
                }
                _ => {
                    let detail = "No digest in the case lists it, so AWS's signatures say nothing about it.";
                    findings.push(Finding::new(Severity::Gap, "log-unproven", &log.location, detail));
                }
            }
            if let Some(row) = row {
                row.logs.uncovered += 1;
            }
        }
    }
}
