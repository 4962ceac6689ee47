//! `/api/workflows`: templates, what people save, and what ComfyUI's own page saved.

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::header::{self, HeaderMap},
    post, put,
    web::{Data, Json, Path},
};
use serde_json::json;
use service::Dashboard;

use crate::dto::{
    error::ErrorEnvelope,
    page::{ListQuery, PartQuery},
    workflows::{
        WorkflowDeleted, WorkflowDetail, WorkflowList, WorkflowListQuery, WorkflowSaveRequest, WorkflowSaved,
        WorkflowUpdateRequest,
    },
};
use crate::error::ApiError;
use crate::extract::GraphBody;

/// List workflows
///
/// Templates, those that were saved here, and, while ComfyUI answers, those of its own page.
#[utoipa::path(
    tag = "workflows",
    params(WorkflowListQuery, PartQuery),
    responses((status = 200, description = "A part of the list", body = WorkflowList, example = json!({
        "workflows": [workflow_example()], "total": 25, "page": 1, "per_page": 20, "has_next": true, "has_prev": false
    })))
)]
#[get("/api/workflows")]
pub(super) async fn list_workflows(
    dashboard: Data<Dashboard>,
    query: ListQuery<WorkflowListQuery>,
) -> Result<Json<WorkflowList>, ApiError> {
    let page = dashboard.workflows.list(&query.into()).await?;
    Ok(Json(page.into()))
}

/// Show a workflow
///
/// With its graph, as it was given, and an `ETag` for `If-Match`.
#[utoipa::path(
    tag = "workflows",
    params(("workflow_id" = String, Path, description = "The workflow", example = "sdxl_text_to_image")),
    responses(
        (status = 200, description = "The workflow", body = WorkflowDetail, example = json!(detail_example())),
        (status = 304, description = "It is as `If-None-Match` says"),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, for one of ComfyUI's own page", body = ErrorEnvelope),
    )
)]
#[get("/api/workflows/{workflow_id}")]
pub(super) async fn get_workflow(
    dashboard: Data<Dashboard>,
    workflow: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let detail = dashboard.workflows.get(&workflow).await?;
    let etag = quoted(&detail.etag);
    if tags(request.headers(), header::IF_NONE_MATCH).iter().any(|tag| *tag == detail.etag || tag == "*") {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(WorkflowDetail::from(detail)))
}

/// Save a workflow
///
/// Any JSON object is kept as it is, in either format; whether it can run is asked when it runs. 10 MiB at most. The body may be
/// a picture, video or sound that ComfyUI made, as it is or in a form; other keys are query parameters then.
#[utoipa::path(
    tag = "workflows",
    request_body(content = WorkflowSaveRequest, description = "Its name and its graph", example = json!({
        "name": "My Custom Workflow", "category": "Custom", "workflow": {"1": {"class_type": "KSampler", "inputs": {}}}
    })),
    responses(
        (status = 201, description = "It is kept", body = WorkflowSaved, example = json!(saved_example("saved"))),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`: the graph has more than 10 MiB", body = ErrorEnvelope),
    )
)]
#[post("/api/workflows")]
pub(super) async fn save_workflow(
    dashboard: Data<Dashboard>,
    request: GraphBody<WorkflowSaveRequest>,
) -> Result<HttpResponse, ApiError> {
    let saved = dashboard.workflows.save(request.0.try_into()?).await?;
    let etag = quoted(&saved.etag);
    Ok(HttpResponse::Created().insert_header((header::ETAG, etag)).json(WorkflowSaved::new(saved, "saved")))
}

/// Update a workflow
///
/// Keys that are absent change nothing. `If-Match` with the tag that was read guards against lost updates.
#[utoipa::path(
    tag = "workflows",
    params(
        ("workflow_id" = String, Path, description = "The workflow", example = "custom_123"),
        ("If-Match" = Option<String>, Header, description = "Only if it is still this one"),
    ),
    request_body(content = WorkflowUpdateRequest, description = "What to change",
        example = json!({"name": "Updated Workflow Name", "workflow": {}})),
    responses(
        (status = 200, description = "It is changed", body = WorkflowSaved, example = json!(saved_example("updated"))),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`: the graph has more than 10 MiB", body = ErrorEnvelope),
        (status = 412, description = "`PRECONDITION_FAILED`: it is not the one of `If-Match` any more", body = ErrorEnvelope),
    )
)]
#[put("/api/workflows/{workflow_id}")]
pub(super) async fn update_workflow(
    dashboard: Data<Dashboard>,
    workflow: Path<String>,
    request: HttpRequest,
    change: GraphBody<WorkflowUpdateRequest>,
) -> Result<HttpResponse, ApiError> {
    let expected = expected_tags(request.headers());
    let saved = dashboard.workflows.update(&workflow, change.0.try_into()?, expected.as_deref()).await?;
    let etag = quoted(&saved.etag);
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).json(WorkflowSaved::new(saved, "updated")))
}

/// Delete a workflow
#[utoipa::path(
    tag = "workflows",
    params(
        ("workflow_id" = String, Path, description = "The workflow", example = "custom_123"),
        ("If-Match" = Option<String>, Header, description = "Only if it is still this one"),
    ),
    responses(
        (status = 200, description = "It is gone", body = WorkflowDeleted,
            example = json!({"status": "deleted", "workflow_id": "custom_123"})),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 412, description = "`PRECONDITION_FAILED`: it is not the one of `If-Match` any more", body = ErrorEnvelope),
    )
)]
#[delete("/api/workflows/{workflow_id}")]
pub(super) async fn delete_workflow(
    dashboard: Data<Dashboard>,
    workflow: Path<String>,
    request: HttpRequest,
) -> Result<Json<WorkflowDeleted>, ApiError> {
    let expected = expected_tags(request.headers());
    dashboard.workflows.delete(&workflow, expected.as_deref()).await?;
    Ok(Json(WorkflowDeleted { status: "deleted".to_owned(), workflow_id: workflow.into_inner() }))
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The tags of `If-Match`, one of which the workflow must have; `None` where any will do. What cannot be read matches nothing.
fn expected_tags(headers: &HeaderMap) -> Option<Vec<String>> {
    let listed = tags(headers, header::IF_MATCH);
    (headers.contains_key(header::IF_MATCH) && !listed.iter().any(|tag| tag == "*")).then_some(listed)
}

/// The tags of a conditional header, out of their quotes. Compression makes a strong tag weak on the way; it means the same.
fn tags(headers: &HeaderMap, name: header::HeaderName) -> Vec<String> {
    let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    values.flat_map(|value| value.split(',')).map(bare).collect()
}

fn workflow_example() -> serde_json::Value {
    json!({
        "id": "sdxl_text_to_image", "name": "SDXL text to image", "category": "Image Generation",
        "description": "A picture from a description", "preset": "SDXL_BASE_V1",
        "path": "workflows/templates/sdxl_text_to_image.json", "source": "template", "size_bytes": 1843, "modified": null
    })
}

fn detail_example() -> serde_json::Value {
    let mut detail = workflow_example();
    detail["workflow"] =
        json!({"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sd_xl_base_1.0.safetensors"}}});
    detail["format"] = json!("api");
    detail["etag"] = json!("6b1f0c5f2a4e7d9b8c3a5e1f0d2b4c6a8e7f9d1b3c5a7e9f0b2d4c6a8e1f3b5d");
    detail
}

fn saved_example(status: &str) -> serde_json::Value {
    json!({
        "id": "custom_123", "status": status, "path": "workflows/user/custom_123.json",
        "etag": "6b1f0c5f2a4e7d9b8c3a5e1f0d2b4c6a8e7f9d1b3c5a7e9f0b2d4c6a8e1f3b5d"
    })
}
