//! What pages of other origins may read. It decides about answers only; whether a request is served at all is
//! `authenticate`'s. Unlisted origins may read what carries its own key or needs none, never what a cookie or the loopback
//! trust opened.

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderMap, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use super::authenticate::{Rules, has_key};
use super::request::Asked;
use crate::operations::Role;
use crate::origin::{AllowedOrigins, single};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
const HEADERS: &str = "Authorization, Content-Type, X-API-Version, X-Request-Id, If-Match, If-None-Match, Range";
const EXPOSED: &str = "X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-RateLimit-Reset-Time, Retry-After, \
     X-Request-Id, X-API-Version, ETag, Content-Range, Content-Disposition";
const PREFLIGHT_SECONDS: &str = "600";

/// Answers preflights and says who may read the answer.
pub async fn allow<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(origin) = single(request.headers(), header::ORIGIN.as_str()).map(str::to_owned) else {
        return Ok(next.call(request).await?.map_into_boxed_body());
    };
    let rules = request.app_data::<Data<Rules>>().cloned();
    let origins = rules.as_ref().map(|rules| rules.origins.clone()).unwrap_or_default();
    let is_preflight = is_preflight(&request);
    let is_free = is_preflight || has_key(request.headers()) || is_open(&request);

    let mut answer =
        if is_preflight { request.into_response(preflight()) } else { next.call(request).await?.map_into_boxed_body() };
    describe(answer.headers_mut(), &origins, &origin, is_free);
    Ok(answer)
}

/// Whether a browser asks what it may ask.
pub(super) fn is_preflight(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

fn is_open(request: &ServiceRequest) -> bool {
    request.extensions().get::<Asked>().is_some_and(|asked| asked.role == Role::Open)
}

/// A preflight needs no credentials and reaches no route.
fn preflight() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS))
        .finish()
}

fn describe(headers: &mut HeaderMap, origins: &AllowedOrigins, origin: &str, is_free: bool) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let allowed = match origins {
        AllowedOrigins::Unlisted if is_free => HeaderValue::from_static("*"),
        AllowedOrigins::Listed(_) if origins.lists(origin) => {
            let Ok(origin) = HeaderValue::from_str(origin) else { return };
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            origin
        }
        AllowedOrigins::Unlisted | AllowedOrigins::Listed(_) => return,
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}
