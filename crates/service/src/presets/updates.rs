//! Installed presets of which the registry has a newer version: which files that changes and how many bytes it takes.

use registry::{Preset, PresetId};
use semver::Version;

use super::{Presets, definition};
use crate::{Error, downloads::address::full_address, presets::store::InstallRow};

/// A newer version of an installed preset.
#[derive(Debug, Clone)]
pub struct PresetUpdate {
    /// Which preset.
    pub id: PresetId,
    /// Its name.
    pub name: String,
    /// What is installed.
    pub installed: Version,
    /// What the registry has.
    pub available: Version,
    /// Its category.
    pub category: String,
    /// Its type.
    pub kind: String,
    /// Files that are new or have another content.
    pub changed_files: Vec<String>,
    /// Bytes of those: exact where known, else the registry's estimate; `None` where one has neither.
    pub download_bytes: Option<u64>,
}

impl Presets {
    /// Every installed preset that has a newer version in the registry in force.
    pub async fn updates(&self) -> Result<Vec<PresetUpdate>, Error> {
        let situation = self.situation().await?;
        let catalog = self.catalogue.current();
        let outdated = catalog.iter().filter(|preset| situation.is_outdated(preset));
        Ok(outdated.filter_map(|preset| self.update_of(preset, situation.install_of(&preset.id)?)).collect())
    }

    fn update_of(&self, preset: &Preset, install: &InstallRow) -> Option<PresetUpdate> {
        let before = definition::from_json(&install.definition)?;
        let changed: Vec<_> = preset.files.iter().filter(|file| is_changed(&before, file)).collect();
        let bytes = |file: &&registry::ModelFile| self.index.expected(file).size_bytes.or(file.stated_size);
        Some(PresetUpdate {
            id: preset.id.clone(),
            name: preset.name.clone(),
            installed: before.version.clone(),
            available: preset.version.clone(),
            category: preset.category.clone(),
            kind: preset.kind.clone(),
            changed_files: changed.iter().map(|file| file.path.as_str().to_owned()).collect(),
            download_bytes: changed.iter().map(bytes).sum(),
        })
    }
}

/// Whether a preset of before had no file at this path, or one with another content.
pub(super) fn is_changed(before: &Preset, file: &registry::ModelFile) -> bool {
    !before.files.iter().any(|old| {
        old.path == file.path && old.sha256 == file.sha256 && full_address(&old.url) == full_address(&file.url)
    })
}
