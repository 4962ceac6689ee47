//! What runs without being asked: the engine's updates, the talk with ComfyUI, samples, scans and watches.

mod arrivals;
pub(crate) mod comfy;
pub(crate) mod readiness;
pub(crate) mod registry;
pub(crate) mod rescan;
pub(crate) mod retention;
pub(crate) mod sampler;
pub(crate) mod transfers;
pub(crate) mod watch;

use crate::Error;

/// Runs what blocks off the async workers.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)
}

/// Runs what must not stop half way, also when nobody waits for its outcome any more: a request is dropped when its client leaves.
pub(crate) async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.map_err(Error::internal)?
}
