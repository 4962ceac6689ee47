//! `/api/auth/keys`: keys for programs.

use actix_web::{
    CustomizeResponder, Responder, delete, get,
    http::StatusCode,
    post,
    web::{Data, Json, Path},
};
use service::Dashboard;

use crate::dto::{
    error::ErrorEnvelope,
    keys::{GeneratedKey, KeyList, KeyNamed, KeyRequest, KeyRevoked},
    page::PartQuery,
};
use crate::error::ApiError;
use crate::extract::{BodyOrQuery, OptionalBody, Query};

/// List keys
#[utoipa::path(
    tag = "access",
    params(PartQuery),
    responses((status = 200, description = "A part of the list", body = KeyList, example = json!({
        "keys": [{
            "id": "key_0198c5", "name": "laptop", "role": "operate", "hint": "cdk_Ab3d", "created_at": "2026-02-15T10:30:00.000Z",
            "expires_at": null, "last_used_at": "2026-02-15T10:31:00.000Z"
        }],
        "total": 1, "page": 1, "per_page": 20, "has_next": false, "has_prev": false
    })))
)]
#[get("/api/auth/keys")]
pub(super) async fn list_keys(dashboard: Data<Dashboard>, query: Query<PartQuery>) -> Result<Json<KeyList>, ApiError> {
    let keys = dashboard.access.list_keys().await?;
    Ok(Json(service::page::Page::cut(keys, query.0.into()).into()))
}

/// Make a key
///
/// The secret is in the answer and never to be had again.
#[utoipa::path(
    tag = "access",
    request_body(content = Option<KeyRequest>, example = json!({"name": "laptop", "role": "operate", "expires_at": null})),
    responses((status = 201, description = "The key and its secret", body = GeneratedKey, example = json!({
        "key": "cdk_Ab3d", "id": "key_0198c5", "name": "laptop", "role": "operate", "hint": "cdk_Ab3d",
        "created_at": "2026-02-15T10:30:00.000Z", "expires_at": null, "last_used_at": null
    })))
)]
#[post("/api/auth/keys")]
pub(super) async fn generate_key(
    dashboard: Data<Dashboard>,
    request: OptionalBody<KeyRequest>,
) -> Result<CustomizeResponder<Json<GeneratedKey>>, ApiError> {
    let (secret, key) = dashboard.access.generate_key(request.0.into_new_key(dashboard.now())).await?;
    let made = GeneratedKey { key: secret.reveal().to_owned(), known: key.into() };
    Ok(Json(made).customize().with_status(StatusCode::CREATED))
}

/// Revoke a key
#[utoipa::path(
    tag = "access",
    params(("key_id" = String, Path, description = "The key's id", example = "key_0198c5")),
    responses(
        (status = 200, description = "It works no longer", body = KeyRevoked,
            example = json!({"status": "revoked", "id": "key_0198c5"})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[delete("/api/auth/keys/{key_id}")]
pub(super) async fn revoke_key(dashboard: Data<Dashboard>, key: Path<String>) -> Result<Json<KeyRevoked>, ApiError> {
    revoke(&dashboard, key.into_inner()).await
}

/// Revoke a key
///
/// The same as with the id in the address.
#[utoipa::path(
    tag = "access",
    params(KeyNamed),
    request_body(content = Option<KeyNamed>, description = "The same key, for clients that can send a body",
        example = json!({"id": "key_0198c5"})),
    responses(
        (status = 200, description = "It works no longer", body = KeyRevoked,
            example = json!({"status": "revoked", "id": "key_0198c5"})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[delete("/api/auth/keys")]
pub(super) async fn revoke_named_key(
    dashboard: Data<Dashboard>,
    key: BodyOrQuery<KeyNamed>,
) -> Result<Json<KeyRevoked>, ApiError> {
    revoke(&dashboard, key.0.id).await
}

async fn revoke(dashboard: &Dashboard, id: String) -> Result<Json<KeyRevoked>, ApiError> {
    dashboard.access.revoke_key(&id).await?;
    Ok(Json(KeyRevoked { status: "revoked".to_owned(), id }))
}
