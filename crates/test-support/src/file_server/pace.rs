//! A token bucket without burst: a connection never sends faster than its rate, and idle time earns nothing.

use std::time::Duration;
use tokio::time::Instant;

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

    /// Waits until `bytes` more may go out at `rate` bytes a second.
    pub(super) async fn wait(&mut self, bytes: u64, rate: u64) {
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        // A late wake-up of the timer is made up for; a pause of the client is not.
        let slack = Duration::from_millis(10);
        let now = Instant::now();
        self.free_at = self.free_at.max(now.checked_sub(slack).unwrap_or(now)) + cost;
        tokio::time::sleep_until(self.free_at).await;
    }
}
