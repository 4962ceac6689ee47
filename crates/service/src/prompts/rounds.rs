//! How a request waits until the task that speaks with ComfyUI has seen what it wrote. Whoever wishes something writes it to
//! the database, then asks for a round and waits for one that began after that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Notify, watch};

/// Rounds of the task, counted. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Rounds {
    wished: Arc<AtomicU64>,
    wake: Arc<Notify>,
    done: watch::Sender<u64>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { wished: Arc::default(), wake: Arc::default(), done: watch::Sender::new(0) }
    }
}

impl Rounds {
    /// Asks for a round without waiting for it.
    pub(crate) fn ask(&self) -> u64 {
        let number = self.wished.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        number
    }

    /// Asks for a round and waits until it is done. `false` where that took too long.
    pub(crate) async fn after(&self, limit: Duration) -> bool {
        let number = self.ask();
        let mut done = self.done.subscribe();
        tokio::time::timeout(limit, done.wait_for(|done| *done >= number)).await.is_ok()
    }

    /// The task's side: resolves when somebody asks.
    pub(crate) async fn asked(&self) {
        self.wake.notified().await;
    }

    /// The task's side: every wish so far will be seen by the round that begins now.
    pub(crate) fn begin(&self) -> u64 {
        self.wished.load(Ordering::SeqCst)
    }

    /// The task's side: the round that began with this number is done.
    pub(crate) fn end(&self, number: u64) {
        self.done.send_replace(number);
    }
}
