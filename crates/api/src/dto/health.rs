//! Whether the server is well, as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How well the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// It serves, and its database answers.
    Healthy,
    /// It serves, but its database does not answer.
    Degraded,
}

/// The health of the server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// How well it is.
    pub status: HealthState,
    /// Always `comfyui-dashboard`.
    #[schema(example = "comfyui-dashboard")]
    pub service: String,
    /// The version of the interface.
    #[schema(example = "2.0.0")]
    pub version: String,
    /// The version of the product.
    #[schema(example = "0.1.0")]
    pub product_version: String,
    /// The server's time.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub timestamp: Timestamp,
}

/// A probe's answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    /// `alive` or `ready`.
    #[schema(example = "alive")]
    pub status: String,
}
