//! `X-API-Version`: which version of the interface is spoken. An answer names the full form of the one that was asked for.

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};

use super::refuse;
use crate::error::{ApiError, ErrorCode};

/// The version that is spoken where none is asked for.
pub const CURRENT: &str = "2.0.0";
/// What may be asked for, and its full form.
pub const SUPPORTED: [(&str, &str); 4] = [("2", "2.0.0"), ("2.0", "2.0.0"), ("2.0.0", "2.0.0"), ("2.1.0", "2.1.0")];
/// The header, in requests and answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-api-version");

/// Names the version that is spoken on every answer, refusals included.
pub async fn announce<B: MessageBody>(request: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let version = spoken(request.headers()).unwrap_or(CURRENT);
    let mut answer = next.call(request).await?;
    answer.headers_mut().insert(HEADER, HeaderValue::from_static(version));
    Ok(answer)
}

/// Refuses versions that are not spoken.
pub async fn require<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match spoken(request.headers()) {
        Ok(_) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(refusal) => Ok(refuse(request, refusal)),
    }
}

fn spoken(headers: &HeaderMap) -> Result<&'static str, ApiError> {
    let Some(asked) = headers.get(&HEADER) else { return Ok(CURRENT) };
    let asked = asked.to_str().unwrap_or_default();
    let found = SUPPORTED.iter().find(|(short, _)| *short == asked.trim());
    found.map(|(_, full)| *full).ok_or_else(|| {
        let supported = SUPPORTED.map(|(short, _)| short);
        let message = format!("X-API-Version: {asked:?} is not spoken; it takes {}", supported.join(", "));
        ApiError::new(ErrorCode::InvalidRequest, message)
            .with("parameter", "X-API-Version")
            .with("supported", supported.to_vec())
    })
}
