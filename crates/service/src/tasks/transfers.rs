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
    store::{FileRecord, Line, Step, StoredDownload},
};

/// How long to wait before a failed write to the database is tried again: twice as long each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

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
        let mut pause = FIRST_PAUSE;
        while let Err(cause) = transfers.take_in(&id, &update.event).await {
            tracing::error!(download = %id, error = ?cause, "what happened to a download could not be stored; trying again");
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
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
                let line = Line { kind: "file_restarted", message: &format!("{path}: {reason}") };
                self.downloads.store.tell(id, line, self.now()).await
            }
            JobEvent::Paused(reason) => self.paused(id, *reason).await,
            JobEvent::Resumed => {
                let line = Line { kind: "resumed", message: "It goes on" };
                self.step(id, Step::to(DownloadState::Queued), line).await?;
                self.announce(id, Event::DownloadResumed).await
            }
            JobEvent::Completed => self.completed(&stored).await,
            JobEvent::Failed { file, error } => self.failed(&stored, *file, error).await,
            JobEvent::Cancelled { parts_removed } => {
                let message =
                    if *parts_removed { "It was ended and its partial files removed" } else { "It was ended" };
                self.step(id, Step::to(DownloadState::Cancelled), Line { kind: "cancelled", message }).await?;
                self.downloads.clear_staging(id).await?;
                self.announce(id, Event::DownloadCancelled).await?;
                self.downloads.live.forget(id);
                Ok(())
            }
        }
    }

    async fn started(&self, stored: &StoredDownload) -> Result<(), Error> {
        let id = &stored.row.id;
        let line = Line { kind: "started", message: "The transfer began" };
        self.step(id, Step::to(DownloadState::Downloading), line).await?;
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
            self.downloads.store.step(&stored.row.id, Step::to(DownloadState::Verifying), self.now()).await?;
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
        let message = format!("{}: {} bytes, SHA-256 {}", row.path, outcome.size, outcome.sha256);
        let line = Line { kind: "file_completed", message: &message };
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
            self.downloads.store.complete_file(&stored.row.id, file, &record, line).await?;
            if !row.staged {
                self.downloads.take_in(record).await?;
            }
        } else {
            self.downloads.store.tell(&stored.row.id, line, self.now()).await?;
        }
        self.announce(&stored.row.id, Event::DownloadProgress).await
    }

    async fn file_failed(&self, stored: &StoredDownload, file: usize, error: &TransferError) -> Result<(), Error> {
        let (error, path) = (error.to_string(), path_of(stored, file));
        let line = Line { kind: "file_failed", message: &format!("{path}: {error}") };
        self.downloads.store.fail_file(&stored.row.id, file, &error, line, self.now()).await
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
        let step = Step::paused(reason).because_of(failure.as_ref());
        self.step(id, step, Line { kind: "paused", message: &message }).await?;
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
        let line = Line { kind: "completed", message: "Every file is whole and in its place" };
        self.downloads.store.complete_download(id, &installs, &replaced, line, self.now()).await?;
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
        let step = Step::to(DownloadState::Failed).because_of(&failure);
        self.step(id, step, Line { kind: "failed", message: &failure.message }).await?;
        self.announce(id, Event::DownloadFailed).await?;
        self.downloads.live.forget(id);
        Ok(())
    }

    async fn step(&self, id: &str, step: Step<'_>, line: Line<'_>) -> Result<(), Error> {
        self.downloads.store.step(id, step.told(line), self.now()).await?;
        tracing::info!(download = %id, turn = line.kind, "{}", line.message);
        Ok(())
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
