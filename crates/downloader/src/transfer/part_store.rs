//! A file that is arriving: the one place where bytes become trusted: write, then checksum, then journal, then hash.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::Sha256Digest;
use crate::geometry::Block;
use crate::storage::journal::Record;
use crate::storage::part::Part;
use crate::storage::prefix_hash::HashFeed;
use crate::transfer::segments::BlockMap;
use crate::transfer::stats::TransferStats;

/// Why a sync failed, and what that costs.
#[derive(Debug)]
pub(crate) enum SyncError {
    /// The bytes of these blocks may be anything now.
    Blocks(io::Error, BTreeSet<usize>),
    /// Every block is on the disk. The journal's last records may not be: a kill now loses what they tell of.
    Journal(io::Error),
}

/// Shared by the connections of one file and the transfer that watches them.
#[derive(Debug)]
pub(crate) struct PartStore {
    pub(crate) part: Arc<Part>,
    pub(crate) stats: Arc<TransferStats>,
    map: Mutex<BlockMap>,
    hash: Mutex<Option<HashFeed>>,
    /// The hash of a file that came in one piece: it is small, and its last steps follow at once.
    one_piece: Mutex<Option<Sha256Digest>>,
    unsynced: Mutex<Unsynced>,
    /// The file system takes no blocks past the page cache.
    needs_cache: AtomicBool,
}

/// Written since the last sync that succeeded. What an earlier process left belongs to it: whether that was ever on the
/// disk is known only when a sync of this one has succeeded.
#[derive(Debug)]
struct Unsynced {
    blocks: BTreeSet<usize>,
    bytes: u64,
    /// To which bytes are being written now: a sync that fails meanwhile may lose them.
    writing: Vec<usize>,
}

impl Unsynced {
    fn take(&mut self) -> BTreeSet<usize> {
        self.bytes = 0;
        std::mem::take(&mut self.blocks)
    }
}

impl PartStore {
    pub(crate) fn new(part: Arc<Part>, stats: Arc<TransferStats>, map: BlockMap) -> Self {
        stats.set_present(map.present());
        let blocks = map.blocks().map(|(index, _)| index).collect();
        let unsynced = Unsynced { blocks, bytes: map.present(), writing: Vec::new() };
        let (hash, one_piece) = (Mutex::default(), Mutex::default());
        Self {
            part,
            stats,
            map: Mutex::new(map),
            hash,
            one_piece,
            unsynced: Mutex::new(unsynced),
            needs_cache: AtomicBool::new(false),
        }
    }

    pub(crate) fn map(&self) -> MutexGuard<'_, BlockMap> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_hash(&self, feed: Option<HashFeed>) {
        *self.hash.lock().unwrap_or_else(PoisonError::into_inner) = feed;
    }

    fn hash(&self) -> Option<HashFeed> {
        self.hash.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn unsynced(&self) -> MutexGuard<'_, Unsynced> {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores bytes that lie within one block and follow what is there of it. Blocks.
    pub(crate) fn store(&self, offset: u64, frames: &[Bytes], length: usize) -> io::Result<()> {
        let index = usize::try_from(offset / self.part.block_size()).map_err(io::Error::other)?;
        let before = self.map().block(index);
        let (have, begin) = (u64::from(before.have), offset % self.part.block_size());
        if have < begin || have >= begin + length as u64 {
            return Ok(()); // Another connection was here first, with the same bytes.
        }
        // Or with some of them, which are not stored again.
        let frames = &without_first((have - begin) as usize, frames);
        let start = offset - begin + have;
        let length_left = begin + length as u64 - have;
        self.write(index, length_left, |part| part.write_at(start, frames))?;
        let mut crc = before.crc_so_far();
        frames.iter().for_each(|frame| crc.update(frame));
        let one_piece = offset + have == 0 && self.map().total() == Some(length as u64);
        // While the bytes are in the processor's cache.
        *self.one_piece.lock().unwrap_or_else(PoisonError::into_inner) = one_piece.then(|| sha256_of(frames));
        let after = Block { have: (begin + length as u64) as u32, crc: crc.finalize() };
        self.commit_block(index, before, after, None)
    }

    /// Whether a connection that has stored everything from somewhere up to `stored` may give its next block, at `offset`,
    /// to [`store_block`](Self::store_block): nothing before it is missing, so that the hash takes the block from memory
    /// soon. Nobody has to read it from the disk again, nor to wait for its buffer for long.
    pub(crate) fn takes_blocks(&self, stored: u64, offset: u64) -> bool {
        !self.needs_cache.load(Relaxed)
            && self.map().contiguous_end() >= stored
            && self.hash().is_some_and(|hash| hash.is_near(offset))
    }

    /// Stores a whole block past the page cache, where the file system can do that. Blocks.
    pub(crate) fn store_block(&self, offset: u64, block: &Bytes) -> io::Result<()> {
        let index = usize::try_from(offset / self.part.block_size()).map_err(io::Error::other)?;
        let before = self.map().block(index);
        let is_free = before == Block::default() && !self.needs_cache.load(Relaxed);
        if is_free && self.write(index, self.part.block_size(), |part| part.write_past_cache(offset, block))? {
            let after = Block { have: self.part.block_size() as u32, crc: crc32fast::hash(block) };
            return self.commit_block(index, before, after, Some(block.clone()));
        }
        self.needs_cache.fetch_or(is_free, Relaxed);
        self.store(offset, std::slice::from_ref(block), block.len())
    }

    /// A block has grown from `before` to `after`; `whole` is all of it. Blocks.
    fn commit_block(&self, index: usize, before: Block, after: Block, whole: Option<Bytes>) -> io::Result<()> {
        let (full, end) = {
            let mut map = self.map();
            if map.block(index) != before {
                return Ok(()); // Invalidated meanwhile: what these bytes follow is not trusted any more.
            }
            map.set(index, after);
            self.stats.set_present(map.present());
            (map.is_full(index), map.contiguous_end())
        };
        if full {
            self.part.note(&[Record::Block(index as u32, after)])?;
        }
        if let Some(hash) = self.hash() {
            hash.reached(end, whole.map(|block| (index as u64 * self.part.block_size(), block)));
        }
        Ok(())
    }

    fn write<T>(&self, index: usize, bytes: u64, how: impl FnOnce(&Part) -> io::Result<T>) -> io::Result<T> {
        self.unsynced().writing.push(index);
        let written = how(&self.part);
        let mut unsynced = self.unsynced();
        if let Some(at) = unsynced.writing.iter().position(|writing| *writing == index) {
            unsynced.writing.swap_remove(at);
        }
        unsynced.blocks.insert(index);
        unsynced.bytes += bytes;
        written
    }

    /// The hash of a file that came in one piece, as long as the `.part` is as long as that.
    pub(crate) fn hash_of_one_piece(&self) -> Option<Sha256Digest> {
        let hash = (*self.one_piece.lock().unwrap_or_else(PoisonError::into_inner))?;
        self.part.size().is_ok_and(|size| Some(size) == self.map().total()).then_some(hash)
    }

    pub(crate) fn unsynced_bytes(&self) -> u64 {
        self.unsynced().bytes
    }

    /// Brings what was written to the disk, then the journal. Blocks. A sync of the bytes that fails is never tried again.
    /// What was written while it ran belongs to what it covered: the system tells once that bytes were lost, and not which.
    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        let mut covered = self.unsynced().take();
        if let Err(error) = self.part.sync() {
            let mut unsynced = self.unsynced();
            covered.extend(unsynced.take());
            covered.extend(&unsynced.writing);
            return Err(SyncError::Blocks(error, covered));
        }
        if !self.part.has_journal() {
            return Ok(());
        }
        if let Some((position, state)) = self.hash().and_then(|hash| hash.checkpoint())
            && let Err(error) = self.part.note(&[Record::HashState(position, state)])
        {
            // Without it the next run hashes from the beginning, no more.
            tracing::debug!(%error, "hash state not journalled");
        }
        self.part.sync_journal().map_err(SyncError::Journal)
    }

    /// Notes the blocks that are there in part, then syncs: nothing that arrived is lost. Blocks.
    pub(crate) fn suspend(&self) -> Result<(), SyncError> {
        let partial: Vec<Record> = {
            let map = self.map();
            let open = map.blocks().filter(|(index, _)| !map.is_full(*index));
            open.map(|(index, block)| Record::Block(index as u32, block)).collect()
        };
        let noted = self.part.note(&partial);
        self.sync()?;
        noted.map_err(SyncError::Journal)
    }

    /// Invalidates the blocks that a failed sync covered, and returns its error. Blocks.
    pub(crate) fn invalidate_unsynced(&self, failed: SyncError) -> io::Error {
        match failed {
            SyncError::Blocks(error, covered) => self.invalidate(covered).err().unwrap_or(error),
            SyncError::Journal(error) => error,
        }
    }

    /// Invalidates these blocks. Where that cannot be journalled their old records stay: the next run compares them with the
    /// disk, as it does with all, and finds them out. Blocks.
    pub(crate) fn invalidate(&self, blocks: impl IntoIterator<Item = usize>) -> io::Result<()> {
        let mut records = Vec::new();
        let end = {
            let mut map = self.map();
            for index in blocks {
                map.invalidate(index);
                records.push(Record::Invalid(index as u32));
            }
            self.stats.set_present(map.present());
            map.contiguous_end()
        };
        if let Some(hash) = self.hash() {
            hash.rewind(end);
        }
        self.part.note(&records)
    }
}

fn without_first(mut count: usize, frames: &[Bytes]) -> Cow<'_, [Bytes]> {
    if count == 0 {
        return frames.into();
    }
    let rest = frames.iter().map(|frame| {
        let cut = count.min(frame.len());
        count -= cut;
        frame.slice(cut..)
    });
    rest.filter(|frame| !frame.is_empty()).collect()
}

fn sha256_of(frames: &[Bytes]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    frames.iter().for_each(|frame| hasher.update(frame));
    Sha256Digest(hasher.finalize().into())
}
