//! How ComfyUI is spoken to: prompts, queue, history, its socket, and its page's graphs.

mod bounded;
mod client;
pub mod embedded;
mod error;
mod fault;
mod files;
pub mod graph;
mod machine;
mod object_info;
mod prompt;
pub mod requirements;
mod transport;
mod types;
mod validate;
mod watch;
mod wire;

pub use client::Client;
pub use error::{ComfyError, Trouble};
pub use fault::Fault;
pub use files::FileStream;
pub use machine::{Device, FolderPaths, LogLine, SavedWorkflow, SystemStats};
pub use object_info::{InputSpec, NodeType, ObjectInfo, Replacement};
pub use prompt::{Execution, FileReference, NodeFailure, Outcome, Queue, QueueRow, Submission, Submitted};
pub use transport::without_credentials;
pub use validate::{Verdict, validate};
pub use watch::{Backoff, ComfyEvent, NodeProgress, watch};
