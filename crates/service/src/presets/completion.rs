//! What a completed download means for presets: which are installed by it, and whose files it replaced.

use registry::{Catalog, Preset, PresetId};

use super::definition;
use crate::{
    downloads::store::{Existing, StoredDownload},
    fits::Fit,
    models::ModelIndex,
    presets::store::{InstallRow, ReplacedFile},
};

/// The installs that a completed download brings about: the preset and its dependencies as they were when the download began.
pub(crate) fn install_rows(stored: &StoredDownload, catalog: &Catalog) -> Vec<InstallRow> {
    let kept = stored.row.definition.as_deref().map(definition::list_from_json).unwrap_or_default();
    // Of dependencies that were not kept, as by an earlier version, the catalogue tells.
    let dependencies = kept.iter().flat_map(|preset| &preset.dependencies).flat_map(|id| catalog.install_order(id));
    let not_kept: Vec<Preset> =
        dependencies.filter(|preset| kept.iter().all(|known| known.id != preset.id)).cloned().collect();
    not_kept
        .into_iter()
        .chain(kept)
        .map(|preset| InstallRow {
            preset_id: preset.id.to_string(),
            version: preset.version.to_string(),
            definition: definition::to_json(&preset),
            installed_at: stored.row.created_at,
        })
        .collect()
}

/// Files of other installed presets that this download put something else in the place of.
pub(crate) fn replaced_by(stored: &StoredDownload, installs: &[InstallRow], index: &ModelIndex) -> Vec<ReplacedFile> {
    let Some(own) = stored.row.preset_id.as_deref().and_then(|id| PresetId::parse(id).ok()) else { return Vec::new() };
    let replaced_paths: Vec<&str> =
        stored.files.iter().filter(|file| file.existing == Existing::Replace).map(|file| file.path.as_str()).collect();
    installs
        .iter()
        .filter_map(|install| definition::from_json(&install.definition))
        .filter(|other| other.id != own)
        .flat_map(|other| other.files.into_iter().map(move |file| (other.id.clone(), file)))
        .filter(|(_, file)| replaced_paths.contains(&file.path.as_str()) && index.fit(file) == Fit::Wrong)
        .map(|(preset, file)| ReplacedFile {
            preset_id: preset.to_string(),
            path: file.path.as_str().to_owned(),
            replaced_by: own.to_string(),
        })
        .collect()
}
