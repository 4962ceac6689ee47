//! `/api/settings`: what is set, the little that can be changed while the server runs, and tokens for the hosts of models.

use actix_web::{
    delete, get, patch, put,
    web::{Data, Json, Path},
};
use service::{Dashboard, access::TokenHost};

use crate::dto::{
    error::ErrorEnvelope,
    settings::{Settings, SettingsChange, TokenRequest, Tokens},
};
use crate::error::ApiError;
use crate::extract::Body;
use crate::settings_in_force::SettingsInForce;

/// Read the settings
///
/// Without secrets: of a token only whether there is one.
#[utoipa::path(
    tag = "settings",
    responses((status = 200, description = "What is set", body = Settings, example = json!(settings_example())))
)]
#[get("/api/settings")]
pub(super) async fn get_settings(dashboard: Data<Dashboard>, settings: Data<SettingsInForce>) -> Json<Settings> {
    Json(settings.show(dashboard.source_tokens.list()))
}

/// Change settings
///
/// Until the next start.
#[utoipa::path(
    tag = "settings",
    request_body(content = SettingsChange, example = json!({"download_rate_limit": 10485760})),
    responses((status = 200, description = "What is set now", body = Settings, example = json!(settings_example())))
)]
#[patch("/api/settings")]
pub(super) async fn change_settings(
    dashboard: Data<Dashboard>,
    settings: Data<SettingsInForce>,
    change: Body<SettingsChange>,
) -> Result<Json<Settings>, ApiError> {
    if let Some(bytes_per_second) = change.0.download_rate_limit {
        dashboard.downloads.set_global_rate_limit(Some(bytes_per_second).filter(|bytes| *bytes > 0));
        settings.set_download_rate_limit(bytes_per_second);
    }
    Ok(Json(settings.show(dashboard.source_tokens.list())))
}

/// Keep a token
///
/// It is used at once, comes before the one of the environment, and is never shown again.
#[utoipa::path(
    tag = "settings",
    params(("host" = String, Path, description = "`huggingface` or `civitai`", example = "huggingface")),
    request_body(content = TokenRequest, example = json!({"token": "hf_abc"})),
    responses(
        (status = 200, description = "What is known of the tokens now", body = Tokens, example = json!(tokens_example())),
        (status = 400, description = "`INVALID_REQUEST`: tokens are not kept for this host", body = ErrorEnvelope),
    )
)]
#[put("/api/settings/tokens/{host}")]
pub(super) async fn set_token(
    dashboard: Data<Dashboard>,
    host: Path<String>,
    request: Body<TokenRequest>,
) -> Result<Json<Tokens>, ApiError> {
    dashboard.source_tokens.set_token(known_host(&host)?, &request.0.token).await?;
    Ok(Json(dashboard.source_tokens.list().into()))
}

/// Forget a token
///
/// The one of the environment, if any, is used again.
#[utoipa::path(
    tag = "settings",
    params(("host" = String, Path, description = "`huggingface` or `civitai`", example = "huggingface")),
    responses(
        (status = 200, description = "What is known of the tokens now", body = Tokens, example = json!(tokens_example())),
        (status = 400, description = "`INVALID_REQUEST`: tokens are not kept for this host", body = ErrorEnvelope),
    )
)]
#[delete("/api/settings/tokens/{host}")]
pub(super) async fn clear_token(dashboard: Data<Dashboard>, host: Path<String>) -> Result<Json<Tokens>, ApiError> {
    dashboard.source_tokens.clear_token(known_host(&host)?).await?;
    Ok(Json(dashboard.source_tokens.list().into()))
}

fn known_host(word: &str) -> Result<TokenHost, ApiError> {
    TokenHost::parse(word).ok_or_else(|| {
        let hosts = TokenHost::ALL.map(TokenHost::as_str).join(", ");
        ApiError::invalid("host", format!("tokens are kept for {hosts}, not for {word:?}"))
    })
}

fn settings_example() -> serde_json::Value {
    serde_json::json!({
        "workspace_dir": "/workspace", "model_base_path": "/workspace/models", "registry_url": "https://example.org/registry.json",
        "registry_sync_interval_seconds": 21600, "hf_endpoint": "https://huggingface.co/", "max_concurrent_downloads": 3,
        "connections_per_download": 8, "download_rate_limit": 0, "min_free_space_bytes": 1_073_741_824,
        "rate_limit_anonymous": 100, "rate_limit_authenticated": 1000, "max_connections_per_address": 2048,
        "max_sockets_per_client": 256, "history_retention_seconds": 2_592_000, "comfyui_user": null,
        "generate_password": false, "cors_origins": null, "trusted_proxies": [],
        "tokens": tokens_example()
    })
}

fn tokens_example() -> serde_json::Value {
    serde_json::json!({
        "huggingface": {"is_set": true, "source": "stored", "set_at": "2026-02-15T10:30:00.000Z"},
        "civitai": {"is_set": false, "source": null, "set_at": null}
    })
}
