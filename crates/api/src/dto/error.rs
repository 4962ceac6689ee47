//! The error envelope: what the body of everything that fails looks like.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The body of every answer that is no success.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorEnvelope {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong: for a program, for a person, and with what values.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The word to match.
    #[schema(example = "INVALID_REQUEST")]
    pub code: String,
    /// A sentence that says what was wrong and what is accepted.
    #[schema(example = "per_page: \"0\" is not a whole number from 1 to 100")]
    pub message: String,
    /// Values that a client can act on; which ones depends on the code.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub timestamp: Timestamp,
}
