//! How ComfyUI is spoken to: prompts, queue, history, its socket, and its page's graphs.

mod client;
mod error;
mod files;
pub mod graph;
mod machine;
mod object_info;
mod prompt;
mod transport;
mod watch;
mod wire;

pub use client::Client;
pub use error::{ComfyError, Trouble};
pub use files::FileStream;
pub use machine::{Device, FolderPaths, LogLine, SavedWorkflow, SystemStats};
pub use object_info::{InputSpec, NodeType, ObjectInfo};
pub use prompt::{Execution, FileReference, NodeFailure, Outcome, Queue, QueueRow, Submission, Submitted};
pub use watch::{Backoff, ComfyEvent, NodeProgress, watch};
