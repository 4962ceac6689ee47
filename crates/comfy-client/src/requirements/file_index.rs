//! The files that ComfyUI lists in one place, by name: a workflow may name many files, and a folder may have many.

use std::collections::{HashMap, HashSet};

use super::file_name;

/// Files of one list.
#[derive(Debug, Default)]
pub(super) struct FileIndex<'a> {
    paths: HashSet<String>,
    by_name: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> FileIndex<'a> {
    pub(super) fn of(files: impl Iterator<Item = &'a str>) -> Self {
        let mut index = Self::default();
        for file in files {
            if index.paths.insert(file.replace('\\', "/")) {
                index.by_name.entry(file_name(file)).or_default().push(file);
            }
        }
        index
    }

    /// Whether the list has this path, whichever slashes it is written with.
    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// The one listed file of that name; where several have it, the one with the same folders at its end, or none.
    pub(super) fn elsewhere(&self, wanted: &str) -> Option<&'a str> {
        let wanted = wanted.replace('\\', "/");
        match self.by_name.get(file_name(&wanted)).map_or(&[][..], Vec::as_slice) {
            [] => None,
            [only] => Some(only),
            several => {
                let end = format!("/{wanted}");
                let mut ending = several.iter().filter(|file| file.replace('\\', "/").ends_with(&end));
                let first = ending.next()?;
                ending.next().is_none().then_some(*first)
            }
        }
    }
}
