//! Integration tests.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what must hold by panicking, and plant what a crash, a hand or an intruder would"
)]

mod account;
mod agreement;
mod bad_input;
mod defects;
mod demo;
mod faults;
mod json;
mod memory_case;
mod package;
mod peers;
mod reads_only;
mod resume;
mod sample;
mod seal;
mod secrets;
mod strace;
mod tamper;
mod tampering;
mod vectors;
