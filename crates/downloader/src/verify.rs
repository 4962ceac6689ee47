//! SHA-256 in order behind the contiguous prefix, on a thread of its own, while other ranges still arrive. Also the
//! reading of files that are here already. Everything here blocks.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::blocks::{BLOCK, Block};
use crate::part::Part;
use crate::{BlockChecksums, Sha256Digest};

/// Bytes that wait in memory to be hashed; what does not fit is read back from the page cache.
const MOST_QUEUED: usize = 4 << 20;

/// Bytes read back at once: they should stay in the processor's cache.
const READ: usize = 256 << 10;

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
    queue: VecDeque<(u64, Vec<Bytes>)>,
    queued: usize,
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
    /// `frames` were written at `offset`, and everything before `end` is on disk now.
    pub(crate) fn arrived(&self, offset: u64, frames: Vec<Bytes>, length: usize, end: u64) {
        let mut inbox = self.0.lock();
        if offset == inbox.end && inbox.queued + length <= MOST_QUEUED {
            inbox.queued += length;
            inbox.queue.push_back((offset, frames));
        }
        inbox.end = inbox.end.max(end);
        drop(inbox);
        self.0.wake.notify_one();
    }

    /// Everything before `end` is on disk.
    pub(crate) fn reached(&self, end: u64) {
        self.arrived(u64::MAX, Vec::new(), 0, end);
    }

    /// The prefix is shorter than it was: what was hashed is void.
    pub(crate) fn rewind(&self, end: u64) {
        let mut inbox = self.0.lock();
        *inbox = Inbox { end, rewind: true, close: inbox.close, ..Inbox::default() };
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
        let inbox = Inbox { end, ..Inbox::default() };
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
    Memory(Vec<Bytes>),
    Disk(u64),
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
                Step::Memory(frames) => {
                    for frame in frames {
                        self.hasher.update(&frame);
                        self.position += frame.len() as u64;
                    }
                }
                Step::Disk(end) => self.read_back(end)?,
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
            while inbox.queue.front().is_some_and(|(offset, _)| *offset < self.position) {
                drop_front(&mut inbox);
            }
            match inbox.queue.front().map(|(offset, _)| *offset) {
                Some(offset) if offset == self.position => return Step::Memory(drop_front(&mut inbox)),
                Some(offset) => return Step::Disk(offset.min(inbox.end)),
                None if inbox.end > self.position => return Step::Disk(inbox.end),
                None if inbox.close == Some(Close::Finish) => return Step::Done,
                None => {}
            }
            self.publish(&mut inbox);
            inbox = self.shared.wake.wait(inbox).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn read_back(&mut self, end: u64) -> io::Result<()> {
        self.buffer.resize(READ, 0);
        let length = READ.min(usize::try_from(end - self.position).unwrap_or(READ));
        self.part.file.read_exact_at(&mut self.buffer[..length], self.position)?;
        self.hasher.update(&self.buffer[..length]);
        self.position += length as u64;
        Ok(())
    }
}

fn drop_front(inbox: &mut Inbox) -> Vec<Bytes> {
    let frames = inbox.queue.pop_front().map(|(_, frames)| frames).unwrap_or_default();
    inbox.queued -= frames.iter().map(Bytes::len).sum::<usize>();
    frames
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
