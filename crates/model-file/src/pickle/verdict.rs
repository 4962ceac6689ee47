//! The three verdicts on a pickle, and how verdicts on parts add up.

use std::collections::BTreeSet;

/// How many foreign imports are named; one is enough to refuse a file.
const NAMED_LIMIT: usize = 50;

/// Whether loading a file would run code that is not on the allow-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every import is on the list, and the stream was followed to its end.
    Clean,
    /// At least one import is not on the list.
    Unsafe {
        /// These imports, as `module.name`; at most 50 are named.
        imports: BTreeSet<String>,
    },
    /// Nothing foreign was seen, but not everything could be followed.
    Unknown {
        /// What could not be followed, as half a sentence.
        reason: String,
    },
}

impl Verdict {
    /// A verdict that only has a reason.
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }

    /// The verdict on two parts of one file: the worse one, with the imports of both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unsafe { mut imports }, Self::Unsafe { imports: more }) => {
                let room = NAMED_LIMIT.saturating_sub(imports.len());
                imports.extend(more.into_iter().take(room));
                Self::Unsafe { imports }
            }
            (worst @ Self::Unsafe { .. }, _) | (_, worst @ Self::Unsafe { .. }) => worst,
            (worse @ Self::Unknown { .. }, _) | (_, worse @ Self::Unknown { .. }) => worse,
            (Self::Clean, Self::Clean) => Self::Clean,
        }
    }
}
