//! The registry of presets as JSON: what a sync did, and what is in force.

pub use api_types::registry::RegistryOrigin;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::registry_sync as view;
use utoipa::ToSchema;

/// What a sync did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegistrySynced {
    /// Always `synced`.
    #[schema(example = "synced")]
    pub status: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub timestamp: Timestamp,
    /// How many presets are in force now.
    pub presets_count: usize,
    /// Where the registry was asked for.
    pub source: String,
    /// Whether another one came than the one that was in force.
    pub changed: bool,
}

impl From<view::Synced> for RegistrySynced {
    fn from(synced: view::Synced) -> Self {
        Self {
            status: "synced".to_owned(),
            timestamp: synced.at,
            presets_count: synced.presets,
            source: synced.source,
            changed: synced.changed,
        }
    }
}

/// A preset that was left out of the registry.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SkippedPreset {
    /// Its key.
    pub preset: String,
    /// The field that is wrong.
    pub field: String,
    /// What is wrong and what is accepted.
    pub reason: String,
}

/// The registry in force.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegistryStatus {
    /// `loaded`, or `empty` where it has no preset.
    #[schema(example = "loaded")]
    pub status: String,
    /// Its own version.
    pub version: Option<String>,
    /// When it was made.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub generated_at: Option<Timestamp>,
    /// How many presets it has.
    pub total_presets: usize,
    /// Its categories and how many presets each has.
    pub categories: BTreeMap<String, usize>,
    /// When it was last asked for with success.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub last_sync: Option<Timestamp>,
    /// Where it comes from.
    pub origin: RegistryOrigin,
    /// Where a newer one would come from.
    pub source: String,
    /// Presets that were left out.
    pub skipped: Vec<SkippedPreset>,
}

impl From<view::RegistryStatus> for RegistryStatus {
    fn from(status: view::RegistryStatus) -> Self {
        let skipped = status.skipped.into_iter().map(|fault| SkippedPreset {
            preset: fault.preset,
            field: fault.field,
            reason: fault.reason,
        });
        Self {
            status: if status.total_presets > 0 { "loaded" } else { "empty" }.to_owned(),
            version: status.version,
            generated_at: status.generated_at,
            total_presets: status.total_presets,
            categories: status.categories.into_iter().collect(),
            last_sync: status.last_sync,
            origin: status.origin,
            source: status.source,
            skipped: skipped.collect(),
        }
    }
}
