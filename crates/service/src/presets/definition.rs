//! A preset as JSON in the database, so that a running job and an installed preset keep the words they began with.

use registry::{ConfinedPath, License, ModelFile, Preset, PresetId, Vram, VramFrom};
use semver::Version;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct PresetJson {
    id: String,
    name: String,
    category: String,
    r#type: String,
    version: Version,
    description: String,
    use_case: String,
    tags: Vec<String>,
    vram_gb: Option<f64>,
    #[serde(default)]
    vram_is_ours: bool,
    #[serde(default)]
    gated: Option<bool>,
    #[serde(default)]
    license: Option<LicenseJson>,
    #[serde(default)]
    family: Option<String>,
    dependencies: Vec<String>,
    workflows: Vec<String>,
    stated_size: Option<u64>,
    files: Vec<FileJson>,
}

#[derive(Serialize, Deserialize)]
struct LicenseJson {
    name: String,
    url: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct FileJson {
    path: String,
    url: String,
    stated_size: Option<u64>,
    sha256: Option<String>,
}

/// The preset as text.
pub(crate) fn to_json(preset: &Preset) -> String {
    serde_json::to_string(&mirror_of(preset)).unwrap_or_default()
}

/// Several presets as one text.
pub(super) fn list_to_json(presets: &[Preset]) -> String {
    serde_json::to_string(&presets.iter().map(mirror_of).collect::<Vec<_>>()).unwrap_or_default()
}

/// The presets of a text: several, or one alone.
pub(super) fn list_from_json(text: &str) -> Vec<Preset> {
    match serde_json::from_str::<Vec<PresetJson>>(text) {
        Ok(mirrors) => mirrors.into_iter().filter_map(preset_of).collect(),
        Err(_) => from_json(text).into_iter().collect(),
    }
}

fn mirror_of(preset: &Preset) -> PresetJson {
    let file = |file: &ModelFile| FileJson {
        path: file.path.as_str().to_owned(),
        url: file.url.clone(),
        stated_size: file.stated_size,
        sha256: file.sha256.map(hex::encode),
    };
    PresetJson {
        id: preset.id.to_string(),
        name: preset.name.clone(),
        category: preset.category.clone(),
        r#type: preset.kind.clone(),
        version: preset.version.clone(),
        description: preset.description.clone(),
        use_case: preset.use_case.clone(),
        tags: preset.tags.clone(),
        vram_gb: preset.vram_gb(),
        vram_is_ours: preset.vram.is_some_and(|vram| vram.from == VramFrom::Dashboard),
        gated: preset.gated,
        license: preset.license.clone().map(|License { name, url }| LicenseJson { name, url }),
        family: preset.family.clone(),
        dependencies: preset.dependencies.iter().map(PresetId::to_string).collect(),
        workflows: preset.workflows.clone(),
        stated_size: preset.stated_size,
        files: preset.files.iter().map(file).collect(),
    }
}

/// The preset of a text; `None` where the text is none, or names a path that would not be accepted today.
pub(crate) fn from_json(text: &str) -> Option<Preset> {
    preset_of(serde_json::from_str(text).ok()?)
}

fn preset_of(mirror: PresetJson) -> Option<Preset> {
    let file = |file: FileJson| {
        let sha256 = match file.sha256 {
            None => None,
            Some(digits) => Some(hex::decode(digits).ok()?.try_into().ok()?),
        };
        let path = ConfinedPath::parse(&file.path).ok()?;
        Some(ModelFile { path, url: file.url, stated_size: file.stated_size, sha256 })
    };
    let vram_from = if mirror.vram_is_ours { VramFrom::Dashboard } else { VramFrom::Registry };
    Some(Preset {
        id: PresetId::parse(&mirror.id).ok()?,
        name: mirror.name,
        category: mirror.category,
        kind: mirror.r#type,
        version: mirror.version,
        description: mirror.description,
        use_case: mirror.use_case,
        tags: mirror.tags,
        vram: mirror.vram_gb.map(|gb| Vram { gb, from: vram_from }),
        gated: mirror.gated,
        license: mirror.license.map(|LicenseJson { name, url }| License { name, url }),
        family: mirror.family,
        dependencies: mirror.dependencies.iter().map(|id| PresetId::parse(id).ok()).collect::<Option<_>>()?,
        workflows: mirror.workflows,
        stated_size: mirror.stated_size,
        files: mirror.files.into_iter().map(file).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_preset_comes_back_as_it_was() {
        for preset in registry::embedded().iter() {
            assert_eq!(from_json(&to_json(preset)).as_ref(), Some(preset));
        }
    }
}
