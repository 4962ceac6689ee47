//! A look at the whole folder. It takes a while where the tree is large, and what it saw is as old as its beginning: a file that
//! arrived or went meanwhile must not be undone by it.

use std::collections::{BTreeMap, HashSet};

use super::{ModelIndex, Seen};
use crate::{
    model_dir::Stamp,
    models::{
        Rescanned,
        extra::{self, ExtraFile},
        marker::marked,
    },
};

/// The paths that changed since the first of the scans under way began.
#[derive(Debug, Default)]
pub(super) struct ChangedWhileScanning {
    scans: usize,
    paths: HashSet<String>,
}

impl ChangedWhileScanning {
    /// A scan begins.
    pub(super) fn begin(&mut self) {
        self.scans += 1;
    }

    /// Something changed at this path.
    pub(super) fn note(&mut self, path: &str) {
        if self.scans > 0 {
            self.paths.insert(path.to_owned());
        }
    }

    /// A scan ends: it may know these paths by what they were before.
    pub(super) fn end(&mut self) -> HashSet<String> {
        self.scans = self.scans.saturating_sub(1);
        if self.scans == 0 { std::mem::take(&mut self.paths) } else { self.paths.clone() }
    }
}

impl ModelIndex {
    /// Looks at every file of the folder. Blocks.
    pub(crate) fn rescan(&self) -> Rescanned {
        self.begin_scan();
        let found = self.folder.walk();
        let extra = extra::walk(&self.extra, self.folder.root());
        self.end_scan(found, extra)
    }

    fn begin_scan(&self) {
        self.write().changed.begin();
    }

    /// Takes in what a scan found; what changed since it began is known better.
    fn end_scan(&self, found: Vec<(String, Stamp)>, mut extra: BTreeMap<String, ExtraFile>) -> Rescanned {
        let mut known = self.write();
        let changed = known.changed.end();
        known.unfinished =
            found.iter().filter_map(|(path, _)| marked(path)).map(|(path, ending)| (path.to_owned(), ending)).collect();
        let mut fresh = BTreeMap::new();
        let (mut added, mut bytes) = (0, 0);
        for path in &changed {
            if let Some(seen) = known.on_disk.remove(path) {
                bytes += seen.stamp.size;
                fresh.insert(path.clone(), seen);
            }
        }
        for (path, stamp) in found.into_iter().filter(|(path, _)| !changed.contains(path) && marked(path).is_none()) {
            let before = known.on_disk.remove(&path);
            added += u64::from(before.is_none());
            bytes += stamp.size;
            let seen = before.filter(|seen| seen.stamp == stamp).unwrap_or(Seen { stamp, structure: None });
            fresh.insert(path, seen);
        }
        let removed = known.on_disk.len() as u64;
        known.on_disk = fresh;
        extra.retain(|path, _| !changed.contains(path));
        for (path, file) in &mut extra {
            let before = known.extra.get(path).filter(|before| before.stamp == file.stamp);
            file.structure = before.and_then(|before| before.structure);
        }
        known.extra_places =
            extra.iter().map(|(whole, file)| (format!("{}/{}", file.root.kind, file.path), whole.clone())).collect();
        known.extra = extra;
        Rescanned { files: known.on_disk.len() as u64, bytes, added, removed }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::fs;

    use jiff::Timestamp;
    use registry::ConfinedPath;

    use super::*;
    use crate::{model_dir::ModelDir, models::Remembered, store::FileRecord};

    fn paths(index: &ModelIndex) -> Vec<String> {
        index.snapshot(|_| true).into_iter().map(|(path, ..)| path).collect()
    }

    #[test]
    fn what_arrives_or_goes_during_a_scan_is_not_undone_by_it() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("vae")).unwrap();
        let place = |name: &str| fs::write(root.path().join("vae").join(name), b"12345").unwrap();
        place("gone.bin");
        place("stays.bin");
        let folder = ModelDir::open(root.path()).unwrap();
        let index = ModelIndex::new(folder.clone(), Vec::new(), Remembered::default());
        index.rescan();

        index.begin_scan();
        let found = folder.walk();
        place("new.bin");
        let stamp = folder.stamp(&ConfinedPath::parse("vae/new.bin").unwrap()).unwrap();
        index.arrived(FileRecord {
            path: "vae/new.bin".to_owned(),
            size_bytes: 5,
            stamp,
            sha256: "aa".to_owned(),
            source: None,
            verified: true,
            blocks: None,
            recorded_at: Timestamp::UNIX_EPOCH,
        });
        index.removed("vae/gone.bin");
        let scanned = index.end_scan(found, BTreeMap::new());
        assert_eq!(paths(&index), ["vae/new.bin", "vae/stays.bin"]);
        assert_eq!((scanned.files, scanned.bytes, scanned.added, scanned.removed), (2, 10, 0, 0));

        // Removed by hand, and by nobody who would say so: the next scan sees it.
        for name in ["gone.bin", "new.bin"] {
            fs::remove_file(root.path().join("vae").join(name)).unwrap();
        }
        assert_eq!(index.rescan().removed, 1);
        assert_eq!(paths(&index), ["vae/stays.bin"]);
    }
}
