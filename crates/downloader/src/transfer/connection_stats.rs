//! What a connection shows of itself while it works: how much it has received, and whether it waits for the server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Written by the connection, read by the transfer that watches it.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    received: AtomicU64,
    /// It does something else than to wait for the server: it stores, or holds back under a limit.
    is_busy: AtomicBool,
}

impl Intake {
    /// Bytes that have come.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// A wait from now on is not the server's.
    pub(crate) fn set_busy(&self, busy: bool) {
        self.is_busy.store(busy, Relaxed);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Relaxed)
    }
}
