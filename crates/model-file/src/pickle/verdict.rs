//! The three verdicts on a pickle, and how verdicts on parts add up.

use std::collections::BTreeSet;

/// How many imports are named; one is enough to refuse a file.
pub(super) const NAMED_LIMIT: usize = 50;

/// Whether loading a file would run code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every import is on the allow-list, the stream was followed to its end, and no two readers differ about where that is.
    Clean,
    /// Nothing dangerous was seen, but an import is on no list, or not everything could be followed.
    Unknown {
        /// Why it is not clean, as half a sentence.
        reason: String,
        /// Imports that are on no list, as `module.name`; at most 50 are named.
        imports: BTreeSet<String>,
    },
    /// At least one import is known to run code of the file's choice.
    Unsafe {
        /// These imports, as `module.name`; at most 50 are named.
        imports: BTreeSet<String>,
    },
}

impl Verdict {
    /// A verdict that only has a reason.
    pub(crate) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into(), imports: BTreeSet::new() }
    }

    /// The verdict on two parts of one file: the worse one, with the imports of both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unsafe { imports }, Self::Unsafe { imports: more }) => {
                Self::Unsafe { imports: united(imports, more) }
            }
            (worst @ Self::Unsafe { .. }, _) | (_, worst @ Self::Unsafe { .. }) => worst,
            (Self::Unknown { reason, imports }, Self::Unknown { imports: more, .. }) => {
                Self::Unknown { reason, imports: united(imports, more) }
            }
            (worse @ Self::Unknown { .. }, Self::Clean) | (Self::Clean, worse @ Self::Unknown { .. }) => worse,
            (Self::Clean, Self::Clean) => Self::Clean,
        }
    }

    /// Whether it names an import that is on no list, or a dangerous one.
    pub(crate) fn names_imports(&self) -> bool {
        match self {
            Self::Clean => false,
            Self::Unknown { imports, .. } | Self::Unsafe { imports } => !imports.is_empty(),
        }
    }
}

fn united(mut imports: BTreeSet<String>, more: BTreeSet<String>) -> BTreeSet<String> {
    let room = NAMED_LIMIT.saturating_sub(imports.len());
    imports.extend(more.into_iter().take(room));
    imports
}
