//! The signals that ask the program to end: the first one ends a collection in order.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What follows so closely upon a signal is the same request: `timeout` signals a program and then its group, and where a session is cut off
/// the terminal hangs up as well as the shell.
const SAME_REQUEST: Duration = Duration::from_millis(500);

/// Whether anything is under way that can be stopped in order.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<AtomicBool>);

impl UnderWay {
    /// From now on there is nothing to stop in order.
    pub(super) fn end(&self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Calls `stop` at the first signal, as long as something is under way; at the next one, or where nothing is, the program ends at once.
///
/// The signals are waited for by a thread of their own, so that they are heard after the collection as well.
pub(super) fn stop_in_order(stop: impl FnOnce() + Send + 'static) -> UnderWay {
    let under_way = UnderWay(Arc::new(AtomicBool::new(true)));
    let watched = under_way.clone();
    let waiting = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(wait(stop, &watched));
        }
    });
    // Without it a signal ends the program as ever.
    drop(waiting);
    under_way
}

async fn wait(stop: impl FnOnce(), under_way: &UnderWay) {
    let mut asked = Asked::to_end();
    asked.again().await;
    if !under_way.0.load(Ordering::Acquire) {
        end_at_once();
    }
    stop();
    tokio::time::sleep(SAME_REQUEST).await;
    // Of a terminal that is gone there is nothing more to come that somebody means.
    asked.hangup = None;
    asked.forget().await;
    asked.again().await;
    end_at_once();
}

#[expect(clippy::exit, reason = "the user asked twice, or there is nothing to stop in order")]
fn end_at_once() {
    std::process::exit(1);
}

/// Signals that ask the program to end.
struct Asked {
    others: Vec<Signal>,
    hangup: Option<Signal>,
}

impl Asked {
    /// Ctrl-C, what `timeout`, systemd and `docker stop` send, and what comes of a terminal that is gone.
    fn to_end() -> Self {
        let others = [SignalKind::interrupt(), SignalKind::terminate()];
        let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup()).ok()).flatten();
        Self { others: others.into_iter().filter_map(|kind| signal(kind).ok()).collect(), hangup }
    }

    /// Waits for the next one.
    async fn again(&mut self) {
        poll_fn(|context| {
            let mut all = self.others.iter_mut().chain(&mut self.hangup);
            if all.any(|one| one.poll_recv(context).is_ready()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Takes those that have come already for none.
    async fn forget(&mut self) {
        poll_fn(|context| {
            for one in self.others.iter_mut().chain(&mut self.hangup) {
                // Ready is told once for however many came.
                let _came = one.poll_recv(context);
            }
            Poll::Ready(())
        })
        .await;
    }
}

/// Whether whoever started the program wants it to outlive the terminal, as `nohup` does. Where that cannot be told, the signal is left alone.
fn is_hangup_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").ok().and_then(|status| ignores_hangup(&status)).unwrap_or(true)
}

/// What the system's status of a process says of its first signal, which a hangup is.
fn ignores_hangup(status: &str) -> Option<bool> {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(ignored.trim(), 16).ok().map(|signals| signals & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_to_outlive_its_terminal_is_told_from_others() {
        let said = |ignored: &str| ignores_hangup(&format!("Name:\tcaselock\nSigBlk:\t1\nSigIgn:\t{ignored}\nSigCgt:\t1\n"));
        assert_eq!(said("0000000000001001"), Some(true), "nohup");
        assert_eq!(said("0000000000001000"), Some(false));
        assert_eq!((said("x"), ignores_hangup("")), (None, None));
    }
}
