//! The reading of files that are here already, which blocks: are the blocks what the journal says, and what is the whole.

use std::io;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::geometry::Block;
use crate::halt::Halt;
use crate::storage::fs::{self, OpenFile};
use crate::{BlockChecksums, Sha256Digest, TransferError};

/// Compares blocks of an earlier process with their checksums and names those that differ. Ends early when `stop` is
/// cancelled.
pub(crate) fn damaged_blocks(
    file: &dyn OpenFile,
    block_size: u64,
    blocks: &[(usize, Block)],
    stop: &CancellationToken,
) -> Vec<usize> {
    let mut buffer = vec![0; block_size as usize];
    let mut damaged = Vec::new();
    for (index, block) in blocks {
        if stop.is_cancelled() {
            break;
        }
        let bytes = &mut buffer[..(block.have as usize).min(block_size as usize)];
        let read = fs::read_exact_at(file, bytes, *index as u64 * block_size);
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

/// Why a file was not read to its end. Neither reason says anything about its content.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The transfer was told to stop.
    Stopped,
    Failed(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Unread {
    /// What it means for the transfer, with the path that belongs to the error.
    pub(crate) fn halt(self, failed: impl FnOnce(io::Error) -> TransferError) -> Halt {
        match self {
            Self::Stopped => Halt::Stopped,
            Self::Failed(error) => failed(error).into(),
        }
    }
}

/// Reads a whole file.
pub(crate) fn content_of(file: &dyn OpenFile, block_size: u64, stop: &CancellationToken) -> Result<Content, Unread> {
    let (mut hasher, mut size, mut crc32) = (Sha256::new(), 0, Vec::new());
    let mut buffer = vec![0; block_size.min(file.status()?.size.max(1)) as usize];
    loop {
        if stop.is_cancelled() {
            return Err(Unread::Stopped);
        }
        let read = fs::read_up_to(file, &mut buffer, size)?;
        if read > 0 {
            hasher.update(&buffer[..read]);
            crc32.push(crc32fast::hash(&buffer[..read]));
        }
        size += read as u64;
        if read < block_size as usize {
            break;
        }
    }
    let blocks = BlockChecksums { block_size: block_size as u32, crc32 };
    Ok(Content { size, sha256: Sha256Digest(hasher.finalize().into()), blocks })
}
