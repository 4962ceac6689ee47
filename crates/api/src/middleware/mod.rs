//! What happens to every request around its route, outermost first: `request` (id, log line, measures), `request_body`,
//! `security_headers`, `error_envelope`, `api_version`, `cors`, `admit` (by `authenticate` and `rate_limit`), `entity_tag` (with the answers that are `prepared`), `envelope`, `head`, and
//! `routes::unrouted`. They know operations, never their content.

pub mod admit;
pub mod api_version;
pub mod authenticate;
pub mod cors;
pub mod entity_tag;
pub mod envelope;
pub mod error_envelope;
pub mod head;
pub(crate) mod prepared;
pub mod rate_limit;
pub mod request;
pub mod request_body;
pub mod security_headers;

use actix_web::{
    HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
};

use crate::error::ApiError;

/// The answer to a request that goes no further.
fn refuse(request: ServiceRequest, refusal: ApiError) -> ServiceResponse<BoxBody> {
    let (request, _) = request.into_parts();
    ServiceResponse::new(request, HttpResponse::from_error(refusal))
}
