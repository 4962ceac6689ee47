//! Downloads as JSON: lists, details, history, and the answers to what can be done with one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::downloads as view;
use utoipa::ToSchema;

use super::page::ListPart;
use super::units::{megabytes_per_second, percent};
use super::{Failure, FileCounts, Priority};

/// Where a download stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

impl From<view::DownloadState> for DownloadState {
    fn from(state: view::DownloadState) -> Self {
        match state {
            view::DownloadState::Queued => Self::Queued,
            view::DownloadState::Downloading => Self::Downloading,
            view::DownloadState::Verifying => Self::Verifying,
            view::DownloadState::Paused => Self::Paused,
            view::DownloadState::Completed => Self::Completed,
            view::DownloadState::Failed => Self::Failed,
            view::DownloadState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<DownloadState> for view::DownloadState {
    fn from(state: DownloadState) -> Self {
        match state {
            DownloadState::Queued => Self::Queued,
            DownloadState::Downloading => Self::Downloading,
            DownloadState::Verifying => Self::Verifying,
            DownloadState::Paused => Self::Paused,
            DownloadState::Completed => Self::Completed,
            DownloadState::Failed => Self::Failed,
            DownloadState::Cancelled => Self::Cancelled,
        }
    }
}

/// A download as it stands now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Download {
    /// What it is called.
    pub id: String,
    /// The preset that it installs; `null` for a link.
    pub preset_id: Option<String>,
    /// The file that it fetches, below the models folder; `null` where it has several.
    pub path: Option<String>,
    /// Where it stands.
    pub status: DownloadState,
    /// 0 to 100, by bytes.
    pub progress: f64,
    /// The present rate in 10^6 bytes a second.
    pub speed_mbps: Option<f64>,
    /// Seconds to the end.
    pub eta_seconds: Option<u64>,
    /// The file that is arriving, below the models folder.
    pub current_file: Option<String>,
    /// The present rate.
    pub speed_bytes_per_second: Option<u64>,
    /// Bytes that are here.
    pub downloaded_bytes: u64,
    /// Bytes in all.
    pub total_bytes: Option<u64>,
    /// How its files stand.
    pub files: FileCounts,
    /// How urgent it is.
    pub priority: Priority,
    /// Its place within the priority, lowest first.
    pub position: i64,
    /// Most bytes a second that it may take; `null`: as fast as it goes.
    pub rate_limit: Option<u64>,
    /// Why it is paused: `requested` or `insufficient_storage`.
    pub pause_reason: Option<String>,
    /// No byte came for a while and a new request is being made.
    pub stalled: bool,
    /// Things worth knowing that stopped nothing.
    pub warnings: Vec<String>,
    /// Why it failed or waits.
    pub error: Option<Failure>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub created_at: Timestamp,
    /// When its first byte was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub ended_at: Option<Timestamp>,
    /// Milliseconds from its first byte to its end.
    pub duration_ms: Option<u64>,
}

impl From<&view::DownloadView> for Download {
    fn from(view: &view::DownloadView) -> Self {
        Self {
            id: view.id.clone(),
            preset_id: view.preset_id.as_ref().map(ToString::to_string),
            path: only_path(view),
            status: view.state.into(),
            progress: percent(view.progress),
            speed_mbps: view.bytes_per_second.map(megabytes_per_second),
            eta_seconds: view.eta_seconds,
            current_file: view.current_file.clone(),
            speed_bytes_per_second: view.bytes_per_second,
            downloaded_bytes: view.downloaded_bytes,
            total_bytes: view.total_bytes,
            files: file_counts(view),
            priority: view.priority.into(),
            position: view.position,
            rate_limit: view.rate_limit,
            pause_reason: view.pause_reason.map(|reason| reason.as_str().to_owned()),
            stalled: view.stalled,
            warnings: view.warnings.clone(),
            error: view.failure.clone().map(Failure::from),
            created_at: view.created_at,
            started_at: view.started_at,
            ended_at: view.ended_at,
            duration_ms: view.milliseconds_taken(),
        }
    }
}

fn only_path(view: &view::DownloadView) -> Option<String> {
    match view.files.as_slice() {
        [file] => Some(file.path.clone()),
        _ => None,
    }
}

/// How the files of a download stand.
pub fn file_counts(view: &view::DownloadView) -> FileCounts {
    FileCounts {
        total: view.files.len(),
        completed: view.files_in(view::FileState::Completed),
        failed: view.files_in(view::FileState::Failed),
    }
}

/// A part of the list of downloads: the unfinished, then those that ended in the last 24 hours.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DownloadList {
    /// The downloads of this page.
    pub downloads: Vec<Download>,
    /// How many are queued, downloading or verifying.
    pub active: u64,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<view::DownloadList> for DownloadList {
    fn from(list: view::DownloadList) -> Self {
        let page = list.page;
        Self {
            active: list.active,
            part: ListPart::from(&page),
            downloads: page.items.iter().map(Download::from).collect(),
        }
    }
}

/// A part of the list of downloads that ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DownloadHistory {
    /// The downloads of this page.
    pub downloads: Vec<Download>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<service::page::Page<view::DownloadView>> for DownloadHistory {
    fn from(page: service::page::Page<view::DownloadView>) -> Self {
        Self { part: ListPart::from(&page), downloads: page.items.iter().map(Download::from).collect() }
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

impl From<view::FileState> for FileState {
    fn from(state: view::FileState) -> Self {
        match state {
            view::FileState::Pending => Self::Pending,
            view::FileState::Downloading => Self::Downloading,
            view::FileState::Verifying => Self::Verifying,
            view::FileState::Completed => Self::Completed,
            view::FileState::Failed => Self::Failed,
        }
    }
}

/// One file of a download.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
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

impl From<&view::DownloadFileView> for DownloadFile {
    fn from(file: &view::DownloadFileView) -> Self {
        Self {
            path: file.path.clone(),
            status: file.state.into(),
            downloaded_bytes: file.downloaded_bytes,
            total_bytes: file.total_bytes,
            error: file.error.clone(),
        }
    }
}

/// One turn in the story of a download.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DownloadTurn {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub at: Timestamp,
    /// What kind of turn: `queued`, `started`, `file_completed`, `paused`, …
    pub kind: String,
    /// What happened.
    pub message: String,
}

impl From<view::DownloadEvent> for DownloadTurn {
    fn from(event: view::DownloadEvent) -> Self {
        Self { at: event.at, kind: event.kind, message: event.message }
    }
}

/// A download, each of its files, and its story.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DownloadDetail {
    /// The download, as in a list.
    #[serde(flatten)]
    pub download: Download,
    /// Every file, in order.
    pub file_details: Vec<DownloadFile>,
    /// What happened to it, oldest first.
    pub events: Vec<DownloadTurn>,
}

impl DownloadDetail {
    /// The download as it stands and what happened to it.
    pub fn new(view: &view::DownloadView, events: Vec<view::DownloadEvent>) -> Self {
        Self {
            download: view.into(),
            file_details: view.files.iter().map(DownloadFile::from).collect(),
            events: events.into_iter().map(DownloadTurn::from).collect(),
        }
    }
}
