//! Files in folders of `extra_model_paths.yaml`, as the index knows them.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use registry::ConfinedPath;

use super::{ModelIndex, place_of};
use crate::{
    fits::Structure,
    model_dir::ModelDir,
    models::{
        extra::{ExtraFile, ExtraPlace, ExtraRoot},
        marker,
    },
};

impl ModelIndex {
    /// Every file of this name that ComfyUI finds by a type, wherever that type's folders are: its path below them.
    pub(crate) fn below_type(&self, name: &str, is_type: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let known = self.read();
        let own = known.models().filter_map(|(path, _)| path.split_once('/'));
        let in_extra = known.extra.values().flat_map(|file| &file.places);
        let in_extra = in_extra.map(|place| (&*place.kind, place.path.as_str()));
        let is_it = |(kind, below): &(&str, &str)| below.rsplit('/').next() == Some(name) && is_type(kind);
        own.chain(in_extra).filter(is_it).map(|(_, below)| below.to_owned()).collect()
    }

    /// Looks for a file in the other folders of its type, and into it. One that another program has not finished is not there.
    pub(super) fn refresh_extra(&self, path: &ConfinedPath) {
        let place = place_of(path.as_str());
        let Some((kind, below)) = place.split_once('/') else { return };
        let Ok(below) = ConfinedPath::parse(below) else { return };
        for root in self.extra.iter().filter(|root| *root.kind == *kind) {
            let Ok(folder) = ModelDir::existing(&root.folder) else { continue };
            let whole = folder.root().join(below.as_str());
            let (Some(stamp), Some(whole)) = (folder.stamp(&below), whole.to_str()) else { continue };
            if marker::beside(&folder, &below).is_some() {
                continue;
            }
            let before = self.read().extra.get(whole).cloned();
            let structure = before.as_ref().filter(|file| file.stamp == stamp).and_then(|file| file.structure);
            let is_inside = Path::new(whole).starts_with(self.folder.root());
            let path = below.as_str().to_owned();
            let mut file = before.clone().unwrap_or_else(|| ExtraFile::new(root, path.clone(), stamp, is_inside));
            file.add_place(root, ExtraPlace { kind: Arc::clone(&root.kind), path });
            file.stamp = stamp;
            file.structure = structure.or_else(|| Some(Structure::read(&folder, &below)));
            let is_known = || self.read().extra_places.get(&place).is_some_and(|known| known == whole);
            let is_as_before = |before: &ExtraFile| {
                (before.stamp, before.structure, before.places.len()) == (file.stamp, file.structure, file.places.len())
            };
            if before.as_ref().is_some_and(is_as_before) && is_known() {
                return;
            }
            let mut known = self.change(whole);
            known.extra_places.insert(place, whole.to_owned());
            known.extra.insert(whole.to_owned(), file);
            return;
        }
        if !self.read().extra_places.contains_key(&place) {
            return;
        }
        let gone = self.write().extra_places.remove(&place);
        if let Some(whole) = gone {
            self.change(&whole).extra.remove(&whole);
        }
    }

    /// A file in another folder, as last seen, by its whole path.
    pub(crate) fn extra(&self, path: &str) -> Option<ExtraFile> {
        self.read().extra.get(path).filter(|file| !file.is_inside).cloned()
    }

    /// The other folder that a whole path leads into, and the path below it. Blocks.
    pub(crate) fn place_in_extra(&self, whole: &str) -> Option<(ExtraRoot, ConfinedPath)> {
        let below = |root: &ExtraRoot| {
            let folder = ModelDir::existing(&root.folder).ok()?;
            let below = Path::new(whole).strip_prefix(folder.root()).ok()?;
            ConfinedPath::parse(below.to_str()?).ok()
        };
        self.extra.iter().find_map(|root| Some((root.clone(), below(root)?)))
    }

    /// Where further types find a file of the models folder.
    pub(crate) fn further_places(&self, path: &str) -> Vec<ExtraPlace> {
        self.read().further.get(path).cloned().unwrap_or_default()
    }

    /// Takes out a file of another folder that was removed.
    pub(crate) fn removed_extra(&self, path: &str) {
        let mut known = self.change(path);
        known.extra.remove(path);
        known.sidecars.remove(path);
    }
}
