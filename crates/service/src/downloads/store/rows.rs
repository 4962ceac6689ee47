//! Rows of downloads as values, and the words that the database has for them.

use jiff::Timestamp;

use crate::{
    database::{list_from_json, timestamp, unsigned},
    downloads::{DownloadState, Failure, FileState, PauseReason, Priority},
};

/// What a download does about a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It must not be there: a conflict.
    Keep,
    /// It is the one that is wanted; it counts as arrived.
    Share,
    /// It stays if it proves to be the one that is wanted, else it is replaced.
    Verify,
    /// The new one takes its place.
    Replace,
}

impl Existing {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Share => "share",
            Self::Verify => "verify",
            Self::Replace => "replace",
        }
    }

    pub(super) fn parse(word: &str) -> Self {
        match word {
            "share" => Self::Share,
            "verify" => Self::Verify,
            "replace" => Self::Replace,
            _ => Self::Keep,
        }
    }
}

/// A file of a download.
#[derive(Debug, Clone)]
pub(crate) struct FileRow {
    pub path: String,
    pub sources: Vec<String>,
    pub sha256: Option<String>,
    pub size_bytes: Option<u64>,
    pub stated_bytes: Option<u64>,
    pub existing: Existing,
    /// `sha256` and `size_bytes` are demanded, by the registry or by who asked: other content is a failure. Else they are
    /// what a server said before, which it may change.
    pub pinned: bool,
    /// It waits beside the models until all files of the download are whole.
    pub staged: bool,
    pub state: FileState,
    pub error: Option<String>,
}

/// A download that is about to begin.
#[derive(Debug, Clone)]
pub(crate) struct DownloadInsert {
    pub id: String,
    pub preset_id: Option<String>,
    pub definition: Option<String>,
    pub priority: Priority,
    pub warnings: Vec<String>,
    pub files: Vec<FileRow>,
    pub created_at: Timestamp,
}

/// A download's own row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub id: String,
    pub preset_id: Option<String>,
    pub definition: Option<String>,
    pub state: DownloadState,
    pub pause_reason: Option<PauseReason>,
    pub priority: Priority,
    pub position: i64,
    pub rate_limit: Option<u64>,
    pub warnings: Vec<String>,
    pub failure: Option<Failure>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// A download with its files.
#[derive(Debug, Clone)]
pub(crate) struct StoredDownload {
    pub row: Row,
    pub files: Vec<FileRow>,
}

/// A download as it begins: last in the queue once it has a row.
impl From<DownloadInsert> for StoredDownload {
    fn from(new: DownloadInsert) -> Self {
        let row = Row {
            id: new.id,
            preset_id: new.preset_id,
            definition: new.definition,
            state: DownloadState::Queued,
            pause_reason: None,
            priority: new.priority,
            position: 0,
            rate_limit: None,
            warnings: new.warnings,
            failure: None,
            created_at: new.created_at,
            started_at: None,
            ended_at: None,
        };
        Self { row, files: new.files }
    }
}

/// A row as SQLite gives it; every query that reads downloads selects these columns.
#[derive(sqlx::FromRow)]
pub(super) struct RawRow {
    pub id: String,
    pub preset_id: Option<String>,
    pub state: String,
    pub pause_reason: Option<String>,
    pub priority: i64,
    pub position: i64,
    pub rate_limit: Option<i64>,
    pub definition: Option<String>,
    pub warnings: String,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub error_file: Option<String>,
    pub error_cause: Option<String>,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
}

impl From<RawRow> for Row {
    fn from(raw: RawRow) -> Self {
        let failure = raw.error_code.map(|code| Failure {
            code,
            message: raw.error_message.unwrap_or_default(),
            file: raw.error_file,
            error: raw.error_cause,
        });
        let pause_reason = raw.pause_reason.map(|word| match word.as_str() {
            "insufficient_storage" => PauseReason::InsufficientStorage,
            _ => PauseReason::Requested,
        });
        Self {
            id: raw.id,
            preset_id: raw.preset_id,
            definition: raw.definition,
            state: DownloadState::parse(&raw.state).unwrap_or(DownloadState::Failed),
            pause_reason,
            priority: [Priority::Low, Priority::Normal, Priority::High]
                [usize::try_from(raw.priority + 1).unwrap_or(1).min(2)],
            position: raw.position,
            rate_limit: raw.rate_limit.map(unsigned),
            warnings: list_from_json(&raw.warnings),
            failure,
            created_at: timestamp(raw.created_at),
            started_at: raw.started_at.map(timestamp),
            ended_at: raw.ended_at.map(timestamp),
        }
    }
}

pub(super) fn priority_number(priority: Priority) -> i64 {
    match priority {
        Priority::Low => -1,
        Priority::Normal => 0,
        Priority::High => 1,
    }
}

/// Ticks are never written: what arrives or is verified is `pending` in the database.
pub(super) fn stored_file_state(state: FileState) -> &'static str {
    match state {
        FileState::Pending | FileState::Downloading | FileState::Verifying => "pending",
        FileState::Completed => "completed",
        FileState::Failed => "failed",
    }
}

pub(super) fn file_state(word: &str) -> FileState {
    match word {
        "completed" => FileState::Completed,
        "failed" => FileState::Failed,
        _ => FileState::Pending,
    }
}
