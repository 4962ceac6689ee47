//! How ComfyUI is spoken to: prompts, queue, history, its socket, and its page's graphs.

pub mod graph;
mod object_info;

pub use object_info::{InputSpec, NodeType, ObjectInfo};
