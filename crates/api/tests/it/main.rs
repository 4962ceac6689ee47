//! The product from outside: the production application over real sockets, and the program itself.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod access;
mod bounds;
mod comfyui;
mod comfyui_logs;
mod conformance;
mod downloads;
mod errors;
mod full_disk;
mod given_up;
mod graph_files;
mod installs;
mod logs;
mod lost_writes;
mod model_files;
mod models;
mod operations;
mod prepared;
mod protocol;
mod registry;
mod samples;
mod shell;
mod shutdown;
mod socket;
mod statements;
mod system;
mod world;
