//! The audit trail as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{access::AuditRecord, page::Page};
use utoipa::ToSchema;

use super::page::ListPart;

/// Something that was done or refused.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// Its number; later lines have greater ones.
    pub id: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub timestamp: Timestamp,
    /// `key`, `session`, `shell`, `page`, `loopback` or `nobody`.
    #[schema(example = "key")]
    pub actor: String,
    /// The id of the key or session; `null` for nobody.
    pub actor_id: Option<String>,
    /// The name of the key, as it was then; `null` for nobody.
    pub actor_name: Option<String>,
    /// Where the request came from.
    pub address: String,
    /// The operation, by its `operationId` or the name of the socket's action.
    #[schema(example = "uninstall_preset")]
    pub operation: String,
    /// What it was done to, as the request named it.
    #[schema(example = "/api/presets/WAN_22_5B_TIV2")]
    pub target: String,
    /// `done`, `refused` or `failed`.
    #[schema(example = "done")]
    pub outcome: String,
}

/// A part of the audit trail, the latest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// The lines of this page.
    pub entries: Vec<AuditLine>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<AuditRecord> for AuditLine {
    fn from(AuditRecord { id, at, entry }: AuditRecord) -> Self {
        let named = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id,
            timestamp: at,
            actor: entry.actor.as_str().to_owned(),
            actor_id: named(entry.actor_id),
            actor_name: named(entry.actor_name),
            address: entry.address,
            operation: entry.operation,
            target: entry.target,
            outcome: entry.outcome.as_str().to_owned(),
        }
    }
}

impl From<Page<AuditRecord>> for AuditList {
    fn from(page: Page<AuditRecord>) -> Self {
        Self { part: ListPart::from(&page), entries: page.items.into_iter().map(AuditLine::from).collect() }
    }
}
