//! The service beside a ComfyUI: real SQLite, real files, real sockets to one that answers as a recorded one does, and goes
//! down, hangs, restarts and talks nonsense on order.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod crashes;
mod files;
mod judged;
mod load;
mod needs;
mod order;
mod runs;
mod steering;
mod workflows;
mod world;
