//! Which bytes of a file are here, block by block, and who fetches which of the rest. Pure: no disk, no network.
//!
//! A block is present from its beginning up to `have` bytes, with the CRC-32 of just those bytes. So a connection that
//! is cut in the middle of a block loses nothing, and every byte that is trusted has a checksum.

use std::collections::BTreeMap;

use crate::BlockChecksums;
use crate::geometry::Block;

/// A range of the file that one connection fetches: what is stored ends at `next`, and it goes on up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) next: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(crate) fn left(self) -> u64 {
        self.end.saturating_sub(self.next)
    }
}

/// The name of a segment; also the connection's.
pub(crate) type SegmentId = u64;

/// The state of all blocks and the segments on those that are missing.
#[derive(Debug)]
pub(crate) struct BlockMap {
    block_size: u64,
    total: Option<u64>,
    /// As far as there is anything: memory is taken by what has arrived, not by what a server says.
    blocks: Vec<Block>,
    /// Index of the first block that is not full.
    first_gap: usize,
    present: u64,
    segments: BTreeMap<SegmentId, Span>,
    last_claim: SegmentId,
}

impl BlockMap {
    /// Nothing is here. Without a total the file grows until [`end_here`](Self::end_here).
    pub(crate) fn new(total: Option<u64>, block_size: u64) -> Self {
        Self {
            block_size,
            total,
            blocks: Vec::new(),
            first_gap: 0,
            present: 0,
            segments: BTreeMap::new(),
            last_claim: 0,
        }
    }

    /// How many blocks the file has, where its length is known.
    fn count(&self) -> usize {
        self.total.map_or(0, |total| usize::try_from(total.div_ceil(self.block_size)).unwrap_or(usize::MAX))
    }

    pub(crate) fn total(&self) -> Option<u64> {
        self.total
    }

    pub(crate) fn present(&self) -> u64 {
        self.present
    }

    /// Everything before this byte is here.
    pub(crate) fn contiguous_end(&self) -> u64 {
        let have = self.blocks.get(self.first_gap).map_or(0, |block| u64::from(block.have));
        (self.first_gap as u64 * self.block_size + have).min(self.total.unwrap_or(u64::MAX))
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.total == Some(self.present)
    }

    pub(crate) fn block(&self, index: usize) -> Block {
        self.blocks.get(index).copied().unwrap_or_default()
    }

    /// How long a block is when full.
    fn length(&self, index: usize) -> u64 {
        let start = (index as u64).saturating_mul(self.block_size);
        self.total.map_or(self.block_size, |total| self.block_size.min(total.saturating_sub(start)))
    }

    pub(crate) fn is_full(&self, index: usize) -> bool {
        u64::from(self.block(index).have) == self.length(index)
    }

    /// Takes note of a block's new state. A state that has less than the present one is ignored: somebody else was
    /// faster with the same bytes.
    pub(crate) fn set(&mut self, index: usize, block: Block) {
        let known = self.block(index).have;
        if block.have <= known || u64::from(block.have) > self.length(index) {
            return;
        }
        if index >= self.blocks.len() {
            self.blocks.resize(index + 1, Block::default());
        }
        self.present += u64::from(block.have - known);
        self.blocks[index] = block;
        while self.first_gap < self.blocks.len() && self.is_full(self.first_gap) {
            self.first_gap += 1;
        }
    }

    /// Forgets what is here of a block.
    pub(crate) fn invalidate(&mut self, index: usize) {
        if let Some(block) = self.blocks.get_mut(index) {
            self.present -= u64::from(block.have);
            *block = Block::default();
            self.first_gap = self.first_gap.min(index);
        }
    }

    /// Forgets everything, segments included.
    pub(crate) fn reset(&mut self, total: Option<u64>) {
        let last_claim = self.last_claim;
        *self = Self { last_claim, ..Self::new(total, self.block_size) };
    }

    /// The file of unknown length ends where it stands. What lies behind a gap that was invalidated meanwhile is no part of it.
    pub(crate) fn end_here(&mut self) {
        let end = self.contiguous_end();
        self.blocks.truncate(usize::try_from(end.div_ceil(self.block_size)).unwrap_or(usize::MAX));
        (self.total, self.present) = (Some(end), end);
    }

    /// The state of each block, for the journal and the outcome.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = (usize, Block)> {
        self.blocks.iter().copied().enumerate().filter(|(_, block)| block.have > 0)
    }

    pub(crate) fn checksums(&self) -> BlockChecksums {
        let crc32 = (0..self.count()).map(|index| self.block(index).crc).collect();
        BlockChecksums { block_size: self.block_size as u32, crc32 }
    }

    /// Claims the first missing bytes that nobody fetches, at most about `want` of them.
    pub(crate) fn assign(&mut self, want: u64) -> Option<(SegmentId, Span)> {
        let Some(total) = self.total else {
            let span = Span { next: self.contiguous_end(), end: u64::MAX };
            return self.segments.is_empty().then(|| self.insert(span));
        };
        let mut taken: Vec<Span> = self.segments.values().copied().collect();
        taken.sort_by_key(|span| span.next);
        let holder = |byte: u64| taken.iter().find(|span| span.next <= byte && byte < span.end);
        let mut index = self.first_gap;
        while index < self.count() {
            let start = index as u64 * self.block_size + u64::from(self.block(index).have);
            if self.is_full(index) {
                index += 1;
            } else if let Some(span) = holder(start) {
                index = usize::try_from(span.end.div_ceil(self.block_size)).unwrap_or(usize::MAX).max(index + 1);
            } else {
                let end = self.free_until(index, &taken, start, start.saturating_add(want)).min(total);
                return Some(self.insert(Span { next: start, end }));
            }
        }
        None
    }

    /// The end of the free range that begins at `start` in block `first`: on a block boundary, or where the next segment
    /// begins.
    fn free_until(&self, first: usize, taken: &[Span], start: u64, wanted_end: u64) -> u64 {
        let next_claim = taken.iter().map(|span| span.next).find(|next| *next > start).unwrap_or(u64::MAX);
        let mut end = (first as u64 + 1) * self.block_size;
        while end < wanted_end.min(next_claim) {
            let index = usize::try_from(end / self.block_size).unwrap_or(usize::MAX);
            if index >= self.count() || self.block(index).have > 0 {
                break;
            }
            end += self.block_size;
        }
        end.min(next_claim)
    }

    /// Takes the second half of the largest segment, when each half is at least `least` long. Of a half that is longer than
    /// `most` each of the two keeps so much, and the rest is free again: the first connection that is done continues there.
    pub(crate) fn steal(&mut self, least: u64, most: u64) -> Option<(SegmentId, Span)> {
        self.total?;
        let victim = self.segments.values_mut().max_by_key(|span| span.left())?;
        let most = (most / self.block_size).max(1) * self.block_size;
        let middle = (victim.next + (victim.left() / 2).min(most)).next_multiple_of(self.block_size);
        let stolen = Span { next: middle, end: victim.end.min(middle.saturating_add(most)) };
        if stolen.left() < least.max(1) || middle - victim.next < least {
            return None;
        }
        victim.end = middle;
        Some(self.insert(stolen))
    }

    fn insert(&mut self, span: Span) -> (SegmentId, Span) {
        self.last_claim += 1;
        self.segments.insert(self.last_claim, span);
        (self.last_claim, span)
    }

    /// Everything before `next` is stored. Moves the segment on and says where it ends by now; `None` when the segment was taken away.
    pub(crate) fn advance(&mut self, id: SegmentId, next: u64) -> Option<u64> {
        let span = self.segments.get_mut(&id)?;
        span.next = next.max(span.next);
        Some(span.end)
    }

    pub(crate) fn assigned(&self, id: SegmentId) -> Option<Span> {
        self.segments.get(&id).copied()
    }

    /// Gives a segment up, finished or not.
    pub(crate) fn release(&mut self, id: SegmentId) {
        self.segments.remove(&id);
    }

    /// Whether there are missing bytes that nobody fetches.
    pub(crate) fn has_unassigned(&self) -> bool {
        let assigned: u64 = self.segments.values().map(|span| span.left()).sum();
        self.total.map_or(self.segments.is_empty(), |total| total - self.present > assigned)
    }

    /// Missing bytes, assigned or not.
    pub(crate) fn missing(&self) -> u64 {
        self.total.map_or(0, |total| total - self.present)
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;
