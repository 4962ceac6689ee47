//! `/api/models`: the files below the models folder.

use actix_web::{
    CustomizeResponder, Responder, delete, get,
    http::StatusCode,
    post,
    web::{Data, Json, Path, ReqData},
};
use service::Dashboard;

use super::presets::confirmed;
use crate::dto::{
    error::ErrorEnvelope,
    model_detail::ModelDetail,
    models::{
        ModelList, ModelListQuery, ModelTypes, ModelsDeleteRequest, ModelsDeleted, ModelsRepairRequest, RepairStarted,
        Rescanned,
    },
    page::{ListQuery, PartQuery},
};
use crate::error::ApiError;
use crate::extract::{Body, BodyOrQuery};
use crate::middleware::authenticate::Asker;

/// List models
#[utoipa::path(
    tag = "models",
    params(ModelListQuery, PartQuery),
    responses((status = 200, description = "A part of the list", body = ModelList, example = json!({
        "models": [{
            "path": "checkpoints/wan21.safetensors", "type": "checkpoints", "types": ["checkpoints"], "size_gb": 4.8,
            "size_bytes": 5153960755u64, "modified": "2026-02-15T10:00:00Z", "preset": "WAN_22_5B_TIV2",
            "presets": ["WAN_22_5B_TIV2"], "sha256": null, "integrity": {"state": "structure", "checked_at": null},
            "safety": null, "sidecars": [{"path": "checkpoints/wan21.json", "size_bytes": 412}], "extra_root": null
        }],
        "total": 42, "total_size_gb": 98.7, "total_size_bytes": 105978318029u64, "page": 1, "per_page": 20,
        "has_next": true, "has_prev": false
    })))
)]
#[get("/api/models")]
pub(super) async fn list_models(
    dashboard: Data<Dashboard>,
    query: ListQuery<ModelListQuery>,
) -> Result<Json<ModelList>, ApiError> {
    let list = dashboard.models.list(&query.into()).await?;
    Ok(Json(list.into()))
}

/// Delete models
///
/// Each path is judged alone; those that could not be deleted are listed with the reason. Files that describe a model (metadata,
/// checksums, previews) stay, unless `sidecars` is `true` or their own paths are given.
#[utoipa::path(
    tag = "models",
    params(ModelsDeleteRequest),
    request_body(content = Option<ModelsDeleteRequest>, description = "The same keys, for clients that can send a body",
        example = json!({"paths": ["checkpoints/old_model.safetensors"], "confirm": true})),
    responses(
        (status = 200, description = "What is gone and what stayed", body = ModelsDeleted, example = json!({
            "deleted": 2, "space_freed_gb": 8.5, "space_freed_bytes": 9126805504u64, "errors": []
        })),
        (status = 404, description = "`MODEL_NOT_FOUND`: none of the paths exists", body = ErrorEnvelope),
    )
)]
#[delete("/api/models")]
pub(super) async fn delete_models(
    dashboard: Data<Dashboard>,
    request: BodyOrQuery<ModelsDeleteRequest>,
) -> Result<Json<ModelsDeleted>, ApiError> {
    confirmed(request.0.confirm)?;
    if request.0.paths.is_empty() {
        return Err(ApiError::invalid("paths", "at least one path is needed"));
    }
    let gone = dashboard.models.delete(&request.0.paths, request.0.sidecars).await?;
    Ok(Json(gone.into()))
}

/// List model types
#[utoipa::path(
    tag = "models",
    responses((status = 200, description = "Every folder of models", body = ModelTypes, example = json!({
        "types": [{"id": "checkpoints", "name": "Checkpoints", "count": 15, "size_bytes": 105978318029u64}]
    })))
)]
#[get("/api/models/types")]
pub(super) async fn list_model_types(dashboard: Data<Dashboard>) -> Result<Json<ModelTypes>, ApiError> {
    let types = dashboard.models.types().await?;
    Ok(Json(types.into()))
}

/// Scan the models folder anew
///
/// For files that were placed or removed by hand: they count from the answer on.
#[utoipa::path(
    tag = "models",
    responses((status = 200, description = "What was found", body = Rescanned, example = json!({
        "files": 42, "total_size_gb": 98.7, "total_size_bytes": 105978318029u64, "added": 1, "removed": 0
    })))
)]
#[post("/api/models/rescan")]
pub(super) async fn rescan_models(dashboard: Data<Dashboard>) -> Result<Json<Rescanned>, ApiError> {
    let found = dashboard.models.rescan().await?;
    Ok(Json(found.into()))
}

/// Repair models
///
/// Fetches only the blocks that are damaged and proves the whole by its SHA-256. It works on files that arrived through
/// this server: the checksums of their blocks were kept.
#[utoipa::path(
    tag = "models",
    request_body(content = ModelsRepairRequest, description = "Which files",
        example = json!({"paths": ["checkpoints/damaged.safetensors"]})),
    responses(
        (status = 202, description = "A download is at it", body = RepairStarted, example = json!({
            "download_id": "dl_123456", "paths": ["checkpoints/damaged.safetensors"], "errors": []
        })),
        (status = 403, description = "`FORBIDDEN`, with `paths`: a file changed since it arrived and is not known to be damaged; \
            validate it, or ask as `admin`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: none of them can be repaired, with the reasons", body = ErrorEnvelope),
        (status = 507, description = "`INSUFFICIENT_STORAGE`, with needed and available bytes", body = ErrorEnvelope),
    )
)]
#[post("/api/models/repair")]
pub(super) async fn repair_models(
    dashboard: Data<Dashboard>,
    asker: ReqData<Asker>,
    request: Body<ModelsRepairRequest>,
) -> Result<CustomizeResponder<Json<RepairStarted>>, ApiError> {
    if request.0.paths.is_empty() {
        return Err(ApiError::invalid("paths", "at least one path is needed"));
    }
    let started = dashboard.downloads.repair(&request.0.paths, asker.role().may_replace()).await?;
    Ok(Json(RepairStarted::from(started)).customize().with_status(StatusCode::ACCEPTED))
}

/// Show a model
///
/// The file as lists show it, with what its own head declares and whether its structure accounts for every byte.
#[utoipa::path(
    tag = "models",
    params(("path" = String, Path, description = "Below the models folder; its slashes may be left as they are",
        example = "checkpoints/wan21.safetensors")),
    responses(
        (status = 200, description = "The file and what its own bytes say", body = ModelDetail, example = json!({
            "path": "checkpoints/wan21.safetensors", "type": "checkpoints", "types": ["checkpoints"], "size_gb": 4.8,
            "size_bytes": 5153960755u64, "modified": "2026-02-15T10:00:00Z", "preset": "WAN_22_5B_TIV2",
            "presets": ["WAN_22_5B_TIV2"], "sha256": null, "sidecars": [], "extra_root": null, "format": "safetensors",
            "integrity": {"state": "structure", "checked_at": "2026-02-15T10:30:00Z"}, "safety": null,
            "whole": true, "damage": null, "safety_reason": null, "wrong_format": null,
            "header": {
                "tensors": 1095, "parameters": 4999784512u64, "dtypes": {"F16": 9999569024u64}, "metadata": {"format": "pt"},
                "metadata_cut": false
            }
        })),
        (status = 404, description = "`MODEL_NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[get("/api/models/{path:.+}")]
pub(super) async fn model_detail(
    dashboard: Data<Dashboard>,
    path: Path<String>,
) -> Result<Json<ModelDetail>, ApiError> {
    let detail = dashboard.models.detail(&path).await?;
    Ok(Json(detail.into()))
}
