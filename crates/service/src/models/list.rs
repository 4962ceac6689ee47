//! Lists of models, from memory.

use std::collections::BTreeMap;

use jiff::Timestamp;
use registry::ConfinedPath;

use super::{
    ModelList, ModelQuery, ModelSort, ModelType, ModelView, Models, extra::ExtraPlace, folder_of, index::Row,
    integrity::integrity_of_structure, owners::Owners,
};
use crate::{
    Error,
    fits::Structure,
    model_dir::Stamp,
    page::{Order, Page, sort_by_key},
};

/// Folders that ComfyUI knows and what people call them (folder_paths.py of ComfyUI 0.3.64).
const FOLDERS: [(&str, &str); 23] = [
    ("audio_encoders", "Audio Encoders"),
    ("checkpoints", "Checkpoints"),
    ("classifiers", "Classifiers"),
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
        self.index.first_look().await;
        let search = query.search.as_deref().map(str::to_lowercase);
        let wanted = |row: &Row<'_>| {
            query.kind.as_deref().is_none_or(|kind| row.kinds().any(|own| own == kind))
                && search.as_deref().is_none_or(|word| row.path.to_lowercase().contains(word))
        };
        let (page, total_size_bytes) = self.index.with_rows(wanted, |mut rows| {
            match query.sort {
                ModelSort::Path if query.order == Order::Descending => rows.reverse(),
                ModelSort::Path => {}
                ModelSort::Size => sort_by_key(&mut rows, query.order, |row| row.stamp.size),
                ModelSort::Modified => sort_by_key(&mut rows, query.order, |row| row.stamp.mtime_ns),
                ModelSort::Kind => sort_by_key(&mut rows, query.order, |row| row.kind),
            }
            let bytes: u64 = rows.iter().map(|row| row.stamp.size).sum();
            (Page::cut(rows, query.page).map(|row| row.path.to_owned()), bytes)
        });
        let owners = self.owners().await?;
        let (total, request) = (page.total, page.request);
        // A file that went away meanwhile is left out.
        let items = page.items.iter().filter_map(|path| self.view(path, &owners)).collect();
        Ok(ModelList { page: Page { items, total, request }, total_size_bytes })
    }

    /// Every folder that ComfyUI knows or that has files, with how much lies in it.
    pub async fn types(&self) -> Result<Vec<ModelType>, Error> {
        self.index.first_look().await;
        let mut found: BTreeMap<String, (u64, u64)> =
            FOLDERS.iter().map(|(id, _)| ((*id).to_owned(), (0, 0))).collect();
        self.index.with_rows(
            |row| !row.kind.is_empty(),
            |rows| {
                for row in rows {
                    for kind in row.kinds() {
                        let (count, bytes) = found.entry(kind.to_owned()).or_default();
                        *count += 1;
                        *bytes += row.stamp.size;
                    }
                }
            },
        );
        let readable = |(id, (count, size_bytes)): (String, (u64, u64))| {
            let name = FOLDERS
                .iter()
                .find(|(known, _)| *known == id)
                .map_or_else(|| id.clone(), |(_, name)| (*name).to_owned());
            ModelType { id, name, count, size_bytes }
        };
        Ok(found.into_iter().map(readable).collect())
    }

    /// A file as last seen; `None` where there is none.
    pub(super) fn view(&self, path: &str, owners: &Owners) -> Option<ModelView> {
        let modified =
            |stamp: Stamp| Timestamp::from_nanosecond(i128::from(stamp.mtime_ns)).unwrap_or(Timestamp::UNIX_EPOCH);
        if let Some(file) = self.index.extra(path) {
            let places: Vec<String> = file.places.iter().map(ExtraPlace::as_path).collect();
            return Some(ModelView {
                path: path.to_owned(),
                kinds: file.kinds().into_iter().map(str::to_owned).collect(),
                size_bytes: file.stamp.size,
                modified: modified(file.stamp),
                presets: owners.of(&self.index, &places),
                sha256: None,
                integrity: integrity_of_structure(file.structure.and_then(Structure::is_whole), None),
                safety: None,
                sidecars: self.index.sidecars(path),
                extra_root: Some(file.root.folder.to_path_buf()),
            });
        }
        let (stamp, sha256) = self.index.seen(path)?;
        let named = ConfinedPath::parse(path).ok().and_then(|path| self.index.expected_at(&path, owners.catalog()));
        let (integrity, safety) = self.index.integrity(path, named.as_deref());
        let further = self.index.further_places(path);
        let mut kinds = vec![folder_of(path).to_owned()];
        for place in &further {
            if kinds.iter().all(|kind| **kind != *place.kind) {
                kinds.push(place.kind.to_string());
            }
        }
        let places: Vec<String> =
            std::iter::once(path.to_owned()).chain(further.iter().map(ExtraPlace::as_path)).collect();
        Some(ModelView {
            path: path.to_owned(),
            kinds,
            size_bytes: stamp.size,
            modified: modified(stamp),
            presets: owners.of(&self.index, &places),
            sha256,
            integrity,
            safety,
            sidecars: self.index.sidecars(path),
            extra_root: None,
        })
    }
}
