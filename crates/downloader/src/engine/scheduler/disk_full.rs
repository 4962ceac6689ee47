//! Jobs that stand still for want of room: when somebody looks again, and when they go on by themselves.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::ended::Event;
use super::{Scheduler, State};
use crate::halt::Shortage;
use crate::transfer::shared::Engine;
use crate::{Destination, JobId};

/// Longest wait before a disk is tried again that says it is full and whose figures say that it is not.
const LONGEST: Duration = Duration::from_secs(600);

/// When a job that stands still for want of room is looked at next.
#[derive(Debug, Default)]
pub(super) struct SpaceRetry {
    /// How often in a row there was no room although the figures said so, as where a quota is spent.
    in_vain: u32,
    not_before: Option<Instant>,
}

impl SpaceRetry {
    /// A run has ended so. Figures that bear a shortage out tell by themselves when to go on; for others the waits double.
    pub(super) fn run_ended(&mut self, now: Instant, poll: Duration, shortage: Option<Shortage>) {
        if shortage.is_none_or(Shortage::shows) {
            *self = Self::default();
            return;
        }
        self.in_vain += 1;
        self.not_before = Some(now + poll.saturating_mul(1 << self.in_vain.min(20)).min(LONGEST));
    }

    fn is_over(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|then| now >= then)
    }
}

/// A task that looks for room. It ends when nobody waits for it any more: a file system that hangs holds up no shutdown.
#[derive(Debug)]
pub(super) struct Look(AbortHandle);

impl Drop for Look {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Scheduler {
    /// Has somebody look whether there is room again, on the file system of the very file that lacked it. Each look is a task
    /// of its own: a file system that hangs holds up no other job.
    pub(super) fn look_for_room(&mut self) {
        let now = Instant::now();
        for (id, entry) in &mut self.entries {
            if let State::WaitingForRoom { file, needed, look: look @ None } = &mut entry.state
                && entry.retry_after.is_over(now)
            {
                let (id, destination, needed) = (id.clone(), entry.job.files[*file].destination.clone(), *needed);
                let (engine, threads) = (Arc::clone(&self.engine), self.engine.threads.clone());
                let looking = async move {
                    let enough = threads.spawn(move || may_have_room(&engine, &destination, needed)).await;
                    Event::RoomSeen(id, enough.unwrap_or(false))
                };
                *look = Some(Look(self.tasks.spawn(looking)));
            }
        }
    }

    pub(super) async fn room_seen(&mut self, id: &JobId, enough: bool) {
        let Some(State::WaitingForRoom { look, .. }) = self.entries.get_mut(id).map(|entry| &mut entry.state) else {
            return;
        };
        *look = None;
        if enough {
            let _ = self.resume(id).await;
        }
    }
}

/// Whether there is room, or nobody can say: the folder is gone, or its file system has no figures. Blocks.
fn may_have_room(engine: &Engine, destination: &Destination, needed: u64) -> bool {
    let folder = engine.disk.open_parent(destination, false);
    let available = folder.ok().and_then(|folder| engine.space.available(u64::MAX, folder.as_ref()));
    available.is_none_or(|available| available >= needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_against_its_figures_is_tried_less_and_less_often() {
        let (mut retry_after, now, poll) = (SpaceRetry::default(), Instant::now(), Duration::from_secs(5));
        let short = |needed, available| Some(Shortage { needed, available });
        let mut waits = Vec::new();
        for _ in 0..9 {
            retry_after.run_ended(now, poll, short(1, Some(2)));
            waits.push(retry_after.not_before.map(|then| (then - now).as_secs()));
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600].map(Some));
        assert!(!retry_after.is_over(now) && retry_after.is_over(now + LONGEST));
        retry_after.run_ended(now, poll, None);
        retry_after.run_ended(now, poll, short(1, None));
        assert!(!retry_after.is_over(now), "nobody says how much room there is");
        for other in [short(2, Some(1)), None] {
            retry_after.run_ended(now, poll, short(1, Some(2)));
            retry_after.run_ended(now, poll, other);
            assert!(retry_after.is_over(now), "{other:?}");
        }
    }
}
