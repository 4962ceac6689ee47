//! The threads that do what blocks.

use std::fmt::Debug;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

/// Runs blocking work where a dispatcher says.
#[derive(Debug, Clone)]
pub(crate) struct Threads(Arc<dyn Dispatcher>);

/// Decides where blocking work runs, and what happens before it.
pub(crate) trait Dispatcher: Debug + Send + Sync {
    /// Decides for the work that is handed over at `place`.
    fn dispatch(&self, place: &Location<'_>) -> Dispatch;
}

/// Where blocking work runs.
pub(crate) struct Dispatch {
    /// Runs right before the work, on the same thread.
    pub(crate) before: Box<dyn FnOnce() + Send>,
    /// Runs the work on the runtime itself after this delay, not on the blocking pool.
    pub(crate) on_runtime_after: Option<Duration>,
}

impl Default for Dispatch {
    /// The blocking pool, at once.
    fn default() -> Self {
        Self { before: Box::new(|| {}), on_runtime_after: None }
    }
}

/// Tokio's blocking pool.
#[derive(Debug)]
struct BlockingPool;

impl Dispatcher for BlockingPool {
    fn dispatch(&self, _: &Location<'_>) -> Dispatch {
        Dispatch::default()
    }
}

impl Threads {
    /// Tokio's blocking pool.
    pub(crate) fn pool() -> Self {
        Self::assigned_by(BlockingPool)
    }

    /// Threads that `dispatcher` assigns.
    pub(crate) fn assigned_by(dispatcher: impl Dispatcher + 'static) -> Self {
        Self(Arc::new(dispatcher))
    }

    /// Runs the work elsewhere. It is done even if nobody waits for it.
    #[track_caller]
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let Dispatch { before, on_runtime_after } = self.0.dispatch(Location::caller());
        let work = move || {
            before();
            work()
        };
        match on_runtime_after {
            None => tokio::task::spawn_blocking(work),
            Some(delay) => tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                work()
            }),
        }
    }
}
