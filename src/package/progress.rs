//! How far the writing of a package has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far the writing of a package has come: counters that whoever holds a clone of it may look at meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    files: AtomicU64,
    bytes: AtomicU64,
    all_files: AtomicU64,
    all_bytes: AtomicU64,
}

impl Progress {
    /// Files and bytes that have been written.
    #[must_use]
    pub fn done(&self) -> (u64, u64) {
        (self.counts.files.load(Ordering::Relaxed), self.counts.bytes.load(Ordering::Relaxed))
    }

    /// Files and bytes that will be written in all, as far as is known yet.
    #[must_use]
    pub fn expected(&self) -> (u64, u64) {
        (self.counts.all_files.load(Ordering::Relaxed), self.counts.all_bytes.load(Ordering::Relaxed))
    }

    pub(super) fn add(&self, files: u64, bytes: u64) {
        self.counts.files.fetch_add(files, Ordering::Relaxed);
        self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn expect(&self, files: u64, bytes: u64) {
        self.counts.all_files.fetch_add(files, Ordering::Relaxed);
        self.counts.all_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Texts that will be written whole.
    pub(super) fn expect_texts<'a>(&self, texts: impl Iterator<Item = &'a [u8]>) {
        let (files, bytes) = texts.fold((0, 0), |(files, bytes), text| (files + 1, bytes + text.len()));
        self.expect(files, u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}
