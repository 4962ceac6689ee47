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
    #[error("ComfyUI refused {tried} with {}", status_words(*.status, .answer))]
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
    #[error("it answered with {}", status_words(*.status, .answer))]
    Status {
        /// Its HTTP status.
        status: u16,
        /// The start of what it said.
        answer: String,
    },
    /// It answered with something that is no JSON, as another program on its port would.
    #[error("its answer is no JSON ({0})")]
    NotJson(String),
    /// It answered with JSON of another shape.
    #[error("its answer has an unexpected shape ({0})")]
    Unexpected(String),
    /// It sends elsewhere; redirects are not followed.
    #[error("it redirects to {to}; set COMFYUI_URL to the address that answers")]
    Redirect {
        /// Where it sends, without credentials.
        to: String,
    },
    /// It answered with more than anyone should keep in memory.
    #[error("its answer is larger than {limit} bytes")]
    TooLarge {
        /// The most that is taken.
        limit: usize,
    },
}

/// A status, what it usually means, and what was said with it.
fn status_words(status: u16, answer: &str) -> String {
    let hint = match status {
        401 | 403 => " (COMFYUI_URL takes user and password: http://USER:PASSWORD@HOST)",
        _ => "",
    };
    if answer.is_empty() { format!("status {status}{hint}") } else { format!("status {status}{hint}: {answer}") }
}

impl ComfyError {
    /// Whether an answer came whose content cannot be used: asking again brings the same.
    pub fn is_unreadable(&self) -> bool {
        let cause = match self {
            Self::Unavailable { cause, .. } => cause,
            _ => return false,
        };
        matches!(cause, Trouble::TooLarge { .. } | Trouble::Unexpected(_))
    }

    /// Whether ComfyUI itself is at fault, so that the same request may succeed later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
