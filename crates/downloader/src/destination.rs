//! Where a file goes: a root folder and a relative path that cannot leave it. This file only judges names; `storage::beneath`
//! walks the folders.

use std::fmt;
use std::path::{Path, PathBuf};

/// Ending of the file that holds the bytes until they are whole.
pub(crate) const PART_SUFFIX: &str = ".part";
/// Ending of the file that says which of those bytes are trusted.
pub(crate) const JOURNAL_SUFFIX: &str = ".part.journal";

/// Longest name on the file systems in use, less the longest ending that is added.
const LONGEST_NAME: usize = 255 - JOURNAL_SUFFIX.len();

/// A place for one file below a root folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    root: PathBuf,
    relative: String,
}

/// A relative path that is refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path {path:?} {problem}")]
pub struct DestinationError {
    path: String,
    problem: &'static str,
}

impl Destination {
    /// Takes a root folder and a `/`-separated path below it. Refused are absolute paths, `.` and `..`, empty
    /// components, backslashes, control characters, drive letters, names over 242 bytes, and names that end in the
    /// endings of partial files. The root is created when the first file arrives, if it is missing.
    pub fn new(root: impl Into<PathBuf>, relative: &str) -> Result<Self, DestinationError> {
        match relative.split('/').find_map(name_problem) {
            Some(problem) => {
                let path = relative.chars().take(300).collect();
                Err(DestinationError { path, problem })
            }
            None => Ok(Self { root: root.into(), relative: relative.to_owned() }),
        }
    }

    /// The folder that the file cannot leave.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path below the root, `/`-separated.
    pub fn relative(&self) -> &str {
        &self.relative
    }

    /// Folders on the way, outermost first.
    pub(crate) fn parents(&self) -> impl Iterator<Item = &str> {
        let folders = self.relative.rsplit_once('/').map(|(folders, _)| folders);
        folders.into_iter().flat_map(|folders| folders.split('/'))
    }

    /// The file's own name.
    pub(crate) fn name(&self) -> &str {
        self.relative.rsplit_once('/').map_or(self.relative.as_str(), |(_, name)| name)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.relative)
    }
}

/// Why a name cannot be one component of a destination.
pub(crate) fn name_problem(name: &str) -> Option<&'static str> {
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    match name {
        "" => Some("is absolute or has an empty component; give a path like loras/file.safetensors"),
        "." | ".." => Some("has a component that is . or .."),
        _ if name.chars().any(char::is_control) => Some("has a control character"),
        _ if name.contains('\\') => Some("has a backslash; separate folders by /"),
        _ if drive => Some("begins with a drive letter"),
        _ if name.len() > LONGEST_NAME => Some("has a component of more than 242 bytes"),
        _ if name.ends_with(PART_SUFFIX) || name.ends_with(JOURNAL_SUFFIX) => {
            Some("ends in .part or .part.journal, which partial files use")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_are_taken_apart() {
        let destination = Destination::new("/models", "a/b/c.safetensors").expect("an ordinary path");
        assert_eq!(destination.parents().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(destination.name(), "c.safetensors");
        let flat = Destination::new("/models", "c.bin").expect("a bare name");
        assert_eq!(flat.parents().count(), 0);
        assert_eq!(flat.name(), "c.bin");
    }

    #[test]
    fn hostile_paths_are_refused() {
        let long = "x".repeat(243);
        let hostile = [
            "",
            "/",
            "/etc/passwd",
            "../a",
            "a/../b",
            "a/..",
            "a//b",
            "a/",
            "./a",
            ".",
            "..",
            "a\\b",
            "..\\a",
            "C:/a",
            "c:a",
            "a\0b",
            "a\nb",
            "a\rb",
            "a\u{7f}b",
            "a/b.part",
            "a/b.part.journal",
            &long,
        ];
        for path in hostile {
            assert!(Destination::new("/models", path).is_err(), "{path:?} was taken");
        }
    }
}
