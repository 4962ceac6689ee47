//! The bytes of one file: which source, how many connections, what to do when one of them ends. It stores nothing
//! itself and renames nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::content_identity::Identity;
use crate::geometry::Geometry;
use crate::halt::Halt;
use crate::storage::direct_buffers::BlockBuffers;
use crate::storage::prefix_hash::PrefixHash;
use crate::transfer::Transfer;
use crate::transfer::commit::Arrived;
use crate::transfer::concurrency::Connections;
use crate::transfer::connection::{FetchEnd, Fetcher};
use crate::transfer::part_store::{PartStore, SyncError};
use crate::transfer::resume::Resume;
use crate::transfer::segment_scheduler::{Running, SourceState};
use crate::transfer::segments::SegmentId;
use crate::transfer::stragglers::StallBackoff;
use crate::{Facts, RestartReason, TransferError};

/// What the first connection asks for, before anything is known.
pub(crate) const FIRST_STRETCH: u64 = 16 << 20;
/// Files up to this size are fetched by one connection.
pub(crate) const SMALL_FILE: u64 = 32 << 20;
/// A thread that follows is not worth it below this; the hash is computed at the end, or as one piece is stored.
pub(crate) const HASHED_AT_THE_END: u64 = 4 << 20;
/// How often in a row a source that delivered the file may refuse a lone connection to it.
const LONE_REFUSALS: u32 = 3;
pub(crate) const TICK: Duration = Duration::from_millis(50);

pub(crate) struct Fetching<'a> {
    pub(crate) transfer: &'a Transfer,
    pub(crate) part_store: Arc<PartStore>,
    pub(crate) buffers: Arc<BlockBuffers>,
    pub(crate) sources: Vec<SourceState>,
    /// Index of the source in use.
    pub(crate) current: usize,
    /// Known once a server has answered, or from the journal.
    pub(crate) identity: Option<Identity>,
    pub(crate) facts: Facts,
    /// A server has answered in this run.
    pub(crate) has_first_response: bool,
    /// As far as is known, the source gives parts.
    pub(crate) ranges: bool,
    /// Validators that contradict each other without a hash to decide: only the size is compared from then on.
    pub(crate) validators_lie: bool,
    pub(crate) changes: u32,
    /// Most bytes that were ever here at once: what counts as progress.
    pub(crate) furthest: u64,
    pub(crate) connections: Connections,
    /// One for each connection that runs, and one in any case. Who is asked ahead of time has none before another is done.
    pub(crate) permits: Vec<OwnedSemaphorePermit>,
    /// Nobody has minded so far.
    pub(crate) may_ask_ahead: bool,
    pub(crate) running: JoinSet<Ended>,
    pub(crate) fetchers: BTreeMap<SegmentId, Running>,
    pub(crate) stop_fetchers: CancellationToken,
    /// When a connection last ended that had brought bytes.
    pub(crate) last_end: Option<Instant>,
    pub(crate) stall_backoff: StallBackoff,
    pub(crate) hash: Option<PrefixHash>,
    pub(crate) hash_state: Option<(u64, Vec<u8>)>,
    pub(crate) block_verification: Option<JoinHandle<Vec<usize>>>,
    pub(crate) stop_verification: CancellationToken,
    pub(crate) sync: Option<JoinHandle<SyncResult>>,
    pub(crate) last_sync: Instant,
    pub(crate) sync_failures: u32,
    /// The file system has set the room aside.
    pub(crate) preallocated: bool,
    /// What was here when room was last looked for, where nobody says how much there will be.
    pub(crate) looked_for_room_at: u64,
}

pub(crate) type SyncResult = Result<(), SyncError>;

/// A connection that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) segment: SegmentId,
    pub(crate) source: usize,
    pub(crate) end: FetchEnd,
}

impl<'a> Fetching<'a> {
    pub(crate) fn new(
        transfer: &'a Transfer,
        part_store: Arc<PartStore>,
        resume: Option<Resume>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let settings = &transfer.engine.settings;
        let (identity, blocks, hash_state) = match resume {
            Some(resume) => (Some(resume.identity), resume.blocks, resume.hash_state),
            None => (None, Vec::new(), None),
        };
        transfer.named.learn(identity.as_ref().and_then(|identity: &Identity| identity.sha256));
        part_store.stats.set_total(part_store.map().total().or(transfer.file.size));
        let listed = transfer.file.sources.iter().cloned();
        let sources = listed.map(|listed| SourceState::new(listed, settings.backoff)).collect();
        let mut fetching = Self {
            transfer,
            part_store,
            buffers: Arc::new(BlockBuffers::new(
                Arc::clone(&transfer.engine.block_buffers),
                transfer.engine.geometry.block(),
            )),
            sources,
            current: 0,
            facts: Facts::default(),
            has_first_response: false,
            ranges: true,
            identity,
            validators_lie: false,
            changes: 0,
            furthest: 0,
            connections: Connections::new(settings.connections_per_download),
            permits: vec![permit],
            may_ask_ahead: true,
            running: JoinSet::new(),
            fetchers: BTreeMap::new(),
            stop_fetchers: CancellationToken::new(),
            last_end: None,
            stall_backoff: StallBackoff::default(),
            hash: None,
            hash_state,
            block_verification: None,
            stop_verification: transfer.stop.child_token(),
            sync: None,
            last_sync: Instant::now(),
            sync_failures: 0,
            preallocated: false,
            looked_for_room_at: 0,
        };
        fetching.start_block_verification(blocks);
        fetching
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.transfer.engine.geometry
    }

    /// Fetches until every byte is here. On a halt, what arrived is synced and journalled.
    pub(crate) async fn run(mut self) -> Result<Arrived, Halt> {
        let result = self.fetch_all().await;
        self.transfer.growing.store(false, Relaxed);
        self.stop_all().await;
        self.end_block_verification().await;
        match result {
            Ok(()) => {
                self.permits.clear();
                let given = self.sources.iter().filter(|state| state.source.has_given());
                Ok(Arrived {
                    contributors: given.map(|state| state.source.listed.clone()).collect(),
                    hash: self.hash.take(),
                    content: None,
                    expected: self.transfer.expected(),
                    source: self.sources[self.current].source.listed.clone(),
                    facts: self.facts,
                })
            }
            Err(halt) => Err(self.suspend(halt).await),
        }
    }

    async fn fetch_all(&mut self) -> Result<(), Halt> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if self.transfer.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            let complete = self.part_store.map().is_complete();
            // Where no server said the size, a body that goes on shows that it is another one.
            let certain = self.facts.size.is_some() || self.running.is_empty();
            if complete && certain && self.block_verification.is_none() && self.sync_is_over().await? {
                return Ok(());
            }
            if !complete && self.has_first_response {
                self.start_fetchers();
            } else if !complete && self.running.is_empty() && self.somebody_may_be_asked()? {
                self.first_response().await?;
                continue;
            }
            let stop = self.transfer.stop.clone();
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Halt::Stopped),
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => {
                    if let Some(ended) = ended.map_or_else(|panic| self.died(panic), Some) {
                        self.ended(ended).await?;
                    }
                }
                damaged = finished(&mut self.block_verification), if self.block_verification.is_some() => self.blocks_verified(damaged).await?,
                _ = tick.tick() => self.tick().await?,
            }
        }
    }

    pub(crate) fn fetcher(&self) -> Fetcher {
        let engine = &self.transfer.engine;
        Fetcher {
            web: Arc::clone(&engine.web),
            threads: engine.threads.clone(),
            part_store: Arc::clone(&self.part_store),
            buffers: Arc::clone(&self.buffers),
            limits: [Arc::clone(&self.transfer.bandwidth), Arc::clone(&engine.bandwidth)],
            stall_timeout: engine.settings.stall_timeout,
            stop: self.stop_fetchers.child_token(),
            named: Arc::clone(&self.transfer.named),
            intake: Arc::default(),
        }
    }

    async fn ended(&mut self, mut ended: Ended) -> Result<(), Halt> {
        self.part_store.map().release(ended.segment);
        ended.end = self.unless_one_too_many(ended.segment, ended.source, ended.end);
        if let Some(running) = self.fetchers.remove(&ended.segment) {
            self.measure_ended(&running);
            if running.received() > 0 {
                self.last_end = Some(Instant::now());
            }
            if running.received() == 0 && matches!(ended.end, FetchEnd::Failed { .. }) {
                if running.asked_ahead {
                    self.may_ask_ahead = false;
                    return Ok(());
                }
                self.connections.refused(Instant::now());
                if self.running.is_empty() {
                    self.sources[ended.source].source.doubt();
                }
            }
        }
        match ended.end {
            FetchEnd::Done => self.sources[ended.source].failures = 0,
            FetchEnd::Stopped => {}
            FetchEnd::Failed { error, retry_after } => self.try_again(ended.source, error, retry_after)?,
            // Its body went on past the end: what is here is of another version than was begun with, or of another file.
            FetchEnd::Refused(TransferError::SizeMismatch { .. }) if self.transfer.file.size.is_none() => {
                self.changed().await?;
            }
            FetchEnd::Refused(error) => {
                if matches!(error, TransferError::SizeMismatch { .. }) {
                    self.restart(RestartReason::ChangedOnServer).await?;
                }
                self.source_refused(ended.source, error).await?;
            }
            // It was asked for a part of another source's file; nothing of it was stored.
            FetchEnd::Changed | FetchEnd::RangesRefused if ended.source != self.current => {
                self.sources[ended.source].differs = true;
            }
            FetchEnd::EndUnproven => self.prove_end(ended.source).await?,
            FetchEnd::Changed => self.changed().await?,
            FetchEnd::RangesRefused => {
                self.restart(RestartReason::RangesRefused).await?;
                self.ranges = false;
            }
            FetchEnd::Disk(error) => return Err(self.part_store.part.error("writing", error).into()),
        }
        Ok(())
    }

    /// Treats a refusal by a source that delivers the file as a limit of connections: it passes, and fewer are opened.
    ///
    /// A host may still count a connection that has just closed, so a source that delivered in this run may refuse a lone
    /// connection `LONE_REFUSALS` times in a row before the refusal counts as one of the file.
    fn unless_one_too_many(&mut self, segment: SegmentId, source: usize, end: FetchEnd) -> FetchEnd {
        let brought = self.fetchers.get(&segment).is_some_and(|running| running.received() > 0);
        let delivers = |(other, running): (&SegmentId, &Running)| {
            *other != segment && running.source == source && running.received() > 0
        };
        let others_deliver = self.fetchers.iter().any(delivers);
        let state = &mut self.sources[source];
        if brought || others_deliver {
            (state.delivered, state.refused_alone) = (true, 0);
        }
        match end {
            FetchEnd::Refused(error) if error.may_mean_too_many() && !brought && state.delivered => {
                if !others_deliver {
                    state.refused_alone += 1;
                }
                match state.refused_alone > LONE_REFUSALS {
                    true => FetchEnd::Refused(error),
                    false => FetchEnd::Failed { error, retry_after: None },
                }
            }
            end => end,
        }
    }

    /// Makes what has arrived safe before the transfer stands still.
    async fn suspend(&mut self, halt: Halt) -> Halt {
        if let Some(hash) = self.hash.take() {
            hash.stop().await;
        }
        let running_sync = match self.sync.take() {
            Some(sync) => self.result_of(sync).await,
            None => Ok(()),
        };
        let part_store = Arc::clone(&self.part_store);
        let suspended = self.transfer.engine.threads.spawn(move || {
            // What a failed sync covered is invalid, whichever sync it was.
            let ended = running_sync.map_err(|failed| part_store.invalidate_unsynced(failed));
            part_store.suspend().map_err(|failed| part_store.invalidate_unsynced(failed)).and(ended)
        });
        if let Err(error) = suspended.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            tracing::warn!(file = %self.transfer.file.destination, %error, "what arrived last could not be synced");
        }
        halt
    }
}

/// The result of a task that is there.
async fn finished<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    let result = match task.as_mut() {
        Some(task) => task.await,
        None => std::future::pending().await,
    };
    *task = None;
    result
}
