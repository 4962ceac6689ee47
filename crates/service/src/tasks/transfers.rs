//! The only receiver of the engine's updates: writes what happened to the database, then tells everybody.
//!
//! Ticks go to memory only. A database that cannot be written holds the updates back until it can: nothing is announced
//! that a restart would not know.

use std::{sync::Arc, time::Duration};

use downloader::{Facts, FileOutcome, JobEvent, PauseReason as EnginePause, TransferError, Update};
use registry::ConfinedPath;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::blocking;
use crate::{
    Error,
    downloads::{
        DownloadState, Downloads, Failure, FileState, PauseReason,
        staging::{NotPromoted, arrival_path},
    },
    events::Event,
    presets::{Catalogue, install_rows, replaced_by},
    store::{FileRecord, StoredDownload},
};

/// How long to wait before a failed write to the database is tried again.
const WRITE_PAUSE: Duration = Duration::from_secs(1);

/// Takes in updates until the engine ends.
pub(crate) async fn run(
    downloads: Downloads,
    catalogue: Catalogue,
    mut updates: mpsc::Receiver<Update>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let transfers = Transfers { downloads, catalogue };
    while let Some(update) = updates.recv().await {
        if stop.is_cancelled() && matches!(update.event, JobEvent::Paused(EnginePause::Requested)) {
            // The engine parks what runs when it is shut down: nobody asked for a pause, and the next start goes on.
            continue;
        }
        let id = update.job.as_str().to_owned();
        while let Err(cause) = transfers.take_in(&id, &update.event).await {
            tracing::error!(download = %id, error = ?cause, "what happened to a download could not be stored; trying again");
            tokio::time::sleep(WRITE_PAUSE).await;
        }
    }
    Ok(())
}

struct Transfers {
    downloads: Downloads,
    catalogue: Catalogue,
}

impl Transfers {
    async fn take_in(&self, id: &str, event: &JobEvent) -> Result<(), Error> {
        if let JobEvent::Progress(progress) = event {
            self.downloads.live.set(id, progress.clone());
            return self.announce(id, Event::DownloadProgress).await;
        }
        let Some(stored) = self.downloads.store.download(id).await? else {
            tracing::warn!(download = %id, "the engine spoke of a download that the database does not know");
            return Ok(());
        };
        match event {
            JobEvent::Progress(_) => Ok(()),
            JobEvent::Started => self.started(&stored).await,
            JobEvent::FileStarted { file, facts } => self.file_started(&stored, *file, facts).await,
            JobEvent::Verifying { file } => self.verifying(&stored, *file).await,
            JobEvent::FileCompleted { file, outcome } => self.file_completed(&stored, *file, outcome).await,
            JobEvent::FileFailed { file, error } => self.file_failed(&stored, *file, error).await,
            JobEvent::FileRestarted { file, reason } => {
                let path = path_of(&stored, *file);
                self.tell(id, "file_restarted", &format!("{path}: {reason}")).await
            }
            JobEvent::Paused(reason) => self.paused(id, *reason).await,
            JobEvent::Resumed => {
                self.move_to(id, DownloadState::Queued, None, None, "resumed", "It goes on").await?;
                self.announce(id, Event::DownloadResumed).await
            }
            JobEvent::Completed => self.completed(&stored).await,
            JobEvent::Failed { file, error } => self.failed(&stored, *file, error).await,
            JobEvent::Cancelled { parts_removed } => {
                let message =
                    if *parts_removed { "It was ended and its partial files removed" } else { "It was ended" };
                self.move_to(id, DownloadState::Cancelled, None, None, "cancelled", message).await?;
                self.downloads.clear_staging(id).await?;
                self.announce(id, Event::DownloadCancelled).await?;
                self.downloads.live.forget(id);
                Ok(())
            }
        }
    }

    async fn started(&self, stored: &StoredDownload) -> Result<(), Error> {
        let id = &stored.row.id;
        self.move_to(id, DownloadState::Downloading, None, None, "started", "The transfer began").await?;
        self.announce(id, Event::DownloadProgress).await
    }

    async fn file_started(&self, stored: &StoredDownload, file: usize, facts: &Facts) -> Result<(), Error> {
        let sha256 = facts.sha256.map(|digest| digest.to_string());
        self.downloads.store.set_file_facts(&stored.row.id, file, facts.size, sha256.as_deref()).await?;
        match stored.files.get(file).and_then(|row| row.sources.first()) {
            Some(source) => self.downloads.learn(source, facts).await,
            None => Ok(()),
        }
    }

    /// The download is verifying when this is the last of its files that is under way.
    async fn verifying(&self, stored: &StoredDownload, file: usize) -> Result<(), Error> {
        let others_done =
            stored.files.iter().enumerate().all(|(at, row)| at == file || row.state != FileState::Pending);
        if others_done && stored.row.state == DownloadState::Downloading {
            let state = DownloadState::Verifying;
            self.downloads.store.set_download_state(&stored.row.id, state, None, None, self.now()).await?;
            self.announce(&stored.row.id, Event::DownloadProgress).await?;
        }
        Ok(())
    }

    async fn file_completed(&self, stored: &StoredDownload, file: usize, outcome: &FileOutcome) -> Result<(), Error> {
        let Some(row) = stored.files.get(file) else { return Ok(()) };
        self.downloads.live.count_arrival(outcome.wire_bytes);
        let path = arrival_path(&stored.row.id, row);
        let Ok(confined) = ConfinedPath::parse(&path) else { return Ok(()) };
        let folder = self.downloads.index.folder().clone();
        if let Some(stamp) = blocking(move || folder.stamp(&confined)).await? {
            let record = FileRecord {
                path: path.clone(),
                size_bytes: outcome.size,
                stamp,
                sha256: outcome.sha256.to_string(),
                source: Some(outcome.source.clone()),
                verified: outcome.verified,
                blocks: Some(block_bytes(outcome)),
                recorded_at: self.now(),
            };
            self.downloads.store.complete_file(&stored.row.id, file, &record).await?;
            if !row.staged {
                self.downloads.take_in(record).await?;
            }
        }
        let message = format!("{}: {} bytes, SHA-256 {}", row.path, outcome.size, outcome.sha256);
        self.tell(&stored.row.id, "file_completed", &message).await?;
        self.announce(&stored.row.id, Event::DownloadProgress).await
    }

    async fn file_failed(&self, stored: &StoredDownload, file: usize, error: &TransferError) -> Result<(), Error> {
        self.downloads.store.fail_file(&stored.row.id, file, &error.to_string()).await?;
        self.tell(&stored.row.id, "file_failed", &format!("{}: {error}", path_of(stored, file))).await
    }

    async fn paused(&self, id: &str, reason: EnginePause) -> Result<(), Error> {
        self.downloads.live.stand_still(id);
        let (reason, failure, message) = match reason {
            EnginePause::Requested => (PauseReason::Requested, None, "It was paused".to_owned()),
            EnginePause::InsufficientStorage { needed_bytes, available_bytes } => {
                let message = format!(
                    "Not enough disk space: {needed_bytes} bytes are needed, {available_bytes} are available; \
                     it goes on by itself when room is made"
                );
                let code = "INSUFFICIENT_STORAGE".to_owned();
                let failure = Failure { code, message: message.clone(), file: None, cause: None };
                (PauseReason::InsufficientStorage, Some(failure), message)
            }
        };
        self.move_to(id, DownloadState::Paused, Some(reason), failure.as_ref(), "paused", &message).await?;
        self.announce(id, Event::DownloadPaused).await
    }

    async fn completed(&self, stored: &StoredDownload) -> Result<(), Error> {
        let id = &stored.row.id;
        if let Some(NotPromoted { path, cause }) = self.downloads.promote(stored).await? {
            let message = format!("{path} is whole and could not take its place: {cause}");
            return self.ended_badly(id, path, message, None).await;
        }
        let installs = install_rows(stored, &self.catalogue.current());
        let others = self.downloads.store.installs().await?;
        let replaced = replaced_by(stored, &others, &self.downloads.index);
        self.downloads.store.complete_download(id, &installs, &replaced, self.now()).await?;
        self.tell(id, "completed", "Every file is whole and in its place").await?;
        self.announce(id, Event::DownloadCompleted).await?;
        self.downloads.live.forget(id);
        Ok(())
    }

    async fn failed(&self, stored: &StoredDownload, file: usize, error: &TransferError) -> Result<(), Error> {
        let path = path_of(stored, file);
        let message = format!("{path} could not be fetched: {error}");
        self.ended_badly(&stored.row.id, path, message, Some(crate::presets::with_causes(error))).await
    }

    async fn ended_badly(&self, id: &str, path: String, message: String, cause: Option<String>) -> Result<(), Error> {
        let failure = Failure { code: "DOWNLOAD_FAILED".to_owned(), message, file: Some(path), cause };
        self.move_to(id, DownloadState::Failed, None, Some(&failure), "failed", &failure.message).await?;
        self.announce(id, Event::DownloadFailed).await?;
        self.downloads.live.forget(id);
        Ok(())
    }

    async fn move_to(
        &self,
        id: &str,
        state: DownloadState,
        reason: Option<PauseReason>,
        failure: Option<&Failure>,
        kind: &str,
        message: &str,
    ) -> Result<(), Error> {
        self.downloads.store.set_download_state(id, state, reason, failure, self.now()).await?;
        tracing::info!(download = %id, state = state.as_str(), message);
        self.tell(id, kind, message).await
    }

    async fn tell(&self, id: &str, kind: &str, message: &str) -> Result<(), Error> {
        self.downloads.store.tell(id, kind, message, self.now()).await
    }

    async fn announce(
        &self,
        id: &str,
        event: impl Fn(Arc<crate::downloads::DownloadView>) -> Event,
    ) -> Result<(), Error> {
        let view = self.downloads.get(id).await?;
        self.downloads.bus.publish(event(Arc::new(view)));
        Ok(())
    }

    fn now(&self) -> jiff::Timestamp {
        self.downloads.clock.now()
    }
}

fn path_of(stored: &StoredDownload, file: usize) -> String {
    stored.files.get(file).map(|row| row.path.clone()).unwrap_or_default()
}

fn block_bytes(outcome: &FileOutcome) -> (u64, Vec<u8>) {
    let sums = outcome.blocks.crc32.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    (u64::from(outcome.blocks.block_size), sums)
}
