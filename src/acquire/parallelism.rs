//! How many objects of one bucket are fetched at once: more as long as more helps, fewer where fewer do as well or AWS asks for less.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::aws::Halt;

/// Where the level starts: at 30 ms a request, this is near what S3 grants a prefix, and what two cores can take.
pub(crate) const FIRST: usize = 128;
/// Where it never falls below.
const LEAST: usize = 4;
/// Below this, fewer are not tried: what they would spare is too little.
const FEW: usize = 48;
/// How long the rate is measured at one level, at least; and until every slot was used once, which over a long way takes longer.
const LOOK: Duration = Duration::from_millis(60);
/// The same where it is to be found out whether fewer do as well: nothing hurries, and chance is not to decide it.
const CLOSE_LOOK: Duration = Duration::from_millis(300);
/// How long a level that was found is kept before another one is tried.
const KEPT: Duration = Duration::from_secs(5);
/// How long it is kept after AWS asked for less.
const EASED: Duration = Duration::from_secs(10);
/// What a request costs, in bytes of a body that would take as long.
const REQUEST: u64 = 64 * 1024;

/// The level of one bucket.
#[derive(Debug)]
pub(crate) struct Parallelism {
    slots: Arc<Semaphore>,
    /// Whether anybody had to wait for a slot since the last look: only then is the level what limits.
    full: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    most: usize,
    /// Slots beyond the limit that are still out.
    surplus: usize,
    /// Since when the rate is measured, and what was done since.
    since: Instant,
    done: usize,
    work: u64,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The first requests, which wait for connections to be made: their rate says nothing.
    Connecting,
    /// The rate of this level is measured, to be compared with another's.
    Measured { next: Trial },
    /// Another level is tried; this was the level before, and its rate.
    Tried { trial: Trial, from: usize, rate: f64 },
    /// It stays where it is until then.
    Kept { until: Instant, next: Trial },
}

/// Which other level is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trial {
    Higher,
    Lower,
}

impl Trial {
    /// The level to try, from this one.
    fn of(self, limit: usize, most: usize) -> usize {
        match self {
            Self::Higher => (limit * 2).min(most),
            Self::Lower => (limit / 2).max(FEW.min(limit)),
        }
    }

    /// Whether the level that was tried is better: more have to bring something, and fewer to cost nothing.
    fn worth(self, rate: f64, before: f64) -> bool {
        match self {
            Self::Higher => rate >= before * 1.05,
            Self::Lower => rate >= before * 0.97,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Higher => Self::Lower,
            Self::Lower => Self::Higher,
        }
    }

    fn look(self) -> Duration {
        match self {
            Self::Higher => LOOK,
            Self::Lower => CLOSE_LOOK,
        }
    }
}

/// Room for one fetch.
#[derive(Debug)]
pub(crate) struct Slot {
    level: Arc<Parallelism>,
    permit: OwnedSemaphorePermit,
}

impl Parallelism {
    /// A level that finds itself, up to `most`; one that starts there stays there until AWS asks for less.
    pub(crate) fn new(first: usize, most: usize, now: Instant) -> Arc<Self> {
        let limit = first.clamp(1, most.max(1));
        let state = State { limit, most: most.max(1), surplus: 0, since: now, done: 0, work: 0, phase: Phase::Connecting };
        Arc::new(Self { slots: Arc::new(Semaphore::new(limit)), full: AtomicBool::new(false), state: Mutex::new(state) })
    }

    /// Waits for room.
    pub(crate) async fn slot(self: &Arc<Self>) -> Result<Slot, Halt> {
        let permit = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                self.full.store(true, Ordering::Relaxed);
                Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Halt::Closed)?
            }
        };
        Ok(Slot { level: Arc::clone(self), permit })
    }

    /// Takes note of a fetch that came to its end. Whether its slot is not to be used again.
    fn done(&self, bytes: u64, throttled: bool, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += 1;
        state.work += REQUEST + bytes;
        let wanted = if throttled { state.eased(now) } else { state.looked(&self.full, now) };
        if let Some(more) = wanted.checked_sub(state.limit) {
            let kept = more.min(state.surplus);
            state.surplus -= kept;
            self.slots.add_permits(more - kept);
        } else {
            // Slots that are taken fall away as they come back.
            state.surplus += state.limit - wanted;
        }
        state.limit = wanted;
        let falls_away = state.surplus > 0;
        state.surplus -= usize::from(falls_away);
        falls_away
    }
}

impl State {
    /// The level after AWS asked for less: once for a burst of such answers.
    fn eased(&mut self, now: Instant) -> usize {
        if matches!(self.phase, Phase::Kept { until, .. } if now + EASED.saturating_sub(LOOK) < until) {
            return self.limit;
        }
        self.phase = Phase::Kept { until: now + EASED, next: Trial::Higher };
        self.begin(now);
        (self.limit * 7 / 10).max(LEAST.min(self.limit))
    }

    /// The level after a look at the rate, if it is time for one.
    fn looked(&mut self, full: &AtomicBool, now: Instant) -> usize {
        let passed = now.saturating_duration_since(self.since);
        let look = match self.phase {
            Phase::Measured { next: trial } | Phase::Tried { trial, .. } => trial.look(),
            Phase::Connecting | Phase::Kept { .. } => LOOK,
        };
        if passed < look || self.done < self.limit {
            return self.limit;
        }
        let rate = rate(self.work, passed);
        let full = full.swap(false, Ordering::Relaxed);
        self.begin(now);
        match self.phase {
            // The listing, or the end of the work, is what limits: nothing is learnt from that.
            _ if !full => self.limit,
            Phase::Connecting => self.measured_next(Trial::Higher),
            Phase::Kept { until, .. } if now < until => self.limit,
            Phase::Kept { next, .. } => self.measured_next(next),
            Phase::Measured { next } => self.tried_next(next, rate, now),
            Phase::Tried { trial, rate: before, .. } if trial.worth(rate, before) => self.tried_next(trial, rate, now),
            Phase::Tried { trial, from, .. } => {
                self.phase = Phase::Kept { until: now + KEPT, next: trial.other() };
                from
            }
        }
    }

    fn measured_next(&mut self, next: Trial) -> usize {
        self.phase = Phase::Measured { next };
        self.limit
    }

    fn tried_next(&mut self, trial: Trial, rate: f64, now: Instant) -> usize {
        let level = trial.of(self.limit, self.most);
        self.phase = if level == self.limit {
            Phase::Kept { until: now + KEPT, next: trial.other() }
        } else {
            Phase::Tried { trial, from: self.limit, rate }
        };
        level
    }

    fn begin(&mut self, now: Instant) {
        (self.since, self.done, self.work) = (now, 0, 0);
    }
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a rate that is compared roughly")]
fn rate(work: u64, passed: Duration) -> f64 {
    work as f64 / passed.as_secs_f64()
}

impl Slot {
    /// Gives the room back: so many bytes came, and AWS asked for less, or not.
    pub(crate) fn done(self, bytes: u64, throttled: bool) {
        if self.level.done(bytes, throttled, Instant::now()) {
            self.permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fetches for `seconds` against a server that does `most` a second, however many are in flight, each taking `latency`.
    fn play(level: &Arc<Parallelism>, now: &mut Instant, seconds: u64, most: f64, latency: f64) -> usize {
        let end = *now + Duration::from_secs(seconds);
        while *now < end {
            let limit = level.state.lock().unwrap().limit;
            let rate = (f64::from(u32::try_from(limit).unwrap()) / latency).min(most);
            *now += Duration::from_secs_f64(1.0 / rate);
            level.full.store(true, Ordering::Relaxed);
            level.done(0, false, *now);
        }
        level.state.lock().unwrap().limit
    }

    #[test]
    fn it_rises_while_more_in_flight_brings_more() {
        let mut now = Instant::now();
        let level = Parallelism::new(FIRST, 512, now);
        let found = play(&level, &mut now, 4, 1e9, 0.02);
        assert_eq!((found, level.slots.available_permits()), (512, 512), "only latency limits, so all that is allowed is used");
    }

    #[test]
    fn it_stays_where_more_brings_nothing() {
        let mut now = Instant::now();
        let level = Parallelism::new(FIRST, 512, now);
        let found = play(&level, &mut now, 4, 3_000.0, 0.02);
        assert_eq!(found, FIRST, "3,000 a second at 20 ms are 60 in flight");
    }

    #[test]
    fn in_a_long_run_it_falls_to_where_fewer_would_bring_less() {
        let mut now = Instant::now();
        let level = Parallelism::new(512, 512, now);
        let found = play(&level, &mut now, 60, 3_000.0, 0.02);
        assert_eq!(found, 64, "3,000 a second at 20 ms are 60 in flight");
    }

    #[test]
    fn in_a_long_run_it_stays_where_every_one_counts() {
        let mut now = Instant::now();
        let level = Parallelism::new(FIRST, 512, now);
        let (mut lowest, mut found) = (512, 0);
        play(&level, &mut now, 4, 1e9, 0.02);
        for _ in 0..200 {
            found = play(&level, &mut now, 1, 1e9, 0.02);
            lowest = lowest.min(found);
        }
        assert!(found >= 256 && lowest >= 256, "half is tried now and then, and never kept");
    }

    #[test]
    fn throttling_lowers_it_once_for_a_burst() {
        let now = Instant::now();
        let level = Parallelism::new(100, 100, now);
        for answer in 0..50 {
            level.done(0, true, now + Duration::from_millis(answer));
        }
        assert_eq!(level.state.lock().unwrap().limit, 70);
        level.done(0, true, now + Duration::from_secs(1));
        assert_eq!(level.state.lock().unwrap().limit, 49);
    }

    #[tokio::test]
    async fn slots_beyond_a_lowered_level_fall_away_as_they_come_back() {
        let level = Parallelism::new(10, 10, Instant::now());
        let mut slots = Vec::new();
        for _ in 0..10 {
            slots.push(level.slot().await.unwrap());
        }
        slots.pop().unwrap().done(0, true);
        for slot in slots {
            slot.done(0, false);
        }
        assert_eq!(level.slots.available_permits(), 7);
    }

    #[test]
    fn it_never_falls_to_nothing() {
        let now = Instant::now();
        let level = Parallelism::new(8, 8, now);
        for second in 0..60 {
            level.done(0, true, now + Duration::from_secs(second));
        }
        assert_eq!(level.state.lock().unwrap().limit, LEAST);
    }

    #[test]
    fn a_run_that_waits_for_its_listing_learns_nothing_from_it() {
        let mut now = Instant::now();
        let level = Parallelism::new(FIRST, 512, now);
        for _ in 0..10_000 {
            now += Duration::from_millis(1);
            level.done(0, false, now);
        }
        assert_eq!(level.state.lock().unwrap().limit, FIRST);
    }
}
