//! The socket: what happens, as it happens. `hub` writes each event once for everybody, `outbox` holds what one client has
//! yet to read, `frames` reads what a client sends, `session` speaks with one client, `actions` does what it asks, `message` is
//! the JSON.

mod actions;
mod frames;
pub mod fuzzing;
mod hub;
mod message;
mod outbox;
mod session;

pub use hub::Hub;
pub(crate) use hub::Seat;
pub use session::SocketPace;

pub(crate) use session::serve;
