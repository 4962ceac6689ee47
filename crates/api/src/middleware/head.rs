//! `HEAD` is `GET` whose body stays at home: the router sees `GET`, the connection leaves the body out.

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
};

use super::request::Asked;
use crate::operations::changes_something;

/// Lets a `HEAD` find the route of its `GET`. A `GET` that changes something, or reads every model, is not done for it, and
/// one whose answer never ends is not begun.
pub async fn as_get<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.method() != Method::HEAD {
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let acts = |asked: &Asked| {
        changes_something(&Method::GET, asked.role) || asked.operation.as_deref() == Some("validate_models")
    };
    if request.extensions().get::<Asked>().is_some_and(acts) {
        return Ok(request.into_response(HttpResponse::Ok().content_type("application/json").finish()));
    }
    request.head_mut().method = Method::GET;
    let answer = next.call(request).await?.map_into_boxed_body();
    Ok(answer.map_body(|_, body| match body.size() {
        BodySize::Stream => BoxBody::new(()),
        BodySize::None | BodySize::Sized(_) => body,
    }))
}
