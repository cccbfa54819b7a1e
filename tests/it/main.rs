//! Integration tests.

mod package;
mod peers;
mod sample;
mod seal;
