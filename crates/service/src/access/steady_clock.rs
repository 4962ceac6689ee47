//! Time that passes and never goes back. Where somebody sets the machine's clock back, it stands still for a moment instead
//! of for as long as the step was.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::Clock;

/// Counts the time since it was made, by the service's clock.
pub(super) struct SteadyClock {
    clock: Arc<dyn Clock>,
    /// The last reading, and the time that passed up to it.
    last: Mutex<(Timestamp, Duration)>,
}

impl SteadyClock {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let last = Mutex::new((clock.now(), Duration::ZERO));
        Self { clock, last }
    }

    /// The time since it was made.
    pub(super) fn elapsed(&self) -> Duration {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let step = Duration::try_from(now.duration_since(last.0)).unwrap_or_default();
        *last = (now, last.1.saturating_add(step));
        last.1
    }
}
