//! When to try again, and when to give up. Pure: time and chance come in as values.

use std::time::Duration;

use crate::Backoff;

/// Bytes that count as progress.
const PROGRESS: u64 = 4096;

/// Counts tries that brought nothing. Progress fills the budget up again: a transfer that is cut a thousand times
/// and moves each time is alive.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    backoff: Backoff,
    fruitless: u32,
    progress_when_filled: u64,
}

impl RetryBudget {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self { backoff, fruitless: 0, progress_when_filled: 0 }
    }

    /// A try failed when the file had come `progress` bytes far at best. Says how long to wait, or `None` when the budget is spent.
    /// `chance` is between 0 and 1 and spreads the waits between half and full length.
    pub(crate) fn failed(&mut self, progress: u64, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        if progress >= self.progress_when_filled + PROGRESS {
            (self.fruitless, self.progress_when_filled) = (0, progress);
        }
        self.fruitless += 1;
        if self.fruitless > self.backoff.tries_without_progress {
            return None;
        }
        let doubled = self.backoff.first.saturating_mul(1 << (self.fruitless - 1).min(20));
        let spread = doubled.min(self.backoff.max).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        Some(asked.map_or(spread, |asked| within_reason(asked).max(spread)))
    }
}

/// Longest `Retry-After` that is honoured.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(600);

pub(crate) fn within_reason(asked: Duration) -> Duration {
    asked.min(LONGEST_RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(tries: u32) -> RetryBudget {
        RetryBudget::new(Backoff {
            first: Duration::from_secs(1),
            max: Duration::from_secs(30),
            tries_without_progress: tries,
        })
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut budget = budget(8);
        let waits: Vec<_> = (0..8).map(|_| budget.failed(0, None, 1.0).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30].map(Some));
        assert_eq!(budget.failed(0, None, 1.0), None);
    }

    #[test]
    fn progress_fills_the_budget_up_again() {
        let mut budget = budget(2);
        for progress in 1..1000 {
            assert_eq!(budget.failed(progress * PROGRESS, None, 1.0), Some(Duration::from_secs(1)));
        }
        assert!(budget.failed(999 * PROGRESS + 1, None, 1.0).is_some());
        assert!(budget.failed(999 * PROGRESS + 2, None, 1.0).is_none());
    }

    #[test]
    fn retry_after_is_honoured_up_to_its_limit() {
        let mut budget = budget(9);
        assert_eq!(budget.failed(0, Some(Duration::from_secs(90)), 0.0), Some(Duration::from_secs(90)));
        assert_eq!(budget.failed(0, Some(Duration::from_secs(1 << 40)), 0.0), Some(LONGEST_RETRY_AFTER));
    }
}
