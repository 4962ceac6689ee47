//! Jobs that stand still for want of room: when somebody looks again, and when they go on by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Scheduler, State};
use crate::PauseReason;

/// Longest wait before a disk is tried again that says it is full and whose figures say that it is not.
const LONGEST: Duration = Duration::from_secs(600);

/// When a job that stands still for want of room is looked at next.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// How often in a row there was no room although the figures said so, as where a quota is spent.
    in_vain: u32,
    not_before: Option<Instant>,
}

impl Patience {
    /// A run has ended so. Figures that bear it out tell by themselves when to go on; for others the waits double.
    pub(super) fn run_ended(&mut self, now: Instant, poll: Duration, reason: Option<PauseReason>) {
        match reason {
            Some(PauseReason::InsufficientStorage { needed_bytes, available_bytes })
                if needed_bytes <= available_bytes =>
            {
                self.in_vain += 1;
                self.not_before = Some(now + poll.saturating_mul(1 << self.in_vain.min(20)).min(LONGEST));
            }
            _ => *self = Self::default(),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|then| now >= then)
    }
}

impl Scheduler {
    /// Jobs that wait for room go on when there is enough.
    pub(super) async fn look_for_room(&mut self) {
        let (now, mut waiting) = (Instant::now(), Vec::new());
        for (id, entry) in &self.entries {
            if let State::Paused(PauseReason::InsufficientStorage { needed_bytes, .. }) = entry.state
                && entry.patience.is_over(now)
                && let Some(destination) = entry.job.unfinished().next()
            {
                waiting.push((id.clone(), destination.clone(), needed_bytes));
            }
        }
        for (id, destination, needed) in waiting {
            let engine = Arc::clone(&self.engine);
            let enough = self.engine.threads.spawn(move || {
                let folder = engine.disk.open_parent(&destination, false);
                folder.is_ok_and(|folder| engine.space.available(u64::MAX, folder.as_ref()) >= needed)
            });
            if enough.await.unwrap_or(false) {
                let _ = self.resume(&id).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_against_its_figures_is_tried_less_and_less_often() {
        let (mut patience, now, poll) = (Patience::default(), Instant::now(), Duration::from_secs(5));
        let short =
            |needed_bytes, available_bytes| Some(PauseReason::InsufficientStorage { needed_bytes, available_bytes });
        let mut waits = Vec::new();
        for _ in 0..9 {
            patience.run_ended(now, poll, short(1, 2));
            waits.push(patience.not_before.map(|then| (then - now).as_secs()));
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600].map(Some));
        assert!(!patience.is_over(now) && patience.is_over(now + LONGEST));
        for other in [short(2, 1), Some(PauseReason::Requested), None] {
            patience.run_ended(now, poll, short(1, 2));
            patience.run_ended(now, poll, other);
            assert!(patience.is_over(now), "{other:?}");
        }
    }
}
