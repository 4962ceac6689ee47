//! The way up: events of one job onto the engine's bounded channel. A receiver that is gone stops nothing.

use tokio::sync::mpsc;

use crate::{JobEvent, JobId, Progress, Update};

/// Sends the events of one job.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    pub(crate) job: JobId,
    pub(crate) updates: mpsc::Sender<Update>,
}

impl Outbox {
    /// Sends an event that has to arrive, and waits for room.
    pub(crate) async fn send(&self, event: JobEvent) {
        let _ = self.updates.send(Update { job: self.job.clone(), event }).await;
    }

    /// Sends a tick, or drops it when the receiver is slow.
    pub(crate) fn tick(&self, progress: Progress) {
        let _ = self.updates.try_send(Update { job: self.job.clone(), event: JobEvent::Progress(progress) });
    }
}
