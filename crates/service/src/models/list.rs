//! Lists of models, from memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use registry::{Catalog, ConfinedPath};

use super::{ModelList, ModelQuery, ModelSort, ModelType, ModelView, Models};
use crate::{
    Error,
    model_dir::Stamp,
    page::{Order, Page, sort_by_key},
};

/// Folders that ComfyUI knows and what people call them (folder_paths.py of ComfyUI 0.3.64).
const FOLDERS: [(&str, &str); 22] = [
    ("audio_encoders", "Audio Encoders"),
    ("checkpoints", "Checkpoints"),
    ("clip", "CLIP"),
    ("clip_vision", "CLIP Vision"),
    ("configs", "Configs"),
    ("controlnet", "ControlNet"),
    ("diffusers", "Diffusers"),
    ("diffusion_models", "Diffusion Models"),
    ("embeddings", "Embeddings"),
    ("gligen", "GLIGEN"),
    ("hypernetworks", "Hypernetworks"),
    ("latent_upscale_models", "Latent Upscale Models"),
    ("loras", "LoRAs"),
    ("model_patches", "Model Patches"),
    ("photomaker", "PhotoMaker"),
    ("style_models", "Style Models"),
    ("text_encoders", "Text Encoders"),
    ("unet", "UNet"),
    ("upscale_models", "Upscale Models"),
    ("vae", "VAE"),
    ("vae_approx", "VAE Approx"),
    ("ipadapter", "IP-Adapter"),
];

impl Models {
    /// The models that match, by what was last seen on the disk.
    pub async fn list(&self, query: &ModelQuery) -> Result<ModelList, Error> {
        self.first_look().await;
        let search = query.search.as_deref().map(str::to_lowercase);
        let wanted = |path: &str| {
            query.kind.as_deref().is_none_or(|kind| folder_of(path) == kind)
                && search.as_deref().is_none_or(|word| path.to_lowercase().contains(word))
        };
        let mut rows = self.index.snapshot(wanted);
        match query.sort {
            ModelSort::Path if query.order == Order::Descending => rows.reverse(),
            ModelSort::Path => {}
            ModelSort::Size => sort_by_key(&mut rows, query.order, |(_, stamp, _)| stamp.size),
            ModelSort::Modified => sort_by_key(&mut rows, query.order, |(_, stamp, _)| stamp.mtime_ns),
            ModelSort::Kind => sort_by_key(&mut rows, query.order, |(path, ..)| folder_of(path).to_owned()),
        }
        let total_size_bytes = rows.iter().map(|(_, stamp, _)| stamp.size).sum();
        let catalog = self.catalogue.current();
        let page = Page::cut(rows, query.page).map(|(path, stamp, sha256)| self.view(path, stamp, sha256, &catalog));
        Ok(ModelList { page, total_size_bytes })
    }

    /// Every folder that ComfyUI knows or that has files, with how much lies in it.
    pub async fn types(&self) -> Result<Vec<ModelType>, Error> {
        self.first_look().await;
        let mut found: BTreeMap<String, (u64, u64)> =
            FOLDERS.iter().map(|(id, _)| ((*id).to_owned(), (0, 0))).collect();
        for (path, stamp, _) in self.index.snapshot(|path| path.contains('/')) {
            let (count, bytes) = found.entry(folder_of(&path).to_owned()).or_default();
            *count += 1;
            *bytes += stamp.size;
        }
        let readable = |(id, (count, size_bytes)): (String, (u64, u64))| {
            let name = FOLDERS
                .iter()
                .find(|(known, _)| *known == id)
                .map_or_else(|| id.clone(), |(_, name)| (*name).to_owned());
            ModelType { id, name, count, size_bytes }
        };
        Ok(found.into_iter().map(readable).collect())
    }

    pub(super) fn view(&self, path: String, stamp: Stamp, sha256: Option<String>, catalog: &Catalog) -> ModelView {
        let owner = ConfinedPath::parse(&path).ok().and_then(|confined| {
            let fits = |file: &registry::ModelFile| file.path == confined && self.index.fit(file).is_here();
            let claiming = catalog.presets_claiming(&confined);
            let mut owners: Vec<_> = claiming
                .into_iter()
                .filter(|preset| preset.files.iter().any(fits))
                .map(|preset| preset.id.clone())
                .collect();
            owners.sort();
            owners.into_iter().next()
        });
        ModelView {
            kind: folder_of(&path).to_owned(),
            size_bytes: stamp.size,
            modified: Timestamp::from_nanosecond(i128::from(stamp.mtime_ns)).unwrap_or(Timestamp::UNIX_EPOCH),
            preset: owner,
            sha256,
            path,
        }
    }
}

fn folder_of(path: &str) -> &str {
    path.split_once('/').map_or("", |(folder, _)| folder)
}
