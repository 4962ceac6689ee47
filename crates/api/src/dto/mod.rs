//! The JSON of the interface: one file a resource. Only here do names, nulls, units and texts of answers exist; the values
//! come from the service's views. A fact that does not exist is `null`, never left out.

pub mod audit;
pub mod auth;
pub mod download_requests;
pub mod downloads;
pub mod error;
pub mod health;
pub mod installs;
pub mod keys;
pub mod logs;
pub mod model_detail;
pub mod models;
pub mod outputs;
pub mod page;
pub mod presets;
pub mod prompts;
pub mod queue;
pub mod recommendations;
pub mod registry;
pub mod requirements;
pub mod resources;
pub mod sessions;
pub mod settings;
pub mod storage;
pub mod system;
pub mod units;
pub mod validation;
pub mod workflow_install;
pub mod workflows;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How urgent a download is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After the others.
    Low,
    /// In its turn.
    #[default]
    Normal,
    /// Takes the next free place.
    High,
}

impl From<Priority> for service::downloads::Priority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::Low => Self::Low,
            Priority::Normal => Self::Normal,
            Priority::High => Self::High,
        }
    }
}

impl From<service::downloads::Priority> for Priority {
    fn from(priority: service::downloads::Priority) -> Self {
        match priority {
            service::downloads::Priority::Low => Self::Low,
            service::downloads::Priority::Normal => Self::Normal,
            service::downloads::Priority::High => Self::High,
        }
    }
}

/// Why a download failed or waits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// `DOWNLOAD_FAILED` or `INSUFFICIENT_STORAGE`.
    #[schema(example = "DOWNLOAD_FAILED")]
    pub code: String,
    /// What went wrong and what to do about it.
    pub message: String,
    /// The file that it is about, below the models folder.
    pub file: Option<String>,
    /// The cause in the words of the engine.
    pub error: Option<String>,
}

impl From<service::downloads::Failure> for Failure {
    fn from(failure: service::downloads::Failure) -> Self {
        Self { code: failure.code, message: failure.message, file: failure.file, error: failure.cause }
    }
}

/// How many files there are and how they stand.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct FileCounts {
    /// All of them.
    pub total: usize,
    /// Those that are whole and in their place.
    pub completed: usize,
    /// Those that could not be had.
    pub failed: usize,
}
