//! Asks for the registry at the start and at an interval, each time a little later or earlier, so that a thousand pods do
//! not ask at once.

use std::time::Duration;

use rand::Rng;
use tokio_util::sync::CancellationToken;

use crate::{Error, registry_sync::RegistrySync};

/// The longest wait after the start.
const FIRST_WAIT: Duration = Duration::from_secs(30);

/// Syncs until the token is cancelled; an interval of zero never does.
pub(crate) async fn run(registry: RegistrySync, interval: Duration, stop: CancellationToken) -> Result<(), Error> {
    if interval.is_zero() {
        stop.cancelled().await;
        return Ok(());
    }
    let mut wait = FIRST_WAIT.min(interval).mul_f64(rand::rng().random());
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        if let Err(cause) = registry.sync().await {
            tracing::warn!(error = %cause, "the registry could not be synced; the present one stays in force");
        }
        wait = interval.mul_f64(rand::rng().random_range(0.9..1.1));
    }
}
