//! What is known of a file without reading it again: whether it is the one that was published, and whether loading it runs code.

use api_types::models::{Integrity, IntegrityState, Safety};
use jiff::Timestamp;
use model_file::Verdict;

/// The integrity that the structure alone tells.
pub(super) fn integrity_of_structure(whole: Option<bool>, checked_at: Option<Timestamp>) -> Integrity {
    match whole {
        Some(true) => Integrity { state: IntegrityState::Structure, checked_at },
        Some(false) => Integrity { state: IntegrityState::Damaged, checked_at },
        None => Integrity { state: IntegrityState::Unchecked, checked_at: None },
    }
}

/// The safety that a verdict tells.
pub(super) fn safety_of(verdict: &Verdict) -> Safety {
    match verdict {
        Verdict::Clean => Safety::Clean,
        Verdict::Unknown { .. } => Safety::Unknown,
        Verdict::Unsafe { .. } => Safety::Unsafe,
    }
}

/// What a look into a file found, hash aside; it holds while the file has not changed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) whole: Option<bool>,
    pub(crate) safety: Option<Safety>,
    pub(crate) checked_at: Timestamp,
}
