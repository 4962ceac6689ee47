//! `/api/system`: the machine, its services, its disk and its log. Figures are those of the last sample.

use actix_web::{
    HttpResponse, get,
    http::header,
    web::{Data, Json, ReqData},
};
use service::Dashboard;

use crate::dto::{
    error::ErrorEnvelope,
    logs::{LogEvent, LogLines, LogQuery},
    resources::Resources,
    storage::{StorageQuery, StorageReport},
    system::SystemStatus,
};
use crate::error::ApiError;
use crate::extract::Query;
use crate::log_stream;
use crate::middleware::authenticate::Asker;
use crate::ws::{Hub, SocketPace};

/// Show how everything is
#[utoipa::path(
    tag = "system",
    responses((status = 200, description = "The services and how much of the machine is used", body = SystemStatus,
        example = json!({
            "status": "running", "uptime": 3600,
            "services": {"dashboard": "running", "comfyui": "running", "preset_manager": "running"},
            "resources": {
                "cpu_percent": 45.0, "memory_percent": 78.0, "gpu_percent": 92.0, "disk_used_gb": 125.5, "disk_total_gb": 500.0,
                "disk_used_bytes": 134754598912u64, "disk_total_bytes": 536870912000u64
            },
            "started_at": "2026-02-15T09:30:00.000Z", "sampled_at": "2026-02-15T10:30:00.000Z"
        })))
)]
#[get("/api/system/status")]
pub(super) async fn system_status(dashboard: Data<Dashboard>) -> Json<SystemStatus> {
    let sample = dashboard.system.sample().await;
    Json(SystemStatus::new(&sample, dashboard.started_at(), dashboard.uptime()))
}

/// Show what fills the disk
#[utoipa::path(
    tag = "system",
    params(StorageQuery),
    responses((status = 200, description = "The disk and the models on it", body = StorageReport, example = json!({
        "workspace": {
            "path": "/workspace", "used_gb": 125.5, "total_gb": 500.0, "available_gb": 374.5, "usage_percent": 25.1,
            "used_bytes": 134754598912u64, "total_bytes": 536870912000u64, "available_bytes": 402116313088u64
        },
        "models": {
            "count": 42, "total_size_gb": 98.7, "total_size_bytes": 105978318029u64,
            "by_type": {"checkpoints": 15, "text_encoders": 8, "vae": 5, "loras": 14}
        },
        "detail": null
    })))
)]
#[get("/api/system/storage")]
pub(super) async fn storage(
    dashboard: Data<Dashboard>,
    query: Query<StorageQuery>,
) -> Result<Json<StorageReport>, ApiError> {
    let overview = dashboard.storage.overview().await?;
    let detail = if query.0.detail { Some(dashboard.storage.detail().await?) } else { None };
    Ok(Json(StorageReport::new(overview, detail)))
}

/// Show the machine's resources
///
/// In a container, processors and memory are what the container may use.
#[utoipa::path(
    tag = "system",
    responses((status = 200, description = "What the machine has and how much of it is used", body = Resources,
        example = json!(resources_example())))
)]
#[get("/api/system/resources")]
pub(super) async fn resources(dashboard: Data<Dashboard>) -> Json<Resources> {
    let sample = dashboard.system.sample().await;
    Json(Resources::from(&*sample))
}

/// Read the log
///
/// The latest lines of this server and of ComfyUI, the oldest of them first. With `follow=true` the answer is a stream of
/// server-sent events: these lines, then every new one that is wanted, each as the JSON of a line. It ends with the
/// credentials that opened it.
#[utoipa::path(
    tag = "system",
    params(LogQuery),
    responses(
        (status = 429, description = "`RATE_LIMIT_EXCEEDED`: this client has `MAX_SOCKETS_PER_CLIENT` sockets and followed logs open", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`: only its lines are wanted, and it does not answer", body = ErrorEnvelope),
        (status = 200, description = "The lines", content(
        (LogLines = "application/json", example = json!({"logs": [{
            "timestamp": "2026-02-15T10:30:00Z", "level": "INFO", "service": "dashboard",
            "message": "Starting ComfyUI Unified Dashboard...", "request_id": null
        }]})),
        (LogEvent = "text/event-stream", example = json!({"data": "{\"timestamp\":\"2026-02-15T10:30:00Z\",\"level\":\"INFO\"}"})),
        )),
    )
)]
#[get("/api/system/logs")]
pub(super) async fn logs(
    dashboard: Data<Dashboard>,
    hub: Data<Hub>,
    pace: Data<SocketPace>,
    asker: ReqData<Asker>,
    query: Query<LogQuery>,
) -> Result<HttpResponse, ApiError> {
    let (count, filter) = (query.0.count(), query.0.filter());
    if !query.0.follow {
        let lines = dashboard.logs.tail(count, &filter).await?;
        return Ok(HttpResponse::Ok().json(LogLines::from(lines)));
    }
    let (hub, asker) = (hub.into_inner(), asker.into_inner());
    let seat = hub.join(asker.client())?;
    let lines = dashboard.logs.follow(count, filter).await?;
    let reader = (asker, dashboard.as_ref().clone());
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // A compressor would hold lines back until its block is full.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(("x-accel-buffering", "no"))
        .streaming(log_stream::follow(lines, (hub, seat), reader, pace.ping)))
}

fn resources_example() -> serde_json::Value {
    serde_json::json!({
        "cpu": {"percent": 45.2, "count": 16, "freq": {"current": 3200.0, "min": 800.0, "max": 3200.0}},
        "memory": {
            "total_gb": 32.0, "available_gb": 7.0, "percent": 78.1, "used_gb": 25.0,
            "total_bytes": 34_359_738_368_u64, "available_bytes": 7_516_192_768_u64, "used_bytes": 26_843_545_600_u64
        },
        "gpu": {
            "count": 1,
            "devices": [{
                "id": 0, "name": "NVIDIA RTX 4090", "memory_total_gb": 24.0, "memory_used_gb": 22.1, "memory_free_gb": 1.9,
                "utilization_percent": 92.0, "temperature_c": 75.0, "memory_total_bytes": 25_769_803_776_u64,
                "memory_used_bytes": 23_729_694_310_u64, "memory_free_bytes": 2_040_109_466_u64,
                "uuid": "GPU-3f2a", "driver_version": "580.95.05", "source": "driver"
            }],
            "reason": null
        },
        "disk": {
            "total_gb": 500.0, "used_gb": 125.5, "free_gb": 374.5, "percent": 25.1, "total_bytes": 536_870_912_000_u64,
            "used_bytes": 134_754_598_912_u64, "free_bytes": 402_116_313_088_u64
        },
        "sampled_at": "2026-02-15T10:30:00.000Z"
    })
}
