//! How many connections help. Pure: a count of bytes and the time come in, a number comes out.
//!
//! It begins with one, or with all that are allowed where the server is far away. A connection that brings little is
//! joined by all, one that brings much by one more at a time, one that brings all that this machine can take by none; when
//! more of them bring nothing, they go again, and after a while the next one is tried.

use std::time::Duration;

use tokio::time::Instant;

/// How long all connections have to run before they are judged.
const JUDGED_AFTER: Duration = Duration::from_millis(100);
/// A server whose answer took this long is far away: connections to it start slowly, and all of them together no slower.
pub(crate) const HIGH_RTT: Duration = Duration::from_millis(10);
/// A line on which one connection brings less than this has room for all (bytes a second).
const LOW_THROUGHPUT: f64 = 64e6;
/// A connection to a server that is not far away and brings so much is held by this machine, not by the network. Another one
/// beside it costs: the bytes no longer come in order, so they have to be read back for the hash.
const HOST_BOUND_THROUGHPUT: f64 = 256e6;
/// Connections that spend more of their time than this on storing wait for the disk, not for the network.
const BUSY: f64 = 0.4;
/// The part of what more connections could bring that they have to bring to be kept, and the most that is asked of them.
const SHARE_OF_GAIN: f64 = 0.3;
const MOST_ASKED: f64 = 1.5;
/// How long a number that was found good is left alone.
const CONTENT_FOR: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    target: usize,
    /// The number before the last change, and what it brought.
    before: Option<(usize, f64)>,
    /// Since when all of them run, and what there was then of bytes and of time spent on storing.
    window: Option<(Instant, u64, Duration)>,
    content_until: Option<Instant>,
    rate: f64,
    /// Share of their time that they spent on storing.
    busy: f64,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), target: 1, before: None, window: None, content_until: None, rate: 0.0, busy: 0.0 }
    }

    /// How many there should be.
    pub(crate) fn target(&self) -> usize {
        self.target
    }

    /// Whether more may be wanted soon, so that the next file should wait.
    pub(crate) fn is_growing(&self) -> bool {
        self.content_until.is_none() && self.target < self.limit
    }

    /// The first answer took so long.
    pub(crate) fn answered(&mut self, now: Instant, ttfb: Duration) {
        if ttfb >= HIGH_RTT && self.window.is_none() && self.content_until.is_none() {
            self.target = self.limit;
            self.settle(now);
        }
    }

    /// A connection failed before it brought anything: the server may not want so many.
    pub(crate) fn refused(&mut self, now: Instant) {
        self.target = (self.target - 1).max(1);
        self.settle(now);
    }

    /// Looks at what has arrived in all, and how long connections were busy storing it, all together. `running`
    /// connections receive bytes at present.
    pub(crate) fn observe(&mut self, now: Instant, bytes: u64, storing: Duration, running: usize) {
        if running < self.target {
            self.window = None;
            return;
        }
        let Some((since, bytes_then, storing_then)) = self.window else {
            self.window = Some((now, bytes, storing));
            return;
        };
        let elapsed = (now - since).as_secs_f64();
        if elapsed < JUDGED_AFTER.as_secs_f64() {
            return;
        }
        self.rate = bytes.saturating_sub(bytes_then) as f64 / elapsed;
        self.busy = storing.saturating_sub(storing_then).as_secs_f64() / (elapsed * running as f64);
        self.window = Some((now, bytes, storing));
        self.judge(now);
    }

    fn judge(&mut self, now: Instant) {
        if self.content_until.is_some_and(|until| now < until) {
            return;
        }
        match self.before.take() {
            Some((count, rate)) if self.rate < rate * asked_gain(count, self.target) => {
                // Fewer did as well. From the full number go down by halves, since little was tried in between.
                self.target = if self.target > count * 2 { self.target / 2 } else { count };
                self.settle(now);
            }
            _ if self.busy >= BUSY
                || self.target >= self.limit
                || self.rate >= HOST_BOUND_THROUGHPUT * self.target as f64 =>
            {
                self.settle(now);
            }
            _ => {
                self.before = Some((self.target, self.rate));
                let all = self.rate / (self.target as f64) < LOW_THROUGHPUT && self.content_until.is_none();
                self.target = if all { self.limit } else { (self.target + 1).min(self.limit) };
                self.content_until = None;
                self.window = None;
            }
        }
    }

    fn settle(&mut self, now: Instant) {
        self.before = None;
        self.window = None;
        self.content_until = Some(now + CONTENT_FOR);
    }
}

fn asked_gain(before: usize, now: usize) -> f64 {
    let possible = now.saturating_sub(before) as f64 / before as f64;
    (1.0 + SHARE_OF_GAIN * possible).min(MOST_ASKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a server that gives `of_one` a connection and `in_all` at most, onto a disk that takes 1 GB/s, for some seconds. Says
    /// how many connections there are in the end.
    fn reached(of_one: f64, in_all: f64, seconds: u64) -> usize {
        tried(of_one, in_all, seconds).1
    }

    /// The most connections that were tried, and how many there are in the end.
    fn tried(of_one: f64, in_all: f64, seconds: u64) -> (usize, usize) {
        let (mut connections, start, mut bytes) = (Connections::new(8), Instant::now(), 0.0);
        let mut most = 0;
        for tick in 0..seconds * 20 {
            let now = start + Duration::from_millis(tick * 50);
            bytes += (of_one * connections.target() as f64).min(in_all) * 0.05;
            let storing = Duration::from_secs_f64(bytes / 1e9);
            connections.observe(now, bytes as u64, storing, connections.target());
            most = most.max(connections.target());
        }
        (most, connections.target())
    }

    #[test]
    fn a_server_that_limits_each_connection_gets_all_of_them() {
        assert_eq!(reached(20e6, f64::MAX, 1), 8);
        assert_eq!(reached(100e6, f64::MAX, 3), 8);
    }

    #[test]
    fn a_connection_that_waits_for_the_disk_stays_alone() {
        assert_eq!(reached(1e9, 1e9, 3), 1);
        assert_eq!(reached(500e6, 1e9, 3), 1);
    }

    #[test]
    fn a_connection_that_brings_enough_stays_alone() {
        let mut connections = Connections::new(8);
        let start = Instant::now();
        for tick in 0..60 {
            let now = start + Duration::from_millis(tick * 50);
            connections.observe(now, tick * 15_000_000, Duration::ZERO, 1);
        }
        assert_eq!(connections.target(), 1);
    }

    #[test]
    fn a_server_that_is_far_away_gets_all_of_them_at_once() {
        for (ttfb, expected) in [(Duration::from_millis(50), 8), (Duration::from_millis(1), 1)] {
            let mut connections = Connections::new(8);
            connections.answered(Instant::now(), ttfb);
            assert_eq!(connections.target(), expected);
        }
    }

    #[test]
    fn connections_that_bring_nothing_go_again() {
        // All are tried at once where one brings little, and one more where it brings much.
        let (most, left) = tried(12e6, 12e6, 1);
        assert!(most == 8 && left <= 4, "{most} tried, {left} left");
        let (most, left) = tried(120e6, 120e6, 1);
        assert!(most == 2 && left == 1, "{most} tried, {left} left");
    }
}
