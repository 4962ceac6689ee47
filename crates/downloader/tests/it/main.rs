//! The downloader at its public handle: real sockets, real files, faults on order. Each test is a sentence.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod arrival;
mod rig;
