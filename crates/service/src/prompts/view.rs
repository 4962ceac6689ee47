//! What prompts look like to those who ask and to those who watch.

use bytes::Bytes;
use comfy_client::requirements::FixedPath;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{PromptFailure, PromptState};

/// A graph to run.
#[derive(Debug, Clone)]
pub enum GraphToRun {
    /// This one, in either format.
    Given(Value),
    /// A stored workflow.
    Stored(String),
}

/// A prompt to keep and run.
#[derive(Debug, Clone)]
pub struct NewPrompt {
    /// What to run.
    pub graph: GraphToRun,
    /// 0 is the back of the queue; a higher one runs earlier.
    pub priority: u32,
    /// What its submitter calls itself.
    pub client_id: Option<String>,
    /// What goes to ComfyUI beside the graph.
    pub extra_data: Option<Map<String, Value>>,
    /// Whether model files that lie in another subfolder than the graph says are put right.
    pub fix_paths: bool,
    /// Only these output nodes run; all, where there are none.
    pub targets: Option<Vec<String>>,
    /// What becomes of it while ComfyUI does not answer.
    pub when_unavailable: WhenUnavailable,
}

/// What becomes of a prompt while ComfyUI does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenUnavailable {
    /// It is refused.
    #[default]
    Refuse,
    /// It waits; what ComfyUI would say of it is told later.
    Queue,
}

/// A prompt that was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptAccepted {
    /// Its id, ours and ComfyUI's.
    pub prompt_id: String,
    /// Unique, in the order of submission.
    pub number: u64,
    /// What was taken differently from what ComfyUI's page might do.
    pub warnings: Vec<String>,
    /// Model paths that were put right.
    pub fixed_paths: Vec<FixedPath>,
    /// What ComfyUI said of outputs that it leaves out; `null` where nothing, or not yet.
    pub node_errors: Value,
    /// Whether ComfyUI answers; else it waits until ComfyUI does.
    pub comfyui_answers: bool,
}

/// A graph in the format of `/prompt`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertedWorkflow {
    /// Node id to node.
    pub workflow: Map<String, Value>,
    /// What was taken differently from what ComfyUI's page might do.
    pub warnings: Vec<String>,
}

/// A prompt in the queue, ours or another client's.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueEntry {
    /// Its id.
    pub prompt_id: String,
    /// Ours: the number that `execute` answered with. Another client's: its place in ComfyUI.
    pub number: f64,
    /// Queued or running.
    pub state: PromptState,
    /// Whether another client handed it to ComfyUI.
    pub by_another_client: bool,
    /// Whether ComfyUI has it already.
    pub is_handed_over: bool,
    /// Its priority; another client's has none.
    pub priority: Option<u32>,
    /// `image_generation`, `video_generation`, `audio_generation` or `other`.
    pub kind: String,
    /// The stored workflow that it came from.
    pub workflow_id: Option<String>,
    /// What its submitter calls itself.
    pub client_id: Option<String>,
    /// When it was submitted; of another client's that is not known.
    pub created_at: Option<Timestamp>,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
}

/// The queue as one order.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueView {
    /// What runs.
    pub running: Vec<QueueEntry>,
    /// What waits, next first.
    pub pending: Vec<QueueEntry>,
    /// Whether nothing of ours starts.
    pub is_paused: bool,
}

/// What became of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptRecord {
    /// Its id.
    pub prompt_id: String,
    /// Where it stands.
    pub state: PromptState,
    /// Whether another client handed it to ComfyUI.
    pub by_another_client: bool,
    /// Its number, as in the queue; unknown for another client's that we never saw wait.
    pub number: Option<f64>,
    /// Its priority.
    pub priority: Option<u32>,
    /// What it makes.
    pub kind: String,
    /// The stored workflow that it came from.
    pub workflow_id: Option<String>,
    /// What its submitter calls itself.
    pub client_id: Option<String>,
    /// By node, what it returned.
    pub outputs: Map<String, Value>,
    /// Why it failed.
    pub failure: Option<PromptFailure>,
    /// When it was submitted.
    pub created_at: Option<Timestamp>,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What to change of a waiting prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptChange {
    /// Another priority.
    Priority(u32),
    /// Right before another prompt that waits, in that one's priority.
    Before(String),
}

/// Which part of the queue is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clearing {
    /// What waits.
    #[default]
    Pending,
    /// What runs.
    Running,
    /// Both.
    All,
}

/// The queue in figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueFigures {
    /// How many prompts wait, of all clients.
    pub pending: u64,
    /// How many run.
    pub running: u64,
    /// Whether nothing of ours starts.
    pub is_paused: bool,
    /// What runs: its id, and what it makes.
    pub current: Option<(String, String)>,
}

/// What kind of step a prompt made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A node began.
    Executing,
    /// A node counts.
    Progress,
    /// A node, or without one the whole, is done.
    Executed,
    /// The result of a node is at hand from an earlier run.
    Cached,
    /// A node, or without one the whole, came to no good end.
    Error,
}

impl StepKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executing => "executing",
            Self::Progress => "progress",
            Self::Executed => "executed",
            Self::Cached => "cached",
            Self::Error => "error",
        }
    }
}

/// A step of a prompt. The last one has no node, and a state that is an end.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowProgress {
    /// Which prompt.
    pub prompt_id: String,
    /// Where it stands.
    pub state: PromptState,
    /// What kind of step.
    pub kind: StepKind,
    /// The node.
    pub node: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// What it counts; 0 before the first count.
    pub value: f64,
    /// Of so many; 1 before the first count.
    pub max: f64,
    /// The share of the whole graph, 0 to 100.
    pub overall: f64,
}

/// What a node has to show.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowOutput {
    /// Of which prompt.
    pub prompt_id: String,
    /// Which node.
    pub node: String,
    /// `{images: [{filename, subfolder, type}]}` and the like.
    pub output: Value,
}

/// A prompt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowFailed {
    /// Which.
    pub prompt_id: String,
    /// Why.
    pub failure: PromptFailure,
}

/// A picture of what a node is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowPreview {
    /// Of which prompt, where that is known.
    pub prompt_id: Option<String>,
    /// Which node, where that is known.
    pub node: Option<String>,
    /// `image/jpeg` or `image/png`.
    pub media_type: String,
    /// Its bytes.
    pub image: Bytes,
    /// A later picture of the same subject takes its place.
    pub(crate) subject: String,
}
