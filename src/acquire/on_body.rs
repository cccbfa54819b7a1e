//! What reads an object's bytes as they come in.

use std::fmt;
use std::sync::Arc;

/// Is shown an object's key, and its bytes, or nothing where there are too many to be read.
type Reading = dyn Fn(&str, Option<&[u8]>) + Send + Sync;

/// What reads an object's bytes as they come in.
#[derive(Clone)]
pub(crate) struct OnBody {
    pub(super) read: Arc<Reading>,
    /// Whether objects that are too large to be held in memory as they come in are read again for it.
    pub(super) large: bool,
}

impl fmt::Debug for OnBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnBody").field("large", &self.large).finish_non_exhaustive()
    }
}

impl OnBody {
    /// Reads the small objects.
    pub(crate) fn of_small(read: impl Fn(&str, &[u8]) + Send + Sync + 'static) -> Self {
        let read = move |key: &str, body: Option<&[u8]>| {
            if let Some(body) = body {
                read(key, body);
            }
        };
        Self { read: Arc::new(read), large: false }
    }

    /// Reads all objects, and is told of those that are too large for it.
    pub(crate) fn of_all(read: impl Fn(&str, Option<&[u8]>) + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), large: true }
    }
}
