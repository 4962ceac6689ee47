//! Where a prompt stands, in the words of the database and of every answer; and why one failed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a prompt failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PromptFailure {
    /// What went wrong, as a sentence.
    pub message: String,
    /// The node.
    pub node: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// The kind of exception, as Python names it.
    pub exception_type: Option<String>,
    /// Where in the code, a line each.
    pub traceback: Vec<String>,
    /// ComfyUI's own error object where it would not take the prompt, unchanged.
    pub error: Value,
    /// ComfyUI's own errors by node where it would not take the prompt, unchanged.
    pub node_errors: Value,
}

/// The same as JSON in the database.
#[derive(Serialize, Deserialize)]
#[serde(default)]
#[derive(Default)]
struct FailureJson {
    message: String,
    node: Option<String>,
    node_type: Option<String>,
    exception_type: Option<String>,
    traceback: Vec<String>,
    error: Value,
    node_errors: Value,
}

impl PromptFailure {
    /// A failure of which only a sentence is known.
    pub(crate) fn of(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(crate) fn to_json(&self) -> String {
        let Self { message, node, node_type, exception_type, traceback, error, node_errors } = self.clone();
        let mirror = FailureJson { message, node, node_type, exception_type, traceback, error, node_errors };
        serde_json::to_string(&mirror).unwrap_or_default()
    }

    pub(crate) fn from_json(text: &str) -> Self {
        let FailureJson { message, node, node_type, exception_type, traceback, error, node_errors } =
            serde_json::from_str(text).unwrap_or_default();
        Self { message, node, node_type, exception_type, traceback, error, node_errors }
    }
}

impl From<comfy_client::NodeFailure> for PromptFailure {
    fn from(failure: comfy_client::NodeFailure) -> Self {
        Self {
            message: failure.message,
            node: failure.node,
            node_type: failure.node_type,
            exception_type: Some(failure.exception_type).filter(|name| !name.is_empty()),
            traceback: failure.traceback,
            error: Value::Null,
            node_errors: Value::Null,
        }
    }
}
