//! What a transfer does from time to time while bytes arrive: sync, count connections, take in the results of the check
//! of a resumed file.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use crate::geometry::Block;
use crate::halt::Halt;
use crate::storage::journal::Record;
use crate::storage::prefix_hash::PrefixHash;
use crate::transfer::driver::{Fetching, HASHED_AT_THE_END, SMALL_FILE, SyncResult};
use crate::transfer::part_store::SyncError;
use crate::{RestartReason, TransferError};

/// Failed syncs after which the disk is given up.
const MOST_SYNC_FAILURES: u32 = 3;

impl Fetching<'_> {
    pub(crate) async fn tick(&mut self) -> Result<(), Halt> {
        let now = Instant::now();
        let stats = &self.transfer.stats;
        let receiving = self.fetchers.values().filter(|running| running.received() > 0).count();
        self.connections.observe(now, stats.wire(), stats.storing(), receiving);
        let total = self.part_store.map().total().or(self.transfer.file.size);
        let large = total.is_some_and(|total| total > self.geometry().scaled(SMALL_FILE))
            && self.ranges
            && !self.validators_lie;
        let more_to_give = self.part_store.map().has_unassigned() || !self.has_first_response;
        // A source whose `Retry-After` lasts wants no connection soon.
        let waits = self.running.is_empty() && self.sources[self.current].waits();
        let growing = large && more_to_give && !waits && self.connections.is_growing();
        self.transfer.growing.store(growing, Relaxed);
        if self.has_first_response && self.part_store.map().total().is_none() {
            self.look_for_room_ahead().await?;
        } else if !self.preallocated {
            let missing = self.part_store.map().missing();
            self.transfer.engine.space.still_needs(self.transfer.key, missing);
        }
        self.note_named_hash().await?;
        self.observe(now);
        self.compare_sources(now);
        self.reassign_stragglers(now);
        if self.sync.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            self.sync_is_over().await?;
        }
        self.sync_when_due(now);
        Ok(())
    }

    /// A server that was not the first one asked may have named the hash of what all of them hold.
    async fn note_named_hash(&mut self) -> Result<(), Halt> {
        let Some(identity) = self.identity.as_mut().filter(|identity| identity.sha256.is_none()) else { return Ok(()) };
        let Some(named) = self.transfer.named.get() else { return Ok(()) };
        identity.sha256 = Some(named);
        let part = Arc::clone(&self.part_store.part);
        let note =
            move || part.note(&[Record::Named(named)]).map_err(|error| part.error("writing the journal of", error));
        self.transfer.blocking(note).await
    }

    fn sync_when_due(&mut self, now: Instant) {
        let settings = &self.transfer.engine.settings;
        let unsynced = self.part_store.unsynced_bytes();
        let due = unsynced >= settings.sync_bytes || (unsynced > 0 && now - self.last_sync >= settings.sync_interval);
        if due && self.sync.is_none() && self.part_store.part.has_journal() {
            let part_store = Arc::clone(&self.part_store);
            self.last_sync = now;
            self.sync = Some(self.transfer.engine.threads.spawn(move || part_store.sync()));
        }
    }

    /// Waits for the sync that runs, if one does. `false` when it failed and blocks have to be fetched again.
    pub(crate) async fn sync_is_over(&mut self) -> Result<bool, Halt> {
        let Some(sync) = self.sync.take() else { return Ok(true) };
        match self.result_of(sync).await {
            Ok(()) => Ok(true),
            Err(SyncError::Blocks(error, covered)) => self.blocks_unsynced(error, covered).await.map(|()| false),
            // Nothing is lost as long as this process lives; the record that the file is whole is synced again.
            Err(SyncError::Journal(error)) => {
                tracing::warn!(file = %self.transfer.file.destination, %error, "journal not synced");
                Ok(true)
            }
        }
    }

    /// How a sync ended. One that panicked has failed, and nothing tells what it covered: so all that is here.
    pub(crate) async fn result_of(&self, sync: JoinHandle<SyncResult>) -> SyncResult {
        sync.await.unwrap_or_else(|panic| {
            let all = self.part_store.map().blocks().map(|(index, _)| index).collect();
            Err(SyncError::Blocks(io::Error::other(panic), all))
        })
    }

    /// What a failed sync covered may be anything by now. It is fetched again, never synced again into success.
    async fn blocks_unsynced(&mut self, error: io::Error, covered: BTreeSet<usize>) -> Result<(), Halt> {
        self.stop_all().await;
        let blocks = covered.len() as u64;
        self.invalidate(covered).await?;
        let error = self.part_store.part.error("syncing", error);
        self.sync_failures += 1;
        if self.sync_failures >= MOST_SYNC_FAILURES || matches!(error, TransferError::InsufficientStorage { .. }) {
            return Err(error.into());
        }
        self.transfer.restarted(RestartReason::SyncFailed { blocks }).await;
        Ok(())
    }

    async fn invalidate(&mut self, blocks: impl IntoIterator<Item = usize> + Send + 'static) -> Result<(), Halt> {
        let part_store = Arc::clone(&self.part_store);
        self.transfer
            .blocking(move || {
                part_store.invalidate(blocks).map_err(|error| part_store.part.error("writing the journal of", error))
            })
            .await
    }

    /// Compares the blocks of an earlier run with their checksums while the rest arrives. The hash waits for that; where there
    /// are none, it begins at once.
    pub(crate) fn start_block_verification(&mut self, blocks: Vec<(usize, Block)>) {
        if blocks.is_empty() {
            if self.identity.is_some() {
                self.start_hash(None);
            }
            return;
        }
        let (part, stop) = (Arc::clone(&self.part_store.part), self.stop_verification.clone());
        let threads = &self.transfer.engine.threads;
        self.block_verification = Some(threads.spawn(move || part.damaged_blocks(&blocks, &stop)));
    }

    /// Ends the check where it stands, and waits for that: it holds the partial file, and its lock.
    pub(crate) async fn end_block_verification(&mut self) {
        if let Some(block_verification) = self.block_verification.take() {
            self.stop_verification.cancel();
            let _ = block_verification.await;
        }
    }

    /// Waits for a sync that runs: it may be about to note the state of the hash, which belongs to what is thrown away.
    pub(crate) async fn end_sync(&mut self) {
        if let Some(sync) = self.sync.take() {
            let _ = sync.await;
        }
    }

    pub(crate) async fn blocks_verified(&mut self, damaged: Result<Vec<usize>, JoinError>) -> Result<(), Halt> {
        let damaged = damaged.map_err(|panic| self.part_store.part.error("checking", io::Error::other(panic)))?;
        let state = self.hash_state.take();
        let block_size = self.part_store.part.block_size();
        let sound = state.filter(|(position, _)| damaged.iter().all(|index| *index as u64 * block_size >= *position));
        if !damaged.is_empty() {
            let blocks = damaged.len() as u64;
            self.invalidate(damaged).await?;
            self.transfer.restarted(RestartReason::DamagedBlocks { blocks }).await;
        }
        self.start_hash(sound);
        Ok(())
    }

    /// Starts the thread that hashes behind the prefix, unless the file is so small that it is not worth it.
    pub(crate) fn start_hash(&mut self, state: Option<(u64, Vec<u8>)>) {
        let (total, end) = {
            let map = self.part_store.map();
            (map.total(), map.contiguous_end())
        };
        if total.is_some_and(|total| total <= self.geometry().scaled(HASHED_AT_THE_END)) {
            return;
        }
        let hash =
            PrefixHash::start(self.transfer.engine.threads.clone(), Arc::clone(&self.part_store.part), state, end);
        self.part_store.set_hash(Some(hash.feed()));
        self.hash = Some(hash);
        let end = self.part_store.map().contiguous_end();
        if let Some(hash) = &self.hash {
            hash.feed().reached(end, None);
        }
    }
}
