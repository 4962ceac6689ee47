//! `/api/comfyui`: how ComfyUI is, running something on it, and stopping that.

use actix_web::{
    get,
    http::StatusCode,
    post,
    web::{Data, Json},
};
use service::Dashboard;

use crate::dto::{
    error::ErrorEnvelope,
    prompts::{ExecuteQuery, ExecuteRequest, PromptAccepted},
    queue::{ComfyUi, FreeRequest, Freed, InterruptRequest, Interrupted},
};
use crate::error::ApiError;
use crate::extract::{GraphBody, OptionalBody, Query};

/// Check ComfyUI's health
#[utoipa::path(
    tag = "comfyui",
    responses(
        (status = 200, description = "It answers", body = ComfyUi,
            example = json!({
                "status": "healthy", "version": "0.3.10", "queue": {"pending": 3, "running": 1},
                "socket": {"open": true, "cause": null}, "stuck": null
            })),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[get("/api/comfyui/health")]
pub(super) async fn comfyui_health(dashboard: Data<Dashboard>) -> Result<Json<ComfyUi>, ApiError> {
    let health = dashboard.comfy.health().await?;
    Ok(Json(health.into()))
}

/// Run a workflow
///
/// A graph in either format, or a stored workflow by its id. What is accepted is kept before the answer and runs once, also
/// when ComfyUI or this server is restarted meanwhile.
///
/// The body may be a picture, video or sound that ComfyUI made, as it is or in a form; other keys are query parameters then.
///
/// Whether values are good is ComfyUI's to judge. Where the prompt's turn has come its judgement is the answer: 400, or 200
/// with `node_errors` of the outputs that it leaves out. Else what will probably be refused is in `warnings`.
#[utoipa::path(
    tag = "comfyui",
    params(ExecuteQuery),
    request_body(content = ExecuteRequest, description = "What to run", example = json!({
        "workflow": {"1": {"class_type": "KSampler", "inputs": {"seed": 123456, "steps": 20}}}, "priority": 1
    })),
    responses(
        (status = 200, description = "It is queued", body = PromptAccepted, example = json!({
            "prompt_id": "abc123", "number": 1, "status": "queued", "warnings": [], "fixed_paths": [], "node_errors": null
        })),
        (status = 202, description = "It waits until ComfyUI answers again", body = PromptAccepted, example = json!({
            "prompt_id": "abc123", "number": 1, "status": "queued", "warnings": [], "fixed_paths": [], "node_errors": null
        })),
        (status = 400, description = "`INVALID_WORKFLOW`, with every fault by node and input", body = ErrorEnvelope),
        (status = 404, description = "`NOT_FOUND`: no such workflow", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`: the graph has more than 10 MiB", body = ErrorEnvelope),
        (status = 507, description = "`QUEUE_FULL`, with needed and available places", body = ErrorEnvelope),
    )
)]
#[post("/api/comfyui/execute")]
pub(super) async fn execute(
    dashboard: Data<Dashboard>,
    query: Query<ExecuteQuery>,
    request: GraphBody<ExecuteRequest>,
) -> Result<(Json<PromptAccepted>, StatusCode), ApiError> {
    let accepted = dashboard.prompts.execute(request.0.prompt(query.0.fix_paths)?).await?;
    let status = if accepted.comfyui_answers { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((Json(accepted.into()), status))
}

/// Interrupt what runs
///
/// Whatever it is, or only the prompt that is named.
#[utoipa::path(
    tag = "comfyui",
    request_body(content = Option<InterruptRequest>, description = "Only this prompt", example = json!({"prompt_id": "abc123"})),
    responses(
        (status = 200, description = "It was told to stop", body = Interrupted,
            example = json!({"status": "interrupted", "prompt_ids": ["abc123"]})),
        (status = 404, description = "`NOT_FOUND`: no such prompt", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: the prompt does not run", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[post("/api/comfyui/interrupt")]
pub(super) async fn interrupt(
    dashboard: Data<Dashboard>,
    request: OptionalBody<InterruptRequest>,
) -> Result<Json<Interrupted>, ApiError> {
    let stopped = dashboard.prompts.interrupt(request.0.prompt_id.as_deref()).await?;
    Ok(Json(stopped.into()))
}

/// Free ComfyUI's memory
///
/// As soon as nothing runs.
#[utoipa::path(
    tag = "comfyui",
    request_body(content = Option<FreeRequest>, description = "What to let go of; without it, everything",
        example = json!({"unload_models": true, "free_memory": true})),
    responses(
        (status = 200, description = "It was told", body = Freed, example = json!({"status": "success"})),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[post("/api/comfyui/free")]
pub(super) async fn free(
    dashboard: Data<Dashboard>,
    request: OptionalBody<FreeRequest>,
) -> Result<Json<Freed>, ApiError> {
    dashboard.comfy.free(request.0.unload_models, request.0.free_memory).await?;
    Ok(Json(Freed { status: "success".to_owned() }))
}
