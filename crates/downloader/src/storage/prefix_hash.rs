//! SHA-256 in order behind the contiguous prefix, while other ranges still arrive.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::Sha256Digest;
use crate::geometry::Geometry;
use crate::storage::part::Part;
use crate::threads::Threads;

/// Bytes read back at once. They come from the page cache, where they have just been put, and stay in the processor's.
/// (Handing the received buffers over instead was slower: the HTTP client then has to allocate new ones all the time.)
const READ: u64 = 256 << 10;

/// A block that is so many blocks ahead of the hash, or more, is not kept in memory for it.
const NEAR: u64 = 8;

/// The hash is woken for so many new bytes at least.
const WORTH_WAKING: u64 = 1 << 20;

/// Bytes after which the state is published for the journal.
const CHECKPOINT: u64 = 32 << 20;

/// The hash of a file that is still arriving.
#[derive(Debug)]
pub(crate) struct PrefixHash {
    shared: Arc<Shared>,
    task: JoinHandle<io::Result<Option<Sha256Digest>>>,
}

#[derive(Debug)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Notify,
}

#[derive(Debug)]
struct Inbox {
    geometry: Geometry,
    /// Everything before this is stored.
    end: u64,
    /// Everything before this is hashed, or being hashed.
    taken: u64,
    /// Blocks after that which are still in memory, by where they begin.
    blocks: BTreeMap<u64, Bytes>,
    /// Nobody hashes any more.
    over: bool,
    /// The end at which the hash was woken last.
    woken_at: u64,
    /// Bytes that were hashed are no longer trusted: begin again.
    rewind: bool,
    close: Option<Close>,
    checkpoint: Option<(u64, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    /// Hash up to the end, then say the digest.
    Finish,
    /// Leave it.
    Stop,
}

/// What is hashed next.
enum Piece {
    Memory(Bytes),
    /// As far as this.
    ReadBack(u64),
}

impl Inbox {
    fn new(geometry: Geometry, end: u64) -> Self {
        Self {
            geometry,
            end,
            taken: 0,
            blocks: BTreeMap::new(),
            over: false,
            woken_at: 0,
            rewind: false,
            close: None,
            checkpoint: None,
        }
    }

    fn is_near(&self, offset: u64) -> bool {
        !self.over && offset >= self.taken && offset - self.taken < NEAR * self.geometry.block()
    }

    /// Keeps a block until it is hashed. Those that are written at the same time are stored in any order.
    fn keep(&mut self, start: u64, block: Bytes) {
        if self.is_near(start) {
            self.blocks.insert(start, block);
        }
    }

    /// The piece that begins at `position`, which is before the end.
    fn take(&mut self, position: u64) -> Piece {
        if let Some(block) = self.blocks.remove(&position) {
            self.taken = position + block.len() as u64;
            return Piece::Memory(block);
        }
        let next = self.blocks.first_key_value().map_or(self.end, |(start, _)| *start);
        self.taken = next.min(self.end).min(position + self.geometry.scaled(READ));
        Piece::ReadBack(self.taken)
    }
}

/// Feeds a hash from the writers.
#[derive(Debug, Clone)]
pub(crate) struct HashFeed(Arc<Shared>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HashFeed {
    /// Whether bytes that belong there may be kept in memory until they are hashed.
    pub(crate) fn is_near(&self, offset: u64) -> bool {
        self.0.lock().is_near(offset)
    }

    /// Everything before `end` is stored; a block that has just been may still be at hand, with its beginning.
    pub(crate) fn reached(&self, end: u64, stored: Option<(u64, Bytes)>) {
        let mut inbox = self.0.lock();
        if let Some((start, block)) = stored {
            inbox.keep(start, block);
        }
        inbox.end = inbox.end.max(end);
        if inbox.end - inbox.woken_at < inbox.geometry.scaled(WORTH_WAKING) {
            return;
        }
        inbox.woken_at = inbox.end;
        drop(inbox);
        self.0.wake.notify_one();
    }

    /// The prefix is shorter than it was: what was hashed is invalid.
    pub(crate) fn rewind(&self, end: u64) {
        let mut inbox = self.0.lock();
        let (close, over) = (inbox.close, inbox.over);
        *inbox = Inbox { woken_at: end, rewind: true, close, over, ..Inbox::new(inbox.geometry, end) };
        drop(inbox);
        self.0.wake.notify_one();
    }

    /// The latest published state: bytes hashed, and the state after them.
    pub(crate) fn checkpoint(&self) -> Option<(u64, Vec<u8>)> {
        self.0.lock().checkpoint.clone()
    }
}

impl PrefixHash {
    /// Starts hashing `part`, of which the bytes before `end` are there, from a journalled state if there is one.
    pub(crate) fn start(threads: Threads, part: Arc<Part>, state: Option<(u64, Vec<u8>)>, end: u64) -> Self {
        let (hasher, position) = restored(state).unwrap_or_else(|| (Sha256::new(), 0));
        let inbox = Inbox { taken: position, woken_at: end, ..Inbox::new(part.geometry(), end) };
        let shared = Arc::new(Shared { inbox: Mutex::new(inbox), wake: Notify::new() });
        let run = Run { part, shared: Arc::clone(&shared), hasher, position, buffer: Vec::new(), published: position };
        Self { shared, task: tokio::spawn(run.follow(threads)) }
    }

    pub(crate) fn feed(&self) -> HashFeed {
        HashFeed(Arc::clone(&self.shared))
    }

    /// The digest of everything before the end, once it is computed.
    pub(crate) async fn finish(mut self) -> io::Result<Option<Sha256Digest>> {
        self.close(Close::Finish);
        (&mut self.task).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }

    /// Ends it without a digest.
    pub(crate) async fn stop(mut self) {
        self.close(Close::Stop);
        let _ = (&mut self.task).await;
    }

    fn close(&self, how: Close) {
        self.shared.lock().close = Some(how);
        self.shared.wake.notify_one();
    }
}

/// A transfer that dies must not leave a task behind that holds the `.part`, and its lock, for ever.
impl Drop for PrefixHash {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn restored(state: Option<(u64, Vec<u8>)>) -> Option<(Sha256, u64)> {
    let (position, bytes) = state?;
    let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).ok()?;
    Some((Sha256::deserialize(&state).ok()?, position))
}

/// Why there is nothing to hash.
enum Rest {
    /// The next bytes have not arrived.
    Wait,
    /// All have been hashed.
    Done,
    /// Nobody wants it any more.
    Stop,
}

struct Run {
    part: Arc<Part>,
    shared: Arc<Shared>,
    hasher: Sha256,
    position: u64,
    buffer: Vec<u8>,
    published: u64,
}

impl Run {
    /// Follows the prefix to its end: works on a thread while there is something to hash, waits without one.
    async fn follow(mut self, threads: Threads) -> io::Result<Option<Sha256Digest>> {
        loop {
            let work = move || {
                let rest = self.catch_up();
                (self, rest)
            };
            let rest;
            (self, rest) = threads.spawn(work).await.map_err(io::Error::other)?;
            match rest? {
                Rest::Wait => self.shared.wake.notified().await,
                Rest::Done => return Ok(Some(Sha256Digest(self.hasher.finalize_reset().into()))),
                Rest::Stop => return Ok(None),
            }
        }
    }

    /// Hashes until there is no more for now.
    fn catch_up(&mut self) -> io::Result<Rest> {
        loop {
            match self.next() {
                Ok(Piece::Memory(block)) => self.update(&block),
                Ok(Piece::ReadBack(end)) => self.read_back(end)?,
                Err(rest) => return Ok(rest),
            }
            if self.position - self.published >= self.part.geometry().scaled(CHECKPOINT) {
                self.publish(&mut self.shared.lock());
                self.published = self.position;
            }
        }
    }

    fn publish(&self, inbox: &mut Inbox) {
        inbox.checkpoint = Some((self.position, self.hasher.serialize().to_vec()));
    }

    fn next(&mut self) -> Result<Piece, Rest> {
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.lock();
        if std::mem::take(&mut inbox.rewind) {
            (self.hasher, self.position, self.published) = (Sha256::new(), 0, 0);
        }
        match inbox.close {
            Some(Close::Stop) => Err(Rest::Stop),
            _ if inbox.end > self.position => Ok(inbox.take(self.position)),
            Some(Close::Finish) => Err(Rest::Done),
            None => {
                self.publish(&mut inbox);
                Err(Rest::Wait)
            }
        }
    }

    fn update(&mut self, block: &[u8]) {
        self.hasher.update(block);
        self.position += block.len() as u64;
    }

    /// Reads and hashes what is before `end`, which is not far.
    fn read_back(&mut self, end: u64) -> io::Result<()> {
        let most = self.part.geometry().scaled(READ);
        self.buffer.resize(most as usize, 0);
        let length = most.min(end - self.position) as usize;
        self.part.read_exact_at(&mut self.buffer[..length], self.position)?;
        self.hasher.update(&self.buffer[..length]);
        self.position += length as u64;
        Ok(())
    }
}

/// Whoever waits for memory must not wait for a hash that has ended, however it did.
impl Drop for Run {
    fn drop(&mut self) {
        let mut inbox = self.shared.lock();
        inbox.over = true;
        inbox.blocks.clear();
    }
}
