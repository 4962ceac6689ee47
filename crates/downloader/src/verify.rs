//! SHA-256 in order behind the contiguous prefix, on a thread of its own, while other ranges still arrive. Also the
//! reading of files that are here already. Everything here blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::blocks::{BLOCK, Block};
use crate::part::Part;
use crate::{BlockChecksums, Sha256Digest};

/// Bytes read back at once. They come from the page cache, where they have just been put, and stay in the processor's.
/// (Handing the received buffers over instead was slower: the HTTP client then has to allocate new ones all the time.)
const READ: usize = 256 << 10;

/// The thread is woken for so many new bytes at least.
const WORTH_WAKING: u64 = 1 << 20;

/// Bytes after which the state is published for the journal.
const CHECKPOINT: u64 = 32 << 20;

/// The hash of a file that is still arriving.
#[derive(Debug)]
pub(crate) struct PrefixHash {
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<Option<Sha256Digest>>>,
}

#[derive(Debug)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inbox {
    /// Everything before this is on disk.
    end: u64,
    /// The end at which the thread was woken last.
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
    pub(crate) fn start(part: Arc<Part>, state: Option<(u64, Vec<u8>)>, end: u64) -> Self {
        let inbox = Inbox { end, woken_at: end, ..Inbox::default() };
        let shared = Arc::new(Shared { inbox: Mutex::new(inbox), wake: Condvar::new() });
        let (hasher, position) = restored(state).unwrap_or_else(|| (Sha256::new(), 0));
        let thread = tokio::task::spawn_blocking({
            let shared = Arc::clone(&shared);
            move || Run { part, shared, hasher, position, buffer: Vec::new(), published: position }.run()
        });
        Self { shared, thread }
    }

    pub(crate) fn feed(&self) -> HashFeed {
        HashFeed(Arc::clone(&self.shared))
    }

    /// The digest of everything before the end, once it is computed.
    pub(crate) async fn finish(self) -> io::Result<Option<Sha256Digest>> {
        self.close(Close::Finish);
        self.thread.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }

    /// Ends the thread without a digest.
    pub(crate) async fn stop(self) {
        self.close(Close::Stop);
        let _ = self.thread.await;
    }

    fn close(&self, how: Close) {
        self.shared.lock().close = Some(how);
        self.shared.wake.notify_one();
    }
}

fn restored(state: Option<(u64, Vec<u8>)>) -> Option<(Sha256, u64)> {
    let (position, bytes) = state?;
    let state = SerializedState::<Sha256>::try_from(bytes.as_slice()).ok()?;
    Some((Sha256::deserialize(&state).ok()?, position))
}

/// What the thread does next.
enum Step {
    Hash(u64),
    Rewind,
    Done,
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
    fn run(mut self) -> io::Result<Option<Sha256Digest>> {
        loop {
            match self.next() {
                Step::Hash(end) => self.read_back(end)?,
                Step::Rewind => (self.hasher, self.position, self.published) = (Sha256::new(), 0, 0),
                Step::Done => return Ok(Some(Sha256Digest(self.hasher.finalize().into()))),
                Step::Stop => return Ok(None),
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

    fn next(&mut self) -> Step {
        let mut inbox = self.shared.lock();
        loop {
            if std::mem::take(&mut inbox.rewind) {
                return Step::Rewind;
            }
            if inbox.close == Some(Close::Stop) {
                return Step::Stop;
            }
            if inbox.end > self.position {
                return Step::Hash(inbox.end);
            }
            if inbox.close == Some(Close::Finish) {
                return Step::Done;
            }
            self.publish(&mut inbox);
            inbox = self.shared.wake.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Reads and hashes the next piece before `end`.
    fn read_back(&mut self, end: u64) -> io::Result<()> {
        self.buffer.resize(READ, 0);
        let length = READ.min(usize::try_from(end - self.position).unwrap_or(READ));
        self.part.file.read_exact_at(&mut self.buffer[..length], self.position)?;
        self.hasher.update(&self.buffer[..length]);
        self.position += length as u64;
        Ok(())
    }
}

/// Compares blocks with their checksums and names those that differ. Ends early when `stop` is cancelled.
pub(crate) fn damaged_blocks(file: &File, blocks: &[(usize, Block)], stop: &CancellationToken) -> Vec<usize> {
    let mut buffer = vec![0; BLOCK as usize];
    let mut damaged = Vec::new();
    for (index, block) in blocks {
        if stop.is_cancelled() {
            break;
        }
        let bytes = &mut buffer[..(block.have as usize).min(BLOCK as usize)];
        let read = file.read_exact_at(bytes, *index as u64 * BLOCK);
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
pub(crate) fn content_of(file: &File, stop: &CancellationToken) -> io::Result<Option<Content>> {
    let (mut hasher, mut size, mut crc32) = (Sha256::new(), 0, Vec::new());
    let mut buffer = vec![0; BLOCK.min(file.metadata()?.len().max(1)) as usize];
    loop {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let read = read_block(file, &mut buffer, size)?;
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

fn read_block(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
