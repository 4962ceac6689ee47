//! ComfyUI and its queue as JSON: how it is, what runs and waits, and what can be done about that.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use service::comfy::{ComfyHealth, Socket};
use service::prompts as view;
use utoipa::{IntoParams, ToSchema};

use super::prompts::{number, source};
use crate::error::ApiError;

/// How many prompts wait and run, of all clients.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QueueCounts {
    /// Those that wait.
    pub pending: u64,
    /// Those that run.
    pub running: u64,
}

/// How ComfyUI is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ComfyUi {
    /// Always `healthy`: one that is not answers 503.
    pub status: String,
    /// Its version.
    pub version: Option<String>,
    /// Its queue.
    pub queue: QueueCounts,
    /// Its socket, through which progress and previews come.
    pub socket: ComfyUiSocket,
    /// Why it counts as stuck: an interrupt has no effect, or a prompt runs and tells nothing for long. `null` where it does not.
    pub stuck: Option<String>,
}

/// ComfyUI's socket.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ComfyUiSocket {
    /// Whether it is open.
    pub open: bool,
    /// Why it is not; `null` where it is, and before the first attempt.
    pub cause: Option<String>,
}

impl From<Socket> for ComfyUiSocket {
    fn from(socket: Socket) -> Self {
        match socket {
            Socket::Open => Self { open: true, cause: None },
            Socket::Untried => Self { open: false, cause: None },
            Socket::Closed { cause } => Self { open: false, cause: Some(cause) },
        }
    }
}

impl From<ComfyHealth> for ComfyUi {
    fn from(health: ComfyHealth) -> Self {
        Self {
            status: "healthy".to_owned(),
            version: health.version,
            queue: QueueCounts { pending: health.pending, running: health.running },
            socket: health.socket.into(),
            stuck: health.stuck,
        }
    }
}

/// A prompt that runs or waits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct QueueEntry {
    /// Its id.
    pub prompt_id: String,
    /// As `execute` answered; of another client's prompt, its place in ComfyUI.
    #[schema(value_type = f64)]
    pub number: Number,
    /// `queued` or `running`.
    pub status: String,
    /// Its priority; another client's has none.
    pub priority: Option<u32>,
    /// What it makes.
    pub r#type: String,
    /// `dashboard`, or `comfyui` where another client handed it in.
    pub source: String,
    /// ComfyUI has it already.
    pub handed_over: bool,
    /// The stored workflow that it came from.
    pub workflow_id: Option<String>,
    /// What its submitter calls itself.
    pub client_id: Option<String>,
    /// When it was submitted.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub submitted: Option<Timestamp>,
    /// When it began to run.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub started: Option<Timestamp>,
}

impl From<view::QueueEntry> for QueueEntry {
    fn from(entry: view::QueueEntry) -> Self {
        Self {
            prompt_id: entry.prompt_id,
            number: number(entry.number).unwrap_or_else(|| Number::from(0)),
            status: entry.state.as_str().to_owned(),
            priority: entry.priority,
            r#type: entry.kind,
            source: source(entry.by_another_client),
            handed_over: entry.is_handed_over,
            workflow_id: entry.workflow_id,
            client_id: entry.client_id,
            submitted: entry.created_at,
            started: entry.started_at,
        }
    }
}

/// The queue as one order, ours and other clients'.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// What runs.
    pub queue_running: Vec<QueueEntry>,
    /// What waits, next first.
    pub queue_pending: Vec<QueueEntry>,
    /// Nothing new of ours starts.
    pub paused: bool,
}

impl From<view::QueueView> for Queue {
    fn from(queue: view::QueueView) -> Self {
        Self {
            queue_running: queue.running.into_iter().map(QueueEntry::from).collect(),
            queue_pending: queue.pending.into_iter().map(QueueEntry::from).collect(),
            paused: queue.is_paused,
        }
    }
}

/// Which part of the queue is cleared; as a body or as query parameters.
#[derive(Debug, Default, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct ClearRequest {
    /// What is cleared; without it, what waits.
    #[param(inline, required = false)]
    pub r#type: ClearedPart,
}

/// A part of the queue.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClearedPart {
    /// What waits and what runs.
    All,
    /// What waits.
    #[default]
    Pending,
    /// What runs.
    Running,
}

impl From<ClearedPart> for view::Clearing {
    fn from(part: ClearedPart) -> Self {
        match part {
            ClearedPart::All => Self::All,
            ClearedPart::Pending => Self::Pending,
            ClearedPart::Running => Self::Running,
        }
    }
}

/// What clearing did.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Cleared {
    /// How many prompts ended by it.
    pub cleared: u64,
    /// Always `success`.
    pub status: String,
}

/// Another place for a waiting prompt: by priority, or right before another one.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PromptChangeRequest {
    /// A higher number runs earlier.
    priority: Option<u32>,
    /// The id of the prompt that it goes before.
    before: Option<String>,
}

impl TryFrom<PromptChangeRequest> for view::PromptChange {
    type Error = ApiError;

    fn try_from(request: PromptChangeRequest) -> Result<Self, ApiError> {
        match (request.priority, request.before) {
            (Some(priority), None) => Ok(Self::Priority(priority)),
            (None, Some(other)) => Ok(Self::Before(other)),
            _ => Err(ApiError::invalid("priority", "either it or \"before\" is needed, and not both")),
        }
    }
}

/// How the queue or a prompt stands now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct QueueStanding {
    /// `paused` or `running`.
    pub status: String,
}

/// How a prompt stands now.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PromptStanding {
    /// The state that was reached.
    pub status: String,
    /// The prompt.
    pub prompt_id: String,
}

/// What to interrupt; without an id, whatever runs.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct InterruptRequest {
    /// Only this prompt.
    pub prompt_id: Option<String>,
}

/// What was interrupted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Interrupted {
    /// Always `interrupted`.
    pub status: String,
    /// The prompts that were told to stop.
    pub prompt_ids: Vec<String>,
}

impl From<Vec<String>> for Interrupted {
    fn from(prompt_ids: Vec<String>) -> Self {
        Self { status: "interrupted".to_owned(), prompt_ids }
    }
}

/// What ComfyUI shall let go of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default)]
pub struct FreeRequest {
    /// Models that are loaded.
    pub unload_models: bool,
    /// All memory that it can do without.
    pub free_memory: bool,
}

impl Default for FreeRequest {
    fn default() -> Self {
        Self { unload_models: true, free_memory: true }
    }
}

/// ComfyUI was told.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Freed {
    /// Always `success`.
    pub status: String,
}
