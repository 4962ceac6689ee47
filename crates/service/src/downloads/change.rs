//! Steering a download: pause, resume, cancel, reorder. The engine does it and says so; these wait until that is written.

use std::sync::atomic::{AtomicBool, Ordering};

use downloader::{CommandError, JobId};
use tokio::time::timeout;

use super::{DownloadState, DownloadView, Downloads, PauseReason, Priority, QueuePlace, jobs};
use crate::{
    Error,
    downloads::store::{DownloadRow, Line, Step},
    tasks::uninterrupted,
};

/// What to change of a download; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct DownloadChange {
    /// How urgent it is. Without a place, it goes behind the last of that priority.
    pub priority: Option<Priority>,
    /// Where in the queue it stands.
    pub place: Option<QueuePlace>,
    /// Bytes a second; `Some(None)` takes the limit away.
    pub rate_limit: Option<Option<u64>>,
}

impl Downloads {
    /// Changes the rate limit of all downloads together, until the next start. Bytes a second; `None` is no limit.
    pub fn set_global_rate_limit(&self, limit: Option<u64>) {
        self.engine.set_global_rate_limit(limit);
    }

    /// Stops a download where it is. What has arrived stays. Answers with the state that was reached: an active one where the
    /// engine has not let go of the files in time, and will.
    pub async fn pause(&self, id: &str) -> Result<DownloadState, Error> {
        let stored = self.stored(id).await?;
        match stored.row.state {
            state if state.is_active() || waits_for_room(&stored.row) => {
                let command = async || self.engine.pause(&JobId::new(id)).await.map(|_| ());
                // One that waits for room may go on by itself, and even end, before the engine hears of the pause.
                match self.settle(id, command, |row| !row.state.is_active() && !waits_for_room(row)).await? {
                    Settled::Unknown => {
                        self.pause_row(id).await?;
                        Ok(DownloadState::Paused)
                    }
                    Settled::At(state) if state.is_unfinished() => Ok(state),
                    Settled::At(state) => Err(wrong_state(id, "paused", state)),
                }
            }
            DownloadState::Paused => Ok(DownloadState::Paused),
            state => Err(wrong_state(id, "paused", state)),
        }
    }

    /// Goes on with a paused or failed download.
    pub async fn resume(&self, id: &str) -> Result<DownloadState, Error> {
        let stored = self.stored(id).await?;
        match stored.row.state {
            state if state.is_active() => Ok(state),
            DownloadState::Paused => {
                let command = async || self.engine.resume(&JobId::new(id)).await.map(|_| ());
                match self.settle(id, command, |row| row.state != DownloadState::Paused).await? {
                    Settled::Unknown => self.start_again(id).await,
                    Settled::At(state) => Ok(state),
                }
            }
            DownloadState::Failed => self.start_again(id).await,
            state => Err(wrong_state(id, "resumed", state)),
        }
    }

    /// Ends a download and removes its partial files; whole files stay. Says whether any partial file was removed.
    pub async fn cancel(&self, id: &str) -> Result<bool, Error> {
        let stored = self.stored(id).await?;
        match stored.row.state {
            DownloadState::Cancelled => return Ok(false),
            DownloadState::Completed => return Err(wrong_state(id, "cancelled", DownloadState::Completed)),
            DownloadState::Failed => self.hand_over_paused(id).await?,
            _ => {}
        }
        let removed = AtomicBool::new(false);
        let command = async || {
            let parts = self.engine.cancel(&JobId::new(id)).await?;
            removed.store(parts, Ordering::Relaxed);
            Ok(())
        };
        let is_over = |row: &DownloadRow| !row.state.is_unfinished() && row.state != DownloadState::Failed;
        match self.settle(id, command, is_over).await? {
            Settled::Unknown => {
                self.store.step(id, Step::to(DownloadState::Cancelled), self.clock.now()).await?;
                Ok(false)
            }
            Settled::At(DownloadState::Completed) => Err(wrong_state(id, "cancelled", DownloadState::Completed)),
            Settled::At(_) => Ok(removed.into_inner()),
        }
    }

    /// Changes priority, position or rate limit of an unfinished download, also while it runs.
    pub async fn change(&self, id: &str, change: DownloadChange) -> Result<DownloadView, Error> {
        let stored = self.stored(id).await?;
        if !stored.row.state.is_unfinished() {
            return Err(wrong_state(id, "changed", stored.row.state));
        }
        if let Some(QueuePlace::Before(other)) = &change.place
            && other != id
        {
            self.stored(other).await?;
        }
        let change = match change.place {
            Some(QueuePlace::Before(other)) if other == id => DownloadChange { place: None, ..change },
            place => DownloadChange { place, ..change },
        };
        let this = self.clone();
        let id = id.to_owned();
        uninterrupted(async move { this.change_unfinished(&id, &change).await }).await
    }

    async fn change_unfinished(&self, id: &str, change: &DownloadChange) -> Result<DownloadView, Error> {
        let Some(moved) = self.store.change_download(id, change).await? else {
            return Err(Error::conflict(
                format!("Download '{id}' cannot be put before one that has ended"),
                vec![("download_id", id.to_owned())],
            ));
        };
        let (job, stored) = (JobId::new(id), self.stored(id).await?);
        known(self.engine.set_priority(&job, jobs::engine_priority(stored.row.priority)).await)?;
        for (id, position) in moved {
            known(self.engine.set_position(&JobId::new(id), position).await)?;
        }
        if let Some(limit) = change.rate_limit {
            known(self.engine.set_rate_limit(&job, limit).await)?;
        }
        self.get(id).await
    }

    /// Puts a download that the engine does not hold back into the queue, its failed files among those that wait. Somebody
    /// may have done so already.
    async fn start_again(&self, id: &str) -> Result<DownloadState, Error> {
        let (this, id) = (self.clone(), id.to_owned());
        uninterrupted(async move { this.queue_again(&id).await }).await
    }

    async fn queue_again(&self, id: &str) -> Result<DownloadState, Error> {
        let _planning = self.planning.lock().await;
        let stored = self.stored(id).await?;
        match stored.row.state {
            DownloadState::Paused | DownloadState::Failed => {}
            state if state.is_active() => return Ok(state),
            state => return Err(wrong_state(id, "resumed", state)),
        }
        // What the engine would not take stays as it is.
        jobs::job_of(&stored, &self.index)?;
        let line = Line { kind: "resumed", message: "It was put back into the queue" };
        self.store.queue_again(id, line, self.clock.now()).await.map_err(|cause| match cause {
            Error::Contradiction { is_duplicate: true, .. } => Error::conflict(
                format!("Download '{id}' cannot be resumed: another download for the same preset is unfinished"),
                vec![("download_id", id.to_owned())],
            ),
            other => other,
        })?;
        let stored = self.stored(id).await?;
        self.hand_over(&stored).await?;
        self.bus.publish(crate::events::Event::DownloadResumed(std::sync::Arc::new(self.view(&stored))));
        Ok(stored.row.state)
    }

    /// A failed download is no longer with the engine, but its partial files are on the disk: the engine removes them.
    async fn hand_over_paused(&self, id: &str) -> Result<(), Error> {
        let _planning = self.planning.lock().await;
        let mut stored = self.stored(id).await?;
        if stored.row.state == DownloadState::Failed {
            stored.row.state = DownloadState::Paused;
            self.hand_over(&stored).await?;
        }
        Ok(())
    }

    async fn pause_row(&self, id: &str) -> Result<(), Error> {
        self.store.step(id, Step::paused(PauseReason::Requested), self.clock.now()).await
    }

    /// Gives a command and waits until the state that follows from it is in the database.
    ///
    /// A download that the engine does not hold is on its way there, or it has just ended and that is not written yet, or, where
    /// neither shows in time, it was lost between the two.
    async fn settle(
        &self,
        id: &str,
        command: impl AsyncFn() -> Result<(), CommandError>,
        is_settled: impl Fn(&DownloadRow) -> bool,
    ) -> Result<Settled, Error> {
        let mut events = self.bus.subscribe();
        let mut outcome = command().await;
        if matches!(outcome, Err(CommandError::UnknownJob(_))) {
            // Whoever hands a download over holds this.
            let _planning = self.planning.lock().await;
            outcome = command().await;
        }
        let is_held = match outcome {
            Ok(()) => true,
            Err(CommandError::UnknownJob(_)) => false,
            Err(cause) => return Err(Error::internal(cause)),
        };
        let settled = async {
            loop {
                let row = self.stored(id).await?.row;
                if is_settled(&row) {
                    return Ok(row.state);
                }
                let _ = events.recv().await;
            }
        };
        match timeout(self.settling_time, settled).await {
            Ok(state) => state.map(Settled::At),
            Err(_) if !is_held => Ok(Settled::Unknown),
            Err(_) => Ok(Settled::At(self.stored(id).await?.row.state)),
        }
    }
}

fn waits_for_room(row: &DownloadRow) -> bool {
    row.state == DownloadState::Paused && row.pause_reason == Some(PauseReason::InsufficientStorage)
}

enum Settled {
    /// The engine does not hold this download.
    Unknown,
    At(DownloadState),
}

/// A job that the engine does not hold takes the new value from its row when it is handed over.
fn known(outcome: Result<(), CommandError>) -> Result<(), Error> {
    match outcome {
        Ok(()) | Err(CommandError::UnknownJob(_)) => Ok(()),
        Err(cause) => Err(Error::internal(cause)),
    }
}

fn wrong_state(id: &str, wish: &str, state: DownloadState) -> Error {
    Error::conflict(
        format!("Download '{id}' is {} and cannot be {wish}", state.as_str()),
        vec![("download_id", id.to_owned()), ("state", state.as_str().to_owned())],
    )
}
