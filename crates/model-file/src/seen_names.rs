//! Finds a name that occurs twice, in a few bytes a name however long the names are.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// The names met so far, as hashes keyed afresh in each process, so that no file can be built to collide.
#[derive(Default)]
pub(crate) struct SeenNames {
    key: RandomState,
    numbers: HashMap<u64, usize>,
}

impl SeenNames {
    /// Remembers a name; false if it was there already.
    pub(crate) fn insert(&mut self, name: &[u8]) -> bool {
        self.insert_as(name, 0).is_none()
    }

    /// Remembers a name under a number; if it was there already, under which one.
    pub(crate) fn insert_as(&mut self, name: &[u8], number: usize) -> Option<usize> {
        let hash = self.key.hash_one(name);
        let before = self.numbers.get(&hash).copied();
        if before.is_none() {
            self.numbers.insert(hash, number);
        }
        before
    }
}
