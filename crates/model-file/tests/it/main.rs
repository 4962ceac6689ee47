//! What the crate says of files built byte by byte: whole ones, damaged ones, and ones made to deceive.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod build;

mod archives;
mod budget;
mod bypasses;
mod declared_sizes;
mod estimates;
mod formats;
mod ggufs;
mod pickles;
mod random_bytes;
mod safetensors;
