//! What is known of a file without reading it again: whether it is the one that was published, and whether loading it runs code.

use jiff::Timestamp;
use model_file::Verdict;

/// Whether a file is what it should be, by the best proof there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntegrityState {
    /// Its SHA-256 is the expected one.
    Verified,
    /// Its own structure accounts for every byte.
    Structure,
    /// Nothing tells.
    Unchecked,
    /// Its SHA-256 is not the expected one; or none is expected and its structure does not account for its bytes.
    Damaged,
}

impl IntegrityState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Structure => "structure",
            Self::Unchecked => "unchecked",
            Self::Damaged => "damaged",
        }
    }
}

/// An integrity, and when the file was read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integrity {
    /// What is known.
    pub state: IntegrityState,
    /// When the file was read; `None` where only its head was looked at, or nothing.
    pub checked_at: Option<Timestamp>,
}

impl Integrity {
    /// By the structure alone.
    pub(super) fn of_structure(whole: Option<bool>, checked_at: Option<Timestamp>) -> Self {
        match whole {
            Some(true) => Self { state: IntegrityState::Structure, checked_at },
            Some(false) => Self { state: IntegrityState::Damaged, checked_at },
            None => Self { state: IntegrityState::Unchecked, checked_at: None },
        }
    }
}

/// Whether loading a file runs code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safety {
    /// It does not.
    Clean,
    /// It cannot be said.
    Unknown,
    /// It does.
    Unsafe,
}

impl Safety {
    const ALL: [Self; 3] = [Self::Clean, Self::Unknown, Self::Unsafe];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Unknown => "unknown",
            Self::Unsafe => "unsafe",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|safety| safety.as_str() == word)
    }

    pub(super) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Clean,
            Verdict::Unknown { .. } => Self::Unknown,
            Verdict::Unsafe { .. } => Self::Unsafe,
        }
    }
}

/// What a look into a file found, hash aside; it holds while the file has not changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) whole: Option<bool>,
    pub(crate) safety: Option<Safety>,
    pub(crate) checked_at: Timestamp,
}
