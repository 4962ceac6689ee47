//! `/api/presets`: which presets there are, how they stand, install and uninstall.

use actix_web::{
    CustomizeResponder, Responder, delete, get,
    http::StatusCode,
    post,
    web::{Data, Json, Path, ReqData},
};
use service::{Dashboard, PresetId};

use crate::dto::{
    error::ErrorEnvelope,
    installs::{InstallRequest, InstallStarted, UninstallRequest, Uninstalled},
    page::{ListQuery, PartQuery},
    presets::{PresetDetail, PresetList, PresetListQuery, PresetStatus},
};
use crate::error::{ApiError, ErrorCode};
use crate::extract::{BodyOrQuery, OptionalBody};
use crate::middleware::authenticate::Asker;

/// List presets
///
/// The catalogue in force and whatever is installed beyond it, with what the disk says about each.
#[utoipa::path(
    tag = "presets",
    params(PresetListQuery, PartQuery),
    responses((status = 200, description = "A part of the list", body = PresetList, example = json!({
        "presets": [preset_example()],
        "total": 56, "page": 1, "per_page": 20, "has_next": true, "has_prev": false
    })))
)]
#[get("/api/presets")]
pub(super) async fn list_presets(
    dashboard: Data<Dashboard>,
    query: ListQuery<PresetListQuery>,
) -> Result<Json<PresetList>, ApiError> {
    let page = dashboard.presets.list(&query.into()).await?;
    Ok(Json(page.into()))
}

/// Show a preset
///
/// Every file of it with its source, its size and whether one that fits is on the disk.
#[utoipa::path(
    tag = "presets",
    params(("preset_id" = String, Path, description = "The preset", example = "WAN_22_5B_TIV2")),
    responses(
        (status = 200, description = "The preset and its files", body = PresetDetail, example = json!(detail_example())),
        (status = 404, description = "`PRESET_NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[get("/api/presets/{preset_id}")]
pub(super) async fn preset_detail(
    dashboard: Data<Dashboard>,
    preset: Path<String>,
) -> Result<Json<PresetDetail>, ApiError> {
    let detail = dashboard.presets.detail(&known_form(&preset)?).await?;
    Ok(Json(detail.into()))
}

/// Show how far an install is
#[utoipa::path(
    tag = "presets",
    params(("preset_id" = String, Path, description = "The preset", example = "WAN_22_5B_TIV2")),
    responses(
        (status = 200, description = "How it stands", body = PresetStatus, example = json!({
            "preset_id": "WAN_22_5B_TIV2", "status": "installing", "progress": 45.2,
            "current_file": "checkpoints/wan21.safetensors", "download_speed_mbps": 125.5, "eta_seconds": 150,
            "files": {"total": 5, "completed": 2, "failed": 0}, "speed_bytes_per_second": 125500000,
            "downloaded_bytes": 7037300000u64, "total_bytes": 15569256448u64, "download_id": "dl_123456", "error": null
        })),
        (status = 404, description = "`PRESET_NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[get("/api/presets/{preset_id}/status")]
pub(super) async fn preset_status(
    dashboard: Data<Dashboard>,
    preset: Path<String>,
) -> Result<Json<PresetStatus>, ApiError> {
    let status = dashboard.presets.status(&known_form(&preset)?).await?;
    Ok(Json(status.into()))
}

/// Install a preset
///
/// Fetches what is missing, dependencies first, and answers as soon as that is under way. An install that already runs is
/// answered with its download.
#[utoipa::path(
    tag = "presets",
    params(("preset_id" = String, Path, description = "The preset", example = "WAN_22_5B_TIV2")),
    request_body(content = Option<InstallRequest>, description = "Absent: the defaults",
        example = json!({"force": false, "priority": "normal"})),
    responses(
        (status = 202, description = "It runs", body = InstallStarted, example = json!({
            "status": "installing", "preset_id": "WAN_22_5B_TIV2", "download_id": "dl_123456",
            "estimated_time_seconds": 300, "total_size_gb": 14.5, "total_size_bytes": 15569256448u64,
            "download_status": "queued", "warnings": []
        })),
        (status = 403, description = "`FORBIDDEN`, with `paths`: files would be replaced that were not fetched here and are \
            not known to be damaged; that needs `admin`", body = ErrorEnvelope),
        (status = 404, description = "`PRESET_NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`PRESET_ALREADY_INSTALLED`, or `CONFLICT`: another preset has a different file at a path", body = ErrorEnvelope),
        (status = 507, description = "`INSUFFICIENT_STORAGE`, with needed and available bytes", body = ErrorEnvelope),
    )
)]
#[post("/api/presets/{preset_id}/install")]
pub(super) async fn install_preset(
    dashboard: Data<Dashboard>,
    asker: ReqData<Asker>,
    preset: Path<String>,
    request: OptionalBody<InstallRequest>,
) -> Result<CustomizeResponder<Json<InstallStarted>>, ApiError> {
    let started = dashboard.presets.install(&known_form(&preset)?, request.0.options(asker.role())).await?;
    Ok(Json(InstallStarted::from(started)).customize().with_status(StatusCode::ACCEPTED))
}

/// Uninstall a preset
///
/// Removes its files, except those that another installed preset uses. An install that runs is cancelled first.
#[utoipa::path(
    tag = "presets",
    params(
        ("preset_id" = String, Path, description = "The preset", example = "WAN_22_5B_TIV2"),
        UninstallRequest,
    ),
    request_body(content = Option<UninstallRequest>, description = "The same keys, for clients that can send a body",
        example = json!({"confirm": true, "remove_dependencies": false})),
    responses(
        (status = 200, description = "It is gone", body = Uninstalled, example = json!({
            "status": "uninstalled", "preset_id": "WAN_22_5B_TIV2", "files_removed": 5, "space_freed_gb": 14.5,
            "space_freed_bytes": 15569256448u64, "files_kept": [], "dependencies_removed": []
        })),
        (status = 404, description = "`PRESET_NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: it is not installed", body = ErrorEnvelope),
    )
)]
#[delete("/api/presets/{preset_id}")]
pub(super) async fn uninstall_preset(
    dashboard: Data<Dashboard>,
    preset: Path<String>,
    request: BodyOrQuery<UninstallRequest>,
) -> Result<Json<Uninstalled>, ApiError> {
    confirmed(request.0.confirm)?;
    let gone = dashboard.presets.uninstall(&known_form(&preset)?, request.0.remove_dependencies).await?;
    Ok(Json(gone.into()))
}

/// A text that cannot be an id is a preset that does not exist.
pub(crate) fn known_form(text: &str) -> Result<PresetId, ApiError> {
    PresetId::parse(text).map_err(|_| service::Error::PresetNotFound(text.to_owned()).into())
}

/// What deletes files wants to be told so.
pub(super) fn confirmed(confirm: bool) -> Result<(), ApiError> {
    if confirm {
        return Ok(());
    }
    let message = "This removes files: send \"confirm\": true";
    Err(ApiError::new(ErrorCode::InvalidRequest, message).with("parameter", "confirm"))
}

fn preset_example() -> serde_json::Value {
    serde_json::json!({
        "id": "WAN_22_5B_TIV2", "name": "WAN 2.2 5B Text-to-Image V2", "category": "Video Generation", "type": "video",
        "description": "WAN video generation model with text-to-image V2", "download_size": "14.5GB", "installed": true,
        "install_date": "2026-02-15T10:00:00Z", "use_case": "High-quality video generation from text prompts",
        "tags": ["wan", "t2v", "text-to-video"], "status": "installed", "version": "1.0.0",
        "installed_version": "1.0.0", "update_available": false, "in_registry": true, "vram_gb": 16.0,
        "vram_from": "dashboard", "requested": true, "present_bytes": 15_569_256_448_u64, "missing_bytes": 0, "gated": false,
        "license": {"name": "Apache 2.0", "url": "https://huggingface.co/Wan-AI/Wan2.2-TI2V-5B"}, "family": "wan",
        "size_bytes": 15_569_256_448_u64, "size_exact": true, "dependencies": [], "workflows": ["wan_t2v_basic.json"],
        "replaced_files": []
    })
}

fn detail_example() -> serde_json::Value {
    let mut detail = preset_example();
    detail["files"] = serde_json::json!([{
        "path": "checkpoints/wan21.safetensors", "url": "https://huggingface.co/org/repo/resolve/main/wan21.safetensors",
        "size": "4.8GB", "installed": true, "verified": true, "size_bytes": 5_153_960_755_u64, "sha256": null
    }]);
    detail
}
