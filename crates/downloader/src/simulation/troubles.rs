//! What a disk does to the engine in one life.

use std::fmt;

/// Nothing, unless it is told to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles {
    /// Operations after which the process is no more.
    pub(crate) operations_left: Option<u64>,
    pub(crate) capacity: Option<u64>,
    /// How often a sync fails.
    pub(crate) failing_syncs: f64,
    /// It takes no block past the page cache.
    pub(crate) needs_cache: bool,
}

/// Something that happens while bytes are being written.
pub(crate) struct Meanwhile(pub(crate) Box<dyn FnOnce() + Send>);

impl fmt::Debug for Meanwhile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Meanwhile")
    }
}
