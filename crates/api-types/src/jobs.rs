//! Work that outlasts a request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// At work.
    Running,
    /// Done; the result is there.
    Completed,
    /// Somebody ended it.
    Cancelled,
    /// It could not be done.
    Failed,
}

words!(JobState: Running = "running", Completed = "completed", Cancelled = "cancelled", Failed = "failed");
