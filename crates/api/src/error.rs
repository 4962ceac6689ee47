//! What a failure looks like from outside. The service's closed list of causes becomes a code, a sentence and details here;
//! the cause itself is kept for the log. It must not know how the answer is written (`middleware::error_envelope` does).

use std::fmt;

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use serde_json::{Map, Value, json};
use service::json_bounds::TooComplex;
use service::{Resource, text};

pub use crate::error_code::ErrorCode;

/// A failure on its way out: everything that the client may know, and what only the log may.
#[derive(Debug)]
pub struct ApiError {
    /// What clients match.
    pub code: ErrorCode,
    /// A sentence for a person.
    pub message: String,
    /// Values that a client can act on.
    pub details: Box<Map<String, Value>>,
    /// Headers that belong to this failure.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log only.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// A failure without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Box::default(), headers: Vec::new(), cause: None }
    }

    /// The same failure with one more detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// The same failure with one more header. A value that cannot be one is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        self
    }

    /// A parameter, field or header that cannot be used; the message says what it takes.
    pub fn invalid(parameter: &str, message: impl fmt::Display) -> Self {
        let message = if parameter.is_empty() { message.to_string() } else { format!("{parameter}: {message}") };
        Self::new(ErrorCode::InvalidRequest, message).with("parameter", parameter)
    }

    /// A text that its parser does not accept. What the parser says may repeat any part of the text.
    pub(crate) fn unparsable(parameter: &str, said: &dyn fmt::Display) -> Self {
        Self::invalid(&text::shorten(parameter), text::shorten(&said.to_string()))
    }

    /// JSON of more values or levels than are accepted.
    pub(crate) fn too_complex(what: &str, excess: TooComplex) -> Self {
        let (limit, unit) = (excess.limit(), excess.unit());
        Self::new(ErrorCode::PayloadTooLarge, format!("{what} has more than {limit} {unit}"))
            .with(&format!("limit_{unit}"), limit)
    }

    /// A fault of ours.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { cause: Some(cause.into()), ..Self::new(ErrorCode::InternalError, "Internal error") }
    }
}

impl From<service::Error> for ApiError {
    fn from(error: service::Error) -> Self {
        use service::Error as Cause;
        let message = error.to_string();
        let failure = |code| Self::new(code, message.clone());
        match error {
            Cause::PresetNotFound(id) => failure(ErrorCode::PresetNotFound).with("preset_id", id),
            Cause::PresetAlreadyInstalled(id) => {
                failure(ErrorCode::PresetAlreadyInstalled).with("preset_id", id.as_str())
            }
            Cause::ModelNotFound(path) => failure(ErrorCode::ModelNotFound).with("path", path),
            Cause::NotFound { resource, id } => {
                failure(ErrorCode::NotFound).with("resource", resource_word(resource)).with("id", id)
            }
            Cause::Invalid { field, .. } => failure(ErrorCode::InvalidRequest).with("parameter", field),
            Cause::Unauthorized => failure(ErrorCode::Unauthorized).with_header(header::WWW_AUTHENTICATE, "Bearer"),
            Cause::RateLimited { retry_after } => {
                let seconds = retry_after.as_secs_f64().ceil().max(1.0).to_string();
                failure(ErrorCode::RateLimitExceeded).with_header(header::RETRY_AFTER, &seconds)
            }
            Cause::Conflict { details, .. } => {
                details.into_iter().fold(failure(ErrorCode::Conflict), |error, (name, value)| error.with(name, value))
            }
            Cause::Forbidden(_) => failure(ErrorCode::Forbidden),
            Cause::ReplacingNeedsAdmin { paths } => {
                failure(ErrorCode::Forbidden).with("needs", "admin").with("paths", paths)
            }
            Cause::ChangedMeanwhile { etag } => failure(ErrorCode::PreconditionFailed).with("etag", etag),
            Cause::TooComplex { what, excess } => Self::too_complex(what, excess),
            Cause::TooLarge { limit_bytes, .. } => failure(ErrorCode::PayloadTooLarge).with("limit_bytes", limit_bytes),
            Cause::ComfyUnavailable { tried, cause } => {
                Self { cause: Some(Box::new(cause)), ..failure(ErrorCode::ComfyuiUnavailable).with("tried", tried) }
            }
            Cause::NoGraph(_) => failure(ErrorCode::InvalidWorkflow).with("parameter", "workflow"),
            Cause::InvalidWorkflow(refused) => failure(ErrorCode::InvalidWorkflow)
                .with("faults", refused.faults.iter().map(fault).collect::<Vec<_>>())
                .with("error", refused.error)
                .with("node_errors", refused.node_errors),
            Cause::QueueFull { waiting, limit } => {
                failure(ErrorCode::QueueFull).with("needed", waiting + 1).with("available", limit)
            }
            Cause::InsufficientStorage { needed_bytes, available_bytes } => failure(ErrorCode::InsufficientStorage)
                .with("needed_bytes", needed_bytes)
                .with("available_bytes", available_bytes),
            Cause::DownloadFailed { file, .. } => failure(ErrorCode::DownloadFailed).with("file", file),
            Cause::RegistryUnavailable { source_url, cause, age_seconds } => failure(ErrorCode::RegistryUnavailable)
                .with("source", source_url)
                .with("cause", cause)
                .with("age_seconds", json!(age_seconds)),
            // How much room it would have taken is not known.
            Cause::DatabaseFull => {
                failure(ErrorCode::InsufficientStorage).with("needed_bytes", Value::Null).with("available_bytes", 0)
            }
            Cause::DatabaseLocked(cause) => {
                Self { cause: Some(cause), ..failure(ErrorCode::DatabaseLocked).with_header(header::RETRY_AFTER, "1") }
            }
            Cause::DatabaseUnusable { .. } => Self::internal(message),
            Cause::Contradiction { source, .. } => Self::internal(source),
            Cause::Internal(cause) => Self::internal(cause),
        }
    }
}

/// What is wrong with one node or input of a workflow.
fn fault(fault: &service::workflows::Fault) -> Value {
    json!({"node": fault.node, "node_type": fault.node_type, "input": fault.input, "message": fault.problem})
}

/// The word for a resource in `details.resource`.
fn resource_word(resource: Resource) -> &'static str {
    match resource {
        Resource::Download => "download",
        Resource::Workflow => "workflow",
        Resource::Prompt => "prompt",
        Resource::Job => "job",
        Resource::Key => "key",
        Resource::Session => "session",
        Resource::Output => "output",
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code.as_str(), self.message)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// Status and headers: the body needs the request's id and the time, which are known one layer further out.
    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        for header in &self.headers {
            answer.insert_header(header.clone());
        }
        answer.finish()
    }
}
