//! Owns every task of the service: only it spawns, it notices a task that ends uninvited, and it ends them in order.

use std::future::Future;

use downloader::Downloader;
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Error, database::Store, database::lease::DatabaseLock};

/// Watches over the tasks of the service.
pub struct Supervisor {
    engine: Downloader,
    store: Store,
    stop: CancellationToken,
    background: TaskTracker,
    lock: Option<DatabaseLock>,
    tasks: JoinSet<()>,
    ended: mpsc::Receiver<String>,
    ending: mpsc::Sender<String>,
}

impl Supervisor {
    pub(crate) fn new(engine: Downloader, store: Store, stop: CancellationToken, background: TaskTracker) -> Self {
        let (ending, ended) = mpsc::channel(16);
        Self { engine, store, stop, background, lock: None, tasks: JoinSet::new(), ended, ending }
    }

    /// Runs a task for as long as the service lives. Its end before the stop is a failure.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = Result<(), Error>> + Send + 'static) {
        let (ending, stop) = (self.ending.clone(), self.stop.clone());
        self.tasks.spawn(async move {
            let notice = Notice { name, ending, stop, outcome: "panicked".to_owned() };
            notice.run(task).await;
        });
    }

    /// Runs a task that may end when it is done.
    pub(crate) fn spawn_once(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Keeps the right to the database until the end.
    pub(crate) fn hold(&mut self, lock: DatabaseLock) {
        self.lock = Some(lock);
    }

    /// Waits until a task ends uninvited, and says which and how. The caller stops the process.
    pub async fn failed(&mut self) -> String {
        match self.ended.recv().await {
            Some(message) => message,
            None => std::future::pending().await,
        }
    }

    /// Parks the transfers, waits for the tasks, closes the database.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        self.engine.shutdown().await;
        while self.tasks.join_next().await.is_some() {}
        self.background.close();
        self.background.wait().await;
        self.store.close().await;
        drop(self.lock);
    }
}

/// Tells the supervisor how a task ended, also when it panics: dropping it is the telling.
struct Notice {
    name: &'static str,
    ending: mpsc::Sender<String>,
    stop: CancellationToken,
    outcome: String,
}

impl Notice {
    async fn run(mut self, task: impl Future<Output = Result<(), Error>>) {
        self.outcome = match task.await {
            Ok(()) => "ended".to_owned(),
            Err(cause) => crate::presets::with_causes(&cause),
        };
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            tracing::error!(task = self.name, outcome = %self.outcome, "a task of the service exited unexpectedly");
            let _ = self.ending.try_send(format!("the task '{}' ended: {}", self.name, self.outcome));
        }
    }
}
