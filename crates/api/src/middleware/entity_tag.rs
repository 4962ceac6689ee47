//! A tag on every JSON that was read, so that who has it already need not be sent it again.
//!
//! The tag is made of the body, and weak: the same JSON may travel compressed or not. Streams and files are left alone, and so
//! are answers whose route has a tag of its own.

use actix_web::{
    Error, HttpResponse,
    body::{self, BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, EntityTag, Header, IfNoneMatch},
    },
    middleware::Next,
};
use sha2::{Digest, Sha256};

use super::envelope::is_json;
use crate::error::ApiError;

/// Bytes of the hash that are in the tag.
const TAG_BYTES: usize = 16;

/// Tags what was read, and answers 304 to who has it.
pub async fn tag<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let answer = next.call(request).await?.map_into_boxed_body();
    let is_whole = matches!(answer.response().body().size(), BodySize::Sized(1..));
    let has_own_tag = answer.headers().contains_key(header::ETAG);
    if has_own_tag || !is_reading || !is_whole || answer.status() != StatusCode::OK || !is_json(&answer) {
        return Ok(answer);
    }
    let (request, answer) = answer.into_parts();
    let (mut head, content) = answer.into_parts();
    let content = match body::to_bytes(content).await {
        Ok(content) => content,
        Err(cause) => {
            let failed = HttpResponse::from_error(ApiError::internal(cause.to_string()));
            return Ok(ServiceResponse::new(request, failed));
        }
    };
    let digest = Sha256::digest(&content);
    let tag = EntityTag::new_weak(hex::encode(&digest[..TAG_BYTES]));
    let is_known = match IfNoneMatch::parse(&request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(&tag)),
        Err(_) => false,
    };
    if let Ok(value) = tag.to_string().parse() {
        head.headers_mut().insert(header::ETAG, value);
        head.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache"));
    }
    if is_known {
        *head.status_mut() = StatusCode::NOT_MODIFIED;
        head.headers_mut().remove(header::CONTENT_TYPE);
        return Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(()))));
    }
    Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(content))))
}
