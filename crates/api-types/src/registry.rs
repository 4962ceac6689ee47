//! The registry: the document that describes presets.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the registry in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RegistryOrigin {
    /// Shipped with the program.
    Embedded,
    /// The operator's own document.
    Local,
    /// Fetched from `source`.
    Synced,
}

words!(RegistryOrigin: Embedded = "embedded", Local = "local", Synced = "synced");
