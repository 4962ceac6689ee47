//! Which job has a place: one loop over commands, ended runs, and free space. It is the only owner of the queue.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::engine::command::{Command, Reply};
use crate::engine::download::run::{JobRun, RunOutcome};
use crate::engine::scheduler::disk_full::{Look, SpaceRetry};
use crate::engine::scheduler::ended::Event;
use crate::geometry::LARGEST_FILE;
use crate::storage::part;
use crate::storage::part::Discard;
use crate::transfer::rate_limit::Bandwidth;
use crate::transfer::reporter::Outbox;
use crate::transfer::shared::Engine;
use crate::{CommandError, Job, JobEvent, JobId, JobState, PauseReason, Update};

mod disk_full;
mod ended;

/// Failed jobs that are kept, so that they can be resumed: the newest.
const MOST_FAILED: usize = 100;

pub(crate) struct Scheduler {
    engine: Arc<Engine>,
    commands: mpsc::Receiver<Command>,
    updates: mpsc::Sender<Update>,
    entries: BTreeMap<JobId, Entry>,
    tasks: JoinSet<Event>,
    last_order: u64,
    shutting_down: Vec<oneshot::Sender<()>>,
}

/// A job that has not ended.
struct Entry {
    job: Job,
    order: u64,
    state: State,
    /// Runs it, or removes its partial files.
    task: Option<task::Id>,
    bandwidth: Arc<Bandwidth>,
    retry_after: SpaceRetry,
    pausing: Vec<Reply<JobState>>,
    cancelling: Vec<Reply<bool>>,
}

enum State {
    Queued,
    Running {
        stop: CancellationToken,
    },
    /// Because somebody asked for it.
    Paused,
    /// Until there is room for one of its files.
    WaitingForRoom {
        /// Its index in the job.
        file: usize,
        needed: u64,
        /// Looks whether there is.
        look: Option<Look>,
    },
    Failed,
    /// Its partial files are being removed.
    Removing,
}

impl Scheduler {
    pub(crate) fn new(engine: Arc<Engine>, commands: mpsc::Receiver<Command>, updates: mpsc::Sender<Update>) -> Self {
        Self {
            engine,
            commands,
            updates,
            entries: BTreeMap::new(),
            tasks: JoinSet::new(),
            last_order: 0,
            shutting_down: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut storage_poll = tokio::time::interval(self.engine.settings.storage_poll);
        storage_poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = storage_poll.tick() => self.look_for_room(),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown(reply)) => {
                        self.shutting_down.push(reply);
                        break;
                    }
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.task_ended(ended).await,
            }
            self.give_places().await;
        }
        self.park_all().await;
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Enqueue(job, reply) => {
                let _ = reply.send(self.enqueue(job));
            }
            Command::Pause(id, reply) => self.pause(id, reply).await,
            Command::Resume(id, reply) => {
                let resumed = self.resume(&id).await;
                let _ = reply.send(resumed);
            }
            Command::Cancel(id, reply) => self.cancel(id, reply),
            Command::SetPriority(id, priority, reply) => self.change(&id, reply, |entry| entry.job.priority = priority),
            Command::SetPosition(id, position, reply) => self.change(&id, reply, |entry| entry.job.position = position),
            Command::SetRateLimit(id, limit, reply) => self.change(&id, reply, |entry| {
                entry.job.rate_limit = limit;
                entry.bandwidth.set(limit);
            }),
            Command::Shutdown(reply) => self.shutting_down.push(reply),
        }
    }

    fn change(&mut self, id: &JobId, reply: Reply<()>, change: impl FnOnce(&mut Entry)) {
        let changed = self.entries.get_mut(id).map(change).ok_or_else(|| CommandError::UnknownJob(id.clone()));
        let _ = reply.send(changed);
    }

    fn enqueue(&mut self, job: Job) -> Result<(), CommandError> {
        if let Some(problem) = problem_of(&job) {
            return Err(CommandError::InvalidJob { id: job.id, problem });
        }
        if self.entries.get(&job.id).is_some_and(|entry| !matches!(entry.state, State::Failed)) {
            return Err(CommandError::AlreadyThere(job.id));
        }
        self.last_order += 1;
        let entry = Entry {
            order: self.last_order,
            state: if job.paused { State::Paused } else { State::Queued },
            task: None,
            bandwidth: Arc::new(Bandwidth::new(job.rate_limit)),
            retry_after: SpaceRetry::default(),
            pausing: Vec::new(),
            cancelling: Vec::new(),
            job,
        };
        self.entries.insert(entry.job.id.clone(), entry);
        Ok(())
    }

    async fn pause(&mut self, id: JobId, reply: Reply<JobState>) {
        let Some(entry) = self.entries.get_mut(&id) else {
            let _ = reply.send(Err(CommandError::UnknownJob(id)));
            return;
        };
        let paused = JobState::Paused(PauseReason::Requested);
        match &entry.state {
            State::Running { stop } => {
                stop.cancel();
                entry.pausing.push(reply);
                return;
            }
            State::Paused => {}
            State::Failed => {
                let _ = reply.send(Ok(JobState::Failed));
                return;
            }
            State::Removing => {
                let _ = reply.send(Ok(JobState::Cancelled));
                return;
            }
            State::Queued | State::WaitingForRoom { .. } => {
                entry.state = State::Paused;
                self.send(&id, JobEvent::Paused(PauseReason::Requested)).await;
            }
        }
        let _ = reply.send(Ok(paused));
    }

    async fn resume(&mut self, id: &JobId) -> Result<JobState, CommandError> {
        let unknown = || CommandError::UnknownJob(id.clone());
        let entry = self.entries.get_mut(id).ok_or_else(unknown)?;
        match entry.state {
            State::Paused | State::WaitingForRoom { .. } | State::Failed => {
                entry.state = State::Queued;
                self.send(id, JobEvent::Resumed).await;
                Ok(JobState::Queued)
            }
            State::Queued => Ok(JobState::Queued),
            State::Running { .. } => Ok(JobState::Running),
            State::Removing => Ok(JobState::Cancelled),
        }
    }

    fn cancel(&mut self, id: JobId, reply: Reply<bool>) {
        let Some(entry) = self.entries.get_mut(&id) else {
            let _ = reply.send(Err(CommandError::UnknownJob(id)));
            return;
        };
        entry.cancelling.push(reply);
        match &entry.state {
            State::Running { stop } => stop.cancel(),
            State::Removing => {}
            _ => self.remove_parts(&id),
        }
    }

    /// Removes the partial files of a job that does not run, but for those that another one goes on with.
    fn remove_parts(&mut self, id: &JobId) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        entry.state = State::Removing;
        let own: Vec<_> = entry.job.unfinished().cloned().collect();
        let goes_on = |entry: &&Entry| !matches!(entry.state, State::Removing | State::Failed);
        let others = self.entries.values().filter(goes_on);
        let wanted: HashSet<_> = others.flat_map(|entry| entry.job.unfinished()).collect();
        let destinations: Vec<_> = own.into_iter().filter(|own| !wanted.contains(own)).collect();
        let (job, disk, threads) = (id.clone(), Arc::clone(&self.engine.disk), self.engine.threads.clone());
        let removing = self.tasks.spawn(async move {
            let removed = threads.spawn(move || {
                let remove = |destination| {
                    part::discard_closed(disk.as_ref(), destination, Discard::Cancelled)
                        .inspect_err(|error| tracing::warn!(%destination, %error, "a partial file stays"))
                        .unwrap_or(false)
                };
                destinations.iter().map(remove).fold(false, |any, removed| any | removed)
            });
            Event::PartsRemoved(job, removed.await.unwrap_or(false))
        });
        if let Some(entry) = self.entries.get_mut(id) {
            entry.task = Some(removing.id());
        }
    }

    /// Starts waiting jobs while there are places: by priority, then position, then order of asking.
    async fn give_places(&mut self) {
        loop {
            let running = self.entries.values().filter(|entry| matches!(entry.state, State::Running { .. })).count();
            if running >= self.engine.settings.max_concurrent_downloads.max(1) {
                return;
            }
            let waiting = self.entries.values_mut().filter(|entry| matches!(entry.state, State::Queued));
            let first = waiting.min_by_key(|entry| (Reverse(entry.job.priority), entry.job.position, entry.order));
            let Some(entry) = first else { return };
            let stop = CancellationToken::new();
            let id = entry.job.id.clone();
            let outbox = Outbox { job: id.clone(), updates: self.updates.clone() };
            let run = JobRun::new(Arc::clone(&self.engine), &entry.job, Arc::clone(&entry.bandwidth), outbox, &stop);
            entry.state = State::Running { stop };
            self.send(&id, JobEvent::Started).await;
            self.start(id, run.run());
        }
    }

    fn start(&mut self, id: JobId, run: impl Future<Output = RunOutcome> + Send + 'static) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.task = Some(self.tasks.spawn(async move { Event::RunEnded(id, run.await) }).id());
    }

    /// Stops every run and waits until what arrived is safe.
    async fn park_all(mut self) {
        self.commands.close();
        for entry in self.entries.values_mut() {
            match &mut entry.state {
                State::Running { stop } => stop.cancel(),
                State::WaitingForRoom { look, .. } => *look = None,
                _ => {}
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            self.task_ended(ended).await;
        }
        for reply in self.shutting_down {
            let _ = reply.send(());
        }
    }

    async fn send(&self, id: &JobId, event: JobEvent) {
        let _ = self.updates.send(Update { job: id.clone(), event }).await;
    }
}

fn problem_of(job: &Job) -> Option<&'static str> {
    if job.files.is_empty() {
        Some("it names no file")
    } else if job.files.iter().any(|file| !file.done && file.sources.is_empty()) {
        Some("one of its files names no source")
    } else if job.files.iter().any(|file| !file.done && file.size.is_some_and(|size| size > LARGEST_FILE)) {
        Some("one of its files is larger than any that is taken")
    } else {
        None
    }
}
