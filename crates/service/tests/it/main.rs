//! The service from outside: real SQLite, real files, real sockets to a hub that stands in for Hugging Face.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod at_once;
mod at_random;
mod downloads;
mod estimates;
mod installs;
mod models;
mod odd_files;
mod preset_ids;
mod replacing;
mod restarts;
mod room;
mod sharing;
mod storage;
mod updates;
mod validation;
mod world;
