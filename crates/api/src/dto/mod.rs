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
pub use api_types::units;
pub mod validation;
pub mod workflow_install;
pub mod workflows;

pub use api_types::downloads::{Failure, Priority};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
