//! Whose word it takes to put something else in the place of a file that lies in the models folder.

/// Which files a caller may have replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MayReplace {
    /// What this dashboard fetched itself, and what its expected hash or its own structure shows to be damaged.
    #[default]
    OwnOrDamaged,
    /// Any file.
    Any,
}
