//! Finds a name that occurs twice, in 8 bytes a name however long the names are.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// The names met so far, as hashes keyed afresh in each process, so that no file can be built to collide.
#[derive(Default)]
pub(crate) struct SeenNames {
    key: RandomState,
    hashes: HashSet<u64>,
}

impl SeenNames {
    /// Remembers a name; false if it was there already.
    pub(crate) fn insert(&mut self, name: &[u8]) -> bool {
        self.hashes.insert(self.key.hash_one(name))
    }
}
