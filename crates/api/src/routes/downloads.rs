//! `/api/downloads`: what arrives, what arrived, and what can be done about it.

use actix_web::{
    CustomizeResponder, HttpResponse, Responder, delete, get,
    http::StatusCode,
    patch, post,
    web::{Data, Json, Path, ReqData},
};
use serde_json::{Value, json};
use service::Dashboard;

use crate::dto::{
    download_requests::{
        AddQuery, DownloadAdded, DownloadCancelled, DownloadChange, DownloadListQuery, DownloadPreview,
        DownloadRequest, DownloadStanding, HistoryListQuery,
    },
    downloads::{Download, DownloadDetail, DownloadHistory, DownloadList, DownloadState},
    error::ErrorEnvelope,
    page::{HistoryCleared, ListQuery, PartQuery},
};
use crate::error::ApiError;
use crate::extract::{Body, Query};
use crate::middleware::authenticate::Asker;

/// List downloads
///
/// The unfinished ones in the order in which they run, then those that ended in the last 24 hours.
#[utoipa::path(
    tag = "downloads",
    params(DownloadListQuery, PartQuery),
    responses((status = 200, description = "A part of the list", body = DownloadList, example = json!({
        "downloads": [download_example()], "active": 1, "total": 5, "page": 1, "per_page": 20,
        "has_next": false, "has_prev": false
    })))
)]
#[get("/api/downloads")]
pub(super) async fn list_downloads(
    dashboard: Data<Dashboard>,
    query: ListQuery<DownloadListQuery>,
) -> Result<Json<DownloadList>, ApiError> {
    let list = dashboard.downloads.list(&query.into()).await?;
    Ok(Json(list.into()))
}

/// Fetch a file
///
/// Any file from any address, into the models folder: the same engine, checks and history as an install. With `dry_run` it
/// only says what would be fetched and where it would go.
#[utoipa::path(
    tag = "downloads",
    params(AddQuery),
    request_body(content = DownloadRequest, description = "Where from and where to",
        example = json!({"url": "https://huggingface.co/org/repo/resolve/main/detail.safetensors", "type": "loras"})),
    responses(
        (status = 200, description = "With `dry_run`: what would be fetched", body = DownloadPreview, example = json!({
            "name": "ae.safetensors", "name_from": "link", "size_bytes": 335_304_388, "sha256": null, "folder": "vae",
            "folder_from": "link", "path": "vae/ae.safetensors", "exists": false, "gate": null, "problem": null
        })),
        (status = 202, description = "It is queued", body = DownloadAdded,
            example = json!({"download_id": "dl_123456", "path": "loras/detail.safetensors"})),
        (status = 403, description = "`FORBIDDEN`, with `paths`: `overwrite` would replace a file that was not fetched here and \
            is not known to be damaged; that needs `admin`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: there is a file at that path", body = ErrorEnvelope),
        (status = 507, description = "`INSUFFICIENT_STORAGE`, with needed and available bytes", body = ErrorEnvelope),
    )
)]
#[post("/api/downloads")]
pub(super) async fn add_download(
    dashboard: Data<Dashboard>,
    asker: ReqData<Asker>,
    query: Query<AddQuery>,
    request: Body<DownloadRequest>,
) -> Result<HttpResponse, ApiError> {
    if query.0.dry_run {
        let (urls, place) = request.0.sources_and_place(asker.role())?;
        let preview = dashboard.downloads.preview(&urls, place.as_ref()).await?;
        return Ok(HttpResponse::Ok().json(DownloadPreview::from(preview)));
    }
    let added = dashboard.downloads.add(request.0.new_download(asker.role())?).await?;
    Ok(HttpResponse::Accepted().json(added))
}

/// List ended downloads
#[utoipa::path(
    tag = "downloads",
    params(HistoryListQuery, PartQuery),
    responses((status = 200, description = "A part of the list", body = DownloadHistory, example = json!({
        "downloads": [ended_example()], "total": 1, "page": 1, "per_page": 20, "has_next": false, "has_prev": false
    })))
)]
#[get("/api/downloads/history")]
pub(super) async fn download_history(
    dashboard: Data<Dashboard>,
    query: ListQuery<HistoryListQuery>,
) -> Result<Json<DownloadHistory>, ApiError> {
    let page = dashboard.downloads.history(&query.try_into()?).await?;
    Ok(Json(page.into()))
}

/// Delete the download history
///
/// Every download that has ended, with its files and events. Model files stay.
#[utoipa::path(
    tag = "downloads",
    responses((status = 200, description = "It is deleted", body = HistoryCleared, example = json!({"deleted": 12})))
)]
#[delete("/api/downloads/history")]
pub(super) async fn clear_download_history(dashboard: Data<Dashboard>) -> Result<Json<HistoryCleared>, ApiError> {
    Ok(Json(HistoryCleared { deleted: dashboard.downloads.clear_history().await? }))
}

/// Show a download
///
/// With each of its files, and what happened to it so far.
#[utoipa::path(
    tag = "downloads",
    params(("download_id" = String, Path, description = "The download", example = "dl_123456")),
    responses(
        (status = 200, description = "The download", body = DownloadDetail, example = json!(detail_example())),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[get("/api/downloads/{download_id}")]
pub(super) async fn get_download(
    dashboard: Data<Dashboard>,
    download: Path<String>,
) -> Result<Json<DownloadDetail>, ApiError> {
    let view = dashboard.downloads.get(&download).await?;
    let events = dashboard.downloads.events(&download).await?;
    Ok(Json(DownloadDetail::new(&view, events)))
}

/// Change a download
///
/// Its priority, its place in the queue, or how fast it may go. Keys that are absent change nothing.
#[utoipa::path(
    tag = "downloads",
    params(("download_id" = String, Path, description = "The download", example = "dl_123456")),
    request_body(content = DownloadChange, description = "What to change", example = json!({"priority": "high"})),
    responses(
        (status = 200, description = "The download as it stands now", body = Download, example = json!(download_example())),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: it has ended", body = ErrorEnvelope),
    )
)]
#[patch("/api/downloads/{download_id}")]
pub(super) async fn change_download(
    dashboard: Data<Dashboard>,
    download: Path<String>,
    change: Body<DownloadChange>,
) -> Result<Json<Download>, ApiError> {
    let view = dashboard.downloads.change(&download, change.0.try_into()?).await?;
    Ok(Json(Download::from(&view)))
}

/// Pause a download
#[utoipa::path(
    tag = "downloads",
    params(("download_id" = String, Path, description = "The download", example = "dl_123456")),
    responses(
        (status = 200, description = "It is paused", body = DownloadStanding,
            example = json!({"status": "paused", "download_id": "dl_123456"})),
        (status = 202, description = "It is pausing: what is being written is not on the disk yet", body = DownloadStanding,
            example = json!({"status": "downloading", "download_id": "dl_123456"})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: it has ended", body = ErrorEnvelope),
    )
)]
#[post("/api/downloads/{download_id}/pause")]
pub(super) async fn pause_download(
    dashboard: Data<Dashboard>,
    download: Path<String>,
) -> Result<CustomizeResponder<Json<DownloadStanding>>, ApiError> {
    let state = dashboard.downloads.pause(&download).await?;
    let status = if state.is_active() { StatusCode::ACCEPTED } else { StatusCode::OK };
    let standing = DownloadStanding { status: state, download_id: download.into_inner() };
    Ok(Json(standing).customize().with_status(status))
}

/// Resume a download
///
/// One that is paused or has failed goes on from the bytes that are here.
#[utoipa::path(
    tag = "downloads",
    params(("download_id" = String, Path, description = "The download", example = "dl_123456")),
    responses(
        (status = 200, description = "The state that was reached", body = DownloadStanding,
            example = json!({"status": "downloading", "download_id": "dl_123456"})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: it has ended", body = ErrorEnvelope),
    )
)]
#[post("/api/downloads/{download_id}/resume")]
pub(super) async fn resume_download(
    dashboard: Data<Dashboard>,
    download: Path<String>,
) -> Result<Json<DownloadStanding>, ApiError> {
    let state = dashboard.downloads.resume(&download).await?;
    Ok(Json(DownloadStanding { status: state, download_id: download.into_inner() }))
}

/// Cancel a download
///
/// Unfinished parts are removed; files that are whole stay.
#[utoipa::path(
    tag = "downloads",
    params(("download_id" = String, Path, description = "The download", example = "dl_123456")),
    responses(
        (status = 200, description = "It has ended", body = DownloadCancelled,
            example = json!({"status": "cancelled", "download_id": "dl_123456", "files_removed": true})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: it had ended already", body = ErrorEnvelope),
    )
)]
#[delete("/api/downloads/{download_id}")]
pub(super) async fn cancel_download(
    dashboard: Data<Dashboard>,
    download: Path<String>,
) -> Result<Json<DownloadCancelled>, ApiError> {
    let files_removed = dashboard.downloads.cancel(&download).await?;
    Ok(Json(DownloadCancelled { status: DownloadState::Cancelled, download_id: download.into_inner(), files_removed }))
}

fn download_example() -> Value {
    json!({
        "id": "dl_123456", "preset_id": "WAN_22_5B_TIV2", "path": null, "status": "downloading", "progress": 45.2,
        "speed_mbps": 125.5, "eta_seconds": 150, "current_file": "checkpoints/wan21.safetensors",
        "speed_bytes_per_second": 125_500_000, "downloaded_bytes": 7_037_300_000_u64,
        "total_bytes": 15_569_256_448_u64, "files": {"total": 5, "completed": 2, "failed": 0},
        "priority": "normal", "position": 1, "rate_limit": null, "pause_reason": null, "stalled": false,
        "warnings": [], "error": null, "created_at": "2026-02-15T10:30:00.000Z",
        "started_at": "2026-02-15T10:30:01.000Z", "ended_at": null, "duration_ms": null
    })
}

fn ended_example() -> Value {
    let mut ended = download_example();
    ended["status"] = json!("completed");
    ended["progress"] = json!(100.0);
    for key in ["speed_mbps", "eta_seconds", "current_file", "speed_bytes_per_second"] {
        ended[key] = Value::Null;
    }
    ended["ended_at"] = json!("2026-02-15T10:35:00.000Z");
    ended["duration_ms"] = json!(299_000);
    ended
}

fn detail_example() -> Value {
    let mut detail = download_example();
    detail["file_details"] = json!([{
        "path": "checkpoints/wan21.safetensors", "status": "downloading", "downloaded_bytes": 1_048_576,
        "total_bytes": 5_153_960_755_u64, "error": null
    }]);
    detail["events"] = json!([{"at": "2026-02-15T10:30:00.000Z", "kind": "queued", "message": "Asked for"}]);
    detail
}
