//! The servers of this crate, asked over raw sockets.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod fake_civitai;
mod fake_hub;
mod file_server;
mod raw_client;
mod requirements;
