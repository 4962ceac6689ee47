//! A token bucket without burst: an answer never runs ahead of its rate, and idle time between answers earns nothing.

use std::time::Duration;
use tokio::time::Instant;

/// How much a busy machine may be late with a piece and still make up for it. A connection whose client does not read gains no more
/// than this either.
const LATENESS: Duration = Duration::from_millis(100);

/// The pace of one connection. Kept across its requests.
pub(super) struct Pacer {
    free_at: Instant,
}

impl Pacer {
    pub(super) fn new() -> Pacer {
        Pacer { free_at: Instant::now() }
    }

    /// The largest piece that goes out at once: 5 ms worth, so that the stream is even.
    pub(super) fn piece(rate: u64) -> u64 {
        (rate / 200).max(1)
    }

    /// An answer begins: what was not sent before it is lost.
    pub(super) fn begin(&mut self) {
        self.free_at = self.free_at.max(Instant::now());
    }

    /// Waits until `bytes` more may go out at `rate` bytes a second.
    pub(super) async fn wait(&mut self, bytes: u64, rate: u64) {
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        let now = Instant::now();
        self.free_at = self.free_at.max(now.checked_sub(LATENESS).unwrap_or(now)) + cost;
        tokio::time::sleep_until(self.free_at).await;
    }
}
