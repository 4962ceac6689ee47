//! Connections that fall behind. Lost packets make one pause for seconds where a new one would not, and at the end of a
//! file, when all of its bytes are given out, it then holds up the whole. Whoever is silent or slow gives its bytes back,
//! and they are asked for anew; what it has brought stays.

use std::time::Duration;

use tokio::time::Instant;

use crate::transfer::driver::{Fetching, TICK};
use crate::transfer::segment_scheduler::Running;
use crate::transfer::segments::ClaimId;

/// How long a connection may be slow at the tail before its bytes are asked for anew, and how long a file may still need
/// before it is worth asking another source for the rest.
pub(crate) const PATIENCE_AT_THE_TAIL: Duration = Duration::from_secs(3);
/// How long one may be silent while others bring bytes.
const SILENCE: Duration = Duration::from_secs(3);
/// The same at the tail.
const SILENCE_AT_THE_TAIL: Duration = Duration::from_millis(250);
/// How long all that are left at the tail may be silent.
const SILENCE_OF_ALL: Duration = Duration::from_secs(1);
/// A server may be silent for so many times as long as it was before its answer.
const TIMES_THE_SILENCE: u32 = 4;

/// Whether it is worth it to ask anew. Each time in vain the next connection may be silent twice as long: a network that
/// is gone for a while, or a server that has become slow to answer, is not asked again and again.
#[derive(Debug, Default)]
pub(crate) struct Impatience {
    in_vain: u32,
    last: Option<Instant>,
}

impl Fetching<'_> {
    /// Takes note of who brings bytes. Once a tick.
    pub(crate) fn listen(&mut self, now: Instant) {
        self.fetchers.values_mut().for_each(|running| running.listen(now));
        let asked_anew = |running: &Running| self.impatience.last.is_some_and(|last| running.since >= last);
        if self.fetchers.values().any(|running| running.last_bytes == Some(now) && asked_anew(running)) {
            self.impatience = Impatience::default();
        }
    }

    /// Takes the bytes back from whoever is silent, and at the tail from whoever is far slower than the others.
    pub(crate) fn look_after_laggards(&mut self, now: Instant) {
        if self.fetchers.is_empty() || !self.ranges {
            return;
        }
        let at_the_tail = !self.incoming.map().has_unclaimed();
        if let Some(silent) = self.silent(at_the_tail, now) {
            self.impatience = Impatience { in_vain: self.impatience.in_vain + 1, last: Some(now) };
            self.take_back(silent);
        }
        if at_the_tail {
            self.slow(now).into_iter().for_each(|slow| self.take_back(slow));
        }
    }

    fn take_back(&mut self, claim: ClaimId) {
        self.incoming.map().release(claim);
        if let Some(running) = self.fetchers.get(&claim) {
            running.stop.cancel(); // What it has collected is stored.
        }
    }

    /// The one that has been silent for longest, and too long.
    fn silent(&self, at_the_tail: bool, now: Instant) -> Option<ClaimId> {
        if self.wanted_connections() == 1 {
            return None;
        }
        let map = self.incoming.map();
        let has_bytes = |claim: ClaimId| map.claimed(claim).is_some_and(|span| span.left() > 0);
        let too_long = |running: &Running| {
            let permitted = match (at_the_tail, self.others_bring(running)) {
                (true, true) => SILENCE_AT_THE_TAIL,
                (true, false) => SILENCE_OF_ALL,
                (false, true) => SILENCE,
                (false, false) => return false,
            };
            let permitted = permitted.min(self.transfer.engine.settings.stall_timeout / 4);
            let answers_within = self.sources[running.source].source.silence() * TIMES_THE_SILENCE;
            now - running.silent_since >= permitted.max(answers_within) * (1 << self.impatience.in_vain.min(8))
        };
        let silent = self.fetchers.iter().filter(|(claim, running)| has_bytes(**claim) && too_long(running));
        silent.min_by_key(|(_, running)| running.silent_since).map(|(claim, _)| *claim)
    }

    /// Whether other connections have brought something since this one fell silent. A moment is nothing: they are
    /// looked at one tick after the other.
    fn others_bring(&self, silent: &Running) -> bool {
        let brought = self.fetchers.values().filter_map(|running| running.last_bytes).chain(self.last_end).max();
        brought.is_some_and(|brought| brought >= silent.silent_since + 2 * TICK)
    }

    fn slow(&self, now: Instant) -> Vec<ClaimId> {
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
