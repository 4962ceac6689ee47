//! A file server that misbehaves on order: HTTP/1.1 over plain sockets, on a thread and a runtime of its own.
//!
//! ```no_run
//! use test_support::file_server::{Content, FileServer, Times};
//!
//! let model = FileServer::start()
//!     .file("/m.safetensors", Content::pattern(7, 1 << 20))
//!     .cut_after(300_000, Times(1));
//! let url = model.url(); // the first answer ends after 300,000 bytes, every later one is honest
//! ```
//!
//! A [`Route`] is honest until a rule says otherwise. Each rule carries a [`When`]; rules add up, and where two of them
//! speak about the same thing the later one wins. The server lives as long as its [`FileServer`] or one of its routes.
//! It must not know who downloads: it records what came over the socket and nothing else.

mod answer;
mod body;
mod connection;
mod content;
mod faults;
mod gate;
mod lies;
mod pace;
mod plan;
mod recorder;
mod reply;
mod request;
mod route;
mod server;
mod shared;
mod when;

pub use content::Content;
pub use gate::Gate;
pub use lies::{ContentRange, Validator};
pub use reply::{Reply, RetryAfter};
pub use request::{Outcome, Request};
pub use route::Route;
pub use server::{FileServer, OverLimit};
pub use when::When::{self, After, AfterBytes, Always, Nth, Times, Until};
pub use when::{Matcher, Switch};
