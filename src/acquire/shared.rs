//! What several tasks take note of, each in its turn.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something that several tasks change. What one of them panicked over is as good as before: no note takes two steps.
#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    /// Waits for its turn.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Shared<T> {
    /// Takes what was noted, and leaves nothing.
    pub(crate) fn take(&self) -> T {
        std::mem::take(&mut *self.lock())
    }
}
