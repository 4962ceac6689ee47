//! What a download looks like to those who ask: the row in the database and the live figures as one value.

use downloader::Progress;
use jiff::Timestamp;
use registry::PresetId;

use super::{DownloadFile, DownloadState, Failure, FileState, PauseReason, Priority};
use crate::downloads::store::{FileRow, StoredDownload};

/// A download as it stands now.
#[derive(Debug, Clone, PartialEq)]
pub struct DownloadView {
    /// `dl_…`.
    pub id: String,
    /// The preset it installs; `None` for a link.
    pub preset_id: Option<PresetId>,
    /// Where it stands.
    pub state: DownloadState,
    /// Why, when it is paused.
    pub pause_reason: Option<PauseReason>,
    /// How urgent it is.
    pub priority: Priority,
    /// Its order within the priority, lowest first.
    pub position: i64,
    /// Bytes a second, of this download alone.
    pub rate_limit: Option<u64>,
    /// 0 to 100, by bytes; 0 until known.
    pub progress: f64,
    /// Bytes that are here, over all files.
    pub downloaded_bytes: u64,
    /// Bytes of all files, where each is known or estimated.
    pub total_bytes: Option<u64>,
    /// The present rate; `None` where nothing runs or it is not known yet.
    pub bytes_per_second: Option<u64>,
    /// Seconds to the end at the present rate.
    pub eta_seconds: Option<u64>,
    /// No byte came for a while and a new request is being made.
    pub stalled: bool,
    /// The file that is arriving.
    pub current_file: Option<String>,
    /// Every file, in order.
    pub files: Vec<DownloadFile>,
    /// Things worth knowing that stopped nothing.
    pub warnings: Vec<String>,
    /// Why it failed or waits.
    pub failure: Option<Failure>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When its first byte was asked for.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl DownloadView {
    /// How many files are in `state`.
    pub fn files_in(&self, state: FileState) -> usize {
        self.files.iter().filter(|file| file.status == state).count()
    }

    /// Whole seconds from the first request to the end.
    pub fn seconds_taken(&self) -> Option<u64> {
        self.milliseconds_taken().map(|taken| taken / 1000)
    }

    /// Milliseconds from the first request to the end.
    pub fn milliseconds_taken(&self) -> Option<u64> {
        u64::try_from(self.ended_at?.as_millisecond() - self.started_at?.as_millisecond()).ok()
    }
}

/// The row and the engine's figures as one value.
pub(crate) fn assemble(stored: &StoredDownload, figures: Option<&Progress>) -> DownloadView {
    let row = &stored.row;
    let live = figures.filter(|_| row.state.is_unfinished());
    let files: Vec<DownloadFile> = stored
        .files
        .iter()
        .enumerate()
        .map(|(at, file)| assemble_file(file, live.and_then(|figures| figures.files.get(at))))
        .collect();
    let sizes = files.iter().zip(&stored.files).map(|(file, row)| file.total_bytes.or(row.stated_bytes));
    let total_bytes = sizes.sum::<Option<u64>>();
    let downloaded_bytes = files.iter().map(|file| file.downloaded_bytes).sum();
    let rate = live.filter(|_| row.state == DownloadState::Downloading).and_then(|figures| figures.bytes_per_second);
    DownloadView {
        id: row.id.clone(),
        preset_id: row.preset_id.as_deref().and_then(|id| PresetId::parse(id).ok()),
        state: row.state,
        pause_reason: row.pause_reason,
        priority: row.priority,
        position: row.position,
        rate_limit: row.rate_limit,
        progress: progress(row.state, downloaded_bytes, total_bytes),
        downloaded_bytes,
        total_bytes,
        bytes_per_second: rate,
        eta_seconds: eta_seconds(rate, downloaded_bytes, total_bytes),
        stalled: live.is_some_and(|figures| figures.stalled),
        current_file: live.and_then(|figures| files.get(figures.current_file?)).map(|file| file.path.clone()),
        files,
        warnings: row.warnings.clone(),
        failure: row.failure.clone(),
        created_at: row.created_at,
        started_at: row.started_at,
        ended_at: row.ended_at,
    }
}

fn assemble_file(row: &FileRow, live: Option<&downloader::FileProgress>) -> DownloadFile {
    let state = match (row.state, live.map(|live| live.state)) {
        (FileState::Pending, Some(downloader::FileState::Fetching)) => FileState::Downloading,
        (FileState::Pending, Some(downloader::FileState::Verifying)) => FileState::Verifying,
        (stored, _) => stored,
    };
    let total_bytes = row.size_bytes.or(live.and_then(|live| live.total_bytes));
    let downloaded_bytes = match state {
        FileState::Completed => total_bytes.unwrap_or(0),
        _ => live.map_or(0, |live| live.downloaded_bytes),
    };
    DownloadFile { path: row.path.clone(), status: state, downloaded_bytes, total_bytes, error: row.error.clone() }
}

/// By bytes; never 100 before the end, since a total may be an estimate.
fn progress(state: DownloadState, downloaded: u64, total: Option<u64>) -> f64 {
    match (state, total) {
        (DownloadState::Completed, _) => 100.0,
        (_, Some(total)) if total > 0 => (downloaded as f64 / total as f64 * 100.0).min(99.9),
        _ => 0.0,
    }
}

fn eta_seconds(rate: Option<u64>, downloaded: u64, total: Option<u64>) -> Option<u64> {
    let rate = rate.filter(|rate| *rate > 0)?;
    Some(total?.saturating_sub(downloaded).div_ceil(rate))
}
