//! Numbers that say whether the index is as it was, and the only way to change it.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        PoisonError, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{Known, ModelIndex};

/// Numbers that grow with each change, so that what was made of the index before is known to be old.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    files: AtomicU64,
    looks: AtomicU64,
}

/// The right to change what is known. Who reads the new revision waits for the end of the change.
pub(super) struct Writing<'a> {
    known: RwLockWriteGuard<'a, Known>,
    revision: &'a AtomicU64,
}

impl Deref for Writing<'_> {
    type Target = Known;

    fn deref(&self) -> &Known {
        &self.known
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut Known {
        &mut self.known
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.revision.fetch_add(1, Ordering::SeqCst);
    }
}

impl ModelIndex {
    /// Another number where files, or what is expected of them, have changed.
    pub(crate) fn files_revision(&self) -> u64 {
        self.revisions.files.load(Ordering::SeqCst)
    }

    /// Another number where a look into a file found something.
    pub(crate) fn looks_revision(&self) -> u64 {
        self.revisions.looks.load(Ordering::SeqCst)
    }

    pub(super) fn write(&self) -> Writing<'_> {
        self.write_counted_by(&self.revisions.files)
    }

    /// For what a look into a file found, which says nothing of which file it is.
    pub(super) fn write_look(&self) -> Writing<'_> {
        self.write_counted_by(&self.revisions.looks)
    }

    fn write_counted_by<'a>(&'a self, revision: &'a AtomicU64) -> Writing<'a> {
        Writing { known: self.known.write().unwrap_or_else(PoisonError::into_inner), revision }
    }
}
