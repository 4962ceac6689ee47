//! The one table of error codes: the word that clients match and the status that it travels with.

use actix_web::http::StatusCode;

/// Every code of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// A parameter, field, header or body that cannot be used.
    InvalidRequest,
    /// A workflow that is no workflow.
    InvalidWorkflow,
    /// Credentials are needed, or those given are wrong.
    Unauthorized,
    /// The credentials do not reach this far, or the page that asks is a foreign one.
    Forbidden,
    /// No such route, download, workflow, prompt or job.
    NotFound,
    /// No such preset.
    PresetNotFound,
    /// No such model file.
    ModelNotFound,
    /// The route exists, its method does not.
    MethodNotAllowed,
    /// The present state does not allow it.
    Conflict,
    /// Every file of the preset is there already.
    PresetAlreadyInstalled,
    /// A part of a file was asked for that it does not have.
    RangeNotSatisfiable,
    /// Somebody else changed it since it was read.
    PreconditionFailed,
    /// A body larger than is read.
    PayloadTooLarge,
    /// A body of another type than JSON.
    UnsupportedMediaType,
    /// Too many requests in a minute.
    RateLimitExceeded,
    /// A file could not be fetched.
    DownloadFailed,
    /// A fault of ours; the log has its cause.
    InternalError,
    /// The registry could not be read.
    RegistryUnavailable,
    /// Another process holds a lock on the database.
    DatabaseLocked,
    /// ComfyUI does not answer.
    ComfyuiUnavailable,
    /// Not enough room on the disk.
    InsufficientStorage,
    /// No more prompts are taken.
    QueueFull,
    /// Too many large requests are under way.
    ServerBusy,
}

impl ErrorCode {
    /// Every code, for documents and tests.
    pub const ALL: [Self; 23] = [
        Self::InvalidRequest,
        Self::InvalidWorkflow,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::PresetNotFound,
        Self::ModelNotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::PresetAlreadyInstalled,
        Self::RangeNotSatisfiable,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimitExceeded,
        Self::DownloadFailed,
        Self::InternalError,
        Self::RegistryUnavailable,
        Self::DatabaseLocked,
        Self::ComfyuiUnavailable,
        Self::InsufficientStorage,
        Self::QueueFull,
        Self::ServerBusy,
    ];

    /// The word that clients match, and the status of the answer.
    const fn row(self) -> (&'static str, u16) {
        match self {
            Self::InvalidRequest => ("INVALID_REQUEST", 400),
            Self::InvalidWorkflow => ("INVALID_WORKFLOW", 400),
            Self::Unauthorized => ("UNAUTHORIZED", 401),
            Self::Forbidden => ("FORBIDDEN", 403),
            Self::NotFound => ("NOT_FOUND", 404),
            Self::PresetNotFound => ("PRESET_NOT_FOUND", 404),
            Self::ModelNotFound => ("MODEL_NOT_FOUND", 404),
            Self::MethodNotAllowed => ("METHOD_NOT_ALLOWED", 405),
            Self::Conflict => ("CONFLICT", 409),
            Self::PresetAlreadyInstalled => ("PRESET_ALREADY_INSTALLED", 409),
            Self::RangeNotSatisfiable => ("RANGE_NOT_SATISFIABLE", 416),
            Self::PreconditionFailed => ("PRECONDITION_FAILED", 412),
            Self::PayloadTooLarge => ("PAYLOAD_TOO_LARGE", 413),
            Self::UnsupportedMediaType => ("UNSUPPORTED_MEDIA_TYPE", 415),
            Self::RateLimitExceeded => ("RATE_LIMIT_EXCEEDED", 429),
            Self::DownloadFailed => ("DOWNLOAD_FAILED", 500),
            Self::InternalError => ("INTERNAL_ERROR", 500),
            Self::RegistryUnavailable => ("REGISTRY_UNAVAILABLE", 502),
            Self::DatabaseLocked => ("DATABASE_LOCKED", 503),
            Self::ComfyuiUnavailable => ("COMFYUI_UNAVAILABLE", 503),
            Self::InsufficientStorage => ("INSUFFICIENT_STORAGE", 507),
            Self::QueueFull => ("QUEUE_FULL", 507),
            Self::ServerBusy => ("SERVER_BUSY", 503),
        }
    }

    /// The word that clients match.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}
