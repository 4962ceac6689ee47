//! SHA-256 in order behind the contiguous prefix, while other ranges still arrive. Also the reading of files that are here
//! already, which blocks.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::blocks::{BLOCK, Block, SCALE};
use crate::disk::{self, OpenFile};
use crate::part::Part;
use crate::world::Threads;
use crate::{BlockChecksums, Sha256Digest};

/// Bytes read back at once. They come from the page cache, where they have just been put, and stay in the processor's.
/// (Handing the received buffers over instead was slower: the HTTP client then has to allocate new ones all the time.)
const READ: usize = (256 << 10) / SCALE as usize;

/// The hash is woken for so many new bytes at least.
const WORTH_WAKING: u64 = (1 << 20) / SCALE;

/// Bytes after which the state is published for the journal.
const CHECKPOINT: u64 = (32 << 20) / SCALE;

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

#[derive(Debug, Default)]
struct Inbox {
    /// Everything before this is on disk.
    end: u64,
    /// The end at which the hash was woken last.
    woken_at: u64,
    /// Bytes that were hashed are no longer believed: begin again.
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

/// Feeds a hash from the writers.
#[derive(Debug, Clone)]
pub(crate) struct HashFeed(Arc<Shared>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HashFeed {
    /// Everything before `end` is on disk.
    pub(crate) fn reached(&self, end: u64) {
        let mut inbox = self.0.lock();
        inbox.end = inbox.end.max(end);
        if inbox.end - inbox.woken_at < WORTH_WAKING {
            return;
        }
        inbox.woken_at = inbox.end;
        drop(inbox);
        self.0.wake.notify_one();
    }

    /// The prefix is shorter than it was: what was hashed is void.
    pub(crate) fn rewind(&self, end: u64) {
        let mut inbox = self.0.lock();
        *inbox = Inbox { end, woken_at: end, rewind: true, close: inbox.close, checkpoint: None };
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
        let inbox = Inbox { end, woken_at: end, ..Inbox::default() };
        let shared = Arc::new(Shared { inbox: Mutex::new(inbox), wake: Notify::new() });
        let (hasher, position) = restored(state).unwrap_or_else(|| (Sha256::new(), 0));
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
                Rest::Done => return Ok(Some(Sha256Digest(self.hasher.finalize().into()))),
                Rest::Stop => return Ok(None),
            }
        }
    }

    /// Hashes until there is no more for now.
    fn catch_up(&mut self) -> io::Result<Rest> {
        loop {
            match self.next() {
                Ok(end) => self.read_back(end)?,
                Err(rest) => return Ok(rest),
            }
            if self.position - self.published >= CHECKPOINT {
                self.publish(&mut self.shared.lock());
                self.published = self.position;
            }
        }
    }

    fn publish(&self, inbox: &mut Inbox) {
        inbox.checkpoint = Some((self.position, self.hasher.serialize().to_vec()));
    }

    /// How far there is something to hash.
    fn next(&mut self) -> Result<u64, Rest> {
        let shared = Arc::clone(&self.shared);
        let mut inbox = shared.lock();
        if std::mem::take(&mut inbox.rewind) {
            (self.hasher, self.position, self.published) = (Sha256::new(), 0, 0);
        }
        match inbox.close {
            Some(Close::Stop) => Err(Rest::Stop),
            _ if inbox.end > self.position => Ok(inbox.end),
            Some(Close::Finish) => Err(Rest::Done),
            None => {
                self.publish(&mut inbox);
                Err(Rest::Wait)
            }
        }
    }

    /// Reads and hashes the next piece before `end`.
    fn read_back(&mut self, end: u64) -> io::Result<()> {
        self.buffer.resize(READ, 0);
        let length = READ.min(usize::try_from(end - self.position).unwrap_or(READ));
        disk::read_exact_at(self.part.file.as_ref(), &mut self.buffer[..length], self.position)?;
        self.hasher.update(&self.buffer[..length]);
        self.position += length as u64;
        Ok(())
    }
}

/// Compares blocks of an earlier process with their checksums and names those that differ. Ends early when `stop` is
/// cancelled.
pub(crate) fn damaged_blocks(file: &dyn OpenFile, blocks: &[(usize, Block)], stop: &CancellationToken) -> Vec<usize> {
    let mut buffer = vec![0; BLOCK as usize];
    let mut damaged = Vec::new();
    for (index, block) in blocks {
        if stop.is_cancelled() {
            break;
        }
        let bytes = &mut buffer[..(block.have as usize).min(BLOCK as usize)];
        let read = disk::read_exact_at(file, bytes, *index as u64 * BLOCK);
        if read.is_err() || crc32fast::hash(bytes) != block.crc {
            damaged.push(*index);
        }
    }
    damaged
}

/// What a file on this machine is, by its bytes.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) size: u64,
    pub(crate) sha256: Sha256Digest,
    pub(crate) blocks: BlockChecksums,
}

/// Reads a whole file. `None` when `stop` was cancelled.
pub(crate) fn content_of(file: &dyn OpenFile, stop: &CancellationToken) -> io::Result<Option<Content>> {
    let (mut hasher, mut size, mut crc32) = (Sha256::new(), 0, Vec::new());
    let mut buffer = vec![0; BLOCK.min(file.status()?.size.max(1)) as usize];
    loop {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let read = disk::read_up_to(file, &mut buffer, size)?;
        if read > 0 {
            hasher.update(&buffer[..read]);
            crc32.push(crc32fast::hash(&buffer[..read]));
        }
        size += read as u64;
        if read < BLOCK as usize {
            break;
        }
    }
    let blocks = BlockChecksums { block_size: BLOCK as u32, crc32 };
    Ok(Some(Content { size, sha256: Sha256Digest(hasher.finalize().into()), blocks }))
}
