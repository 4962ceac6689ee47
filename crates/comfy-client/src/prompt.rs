//! Prompts: what is handed in, what waits and runs, and what became of it.
//!
//! Domain types; ComfyUI's own JSON is in `wire`. Times are milliseconds since 1970, as ComfyUI gives them.

use serde_json::{Map, Value};

/// A prompt to hand in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Submission {
    /// Node id to `{class_type, inputs}`.
    pub prompt: Map<String, Value>,
    /// Whose socket hears of its progress.
    pub client_id: Option<String>,
    /// The id that it shall have; ComfyUI makes one where there is none.
    pub prompt_id: Option<String>,
    /// Its place in the queue: lower runs first, negative and fractional are fine. Without one it goes to the back.
    pub number: Option<f64>,
    /// What the nodes and the saved files get beside the graph.
    pub extra_data: Option<Map<String, Value>>,
    /// Only these output nodes run; all, where there are none.
    pub targets: Option<Vec<String>>,
}

/// What ComfyUI made of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It is in the queue.
    Accepted {
        /// Its id.
        prompt_id: String,
        /// Its place.
        number: f64,
        /// What is wrong with outputs that will be left out while others run; `{}` where all is well. As ComfyUI sent it.
        node_errors: Value,
    },
    /// It is not in the queue.
    Rejected {
        /// `{type, message, details, extra_info}`, as ComfyUI sent it.
        error: Value,
        /// By node id, as ComfyUI sent it.
        node_errors: Value,
    },
}

/// What ComfyUI has to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Queue {
    /// What runs now.
    pub running: Vec<QueueRow>,
    /// What waits, next first.
    pub pending: Vec<QueueRow>,
}

/// One prompt in the queue, whoever handed it in.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueRow {
    /// Its place: lower runs first.
    pub number: f64,
    /// Its id.
    pub prompt_id: String,
    /// The types of the nodes of its graph, one for each node.
    pub node_types: Vec<String>,
    /// What the client that handed it in calls itself.
    pub client_id: Option<String>,
    /// The output nodes that are to run.
    pub outputs: Vec<String>,
}

/// A prompt that ComfyUI is done with.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// The prompt as it stood in the queue.
    pub row: QueueRow,
    /// What each node returned for people to see: node id to `{images: [{filename, subfolder, type}]}` and the like.
    pub outputs: Map<String, Value>,
    /// Whether something of the outputs was left out, because it was more than is kept.
    pub outputs_are_cut: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began to run.
    pub started_at_ms: Option<i64>,
    /// When it ended.
    pub ended_at_ms: Option<i64>,
    /// Nodes whose result was at hand from an earlier run.
    pub cached: Vec<String>,
}

/// How a prompt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// All its outputs ran.
    Completed,
    /// A node failed.
    Failed(NodeFailure),
    /// Somebody stopped it.
    Interrupted {
        /// The node that it was at.
        node: Option<String>,
        /// Its type.
        node_type: Option<String>,
    },
}

/// Why a node failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFailure {
    /// The node.
    pub node: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// What it said.
    pub message: String,
    /// The kind of exception, as Python names it.
    pub exception_type: String,
    /// Where in the code, a line each.
    pub traceback: Vec<String>,
}

/// A file in one of ComfyUI's own folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReference {
    /// Its name.
    pub filename: String,
    /// Folder within `folder`, `""` for none.
    pub subfolder: String,
    /// `output`, `input` or `temp`.
    pub folder: String,
}
