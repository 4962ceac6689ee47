//! A tag on every JSON that was read, so that who has it already need not be sent it again.
//!
//! The tag is made of the body, and weak: the same JSON may travel compressed or not. Streams and files are left alone, and so
//! are answers whose route has a tag of its own.

use std::rc::Rc;

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    body::{self, BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, EntityTag, Header, HeaderValue, IfNoneMatch},
    },
    middleware::Next,
    web::Data,
};
use bytes::Bytes;
use service::Dashboard;
use sha2::{Digest, Sha256};

use super::envelope::is_json;
use super::prepared::Prepared;
use super::request::{Asked, Cost};
use crate::error::ApiError;

/// Bytes of the hash that are in the tag.
const TAG_BYTES: usize = 16;

/// Tags what was read, and answers 304 to who has it. What is prepared is neither made nor hashed again.
pub async fn tag<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let asked = request.extensions().get::<Asked>().cloned().unwrap_or_default();
    // What answers whether the server is well has the time in it: no tag of it is ever seen again.
    if asked.cost == Cost::Free {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let is_reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let (mut place, dashboard) = (None, request.app_data::<Data<Dashboard>>().cloned());
    if let Some(dashboard) = dashboard.as_ref().filter(|_| is_reading) {
        let address = request.uri().path_and_query().map_or("", |address| address.as_str());
        place = Prepared::place(dashboard, &asked, request.method(), address).await;
        let prepared = request.app_data::<Rc<Prepared>>();
        let found = prepared.zip(place.as_ref()).and_then(|(all, place)| all.find(place, || dashboard.now()));
        if let Some(found) = found {
            let mut answer = HttpResponse::Ok();
            let answer =
                answer.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json"))).finish();
            let (request, _) = request.into_parts();
            return Ok(tagged(request, answer, found.bytes, found.tag));
        }
    }
    let answer = next.call(request).await?.map_into_boxed_body();
    let is_whole = matches!(answer.response().body().size(), BodySize::Sized(1..));
    let has_own_tag = answer.headers().contains_key(header::ETAG);
    if has_own_tag || !is_reading || !is_whole || answer.status() != StatusCode::OK || !is_json(&answer) {
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
    let digest = Sha256::digest(&content);
    let tag = format!("W/\"{}\"", hex::encode(&digest[..TAG_BYTES]));
    let Ok(tag) = HeaderValue::from_str(&tag) else {
        return Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(content))));
    };
    if let (Some(place), Some(dashboard), Some(prepared)) = (place, dashboard, request.app_data::<Rc<Prepared>>()) {
        prepared.keep(place, &dashboard, request.match_info().get("preset_id"), &content, &tag);
    }
    Ok(tagged(request, head.set_body(BoxBody::new(())), content, tag))
}

/// The answer with its tag, and with its body where the client does not have that.
fn tagged(
    request: HttpRequest,
    mut answer: HttpResponse<BoxBody>,
    content: Bytes,
    tag: HeaderValue,
) -> ServiceResponse<BoxBody> {
    let is_known = request.headers().contains_key(header::IF_NONE_MATCH) && is_known(&request, &tag);
    answer.headers_mut().insert(header::ETAG, tag);
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer.headers_mut().remove(header::CONTENT_TYPE);
        return ServiceResponse::new(request, answer);
    }
    ServiceResponse::new(request, answer.set_body(BoxBody::new(content)))
}

fn is_known(request: &HttpRequest, tag: &HeaderValue) -> bool {
    let tag = tag.to_str().ok().and_then(|tag| tag.parse::<EntityTag>().ok());
    match (IfNoneMatch::parse(request), tag) {
        (Ok(IfNoneMatch::Any), _) => true,
        (Ok(IfNoneMatch::Items(tags)), Some(tag)) => tags.iter().any(|other| other.weak_eq(&tag)),
        _ => false,
    }
}
