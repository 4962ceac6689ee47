//! The machine and the services on it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// It does its work.
    Running,
    /// It lives, and a part of it does not work.
    Degraded,
    /// It does not answer.
    Stopped,
    /// Nobody has looked yet.
    Unknown,
}

words!(ServiceState: Running = "running", Degraded = "degraded", Stopped = "stopped", Unknown = "unknown");
