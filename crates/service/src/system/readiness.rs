//! Looks every second whether the database answers, so that nobody who asks has to wait for it.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Error, database::Store};

const INTERVAL: Duration = Duration::from_secs(1);
/// A database that takes longer does not answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Whether the database answered when it was last looked at. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Readiness(Arc<watch::Sender<bool>>);

impl Readiness {
    /// Of a database that has just been opened.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }

    pub(crate) fn is_ready(&self) -> bool {
        *self.0.borrow()
    }

    /// Looks until the token is cancelled.
    pub(crate) async fn renew(self, store: Store, stop: CancellationToken) -> Result<(), Error> {
        let mut turns = tokio::time::interval(INTERVAL);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(turns.tick()).await.is_some() {
            let answer = tokio::time::timeout(TIMEOUT, store.size_bytes()).await;
            self.0.send_replace(matches!(answer, Ok(Ok(_))));
        }
        Ok(())
    }
}
