//! `/api/auth/sessions`: browsers that are logged in.

use actix_web::{
    delete, get,
    web::{Data, Json, Path, ReqData},
};
use service::{Dashboard, page::Page};

use crate::dto::{
    error::ErrorEnvelope,
    page::PartQuery,
    sessions::{SessionList, SessionsRevoked},
};
use crate::error::ApiError;
use crate::extract::Query;
use crate::middleware::authenticate::Asker;

/// List sessions
#[utoipa::path(
    tag = "access",
    params(PartQuery),
    responses((status = 200, description = "A part of the list", body = SessionList, example = json!({
        "sessions": [{
            "id": "ses_0198c5", "address": "198.51.100.7", "created_at": "2026-02-15T10:30:00.000Z",
            "last_used_at": "2026-02-15T10:31:00.000Z", "current": true
        }],
        "total": 1, "page": 1, "per_page": 20, "has_next": false, "has_prev": false
    })))
)]
#[get("/api/auth/sessions")]
pub(super) async fn list_sessions(
    dashboard: Data<Dashboard>,
    asker: ReqData<Asker>,
    query: Query<PartQuery>,
) -> Result<Json<SessionList>, ApiError> {
    let sessions = dashboard.access.list_sessions().await?;
    let own = asker.identity.as_ref().map_or("", |identity| &identity.id);
    Ok(Json(SessionList::new(Page::cut(sessions, query.0.into()), own)))
}

/// End a session
#[utoipa::path(
    tag = "access",
    params(("session_id" = String, Path, description = "The session's id", example = "ses_0198c5")),
    responses(
        (status = 200, description = "It ended", body = SessionsRevoked, example = json!({"status": "revoked", "revoked": 1})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[delete("/api/auth/sessions/{session_id}")]
pub(super) async fn revoke_session(
    dashboard: Data<Dashboard>,
    session: Path<String>,
) -> Result<Json<SessionsRevoked>, ApiError> {
    dashboard.access.revoke_session(&session).await?;
    Ok(Json(SessionsRevoked { status: "revoked".to_owned(), revoked: 1 }))
}

/// End every session
///
/// Also the one that asks.
#[utoipa::path(
    tag = "access",
    responses((status = 200, description = "They ended", body = SessionsRevoked,
        example = json!({"status": "revoked", "revoked": 3})))
)]
#[delete("/api/auth/sessions")]
pub(super) async fn revoke_all_sessions(dashboard: Data<Dashboard>) -> Result<Json<SessionsRevoked>, ApiError> {
    let revoked = dashboard.access.revoke_all_sessions().await?;
    Ok(Json(SessionsRevoked { status: "revoked".to_owned(), revoked }))
}
