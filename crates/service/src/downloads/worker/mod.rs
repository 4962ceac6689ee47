//! The only receiver of the engine's updates: writes what happened to the database, then tells everybody.
//!
//! What is said of files is written by [`arrivals`], many turns at once; each turn of a whole download is written alone.
//! Ticks go to memory only. A database that cannot be written holds the updates back until it can: nothing is announced
//! that a restart would not know.

mod arrivals;

use std::{sync::Arc, time::Duration};

use downloader::{JobEvent, PauseReason as EnginePause, TransferError, Update};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    Error,
    downloads::store::{Line, Step, StoredDownload},
    downloads::{DownloadState, Downloads, Failure, PauseReason, staging::NotPromoted},
    events::Event,
    presets::{Catalogue, install_rows, replaced_by},
};

/// How many updates are looked at together.
const MOST_AT_ONCE: usize = 256;

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
    let mut taken = Vec::new();
    while updates.recv_many(&mut taken, MOST_AT_ONCE).await > 0 {
        let mut rest = taken.as_slice();
        while !rest.is_empty() {
            let of_files = rest.iter().take_while(|update| arrivals::is_of_files(&update.event)).count();
            let (now, later) = rest.split_at(of_files.max(1));
            transfers.keep(now, &stop).await;
            rest = later;
        }
        taken.clear();
    }
    Ok(())
}

/// The pauses between attempts to write to the database.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST_PAUSE)
    }
}

impl Backoff {
    /// Waits before the next attempt, or gives the cause back where no attempt can succeed.
    async fn wait_after(&mut self, cause: Error) -> Result<(), Error> {
        if !cause.is_transient() {
            return Err(cause);
        }
        tracing::error!(error = ?cause, "download updates not stored, retrying");
        tokio::time::sleep(self.0).await;
        self.0 = (2 * self.0).min(LONGEST_PAUSE);
        Ok(())
    }
}

struct Transfers {
    downloads: Downloads,
    catalogue: Catalogue,
}

impl Transfers {
    /// Takes in updates, and does not come back before they are stored. What can never be stored fails its download alone.
    async fn keep(&self, updates: &[Update], stop: &CancellationToken) {
        if self.keep_together(updates, stop).await.is_ok() {
            return;
        }
        for update in updates {
            if let Err(cause) = self.keep_together(std::slice::from_ref(update), stop).await {
                self.give_up(update, &cause).await;
            }
        }
    }

    /// Stores all of these updates or none, in as many attempts as it takes. It fails where no attempt can succeed.
    async fn keep_together(&self, updates: &[Update], stop: &CancellationToken) -> Result<(), Error> {
        let mut backoff = Backoff::default();
        while let Err(cause) = self.take_in(updates, stop).await {
            backoff.wait_after(cause).await?;
        }
        Ok(())
    }

    /// Fails the download of an update that cannot be stored, and stops its transfer.
    async fn give_up(&self, update: &Update, cause: &Error) {
        let id = update.job.as_str();
        tracing::error!(download = id, error = ?cause, event = ?update.event, "download update cannot be stored");
        let message = "An update of this download could not be stored; resume it to try again".to_owned();
        let failure = Failure { code: "DOWNLOAD_FAILED".to_owned(), message, file: None, error: None };
        let mut backoff = Backoff::default();
        while let Err(cause) = self.end_failed(id, &failure).await {
            if let Err(cause) = backoff.wait_after(cause).await {
                tracing::error!(download = id, error = ?cause, "download cannot be marked as failed");
                break;
            }
        }
        // Not awaited: the engine answers once its own updates are taken, and this is who takes them.
        let (engine, job) = (self.downloads.engine.clone(), update.job.clone());
        tokio::spawn(async move { engine.pause(&job).await });
    }

    async fn take_in(&self, updates: &[Update], stop: &CancellationToken) -> Result<(), Error> {
        match updates {
            // The engine parks what runs when it is shut down: nobody asked for a pause, and the next start goes on.
            [Update { event: JobEvent::Paused(EnginePause::Requested), .. }] if stop.is_cancelled() => Ok(()),
            [Update { job, event }] if !arrivals::is_of_files(event) => self.turn(job.as_str(), event).await,
            of_files => arrivals::take_in(&self.downloads, of_files).await,
        }
    }

    async fn turn(&self, id: &str, event: &JobEvent) -> Result<(), Error> {
        let Some(stored) = self.downloads.store.download(id).await? else {
            tracing::warn!(download = %id, "the engine spoke of a download that the database does not know");
            return Ok(());
        };
        // An update of it could not be stored, and it ended for that; what the engine did before it was stopped changes nothing.
        if !stored.row.state.is_unfinished() && !matches!(event, JobEvent::Cancelled { .. }) {
            return Ok(());
        }
        match event {
            JobEvent::Started => self.started(&stored).await,
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
            _ => Ok(()),
        }
    }

    async fn started(&self, stored: &StoredDownload) -> Result<(), Error> {
        let id = &stored.row.id;
        let line = Line { kind: "started", message: "The transfer began" };
        self.step(id, Step::to(DownloadState::Downloading), line).await?;
        self.announce(id, Event::DownloadProgress).await
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
                let failure = Failure { code, message: message.clone(), file: None, error: None };
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
        let path = arrivals::path_of(stored, file);
        let message = format!("{path} could not be fetched: {error}");
        self.ended_badly(&stored.row.id, path, message, Some(crate::presets::with_causes(error))).await
    }

    async fn ended_badly(&self, id: &str, path: String, message: String, cause: Option<String>) -> Result<(), Error> {
        let failure = Failure { code: "DOWNLOAD_FAILED".to_owned(), message, file: Some(path), error: cause };
        self.end_failed(id, &failure).await
    }

    async fn end_failed(&self, id: &str, failure: &Failure) -> Result<(), Error> {
        let step = Step::to(DownloadState::Failed).because_of(failure);
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
