//! `/api/jobs`: work that outlasts a request, and the validation of models, which may become such work.

use actix_web::{
    HttpResponse, delete, get,
    web::{Data, Json, Path, ReqData},
};
use service::{Dashboard, page::Page};

use super::presets::known_form;
use crate::dto::{
    error::ErrorEnvelope,
    page::PartQuery,
    validation::{Job, JobList, ValidateQuery, Validation},
};
use crate::error::{ApiError, ErrorCode};
use crate::extract::Query;
use crate::middleware::authenticate::Asker;
use crate::operations::Role;

/// Validate models
///
/// Holds files against the hashes that are known, reads their structure, and judges what loading them would import. What
/// has not changed since the last time is not read again. Progress of a job comes as `job_progress` on the channel `system`.
/// Reading files needs the role `operate`: without it the answer is what earlier validations found, and `unchecked` lists the rest.
/// One validation of the same files runs at a time; further requests share it.
#[utoipa::path(
    tag = "models",
    params(ValidateQuery),
    responses(
        (status = 200, description = "What was found", body = Validation, example = json!(validation_example())),
        (status = 202, description = "With `background=true`: the job that finds it out", body = Job, example = json!(running_example())),
        (status = 403, description = "`FORBIDDEN`: `force` and `background` need the role `operate`", body = ErrorEnvelope),
        (status = 404, description = "`PRESET_NOT_FOUND`", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: too many jobs run, or the job was cancelled meanwhile", body = ErrorEnvelope),
    )
)]
#[get("/api/models/validate")]
pub(super) async fn validate_models(
    dashboard: Data<Dashboard>,
    asker: ReqData<Asker>,
    query: Query<ValidateQuery>,
) -> Result<HttpResponse, ApiError> {
    let preset = query.0.preset.as_deref().map(known_form).transpose()?;
    let background = query.0.background;
    let options = query.0.options(preset);
    if asker.role() < Role::Operate {
        if background || options.force {
            let message =
                "Reading model files needs the role operate; without force and background, earlier results are told";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        let report = dashboard.models.remembered_validation(options).await?;
        return Ok(HttpResponse::Ok().json(Validation::from(&report)));
    }
    if background {
        let job = dashboard.models.validate_in_background(options).await?;
        return Ok(HttpResponse::Accepted().json(Job::from(job)));
    }
    let report = dashboard.models.validate(options).await?;
    Ok(HttpResponse::Ok().json(Validation::from(&report)))
}

/// List jobs
///
/// Those that run and the latest that ended, the youngest first. A restart forgets them.
#[utoipa::path(
    tag = "jobs",
    params(PartQuery),
    responses((status = 200, description = "A part of the list", body = JobList, example = json!({
        "jobs": [running_example()], "total": 1, "page": 1, "per_page": 20, "has_next": false, "has_prev": false
    })))
)]
#[get("/api/jobs")]
pub(super) async fn list_jobs(dashboard: Data<Dashboard>, query: Query<PartQuery>) -> Json<JobList> {
    Json(Page::cut(dashboard.jobs.list(), query.0.into()).into())
}

/// Show a job
#[utoipa::path(
    tag = "jobs",
    params(("job_id" = String, Path, description = "The job", example = "job_123456")),
    responses(
        (status = 200, description = "The job as it stands", body = Job, example = json!(running_example())),
        (status = 404, description = "`NOT_FOUND`: no such job", body = ErrorEnvelope),
    )
)]
#[get("/api/jobs/{job_id}")]
pub(super) async fn get_job(dashboard: Data<Dashboard>, job: Path<String>) -> Result<Json<Job>, ApiError> {
    Ok(Json(dashboard.jobs.get(&job)?.into()))
}

/// Cancel a job
///
/// One that has ended stays as it is.
#[utoipa::path(
    tag = "jobs",
    params(("job_id" = String, Path, description = "The job", example = "job_123456")),
    responses(
        (status = 200, description = "The job as it stands", body = Job, example = json!(cancelled_example())),
        (status = 404, description = "`NOT_FOUND`: no such job", body = ErrorEnvelope),
    )
)]
#[delete("/api/jobs/{job_id}")]
pub(super) async fn cancel_job(dashboard: Data<Dashboard>, job: Path<String>) -> Result<Json<Job>, ApiError> {
    Ok(Json(dashboard.jobs.cancel(&job)?.into()))
}

fn validation_example() -> serde_json::Value {
    serde_json::json!({
        "validated": 42,
        "errors": [{
            "path": "checkpoints/corrupt.safetensors", "error": "File checksum mismatch", "code": "checksum_mismatch",
            "damaged_blocks": [{"start": 16_777_216, "end": 20_971_520}]
        }],
        "warnings": [], "unchecked": []
    })
}

fn running_example() -> serde_json::Value {
    serde_json::json!({
        "id": "job_123456", "type": "validate_models", "status": "running", "progress": 45.2,
        "done_bytes": 2_329_590_261_u64, "total_bytes": 5_153_960_755_u64, "current": "checkpoints/wan21.safetensors",
        "result": null, "error": null, "created_at": "2026-02-15T10:30:00.000Z", "ended_at": null
    })
}

fn cancelled_example() -> serde_json::Value {
    let mut job = running_example();
    job["status"] = "cancelled".into();
    job["ended_at"] = "2026-02-15T10:31:00Z".into();
    job
}
