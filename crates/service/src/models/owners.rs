//! The presets that a model belongs to.

use std::sync::Arc;

use registry::{Catalog, ConfinedPath, ModelFile, Preset, PresetId};

use super::{ModelIndex, Models};
use crate::{Error, presets::Catalogue};

/// The presets of the registry in force, and those that are installed here as they were installed.
pub(super) struct Owners {
    catalog: Arc<Catalog>,
    installed: Vec<Preset>,
}

impl Models {
    pub(super) async fn owners(&self) -> Result<Owners, Error> {
        let installed = Catalogue::installed(&self.store.ledger().await?.installs);
        Ok(Owners { catalog: self.catalogue.current(), installed })
    }
}

impl Owners {
    pub(super) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The presets that name a file at one of these places and that it fits: installed ones first, then by id.
    pub(super) fn of(&self, index: &ModelIndex, places: &[String]) -> Vec<PresetId> {
        let places: Vec<ConfinedPath> = places.iter().filter_map(|place| ConfinedPath::parse(place).ok()).collect();
        let fits = |file: &ModelFile| places.contains(&file.path) && index.fit(file).is_here();
        let current = places.iter().flat_map(|place| self.catalog.presets_claiming(place));
        let claiming = current.chain(&self.installed).filter(|preset| preset.files.iter().any(fits));
        let mut found: Vec<(bool, &PresetId)> =
            claiming.map(|preset| (!self.is_installed(index, &preset.id), &preset.id)).collect();
        found.sort();
        found.dedup();
        found.into_iter().map(|(_, id)| id.clone()).collect()
    }

    /// Whether every file of a preset is here, by the registry or as it was installed.
    fn is_installed(&self, index: &ModelIndex, id: &PresetId) -> bool {
        let before = self.installed.iter().filter(|preset| preset.id == *id);
        self.catalog.get(id).into_iter().chain(before).any(|preset| index.is_complete(preset))
    }
}
