//! One model file that a workflow asks for, held against presets, the graph's own notes and the disk.

use comfy_client::requirements::ModelNeed;
use registry::{ConfinedPath, Preset, PresetId, TemplateModels};

use super::{
    Workflows,
    needs::{ModelRequirement, ModelSource},
};
use crate::{Error, downloads::address::full_address, tasks::blocking};

/// Folders that ComfyUI reads as one: the old name and the present one.
const SAME_FOLDERS: [(&str, &str); 3] =
    [("unet", "diffusion_models"), ("clip", "text_encoders"), ("t2i_adapter", "controlnet")];

impl Workflows {
    /// A model file as the graph asks for it, with what presets and the graph say of it; those of `own` come first.
    pub(super) fn look_up(&self, need: ModelNeed, own: Option<&PresetId>) -> ModelRequirement {
        let mut model = ModelRequirement {
            present: need.listed == Some(true),
            found_as: need.listed_as,
            folder: need.folder,
            name: need.name,
            size_bytes: None,
            size_exact: false,
            weights: None,
            is_pinned: need.sha256.is_some(),
            sha256: need.sha256,
            sources: Vec::new(),
            used_by: need.used_by,
            known: need.known,
        };
        let catalog = self.presets.catalogue.current();
        let mut presets: Vec<&Preset> = catalog.iter().collect();
        presets.sort_by_key(|preset| Some(&preset.id) != own);
        for preset in presets {
            let Some(file) = preset.files.iter().find(|file| is_same(&file.path, &model)) else { continue };
            // Where ComfyUI is not there to say what a loader reads, the preset knows where its file belongs.
            model.folder = model.folder.or_else(|| file.path.folder().map(str::to_owned));
            model.is_pinned |= file.sha256.is_some();
            model.sha256 = model.sha256.or_else(|| self.presets.index.expected(file).sha256);
            model.size_bytes = model.size_bytes.or(file.stated_size);
            model.sources.push(ModelSource::Preset { id: preset.id.clone(), url: file.url.clone() });
        }
        model.sources.extend(need.url.map(|url| ModelSource::Workflow { url }));
        add_template(&mut model);
        model
    }

    /// What lies on our own disk: at its place, elsewhere by the same name, or with the same content.
    pub(super) async fn look_at_disk(&self, models: &mut [ModelRequirement]) -> Result<(), Error> {
        let index = &self.presets.index;
        let places: Vec<ConfinedPath> = models.iter().flat_map(places_of).collect();
        let (looking, looked_at) = (index.clone(), places);
        blocking(move || looking.refresh(&looked_at)).await?;
        for model in models {
            let here = places_of(model).into_iter().any(|path| index.is_here(path.as_str()));
            model.present |= here;
            if model.present {
                model.found_as = None;
            } else if model.found_as.is_none() {
                model.found_as = self.elsewhere(model);
            }
            let copies = model.sha256.as_deref().map(|sha256| index.copies_of(sha256)).unwrap_or_default();
            let same = copies.into_iter().map(ModelSource::SameContent);
            model.sources.splice(0..0, same);
        }
        Ok(())
    }

    /// The one file of that name in another place below the same folder, named from that folder.
    fn elsewhere(&self, model: &ModelRequirement) -> Option<String> {
        let folder = model.folder.as_deref()?;
        let name = model.name.rsplit('/').next().unwrap_or(&model.name);
        let mut found = self.presets.index.below_type(name, |kind| is_same_folder(kind, folder)).into_iter();
        found.next().filter(|_| found.next().is_none())
    }

    /// Its weights, size and hash, as the disk or a server tells.
    pub(super) fn add_size(&self, model: &mut ModelRequirement) {
        let index = &self.presets.index;
        model.weights = places_of(model).into_iter().find_map(|path| index.weights(path.as_str()));
        let on_disk = places_of(model).into_iter().find_map(|path| index.size(path.as_str()));
        let said = model.file().and_then(|file| {
            let facts = index.facts(&full_address(&file.url))?;
            model.sha256 = model.sha256.take().or(facts.sha256);
            facts.size_bytes
        });
        if let Some(exact) = on_disk.or(said) {
            (model.size_bytes, model.size_exact) = (Some(exact), true);
        }
    }
}

/// What ComfyUI's official templates note of a file of this name. Where the folder is not known, the name must have one only.
fn add_template(model: &mut ModelRequirement) {
    let name = model.name.rsplit('/').next().unwrap_or(&model.name);
    let named = TemplateModels::embedded().named(name);
    let found = match model.folder.as_deref() {
        Some(folder) => named.iter().find(|file| is_same_folder(&file.folder, folder)),
        None => named.first().filter(|_| named.len() == 1),
    };
    let Some(file) = found else { return };
    model.folder.get_or_insert_with(|| file.folder.clone());
    // Of a file that was pinned to another content this is not the address.
    if model.is_pinned && model.sha256.is_some() && file.sha256.is_some() && model.sha256 != file.sha256 {
        return;
    }
    model.is_pinned |= file.sha256.is_some();
    model.sha256 = model.sha256.take().or_else(|| file.sha256.clone());
    model.sources.push(ModelSource::Template { url: file.url.clone() });
}

/// Where a model may lie: in its folder, or in the one that ComfyUI reads as the same.
fn places_of(model: &ModelRequirement) -> Vec<ConfinedPath> {
    let Some(folder) = model.folder.as_deref() else { return Vec::new() };
    let other = SAME_FOLDERS.iter().find_map(|(old, new)| match folder {
        _ if folder == *old => Some(*new),
        _ if folder == *new => Some(*old),
        _ => None,
    });
    let path = |folder: &str| ConfinedPath::parse(&format!("{folder}/{}", model.name)).ok();
    [Some(folder), other].into_iter().flatten().filter_map(path).collect()
}

/// Whether a file of a preset is the one that a graph asks for: the same name in the same folder.
fn is_same(path: &ConfinedPath, model: &ModelRequirement) -> bool {
    let name = model.name.rsplit('/').next().unwrap_or(&model.name);
    path.file_name() == name
        && model.folder.as_deref().is_none_or(|folder| path.folder().is_some_and(|own| is_same_folder(own, folder)))
}

fn is_same_folder(one: &str, other: &str) -> bool {
    let present = |folder: &str| {
        SAME_FOLDERS.iter().find(|(old, _)| *old == folder).map_or(folder.to_owned(), |(_, new)| (*new).to_owned())
    };
    present(one) == present(other)
}
