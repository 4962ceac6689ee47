//! The messages from the handle to the scheduler. Each carries the way back for its answer.

use tokio::sync::oneshot;

use crate::{CommandError, Job, JobId, JobState, Priority};

/// Where an answer goes. Nobody may be waiting any more.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, CommandError>>;

#[derive(Debug)]
pub(crate) enum Command {
    Enqueue(Job, Reply<()>),
    Pause(JobId, Reply<JobState>),
    Resume(JobId, Reply<JobState>),
    Cancel(JobId, Reply<bool>),
    SetPriority(JobId, Priority, Reply<()>),
    SetPosition(JobId, i64, Reply<()>),
    SetRateLimit(JobId, Option<u64>, Reply<()>),
    Shutdown(oneshot::Sender<()>),
}
