//! `/api/audit`: who did what.

use actix_web::{
    get,
    web::{Data, Json},
};
use service::Dashboard;

use crate::dto::{audit::AuditList, page::PartQuery};
use crate::error::ApiError;
use crate::extract::Query;

/// Read the audit trail
///
/// Everything that changed something, the latest first: over REST and the socket, with every login that was tried.
#[utoipa::path(
    tag = "access",
    params(PartQuery),
    responses((status = 200, description = "A part of the trail", body = AuditList, example = json!({
        "entries": [{
            "id": 1, "timestamp": "2026-02-15T10:30:00Z", "actor": "key", "actor_id": "key_0198c5", "actor_name": "laptop",
            "address": "198.51.100.7", "operation": "uninstall_preset", "target": "/api/presets/WAN_22_5B_TIV2",
            "outcome": "done"
        }],
        "total": 1, "page": 1, "per_page": 20, "has_next": false, "has_prev": false
    })))
)]
#[get("/api/audit")]
pub(super) async fn list_audit(
    dashboard: Data<Dashboard>,
    query: Query<PartQuery>,
) -> Result<Json<AuditList>, ApiError> {
    let page = dashboard.access.list_audit(query.0.into()).await?;
    Ok(Json(page.into()))
}
