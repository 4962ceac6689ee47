//! Whether the server is well: for people, for orchestrators, for Prometheus.

use actix_web::{
    HttpResponse, get,
    http::StatusCode,
    web::{Data, Json},
};
use service::Dashboard;

use crate::dto::health::{Health, HealthState, Probe};
use crate::measures::Measures;
use crate::middleware::api_version;

/// Check the server's health
#[utoipa::path(
    tag = "health",
    responses((status = 200, description = "How well it is", body = Health, example = json!({
        "status": "healthy", "service": "comfyui-dashboard", "version": "2.0.0", "product_version": "0.1.0",
        "timestamp": "2026-02-15T10:30:00Z"
    })))
)]
#[get("/health")]
pub(super) async fn health(dashboard: Data<Dashboard>) -> Json<Health> {
    Json(look(&dashboard))
}

/// Check the server's health
#[utoipa::path(
    tag = "health",
    responses((status = 200, description = "How well it is", body = Health, example = json!({
        "status": "healthy", "service": "comfyui-dashboard", "version": "2.0.0", "product_version": "0.1.0",
        "timestamp": "2026-02-15T10:30:00Z"
    })))
)]
#[get("/api/health")]
pub(super) async fn api_health(dashboard: Data<Dashboard>) -> Json<Health> {
    Json(look(&dashboard))
}

/// Check that the process answers
#[utoipa::path(
    tag = "health",
    responses((status = 200, description = "It does", body = Probe, example = json!({"status": "alive"})))
)]
#[get("/livez")]
pub(super) async fn livez() -> Json<Probe> {
    Json(Probe { status: "alive".to_owned() })
}

/// Check that requests can be served
#[utoipa::path(
    tag = "health",
    responses(
        (status = 200, description = "They can", body = Probe, example = json!({"status": "ready"})),
        (status = 503, description = "The database does not answer", body = Probe, example = json!({"status": "unready"})),
    )
)]
#[get("/readyz")]
pub(super) async fn readyz(dashboard: Data<Dashboard>) -> (Json<Probe>, StatusCode) {
    match look(&dashboard).status {
        HealthState::Healthy => (Json(Probe { status: "ready".to_owned() }), StatusCode::OK),
        HealthState::Degraded => (Json(Probe { status: "unready".to_owned() }), StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Read the server's measures
///
/// In the text format of Prometheus.
#[utoipa::path(
    tag = "health",
    responses((status = 200, description = "The measures", body = String, content_type = "text/plain",
        example = "http_requests_total{operation=\"list_presets\",status=\"200\"} 3"))
)]
#[get("/metrics")]
pub(super) async fn metrics(measures: Data<Measures>, dashboard: Data<Dashboard>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(measures.render(&dashboard).await)
}

fn look(dashboard: &Dashboard) -> Health {
    Health {
        status: if dashboard.is_ready() { HealthState::Healthy } else { HealthState::Degraded },
        service: "comfyui-dashboard".to_owned(),
        version: api_version::CURRENT.to_owned(),
        product_version: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: dashboard.now(),
    }
}
