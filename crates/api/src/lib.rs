//! The binary: REST, socket, generated OpenAPI, and shell commands over the service.
//!
//! `config` is the list of settings, `application` puts the server together, `routes` has the handlers, `dto` the JSON,
//! `ws` the socket, `middleware` what happens around every request, `cli` the shell. Nothing below this crate knows our JSON,
//! units as text, codes, or who asks.

pub mod application;
mod audit;
pub mod cli;
pub mod config;
mod connections;
pub mod descriptors;
pub mod dto;
pub mod error;
mod error_code;
pub mod extract;
mod forwarded;
mod graph_file;
mod json_dialect;
pub mod large_bodies;
mod log_collector;
mod log_file;
mod log_room;
mod log_stream;
pub mod logging;
mod measures;
pub mod middleware;
pub mod openapi;
pub mod operations;
mod origin;
pub mod peer_owner;
pub mod routes;
mod session_cookie;
mod settings_in_force;
mod static_files;
mod tls;
pub mod ws;

pub use application::{Application, ApplicationError};
pub use config::{Config, Invocation, Settings};
pub use large_bodies::LargeBodyLimits;
