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
        tokio::time::sleep_until(self.due(Instant::now(), bytes, rate)).await;
    }

    /// When `bytes` more may go out at `rate` bytes a second.
    fn due(&mut self, now: Instant, bytes: u64, rate: u64) -> Instant {
        let cost = Duration::from_secs_f64(bytes as f64 / rate as f64);
        self.free_at = self.free_at.max(now.checked_sub(LATENESS).unwrap_or(now)) + cost;
        self.free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_exact_and_catches_up_a_tenth_of_a_second_at_most() {
        let start = Instant::now();
        let mut pacer = Pacer { free_at: start };
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut send = |now, bytes| pacer.due(after(now), bytes, 1_000_000);
        assert_eq!(send(0, 100_000), after(100), "100 kB at 1 MB/s");
        assert_eq!(send(100, 100_000), after(200));
        assert_eq!(send(250, 100_000), after(300), "50 ms late, and caught up");
        assert_eq!(send(1_000, 100_000), after(1_000), "700 ms late: only the last 100 are caught up");
    }
}
