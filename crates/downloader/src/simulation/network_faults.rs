//! How the network behaves: how often what goes wrong, how fast the rest is.

use std::ops::Range;

use super::chance::Chance;

/// Probabilities are for one request, or for one body.
#[derive(Debug, Clone)]
pub(crate) struct NetworkFaults {
    /// The connection does not stand.
    pub(crate) unreachable: f64,
    /// No head ever comes.
    pub(crate) stalled_head: f64,
    /// 429 or 503, with or without `Retry-After`.
    pub(crate) busy: f64,
    /// A signed link has expired.
    pub(crate) expired: f64,
    /// 206 whose `Content-Range` is not the one asked for.
    pub(crate) wrong_range: f64,
    /// 200 although a part was asked for.
    pub(crate) whole_for_part: f64,
    /// The body breaks off.
    pub(crate) cut: f64,
    /// It stops, and the connection stays open.
    pub(crate) stalled_body: f64,
    /// It ends too early as if that were its end.
    pub(crate) short: f64,
    /// It goes on after its end.
    pub(crate) long: f64,
    /// A byte of it is wrong; only where the hash is known, since nothing else could tell.
    pub(crate) garbled: f64,
    /// Bytes a second of one connection.
    pub(crate) rate: Range<u64>,
    /// Milliseconds from a request to the head of its answer.
    pub(crate) delay: Range<u64>,
}

impl NetworkFaults {
    /// Nothing goes wrong.
    pub(crate) fn fair() -> Self {
        Self {
            unreachable: 0.0,
            stalled_head: 0.0,
            busy: 0.0,
            expired: 0.0,
            wrong_range: 0.0,
            whole_for_part: 0.0,
            cut: 0.0,
            stalled_body: 0.0,
            short: 0.0,
            long: 0.0,
            garbled: 0.0,
            rate: 20_000..2_000_000,
            delay: 1..100,
        }
    }

    /// A few things go wrong, each more or less often.
    pub(crate) fn by(chance: &Chance) -> Self {
        let often = || if chance.happens(0.3) { chance.one_of(&[0.02, 0.1, 0.3]) } else { 0.0 };
        Self {
            unreachable: often(),
            stalled_head: often() / 4.0,
            busy: often(),
            expired: often(),
            wrong_range: often() / 4.0,
            whole_for_part: often() / 4.0,
            cut: often(),
            stalled_body: often() / 4.0,
            short: often(),
            long: often() / 4.0,
            garbled: often() / 8.0,
            rate: chance.one_of(&[1_000, 20_000])..chance.one_of(&[30_000, 2_000_000]),
            delay: 1..chance.one_of(&[2, 100, 2_000]),
        }
    }
}
