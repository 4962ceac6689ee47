//! `?envelope=true`: the JSON of a success stands under `data`, for clients that expect one shape everywhere.

use actix_web::{
    Error, HttpResponse,
    body::{self, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web::Data,
};
use service::Dashboard;

use super::refuse;
use crate::error::ApiError;

/// Wraps a success where that was asked for.
pub async fn wrap<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_wanted = match is_wanted(request.query_string()) {
        Ok(is_wanted) => is_wanted,
        Err(refusal) => return Ok(refuse(request, refusal)),
    };
    let answer = next.call(request).await?.map_into_boxed_body();
    if !is_wanted || !answer.status().is_success() || !is_json(&answer) {
        return Ok(answer);
    }
    let (request, answer) = answer.into_parts();
    let (head, content) = answer.into_parts();
    let content = match body::to_bytes(content).await {
        Ok(content) => content,
        Err(cause) => {
            let failed = HttpResponse::from_error(ApiError::internal(cause.to_string()));
            return Ok(ServiceResponse::new(request, failed));
        }
    };
    let now = request.app_data::<Data<Dashboard>>().map(|dashboard| dashboard.now()).unwrap_or_default();
    let mut wrapped = Vec::with_capacity(content.len() + 96);
    wrapped.extend_from_slice(b"{\"status\":\"success\",\"data\":");
    wrapped.extend_from_slice(&content);
    wrapped.extend_from_slice(format!(",\"message\":null,\"timestamp\":\"{now}\"}}").as_bytes());
    Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(wrapped))))
}

fn is_wanted(query: &str) -> Result<bool, ApiError> {
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "envelope");
    match asked.as_ref().map(|(_, value)| value.as_ref()) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(ApiError::invalid("envelope", format!("{other:?} is neither \"true\" nor \"false\""))),
    }
}

/// Whether the answer is JSON.
pub(super) fn is_json(answer: &ServiceResponse) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    content_type.and_then(|value| value.to_str().ok()).is_some_and(|value| value.starts_with("application/json"))
}
