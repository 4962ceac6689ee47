//! The sizes that the engine works in: what a block is, and what is here of one.

use crc32fast::Hasher;

/// The sizes of one engine: all that follow from the size of a block are scaled together. The simulation runs with small
/// ones, so that it plays a thousand transfers in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Every size is divided by two to the power of this.
    shift: u32,
}

impl Geometry {
    pub(crate) const PRODUCTION: Self = Self { shift: 0 };
    #[cfg(test)]
    pub(crate) const SMALL: Self = Self { shift: 8 };

    /// Bytes in a block. One is written, checked and journalled as a whole, so this is also what a kill can cost for each
    /// connection.
    pub(crate) const fn block(self) -> u64 {
        self.scaled(1 << 20)
    }

    /// What so many bytes of production are here.
    pub(crate) const fn scaled(self, bytes: u64) -> u64 {
        bytes >> self.shift
    }
}

/// The block of the small sizes.
#[cfg(test)]
pub(crate) const BLOCK: u64 = Geometry::SMALL.block();

/// Files of more bytes are not taken: no disk at hand holds one, and the list of its blocks would fill the memory.
pub const LARGEST_FILE: u64 = 16 << 40;

/// Blocks that the largest file has.
pub(crate) const MOST_BLOCKS: u64 = LARGEST_FILE / Geometry::PRODUCTION.block();

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
