//! Everything that can fail in the service, as one closed list. It knows causes, not status codes or JSON.

use std::{path::PathBuf, time::Duration};

use comfy_client::Fault;
use registry::PresetId;
use serde_json::Value;

use crate::database::is_busy;
use crate::json_bounds::TooComplex;

/// What kind of thing was asked for and is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A download, by its id.
    Download,
    /// A workflow, by its id.
    Workflow,
    /// A ComfyUI prompt, by its id.
    Prompt,
    /// A background job, by its id.
    Job,
    /// A key, by its id.
    Key,
    /// A session, by its id.
    Session,
    /// A file that ComfyUI made, by its path.
    Output,
}

/// Why the service did not do what was asked.
///
/// The message of a variant is for the person who asked; the source, if any, is for the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No preset of this id, in the registry or installed.
    #[error("Preset '{0}' not found")]
    PresetNotFound(String),
    /// All files are there and no newer version is known.
    #[error("Preset '{0}' is already installed; send {{\"force\": true}} to verify its files again")]
    PresetAlreadyInstalled(PresetId),
    /// No such file below the models folder.
    #[error("Model '{0}' not found")]
    ModelNotFound(String),
    /// Something else that is not there.
    #[error("No {} '{id}'", resource_word(*.resource))]
    NotFound {
        /// What was looked for.
        resource: Resource,
        /// The id as given.
        id: String,
    },
    /// A value that was given cannot be used.
    #[error("{message}")]
    Invalid {
        /// The parameter, field or header.
        field: String,
        /// What is wrong with it and what is accepted.
        message: String,
    },
    /// What was presented proves nothing: it is wrong, expired, revoked or not there.
    #[error("The credentials are not valid")]
    Unauthorized,
    /// Too many attempts.
    #[error("Too many attempts; try again in {} s", .retry_after.as_secs().max(1))]
    RateLimited {
        /// After how long one more is allowed.
        retry_after: Duration,
    },
    /// The present state does not allow it.
    #[error("{message}")]
    Conflict {
        /// What stands in the way.
        message: String,
        /// Names and values that a client can act on.
        details: Vec<(&'static str, String)>,
    },
    /// What is there may be looked at and run, not changed.
    #[error("{0}")]
    Forbidden(String),
    /// Files would be replaced that this dashboard did not fetch and that nothing shows to be damaged.
    #[error("Replacing {} needs the role admin: not fetched by this dashboard, and not known to be damaged", .paths.join(", "))]
    ReplacingNeedsAdmin {
        /// The files, below the models folder.
        paths: Vec<String>,
    },
    /// Somebody else changed it since it was read.
    #[error("The resource changed; fetch it again and retry")]
    ChangedMeanwhile {
        /// The tag of what is there now.
        etag: String,
    },
    /// More bytes than are kept.
    #[error("{what} is larger than what is taken")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The most that is taken; of what ComfyUI takes that is not known.
        limit_bytes: Option<u64>,
    },
    /// JSON of more values or levels than are accepted.
    #[error("{what} has more than {} {}", .excess.limit(), .excess.unit())]
    TooComplex {
        /// What is too complex.
        what: &'static str,
        /// What it has too many of.
        excess: TooComplex,
    },
    /// ComfyUI is down, hangs or talks nonsense.
    #[error("{cause}")]
    ComfyUnavailable {
        /// Method and address.
        tried: String,
        /// What happened.
        cause: comfy_client::ComfyError,
    },
    /// What was given for a workflow is no graph; the sentence says what it is.
    #[error("{0}")]
    NoGraph(String),
    /// A workflow that ComfyUI cannot run.
    #[error("{}", workflow_sentence(&.0.faults))]
    InvalidWorkflow(Box<RefusedWorkflow>),
    /// No more prompts are taken.
    #[error("The queue is full ({waiting} of {limit})")]
    QueueFull {
        /// Prompts that wait or run.
        waiting: u64,
        /// The most that may.
        limit: u64,
    },
    /// The bytes that are missing do not fit.
    #[error("Not enough disk space: {needed_bytes} bytes are needed, {available_bytes} are available")]
    InsufficientStorage {
        /// Bytes still to be written.
        needed_bytes: u64,
        /// Bytes that may be used, after the reserve and what other downloads need.
        available_bytes: u64,
    },
    /// A file could not be fetched; the message says why in words.
    #[error("{message}")]
    DownloadFailed {
        /// What went wrong and what to do about it.
        message: String,
        /// The file that failed.
        file: String,
    },
    /// The registry could not be asked.
    #[error("The registry at {source_url} could not be read: {cause}")]
    RegistryUnavailable {
        /// Where it was asked.
        source_url: String,
        /// Why it failed.
        cause: String,
        /// Seconds since the copy in force was fetched; `None`: it is the built-in or a local one.
        age_seconds: Option<u64>,
    },
    /// The database is from a newer version or cannot be used.
    #[error("The database {path} cannot be used: {reason}")]
    DatabaseUnusable {
        /// The database file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The disk that holds the database has no room for what was to be kept.
    #[error("The disk that holds the database is full; make room and ask again")]
    DatabaseFull,
    /// Another process holds a lock on the database.
    #[error("The database is locked by another process; try again")]
    DatabaseLocked(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was to be kept contradicts what the database holds: writing it again would fail again.
    #[error("internal error")]
    Contradiction {
        /// Another row has the value that may be there once.
        is_duplicate: bool,
        /// In the words of the database, for the log only.
        #[source]
        source: sqlx::Error,
    },
    /// A fault of ours or of the machine: the cause is for the log only.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What is wrong with a workflow.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RefusedWorkflow {
    /// By node and input, in our words.
    pub faults: Vec<Fault>,
    /// What ComfyUI itself says of the workflow as a whole, unchanged.
    pub error: Value,
    /// What ComfyUI itself says, by node, unchanged.
    pub node_errors: Value,
}

impl Error {
    /// A value that cannot be used: `field` names it, `message` says what is accepted.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// A conflict with the present state.
    pub fn conflict(message: impl Into<String>, details: Vec<(&'static str, String)>) -> Self {
        Self::Conflict { message: message.into(), details }
    }

    pub(crate) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Whether the same may succeed later: the disk, a lock or the machine stood in the way, not what was asked.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::DatabaseFull | Self::DatabaseLocked(_) => true,
            Self::Internal(source) => match source.downcast_ref::<sqlx::Error>() {
                Some(cause) => !matches!(cause, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)),
                None => source.is::<std::io::Error>(),
            },
            _ => false,
        }
    }

    pub(crate) fn no_download(id: &str) -> Self {
        Self::NotFound { resource: Resource::Download, id: id.to_owned() }
    }
}

/// SQLite's code for a disk that is full, `SQLITE_FULL`.
const SQLITE_FULL: u32 = 13;
/// SQLite's codes for what fails however often it is tried: `SQLITE_TOOBIG`, `SQLITE_CONSTRAINT`, `SQLITE_MISMATCH`.
const SQLITE_REFUSALS: [u32; 3] = [18, 19, 20];

impl From<sqlx::Error> for Error {
    fn from(cause: sqlx::Error) -> Self {
        let database = cause.as_database_error();
        // The low byte is the kind; the rest says more of it.
        let kind = database.and_then(|error| error.code()?.parse::<u32>().ok()).map(|code| code & 0xff);
        match kind {
            Some(SQLITE_FULL) => Self::DatabaseFull,
            _ if is_busy(&cause) => Self::DatabaseLocked(Box::new(cause)),
            Some(code) if SQLITE_REFUSALS.contains(&code) => {
                let is_duplicate = database.is_some_and(|error| error.is_unique_violation());
                Self::Contradiction { is_duplicate, source: cause }
            }
            _ => Self::internal(cause),
        }
    }
}

impl From<comfy_client::ComfyError> for Error {
    fn from(cause: comfy_client::ComfyError) -> Self {
        use comfy_client::ComfyError as Failed;
        let (Failed::Unavailable { tried, .. } | Failed::Unsupported { tried } | Failed::Refused { tried, .. }) =
            &cause;
        Self::ComfyUnavailable { tried: tried.clone(), cause }
    }
}

fn workflow_sentence(faults: &[Fault]) -> String {
    match faults {
        [] => "ComfyUI does not take the workflow".to_owned(),
        [only] => format!("The workflow cannot be run: {only}"),
        [first, rest @ ..] => format!("The workflow cannot be run: {first}; and {} more", rest.len()),
    }
}

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
