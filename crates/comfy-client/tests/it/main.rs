//! What the crate does at its public boundary.
#![expect(clippy::unwrap_used, reason = "a test that cannot read its own data has failed")]

mod client;
mod data;
mod embedded;
mod graph_conversion;
mod needs;
mod page_scripts;
mod recordings;
mod validation;
mod watching;
