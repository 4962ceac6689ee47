//! Downloads and their files.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a download stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DownloadState {
    /// Waits for its turn.
    Queued,
    /// Bytes arrive.
    Downloading,
    /// All bytes are here and their hash is being proved.
    Verifying,
    /// Stands still, by request or for want of room.
    Paused,
    /// Every file is whole and in its place.
    Completed,
    /// At least one file could not be had.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

words!(DownloadState:
    Queued = "queued",
    Downloading = "downloading",
    Verifying = "verifying",
    Paused = "paused",
    Completed = "completed",
    Failed = "failed",
    Cancelled = "cancelled",
);

impl DownloadState {
    /// Whether it waits or works: queued, downloading or verifying.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Downloading | Self::Verifying)
    }

    /// Whether it has not ended: active or paused.
    pub fn is_unfinished(self) -> bool {
        self.is_active() || self == Self::Paused
    }
}

/// Where one file of a download stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Waits.
    Pending,
    /// Bytes arrive.
    Downloading,
    /// Its hash is being proved.
    Verifying,
    /// Whole and in its place.
    Completed,
    /// Could not be had.
    Failed,
}

words!(FileState:
    Pending = "pending",
    Downloading = "downloading",
    Verifying = "verifying",
    Completed = "completed",
    Failed = "failed",
);

/// Why a download is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// Somebody paused it.
    Requested,
    /// The disk is full; it goes on by itself when there is space.
    InsufficientStorage,
}

words!(PauseReason: Requested = "requested", InsufficientStorage = "insufficient_storage");

/// How urgent a download is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// After the others.
    Low,
    /// In its turn.
    #[default]
    Normal,
    /// Takes the next free place.
    High,
}

words!(Priority: Low = "low", Normal = "normal", High = "high");

/// Why a download failed or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// `DOWNLOAD_FAILED` or `INSUFFICIENT_STORAGE`.
    #[schema(example = "DOWNLOAD_FAILED")]
    pub code: String,
    /// What went wrong and what to do about it.
    pub message: String,
    /// The file that it is about, below the models folder.
    pub file: Option<String>,
    /// The cause in the words of the engine.
    pub error: Option<String>,
}

/// One file of a download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadFile {
    /// Where it goes, below the models folder.
    pub path: String,
    /// Where it stands.
    pub status: FileState,
    /// Bytes that are here.
    pub downloaded_bytes: u64,
    /// The exact size, where known.
    pub total_bytes: Option<u64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// One turn in the story of a download.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadTurn {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "crate::units::milliseconds")]
    pub at: Timestamp,
    /// What kind of turn: `queued`, `started`, `file_completed`, `paused`, …
    pub kind: String,
    /// What happened.
    pub message: String,
}

/// Where a value is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundIn {
    /// The request.
    Request,
    /// The server.
    Server,
    /// The link.
    Link,
}

/// A download that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DownloadAdded {
    /// What it is called.
    pub download_id: String,
    /// Where the file goes, below the models folder.
    pub path: String,
}
