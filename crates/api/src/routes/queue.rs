//! `/api/comfyui/queue` and `/api/comfyui/history`: what runs and waits, in which order, and what became of it.

use actix_web::{
    delete, get, patch, post,
    web::{Data, Json, Path},
};
use serde_json::json;
use service::Dashboard;

use crate::dto::{
    error::ErrorEnvelope,
    page::{HistoryCleared, ListQuery, PartQuery},
    prompts::{Prompt, PromptList, PromptListQuery},
    queue::{ClearRequest, Cleared, PromptChangeRequest, PromptStanding, Queue, QueueStanding},
};
use crate::error::ApiError;
use crate::extract::{Body, BodyOrQuery};

/// Show the queue
///
/// Ours and what other clients put into ComfyUI, as one order.
#[utoipa::path(
    tag = "comfyui",
    responses(
        (status = 200, description = "What runs and waits", body = Queue, example = json!({
            "queue_running": [entry_example("abc123", 1, "running")], "queue_pending": [entry_example("def456", 2, "queued")],
            "paused": false
        })),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[get("/api/comfyui/queue")]
pub(super) async fn queue(dashboard: Data<Dashboard>) -> Result<Json<Queue>, ApiError> {
    let queue = dashboard.prompts.queue().await?;
    Ok(Json(queue.into()))
}

/// Clear the queue
///
/// What waits, what runs, or both; prompts of other clients included.
#[utoipa::path(
    tag = "comfyui",
    params(ClearRequest),
    request_body(content = Option<ClearRequest>, description = "The same keys, for clients that can send a body",
        example = json!({"type": "pending"})),
    responses(
        (status = 200, description = "How many prompts ended by it", body = Cleared, example = json!({"cleared": 3, "status": "success"})),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[delete("/api/comfyui/queue")]
pub(super) async fn clear_queue(
    dashboard: Data<Dashboard>,
    request: BodyOrQuery<ClearRequest>,
) -> Result<Json<Cleared>, ApiError> {
    let cleared = dashboard.prompts.clear(request.0.r#type.into()).await?;
    Ok(Json(Cleared { cleared, status: "success".to_owned() }))
}

/// Pause the queue
///
/// What runs goes on, nothing new of ours starts, also after a restart.
#[utoipa::path(
    tag = "comfyui",
    responses((status = 200, description = "It is paused", body = QueueStanding, example = json!({"status": "paused"})))
)]
#[post("/api/comfyui/queue/pause")]
pub(super) async fn pause_queue(dashboard: Data<Dashboard>) -> Result<Json<QueueStanding>, ApiError> {
    dashboard.prompts.pause().await?;
    Ok(Json(QueueStanding { status: "paused".to_owned() }))
}

/// Resume the queue
#[utoipa::path(
    tag = "comfyui",
    responses((status = 200, description = "It goes on", body = QueueStanding, example = json!({"status": "running"})))
)]
#[post("/api/comfyui/queue/resume")]
pub(super) async fn resume_queue(dashboard: Data<Dashboard>) -> Result<Json<QueueStanding>, ApiError> {
    dashboard.prompts.resume().await?;
    Ok(Json(QueueStanding { status: "running".to_owned() }))
}

/// Move a waiting prompt
///
/// To another priority, or right before another prompt that waits.
#[utoipa::path(
    tag = "comfyui",
    params(("prompt_id" = String, Path, description = "The prompt", example = "abc123")),
    request_body(content = PromptChangeRequest, description = "Its new place", example = json!({"priority": 5})),
    responses(
        (status = 200, description = "The prompt as it stands now", body = Prompt, example = json!(prompt_example("queued"))),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: it does not wait", body = ErrorEnvelope),
    )
)]
#[patch("/api/comfyui/queue/{prompt_id}")]
pub(super) async fn change_prompt(
    dashboard: Data<Dashboard>,
    prompt: Path<String>,
    change: Body<PromptChangeRequest>,
) -> Result<Json<Prompt>, ApiError> {
    let record = dashboard.prompts.change(&prompt, change.0.try_into()?).await?;
    Ok(Json(record.into()))
}

/// Cancel a prompt
///
/// Exactly this one, whether it waits or runs.
#[utoipa::path(
    tag = "comfyui",
    params(("prompt_id" = String, Path, description = "The prompt", example = "abc123")),
    responses(
        (status = 200, description = "The state that was reached", body = PromptStanding,
            example = json!({"status": "interrupted", "prompt_id": "abc123"})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: it has ended", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`: it ends as soon as ComfyUI answers", body = ErrorEnvelope),
    )
)]
#[delete("/api/comfyui/queue/{prompt_id}")]
pub(super) async fn cancel_prompt(
    dashboard: Data<Dashboard>,
    prompt: Path<String>,
) -> Result<Json<PromptStanding>, ApiError> {
    let state = dashboard.prompts.cancel(&prompt).await?;
    Ok(Json(PromptStanding { status: state.as_str().to_owned(), prompt_id: prompt.into_inner() }))
}

/// List ended prompts
///
/// Every one that ran here and is still in the history, the latest first; other clients' too, where we saw them run.
#[utoipa::path(
    tag = "comfyui",
    params(PromptListQuery, PartQuery),
    responses((status = 200, description = "A part of the list", body = PromptList, example = json!({
        "history": [prompt_example("completed")], "total": 1, "page": 1, "per_page": 20, "has_next": false, "has_prev": false
    })))
)]
#[get("/api/comfyui/history")]
pub(super) async fn list_prompts(
    dashboard: Data<Dashboard>,
    query: ListQuery<PromptListQuery>,
) -> Result<Json<PromptList>, ApiError> {
    let page = dashboard.prompts.history(&query.into()).await?;
    Ok(Json(page.into()))
}

/// Delete the prompt history
///
/// Every prompt that has ended, with its graph and outputs. The files that ComfyUI made stay.
#[utoipa::path(
    tag = "comfyui",
    responses((status = 200, description = "It is deleted", body = HistoryCleared, example = json!({"deleted": 12})))
)]
#[delete("/api/comfyui/history")]
pub(super) async fn clear_prompt_history(dashboard: Data<Dashboard>) -> Result<Json<HistoryCleared>, ApiError> {
    Ok(Json(HistoryCleared { deleted: dashboard.prompts.clear_history().await? }))
}

/// Show what became of a prompt
#[utoipa::path(
    tag = "comfyui",
    params(("prompt_id" = String, Path, description = "The prompt", example = "abc123")),
    responses(
        (status = 200, description = "The prompt", body = Prompt, example = json!(prompt_example("completed"))),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, for a prompt that we do not know", body = ErrorEnvelope),
    )
)]
#[get("/api/comfyui/history/{prompt_id}")]
pub(super) async fn prompt_history(dashboard: Data<Dashboard>, prompt: Path<String>) -> Result<Json<Prompt>, ApiError> {
    let record = dashboard.prompts.get(&prompt).await?;
    Ok(Json(record.into()))
}

fn entry_example(id: &str, number: u64, status: &str) -> serde_json::Value {
    json!({
        "prompt_id": id, "number": number, "status": status, "priority": 0, "type": "image_generation",
        "source": "dashboard", "handed_over": true, "workflow_id": null, "client_id": null,
        "submitted": "2026-02-15T10:29:58.000Z", "started": null
    })
}

fn prompt_example(status: &str) -> serde_json::Value {
    let images = json!([{"filename": "output_00001.png", "subfolder": "", "type": "output"}]);
    json!({
        "prompt_id": "abc123", "status": status, "outputs": {"images": images, "nodes": {"9": {"images": images}}},
        "started": "2026-02-15T10:30:00Z", "completed": "2026-02-15T10:30:15Z", "submitted": "2026-02-15T10:29:58.000Z",
        "duration_seconds": 15.0, "number": 1, "priority": 0, "type": "image_generation", "source": "dashboard",
        "workflow_id": null, "client_id": null, "error": null
    })
}
