//! One job while it has a place: its files in order, its connections shared among them, its ticks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::download::speed::Speed;
use crate::halt::Halt;
use crate::halt::Shortage;
use crate::transfer::driver::SMALL_FILE;
use crate::transfer::rate_limit::Bandwidth;
use crate::transfer::reporter::Outbox;
use crate::transfer::shared::Engine;
use crate::transfer::stats::TransferStats;
use crate::transfer::{Transfer, of_panic};
use crate::{FileJob, FileOutcome, FileState, Job, JobEvent, Progress, TransferError};

/// Files that may be in their last steps (sync, rename) while others hold the connections.
const MOST_FINISHING: usize = 32;
/// How often it is asked whether a large file still wants the connections that are left.
const TICK: Duration = Duration::from_millis(50);
/// Longest time without data that is not yet shown as a stall.
const SHOWN_AS_STALLED: Duration = Duration::from_secs(5);

/// Names transfers in the space ledger.
static LAST_KEY: AtomicU64 = AtomicU64::new(0);

/// A job with a place.
pub(crate) struct JobRun {
    engine: Arc<Engine>,
    files: Vec<FileJob>,
    meters: Vec<Arc<TransferStats>>,
    bandwidth: Arc<Bandwidth>,
    outbox: Outbox,
    /// Ends all transfers, also when one of them finds the disk full.
    stop: CancellationToken,
    slots: Arc<Semaphore>,
    transfers: JoinSet<Ended>,
    running: BTreeMap<usize, Running>,
    next: usize,
    speed: Speed,
    outcome: RunOutcome,
}

/// A file, and how its transfer ended.
type Ended = (usize, Result<FileOutcome, Halt>);

/// A file that is being fetched.
struct Running {
    task: task::Id,
    /// It may want more connections soon.
    growing: Arc<AtomicBool>,
}

/// How a run ended.
#[derive(Debug, Default)]
pub(crate) struct RunOutcome {
    /// Files that became whole in it, with their sizes.
    pub(crate) finished: Vec<(usize, u64)>,
    pub(crate) failed: Option<(usize, Arc<TransferError>)>,
    pub(crate) stopped: bool,
    /// The first file for which there was no room.
    pub(crate) shortage: Option<(usize, Shortage)>,
}

impl JobRun {
    pub(crate) fn new(
        engine: Arc<Engine>,
        job: &Job,
        bandwidth: Arc<Bandwidth>,
        outbox: Outbox,
        stop: &CancellationToken,
    ) -> Self {
        let connections = engine.settings.connections_per_download.max(1);
        Self {
            meters: job.files.iter().map(meter_of).collect(),
            files: job.files.clone(),
            engine,
            bandwidth,
            outbox,
            stop: stop.child_token(),
            slots: Arc::new(Semaphore::new(connections)),
            transfers: JoinSet::new(),
            running: BTreeMap::new(),
            next: 0,
            speed: Speed::default(),
            outcome: RunOutcome::default(),
        }
    }

    /// Runs until every file is whole or failed, or until it is told to stop.
    pub(crate) async fn run(mut self) -> RunOutcome {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last_progress: Option<Instant> = None;
        loop {
            self.skip_finished();
            if self.transfers.is_empty() && (self.next >= self.files.len() || self.stop.is_cancelled()) {
                break;
            }
            tokio::select! {
                biased;
                _ = tick.tick() => {
                    let now = Instant::now();
                    if last_progress.is_none_or(|last| now - last >= self.engine.settings.progress_interval) {
                        last_progress = Some(now);
                        self.report(now);
                    }
                }
                Some(ended) = self.transfers.join_next(), if !self.transfers.is_empty() => {
                    if let Some((index, result)) = ended.map_or_else(|panic| self.died(panic), Some) {
                        self.ended(index, result).await;
                    }
                }
                Ok(permit) = Arc::clone(&self.slots).acquire_owned(), if self.may_start_next() => self.start_next(permit),
            }
        }
        self.report(Instant::now());
        self.outcome.stopped = self.stop.is_cancelled() && self.outcome.shortage.is_none();
        self.outcome
    }

    fn skip_finished(&mut self) {
        while self.files.get(self.next).is_some_and(|file| file.done) {
            self.next += 1;
        }
    }

    fn may_start_next(&self) -> bool {
        self.next < self.files.len()
            && !self.stop.is_cancelled()
            && self.transfers.len() < self.engine.settings.connections_per_download + MOST_FINISHING
            && !self.running.values().any(|file| file.growing.load(Relaxed))
    }

    fn start_next(&mut self, permit: OwnedSemaphorePermit) {
        let index = self.next;
        self.next += 1;
        let file = self.files[index].clone();
        let growing =
            Arc::new(AtomicBool::new(file.size.is_some_and(|size| size > self.engine.geometry.scaled(SMALL_FILE))));
        let transfer = Transfer {
            engine: Arc::clone(&self.engine),
            index,
            file,
            key: LAST_KEY.fetch_add(1, Relaxed),
            stats: Arc::clone(&self.meters[index]),
            bandwidth: Arc::clone(&self.bandwidth),
            slots: Arc::clone(&self.slots),
            outbox: self.outbox.clone(),
            stop: self.stop.clone(),
            named: Arc::default(),
            growing: Arc::clone(&growing),
        };
        let task = self.transfers.spawn(async move { (index, transfer.run(permit).await) }).id();
        self.running.insert(index, Running { task, growing });
    }

    /// A file whose task panicked has failed.
    fn died(&self, panic: JoinError) -> Option<Ended> {
        let (index, _) = self.running.iter().find(|(_, file)| file.task == panic.id())?;
        Some((*index, Err(Halt::Failed(of_panic(&self.files[*index], panic)))))
    }

    async fn ended(&mut self, index: usize, result: Result<FileOutcome, Halt>) {
        self.running.remove(&index);
        let stats = &self.meters[index];
        match result {
            Ok(outcome) => {
                stats.set_total(Some(outcome.size));
                stats.set_present(outcome.size);
                stats.set_state(FileState::Completed);
                self.outcome.finished.push((index, outcome.size));
                self.outbox.send(JobEvent::FileCompleted { file: index, outcome }).await;
            }
            Err(Halt::Stopped) => stats.set_state(FileState::Waiting),
            Err(Halt::Shortage(shortage)) => {
                stats.set_state(FileState::Waiting);
                self.outcome.shortage.get_or_insert((index, shortage));
                self.stop.cancel();
            }
            Err(Halt::Failed(error)) => {
                stats.set_state(FileState::Failed);
                let error = Arc::new(error);
                self.outcome.failed.get_or_insert((index, Arc::clone(&error)));
                self.outbox.send(JobEvent::FileFailed { file: index, error }).await;
            }
        }
    }

    fn report(&mut self, now: Instant) {
        self.speed.sample(now, self.meters.iter().map(|stats| stats.wire()).sum());
        let files: Vec<_> = self.meters.iter().map(|stats| stats.progress()).collect();
        let silence_shown = SHOWN_AS_STALLED.min(self.engine.settings.stall_timeout / 2);
        let mut fetching = self.meters.iter().filter(|stats| stats.state() == FileState::Fetching).peekable();
        let stalled = fetching.peek().is_some() && fetching.all(|stats| stats.idle() >= silence_shown);
        let current_file =
            files.iter().position(|file| matches!(file.state, FileState::Fetching | FileState::Verifying));
        self.outbox.tick(Progress {
            downloaded_bytes: files.iter().map(|file| file.downloaded_bytes).sum(),
            total_bytes: files.iter().map(|file| file.total_bytes).sum(),
            bytes_per_second: self.speed.bytes_per_second(),
            stalled,
            current_file,
            files,
        });
    }
}

fn meter_of(file: &FileJob) -> Arc<TransferStats> {
    let stats = if file.done { TransferStats::new(Some(file.done_bytes)) } else { TransferStats::new(file.size) };
    if file.done {
        stats.set_present(file.done_bytes);
        stats.set_state(FileState::Completed);
    }
    Arc::new(stats)
}
