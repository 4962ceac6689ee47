//! What lies in the models folder, in memory: stamps of every file and what is known of the contents. Questions are
//! answered from here without touching the disk; `refresh` and `rescan` look at the disk and block.

mod other_folders;
mod revisions;
mod scan;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use jiff::Timestamp;
use model_file::Weights;
use registry::{ConfinedPath, ModelFile, Preset};

use tokio::sync::watch;

use crate::{
    Error,
    downloads::address::{fact_key, full_address, public_address},
    fits::{Expected, Fit, Structure, judge},
    model_dir::{ModelDir, Stamp},
    models::store::{FileRecord, SourceFacts, ValidationRow},
    models::{
        Integrity, IntegrityState, Safety, Sidecar,
        extra::{ExtraFile, ExtraPlace, ExtraRoot, present_name},
        integrity::{Look, integrity_of_structure},
        marker, names,
        sidecars::Sidecars,
    },
};
use revisions::{Revisions, Writing};
use scan::ChangedWhileScanning;

/// The index. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ModelIndex {
    folder: ModelDir,
    extra: Arc<[ExtraRoot]>,
    known: Arc<RwLock<Known>>,
    revisions: Arc<Revisions>,
    /// Turns true when the whole folder has been looked at once.
    is_complete: watch::Sender<bool>,
}

/// A file in a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    /// Below the models folder; of a file in another folder, the whole path.
    pub(crate) path: &'a str,
    pub(crate) kind: &'a str,
    /// Where further types find it.
    further: &'a [ExtraPlace],
    pub(crate) stamp: Stamp,
}

impl Row<'_> {
    /// Every type that finds it, its own first.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        let further = self.further.iter().enumerate().filter(|(at, place)| {
            *place.kind != *self.kind && self.further[..*at].iter().all(|before| before.kind != place.kind)
        });
        std::iter::once(self.kind).chain(further.map(|(_, place)| &*place.kind))
    }
}

/// How many addresses are remembered at most. The database trims what it keeps to the same bound.
const MOST_FACTS: usize = 20_000;

#[derive(Debug, Default)]
pub(in crate::models) struct Known {
    on_disk: BTreeMap<String, Seen>,
    extra: BTreeMap<String, ExtraFile>,
    /// The whole path of each file in another folder, by where it would lie below the models folder.
    extra_places: HashMap<String, String>,
    /// Where further types find files of the models folder.
    further: HashMap<String, Vec<ExtraPlace>>,
    /// Places of files that presets name; they are models whatever they are called.
    claimed: HashSet<String>,
    sidecars: Sidecars,
    records: HashMap<String, FileRecord>,
    /// Hashes that a validation computed, the state of the file that each is of, and when it was read.
    validated: HashMap<String, (Stamp, String, Timestamp)>,
    /// What looks into files found, and the state of the file that each is of.
    looks: HashMap<String, (Stamp, Look)>,
    facts: HashMap<String, SourceFacts>,
    /// Files that another program has not finished, and the ending of its marker.
    unfinished: HashMap<String, &'static str>,
    changed: ChangedWhileScanning,
}

/// What the database remembers of files.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    /// Those that arrived.
    pub(crate) records: Vec<FileRecord>,
    /// Those that were validated.
    pub(crate) validations: HashMap<String, ValidationRow>,
    /// What servers said.
    pub(crate) facts: HashMap<String, SourceFacts>,
}

/// A file as it was last seen. Its structure is read only when somebody needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    stamp: Stamp,
    structure: Option<Structure>,
    /// Whether it is a model; any file can be looked at.
    is_model: bool,
}

impl ModelIndex {
    /// An index over `folder` that begins with what the database remembers. Nothing is seen before the first `rescan`.
    pub(crate) fn new(folder: ModelDir, extra: Vec<ExtraRoot>, remembered: Remembered) -> Self {
        let records = remembered.records.into_iter().map(|record| (record.path.clone(), record)).collect();
        let mut known = Known { records, facts: remembered.facts, ..Known::default() };
        for row in remembered.validations.into_values() {
            known.take_in(row);
        }
        let is_complete = watch::Sender::new(false);
        let (known, revisions) = (Arc::new(RwLock::new(known)), Arc::default());
        Self { folder, extra: extra.into(), known, revisions, is_complete }
    }

    /// The whole folder has been looked at.
    pub(super) fn complete(&self) {
        self.is_complete.send_replace(true);
    }

    /// Waits until the whole folder has been looked at once.
    pub(crate) async fn first_look(&self) {
        let _ = self.is_complete.subscribe().wait_for(|is_complete| *is_complete).await;
    }

    /// Looks at these files, and into those whose content nothing else proves. Blocks.
    pub(crate) fn refresh<'a>(&self, paths: impl IntoIterator<Item = &'a ConfinedPath>) {
        for path in paths {
            self.look_for_marker(path);
            let stamp = self.folder.stamp(path);
            let before = self.read().on_disk.get(path.as_str()).copied();
            let Some(stamp) = stamp else {
                self.refresh_extra(path);
                if before.is_some() {
                    self.change(path.as_str()).on_disk.remove(path.as_str());
                }
                continue;
            };
            if before.is_some_and(|seen| seen.stamp == stamp && seen.structure.is_some()) {
                continue;
            }
            let structure = Some(Structure::read(&self.folder, path));
            let mut known = self.change(path.as_str());
            let is_model = known.is_model(path.as_str());
            known.on_disk.insert(path.as_str().to_owned(), Seen { stamp, structure, is_model });
        }
    }

    /// Whether the file on the disk is the one that a preset asks for.
    pub(crate) fn fit(&self, file: &ModelFile) -> Fit {
        let known = self.read();
        let Some(seen) = known.on_disk.get(file.path.as_str()) else {
            let extra = known.extra_at(file.path.as_str());
            let fit = |extra: &ExtraFile| judge(extra.stamp.size, None, extra.structure, &known.expected(file));
            return extra.map_or(Fit::Missing, fit);
        };
        let sha256 = known.sha256(file.path.as_str(), seen.stamp);
        let expected = known.expected(file);
        if known.marker(file.path.as_str(), &expected).is_some() {
            return Fit::Missing;
        }
        judge(seen.stamp.size, sha256, seen.structure, &expected)
    }

    fn look_for_marker(&self, path: &ConfinedPath) {
        let found = marker::beside(&self.folder, path);
        if self.read().unfinished.get(path.as_str()).copied() == found {
            return;
        }
        let mut known = self.write();
        match found {
            Some(ending) => known.unfinished.insert(path.as_str().to_owned(), ending),
            None => known.unfinished.remove(path.as_str()),
        };
    }

    /// Refuses to write where another program has not finished its own download, unless what lies there has the expected hash.
    pub(crate) fn refuse_unfinished(&self, path: &str, expected: &Expected) -> Result<(), Error> {
        let Some(ending) = self.read().marker(path, expected) else { return Ok(()) };
        let marker = format!("{path}{ending}");
        Err(Error::conflict(
            format!(
                "'{marker}' says that another program is still downloading '{path}'; wait for it, or delete '{marker}'"
            ),
            vec![("path", path.to_owned()), ("marker", marker)],
        ))
    }

    /// Whether a file lies at a path that no other program marks as unfinished.
    pub(crate) fn is_here(&self, path: &str) -> bool {
        let known = self.read();
        match known.on_disk.get(path) {
            Some(seen) => !known.is_unfinished(path, seen.stamp),
            None => known.extra_at(path).is_some(),
        }
    }

    /// Whether a file of an installed preset is still here: it fits, or it is what arrived, whatever its server says by now.
    pub(crate) fn has(&self, file: &ModelFile) -> bool {
        self.fit(file).is_here()
            || self.record(file.path.as_str()).is_some_and(|record| {
                file.sha256.is_none_or(|wanted| hex::encode(wanted) == record.sha256)
                    && record.source.is_some()
                    && record.source == public_address(&file.url)
            })
    }

    /// Whether every file of a preset is here, as it should be or as it arrived.
    pub(crate) fn is_complete(&self, preset: &Preset) -> bool {
        !preset.files.is_empty() && preset.files.iter().all(|file| self.has(file))
    }

    /// What is known of a preset's file beforehand: hash and exact size, from the registry, a server, or an earlier arrival.
    pub(crate) fn expected(&self, file: &ModelFile) -> Expected {
        self.read().expected(file)
    }

    /// The hash that the catalogue or a server names for the file at a path, where all that name one agree.
    pub(crate) fn expected_at(&self, path: &ConfinedPath, catalog: &registry::Catalog) -> Option<String> {
        let claiming = catalog.presets_claiming(path);
        let files = claiming.iter().flat_map(|preset| &preset.files).filter(|file| file.path == *path);
        let mut hashes: Vec<String> = files.filter_map(|file| self.expected(file).sha256).collect();
        hashes.sort();
        hashes.dedup();
        match hashes.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    /// What servers said of an address, if anybody asked.
    pub(crate) fn facts(&self, address: &str) -> Option<SourceFacts> {
        self.read().facts.get(&fact_key(address)).cloned()
    }

    /// What we know of a file's content, if it has not changed since.
    pub(crate) fn record(&self, path: &str) -> Option<FileRecord> {
        let known = self.read();
        let stamp = known.on_disk.get(path)?.stamp;
        known.record(path, stamp).cloned()
    }

    /// The hash of a file on the disk, where it is known and the file has not changed since.
    pub(crate) fn sha256(&self, path: &str) -> Option<String> {
        let known = self.read();
        let stamp = known.on_disk.get(path)?.stamp;
        known.sha256(path, stamp).map(str::to_owned)
    }

    /// Whether nothing of value is lost when the file at a path is fetched anew: there is none, it is what arrived here before,
    /// or its expected hash or its own structure shows that it is damaged. Without `expected`, the hash that it arrived with
    /// counts.
    pub(crate) fn is_own_or_damaged(&self, path: &str, expected: &Expected) -> bool {
        let known = self.read();
        let Some(seen) = known.on_disk.get(path) else { return true };
        if known.record(path, seen.stamp).is_some() || seen.structure == Some(Structure::Damaged) {
            return true;
        }
        let arrived = known.records.get(path).map(|record| record.sha256.as_str());
        let Some(wanted) = expected.sha256.as_deref().or(arrived) else { return false };
        // Another size is another hash.
        known.sha256(path, seen.stamp).is_some_and(|here| here != wanted)
            || (expected.sha256.is_some() && expected.size_bytes.is_some_and(|size| size != seen.stamp.size))
    }

    /// The size of a file on the disk, as last seen: below the models folder, else in another folder of its type.
    pub(crate) fn size(&self, path: &str) -> Option<u64> {
        let known = self.read();
        let own = known.on_disk.get(path).map(|seen| seen.stamp.size);
        own.or_else(|| known.extra_at(path).map(|extra| extra.stamp.size))
    }

    /// What the head of a file says of its weights, where it was read and accounts for every byte.
    pub(crate) fn weights(&self, path: &str) -> Option<Weights> {
        match self.read().on_disk.get(path)?.structure? {
            Structure::Whole(weights) => weights,
            Structure::Damaged | Structure::Silent => None,
        }
    }

    /// A file as last seen, with its hash where it is known.
    pub(crate) fn seen(&self, path: &str) -> Option<(Stamp, Option<String>)> {
        let known = self.read();
        let stamp = known.on_disk.get(path)?.stamp;
        Some((stamp, known.sha256(path, stamp).map(str::to_owned)))
    }

    /// The sidecars of a model, as the last scan found them.
    pub(crate) fn sidecars(&self, path: &str) -> Vec<Sidecar> {
        self.read().sidecars.of(path)
    }

    /// Whether a file counts as a model.
    pub(crate) fn is_model(&self, path: &str) -> bool {
        self.read().is_model(path)
    }

    /// Whether a preset names a file at this path.
    pub(crate) fn is_claimed(&self, path: &str) -> bool {
        self.read().claimed.contains(&place_of(path))
    }

    /// Gives the files that are wanted, of every folder, sorted by path. Nothing is copied: a list of many files costs what
    /// the caller makes of it.
    pub(crate) fn with_rows<T>(&self, wanted: impl Fn(&Row<'_>) -> bool, take: impl FnOnce(Vec<Row<'_>>) -> T) -> T {
        let known = self.read();
        let beside = known.extra.iter().filter(|(_, file)| !file.is_inside);
        let beside =
            beside.map(|(path, file)| Row { path, kind: &file.root.kind, further: &file.places, stamp: file.stamp });
        let inside = known.models().map(|(path, seen)| Row {
            path,
            kind: folder_of(path),
            further: known.further.get(path).map_or(&[], Vec::as_slice),
            stamp: seen.stamp,
        });
        let mut rows: Vec<Row<'_>> = beside.chain(inside).filter(wanted).collect();
        if !known.extra.is_empty() {
            rows.sort_by_key(|row| row.path);
        }
        take(rows)
    }

    /// Every file as last seen, sorted by path, with its hash where it is known.
    pub(crate) fn snapshot(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, Stamp, Option<String>)> {
        let known = self.read();
        let row = |(path, seen): (&String, &Seen)| {
            (path.clone(), seen.stamp, known.sha256(path, seen.stamp).map(str::to_owned))
        };
        known.models().filter(|(path, _)| wanted(path)).map(row).collect()
    }

    /// Paths of files whose content has this hash, to link instead of fetching.
    pub(crate) fn copies_of(&self, sha256: &str) -> Vec<String> {
        let known = self.read();
        let same = |(path, seen): (&String, &Seen)| {
            known.sha256(path, seen.stamp).filter(|known| *known == sha256).map(|_| path.clone())
        };
        known.on_disk.iter().filter_map(same).collect()
    }

    /// Takes in a file that has just arrived.
    pub(crate) fn arrived(&self, record: FileRecord) {
        let mut known = self.change(&record.path);
        let (path, stamp) = (record.path.clone(), record.stamp);
        known.records.insert(path.clone(), record);
        let is_model = known.is_model(&path);
        known.on_disk.insert(path, Seen { stamp, structure: None, is_model });
    }

    /// Takes in what a validation found.
    pub(crate) fn validated(&self, row: ValidationRow) {
        self.write().take_in(row);
    }

    /// Takes in what a look into a file in this state found.
    pub(crate) fn looked_into(&self, path: &str, stamp: Stamp, look: Look) {
        let mut known = self.write_look();
        known.looks.insert(path.to_owned(), (stamp, look));
    }

    /// The hash with which a file arrived, whatever lies there now, and whether it was the expected one.
    pub(crate) fn arrival(&self, path: &str) -> Option<FileRecord> {
        self.read().records.get(path).cloned()
    }

    /// The hash that a validation computed of the file as it was last seen.
    pub(crate) fn validated_hash(&self, path: &str) -> Option<String> {
        let known = self.read();
        let stamp = known.on_disk.get(path)?.stamp;
        known.validated_at(path, stamp).map(|(sha256, _)| sha256.to_owned())
    }

    /// What is known of a file as last seen: `named` is the hash that the registry or a server names.
    pub(crate) fn integrity(&self, path: &str, named: Option<&str>) -> (Integrity, Option<Safety>) {
        let known = self.read();
        let Some(seen) = known.on_disk.get(path) else { return (integrity_of_structure(None, None), None) };
        let look = known.looks.get(path).filter(|(at, _)| *at == seen.stamp).map(|(_, look)| look);
        let by_hash = known.integrity_by_hash(path, seen.stamp, named);
        let whole = look.and_then(|look| look.whole).or_else(|| seen.structure.and_then(Structure::is_whole));
        let integrity = by_hash.unwrap_or_else(|| integrity_of_structure(whole, look.map(|look| look.checked_at)));
        (integrity, look.and_then(|look| look.safety))
    }

    /// Takes in what a server said.
    pub(crate) fn learned(&self, address: &str, facts: SourceFacts) {
        let mut known = self.write();
        // Whichever goes is asked again.
        if known.facts.len() >= MOST_FACTS
            && let Some(other) = known.facts.keys().next().cloned()
        {
            known.facts.remove(&other);
        }
        known.facts.insert(fact_key(address), facts);
    }

    /// Takes out a file that was removed.
    pub(crate) fn removed(&self, path: &str) {
        let mut known = self.change(path);
        known.on_disk.remove(path);
        known.records.remove(path);
        known.validated.remove(path);
        known.looks.remove(path);
        known.sidecars.remove(path);
    }

    /// The models folder and the others.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        let others = self.extra.iter().map(|root| root.folder.to_path_buf());
        std::iter::once(self.folder.root().to_owned()).chain(others).collect()
    }

    /// The folder beneath.
    pub(crate) fn folder(&self) -> &ModelDir {
        &self.folder
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a change of what is known to lie at a path.
    fn change(&self, path: &str) -> Writing<'_> {
        let mut known = self.write();
        known.changed.note(path);
        known
    }
}

impl Known {
    /// The models of the models folder that no other program marks as unfinished.
    fn models(&self) -> impl Iterator<Item = (&String, &Seen)> {
        self.on_disk.iter().filter(|(path, seen)| seen.is_model && !self.is_unfinished(path, seen.stamp))
    }

    /// Whether a file counts as a model: by its extension, because a preset names it, or because it is no sidecar and its folder counts
    /// every file or it was fetched here.
    fn is_model(&self, path: &str) -> bool {
        let is_sidecar = || names::owner_of(path, |owner| self.on_disk.contains_key(owner)).is_some();
        let counts = || names::counts_any(folder_of(path), path) || self.records.contains_key(path);
        self.is_surely_model(path) || (counts() && !is_sidecar())
    }

    fn is_surely_model(&self, path: &str) -> bool {
        names::has_weights(path) || self.claimed.contains(&place_of(path))
    }

    /// The hash of a file in this state: as it was validated, else as it arrived. A disk may lose bits and leave the stamp.
    fn sha256(&self, path: &str, stamp: Stamp) -> Option<&str> {
        let validated = self.validated_at(path, stamp).map(|(sha256, _)| sha256);
        validated.or_else(|| self.record(path, stamp).map(|record| record.sha256.as_str()))
    }

    fn validated_at(&self, path: &str, stamp: Stamp) -> Option<(&str, Timestamp)> {
        let row = self.validated.get(path).filter(|(at, ..)| *at == stamp);
        row.map(|(_, sha256, checked_at)| (sha256.as_str(), *checked_at))
    }

    fn take_in(&mut self, row: ValidationRow) {
        if row.reader == model_file::READER_VERSION {
            let look = Look { whole: row.whole, safety: row.safety, checked_at: row.checked_at };
            self.looks.insert(row.path.clone(), (row.stamp, look));
        }
        self.validated.insert(row.path, (row.stamp, row.sha256, row.checked_at));
    }

    /// `None` where no hash is known or none is expected.
    fn integrity_by_hash(&self, path: &str, stamp: Stamp, named: Option<&str>) -> Option<Integrity> {
        let validated = self.validated_at(path, stamp);
        let unchanged = self.record(path, stamp);
        let (here, checked_at) =
            validated.or_else(|| unchanged.map(|record| (record.sha256.as_str(), record.recorded_at)))?;
        let arrived = self.records.get(path);
        // The hash of an arrival proves itself only when the file was read again, or was compared with a hash that was expected.
        let proves = |record: &&FileRecord| validated.is_some() || record.verified;
        let is_expected = named == Some(here) || arrived.filter(proves).is_some_and(|record| record.sha256 == here);
        let is_another = named.is_some() || arrived.is_some_and(|record| record.sha256 != here);
        let state = match (is_expected, is_another) {
            (true, _) => IntegrityState::Verified,
            (false, true) => IntegrityState::Damaged,
            (false, false) => return None,
        };
        Some(Integrity { state, checked_at: Some(checked_at) })
    }

    /// The file in another folder that ComfyUI finds as if it lay at this path below the models folder.
    fn extra_at(&self, path: &str) -> Option<&ExtraFile> {
        self.extra.get(self.extra_places.get(&place_of(path))?)
    }

    /// The marker of another program at a path, unless the file there is known to have the hash that is expected of it.
    fn marker(&self, path: &str, expected: &Expected) -> Option<&'static str> {
        let ending = self.unfinished.get(path).copied()?;
        let here = self.on_disk.get(path).and_then(|seen| self.sha256(path, seen.stamp));
        let is_whole = here.is_some() && here == expected.sha256.as_deref();
        (!is_whole).then_some(ending)
    }

    /// Whether another program marks a file as unfinished, unless it has the hash of what arrived here.
    fn is_unfinished(&self, path: &str, stamp: Stamp) -> bool {
        let here = self.sha256(path, stamp);
        let arrived = self.records.get(path).map(|record| record.sha256.as_str());
        self.unfinished.contains_key(path) && (here.is_none() || here != arrived)
    }

    fn record(&self, path: &str, stamp: Stamp) -> Option<&FileRecord> {
        self.records.get(path).filter(|record| record.stamp == stamp)
    }

    fn expected(&self, file: &ModelFile) -> Expected {
        let facts = self.facts.get(&fact_key(&full_address(&file.url)));
        let arrived = public_address(&file.url).and_then(|address| {
            self.records.get(file.path.as_str()).filter(|record| record.source.as_ref() == Some(&address))
        });
        Expected {
            sha256: file.sha256.map(hex::encode).or_else(|| facts.and_then(|facts| facts.sha256.clone())),
            size_bytes: facts.and_then(|facts| facts.size_bytes).or_else(|| arrived.map(|record| record.size_bytes)),
        }
    }
}

/// A path below the models folder with the present name of its top folder.
fn place_of(path: &str) -> String {
    match path.split_once('/') {
        Some((folder, below)) => format!("{}/{below}", present_name(folder)),
        None => path.to_owned(),
    }
}

/// The top folder of a path; none for a file that lies in none.
pub(crate) fn folder_of(path: &str) -> &str {
    path.split_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;
    use crate::page::{Page, PageRequest};

    #[test]
    fn a_page_of_a_hundred_thousand_files_copies_that_page_alone_and_touches_no_disk() {
        let folder = tempfile::tempdir().unwrap();
        let index = ModelIndex::new(ModelDir::open(folder.path()).unwrap(), Vec::new(), Remembered::default());
        for number in 0..100_000_u64 {
            let stamp = Stamp { size: number, mtime_ns: 0, inode: number };
            let seen = Seen { stamp, structure: None, is_model: true };
            index.write().on_disk.insert(format!("loras/{number:06}.safetensors"), seen);
        }
        // The folder is gone: whoever looked at the disk would find nothing.
        drop(folder);
        let request = PageRequest { page: 50, per_page: 100 };
        let mut copied = 0;
        let page = index.with_rows(
            |row| row.kind == "loras",
            |rows| {
                assert_eq!(rows.len(), 100_000);
                Page::cut(rows, request).map(|row| {
                    copied += 1;
                    row.path.to_owned()
                })
            },
        );
        assert_eq!((page.total, page.items.len(), copied), (100_000, 100, 100));
        assert_eq!(page.items[0], "loras/004900.safetensors");
    }
}
