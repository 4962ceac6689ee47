//! The downloader at its public handle: real sockets, real files, faults on order. Each test is a sentence.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod arrival;
mod connections;
mod control;
mod crosstalk;
mod disk;
mod expiry;
mod file_systems;
mod heads;
mod hosts;
mod in_the_way;
mod journals;
mod mirrors;
mod mounts;
mod named_hash;
mod partial;
mod processes;
mod proxies;
mod queue;
mod refusals;
mod retry_after;
mod rig;
mod room;
mod tls;
mod versions;
