//! Rate limits: a bucket that every connection takes its bytes from. Changeable while it is in use.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Unused allowance that may be saved up.
const BURST: Duration = Duration::from_millis(200);

/// A limit in bytes a second, shared by everything that takes from it.
#[derive(Debug)]
pub(crate) struct Bandwidth {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// 0 is no limit.
    rate: u64,
    /// When the bytes taken so far are paid for.
    paid_at: Instant,
}

impl Bandwidth {
    pub(crate) fn new(rate: Option<u64>) -> Self {
        let state = State { rate: rate.unwrap_or(0), paid_at: Instant::now() };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Changes the rate. Whoever waits under the old one waits no longer.
    pub(crate) fn set(&self, rate: Option<u64>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { rate: rate.unwrap_or(0), paid_at: Instant::now() };
        drop(state);
        self.changed.notify_waiters();
    }

    /// Waits until `bytes` more may be taken.
    pub(crate) async fn take(&self, bytes: usize) {
        let changed = self.changed.notified();
        let wait_until = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.rate == 0 {
                return;
            }
            let now = Instant::now();
            let from = state.paid_at.max(now.checked_sub(BURST).unwrap_or(now));
            state.paid_at = from + Duration::from_secs_f64(bytes as f64 / state.rate as f64);
            state.paid_at
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(wait_until) => {}
            () = changed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_come_at_the_rate_that_is_set() {
        let bandwidth = Bandwidth::new(Some(1000));
        let start = Instant::now();
        for _ in 0..10 {
            bandwidth.take(500).await;
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!((4.7..=5.1).contains(&seconds), "5000 bytes took {seconds} s");
        bandwidth.set(None);
        bandwidth.take(usize::MAX).await;
        assert!(start.elapsed().as_secs_f64() < 5.2);
    }
}
