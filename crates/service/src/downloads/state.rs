//! The words for where a download, its files and its urgency stand. They are those of the database and of every answer.

/// Where a download stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DownloadState {
    /// Waits for its turn.
    Queued,
    /// Bytes arrive.
    Downloading,
    /// All bytes are here and their hash is being proved.
    Verifying,
    /// Stands still, by request or for want of room.
    Paused,
    /// Every file is whole and in its place.
    Completed,
    /// At least one file could not be had.
    Failed,
    /// Somebody ended it; whole files stayed.
    Cancelled,
}

impl DownloadState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Downloading,
        Self::Verifying,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Queued, downloading or verifying.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Queued | Self::Downloading | Self::Verifying)
    }

    /// Active or paused.
    pub fn is_unfinished(self) -> bool {
        self.is_active() || self == Self::Paused
    }

    /// The word for it, as in the database and in every answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a word; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Why a download is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseReason {
    /// Somebody asked.
    Requested,
    /// The disk is full; it goes on by itself when room is made.
    InsufficientStorage,
}

impl PauseReason {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::InsufficientStorage => "insufficient_storage",
        }
    }
}

/// How urgent a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Priority {
    /// After the others.
    Low,
    /// In its turn.
    #[default]
    Normal,
    /// Takes the next free place.
    High,
}

impl Priority {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    /// The priority of a word; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Low, Self::Normal, Self::High].into_iter().find(|priority| priority.as_str() == word)
    }
}

/// Where one file of a download stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Waits.
    Pending,
    /// Bytes arrive.
    Downloading,
    /// Its hash is being proved.
    Verifying,
    /// Whole and in its place.
    Completed,
    /// Could not be had.
    Failed,
}

impl FileState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// A place within a priority, lowest first: 0 to 2^31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(u32);

impl Position {
    /// The largest one that somebody may ask for. New downloads go behind it.
    pub const LARGEST: u32 = 1 << 31;

    /// The position of a number; `None` outside 0 to 2^31.
    pub fn new(number: i64) -> Option<Self> {
        u32::try_from(number).ok().filter(|number| *number <= Self::LARGEST).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Where in the queue a download shall stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueuePlace {
    /// At this position of its priority.
    Position(Position),
    /// Right before this download, in that one's priority.
    Before(String),
}
