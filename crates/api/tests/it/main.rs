//! The product from outside: the production application over real sockets, and the program itself.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod access;
mod errors;
mod installs;
mod operations;
mod protocol;
mod shell;
mod shutdown;
mod socket;
mod world;
