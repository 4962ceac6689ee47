//! The handle: every method is one message to the scheduler, or one word to what its transfers share.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::engine::command::{Command, Reply};
use crate::engine::scheduler::Scheduler;
use crate::http::probe::{self, ProbeError};
use crate::http::source::Web;
use crate::transfer::rate_limit::Bandwidth;
use crate::transfer::shared::Engine;
use crate::transfer::world::World;
use crate::{
    CommandError, Credentials, Facts, Job, JobId, JobState, Priority, Settings, SourceUrl, StartError, Update,
};

/// Updates that may wait for a slow receiver before the engine waits for it.
const UPDATES: usize = 1024;

/// A handle on the engine. Cheap to clone; the engine ends when [`shutdown`](Self::shutdown) was called or the last
/// handle is gone.
#[derive(Debug, Clone)]
pub struct Downloader {
    commands: mpsc::Sender<Command>,
    web: Arc<Web>,
    bandwidth: Arc<Bandwidth>,
}

impl Downloader {
    /// Makes the handle, the receiver of updates, and the engine itself, which the caller spawns on a tokio runtime.
    /// Nothing runs before that.
    ///
    /// The receiver has to be read, by a task that does not itself wait for a command's answer: outcomes wait for room in
    /// it, and the engine with them; only ticks are dropped. Proxies are taken from the usual variables by the HTTP client;
    /// behind one it is the proxy that resolves names, so that only addresses written in a URL are checked here.
    pub fn new(
        settings: Settings,
    ) -> Result<(Self, mpsc::Receiver<Update>, impl Future<Output = ()> + Send + 'static), StartError> {
        let world = World::real(&settings)?;
        Ok(Self::in_world(settings, world))
    }

    /// The same in a world that may be a simulated one.
    pub(crate) fn in_world(
        settings: Settings,
        world: World,
    ) -> (Self, mpsc::Receiver<Update>, impl Future<Output = ()> + Send + 'static) {
        let (commands, inbox) = mpsc::channel(64);
        let (outbox, updates) = mpsc::channel(UPDATES);
        let engine = Arc::new(Engine::new(settings, world));
        let (web, bandwidth) = (Arc::clone(&engine.web), Arc::clone(&engine.bandwidth));
        let scheduler = Scheduler::new(engine, inbox, outbox);
        (Self { commands, web, bandwidth }, updates, scheduler.run())
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }

    /// Takes a job into the queue. A job that failed before may be given again under the same name.
    pub async fn enqueue(&self, job: Job) -> Result<(), CommandError> {
        self.ask(|reply| Command::Enqueue(job, reply)).await
    }

    /// Stops a job and answers when it stands: what has arrived is on disk and in the journals. Pausing a paused job
    /// is fine; a job that became whole or failed meanwhile answers so.
    pub async fn pause(&self, id: &JobId) -> Result<JobState, CommandError> {
        self.ask(|reply| Command::Pause(id.clone(), reply)).await
    }

    /// Puts a paused or failed job back into the queue, and answers with its new state.
    pub async fn resume(&self, id: &JobId) -> Result<JobState, CommandError> {
        self.ask(|reply| Command::Resume(id.clone(), reply)).await
    }

    /// Ends a job and removes its partial files and journals; whole files stay. Says whether there were any to remove.
    pub async fn cancel(&self, id: &JobId) -> Result<bool, CommandError> {
        self.ask(|reply| Command::Cancel(id.clone(), reply)).await
    }

    /// Changes the priority of a job; one that runs keeps its place.
    pub async fn set_priority(&self, id: &JobId, priority: Priority) -> Result<(), CommandError> {
        self.ask(|reply| Command::SetPriority(id.clone(), priority, reply)).await
    }

    /// Changes the position of a job within its priority.
    pub async fn set_position(&self, id: &JobId, position: i64) -> Result<(), CommandError> {
        self.ask(|reply| Command::SetPosition(id.clone(), position, reply)).await
    }

    /// Changes the rate limit of a job, also while it runs. Bytes a second; `None` is no limit.
    pub async fn set_rate_limit(&self, id: &JobId, limit: Option<u64>) -> Result<(), CommandError> {
        self.ask(|reply| Command::SetRateLimit(id.clone(), limit, reply)).await
    }

    /// Changes the rate limit of all jobs together. Bytes a second; `None` is no limit.
    pub fn set_global_rate_limit(&self, limit: Option<u64>) {
        self.bandwidth.set(limit);
    }

    /// Changes the tokens for all requests from now on.
    pub fn set_credentials(&self, credentials: Credentials) {
        self.web.set_credentials(credentials);
    }

    /// Asks the sources in turn what they hold, without fetching it: one `GET` for the first byte, since some hosts
    /// refuse `HEAD`. No time limit of its own beyond those of the connections.
    pub async fn probe(&self, sources: &[SourceUrl]) -> Result<Facts, ProbeError> {
        probe::probe(&self.web, sources).await
    }

    /// Parks every running job with its journals synced, then ends the engine. Returns when that is done.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Shutdown(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}
