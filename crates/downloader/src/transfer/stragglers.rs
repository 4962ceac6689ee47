//! Connections that fall behind. Lost packets make one pause for seconds where a new one would not, and at the end of a
//! file, when all of its bytes are assigned, one holds up the whole. The rest of a stalled or slow connection's range is
//! reassigned; what it has brought stays.

use std::time::Duration;

use tokio::time::Instant;

use crate::transfer::driver::{Fetching, TICK};
use crate::transfer::segment_scheduler::Running;
use crate::transfer::segments::SegmentId;

/// How long a connection may be slow at the tail before its bytes are asked for anew, and how long a file may still need
/// before it is worth asking another source for the rest.
pub(crate) const TAIL_TIMEOUT: Duration = Duration::from_secs(3);
/// The stall timeout of a connection while others bring bytes.
const STALL: Duration = Duration::from_secs(3);
/// The same at the tail.
const TAIL_STALL: Duration = Duration::from_millis(250);
/// The stall timeout of all that are left at the tail.
const STALL_OF_ALL: Duration = Duration::from_secs(1);
/// The stall timeout is at least so many times the server's time to first byte.
const TTFB_MULTIPLE: u32 = 4;

/// Whether it is worth it to ask anew. Each time in vain the next connection may be stalled twice as long: a network that
/// is gone for a while, or a server that has become slow to answer, is not asked again and again.
#[derive(Debug, Default)]
pub(crate) struct StallBackoff {
    in_vain: u32,
    last: Option<Instant>,
}

impl Fetching<'_> {
    /// Takes note of who brings bytes. Once a tick.
    pub(crate) fn observe(&mut self, now: Instant) {
        self.fetchers.values_mut().for_each(|running| running.observe(now));
        let asked_anew = |running: &Running| self.stall_backoff.last.is_some_and(|last| running.since >= last);
        if self.fetchers.values().any(|running| running.last_bytes == Some(now) && asked_anew(running)) {
            self.stall_backoff = StallBackoff::default();
        }
    }

    /// Reassigns the range of a stalled connection, and at the tail those of connections far slower than the others.
    pub(crate) fn reassign_stragglers(&mut self, now: Instant) {
        if self.fetchers.is_empty() || !self.ranges {
            return;
        }
        let at_the_tail = !self.part_store.map().has_unassigned();
        if let Some(stalled) = self.stalled(at_the_tail, now) {
            self.stall_backoff = StallBackoff { in_vain: self.stall_backoff.in_vain + 1, last: Some(now) };
            self.reassign(stalled);
        }
        if at_the_tail {
            self.slow(now).into_iter().for_each(|slow| self.reassign(slow));
        }
    }

    fn reassign(&mut self, segment: SegmentId) {
        self.part_store.map().release(segment);
        if let Some(running) = self.fetchers.get(&segment) {
            running.stop.cancel(); // What it has collected is stored.
        }
    }

    /// The one that has been stalled for longest, and too long.
    fn stalled(&self, at_the_tail: bool, now: Instant) -> Option<SegmentId> {
        if self.wanted_connections() == 1 {
            return None;
        }
        let map = self.part_store.map();
        let has_bytes = |segment: SegmentId| map.assigned(segment).is_some_and(|span| span.left() > 0);
        let too_long = |running: &Running| {
            let permitted = match (at_the_tail, self.others_bring(running)) {
                (true, true) => TAIL_STALL,
                (true, false) => STALL_OF_ALL,
                (false, true) => STALL,
                (false, false) => return false,
            };
            let permitted = permitted.min(self.transfer.engine.settings.stall_timeout / 4);
            let answers_within = self.sources[running.source].source.ttfb() * TTFB_MULTIPLE;
            now - running.idle_since >= permitted.max(answers_within) * (1 << self.stall_backoff.in_vain.min(8))
        };
        let stalled = self.fetchers.iter().filter(|(segment, running)| has_bytes(**segment) && too_long(running));
        stalled.min_by_key(|(_, running)| running.idle_since).map(|(segment, _)| *segment)
    }

    /// Whether other connections have brought something since this one stalled. A moment is nothing: they are
    /// looked at one tick after the other.
    fn others_bring(&self, stalled: &Running) -> bool {
        let brought = self.fetchers.values().filter_map(|running| running.last_bytes).chain(self.last_end).max();
        brought.is_some_and(|brought| brought >= stalled.idle_since + 2 * TICK)
    }

    fn slow(&self, now: Instant) -> Vec<SegmentId> {
        let best = self.sources.iter().filter_map(|source| source.rate).fold(0.0, f64::max);
        let map = self.part_store.map();
        let is_slow = |segment: SegmentId, running: &Running| {
            let age = now - running.since;
            let Some(span) = map.assigned(segment).filter(|_| age >= TAIL_TIMEOUT) else { return false };
            let rate = running.received() as f64 / age.as_secs_f64();
            let seconds_left = span.left() as f64 / rate.max(1.0);
            rate * 8.0 < best && seconds_left > TAIL_TIMEOUT.as_secs_f64()
        };
        self.fetchers
            .iter()
            .filter(|(segment, running)| is_slow(**segment, running))
            .map(|(segment, _)| *segment)
            .collect()
    }
}
