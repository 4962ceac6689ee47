//! One body for everything that fails, wherever it failed. Here an error becomes an answer; its cause goes to the line that `request`
//! writes.

use std::error::Error as StdError;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderName},
    },
    middleware::Next,
    web::Data,
};
use serde_json::Value;
use service::{Dashboard, text::shorten};

use super::request::Asked;
use crate::dto::error::{ErrorBody, ErrorEnvelope};
use crate::error::{ApiError, ErrorCode};

/// Headers that go with the body that is replaced.
const OF_THE_OLD_BODY: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

/// Most characters of a message. One that is longer repeats what the client sent.
const MAX_MESSAGE_CHARS: usize = 400;

/// Gives every failure its body.
pub async fn render<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let answer = next.call(request).await?.map_into_boxed_body();
    let status = answer.status();
    if !(status.is_client_error() || status.is_server_error()) || has_own_body(&answer) {
        return Ok(answer);
    }
    let (request, failed) = answer.into_parts();
    let id = request.extensions().get::<Asked>().map(|asked| asked.id.clone()).unwrap_or_default();
    let unnamed;
    let failure = match failed.error().and_then(|error| error.as_error::<ApiError>()) {
        Some(failure) => failure,
        None => {
            unnamed = from_status(status, failed.error());
            &unnamed
        }
    };
    let now = request.app_data::<Data<Dashboard>>().map(|dashboard| dashboard.now());
    if failure.code.status().is_server_error() {
        request.extensions_mut().insert(Failed::of(failure));
    }
    let body = ErrorEnvelope { error: shown(failure, &id, now.unwrap_or_default()) };
    let mut rendered = HttpResponse::build(failure.code.status());
    for (name, value) in failed.headers() {
        if !OF_THE_OLD_BODY.contains(name) {
            rendered.append_header((name.clone(), value.clone()));
        }
    }
    Ok(ServiceResponse::new(request, rendered.json(body)))
}

/// A route may answer a failure in its own JSON: `/readyz` does.
fn has_own_body(answer: &ServiceResponse) -> bool {
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes() == b"application/json") && answer.response().error().is_none()
}

/// What the log has of a request that the server could not serve, for its line.
pub(super) struct Failed {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) cause: Option<String>,
}

impl Failed {
    fn of(failure: &ApiError) -> Self {
        Self {
            code: failure.code.as_str(),
            message: short_message(&failure.message),
            cause: failure.cause.as_deref().map(|cause| chain(cause)),
        }
    }
}

/// What the client may know of a failure outside the answer to a request. The cause goes to the log, and only there.
pub fn body_of(failure: &ApiError, request_id: &str, now: jiff::Timestamp) -> ErrorBody {
    if failure.code.status().is_server_error() {
        let Failed { code, message, cause } = Failed::of(failure);
        tracing::error!(request_id, code, cause, "{message}");
    }
    shown(failure, request_id, now)
}

/// What the client may know of a failure. Texts of a client are cut here.
fn shown(failure: &ApiError, request_id: &str, now: jiff::Timestamp) -> ErrorBody {
    let mut details = (*failure.details).clone();
    for detail in details.values_mut() {
        if let Value::String(text) = detail {
            *text = shorten(text).into_owned();
        }
    }
    let mut message = short_message(&failure.message);
    if failure.code == ErrorCode::InternalError {
        message = format!("Internal error; the log has its cause under the request id {request_id}");
        details = [("request_id".to_owned(), request_id.into())].into_iter().collect();
    }
    ErrorBody { code: failure.code.as_str().to_owned(), message, details, timestamp: now }
}

/// A message with at most [`MAX_MESSAGE_CHARS`] characters.
fn short_message(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some(_) => shorten(message).into_owned(),
        None => message.to_owned(),
    }
}

/// A cause and what caused it, in one line.
fn chain(cause: &(dyn StdError + 'static)) -> String {
    let mut text = cause.to_string();
    let mut deeper = cause.source();
    while let Some(source) = deeper {
        text = format!("{text}: {source}");
        deeper = source.source();
    }
    text
}

/// A failure that the framework found, in the words of the interface.
fn from_status(status: StatusCode, error: Option<&Error>) -> ApiError {
    let words = error.map(ToString::to_string).filter(|words| !words.is_empty());
    let said = |otherwise: &str| words.clone().unwrap_or_else(|| otherwise.to_owned());
    match status {
        StatusCode::NOT_FOUND => {
            ApiError::new(ErrorCode::NotFound, said("There is no such route")).with("resource", "route")
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::new(ErrorCode::MethodNotAllowed, said("This route does not take this method"))
        }
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(ErrorCode::PayloadTooLarge, said("The body is too large")),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ApiError::new(ErrorCode::UnsupportedMediaType, said("The body must be JSON"))
        }
        status if status.is_client_error() => {
            ApiError::new(ErrorCode::InvalidRequest, said("The request cannot be used"))
        }
        _ => ApiError::internal(said("a failure without a cause")),
    }
}
