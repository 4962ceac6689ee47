//! What comes of a job when its task has ended: what is told, and in which state the job is then. It gives no places.

use std::sync::Arc;

use tokio::task::JoinError;
use tokio::time::Instant;

use super::{Entry, MOST_FAILED, Scheduler, State};
use crate::engine::download::run::RunOutcome;
use crate::transfer::of_panic;
use crate::{JobEvent, JobId, JobState, PauseReason};

/// What the scheduler's own tasks report.
pub(super) enum Event {
    RunEnded(JobId, RunOutcome),
    PartsRemoved(JobId, bool),
    /// Whether there is room again for a job that waits for it, or nobody can say.
    RoomSeen(JobId, bool),
}

impl Scheduler {
    pub(super) async fn task_ended(&mut self, ended: Result<Event, JoinError>) {
        match ended.map_or_else(|panic| self.died(panic), Some) {
            Some(Event::RunEnded(id, outcome)) => self.run_ended(id, outcome).await,
            Some(Event::PartsRemoved(id, parts_removed)) => {
                self.send(&id, JobEvent::Cancelled { parts_removed }).await;
                for reply in self.entries.remove(&id).into_iter().flat_map(|entry| entry.cancelling) {
                    let _ = reply.send(Ok(parts_removed));
                }
            }
            Some(Event::RoomSeen(id, enough)) => self.room_seen(&id, enough).await,
            None => {}
        }
    }

    /// What a task that panicked, or was aborted, would have said: its job has failed, or what could not be removed stays.
    fn died(&self, panic: JoinError) -> Option<Event> {
        let (id, entry) = self.entries.iter().find(|(_, entry)| entry.task == Some(panic.id()))?;
        if matches!(entry.state, State::Removing) {
            return Some(Event::PartsRemoved(id.clone(), false));
        }
        let file = entry.job.files.iter().position(|file| !file.done)?;
        let error = Arc::new(of_panic(&entry.job.files[file], panic));
        Some(Event::RunEnded(id.clone(), RunOutcome { failed: Some((file, error)), ..RunOutcome::default() }))
    }

    async fn run_ended(&mut self, id: JobId, outcome: RunOutcome) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        for (index, size) in &outcome.finished {
            let file = &mut entry.job.files[*index];
            (file.done, file.done_bytes) = (true, *size);
        }
        let pausing = std::mem::take(&mut entry.pausing);
        let whole = entry.job.files.iter().all(|file| file.done);
        if !entry.cancelling.is_empty() && !whole {
            self.remove_parts(&id);
            pausing.into_iter().for_each(|reply| drop(reply.send(Ok(JobState::Cancelled))));
            return;
        }
        let (state, event) = if whole {
            (JobState::Completed, JobEvent::Completed)
        } else if let Some((_, shortage)) = outcome.shortage {
            let reason = PauseReason::InsufficientStorage {
                needed_bytes: shortage.needed,
                available_bytes: shortage.available.unwrap_or(0),
            };
            (JobState::Paused(reason), JobEvent::Paused(reason))
        } else if outcome.stopped {
            (JobState::Paused(PauseReason::Requested), JobEvent::Paused(PauseReason::Requested))
        } else if let Some((file, error)) = outcome.failed {
            (JobState::Failed, JobEvent::Failed { file, error })
        } else {
            (JobState::Queued, JobEvent::Resumed) // What it took for whole was gone again.
        };
        // Somebody who asked for a pause gets one, also when the disk was full a moment before.
        let asked = !pausing.is_empty() && matches!(state, JobState::Paused(_));
        let state = if asked { JobState::Paused(PauseReason::Requested) } else { state };
        let event = if asked { JobEvent::Paused(PauseReason::Requested) } else { event };
        let shortage = outcome.shortage.filter(|_| matches!(state, JobState::Paused(_)) && !asked);
        let figures = shortage.map(|(_, shortage)| shortage);
        entry.retry_after.run_ended(Instant::now(), self.engine.settings.storage_poll, figures);
        entry.state = match state {
            JobState::Paused(_) => match shortage {
                Some((file, shortage)) => State::WaitingForRoom { file, needed: shortage.needed, look: None },
                None => State::Paused,
            },
            JobState::Failed => State::Failed,
            _ => State::Queued,
        };
        let ended = if whole { self.entries.remove(&id) } else { None };
        self.forget_failed();
        self.send(&id, event).await;
        ended.into_iter().flat_map(|entry| entry.cancelling).for_each(|reply| drop(reply.send(Ok(false))));
        pausing.into_iter().for_each(|reply| drop(reply.send(Ok(state))));
    }
}

impl Scheduler {
    /// Nobody may ever ask for a job again that failed long ago. Given anew, it goes on from its partial files all the same.
    fn forget_failed(&mut self) {
        let is_failed = |(_, entry): &(&JobId, &Entry)| matches!(entry.state, State::Failed);
        while self.entries.iter().filter(is_failed).count() > MOST_FAILED {
            let oldest = self.entries.iter().filter(is_failed).min_by_key(|(_, entry)| entry.order);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { return };
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::mpsc;

    use super::*;
    use crate::engine::command::Command;
    use crate::transfer::shared::Engine;
    use crate::transfer::world::World;
    use crate::{Destination, FileJob, Job, Settings, SourceUrl};

    #[tokio::test]
    async fn a_job_whose_task_panics_fails_in_words_and_gives_its_place_to_the_next() {
        let settings = Settings { max_concurrent_downloads: 1, ..Settings::default() };
        let world = World::real(&settings).expect("the settings are sound");
        let (commands, inbox) = mpsc::channel(1);
        let (outbox, mut updates) = mpsc::channel(16);
        let mut scheduler = Scheduler::new(Arc::new(Engine::new(settings, world)), inbox, outbox);
        let folder = tempfile::tempdir().expect("a folder can be made");
        for id in ["first", "second"] {
            let source = SourceUrl::parse("https://files.example/f.bin").expect("a link");
            let file = FileJob::new(Destination::new(folder.path(), id).expect("a name"), vec![source]);
            scheduler.enqueue(Job::new(JobId::new(id), vec![file])).expect("the name is free");
        }
        let stop = tokio_util::sync::CancellationToken::new();
        scheduler.entries.get_mut(&JobId::new("first")).expect("it is there").state = State::Running { stop };
        scheduler.start(JobId::new("first"), async { panic!("a panic on order") });
        let engine = tokio::spawn(scheduler.run());
        let mut next = async || {
            let update = tokio::time::timeout(Duration::from_secs(30), updates.recv()).await;
            update.expect("nobody says anything").expect("the engine lives")
        };
        let JobEvent::Failed { error, .. } = next().await.event else { panic!("it does not say so") };
        assert!(error.to_string().contains("a panic on order"), "{error}");
        let started = next().await;
        assert_eq!(started.job, JobId::new("second"));
        assert!(matches!(started.event, JobEvent::Started), "{:?}", started.event);
        let (reply, done) = tokio::sync::oneshot::channel();
        commands.send(Command::Shutdown(reply)).await.expect("it listens");
        done.await.expect("it answers");
        engine.await.expect("it ends by itself");
    }
}
