//! Files that lie beside a model and describe it: metadata, checksums, previews. They are no models.

use std::collections::{HashMap, HashSet};

use registry::ConfinedPath;

use super::{Sidecar, names};
use crate::model_dir::ModelDir;

/// The sidecars of each model that has any, as a scan found them.
#[derive(Debug, Default)]
pub(crate) struct Sidecars(HashMap<String, Vec<Sidecar>>);

impl Sidecars {
    pub(super) fn add(&mut self, owner: String, path: String, size_bytes: u64) {
        let sidecar = Sidecar { path, size_bytes };
        let known = self.0.entry(owner).or_default();
        if let Err(place) = known.binary_search(&sidecar) {
            known.insert(place, sidecar);
        }
    }

    pub(super) fn of(&self, owner: &str) -> Vec<Sidecar> {
        self.0.get(owner).cloned().unwrap_or_default()
    }

    /// Takes out a file that is gone, be it a model or a sidecar.
    pub(super) fn remove(&mut self, path: &str) {
        self.0.remove(path);
        for of_one in self.0.values_mut() {
            of_one.retain(|sidecar| sidecar.path != path);
        }
    }
}

/// The files that belong to a model and to no other, by a look at its folder. Blocks.
pub(super) fn beside(folder: &ModelDir, model: &ConfinedPath) -> Vec<ConfinedPath> {
    let prefix = model.as_str().strip_suffix(model.file_name()).unwrap_or_default();
    let names = folder.names_in(prefix.trim_end_matches('/'));
    let paths: Vec<String> = names.into_iter().map(|name| format!("{prefix}{name}")).collect();
    let there: HashSet<&str> = paths.iter().map(String::as_str).collect();
    let others = |path: &str| path != model.as_str() && there.contains(path);
    let is_its_own = |path: &&String| {
        let owner = names::owner_of(path, |owner| owner == model.as_str() || others(owner));
        owner.as_deref() == Some(model.as_str()) && names::owner_of(path, others).is_none()
    };
    paths.iter().filter(is_its_own).filter_map(|path| ConfinedPath::parse(path).ok()).collect()
}
