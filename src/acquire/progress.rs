//! How an acquisition tells whoever waits for it how it goes.

use std::fmt;

/// Hears how an acquisition goes. Every method is called often and must return at once.
pub trait Progress: Send + Sync + fmt::Debug {
    /// Objects in scope were found.
    fn found(&self, _source: &str, _objects: u64, _bytes: u64) {}

    /// Objects are in the case, durably, or were there already.
    fn stored(&self, _source: &str, _objects: u64, _bytes: u64) {}

    /// A source has begun.
    fn source_started(&self, _source: &str) {}

    /// A source has nothing more to do.
    fn source_finished(&self, _source: &str) {}

    /// Something a person may want to know, in one line.
    fn note(&self, _text: &str) {}
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
