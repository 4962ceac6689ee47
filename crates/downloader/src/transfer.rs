//! One file, from its sources to its final name. The steps are here in order; `start`, `fetching` and `finish` are what
//! each consists of.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::Existing;
use crate::already_here::{Found, Search};
use crate::bandwidth::Bandwidth;
use crate::blocks::{BLOCK, BlockMap};
use crate::disk::Folder;
use crate::engine::Engine;
use crate::fetching::Fetching;
use crate::finish::{self, Arrived, Finish};
use crate::identity::NamedHash;
use crate::incoming::Incoming;
use crate::local_copy::Copier;
use crate::meter::Meter;
use crate::outbox::Outbox;
use crate::part::{Part, PartError};
use crate::retry::RetryBudget;
use crate::space::{Shortage, TransferKey};
use crate::start::{self, Beginning};
use crate::{
    Facts, FileJob, FileOutcome, FileState, JobEvent, RestartReason, Sha256Digest, SourceUrl, TransferError, part,
};

/// How often a partial file may be taken away before it is given up.
const MOST_REMOVALS: u32 = 3;

/// One file of a job.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) engine: Arc<Engine>,
    pub(crate) index: usize,
    pub(crate) file: FileJob,
    pub(crate) key: TransferKey,
    pub(crate) meter: Arc<Meter>,
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

/// Why a transfer ended without a file.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It was told to stop; what arrived is safe.
    Stopped,
    /// There is no room.
    Shortage(Shortage),
    Failed(TransferError),
}

impl From<TransferError> for Halt {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::InsufficientStorage { needed_bytes, available_bytes } => {
                Self::Shortage(Shortage { needed: needed_bytes, available: available_bytes })
            }
            error => Self::Failed(error),
        }
    }
}

impl Transfer {
    /// Does all of it. `slot` is the file's first connection.
    pub(crate) async fn run(self, slot: OwnedSemaphorePermit) -> Result<FileOutcome, Halt> {
        self.meter.set_state(FileState::Fetching);
        self.meter.touch();
        let engine = Arc::clone(&self.engine);
        let _entered = engine.space.enter(self.key);
        self.run_to_the_end(Some(slot)).await
    }

    /// Runs what blocks on a thread for that. A panic there is an error here.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
    ) -> Result<T, Halt> {
        let done = self.engine.threads.spawn(work).await;
        done.unwrap_or_else(|panic| Err(of_panic(&self.file, panic))).map_err(Halt::from)
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
            let Some(wait) = budget.failed(self.meter.wire(), None, engine.chance()) else {
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
                Ok(Some(Found::Whole(outcome))) => Ok(Some(outcome)),
                Ok(Some(Found::Part(beginning))) => self.with_part(slot, &part, beginning, &search).await,
                Ok(None) => Err(Halt::Stopped),
                Err(error) => Err(error.into()),
            };
            match outcome {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => self.restarted(RestartReason::PartRemoved).await,
                Err(halt) => {
                    let halt = self.with_figures(halt, part.folder.as_ref());
                    let worthless = self.is_worthless(&halt, &part);
                    let _ = self.blocking(move || Ok(worthless && part.discard().is_ok())).await;
                    return Err(halt);
                }
            }
        }
        let path = self.file.destination.root().join(self.file.destination.relative());
        let source = io::ErrorKind::NotFound.into();
        Err(Halt::Failed(TransferError::Io { action: "keeping the partial file of", path, source }))
    }

    /// Whether the next run could believe nothing of a partial file: it is empty, or it has no journal and no hash that
    /// proves it whole. Where there is no room it stays, so that the room is not taken for free.
    fn is_worthless(&self, halt: &Halt, part: &Part) -> bool {
        let here = self.meter.progress();
        let provable = self.file.sha256.is_some() && here.total_bytes == Some(here.downloaded_bytes);
        let kept = part.has_journal() || provable || matches!(halt, Halt::Shortage(_));
        !kept || part.size().is_ok_and(|size| size == 0)
    }

    /// A disk that says it is full says no figures.
    fn with_figures(&self, halt: Halt, folder: &dyn Folder) -> Halt {
        let Halt::Shortage(shortage) = halt else { return halt };
        let here = self.meter.progress();
        let missing = here.total_bytes.map_or(BLOCK, |total| total - here.downloaded_bytes);
        let available = self.engine.space.available(self.key, folder);
        Halt::Shortage(Shortage { needed: shortage.needed.max(missing).max(1), available })
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
            let (incoming, arrived) = self.arrive(slot, part, beginning).await?;
            let givers = arrived.givers.clone();
            let finished = match finish::finish(self, &incoming, arrived).await {
                // It appeared meanwhile, and this job takes what is there.
                Err(Halt::Failed(TransferError::DestinationExists { .. })) if self.file.existing == Existing::Share => {
                    let (search, part) = (Arc::clone(search), Arc::clone(part));
                    let found = self.blocking(move || search.whole(&part)).await?;
                    return found.map(Some).ok_or(Halt::Stopped);
                }
                finished => finished?,
            };
            match finished {
                Finish::Whole(outcome) => return Ok(Some(outcome)),
                Finish::PartRemoved => return Ok(None),
                Finish::WrongBytes(error) => {
                    // The bad bytes are thrown away.
                    let wrong = Arc::clone(part);
                    self.blocking(move || start::throw_away(&wrong)).await?;
                    let left = left_to_try.get_or_insert_with(|| full_retries(&self.file.sources, &givers));
                    let Some(source) = left.pop_front() else { return Err(Halt::Failed(error)) };
                    self.file.sources = vec![source];
                    // The checksums by which good blocks were told from damaged ones may be what was wrong.
                    self.file.salvage = None;
                    self.restarted(RestartReason::HashMismatch).await;
                    let (part, file, copier) = (Arc::clone(part), self.file.clone(), self.copier());
                    beginning = self.blocking(move || start::begin(&part, &file, &copier)).await?;
                }
            }
        }
    }

    /// Brings all bytes into the `.part`: those that are there count.
    async fn arrive(
        &self,
        slot: &mut Option<OwnedSemaphorePermit>,
        part: &Arc<Part>,
        beginning: Beginning,
    ) -> Result<(Arc<Incoming>, Arrived), Halt> {
        let incoming = |map| Arc::new(Incoming::new(Arc::clone(part), Arc::clone(&self.meter), map));
        let (incoming, resume) = match beginning {
            Beginning::Whole(content) => {
                let incoming = incoming(BlockMap::new(Some(content.size)));
                return Ok((incoming, Arrived::from_content(content, &self.file)));
            }
            Beginning::Resume { map, resume } => (incoming(map), Some(resume)),
            Beginning::Fresh { reason } => {
                if let Some(reason) = reason {
                    self.restarted(reason).await;
                }
                (incoming(BlockMap::new(self.file.size)), None)
            }
        };
        let permit = match slot.take() {
            Some(permit) => permit,
            None => self.another_slot().await?,
        };
        let arrived = Fetching::new(self, Arc::clone(&incoming), resume, permit).run().await?;
        Ok((incoming, arrived))
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

    /// Opens the partial file, and says what there is of the file. Waits a while for whoever holds it.
    async fn open_part(&self, search: &Arc<Search>) -> Result<(Arc<Part>, FoundResult), Halt> {
        let deadline = tokio::time::Instant::now() + self.engine.settings.lock_wait;
        loop {
            let search = Arc::clone(search);
            let opened = self
                .blocking(move || {
                    let destination = &search.file.destination;
                    let folder = part::open_folder(search.disk.as_ref(), destination, true)?;
                    match Part::open(folder, destination) {
                        Ok(part) => {
                            let found = search.all(&part);
                            Ok(Some((Arc::new(part), found)))
                        }
                        Err(PartError::Locked) => Ok(None),
                        Err(PartError::Failed(error)) => Err(error),
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

/// A task or a thread that worked on a file has panicked.
pub(crate) fn of_panic(file: &FileJob, panic: JoinError) -> TransferError {
    part::of_io("working on", &file.destination, io::Error::other(panic))
}

type FoundResult = Result<Option<Found>, TransferError>;

/// The sources that are asked for the whole file, each alone, after bytes came that are not the ones asked for: first those that
/// gave none of them. Where one gave them all, one retry is enough; where several did, nothing tells whose were wrong.
fn full_retries(sources: &[SourceUrl], givers: &[SourceUrl]) -> VecDeque<SourceUrl> {
    let (gave, others): (Vec<_>, Vec<_>) = sources.iter().cloned().partition(|source| givers.contains(source));
    let mut retries: VecDeque<_> = others.into_iter().chain(gave).collect();
    if givers.len() < 2 {
        retries.truncate(1);
    }
    retries
}
