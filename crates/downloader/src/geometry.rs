//! The sizes that the engine works in: what a block is, and what is here of one.

use crc32fast::Hasher;

/// Sizes are so much smaller in the tests that see the inside of this crate, where the simulation runs a thousand
/// transfers in seconds.
pub(crate) const SCALE: u64 = if cfg!(test) { 256 } else { 1 };

/// Bytes in a block. One is written, checked and journalled as a whole, so this is also what a kill can cost for each
/// connection.
pub(crate) const BLOCK: u64 = (1 << 20) / SCALE;

/// Files of more bytes are not taken: no disk at hand holds one, and the list of its blocks would fill the memory.
pub const LARGEST_FILE: u64 = (16 << 40) / SCALE;

/// What is here of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Block {
    /// Bytes from the beginning of the block.
    pub(crate) have: u32,
    /// Their CRC-32.
    pub(crate) crc: u32,
}

impl Block {
    /// A hasher that goes on where this block stands.
    pub(crate) fn crc_so_far(self) -> Hasher {
        Hasher::new_with_initial_len(self.crc, u64::from(self.have))
    }
}
