//! What a disk does to the engine in one life, and what happens while it is at work.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Nothing, unless it is told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct DiskFaults {
    /// Operations after which the process is no more.
    pub(crate) operations_left: Option<u64>,
    pub(crate) capacity: Option<u64>,
    /// How often a sync fails.
    pub(crate) failing_syncs: f64,
    /// It takes no block past the page cache.
    pub(crate) needs_cache: bool,
}

/// What takes the disk a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Write,
    Sync,
}

type Act = Box<dyn FnOnce() + Send>;

/// Something that happens once, while a file is being written or synced next.
#[derive(Clone, Default)]
pub(crate) struct Meanwhile(Arc<Mutex<Option<(Work, Act)>>>);

impl Meanwhile {
    pub(crate) fn during_the_next(&self, work: Work, act: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((work, Box::new(act)));
    }

    pub(crate) fn happens_in(&self, work: Work) {
        let due = self.0.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(awaited, _)| *awaited == work);
        if let Some((_, act)) = due {
            act();
        }
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Meanwhile")
    }
}
