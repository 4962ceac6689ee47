//! What goes wrong when ComfyUI is spoken to: it is down, it hangs, or it says what makes no sense.
//!
//! One error for all of it, with what was tried. A prompt that ComfyUI refuses is no error here but an answer (`Submitted::Rejected`).

use std::time::Duration;

/// ComfyUI could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ComfyError {
    /// It is down, hangs, or talks nonsense.
    #[error("ComfyUI is not available: {tried} failed: {cause}")]
    Unavailable {
        /// Method and address, without credentials: `GET http://127.0.0.1:8188/queue`.
        tried: String,
        /// What happened.
        #[source]
        cause: Trouble,
    },
    /// It runs, but is too old or too new to know this address.
    #[error("this ComfyUI does not know {tried}")]
    Unsupported {
        /// Method and address.
        tried: String,
    },
    /// It understood, and would not.
    #[error("ComfyUI refused {tried} with status {status}: {answer}")]
    Refused {
        /// Method and address.
        tried: String,
        /// Its HTTP status, 400 to 499.
        status: u16,
        /// The start of what it said.
        answer: String,
    },
}

/// Why ComfyUI is not available.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// No connection, or one that broke.
    #[error("no connection ({0})")]
    NoConnection(#[source] reqwest::Error),
    /// It took the request and said nothing for so long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// It failed by its own account.
    #[error("it answered with status {status}: {answer}")]
    Status {
        /// Its HTTP status.
        status: u16,
        /// The start of what it said.
        answer: String,
    },
    /// It answered with something that is no JSON, as another program on its port would.
    #[error("its answer is no JSON ({0})")]
    NotJson(#[source] serde_json::Error),
    /// It answered with JSON of another shape.
    #[error("its answer has an unexpected shape ({0})")]
    Unexpected(String),
    /// It answered with more than anyone should keep in memory.
    #[error("its answer is larger than {limit} bytes")]
    TooLarge {
        /// The most that is taken.
        limit: usize,
    },
}

impl ComfyError {
    /// Whether ComfyUI itself is at fault, so that the same request may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
