//! Why a registry could not be had. One bad preset is no error of a registry: it is a `Fault` in the catalogue.
//!
//! Must not carry secrets: addresses are shown without credentials and query.

use std::path::PathBuf;
use std::time::Duration;

use crate::catalog::Fault;

/// A registry as a whole could not be read, fetched or kept.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file of the registry on this machine could not be read.
    #[error("the registry file {} could not be read", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file or an answer is longer than a registry may be.
    #[error("{origin} is longer than {limit} bytes, the most that a registry may have")]
    TooLarge {
        /// File or address.
        origin: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The text is neither JSON nor YAML.
    #[error("{origin} is neither JSON nor YAML that can be read")]
    Syntax {
        /// File or address.
        origin: String,
        /// What the parser said, with line and column.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The document is well-formed, but no registry.
    #[error("{origin} is no registry: {field} {reason}")]
    Shape {
        /// File or address.
        origin: String,
        /// The field that is wrong.
        field: String,
        /// What is wrong and what is accepted.
        reason: String,
    },
    /// Not one preset of the document can be used.
    #[error("{origin} has no usable preset{}", first_of(skipped))]
    NoUsablePreset {
        /// File or address.
        origin: String,
        /// Why each was left out.
        skipped: Vec<Fault>,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client for the registry could not be made")]
    HttpClient {
        /// What the client said.
        source: reqwest::Error,
    },
    /// No answer came, or it broke off.
    #[error("{url} could not be fetched")]
    Request {
        /// The address.
        url: String,
        /// What the client said.
        source: reqwest::Error,
    },
    /// The server answered something other than a document.
    #[error("{url} answered HTTP status {status} where a registry was expected")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The whole fetch, all files included, took too long.
    #[error("fetching {url} took longer than {} s", limit.as_secs_f64())]
    TimedOut {
        /// The address.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// The copy of the last good registry could not be written.
    #[error("the copy of the registry at {} could not be written", path.display())]
    KeepCopy {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

fn first_of(skipped: &[Fault]) -> String {
    match skipped {
        [] => ": it lists none".to_owned(),
        [first, others @ ..] => format!(": {first} (and {} more)", others.len()),
    }
}
