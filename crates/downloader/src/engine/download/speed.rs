//! How fast bytes arrive: a sliding window over the last seconds. Pure: the time comes in.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(3);

/// Remembers how many bytes there were at a few moments.
#[derive(Debug, Default)]
pub(crate) struct Speed {
    samples: VecDeque<(Instant, u64)>,
}

impl Speed {
    /// Takes note that `bytes` had arrived in all by `now`.
    pub(crate) fn sample(&mut self, now: Instant, bytes: u64) {
        while self.samples.len() > 1 && self.samples.get(1).is_some_and(|(at, _)| now - *at >= WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back((now, bytes));
    }

    /// Bytes a second over the window; `None` until two samples are apart in time.
    pub(crate) fn bytes_per_second(&self) -> Option<u64> {
        let ((first, before), (last, after)) = (self.samples.front()?, self.samples.back()?);
        let seconds = (*last - *first).as_secs_f64();
        (seconds > 0.0).then(|| (after.saturating_sub(*before) as f64 / seconds) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut speed = Speed::default();
        speed.sample(start, 0);
        assert_eq!(speed.bytes_per_second(), None);
        for second in 1..=10_u64 {
            speed.sample(start + Duration::from_secs(second), second * 100);
        }
        assert_eq!(speed.bytes_per_second(), Some(100));
        for second in 11..=20_u64 {
            speed.sample(start + Duration::from_secs(second), 1000);
        }
        assert_eq!(speed.bytes_per_second(), Some(0));
    }
}
