//! What one connection has received and not stored yet. It decides how much is written at once, and from where.
//!
//! Frames of the HTTP client are collected and written while the connection waits, so that their memory is used again at
//! once. Where bytes come so fast that copying them about is what takes the time, they go into the aligned buffers of
//! `direct_buffers` instead: one block is filled while the one before is written past the page cache and those before it
//! are hashed, from memory. A slower file stays in the page cache, where the program that loads it next finds it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::TransferError;
use crate::geometry::Geometry;
use crate::http::response;
use crate::storage::direct_buffers::BlockBuffer;
use crate::transfer::connection::{FetchEnd, Fetcher, bad_answer};
use crate::transfer::segments::SegmentId;

/// Bytes that are written at once. A fast connection brings that much in one frame, which is then given back before the
/// next is read, so that its buffer is used again while it is in the processor's cache.
const WORTH_WRITING: u64 = 256 << 10;

/// Frames that are collected before they are copied together: a server that drips would fill memory with them.
const MOST_FRAMES: usize = 256;

/// Blocks that are written at the same time.
const AT_ONCE: usize = 2;

/// Bytes a second of one connection from which on blocks go past the page cache. A disk that keeps up with that also
/// gives the file back quickly.
const FAST: u64 = 256_000_000;

/// The rate is judged after so many bytes each time.
const JUDGED_AFTER: u64 = 8 << 20;

/// Collects what is received and stores it, never across the end of a block.
pub(crate) struct Writer<'a> {
    fetcher: &'a Fetcher,
    segment: SegmentId,
    content_type: Option<String>,
    host: &'a str,
    pace: Pace,
    /// What is being stored ends here, and the first collected byte belongs here.
    offset: u64,
    /// The stretches before `offset` that are being stored, in order.
    storing: VecDeque<(u64, JoinHandle<io::Result<()>>)>,
    collected: Collected,
    /// Bytes that are collected.
    length: usize,
    /// Bytes that came after the last one that was wanted.
    beyond: u64,
}

enum Collected {
    Frames(Vec<Bytes>),
    Block(BlockBuffer),
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        fetcher: &'a Fetcher,
        segment: SegmentId,
        content_type: Option<String>,
        host: &'a str,
        offset: u64,
    ) -> Self {
        let (pace, collected) = (Pace::new(offset, fetcher.part_store.part.geometry()), Collected::Frames(Vec::new()));
        Self {
            fetcher,
            segment,
            content_type,
            host,
            pace,
            offset,
            storing: VecDeque::new(),
            collected,
            length: 0,
            beyond: 0,
        }
    }

    /// Where the next byte that is received belongs.
    pub(crate) fn position(&self) -> u64 {
        self.offset + self.length as u64
    }

    fn geometry(&self) -> Geometry {
        self.fetcher.part_store.part.geometry()
    }

    /// Everything before this that the connection has received is stored.
    pub(crate) fn stored(&self) -> u64 {
        self.offset - self.storing.iter().map(|(bytes, _)| bytes).sum::<u64>()
    }

    /// Bytes that came after the last one that was wanted.
    pub(crate) fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Takes a frame, of which what lies beyond `end` is not wanted.
    pub(crate) async fn take(&mut self, mut frame: Bytes, end: u64) -> Result<(), FetchEnd> {
        while !frame.is_empty() && self.position() < end {
            let block = self.geometry().block();
            let block_end = (self.position() / block + 1) * block;
            if self.length == 0 && self.offset.is_multiple_of(block) {
                self.begin_block(block_end <= end).await;
            }
            let room = block_end.min(end) - self.position();
            let piece = frame.split_to(frame.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
            self.collect(piece);
            let is_block = matches!(self.collected, Collected::Block(_));
            if self.position() == block_end
                || (!is_block && self.length as u64 >= self.geometry().scaled(WORTH_WRITING))
            {
                self.flush().await?;
            }
        }
        self.beyond += frame.len() as u64;
        Ok(())
    }

    /// Chooses where the next block is collected. To wait for a buffer is to wait for the disk or for the hash.
    async fn begin_block(&mut self, whole: bool) {
        self.collected = Collected::Frames(Vec::new());
        let part_store = &self.fetcher.part_store;
        if !(self.pace.is_fast(self.offset) && whole && part_store.takes_blocks(self.stored(), self.offset)) {
            return;
        }
        let began = Instant::now();
        let buffer = tokio::select! {
            biased;
            () = self.fetcher.stop.cancelled() => None,
            buffer = self.fetcher.buffers.take() => buffer,
        };
        part_store.stats.stored_for(began.elapsed());
        if let Some(buffer) = buffer {
            self.collected = Collected::Block(buffer);
        }
    }

    fn collect(&mut self, piece: Bytes) {
        self.fetcher.part_store.stats.received(piece.len());
        self.fetcher.intake.add(piece.len());
        self.length += piece.len();
        match &mut self.collected {
            Collected::Block(buffer) => buffer.fill(&piece),
            Collected::Frames(frames) => {
                frames.push(piece);
                if frames.len() >= MOST_FRAMES {
                    *frames = vec![frames.concat().into()];
                }
            }
        }
    }

    /// Stores what is collected. A whole block is on its way when this returns, anything else is stored.
    async fn flush(&mut self) -> Result<(), FetchEnd> {
        if self.length == 0 {
            return Ok(());
        }
        if self.offset == 0 {
            self.look_at_the_beginning()?;
        }
        let (offset, length) = (self.offset, std::mem::take(&mut self.length));
        let part_store = Arc::clone(&self.fetcher.part_store);
        let whole = length as u64 == self.geometry().block();
        let threads = &self.fetcher.threads;
        let (storing, may_go_on) = match std::mem::replace(&mut self.collected, Collected::Frames(Vec::new())) {
            Collected::Block(block) if whole => {
                (threads.spawn(move || part_store.store_block(offset, &Bytes::from_owner(block))), true)
            }
            Collected::Block(block) => {
                (threads.spawn(move || part_store.store(offset, &[Bytes::from_owner(block)], length)), false)
            }
            Collected::Frames(frames) => (threads.spawn(move || part_store.store(offset, &frames, length)), false),
        };
        self.storing.push_back((length as u64, storing));
        self.offset += length as u64;
        self.settle(if may_go_on { AT_ONCE } else { 0 }).await
    }

    /// Waits until no more than so many stretches are being stored, and where one failed until none is.
    async fn settle(&mut self, most: usize) -> Result<(), FetchEnd> {
        let settled = self.wait_for_stores(most).await;
        while settled.is_err() && !self.storing.is_empty() {
            let _ = self.wait_for_stores(0).await;
        }
        settled
    }

    async fn wait_for_stores(&mut self, most: usize) -> Result<(), FetchEnd> {
        let stats = &self.fetcher.part_store.stats;
        while self.storing.len() > most
            && let Some((bytes, storing)) = self.storing.front_mut()
        {
            let (bytes, began) = (*bytes, Instant::now());
            let stored = storing.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            self.storing.pop_front();
            stats.stored_for(began.elapsed());
            stats.settled(bytes as usize);
            stored.map_err(FetchEnd::Disk)?;
        }
        Ok(())
    }

    /// An error page is known by its first bytes, before any of them is stored.
    fn look_at_the_beginning(&mut self) -> Result<(), FetchEnd> {
        let Collected::Frames(frames) = &self.collected else { return Ok(()) };
        let first: Vec<u8> = frames.iter().flatten().copied().take(512).collect();
        let name = self.fetcher.part_store.part.destination().name();
        let Some(what) = response::not_a_file(name, self.content_type.as_deref(), &first) else { return Ok(()) };
        self.fetcher.part_store.stats.settled(std::mem::take(&mut self.length));
        self.collected = Collected::Frames(Vec::new());
        Err(FetchEnd::Refused(TransferError::not_a_file(self.host, what, self.content_type.take())))
    }

    /// Stores all that is collected.
    async fn store_all(&mut self) -> Result<(), FetchEnd> {
        self.flush().await?;
        self.settle(0).await
    }

    /// Stores what is collected, then ends.
    pub(crate) async fn leave(mut self, end: FetchEnd) -> FetchEnd {
        let stored = self.store_all().await;
        self.fetcher.part_store.map().advance(self.segment, self.stored());
        stored.err().unwrap_or(end)
    }

    /// The body has ended: at its stated end, or where there was none to be stated. `is_framed`: the protocol shows that this is
    /// its end, and not where the connection broke.
    pub(crate) async fn ended(mut self, body_end: Option<u64>, is_framed: bool) -> FetchEnd {
        if let Err(end) = self.store_all().await {
            return end;
        }
        let host = self.host;
        let mut map = self.fetcher.part_store.map();
        map.advance(self.segment, self.stored());
        if body_end.is_none() && map.total().is_none() {
            if !is_framed {
                return FetchEnd::EndUnproven;
            }
            map.end_here();
            self.fetcher.part_store.stats.set_total(map.total());
            return FetchEnd::Done;
        }
        bad_answer(host, "it ended early")
    }
}

/// How fast a connection brings bytes and has them stored.
struct Pace {
    geometry: Geometry,
    /// Where it was judged last, and when.
    since: (u64, Instant),
    fast: bool,
    /// This disk does not like to be written past the page cache.
    given_up: bool,
}

impl Pace {
    fn new(offset: u64, geometry: Geometry) -> Self {
        Self { geometry, since: (offset, Instant::now()), fast: false, given_up: false }
    }

    fn is_fast(&mut self, offset: u64) -> bool {
        let (then, began) = self.since;
        if offset - then >= self.geometry.scaled(JUDGED_AFTER) {
            let rate = (offset - then) as f64 / began.elapsed().as_secs_f64();
            let fast = self.geometry.scaled(FAST) as f64;
            self.given_up |= self.fast && rate < fast / 4.0;
            (self.since, self.fast) = ((offset, Instant::now()), rate >= fast && !self.given_up);
        }
        self.fast
    }
}
