//! This program as ledgers and seals name it, with the hash of its own file.

use std::fs::File;
use std::sync::LazyLock;

use crate::case::event::Tool;
use crate::model::{HashingReader, Sha256Hash};

/// The hash of the program's own file.
static OWN: LazyLock<Option<Sha256Hash>> = LazyLock::new(|| {
    let own = std::env::current_exe().ok().and_then(|path| File::open(path).ok());
    own.and_then(|file| HashingReader::new(file).finish().ok()).map(|(sha256, _)| sha256)
});

/// This program: its name, its version, and the hash of its own file.
pub(super) fn this_tool() -> Tool {
    Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), sha256: *OWN }
}

/// Begins to find out what [`this_tool`] says, which takes long enough to be done while something else is waited for.
pub(super) fn look_at_this_tool() {
    // Whoever needs it waits for it, or finds it out, so nothing is lost with the thread, or without one.
    let _detached = std::thread::Builder::new().spawn(|| LazyLock::force(&OWN));
}
