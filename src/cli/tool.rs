use std::fs::File;

use crate::case::event::Tool;
use crate::model::HashingReader;

/// This program: its name, its version, and the hash of its own file.
pub(super) fn this_tool() -> Tool {
    let own = std::env::current_exe().ok().and_then(|path| File::open(path).ok());
    let sha256 = own.and_then(|file| HashingReader::new(file).finish().ok()).map(|(sha256, _)| sha256);
    Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), sha256 }
}
