//! Hosts that fell silent: a run without a network ends in seconds, and does not wait out every retry of every request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Attempts in a row without any answer after which a host counts as out of reach,
const FAILURES: u32 = 4;
/// if at least this long has passed since its last answer, or since the first of them where it never answered.
///
/// Ordinary resets, and a connection that is set up anew, are over sooner.
const SILENT_FOR: Duration = Duration::from_secs(8);
/// How often a host out of reach is tried all the same.
const TRY_EVERY: Duration = Duration::from_secs(5);

/// Which hosts answer. A run need not wait out every retry of every request when the network is gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    hosts: Arc<Mutex<Hosts>>,
}

#[derive(Debug, Default)]
struct Hosts {
    silent: HashMap<String, Silence>,
    last_answers: HashMap<String, Instant>,
}

/// A host that has not answered since some instant.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    failures: u32,
    next_try: Instant,
}

impl Silence {
    fn is_lost(&self, now: Instant) -> bool {
        self.failures >= FAILURES && now.duration_since(self.since) >= SILENT_FOR
    }
}

/// A request that was not sent because its host has been silent.
#[derive(Debug, thiserror::Error)]
#[error("{host} has not answered for {seconds} seconds")]
pub(crate) struct OutOfReach {
    host: String,
    seconds: u64,
}

impl Reach {
    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a request may go out to a host.
    pub(crate) fn admit(&self, host: &str) -> Result<(), OutOfReach> {
        self.admit_at(Instant::now(), host)
    }

    fn admit_at(&self, now: Instant, host: &str) -> Result<(), OutOfReach> {
        let mut hosts = self.hosts();
        let Some(silence) = hosts.silent.get_mut(host).filter(|silence| silence.is_lost(now)) else { return Ok(()) };
        if now >= silence.next_try {
            silence.next_try = now + TRY_EVERY;
            return Ok(());
        }
        Err(OutOfReach { host: host.to_owned(), seconds: now.duration_since(silence.since).as_secs() })
    }

    /// Notes that a host answered, whatever it said.
    pub(crate) fn answered(&self, host: &str) {
        self.answered_at(Instant::now(), host);
    }

    fn answered_at(&self, now: Instant, host: &str) {
        let mut hosts = self.hosts();
        if !hosts.silent.is_empty() {
            hosts.silent.remove(host);
        }
        match hosts.last_answers.get_mut(host) {
            Some(last) => *last = now,
            None => drop(hosts.last_answers.insert(host.to_owned(), now)),
        }
    }

    /// Notes that it did not.
    pub(crate) fn failed(&self, host: &str) {
        self.failed_at(Instant::now(), host);
    }

    fn failed_at(&self, now: Instant, host: &str) {
        let mut hosts = self.hosts();
        let since = hosts.last_answers.get(host).copied().unwrap_or(now);
        let fresh = Silence { since, failures: 0, next_try: now };
        let silence = hosts.silent.entry(host.to_owned()).or_insert(fresh);
        silence.failures = silence.failures.saturating_add(1);
        if silence.failures == FAILURES {
            silence.next_try = now + TRY_EVERY;
        }
    }

    /// Whether some host is out of reach.
    pub(crate) fn has_lost_one(&self) -> bool {
        self.has_lost_one_at(Instant::now())
    }

    fn has_lost_one_at(&self, now: Instant) -> bool {
        self.hosts().silent.values().any(|silence| silence.is_lost(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_lost_after_failures_and_time_and_found_again_by_one_answer() {
        let (reach, start) = (Reach::default(), Instant::now());
        for _ in 0..FAILURES {
            reach.failed_at(start, "a");
        }
        assert!(reach.admit_at(start, "a").is_ok(), "not yet silent for long enough");
        let later = start + SILENT_FOR;
        assert!(reach.admit_at(later, "a").is_ok(), "a first try");
        assert!(reach.admit_at(later, "a").is_err() && reach.has_lost_one_at(later));
        assert!(reach.admit_at(later, "b").is_ok(), "another host has nothing to do with it");
        assert!(reach.admit_at(later + TRY_EVERY, "a").is_ok(), "now and then it is tried again");
        reach.answered("a");
        assert!(reach.admit_at(later, "a").is_ok() && !reach.has_lost_one_at(later));
    }

    #[test]
    fn requests_that_were_waited_for_in_vain_count_from_the_last_answer() {
        let (reach, start) = (Reach::default(), Instant::now());
        reach.answered_at(start, "a");
        // All of them were sent long ago and time out at once.
        let now = start + SILENT_FOR + SILENT_FOR;
        for _ in 0..FAILURES {
            assert!(!reach.has_lost_one_at(now));
            reach.failed_at(now, "a");
        }
        assert!(reach.has_lost_one_at(now));
    }
}
