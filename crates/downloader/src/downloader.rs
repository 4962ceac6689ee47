//! The handle: every method is one message to the scheduler. It holds no state of its own.

use std::future::Future;

use tokio::sync::mpsc;

use crate::{
    CommandError, Credentials, Facts, Job, JobId, JobState, Priority, Settings, SourceUrl, StartError, TransferError,
    Update,
};

/// A handle on the engine. Cheap to clone; the engine ends when [`shutdown`](Self::shutdown) was called or the last
/// handle is gone.
#[derive(Debug, Clone)]
pub struct Downloader {
    commands: mpsc::Sender<()>,
}

impl Downloader {
    /// Makes the handle, the receiver of updates, and the engine itself, which the caller spawns on a tokio runtime.
    /// Nothing runs before that.
    pub fn new(
        settings: Settings,
    ) -> Result<(Self, mpsc::Receiver<Update>, impl Future<Output = ()> + Send + 'static), StartError> {
        let _ = settings;
        let (commands, _inbox) = mpsc::channel(64);
        let (_outbox, updates) = mpsc::channel(1024);
        Ok((Self { commands }, updates, async {}))
    }

    /// Takes a job into the queue. A job that failed before may be given again under the same name.
    pub async fn enqueue(&self, job: Job) -> Result<(), CommandError> {
        let _ = job;
        Err(CommandError::Stopped)
    }

    /// Stops a job and answers when it stands: what has arrived is on disk and in the journals. Pausing a paused job
    /// is fine.
    pub async fn pause(&self, id: &JobId) -> Result<JobState, CommandError> {
        Err(CommandError::UnknownJob(id.clone()))
    }

    /// Puts a paused or failed job back into the queue, and answers with its new state.
    pub async fn resume(&self, id: &JobId) -> Result<JobState, CommandError> {
        Err(CommandError::UnknownJob(id.clone()))
    }

    /// Ends a job and removes its partial files and journals; whole files stay. Says whether there were any to remove.
    pub async fn cancel(&self, id: &JobId) -> Result<bool, CommandError> {
        Err(CommandError::UnknownJob(id.clone()))
    }

    /// Changes the priority of a job; one that runs keeps its place.
    pub async fn set_priority(&self, id: &JobId, priority: Priority) -> Result<(), CommandError> {
        let _ = priority;
        Err(CommandError::UnknownJob(id.clone()))
    }

    /// Changes the position of a job within its priority.
    pub async fn set_position(&self, id: &JobId, position: i64) -> Result<(), CommandError> {
        let _ = position;
        Err(CommandError::UnknownJob(id.clone()))
    }

    /// Changes the rate limit of a job, also while it runs. Bytes a second.
    pub async fn set_rate_limit(&self, id: &JobId, limit: Option<u64>) -> Result<(), CommandError> {
        let _ = limit;
        Err(CommandError::UnknownJob(id.clone()))
    }

    /// Changes the rate limit of all jobs together. Bytes a second, 0 is none.
    pub async fn set_global_rate_limit(&self, limit: u64) -> Result<(), CommandError> {
        let _ = (limit, &self.commands);
        Err(CommandError::Stopped)
    }

    /// Changes the tokens for all requests from now on.
    pub fn set_credentials(&self, credentials: Credentials) {
        let _ = credentials;
    }

    /// Asks the sources in turn what they hold, without fetching it: one `GET` for the first byte, since some hosts
    /// refuse `HEAD`. No time limit of its own beyond those of the connections.
    pub async fn probe(&self, sources: &[SourceUrl]) -> Result<Facts, TransferError> {
        let _ = sources;
        Err(TransferError::BadAnswer { host: String::new(), problem: String::new() })
    }

    /// Parks every running job with its journals synced, then ends the engine. Paused and waiting jobs stay on disk
    /// as they are.
    pub async fn shutdown(&self) {}
}
