//! Looks at the whole models folder at the start and every few minutes: network volumes tell nobody of changes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{Error, models::Models};

/// Scans now and at every interval until the token is cancelled.
pub(crate) async fn run(models: Models, interval: Duration, stop: CancellationToken) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {
                models.rescan().await?;
            }
        }
    }
}
