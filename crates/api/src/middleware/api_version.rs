//! `X-API-Version`: which version of the interface is spoken. An answer names the full form of the one that was asked for.

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
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

/// Refuses versions that are not spoken and names the one that is.
pub async fn negotiate<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let spoken = match request.headers().get(&HEADER) {
        None => Ok(CURRENT),
        Some(asked) => spoken(asked.to_str().unwrap_or_default()),
    };
    let (mut answer, version) = match spoken {
        Ok(version) => (next.call(request).await?.map_into_boxed_body(), version),
        Err(refusal) => (refuse(request, refusal), CURRENT),
    };
    answer.headers_mut().insert(HEADER, HeaderValue::from_static(version));
    Ok(answer)
}

fn spoken(asked: &str) -> Result<&'static str, ApiError> {
    let found = SUPPORTED.iter().find(|(short, _)| *short == asked.trim());
    found.map(|(_, full)| *full).ok_or_else(|| {
        let supported = SUPPORTED.map(|(short, _)| short);
        let message = format!("X-API-Version: {asked:?} is not spoken; it takes {}", supported.join(", "));
        ApiError::new(ErrorCode::InvalidRequest, message)
            .with("parameter", "X-API-Version")
            .with("supported", supported.to_vec())
    })
}
