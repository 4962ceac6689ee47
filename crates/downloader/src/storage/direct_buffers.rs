//! Buffers for whole blocks of a file that arrives faster than a processor copies it about. They are aligned, so that the
//! disk can take a block as it is, and a block stays here until it is hashed, so that it is not read back. A file has only
//! a few of them: whoever brings bytes waits for the disk and for the hash.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a disk wants of the address of memory that it reads by itself.
const ALIGNMENT: usize = 4096;
/// Blocks that a file has in memory: being filled, being written, waiting for the hash.
const BLOCKS_OF_A_FILE: usize = 6;
/// Files that have buffers at once; the others do without.
const FILES: usize = 2;

/// The passes of an engine: a file needs one to have buffers.
pub(crate) fn passes() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(FILES))
}

/// Of one file. Memory is taken when it is first needed.
#[derive(Debug)]
pub(crate) struct BlockBuffers {
    passes: Arc<Semaphore>,
    block_size: u64,
    pass: Mutex<Option<OwnedSemaphorePermit>>,
    places: Arc<Semaphore>,
    shelf: Arc<Shelf>,
}

/// Memory that is not in use.
#[derive(Debug, Default)]
struct Shelf(Mutex<Vec<Vec<u8>>>);

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlockBuffers {
    pub(crate) fn new(passes: Arc<Semaphore>, block_size: u64) -> Self {
        let places = Arc::new(Semaphore::new(BLOCKS_OF_A_FILE));
        Self { passes, block_size, pass: Mutex::default(), places, shelf: Arc::default() }
    }

    /// An empty buffer, as soon as there is one. `None` when enough other files have some.
    pub(crate) async fn take(&self) -> Option<BlockBuffer> {
        if !self.has_pass() {
            return None;
        }
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        let kept = self.shelf.lock().pop();
        let memory = kept.unwrap_or_else(|| vec![0; self.block_size as usize + ALIGNMENT]);
        let begin = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Some(BlockBuffer { memory, begin, filled: 0, shelf: Arc::clone(&self.shelf), _place: place })
    }

    fn has_pass(&self) -> bool {
        let mut pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        if pass.is_none() {
            *pass = Arc::clone(&self.passes).try_acquire_owned().ok();
        }
        pass.is_some()
    }
}

/// One block, or its beginning. Its memory is used again when it is dropped.
#[derive(Debug)]
pub(crate) struct BlockBuffer {
    memory: Vec<u8>,
    begin: usize,
    filled: usize,
    shelf: Arc<Shelf>,
    _place: OwnedSemaphorePermit,
}

impl BlockBuffer {
    /// Appends bytes, of which there must not be more than the block has room for.
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        let at = self.begin + self.filled;
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
    }
}

impl AsRef<[u8]> for BlockBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.memory[self.begin..self.begin + self.filled]
    }
}

impl Drop for BlockBuffer {
    fn drop(&mut self) {
        self.shelf.lock().push(std::mem::take(&mut self.memory));
    }
}
