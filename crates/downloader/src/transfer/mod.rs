//! One file, from its sources to its final name. The steps are here in order; `resume`, `driver` and `commit` are what
//! each consists of.

pub(crate) mod commit;
pub(crate) mod concurrency;
pub(crate) mod connection;
pub(crate) mod connection_stats;
pub(crate) mod driver;
pub(crate) mod existing_file;
pub(crate) mod first_response;
pub(crate) mod local_copy;
pub(crate) mod maintenance;
pub(crate) mod part_store;
pub(crate) mod path_locks;
pub(crate) mod rate_limit;
pub(crate) mod recovery;
pub(crate) mod repair;
pub(crate) mod reporter;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod segment_scheduler;
pub(crate) mod segment_writer;
pub(crate) mod segments;
pub(crate) mod shared;
pub(crate) mod sources;
pub(crate) mod stats;
pub(crate) mod stragglers;
pub(crate) mod world;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::Existing;
use crate::content_identity::NamedHash;
use crate::halt::Halt;
use crate::halt::Shortage;
use crate::storage::disk_budget::{DiskBudget, TransferKey};
use crate::storage::part;
use crate::storage::part::{Discard, Holding, Part, PartError};
use crate::transfer::commit::{Arrived, Finish};
use crate::transfer::driver::Fetching;
use crate::transfer::existing_file::{Found, Search};
use crate::transfer::local_copy::Copier;
use crate::transfer::part_store::PartStore;
use crate::transfer::rate_limit::Bandwidth;
use crate::transfer::reporter::Outbox;
use crate::transfer::resume::Beginning;
use crate::transfer::retry::RetryBudget;
use crate::transfer::segments::BlockMap;
use crate::transfer::shared::Engine;
use crate::transfer::stats::TransferStats;
use crate::{Facts, FileJob, FileOutcome, FileState, JobEvent, RestartReason, Sha256Digest, SourceUrl, TransferError};

/// How often a partial file may be taken away before it is given up.
const MOST_REMOVALS: u32 = 3;

/// One file of a job.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) index: usize,
    pub(crate) file: FileJob,
    pub(crate) key: TransferKey,
    pub(crate) stats: Arc<TransferStats>,
    pub(crate) bandwidth: Arc<Bandwidth>,
    /// Connections that the job may still open.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) outbox: Outbox,
    pub(crate) stop: CancellationToken,
    /// What a server has named, for want of a hash that was asked for.
    pub(crate) named: Arc<NamedHash>,
    /// Set while this file may want more connections soon.
    pub(crate) growing: Arc<AtomicBool>,
}

impl Transfer {
    /// Does all of it. `slot` is the file's first connection.
    pub(crate) async fn run(self, slot: OwnedSemaphorePermit) -> Result<FileOutcome, Halt> {
        self.stats.set_state(FileState::Fetching);
        self.stats.touch();
        let engine = Arc::clone(&self.engine);
        let _entered = engine.space.enter(self.key);
        self.run_to_the_end(Some(slot)).await
    }

    /// Runs what blocks on a thread for that. A panic there is an error here.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
    ) -> Result<T, Halt> {
        self.stoppable(move || Ok(work()?)).await
    }

    /// The same for work that looks whether it is told to stop.
    pub(crate) async fn stoppable<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Halt> + Send + 'static,
    ) -> Result<T, Halt> {
        let done = self.engine.threads.spawn(work).await;
        done.unwrap_or_else(|panic| Err(of_panic(&self.file, panic).into()))
    }

    async fn run_to_the_end(mut self, mut slot: Option<OwnedSemaphorePermit>) -> Result<FileOutcome, Halt> {
        let engine = Arc::clone(&self.engine);
        let _held = match engine.destinations.try_hold(&self.file.destination) {
            Some(held) => held,
            None => {
                // Another job fetches it. The other files of this one need not wait for that.
                slot = None;
                self.growing.store(false, Relaxed);
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return Err(Halt::Stopped),
                    held = engine.destinations.hold(&self.file.destination) => held,
                }
            }
        };
        let mut budget = RetryBudget::new(engine.settings.backoff);
        loop {
            let error = match self.attempt(&mut slot).await {
                Err(Halt::Failed(error)) if error.is_full_file_table() => error,
                outcome => return outcome,
            };
            let Some(wait) = budget.failed(self.stats.wire(), None, engine.chance()) else {
                return Err(Halt::Failed(error));
            };
            tracing::warn!(file = %self.file.destination, %error, "waiting for others to close their files");
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Halt::Stopped),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn attempt(&mut self, slot: &mut Option<OwnedSemaphorePermit>) -> Result<FileOutcome, Halt> {
        let search = Arc::new(self.search().await?);
        for _ in 0..MOST_REMOVALS {
            let (part, found) = self.open_part(&search).await?;
            let outcome = match found {
                Ok(Found::Whole(outcome)) => Ok(Some(outcome)),
                Ok(Found::Part(beginning)) => self.with_part(slot, &part, beginning, &search).await,
                Err(halt) => Err(halt),
            };
            match outcome {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => self.restarted(RestartReason::PartRemoved).await,
                Err(halt) => return Err(self.leave(halt, part).await),
            }
        }
        let path = self.file.destination.root().join(self.file.destination.relative());
        let source = io::ErrorKind::NotFound.into();
        Err(Halt::Failed(TransferError::Io { action: "keeping the partial file of", path, source }))
    }

    /// Adds to a shortage what is known of it here, and removes a partial file that is of no use to the next run.
    async fn leave(&self, halt: Halt, part: Arc<Part>) -> Halt {
        let here = self.stats.progress();
        let is_proven = self.file.sha256.is_some() && here.total_bytes == Some(here.downloaded_bytes);
        let leaving = Leaving {
            // Bytes without a journal are trusted where they are all here and their hash proves it. Where there is no room
            // they stay, so that the room is not taken for free.
            unprovable: !is_proven && !matches!(halt, Halt::Shortage(_)),
            missing: here.total_bytes.map_or(self.engine.geometry.block(), |total| total - here.downloaded_bytes),
            key: self.key,
            space: Arc::clone(&self.engine.space),
            part,
        };
        let shortage = if let Halt::Shortage(shortage) = halt { Some(shortage) } else { None };
        match self.blocking(move || Ok(leaving.leave(shortage))).await {
            Ok(Some(shortage)) => Halt::Shortage(shortage),
            Ok(None) | Err(_) => halt,
        }
    }

    /// `None`: somebody took the `.part` away while it was written.
    async fn with_part(
        &mut self,
        slot: &mut Option<OwnedSemaphorePermit>,
        part: &Arc<Part>,
        mut beginning: Beginning,
        search: &Arc<Search>,
    ) -> Result<Option<FileOutcome>, Halt> {
        let mut left_to_try: Option<VecDeque<SourceUrl>> = None;
        loop {
            let (part_store, arrived) = self.arrive(slot, part, beginning).await?;
            let contributors = arrived.contributors.clone();
            let finished = match commit::finish(self, &part_store, arrived).await {
                // It appeared meanwhile, and this job takes what is there.
                Err(Halt::Failed(TransferError::DestinationExists { .. })) if self.file.existing == Existing::Share => {
                    return self.shared(search, part).await.map(Some);
                }
                finished => finished?,
            };
            match finished {
                Finish::Whole(outcome) => return Ok(Some(outcome)),
                Finish::PartRemoved => return Ok(None),
                Finish::WrongBytes(error) => {
                    // The bad bytes are thrown away.
                    let wrong = Arc::clone(part);
                    self.blocking(move || wrong.discard(Discard::WrongBytes)).await?;
                    let left = left_to_try.get_or_insert_with(|| full_retries(&self.file.sources, &contributors));
                    let Some(source) = left.pop_front() else { return Err(Halt::Failed(error)) };
                    self.file.sources = vec![source];
                    // The checksums by which good blocks were told from damaged ones may be what was wrong.
                    self.file.salvage = None;
                    self.restarted(RestartReason::HashMismatch).await;
                    let (part, file, copier) = (Arc::clone(part), self.file.clone(), self.copier());
                    beginning = self.stoppable(move || resume::begin(&part, Holding::Empty, &file, &copier)).await?;
                }
            }
        }
    }

    /// What has appeared at the destination meanwhile, for a job that takes what is there.
    async fn shared(&self, search: &Arc<Search>, part: &Arc<Part>) -> Result<FileOutcome, Halt> {
        let (search, part) = (Arc::clone(search), Arc::clone(part));
        let path = self.file.destination.to_string();
        self.stoppable(move || {
            let holding = part.look().map_err(|error| part.error("reading the partial file of", error))?;
            search.whole(&part, &holding)?.ok_or_else(|| TransferError::DestinationExists { path, size: 0 }.into())
        })
        .await
    }

    /// Brings all bytes into the `.part`: those that are there count.
    async fn arrive(
        &self,
        slot: &mut Option<OwnedSemaphorePermit>,
        part: &Arc<Part>,
        beginning: Beginning,
    ) -> Result<(Arc<PartStore>, Arrived), Halt> {
        let part_store = |map| Arc::new(PartStore::new(Arc::clone(part), Arc::clone(&self.stats), map));
        let (part_store, resume) = match beginning {
            Beginning::Whole(content) => {
                let part_store = part_store(BlockMap::new(Some(content.size), part.block_size()));
                return Ok((part_store, Arrived::from_content(content, &self.file)));
            }
            Beginning::Resume { map, resume } => (part_store(map), Some(*resume)),
            Beginning::Fresh { reason } => {
                if let Some(reason) = reason {
                    self.restarted(reason).await;
                }
                (part_store(BlockMap::new(self.file.size, part.block_size())), None)
            }
        };
        let permit = match slot.take() {
            Some(permit) => permit,
            None => self.another_slot().await?,
        };
        let arrived = Fetching::new(self, Arc::clone(&part_store), resume, permit).run().await?;
        Ok((part_store, arrived))
    }

    async fn another_slot(&self) -> Result<OwnedSemaphorePermit, Halt> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Halt::Stopped),
            slot = Arc::clone(&self.slots).acquire_owned() => slot.map_err(|_| Halt::Stopped),
        }
    }

    /// Who copies for it what is on this machine.
    pub(crate) fn copier(&self) -> Copier {
        Copier { space: Arc::clone(&self.engine.space), key: self.key, stop: self.stop.clone() }
    }

    /// The hash that the file has to have in the end, as far as it is known.
    pub(crate) fn expected(&self) -> Option<Sha256Digest> {
        self.file.sha256.or(self.named.get())
    }

    pub(crate) async fn restarted(&self, reason: RestartReason) {
        self.outbox.send(JobEvent::FileRestarted { file: self.index, reason }).await;
    }

    pub(crate) async fn started(&self, facts: Facts) {
        self.outbox.send(JobEvent::FileStarted { file: self.index, facts }).await;
    }

    /// Opens the partial file, and says what there is of the file. Waits up to `lock_wait` while another process holds it.
    async fn open_part(&self, search: &Arc<Search>) -> Result<(Arc<Part>, FoundResult), Halt> {
        let deadline = tokio::time::Instant::now() + self.engine.settings.lock_wait;
        loop {
            let (search, geometry) = (Arc::clone(search), self.engine.geometry);
            let opened = self
                .stoppable(move || {
                    let destination = &search.file.destination;
                    let folder = part::open_folder(search.disk.as_ref(), destination, true)?;
                    match Part::open(folder, destination, geometry) {
                        Ok((part, holding)) => {
                            let found = search.all(&part, holding);
                            Ok(Some((Arc::new(part), found)))
                        }
                        Err(PartError::Locked) => Ok(None),
                        Err(PartError::Failed(error)) => Err(error.into()),
                    }
                })
                .await?;
            if let Some(opened) = opened {
                return Ok(opened);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Halt::Failed(TransferError::Locked { path: self.file.destination.to_string() }));
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Halt::Stopped),
                () = tokio::time::sleep(Duration::from_millis(100).min(self.engine.settings.lock_wait)) => {}
            }
        }
    }
}

/// What is left to do with a partial file when its transfer has halted.
struct Leaving {
    part: Arc<Part>,
    space: Arc<DiskBudget>,
    key: TransferKey,
    unprovable: bool,
    /// Bytes that are not here yet.
    missing: u64,
}

impl Leaving {
    /// Blocks.
    fn leave(&self, shortage: Option<Shortage>) -> Option<Shortage> {
        // A disk that says it is full says no figures.
        let shortage = shortage.map(|shortage| Shortage {
            needed: shortage.needed.max(self.missing).max(1),
            available: self.part.available(&self.space, self.key),
        });
        if let Some(why) = self.why_to_discard()
            && let Err(error) = self.part.discard(why)
        {
            tracing::warn!(file = %self.part.destination(), %error, "a partial file stays");
        }
        shortage
    }

    /// Only what this run has put there is ever of no use: what an earlier one left has not been judged, or was proven.
    fn why_to_discard(&self) -> Option<Discard> {
        if !self.part.is_own() {
            None
        } else if self.part.size().is_ok_and(|size| size == 0) {
            Some(Discard::Empty)
        } else {
            (self.unprovable && !self.part.has_journal()).then_some(Discard::Unprovable)
        }
    }
}

/// A task or a thread that worked on a file has panicked.
pub(crate) fn of_panic(file: &FileJob, panic: JoinError) -> TransferError {
    part::of_io("working on", &file.destination, io::Error::other(panic))
}

type FoundResult = Result<Found, Halt>;

/// The sources that are asked for the whole file, each alone, after bytes came that are not the ones asked for: first those that
/// gave none of them. Where one gave them all, one retry is enough; where several did, nothing tells whose were wrong.
fn full_retries(sources: &[SourceUrl], contributors: &[SourceUrl]) -> VecDeque<SourceUrl> {
    let (gave, others): (Vec<_>, Vec<_>) = sources.iter().cloned().partition(|source| contributors.contains(source));
    let mut retries: VecDeque<_> = others.into_iter().chain(gave).collect();
    if contributors.len() < 2 {
        retries.truncate(1);
    }
    retries
}
