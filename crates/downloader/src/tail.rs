//! The end of a file. When all of its bytes are given out, one connection can hold up the whole: lost packets make it
//! pause for seconds where a new one would not. Whoever is silent or slow then gives its bytes back, and they are asked
//! for anew; what it has brought stays.

use std::time::Duration;

use tokio::time::Instant;

use crate::blocks::ClaimId;
use crate::fetching::{Fetching, TICK};
use crate::sharing::Running;

/// How long a connection may be slow before its bytes are asked for anew, and how long a file may still need before it
/// is worth asking another source for the rest.
pub(crate) const PATIENCE_AT_THE_TAIL: Duration = Duration::from_secs(3);
/// How long it may be silent while others bring bytes.
const WHILE_OTHERS_BRING: Duration = Duration::from_millis(250);
/// A server may be silent for so many times as long as it was before its answer.
const TIMES_THE_SILENCE: u32 = 4;

impl Fetching<'_> {
    /// Takes note of who brings bytes. Once a tick.
    pub(crate) fn listen(&mut self, now: Instant) {
        self.fetchers.values_mut().for_each(|running| running.listen(now));
    }

    /// At the tail, a connection that is silent, or far slower than the others, gives its bytes back.
    pub(crate) fn look_after_the_slowest(&mut self, now: Instant) {
        if self.fetchers.is_empty() || self.incoming.map().has_unclaimed() || !self.ranges {
            return;
        }
        if let Some(silent) = self.silent_at_the_tail(now) {
            self.impatience += 1;
            self.take_back(silent);
        }
        for slow in self.slow_at_the_tail(now) {
            self.take_back(slow);
        }
    }

    fn take_back(&mut self, claim: ClaimId) {
        self.incoming.map().release(claim);
        if let Some(running) = self.fetchers.get(&claim) {
            running.stop.cancel(); // What it has collected is stored.
        }
    }

    /// The one that has been silent for too long. Each time the next one may be so twice as long: a network that is
    /// gone for a while is not asked again and again.
    fn silent_at_the_tail(&self, now: Instant) -> Option<ClaimId> {
        if self.wanted_connections() == 1 {
            return None;
        }
        let map = self.incoming.map();
        let claimed =
            self.fetchers.iter().filter(|(claim, _)| map.claimed(**claim).is_some_and(|span| span.left() > 0));
        let too_long = |running: &Running| {
            let answers_within = self.sources[running.source].source.silence() * TIMES_THE_SILENCE;
            let permitted = if self.others_bring(running) { WHILE_OTHERS_BRING } else { PATIENCE_AT_THE_TAIL };
            let permitted = permitted.min(self.transfer.engine.settings.stall_timeout / 4);
            now - running.silent_since >= permitted.max(answers_within) * (1 << self.impatience.min(8))
        };
        let silent = claimed.filter(|(_, running)| too_long(running));
        silent.min_by_key(|(_, running)| running.silent_since).map(|(claim, _)| *claim)
    }

    /// Whether other connections have brought something since this one fell silent. A moment is nothing: they are
    /// looked at one tick after the other.
    fn others_bring(&self, silent: &Running) -> bool {
        let brought = self.fetchers.values().filter_map(|running| running.last_bytes).chain(self.last_end).max();
        brought.is_some_and(|brought| brought >= silent.silent_since + 2 * TICK)
    }

    fn slow_at_the_tail(&self, now: Instant) -> Vec<ClaimId> {
        let best = self.sources.iter().filter_map(|source| source.rate).fold(0.0, f64::max);
        let map = self.incoming.map();
        let is_slow = |claim: ClaimId, running: &Running| {
            let age = now - running.since;
            let Some(span) = map.claimed(claim).filter(|_| age >= PATIENCE_AT_THE_TAIL) else { return false };
            let rate = running.received() as f64 / age.as_secs_f64();
            let seconds_left = span.left() as f64 / rate.max(1.0);
            rate * 8.0 < best && seconds_left > PATIENCE_AT_THE_TAIL.as_secs_f64()
        };
        self.fetchers.iter().filter(|(claim, running)| is_slow(**claim, running)).map(|(claim, _)| *claim).collect()
    }
}
