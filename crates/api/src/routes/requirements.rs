//! What workflows need before they run, how they get it, and graphs made of what ComfyUI's page saves.

use actix_web::{
    HttpResponse, get,
    http::StatusCode,
    post,
    web::{Data, Json, Path},
};
use serde_json::json;
use service::Dashboard;

use crate::dto::{
    error::ErrorEnvelope,
    requirements::{ConvertedWorkflow, GraphRequest, InstallRequirementsRequest, Requirements, RequirementsInstalled},
    workflow_install::{InstallWorkflowQuery, InstallWorkflowRequest, WorkflowInstall},
};
use crate::error::ApiError;
use crate::extract::{GraphBody, OptionalBody, Query};

/// Convert a saved workflow
///
/// Makes of a workflow that ComfyUI's page saved the graph that `/prompt` takes, as the page itself does. What finds no place in it is
/// named in `warnings`. The body may be a picture, video or sound that ComfyUI made (PNG, WebP, JPEG, MP4, FLAC), as it is or in a form.
#[utoipa::path(
    tag = "workflows",
    request_body(content = GraphRequest, description = "The workflow", example = json!({"workflow": {"nodes": [], "links": []}})),
    responses(
        (status = 200, description = "The graph", body = ConvertedWorkflow, example = json!({
            "workflow": {"1": {"class_type": "EmptyImage", "inputs": {"width": 64}}}, "warnings": []
        })),
        (status = 400, description = "`INVALID_WORKFLOW`, with every fault by node and input", body = ErrorEnvelope),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`: the graph has more than 10 MiB", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`", body = ErrorEnvelope),
    )
)]
#[post("/api/workflows/convert")]
pub(super) async fn convert_workflow(
    dashboard: Data<Dashboard>,
    request: GraphBody<GraphRequest>,
) -> Result<Json<ConvertedWorkflow>, ApiError> {
    let converted = dashboard.prompts.convert(request.0.given()).await?;
    Ok(Json(converted.into()))
}

/// Show what a graph needs
///
/// Model files, where each can be had, nodes that ComfyUI lacks, and whether it fits the disk and the card. The body may be a
/// picture, video or sound that ComfyUI made, as it is or in a form.
#[utoipa::path(
    tag = "workflows",
    request_body(content = GraphRequest, description = "The graph, in either format", example = json!({
        "workflow": {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "sdxl_vae.safetensors"}}}
    })),
    responses(
        (status = 200, description = "What it needs", body = Requirements, example = json!(needs_example())),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`: the graph has more than 10 MiB", body = ErrorEnvelope),
    )
)]
#[post("/api/workflows/requirements")]
pub(super) async fn graph_requirements(
    dashboard: Data<Dashboard>,
    request: GraphBody<GraphRequest>,
) -> Result<Json<Requirements>, ApiError> {
    let needs = dashboard.workflows.requirements(request.0.given()).await?;
    Ok(Json(needs.into()))
}

/// Show what a workflow needs
///
/// As for a graph.
#[utoipa::path(
    tag = "workflows",
    params(("workflow_id" = String, Path, description = "The workflow", example = "sdxl_text_to_image")),
    responses(
        (status = 200, description = "What it needs", body = Requirements, example = json!(needs_example())),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
    )
)]
#[get("/api/workflows/{workflow_id}/requirements")]
pub(super) async fn workflow_requirements(
    dashboard: Data<Dashboard>,
    workflow: Path<String>,
) -> Result<Json<Requirements>, ApiError> {
    let needs = dashboard.workflows.requirements_of(&workflow).await?;
    Ok(Json(needs.into()))
}

/// Fetch what a workflow lacks
///
/// Every model file that is missing and has an address, as one download.
#[utoipa::path(
    tag = "workflows",
    params(("workflow_id" = String, Path, description = "The workflow", example = "sdxl_text_to_image")),
    request_body(content = Option<InstallRequirementsRequest>, description = "How urgent it is", example = json!({"priority": "normal"})),
    responses(
        (status = 200, description = "Nothing is missing", body = RequirementsInstalled, example = json!(installed_example("complete", None))),
        (status = 202, description = "It is queued", body = RequirementsInstalled,
            example = json!(installed_example("installing", Some("dl_123456")))),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: no address is known for what is missing", body = ErrorEnvelope),
        (status = 507, description = "`INSUFFICIENT_STORAGE`, with needed and available bytes", body = ErrorEnvelope),
    )
)]
#[post("/api/workflows/{workflow_id}/install-requirements")]
pub(super) async fn install_requirements(
    dashboard: Data<Dashboard>,
    workflow: Path<String>,
    request: OptionalBody<InstallRequirementsRequest>,
) -> Result<HttpResponse, ApiError> {
    let begun = dashboard.workflows.install_requirements(&workflow, request.0.priority).await?;
    let answer = RequirementsInstalled::new(workflow.into_inner(), begun);
    let mut response = if answer.download_id.is_some() { HttpResponse::Accepted() } else { HttpResponse::Ok() };
    Ok(response.json(answer))
}

/// Make a workflow run
///
/// Takes a workflow from anywhere, fetches the model files that it lacks and that can be had without doubt, as one download, and says
/// what remains: `choose` (a person has to say where a file comes from; ask again with `choices`), `impossible`, and `missing_nodes`. A file
/// that can run code when it is loaded and whose content is not known by its hash is never fetched without a choice, nor is one whose name many
/// files have. With `dry_run` nothing is begun.
///
/// The body may be a picture, video or sound that ComfyUI made, as it is or in a form; other keys are query parameters then.
#[utoipa::path(
    tag = "workflows",
    params(InstallWorkflowQuery),
    request_body(content = InstallWorkflowRequest, description = "The workflow", example = json!({
        "workflow": {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "sdxl_vae.safetensors"}}}, "dry_run": true
    })),
    responses(
        (status = 200, description = "Nothing is fetched", body = WorkflowInstall, example = json!(install_example(None))),
        (status = 202, description = "It is queued", body = WorkflowInstall, example = json!(install_example(Some("dl_123456")))),
        (status = 400, description = "`INVALID_WORKFLOW`: what was sent is no graph", body = ErrorEnvelope),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`: the graph has more than 10 MiB", body = ErrorEnvelope),
        (status = 507, description = "`INSUFFICIENT_STORAGE`, with needed and available bytes", body = ErrorEnvelope),
    )
)]
#[post("/api/workflows/install")]
pub(super) async fn install_workflow(
    dashboard: Data<Dashboard>,
    query: Query<InstallWorkflowQuery>,
    request: GraphBody<InstallWorkflowRequest>,
) -> Result<(Json<WorkflowInstall>, StatusCode), ApiError> {
    let (given, options) = request.0.split(&query.0);
    let answer = WorkflowInstall::from(dashboard.workflows.install(given, options).await?);
    let status = if answer.is_installing() { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((Json(answer), status))
}

fn install_example(download: Option<&str>) -> serde_json::Value {
    json!({
        "status": "installing", "dry_run": download.is_none(), "ready": false, "download_id": download, "present": [],
        "fetching": [{"path": "vae/sdxl_vae.safetensors", "size_bytes": 334_641_164,
            "url": "https://huggingface.co/stabilityai/sdxl-vae/resolve/main/sdxl_vae.safetensors"}],
        "choose": [], "impossible": [], "missing_nodes": [], "comfyui_asked": true, "total_bytes": 334_641_164, "total_size_gb": 0.3,
        "disk": {"fits": true, "needed_bytes": 334_641_164, "needed_gb": 0.3, "exact": true, "available_bytes": 400_000_000_000_u64},
        "vram": {"fits": true, "needed_gb": 8.0, "basis": "declared by preset SDXL_BASE_V1", "available_gb": 24.0}
    })
}

fn needs_example() -> serde_json::Value {
    json!({
        "ready": false,
        "models": [{
            "folder": "vae", "name": "sdxl_vae.safetensors", "path": "vae/sdxl_vae.safetensors", "status": "missing",
            "found_as": null, "size_bytes": 334_641_164, "size_exact": true, "sha256": null,
            "sources": [{"type": "preset", "preset_id": "SDXL_BASE_V1", "path": null,
                "url": "https://huggingface.co/stabilityai/sdxl-vae/resolve/main/sdxl_vae.safetensors"}],
            "used_by": [{"node": "2", "node_type": "VAELoader", "input": "vae_name"}], "known": true
        }],
        "missing_nodes": [], "comfyui_asked": true,
        "disk": {"fits": true, "needed_bytes": 334_641_164, "needed_gb": 0.3, "exact": true, "available_bytes": 400_000_000_000_u64},
        "vram": {"fits": true, "needed_gb": 8.0, "basis": "declared by preset SDXL_BASE_V1", "available_gb": 24.0}
    })
}

fn installed_example(status: &str, download: Option<&str>) -> serde_json::Value {
    json!({
        "status": status, "workflow_id": "sdxl_text_to_image", "download_id": download,
        "files": ["vae/sdxl_vae.safetensors"], "already_downloading": [], "without_source": [], "unjudged": [],
        "total_bytes": 334_641_164, "total_size_gb": 0.3
    })
}
