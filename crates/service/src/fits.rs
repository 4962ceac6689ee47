//! When a file on the disk counts as the one that a preset asks for. Pure, but for the one look at a file's head.
//!
//! The first that applies decides: the hash, where both are known; the exact size; the file's own structure; else any
//! file that is not empty will do, unproven. A registry's stated size never decides.

use model_file::Weights;
use registry::ConfinedPath;

use crate::model_dir::ModelDir;

/// What is known of a file before it is here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub sha256: Option<String>,
    pub size_bytes: Option<u64>,
}

/// How a file on the disk compares with what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is not there.
    Missing,
    /// It is another one, or damaged.
    Wrong,
    /// It is there, and nothing tells more.
    Unproven,
    /// Its hash, its size or its structure says that it is whole.
    Proven,
}

impl Fit {
    /// It may be used.
    pub(crate) fn is_here(self) -> bool {
        matches!(self, Self::Unproven | Self::Proven)
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Structure {
    /// Its own head accounts for every byte, and of some formats it tells of the weights.
    Whole(Option<Weights>),
    /// Its head promises other bytes than are there.
    Damaged,
    /// It is of no format that tells.
    Silent,
}

impl Structure {
    /// Reads a file's head. Blocks.
    pub(crate) fn read(folder: &ModelDir, path: &ConfinedPath) -> Self {
        let Ok(file) = folder.open_file(path) else { return Self::Silent };
        let Ok(seen) = model_file::glance(&file, path.file_name()) else { return Self::Silent };
        match seen.whole {
            Some(true) => Self::Whole(seen.weights),
            Some(false) => Self::Damaged,
            None => Self::Silent,
        }
    }

    /// Whether it accounts for every byte, where the format tells.
    pub(crate) fn is_whole(self) -> Option<bool> {
        match self {
            Self::Whole(_) => Some(true),
            Self::Damaged => Some(false),
            Self::Silent => None,
        }
    }
}

/// Compares a file on the disk with what is asked for.
pub(crate) fn judge(size: u64, sha256: Option<&str>, structure: Option<Structure>, expected: &Expected) -> Fit {
    let proven = |is_right: bool| if is_right { Fit::Proven } else { Fit::Wrong };
    if let (Some(here), Some(wanted)) = (sha256, expected.sha256.as_deref()) {
        return proven(here == wanted);
    }
    if let Some(wanted) = expected.size_bytes {
        return proven(size == wanted);
    }
    match structure {
        _ if size == 0 => Fit::Wrong,
        Some(Structure::Whole(_)) => Fit::Proven,
        Some(Structure::Damaged) => Fit::Wrong,
        Some(Structure::Silent) | None => Fit::Unproven,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(sha256: Option<&str>, size_bytes: Option<u64>) -> Expected {
        Expected { sha256: sha256.map(str::to_owned), size_bytes }
    }

    #[test]
    fn the_first_proof_that_applies_decides() {
        let table = [
            // size, hash on disk, structure, expected -> fit
            (10, Some("aa"), Some(Structure::Damaged), expected(Some("aa"), Some(99)), Fit::Proven),
            (10, Some("bb"), Some(Structure::Whole(None)), expected(Some("aa"), Some(10)), Fit::Wrong),
            (10, None, Some(Structure::Damaged), expected(Some("aa"), Some(10)), Fit::Proven),
            (10, Some("bb"), Some(Structure::Whole(None)), expected(None, Some(11)), Fit::Wrong),
            (10, None, Some(Structure::Whole(None)), expected(Some("aa"), None), Fit::Proven),
            (10, None, Some(Structure::Damaged), expected(None, None), Fit::Wrong),
            (10, None, Some(Structure::Silent), expected(None, None), Fit::Unproven),
            (10, None, None, expected(None, None), Fit::Unproven),
            (0, None, Some(Structure::Silent), expected(None, None), Fit::Wrong),
        ];
        for (row, (size, sha256, structure, expected, fit)) in table.into_iter().enumerate() {
            assert_eq!(judge(size, sha256, structure, &expected), fit, "row {row}");
        }
    }
}
