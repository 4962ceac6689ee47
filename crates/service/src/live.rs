//! The figures of running downloads, in memory only. Ticks are never written to the database.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use downloader::Progress;

/// The last figures of each download that has any. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    figures: Arc<Mutex<HashMap<String, Progress>>>,
    arrivals: Arc<Arrivals>,
}

#[derive(Debug, Default)]
struct Arrivals {
    files: AtomicU64,
    wire_bytes: AtomicU64,
}

impl Live {
    /// Takes in a tick.
    pub(crate) fn set(&self, download: &str, progress: Progress) {
        self.lock().insert(download.to_owned(), progress);
    }

    /// A file arrived whole, for which so many bytes crossed the network.
    pub(crate) fn count_arrival(&self, wire_bytes: u64) {
        self.arrivals.files.fetch_add(1, Ordering::Relaxed);
        self.arrivals.wire_bytes.fetch_add(wire_bytes, Ordering::Relaxed);
    }

    /// Files that arrived whole, and the bytes that crossed the network for them, since the start.
    pub(crate) fn arrivals(&self) -> (u64, u64) {
        (self.arrivals.files.load(Ordering::Relaxed), self.arrivals.wire_bytes.load(Ordering::Relaxed))
    }

    /// The last figures of a download.
    pub(crate) fn get(&self, download: &str) -> Option<Progress> {
        self.lock().get(download).cloned()
    }

    /// A download stands still: its bytes stay known, its rate does not.
    pub(crate) fn stand_still(&self, download: &str) {
        if let Some(progress) = self.lock().get_mut(download) {
            progress.bytes_per_second = None;
            progress.stalled = false;
        }
    }

    /// A download ended.
    pub(crate) fn forget(&self, download: &str) {
        self.lock().remove(download);
    }

    /// What all downloads together receive at present; `None` where nothing is known.
    pub(crate) fn bytes_per_second(&self) -> Option<u64> {
        let figures = self.lock();
        let rates: Vec<u64> = figures.values().filter_map(|progress| progress.bytes_per_second).collect();
        (!rates.is_empty()).then(|| rates.iter().sum())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Progress>> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
