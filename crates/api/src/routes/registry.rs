//! `/api/presets/registry`, and what the registry says about this machine: which presets fit, which have a newer version.

use actix_web::{
    get, post,
    web::{Data, Json},
};
use service::Dashboard;

use crate::dto::{
    error::ErrorEnvelope,
    recommendations::{PresetUpdates, RecommendationQuery, Recommendations},
    registry::{RegistryStatus, RegistrySynced},
};
use crate::error::ApiError;
use crate::extract::Query;

/// Recommend presets
///
/// Every preset of the registry, by whether it fits the largest GPU of this machine, or another card that is asked for. Without
/// either, all of them are in `unknown`.
#[utoipa::path(
    tag = "presets",
    params(RecommendationQuery),
    responses((status = 200, description = "The three lists", body = Recommendations,
        example = json!(recommendations_example())))
)]
#[get("/api/presets/recommendations")]
pub(super) async fn recommendations(
    dashboard: Data<Dashboard>,
    query: Query<RecommendationQuery>,
) -> Result<Json<Recommendations>, ApiError> {
    let sample = dashboard.system.sample().await;
    let largest = sample.largest_gpu();
    let vram_gb = query.0.vram_gb().or(largest.map(|(_, gb)| gb));
    let lists = dashboard.presets.recommendations(vram_gb).await?;
    Ok(Json(Recommendations::new(largest.map(|(gpu, _)| gpu), vram_gb, lists)))
}

/// List updates
///
/// Installed presets of which the registry in force has a newer version.
#[utoipa::path(
    tag = "presets",
    responses((status = 200, description = "The updates", body = PresetUpdates, example = json!({
        "total": 1,
        "updates": [{
            "id": "WAN_22_5B_TIV2", "name": "WAN 2.2 5B T2V", "local_version": "1.0.0", "remote_version": "1.1.0",
            "category": "Video Generation", "type": "video", "changed_files": ["checkpoints/wan21.safetensors"],
            "download_size": "4.8GB", "download_bytes": 5153960755u64
        }]
    })))
)]
#[get("/api/presets/updates")]
pub(super) async fn updates(dashboard: Data<Dashboard>) -> Result<Json<PresetUpdates>, ApiError> {
    let updates = dashboard.presets.updates().await?;
    Ok(Json(updates.into()))
}

/// Sync the registry
///
/// Fetches the registry. One that cannot be read leaves the present one in force.
#[utoipa::path(
    tag = "presets",
    responses(
        (status = 200, description = "It is fresh", body = RegistrySynced, example = json!(synced_example())),
        (status = 502, description = "`REGISTRY_UNAVAILABLE`: `details` has source, cause and the age of the copy in force",
            body = ErrorEnvelope),
    )
)]
#[post("/api/presets/registry/sync")]
pub(super) async fn sync_registry(dashboard: Data<Dashboard>) -> Result<Json<RegistrySynced>, ApiError> {
    let synced = dashboard.registry.sync().await?;
    Ok(Json(synced.into()))
}

/// Sync the registry
///
/// The same as `POST`, for older clients. `HEAD` syncs nothing.
#[utoipa::path(
    tag = "presets",
    responses(
        (status = 200, description = "It is fresh", body = RegistrySynced, example = json!(synced_example())),
        (status = 502, description = "`REGISTRY_UNAVAILABLE`: `details` has source, cause and the age of the copy in force",
            body = ErrorEnvelope),
    )
)]
#[get("/api/presets/registry/sync")]
pub(super) async fn sync_registry_by_get(dashboard: Data<Dashboard>) -> Result<Json<RegistrySynced>, ApiError> {
    let synced = dashboard.registry.sync().await?;
    Ok(Json(synced.into()))
}

/// Show the registry
#[utoipa::path(
    tag = "presets",
    responses((status = 200, description = "The registry in force", body = RegistryStatus, example = json!({
        "status": "loaded", "version": "1.0.0", "generated_at": "2026-02-21T08:00:00Z", "total_presets": 56,
        "categories": {"Video Generation": 26, "Image Generation": 25, "Audio Generation": 5},
        "last_sync": "2026-02-21T10:30:00Z", "origin": "synced",
        "source": "https://example.org/registry.json", "skipped": []
    })))
)]
#[get("/api/presets/registry/status")]
pub(super) async fn registry_status(dashboard: Data<Dashboard>) -> Json<RegistryStatus> {
    Json(dashboard.registry.status().into())
}

fn synced_example() -> serde_json::Value {
    serde_json::json!({
        "status": "synced", "timestamp": "2026-02-21T10:30:00Z", "presets_count": 56,
        "source": "https://example.org/registry.json", "changed": true
    })
}

fn recommendations_example() -> serde_json::Value {
    let preset = |id: &str, vram_gb: Option<f64>, compatible: Option<bool>| {
        serde_json::json!({
            "id": id, "name": id, "vram_gb": vram_gb, "compatible": compatible, "installed": false,
            "category": "Image Generation", "type": "image", "estimated_vram_gb": 14.5, "estimate_from": "headers",
            "estimate_basis": "flux1-dev.safetensors 11.1 GiB, 8-bit + VAE 0.3 GiB + 2.6 GiB for the numbers in flight; \
                encoders before that 9.2 GiB; from headers of the installed files", "download_size": "14.5GB",
            "size_bytes": 15_569_256_448_u64
        })
    };
    serde_json::json!({
        "gpu": {"name": "NVIDIA RTX 4090", "vram_mb": 24564, "vram_gb": 24.0, "vram_bytes": 25_757_220_864_u64},
        "vram_gb": 24.0,
        "compatible": [preset("WAN_22_5B_TIV2", Some(16.0), Some(true))],
        "incompatible": [preset("FLUX_DEV_FULL", Some(32.0), Some(false))],
        "unknown": [preset("LEGACY_MODEL", None, None)]
    })
}
