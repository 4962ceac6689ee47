//! A bounds-checked reader of little-endian heads, and why reading one stopped.
//!
//! It never allocates by a length that the file declares: callers name their own limit.

use std::io;

use crate::damage::{Damage, GgufDamage, SafetensorsDamage, ZipDamage};
use crate::error::Error;
use crate::inspect::Structure;
use crate::meter::is_over_budget;
use crate::read_at::{ReadAt, read_available};

const CHUNK_BYTES: usize = 16 * 1024;

/// Why the reading of a head did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The operating system failed a read.
    Io(io::Error),
    /// The bytes ran out at this offset.
    Ended { at: u64 },
    /// The head contradicts the format or the file.
    Damaged(Damage),
    /// The head may be right, but it uses something that is not known here.
    NotJudged,
}

impl Stop {
    /// What the stop says about the structure; `part` names what was being read when the bytes ran out.
    pub(crate) fn into_structure(self, part: &'static str) -> Result<Structure, Error> {
        match self {
            Self::Io(source) if is_over_budget(&source) => Ok(Structure::NotJudged),
            Self::Io(source) => Err(source.into()),
            Self::Ended { at } => Ok(Structure::Damaged { reason: Damage::EndsInside { part, at } }),
            Self::Damaged(reason) => Ok(Structure::Damaged { reason }),
            Self::NotJudged => Ok(Structure::NotJudged),
        }
    }
}

impl From<io::Error> for Stop {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

impl From<SafetensorsDamage> for Stop {
    fn from(damage: SafetensorsDamage) -> Self {
        Self::Damaged(damage.into())
    }
}

impl From<GgufDamage> for Stop {
    fn from(damage: GgufDamage) -> Self {
        Self::Damaged(damage.into())
    }
}

impl From<ZipDamage> for Stop {
    fn from(damage: ZipDamage) -> Self {
        Self::Damaged(damage.into())
    }
}

/// Reads a source front to back in small chunks.
pub(crate) struct Cursor<'a> {
    source: &'a dyn ReadAt,
    length: u64,
    position: u64,
    chunk: Vec<u8>,
    chunk_start: u64,
}

impl<'a> Cursor<'a> {
    /// Starts at `position` of a source that is `length` bytes long.
    pub(crate) fn new(source: &'a dyn ReadAt, length: u64, position: u64) -> Self {
        Self { source, length, position, chunk: Vec::new(), chunk_start: 0 }
    }

    /// The offset of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes are left.
    pub(crate) fn remaining(&self) -> u64 {
        self.length.saturating_sub(self.position)
    }

    /// The next byte.
    pub(crate) fn byte(&mut self) -> Result<u8, Stop> {
        let in_chunk = self.position.wrapping_sub(self.chunk_start);
        if in_chunk >= self.chunk.len() as u64 {
            self.load_chunk()?;
        }
        let index = (self.position - self.chunk_start) as usize;
        self.position += 1;
        Ok(self.chunk[index])
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = self.byte()?;
        }
        Ok(bytes)
    }

    /// The next 4 bytes as a number.
    pub(crate) fn u32(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The next 8 bytes as a number.
    pub(crate) fn u64(&mut self) -> Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Passes over `count` bytes without reading them.
    pub(crate) fn skip(&mut self, count: u64) -> Result<(), Stop> {
        self.expect(count)?;
        self.position += count;
        Ok(())
    }

    /// Fails where fewer than `count` bytes are left.
    pub(crate) fn expect(&self, count: u64) -> Result<(), Stop> {
        if count > self.remaining() { Err(Stop::Ended { at: self.length }) } else { Ok(()) }
    }

    /// The next `count` bytes; the caller has already checked `count` against a limit of its own.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Stop> {
        self.expect(count as u64)?;
        (0..count).map(|_| self.byte()).collect()
    }

    /// The bytes up to the next line feed, without it; `None` when the line is longer than `limit`.
    pub(crate) fn line(&mut self, limit: usize) -> Result<Option<Vec<u8>>, Stop> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(Some(line)),
                _ if line.len() == limit => return Ok(None),
                byte => line.push(byte),
            }
        }
    }

    fn load_chunk(&mut self) -> Result<(), Stop> {
        let count = self.remaining().min(CHUNK_BYTES as u64) as usize;
        self.chunk.resize(count, 0);
        let read = read_available(self.source, &mut self.chunk, self.position)?;
        self.chunk.truncate(read);
        self.chunk_start = self.position;
        if read == 0 {
            return Err(Stop::Ended { at: self.position });
        }
        Ok(())
    }
}
