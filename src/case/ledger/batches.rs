//! Lines of a ledger, some at a time, so that several threads can find out what they mean while their order is kept.

use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use super::{Entry, LINE_LIMIT};

/// Bytes after which a batch is full.
const BATCH: usize = 64 * 1024;
/// Most threads beside the caller's.
const HELPERS: usize = 3;

/// Some lines and what they mean.
#[derive(Debug, Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    lines: Vec<Range<usize>>,
    entries: Vec<Result<Entry, String>>,
    /// Whether no line comes after these.
    is_last: bool,
    /// What came instead of the next line.
    problem: Option<io::Error>,
}

/// A line as it stands in the ledger.
#[derive(Debug)]
pub(super) struct RawLine<'a> {
    /// Without its newline.
    pub(super) bytes: &'a [u8],
    /// Whether it has one.
    pub(super) terminated: bool,
    /// What it means.
    pub(super) entry: Result<Entry, String>,
}

impl Batch {
    /// Reads the next lines.
    fn read(reader: &mut impl BufRead) -> Self {
        let mut batch = Self::default();
        while batch.bytes.len() < BATCH {
            let start = batch.bytes.len();
            let limit = u64::try_from(LINE_LIMIT).unwrap_or(u64::MAX);
            match io::Read::take(&mut *reader, limit).read_until(b'\n', &mut batch.bytes) {
                Ok(0) => {
                    batch.is_last = true;
                    break;
                }
                Ok(_) => batch.lines.push(start..batch.bytes.len()),
                Err(problem) => {
                    batch.problem = Some(problem);
                    batch.is_last = true;
                    break;
                }
            }
        }
        batch
    }

    fn decode(&mut self) {
        let bytes = &self.bytes;
        let line = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        self.entries = self.lines.iter().map(|range| Entry::decode(split_newline(line(range)).0)).collect();
    }

    /// Shows every line with what it means, as long as `take` wants more.
    fn show(&mut self, take: &mut dyn FnMut(RawLine<'_>) -> bool) -> bool {
        let bytes = &self.bytes;
        self.lines.drain(..).zip(self.entries.drain(..)).all(|(range, entry)| {
            let (bytes, terminated) = split_newline(bytes.get(range).unwrap_or_default());
            take(RawLine { bytes, terminated, entry })
        })
    }
}

fn split_newline(line: &[u8]) -> (&[u8], bool) {
    line.strip_suffix(b"\n").map_or((line, false), |line| (line, true))
}

/// Reads all lines and shows them in their order, until `take` wants no more.
pub(super) fn read_lines(mut reader: impl BufRead, take: &mut dyn FnMut(RawLine<'_>) -> bool) -> io::Result<()> {
    let mut first = Batch::read(&mut reader);
    first.decode();
    if !first.show(take) {
        return Ok(());
    }
    if first.is_last {
        return first.problem.map_or(Ok(()), Err);
    }
    let helpers = std::thread::available_parallelism().map_or(0, |cores| cores.get().saturating_sub(1)).min(HELPERS);
    let work = Work::default();
    std::thread::scope(|scope| {
        let _ends = Ending(&work);
        for _ in 0..helpers {
            // Without help it takes longer, that is all.
            let _helper = Builder::new().spawn_scoped(scope, || work.help());
        }
        let mut ahead = VecDeque::new();
        let mut more = true;
        loop {
            while more && ahead.len() < 2 * (helpers + 1) {
                let batch = Batch::read(&mut reader);
                more = !batch.is_last;
                ahead.push_back(work.give(batch));
            }
            let Some(next) = ahead.pop_front() else { return Ok(()) };
            let mut batch = work.wait_for(&next)?;
            if !batch.show(take) {
                return Ok(());
            }
            if let Some(problem) = batch.problem {
                return Err(problem);
            }
        }
    })
}

/// Batches that nobody has begun to decode, each with the one who waits for it.
#[derive(Debug, Default)]
struct Work {
    open: Mutex<Open>,
    given: Condvar,
}

#[derive(Debug, Default)]
struct Open {
    batches: VecDeque<(Batch, SyncSender<Batch>)>,
    has_ended: bool,
}

impl Work {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, batch: Batch) -> Receiver<Batch> {
        let (sender, receiver) = sync_channel(1);
        self.open().batches.push_back((batch, sender));
        self.given.notify_one();
        receiver
    }

    /// Decodes what is given, until there is an end.
    fn help(&self) {
        let mut open = self.open();
        while !open.has_ended {
            open = match open.batches.pop_front() {
                Some(next) => {
                    drop(open);
                    decode(next);
                    self.open()
                }
                None => self.given.wait(open).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Waits for one batch, and decodes others meanwhile.
    fn wait_for(&self, batch: &Receiver<Batch>) -> io::Result<Batch> {
        loop {
            if let Ok(batch) = batch.try_recv() {
                return Ok(batch);
            }
            let next = self.open().batches.pop_front();
            match next {
                Some(next) => decode(next),
                None => return batch.recv().map_err(|_| io::Error::other("a thread that decodes lines ended early")),
            }
        }
    }
}

fn decode((mut batch, waiting): (Batch, SyncSender<Batch>)) {
    batch.decode();
    // There is room for it; nobody may want it any more.
    let _sent = waiting.send(batch);
}

/// Ends the work, however its scope is left.
struct Ending<'a>(&'a Work);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.open().has_ended = true;
        self.0.given.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(reader: impl BufRead, most: usize) -> (Vec<(String, bool)>, io::Result<()>) {
        let mut lines = Vec::new();
        let read = read_lines(reader, &mut |line| {
            assert!(line.entry.is_err());
            lines.push((String::from_utf8(line.bytes.to_vec()).unwrap(), line.terminated));
            lines.len() < most
        });
        (lines, read)
    }

    fn text(lines: usize) -> String {
        (0..lines).map(|number| format!("{number} {}\n", "x".repeat(number % 3000))).collect::<Vec<_>>().concat()
    }

    #[test]
    fn lines_come_in_their_order_however_many_there_are() {
        for count in [0, 1, 10, 100, 5000] {
            for end in ["", "no newline"] {
                let text = text(count) + end;
                let (lines, read) = shown(text.as_bytes(), usize::MAX);
                read.unwrap();
                let joined: Vec<&str> =
                    lines.iter().flat_map(|(line, is_whole)| [line.as_str(), if *is_whole { "\n" } else { "" }]).collect();
                assert!(joined.concat() == text, "{count}");
                assert_eq!(lines.len(), count + usize::from(!end.is_empty()));
            }
        }
    }

    #[test]
    fn nothing_is_shown_that_is_not_wanted_any_more() {
        let text = text(3000);
        for most in [1, 100, 2000] {
            let (lines, read) = shown(text.as_bytes(), most);
            read.unwrap();
            assert_eq!(lines.len(), most);
        }
    }

    #[test]
    fn what_was_read_before_a_problem_is_shown_before_it() {
        struct Failing;
        impl io::Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("a bad block"))
            }
        }
        for count in [3, 3000] {
            let text = text(count);
            let reader = io::BufReader::new(io::Read::chain(text.as_bytes(), Failing));
            let (lines, read) = shown(reader, usize::MAX);
            assert_eq!(lines.len(), count);
            assert_eq!(read.unwrap_err().to_string(), "a bad block");
        }
    }

    #[test]
    fn a_visitor_that_panics_ends_the_threads_too() {
        let text = text(5000);
        let ended = std::panic::catch_unwind(|| {
            let mut count = 0;
            read_lines(text.as_bytes(), &mut |_| {
                count += 1;
                assert!(count < 1000, "enough");
                true
            })
        });
        assert!(ended.is_err());
    }
}
