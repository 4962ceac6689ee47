//! Files below the models folder.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a file is what it should be, by the best proof there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrityState {
    /// Its SHA-256 is the expected one.
    Verified,
    /// Its own structure accounts for every byte.
    Structure,
    /// Nothing tells.
    Unchecked,
    /// Its SHA-256 is not the expected one; or none is expected and its structure does not account for its bytes.
    Damaged,
}

words!(IntegrityState:
    Verified = "verified",
    Structure = "structure",
    Unchecked = "unchecked",
    Damaged = "damaged",
);

/// The integrity of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Integrity {
    /// What is known.
    pub state: IntegrityState,
    /// When the file was read for that; `null` where only its head was looked at, or nothing.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub checked_at: Option<Timestamp>,
}

/// Whether loading a file would run code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// It would not: all its imports are on the allow-list, and all readers agree about where its contents begin and end.
    Clean,
    /// It would: an import is known to do that.
    Unsafe,
    /// It cannot be said: an import is on no list, or readers may see different contents.
    Unknown,
}

words!(Safety: Clean = "clean", Unsafe = "unsafe", Unknown = "unknown");

/// A file that describes a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Sidecar {
    /// As the path of its model.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
}
