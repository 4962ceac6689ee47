//! What goes up: the states, ticks and outcomes that a caller sees. Plain values; nothing here does anything.

use std::sync::Arc;

use crate::{BlockChecksums, JobId, Sha256Digest, SourceUrl, TransferError};

/// Something that happened to a job.
#[derive(Debug, Clone)]
pub struct Update {
    /// Whose event it is.
    pub job: JobId,
    /// What happened.
    pub event: JobEvent,
}

/// What happened. Ticks ([`JobEvent::Progress`]) may be dropped when the receiver is slow; everything else arrives, in
/// order.
#[derive(Debug, Clone)]
pub enum JobEvent {
    /// The job has a place and begins (again).
    Started,
    /// A server has answered for a file: this is what it said.
    FileStarted {
        /// Index in [`Job::files`](crate::Job::files).
        file: usize,
        /// Size, hash and validators as the server states them.
        facts: Facts,
    },
    /// Where the job stands; at most one each [`Settings::progress_interval`](crate::Settings::progress_interval).
    Progress(Progress),
    /// All bytes of a file are here; the rest of its hash is computed and the data synced.
    Verifying {
        /// Index in [`Job::files`](crate::Job::files).
        file: usize,
    },
    /// A file is whole under its final name.
    FileCompleted {
        /// Index in [`Job::files`](crate::Job::files).
        file: usize,
        /// What arrived, and how.
        outcome: FileOutcome,
    },
    /// A file cannot be had. Its siblings go on.
    FileFailed {
        /// Index in [`Job::files`](crate::Job::files).
        file: usize,
        /// Why.
        error: Arc<TransferError>,
    },
    /// Bytes that had arrived were thrown away and are fetched again.
    FileRestarted {
        /// Index in [`Job::files`](crate::Job::files).
        file: usize,
        /// Why.
        reason: RestartReason,
    },
    /// The job stands still.
    Paused(PauseReason),
    /// The job was paused and waits for a place again.
    Resumed,
    /// Every file is whole.
    Completed,
    /// The job has ended and at least one file failed; this is the first that did.
    Failed {
        /// Index in [`Job::files`](crate::Job::files).
        file: usize,
        /// Why.
        error: Arc<TransferError>,
    },
    /// The job was cancelled. Whole files stay.
    Cancelled {
        /// Whether any partial file was there to be removed.
        parts_removed: bool,
    },
}

/// Where a job stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for a place.
    Queued,
    /// Has a place.
    Running,
    /// Stands still.
    Paused(PauseReason),
    /// Every file is whole.
    Completed,
    /// Ended with a failed file; can be resumed.
    Failed,
    /// Ended by the caller.
    Cancelled,
}

/// Why a job stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// Somebody asked for it.
    Requested,
    /// The disk has no room; the job goes on by itself when there is.
    InsufficientStorage {
        /// Bytes that the file which did not fit still has to store.
        needed_bytes: u64,
        /// Bytes that it may use: free space less the reserve and less what other running transfers still need.
        available_bytes: u64,
    },
}

/// Why bytes were thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestartReason {
    /// The size or a validator differs from what the earlier bytes came with.
    #[error("the file changed on the server")]
    ChangedOnServer,
    /// The whole had the wrong hash.
    #[error("the bytes that arrived have the wrong SHA-256")]
    HashMismatch,
    /// Some blocks of the partial file do not have the checksums that the journal holds.
    #[error("{blocks} damaged blocks of the partial file are fetched again")]
    DamagedBlocks {
        /// How many.
        blocks: u64,
    },
    /// The partial file has no journal that can be trusted.
    #[error("the journal of the partial file is missing or unreadable")]
    JournalUnreadable,
    /// The server does not give parts of the file.
    #[error("the server cannot continue a file in the middle")]
    RangesRefused,
    /// Somebody removed or replaced the partial file while it was written.
    #[error("the partial file was removed while it was written")]
    PartRemoved,
    /// The disk did not confirm what was written to it.
    #[error("the disk failed to store data, which is fetched again: {blocks} blocks")]
    SyncFailed {
        /// How many blocks are fetched again.
        blocks: u64,
    },
    /// The next source cannot be proven to hold the same content.
    #[error("another source took over, and nothing proves that it holds the same content")]
    OtherSource,
}

/// What a server says about a file, before its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The listed source that answered: what it says holds for no other.
    pub source: Option<SourceUrl>,
    /// Exact bytes.
    pub size: Option<u64>,
    /// From `X-Linked-Etag`, where it has 64 hexadecimal digits.
    pub sha256: Option<Sha256Digest>,
    /// The validator as sent, quotes and weakness included.
    pub etag: Option<String>,
    /// The date as sent.
    pub last_modified: Option<String>,
    /// From `Content-Disposition`, else the last segment of the URL; one safe path component.
    pub file_name: Option<String>,
    /// Whether the server gives parts of the file.
    pub ranges: bool,
    /// `X-Repo-Commit` of a Hugging Face repository.
    pub commit: Option<String>,
}

/// Where a job stands, all files included.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// One entry for each file of the job, in its order.
    pub files: Vec<FileProgress>,
    /// Bytes that are here.
    pub downloaded_bytes: u64,
    /// Bytes of all files; `None` while the size of one is unknown.
    pub total_bytes: Option<u64>,
    /// What the network gives at present; `None` until known.
    pub bytes_per_second: Option<u64>,
    /// Files are being fetched, and none has received a byte for a while.
    pub stalled: bool,
    /// The first file that is being fetched or verified.
    pub current_file: Option<usize>,
}

/// Where one file stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileProgress {
    /// Bytes that are here.
    pub downloaded_bytes: u64,
    /// Its size, once known.
    pub total_bytes: Option<u64>,
    /// What it is doing.
    pub state: FileState,
}

/// What a file is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FileState {
    /// Waits for its turn.
    #[default]
    Waiting,
    /// Bytes arrive.
    Fetching,
    /// All bytes are here; they are checked and synced.
    Verifying,
    /// Whole under its final name.
    Completed,
    /// Cannot be had.
    Failed,
}

/// How a file came to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// Over the network, all or in part.
    Fetched,
    /// It was there, with the right hash.
    AlreadyWhole,
    /// Hard-linked to a copy on this machine.
    Linked,
    /// Cloned or copied from a copy on this machine.
    Copied,
}

/// A file that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOutcome {
    /// Bytes.
    pub size: u64,
    /// Always computed from the bytes.
    pub sha256: Sha256Digest,
    /// The server's validator.
    pub etag: Option<String>,
    /// The server's date.
    pub last_modified: Option<String>,
    /// Whether the hash was compared with one known from the caller or the server.
    pub verified: bool,
    /// How it came.
    pub how: Arrival,
    /// For narrowing down a later damage.
    pub blocks: BlockChecksums,
    /// The URL of the source that answered last (or the first one listed), without query and credentials.
    pub source: String,
    /// Bytes that crossed the network for it in this run, repeated ones included.
    pub wire_bytes: u64,
}
