//! What can go wrong, as a caller can act on it. Messages are sentences for a person; none holds a token or a query.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::io::Errno;

use crate::halt::Shortage;
use crate::hosts::{self, AN_HTML_PAGE};
use crate::{JobId, Sha256Digest, SourceUrlError};

/// Why the engine could not be built.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS or the resolver could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Client(#[source] reqwest::Error),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such job, or it has ended.
    #[error("there is no download {0} that is waiting, running, paused or failed")]
    UnknownJob(JobId),
    /// A job of this name waits, runs or stands still.
    #[error("download {0} is there already")]
    AlreadyThere(JobId),
    /// A job that names no file, or a file that names no source.
    #[error("download {id} cannot be taken: {problem}")]
    InvalidJob {
        /// Whose.
        id: JobId,
        /// What is missing.
        problem: &'static str,
    },
    /// The engine has been shut down.
    #[error("the download engine has been shut down")]
    Stopped,
}

/// What is known of the token that a refused request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenHint {
    /// Set `HF_TOKEN`.
    HuggingFaceMissing,
    /// `HF_TOKEN` was sent and not accepted.
    HuggingFaceRefused,
    /// Set `CIVITAI_API_TOKEN`.
    CivitaiMissing,
    /// `CIVITAI_API_TOKEN` was sent and not accepted.
    CivitaiRefused,
    /// No token is kept for this host.
    NoneForHost,
}

impl TokenHint {
    fn sentence(self) -> &'static str {
        match self {
            Self::HuggingFaceMissing => "no Hugging Face token is set (HF_TOKEN)",
            Self::HuggingFaceRefused => "the Hugging Face token (HF_TOKEN) was not accepted or may not read this file",
            Self::CivitaiMissing => "no Civitai token is set (CIVITAI_API_TOKEN)",
            Self::CivitaiRefused => {
                "the Civitai token (CIVITAI_API_TOKEN) was not accepted, or the model is in early access"
            }
            Self::NoneForHost => "this host takes no token that is known here",
        }
    }
}

/// What to do about an answer that is no file.
fn advice(host: &str, what: &str, hint: Option<TokenHint>) -> String {
    match hint {
        Some(hint) => format!("; {}", hint.sentence()),
        None if what == AN_HTML_PAGE => format!("; {}", hosts::page_advice(host)),
        None => String::new(),
    }
}

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The answer is a page, an error message, a pointer or nothing at all, where a file was expected.
    #[error("{host} sent {what} instead of the file{}", advice(host, what, *hint))]
    NotAFile {
        /// Who.
        host: String,
        /// What came: "an HTML page", "a JSON message", "a Git LFS pointer", "an empty body".
        what: &'static str,
        /// The answer's `Content-Type`.
        content_type: Option<String>,
        /// Which token may be missing.
        hint: Option<TokenHint>,
    },
    /// 404 or 410.
    #[error("{host} has no such file ({status})")]
    NotFound {
        /// Who.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// 401.
    #[error("{host} asks for a login: {}", token.sentence())]
    Unauthorized {
        /// Who.
        host: String,
        /// What is known of the token.
        token: TokenHint,
    },
    /// A Hugging Face repository whose licence has to be accepted first.
    #[error("the repository {repo} is gated: accept its licence at {accept_licence_at}, {}", token.sentence())]
    Gated {
        /// `org/name`.
        repo: String,
        /// The page to open in a browser.
        accept_licence_at: String,
        /// What is known of the token.
        token: TokenHint,
    },
    /// A Hugging Face repository that does not exist, or is not shown to this token: the host does not tell them apart.
    #[error("the repository {repo} does not exist or is private: {}", token.sentence())]
    PrivateOrMissing {
        /// `org/name`.
        repo: String,
        /// What is known of the token.
        token: TokenHint,
    },
    /// 403 that is none of the above.
    #[error("{host} refuses the file (403)")]
    Forbidden {
        /// Who.
        host: String,
    },
    /// Another final HTTP status.
    #[error("{host} answered with status {status}")]
    UnexpectedStatus {
        /// Who.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The answer contradicts the request or itself.
    #[error("{host} sent an invalid response: {problem}")]
    BadAnswer {
        /// Who.
        host: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The whole file has another hash, twice.
    #[error("SHA-256 mismatch: expected {expected}, got {actual}")]
    HashMismatch {
        /// What was asked for.
        expected: Sha256Digest,
        /// What the bytes have.
        actual: Sha256Digest,
    },
    /// The server's file has another size than the one asked for.
    #[error("expected {expected} bytes from {host}, got {actual}")]
    SizeMismatch {
        /// Who.
        host: String,
        /// What was asked for.
        expected: u64,
        /// What the server says or sent.
        actual: u64,
    },
    /// The file on the server changes so often that it never became whole.
    #[error("the file on {host} kept changing during the download")]
    KeepsChanging {
        /// Who.
        host: String,
    },
    /// The disk or a quota is full. A job with this is paused, not failed.
    #[error("not enough disk space: {needed_bytes} bytes needed, {available_bytes} available")]
    InsufficientStorage {
        /// Bytes that still have to be stored.
        needed_bytes: u64,
        /// Bytes that may be used.
        available_bytes: u64,
    },
    /// The folder cannot be written to.
    #[error("cannot write to the folder of {path}: {source}")]
    ReadOnly {
        /// Of the file, below the root.
        path: String,
        /// The system's word.
        source: io::Error,
    },
    /// More than ten redirects, or a loop.
    #[error("{host} redirects in a loop or more than 10 times")]
    TooManyRedirects {
        /// Where it began.
        host: String,
    },
    /// The URL leads to an address that it may not lead to.
    #[error("{host} leads to {address}, a private or reserved address; ALLOW_PRIVATE_SOURCES permits such addresses")]
    RefusedAddress {
        /// Who.
        host: String,
        /// The address, or the name if it has only refused ones.
        address: String,
    },
    /// A URL or a redirect that is refused for its form: another scheme, credentials, https to http.
    #[error("{host} leads to a URL that is refused: {problem}")]
    RefusedRedirect {
        /// Who sent it.
        host: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Who answers cannot prove to be that host.
    #[error(
        "the certificate of {host} is not accepted: {problem}; SSL_CERT_FILE may name a file of authorities to trust"
    )]
    UntrustedCertificate {
        /// Who.
        host: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A page link of Civitai that names no file.
    #[error(transparent)]
    Source(#[from] SourceUrlError),
    /// Connections stalled repeatedly.
    #[error("{host} stalled repeatedly (no data for {} s)", idle.as_secs_f32())]
    Stalled {
        /// Who.
        host: String,
        /// How long each stall was.
        idle: Duration,
    },
    /// The network failed repeatedly.
    #[error("{host} could not be reached or the connection broke: {problem}")]
    Network {
        /// Who.
        host: String,
        /// What the network said, last.
        problem: String,
    },
    /// The server stayed busy (408, 429, 5xx).
    #[error("{host} keeps answering with status {status}")]
    Busy {
        /// Who.
        host: String,
        /// The last HTTP status.
        status: u16,
    },
    /// A file is in the way.
    #[error("{path} exists already and is not the file asked for")]
    DestinationExists {
        /// Below the root.
        path: String,
        /// Its size.
        size: u64,
    },
    /// A folder or a device is in the way.
    #[error("{path} is in the way: it is not a regular file")]
    NotARegularFile {
        /// Below the root.
        path: String,
    },
    /// A component of the path is a link that leads out of the root, or no folder.
    #[error("the path {path} escapes the models folder or passes through a non-directory")]
    OutsideRoot {
        /// Below the root.
        path: String,
        /// The system's word.
        source: io::Error,
    },
    /// Another process (or job) writes the same file.
    #[error("{path} is being written by another process or download")]
    Locked {
        /// Below the root.
        path: String,
    },
    /// The disk failed.
    #[error("{action} {} failed: {source}", path.display())]
    Io {
        /// "writing", "syncing", ...
        action: &'static str,
        /// Of the file.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl From<Shortage> for TransferError {
    fn from(shortage: Shortage) -> Self {
        Self::InsufficientStorage { needed_bytes: shortage.needed, available_bytes: shortage.available.unwrap_or(0) }
    }
}

impl TransferError {
    /// An answer that is no file. The hint about the token is added by the transfer, which knows the link that was asked first.
    pub(crate) fn not_a_file(host: &str, what: &'static str, content_type: Option<String>) -> Self {
        Self::NotAFile { host: host.to_owned(), what, content_type, hint: None }
    }

    /// A status with which hosts refuse the file, and some of them one connection more than they like.
    pub(crate) fn may_mean_too_many(&self) -> bool {
        matches!(self, Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::NotFound { .. })
    }

    /// This process, or the machine, has no room for another open file: that passes when others are closed.
    pub(crate) fn is_full_file_table(&self) -> bool {
        let cause = std::error::Error::source(self).and_then(|cause| cause.downcast_ref::<io::Error>());
        matches!(cause.and_then(Errno::from_io_error), Some(Errno::MFILE | Errno::NFILE))
    }
}
