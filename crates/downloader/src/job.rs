//! What is asked for: a job, its files, and where they stand in the queue. It knows no network and no disk.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::{BlockChecksums, Destination, Sha256Digest, SourceUrl};

/// The caller's name of a job. Opaque here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Takes any text; the caller keeps it unique.
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Which waiting job takes the next free place first. A running job is never pushed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Priority {
    /// After all others.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// Files that are asked for together, fetched in order, and reported as one.
#[derive(Debug, Clone)]
pub struct Job {
    /// The caller's name for it.
    pub id: JobId,
    /// In the order in which they shall arrive.
    pub files: Vec<FileJob>,
    /// Before position and time of asking.
    pub priority: Priority,
    /// Within a priority the lower position runs first; equal ones in the order of asking.
    pub position: i64,
    /// Bytes a second for the whole job; `None` is no limit of its own.
    pub rate_limit: Option<u64>,
    /// Wait for [`resume`](crate::Downloader::resume) before anything is fetched.
    pub paused: bool,
}

impl Job {
    /// A job of normal priority that starts as soon as there is a place.
    pub fn new(id: JobId, files: Vec<FileJob>) -> Self {
        Self { id, files, priority: Priority::Normal, position: 0, rate_limit: None, paused: false }
    }

    /// Where the files go that are not whole yet.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = &Destination> {
        self.files.iter().filter(|file| !file.done).map(|file| &file.destination)
    }
}

/// What to do when the destination holds a file already that is not the one asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Leave it and fail with [`DestinationExists`](crate::TransferError::DestinationExists). A file that has the
    /// SHA-256 asked for (or, where none is known, exactly the size asked for) counts as already arrived.
    #[default]
    Keep,
    /// A file that is there when this one's turn comes is the one that is wanted: it counts as already arrived. A SHA-256 that
    /// was asked for and does not match, or a journalled partial file beside it that was never finished, makes it
    /// [`DestinationExists`](crate::TransferError::DestinationExists).
    /// A job of this engine that is fetching the same destination is waited for (as for every `Existing`), so that two
    /// jobs that share a file fetch it once.
    Share,
    /// It stays in place until the new one is whole, which is then renamed over it. A file that has the SHA-256 asked
    /// for still counts as already arrived.
    Replace,
}

/// One file: where it goes, where it comes from, and what is known of it.
#[derive(Debug, Clone)]
pub struct FileJob {
    /// Where it goes.
    pub destination: Destination,
    /// Mirrors of one content, best first. Never empty.
    pub sources: Vec<SourceUrl>,
    /// The hash that it must have, where one is known beforehand.
    pub sha256: Option<Sha256Digest>,
    /// Its exact size. Never an estimate: another size fails the file.
    pub size: Option<u64>,
    /// What to do when the destination is taken.
    pub existing: Existing,
    /// Files on this machine trusted to have the same SHA-256: checked by hash, then hard-linked, cloned or copied.
    /// They are used only where the SHA-256 is known, else where a server names it.
    pub local_copies: Vec<PathBuf>,
    /// Repair: the checksums that the blocks of the file at the destination should have
    /// ([`FileOutcome::blocks`](crate::FileOutcome) of its arrival). Its good blocks are kept and only the others fetched;
    /// the SHA-256 of the whole proves the result. Needs [`Existing::Replace`] and the SHA-256.
    pub salvage: Option<BlockChecksums>,
    /// Whole since an earlier run: it only counts in the totals.
    pub done: bool,
    /// The size to count for a `done` file.
    pub done_bytes: u64,
}

impl FileJob {
    /// A file of which nothing but its place and its sources is known.
    pub fn new(destination: Destination, sources: Vec<SourceUrl>) -> Self {
        Self {
            destination,
            sources,
            sha256: None,
            size: None,
            existing: Existing::Keep,
            local_copies: Vec::new(),
            salvage: None,
            done: false,
            done_bytes: 0,
        }
    }
}
