//! How far a long phase has come: a line for each thing that is counted, moving on a terminal, written now and then elsewhere.
//!
//! Whoever works only adds to counters; a thread of its own looks at them and draws, so no line ever slows the work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::package::Progress;

use super::output::{Output, bytes, thousands};

/// How often a line is drawn on a terminal.
const DRAWN_EVERY: Duration = Duration::from_millis(200);
/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// For how long nothing new must have been found before a time left counts as known.
const SETTLED: Duration = Duration::from_secs(3);

/// What is counted of one thing.
#[derive(Debug, Default)]
pub(super) struct Meter {
    done: AtomicU64,
    done_bytes: AtomicU64,
    all: AtomicU64,
    all_bytes: AtomicU64,
    finished: AtomicBool,
    /// Counters of somebody else, which are the ones that count.
    follows: Option<Progress>,
}

impl Meter {
    /// Counts what is done.
    pub(super) fn add(&self, files: u64, size: u64) {
        self.done.fetch_add(files, Ordering::Relaxed);
        self.done_bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Counts what there is to do.
    pub(super) fn expect(&self, files: u64, size: u64) {
        self.all.fetch_add(files, Ordering::Relaxed);
        self.all_bytes.fetch_add(size, Ordering::Relaxed);
    }

    fn counts(&self) -> Counts {
        if let Some(progress) = &self.follows {
            let ((done, done_bytes), (all, all_bytes)) = (progress.done(), progress.expected());
            return Counts { done, done_bytes, all, all_bytes };
        }
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            done: load(&self.done),
            done_bytes: load(&self.done_bytes),
            all: load(&self.all),
            all_bytes: load(&self.all_bytes),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    done: u64,
    done_bytes: u64,
    all: u64,
    all_bytes: u64,
}

/// What a file costs beyond its bytes, in bytes: many small ones take long, and so does a single large one.
const FILE: u64 = 16 * 1024;

impl Counts {
    fn work_done(self) -> u64 {
        self.done_bytes.saturating_add(self.done.saturating_mul(FILE))
    }

    fn all_work(self) -> u64 {
        self.all_bytes.saturating_add(self.all.saturating_mul(FILE))
    }
}

/// The lines of one phase; they are gone when it is finished or dropped.
#[derive(Debug)]
pub(super) struct Lines {
    #[cfg_attr(not(feature = "acquire"), expect(dead_code, reason = "only a collection says something meanwhile"))]
    terminal: Option<MultiProgress>,
    meters: Arc<Mutex<BTreeMap<String, Arc<Meter>>>>,
    stop: Option<Sender<()>>,
    drawer: Option<JoinHandle<()>>,
}

/// Begins a phase whose lines appear as they are asked for.
pub(super) fn lines(output: &Output) -> Lines {
    let meters: Arc<Mutex<BTreeMap<String, Arc<Meter>>>> = Arc::default();
    if !output.shows_progress() {
        return Lines { terminal: None, meters, stop: None, drawer: None };
    }
    let terminal = Output::is_terminal().then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)));
    let (stop, stopped) = channel();
    let shown = Arc::clone(&meters);
    let mut board = Board { terminal: terminal.clone(), rows: BTreeMap::new() };
    let drawer = std::thread::Builder::new().name("progress".to_owned()).spawn(move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(board.pause()) {
            let meters = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
            board.show(&meters, Instant::now());
        }
        board.clear();
    });
    // Without a thread there are no lines, and the work is done all the same.
    Lines { terminal, meters, stop: Some(stop), drawer: drawer.ok() }
}

/// Begins a phase of one line.
pub(super) fn line(output: &Output, what: &str) -> (Lines, Arc<Meter>) {
    let lines = lines(output);
    let meter = lines.meter(what);
    (lines, meter)
}

/// Begins a phase of one line that is counted elsewhere.
pub(super) fn following(output: &Output, what: &str, progress: Progress) -> Lines {
    alone(output, what, Meter { follows: Some(progress), ..Meter::default() })
}

fn alone(output: &Output, what: &str, meter: Meter) -> Lines {
    let lines = lines(output);
    lines.meters.lock().unwrap_or_else(PoisonError::into_inner).insert(what.to_owned(), Arc::new(meter));
    lines
}

impl Lines {
    /// The counters of one thing; the same ones each time.
    pub(super) fn meter(&self, what: &str) -> Arc<Meter> {
        let mut meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(meter) = meters.get(what) {
            return Arc::clone(meter);
        }
        Arc::clone(meters.entry(what.to_owned()).or_default())
    }

    /// Lets something be said without the lines running over it.
    #[cfg(feature = "acquire")]
    pub(super) fn aside(&self, say: impl FnOnce()) {
        match &self.terminal {
            Some(terminal) => terminal.suspend(say),
            None => say(),
        }
    }

    /// Nothing more will be found: what is done now is done for good.
    #[cfg(feature = "acquire")]
    pub(super) fn found_everything(&self) {
        for meter in self.meters.lock().unwrap_or_else(PoisonError::into_inner).values() {
            meter.finished.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the phase, leaving nothing behind.
    pub(super) fn finish(self) {
        drop(self);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(drawer) = self.drawer.take() {
            // It draws; whatever became of it, the work is not its.
            let _drawn = drawer.join();
        }
    }
}

/// What is on the terminal, or was written last.
struct Board {
    terminal: Option<MultiProgress>,
    rows: BTreeMap<String, Row>,
}

struct Row {
    bar: Option<ProgressBar>,
    pace: Pace,
    finished: bool,
}

impl Board {
    fn pause(&self) -> Duration {
        if self.terminal.is_some() { DRAWN_EVERY } else { LINE_EVERY }
    }

    fn show(&mut self, meters: &BTreeMap<String, Arc<Meter>>, now: Instant) {
        for (what, meter) in meters {
            let row = self.rows.entry(what.clone()).or_insert_with(|| Row {
                bar: self.terminal.as_ref().map(|terminal| terminal.add(bar(what))),
                pace: Pace::new(now),
                finished: false,
            });
            if row.finished {
                continue;
            }
            let counts = meter.counts();
            row.finished = meter.finished.load(Ordering::Relaxed) && counts.done >= counts.all;
            let text = row.pace.line(counts, row.finished, now);
            match &row.bar {
                Some(bar) if row.finished => bar.finish_with_message(text),
                Some(bar) => {
                    bar.set_message(text);
                    bar.tick();
                }
                None => Output::line(&format!("{what}: {text}")),
            }
        }
    }

    fn clear(&self) {
        // A line that said it was done would stay on the terminal when it is dropped.
        self.rows.values().filter_map(|row| row.bar.as_ref()).for_each(ProgressBar::finish_and_clear);
        if let Some(terminal) = &self.terminal {
            // A terminal that has gone away needs no clearing.
            let _cleared = terminal.clear();
        }
    }
}

fn bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:12} {wide_msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}

/// How fast something goes, seen from now and then.
#[derive(Debug)]
struct Pace {
    begun: Instant,
    last: (Instant, Counts),
    /// Work and bytes in a thousand seconds, smoothed.
    rate: Option<(u64, u64)>,
    grew: Instant,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { begun: now, last: (now, Counts::default()), rate: None, grew: now }
    }

    /// What is done, how fast it goes, and how long the rest will take where that can be known.
    fn line(&mut self, counts: Counts, finished: bool, now: Instant) -> String {
        self.look(counts, now);
        let mut parts = Vec::new();
        if counts.all > 0 {
            parts.push(format!("{} of {}", thousands(counts.done), thousands(counts.all)));
        } else if counts.done > 0 {
            parts.push(format!("{} files", thousands(counts.done)));
        }
        if finished {
            parts.push(bytes(counts.done_bytes));
            parts.push("done".to_owned());
            return parts.join("  ");
        }
        if counts.all_bytes > 0 {
            parts.push(part_of(&bytes(counts.done_bytes), &bytes(counts.all_bytes)));
        } else if counts.done_bytes > 0 {
            parts.push(bytes(counts.done_bytes));
        }
        match self.left(counts) {
            // As long as more is found, it is the least that it can take.
            Some(seconds) if now.duration_since(self.grew) < SETTLED => {
                parts.push(format!("over {} left", clock(seconds)));
            }
            Some(seconds) => parts.push(format!("about {} left", clock(seconds))),
            None => parts.push(clock(now.duration_since(self.begun).as_secs())),
        }
        // Last, as a narrow terminal cuts off what comes last.
        if let Some((_, rate)) = self.rate.filter(|(_, rate)| *rate > 0) {
            parts.push(format!("{}/s", bytes(rate / 1000)));
        }
        parts.join("  ")
    }

    fn look(&mut self, counts: Counts, now: Instant) {
        let (then, before) = self.last;
        if counts.all != before.all {
            self.grew = now;
        }
        let passed = u64::try_from(now.duration_since(then).as_millis()).unwrap_or(u64::MAX);
        if passed == 0 {
            return;
        }
        let rate = |new: u64, old: u64| new.saturating_sub(old).saturating_mul(1_000_000) / passed;
        let fresh = (rate(counts.work_done(), before.work_done()), rate(counts.done_bytes, before.done_bytes));
        let smooth = |old: u64, new: u64| (old.saturating_mul(7).saturating_add(new)) / 8;
        self.rate = Some(self.rate.map_or(fresh, |old| (smooth(old.0, fresh.0), smooth(old.1, fresh.1))));
        self.last = (now, counts);
    }

    /// Seconds that the rest takes at the pace so far.
    fn left(&self, counts: Counts) -> Option<u64> {
        let (rate, _) = self.rate.filter(|(rate, _)| *rate > 0)?;
        let rest = counts.all_work().checked_sub(counts.work_done()).filter(|rest| *rest > 0)?;
        Some(rest.saturating_mul(1000).div_ceil(rate))
    }
}

/// `1.5 of 2.0 MiB`: the unit once, where it is the same.
fn part_of(part: &str, whole: &str) -> String {
    match (part.split_once(' '), whole.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} of {whole}"),
        _ => format!("{part} of {whole}"),
    }
}

/// Seconds as a clock shows them.
fn clock(seconds: u64) -> String {
    match seconds {
        0..=3599 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(done: u64, all: u64) -> Counts {
        Counts { done, done_bytes: done * 1024, all, all_bytes: all * 1024 }
    }

    #[test]
    fn the_time_left_is_a_least_one_while_more_is_found_and_then_an_estimate() {
        let begun = Instant::now();
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        let mut pace = Pace::new(begun);
        assert_eq!(
            pace.line(counts(100, 1000), false, at(1)),
            "100 of 1,000  100.0 of 1000.0 KiB  over 0:09 left  100.0 KiB/s"
        );
        for second in 2..5 {
            pace.line(counts(second * 100, 1000), false, at(second));
        }
        assert_eq!(
            pace.line(counts(500, 1000), false, at(5)),
            "500 of 1,000  500.0 of 1000.0 KiB  about 0:05 left  100.0 KiB/s"
        );
        assert_eq!(pace.line(counts(1000, 1000), true, at(10)), "1,000 of 1,000  1000.0 KiB  done");
    }

    #[test]
    fn one_large_file_among_many_small_ones_does_not_stop_the_clock() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        let mebibyte = 1024 * 1024;
        let at = |second: u64| Counts { done: 7, done_bytes: second * mebibyte, all: 1000, all_bytes: 100 * mebibyte };
        for second in 1..50 {
            pace.line(at(second), false, begun + Duration::from_secs(second));
        }
        let told = pace.line(at(50), false, begun + Duration::from_secs(50));
        // Fifty mebibytes and the thousand files, which count for about fifteen more.
        assert!(told.contains("about 1:06 left"), "{told}");
    }

    #[test]
    fn where_nothing_is_known_of_the_rest_nothing_is_said_of_it() {
        let begun = Instant::now();
        let mut pace = Pace::new(begun);
        assert_eq!(pace.line(Counts::default(), false, begun + Duration::from_secs(75)), "1:15");
        let done = Counts { done: 7, done_bytes: 0, ..Counts::default() };
        assert_eq!(pace.line(done, false, begun + Duration::from_secs(76)), "7 files  1:16");
    }

    /// A terminal of 80 columns that remembers what it shows.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<Shown>>);

    #[derive(Debug, Default)]
    struct Shown {
        lines: BTreeMap<usize, String>,
        row: usize,
        column: usize,
    }

    impl Screen {
        #[expect(clippy::unnecessary_wraps, reason = "what a terminal answers to everything")]
        fn change(&self, change: impl FnOnce(&mut Shown)) -> std::io::Result<()> {
            change(&mut self.0.lock().unwrap());
            Ok(())
        }

        fn lines(&self) -> Vec<String> {
            let lines = self.0.lock().unwrap().lines.clone();
            lines.into_values().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
        }
    }

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, n: usize) -> std::io::Result<()> {
            self.change(|shown| shown.row -= n)
        }

        fn move_cursor_down(&self, n: usize) -> std::io::Result<()> {
            self.change(|shown| shown.row += n)
        }

        fn move_cursor_right(&self, n: usize) -> std::io::Result<()> {
            self.change(|shown| shown.column += n)
        }

        fn move_cursor_left(&self, n: usize) -> std::io::Result<()> {
            self.change(|shown| shown.column -= n)
        }

        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }

        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.change(|shown| {
                for letter in text.chars() {
                    if letter == '\n' || shown.column == 80 {
                        (shown.row, shown.column) = (shown.row + 1, 0);
                    }
                    if letter != '\n' {
                        shown.lines.entry(shown.row).or_default().push(letter);
                        shown.column += 1;
                    }
                }
            })
        }

        fn clear_line(&self) -> std::io::Result<()> {
            self.change(|shown| {
                shown.lines.remove(&shown.row);
                shown.column = 0;
            })
        }

        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_say_they_are_done_are_gone_as_well_when_the_phase_ends() {
        let screen = Screen::default();
        let terminal = MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(screen.clone())));
        let mut board = Board { terminal: Some(terminal), rows: BTreeMap::new() };
        let meters: BTreeMap<String, Arc<Meter>> =
            ["cloudtrail", "ebs", "flow-logs"].into_iter().map(|what| (what.to_owned(), Arc::default())).collect();
        for meter in meters.values() {
            meter.expect(2, 2048);
        }
        board.show(&meters, Instant::now());
        for what in ["ebs", "flow-logs"] {
            meters[what].add(2, 2048);
            meters[what].finished.store(true, Ordering::Relaxed);
        }
        board.show(&meters, Instant::now());
        let shown = screen.lines();
        assert!(shown.len() == 3 && shown[1].starts_with("ebs") && shown[1].ends_with("done"), "{shown:?}");
        board.clear();
        drop(board);
        assert_eq!(screen.lines(), [""; 0]);
    }

    #[test]
    fn hours_are_told_as_hours() {
        assert_eq!(part_of("900.0 KiB", "1.5 GiB"), "900.0 KiB of 1.5 GiB");
        assert_eq!((clock(59), clock(3725)), ("0:59".to_owned(), "1:02:05".to_owned()));
    }
}
