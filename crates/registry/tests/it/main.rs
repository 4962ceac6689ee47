//! The registry crate from outside: real files, real sockets, the shipped catalogue.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fetching;
mod formats;
mod hostile_paths;
mod one_bad_preset;
mod paths;
mod questions;
mod shipped;
mod texts;
