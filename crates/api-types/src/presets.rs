//! Presets: the sets of model files that a registry describes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a preset stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresetState {
    /// Nobody asked for it, and its files are not all here.
    NotInstalled,
    /// A download for it is queued, running or verifying.
    Installing,
    /// A download for it is paused.
    Paused,
    /// It was asked for, and its files are not all here.
    Partial,
    /// All of its files are here, asked for or not.
    Installed,
    /// It was asked for, its last download failed and files are missing.
    Failed,
}

words!(PresetState:
    NotInstalled = "not_installed",
    Installing = "installing",
    Paused = "paused",
    Partial = "partial",
    Installed = "installed",
    Failed = "failed",
);
