use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::{Output, bytes, thousands};

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// One phase that counts files and bytes: a moving line on a terminal, a plain line now and then elsewhere.
#[derive(Debug)]
pub(super) struct Bar {
    what: String,
    line: Option<ProgressBar>,
    plain: bool,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    files: u64,
    bytes: u64,
    last_line: Instant,
}

/// Begins a phase.
pub(super) fn bar(output: &Output, what: &str) -> Bar {
    let on_terminal = output.shows_progress() && Output::is_terminal();
    let line = on_terminal.then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {msg}  {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    });
    Bar {
        what: what.to_owned(),
        line,
        plain: output.shows_progress() && !on_terminal,
        counts: Mutex::new(Counts { files: 0, bytes: 0, last_line: Instant::now() }),
    }
}

impl Bar {
    /// Counts files that are done.
    pub(super) fn add(&self, files: u64, size: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.files += files;
        counts.bytes += size;
        if let Some(bar) = &self.line {
            bar.set_message(format!("{} files, {}", thousands(counts.files), bytes(counts.bytes)));
        } else if self.plain && counts.last_line.elapsed() >= LINE_EVERY {
            counts.last_line = Instant::now();
            Output::line(&format!("{}: {} files, {}", self.what, thousands(counts.files), bytes(counts.bytes)));
        }
    }

    /// Ends the phase, leaving nothing behind.
    pub(super) fn finish(self) {
        if let Some(bar) = self.line {
            bar.finish_and_clear();
        }
    }
}
