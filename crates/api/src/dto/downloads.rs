//! Downloads as JSON: lists, details, history, and the answers to what can be done with one.

pub use api_types::downloads::{DownloadFile, DownloadState, DownloadTurn, FileState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::downloads as view;
use utoipa::ToSchema;

use super::page::ListPart;
use super::units::{megabytes_per_second, percent};
use super::{Failure, FileCounts, Priority};

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
            status: view.state,
            progress: percent(view.progress),
            speed_mbps: view.bytes_per_second.map(megabytes_per_second),
            eta_seconds: view.eta_seconds,
            current_file: view.current_file.clone(),
            speed_bytes_per_second: view.bytes_per_second,
            downloaded_bytes: view.downloaded_bytes,
            total_bytes: view.total_bytes,
            files: file_counts(view),
            priority: view.priority,
            position: view.position,
            rate_limit: view.rate_limit,
            pause_reason: view.pause_reason.map(|reason| reason.as_str().to_owned()),
            stalled: view.stalled,
            warnings: view.warnings.clone(),
            error: view.failure.clone(),
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
        completed: view.files_in(FileState::Completed),
        failed: view.files_in(FileState::Failed),
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
    pub fn new(view: &view::DownloadView, events: Vec<DownloadTurn>) -> Self {
        Self { download: view.into(), file_details: view.files.clone(), events }
    }
}
