//! Counters that the connections of a file write and its job reads. No locks on the way of the bytes.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::{FileProgress, FileState};

const UNKNOWN: u64 = u64::MAX;

/// Where one file stands.
#[derive(Debug)]
pub(crate) struct TransferStats {
    began: Instant,
    present: AtomicU64,
    /// Received and not yet written.
    in_flight: AtomicU64,
    total: AtomicU64,
    wire: AtomicU64,
    /// Microseconds that connections spent on storing, during which they did not read.
    storing: AtomicU64,
    /// Milliseconds after `began`.
    last_byte: AtomicU64,
    /// Connections that a limit of ours holds back.
    held_back: AtomicUsize,
    state: AtomicU8,
}

impl TransferStats {
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self {
            began: Instant::now(),
            present: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            total: AtomicU64::new(total.unwrap_or(UNKNOWN)),
            wire: AtomicU64::new(0),
            storing: AtomicU64::new(0),
            last_byte: AtomicU64::new(0),
            held_back: AtomicUsize::new(0),
            state: AtomicU8::new(0),
        }
    }

    /// Bytes came from the network.
    pub(crate) fn received(&self, bytes: usize) {
        self.in_flight.fetch_add(bytes as u64, Relaxed);
        self.wire.fetch_add(bytes as u64, Relaxed);
        self.touch();
    }

    /// They went to the disk, or were dropped.
    pub(crate) fn settled(&self, bytes: usize) {
        self.in_flight.fetch_sub(bytes as u64, Relaxed);
    }

    /// A connection was busy storing for so long.
    pub(crate) fn stored_for(&self, time: Duration) {
        self.storing.fetch_add(time.as_micros() as u64, Relaxed);
    }

    /// How long connections were busy storing, all together.
    pub(crate) fn storing(&self) -> Duration {
        Duration::from_micros(self.storing.load(Relaxed))
    }

    /// Restarts the clock of the stall.
    pub(crate) fn touch(&self) {
        self.last_byte.store(self.began.elapsed().as_millis() as u64, Relaxed);
    }

    /// A connection waits for a limit of ours: until it is let go, that no byte comes is not the network's doing.
    pub(crate) fn hold(&self) {
        self.held_back.fetch_add(1, Relaxed);
    }

    pub(crate) fn let_go(&self) {
        self.touch();
        self.held_back.fetch_sub(1, Relaxed);
    }

    /// How long no byte has come.
    pub(crate) fn idle(&self) -> Duration {
        if self.held_back.load(Relaxed) > 0 {
            return Duration::ZERO;
        }
        self.began.elapsed().saturating_sub(Duration::from_millis(self.last_byte.load(Relaxed)))
    }

    pub(crate) fn set_present(&self, bytes: u64) {
        self.present.store(bytes, Relaxed);
    }

    pub(crate) fn set_total(&self, total: Option<u64>) {
        self.total.store(total.unwrap_or(UNKNOWN), Relaxed);
    }

    pub(crate) fn wire(&self) -> u64 {
        self.wire.load(Relaxed)
    }

    pub(crate) fn set_state(&self, state: FileState) {
        self.state.store(state as u8, Relaxed);
    }

    pub(crate) fn state(&self) -> FileState {
        match self.state.load(Relaxed) {
            0 => FileState::Waiting,
            1 => FileState::Fetching,
            2 => FileState::Verifying,
            3 => FileState::Completed,
            _ => FileState::Failed,
        }
    }

    pub(crate) fn progress(&self) -> FileProgress {
        let total = Some(self.total.load(Relaxed)).filter(|total| *total != UNKNOWN);
        let here = self.present.load(Relaxed) + self.in_flight.load(Relaxed);
        let downloaded_bytes = total.map_or(here, |total| here.min(total));
        FileProgress { downloaded_bytes, total_bytes: total, state: self.state() }
    }
}
