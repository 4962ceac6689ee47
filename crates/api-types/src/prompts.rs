//! Prompts: graphs that ComfyUI runs.

use serde::{Deserialize, Serialize};

/// Where a prompt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptState {
    /// It waits, here or in ComfyUI's queue.
    Queued,
    /// ComfyUI works on it.
    Running,
    /// All its outputs ran.
    Completed,
    /// A node failed, or ComfyUI would not have it.
    Failed,
    /// Somebody ended it.
    Interrupted,
}

words!(PromptState:
    Queued = "queued",
    Running = "running",
    Completed = "completed",
    Failed = "failed",
    Interrupted = "interrupted",
);

impl PromptState {
    /// Whether it has not ended.
    pub fn is_unfinished(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}
