//! A look at the whole folder. It takes a while where the tree is large, and what it saw is as old as its beginning: a file that
//! arrived or went meanwhile must not be undone by it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::Path,
};

use registry::ConfinedPath;

use super::{ModelIndex, Seen, place_of};
use crate::{
    model_dir::Stamp,
    models::{
        Rescanned,
        extra::{self, ExtraFile, ExtraFiles, ExtraPlace},
        marker::marked,
        names,
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
    /// Looks at every file of the folder; `claimed` are the paths that presets name. Blocks.
    pub(crate) fn rescan<'a>(&self, claimed: impl Iterator<Item = &'a ConfinedPath>) -> Rescanned {
        self.begin_scan(claimed.map(|path| place_of(path.as_str())).collect());
        let found = self.folder.walk();
        let extra = extra::walk(&self.extra, self.folder.root(), |place| self.is_claimed(place));
        self.end_scan(found, extra)
    }

    fn begin_scan(&self, claimed: HashSet<String>) {
        let mut known = self.write();
        known.claimed = claimed;
        known.changed.begin();
    }

    /// Takes in what a scan found; what changed since it began is known better.
    fn end_scan(&self, mut found: Vec<(String, Stamp)>, mut extra: ExtraFiles) -> Rescanned {
        let mut known = self.write();
        let known = &mut *known;
        let changed = known.changed.end();
        known.unfinished =
            found.iter().filter_map(|(path, _)| marked(path)).map(|(path, ending)| (path.to_owned(), ending)).collect();
        let mut before = std::mem::take(&mut known.on_disk);
        let (mut added, mut bytes) = (0, 0);
        for path in &changed {
            if let Some(seen) = before.remove(path) {
                bytes += if seen.is_model { seen.stamp.size } else { 0 };
                known.on_disk.insert(path.clone(), seen);
            }
        }
        known.sidecars = extra.sidecars;
        found.retain(|(path, _)| !changed.contains(path) && marked(path).is_none());
        // What a sidecar belongs to is known once all weights are.
        let (weights, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|(path, _)| known.is_surely_model(path));
        for (path, stamp) in weights.into_iter().chain(others) {
            if !known.is_model(&path) {
                if let Some(owner) = names::owner_of(&path, |owner| known.on_disk.contains_key(owner)) {
                    known.sidecars.add(owner, path, stamp.size);
                }
                continue;
            }
            let before = before.remove(&path).filter(|seen| seen.is_model);
            added += u64::from(before.is_none());
            bytes += stamp.size;
            let structure = before.filter(|seen| seen.stamp == stamp).and_then(|seen| seen.structure);
            known.on_disk.insert(path, Seen { stamp, structure, is_model: true });
        }
        let removed = before.values().filter(|seen| seen.is_model).count() as u64;
        extra.files.retain(|path, _| !changed.contains(path));
        for (path, file) in &mut extra.files {
            let before = known.extra.get(path).filter(|before| before.stamp == file.stamp);
            file.structure = before.and_then(|before| before.structure);
        }
        known.further = further(&extra.files, self.folder.root());
        known.extra_places = extra.places;
        known.extra = extra.files;
        let files = known.on_disk.values().filter(|seen| seen.is_model).count() as u64;
        Rescanned { files, bytes, added, removed }
    }
}

/// Where further types find files of the models folder, by their paths there.
fn further(extra: &BTreeMap<String, ExtraFile>, models: &Path) -> HashMap<String, Vec<ExtraPlace>> {
    let inside = extra.iter().filter(|(_, file)| file.is_inside);
    let own = inside.filter_map(|(whole, file)| {
        let own = Path::new(whole).strip_prefix(models).ok()?.to_str()?.to_owned();
        Some((own, file.places.clone()))
    });
    own.collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::fs;

    use jiff::Timestamp;

    use super::*;
    use crate::{model_dir::ModelDir, models::Remembered, models::store::FileRecord};

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
        index.rescan(std::iter::empty());

        index.begin_scan(HashSet::new());
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
        let scanned = index.end_scan(found, ExtraFiles::default());
        assert_eq!(paths(&index), ["vae/new.bin", "vae/stays.bin"]);
        assert_eq!((scanned.files, scanned.bytes, scanned.added, scanned.removed), (2, 10, 0, 0));

        // Removed by hand, and by nobody who would say so: the next scan sees it.
        for name in ["gone.bin", "new.bin"] {
            fs::remove_file(root.path().join("vae").join(name)).unwrap();
        }
        assert_eq!(index.rescan(std::iter::empty()).removed, 1);
        assert_eq!(paths(&index), ["vae/stays.bin"]);
    }
}
