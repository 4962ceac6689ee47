//! Deletes what ended longer ago than the history is kept, at the start and every hour.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{Clock, Error, database::Store};

/// How often the history is looked through.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Deletes history older than `kept` until the token is cancelled; zero keeps it for ever.
pub(crate) async fn run(
    store: Store,
    clock: Arc<dyn Clock>,
    kept: Duration,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {
                // The next round tries again.
                if let Err(cause) = sweep(&store, clock.as_ref(), kept).await {
                    tracing::warn!(error = ?cause, "history not pruned");
                }
            }
        }
    }
}

async fn sweep(store: &Store, clock: &dyn Clock, kept: Duration) -> Result<(), Error> {
    if let Ok(before) = clock.now().checked_sub(kept)
        && !kept.is_zero()
    {
        let downloads = store.delete_ended_downloads(before).await?;
        let prompts = store.delete_ended_prompts(before).await?;
        if downloads + prompts > 0 {
            tracing::info!(downloads, prompts, "history pruned");
        }
    }
    store.trim_memories().await
}
