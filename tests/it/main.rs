//! Integration tests.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what must hold by panicking, and plant what a crash, a hand or an intruder would"
)]

mod package;
mod peers;
mod report;
mod sample;
mod seal;
mod timestamp;
