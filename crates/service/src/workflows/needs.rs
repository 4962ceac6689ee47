//! What a workflow needs: each model file, whether it is here and where it can be had; nodes that ComfyUI lacks; and with
//! them whether it will run: does it fit the disk, does it fit the card.

use std::collections::HashMap;

use comfy_client::{
    ObjectInfo,
    requirements::{FolderLists, ModelUse, UnknownNode, requirements},
};
use futures_util::{StreamExt, stream};
use model_file::{WeightPart, Weights, estimate_vram};
use registry::{ConfinedPath, ModelFile, PresetId};
use serde_json::Value;

use super::{Workflows, graph_in};
use crate::Error;

/// How many folders of ComfyUI are listed at once.
const LISTED_AT_ONCE: usize = 8;

/// What a workflow needs, and how much of it is here.
#[derive(Debug, Clone)]
pub struct WorkflowRequirements {
    /// Each model file once, in the order of the graph.
    pub models: Vec<ModelRequirement>,
    /// Node types that this ComfyUI lacks.
    pub missing_nodes: Vec<NodeRequirement>,
    /// Whether ComfyUI was there to be asked; without it only the disk and the graph tell.
    pub comfyui_asked: bool,
    /// Bytes of what is missing, as far as they are known.
    pub bytes_to_fetch: u64,
    /// Whether the size of every missing file is known to the byte.
    pub bytes_exact: bool,
    /// Bytes that may be written to the disk.
    pub disk_available_bytes: u64,
    /// Whether what is missing fits the disk.
    pub fits_disk: bool,
    /// Video memory that it asks for.
    pub vram: Option<NeededVram>,
    /// Video memory of the largest card, in GB.
    pub vram_available_gb: Option<f64>,
    /// Whether it fits the card; `None` where either figure is not known.
    pub fits_vram: Option<bool>,
}

/// Video memory that a workflow asks for, declared or estimated: the basis says which.
#[derive(Debug, Clone, PartialEq)]
pub struct NeededVram {
    /// In GB.
    pub vram_gb: f64,
    /// How that is known, as a sentence.
    pub basis: String,
}

/// One model file.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequirement {
    /// Its folder: `checkpoints`, `loras`, …; `None` where nothing tells.
    pub folder: Option<String>,
    /// Its name, as the graph says it.
    pub name: String,
    /// Whether it is where the graph says.
    pub present: bool,
    /// Where else a file of that name is, below the same folder.
    pub found_as: Option<String>,
    /// Its size, where known, and whether to the byte.
    pub size_bytes: Option<u64>,
    /// Whether the size is known to the byte.
    pub size_exact: bool,
    /// What its own head says, where it is here.
    pub(super) weights: Option<Weights>,
    /// Its SHA-256, where known.
    pub sha256: Option<String>,
    /// The hash is demanded, by the registry or the graph; else it is what a server said.
    pub(super) is_pinned: bool,
    /// Where it can be had, the best first.
    pub sources: Vec<ModelSource>,
    /// Which nodes ask for it.
    pub used_by: Vec<ModelUse>,
    /// Whether it is certain that the graph needs it; else only a value of a node that ComfyUI does not list names it.
    pub known: bool,
}

/// Where a model file can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A file on this disk with the very same content, below the models folder.
    SameContent(String),
    /// A preset has it.
    Preset {
        /// Which.
        id: PresetId,
        /// Its address there.
        url: String,
    },
    /// The workflow itself names an address.
    Workflow {
        /// The address.
        url: String,
    },
    /// An official template of ComfyUI notes an address for this very name.
    Template {
        /// The address.
        url: String,
    },
}

/// A node type that ComfyUI lacks.
pub type NodeRequirement = UnknownNode;

impl WorkflowRequirements {
    /// Whether it can run at once; `None` where that cannot be told, since ComfyUI was not there to be asked or does not know a node.
    pub fn is_ready(&self) -> Option<bool> {
        let missing = |known: bool| self.models.iter().any(|model| !model.present && model.known == known);
        let lacks = missing(true) || !self.missing_nodes.is_empty() || self.fits_vram == Some(false);
        let is_judged = self.comfyui_asked && !missing(false);
        if lacks { Some(false) } else { is_judged.then_some(true) }
    }
}

impl ModelRequirement {
    /// Where it belongs, below the models folder; `None` where no folder is known or the name leads elsewhere.
    pub fn path(&self) -> Option<ConfinedPath> {
        ConfinedPath::parse(&format!("{}/{}", self.folder.as_deref()?, self.name)).ok()
    }

    /// It as a file to fetch, where its place and an address are known.
    pub(super) fn file(&self) -> Option<ModelFile> {
        let url = self.sources.iter().find_map(|source| match source {
            ModelSource::SameContent(_) => None,
            ModelSource::Preset { url, .. } | ModelSource::Workflow { url } | ModelSource::Template { url } => {
                Some(url.clone())
            }
        })?;
        Some(ModelFile { path: self.path()?, url, stated_size: self.size_bytes, sha256: self.pinned_hash() })
    }

    /// The SHA-256 that its content must have.
    pub(super) fn pinned_hash(&self) -> Option<[u8; 32]> {
        let pinned = self.sha256.as_ref().filter(|_| self.is_pinned)?;
        hex::decode(pinned).ok()?.try_into().ok()
    }
}

impl Workflows {
    /// What a stored workflow needs.
    pub async fn requirements_of(&self, id: &str) -> Result<WorkflowRequirements, Error> {
        let detail = self.get(id).await?;
        let declared = detail.view.preset.clone();
        self.judge(&graph_in((*detail.workflow).clone())?, declared.as_ref()).await
    }

    /// What a graph needs.
    pub async fn requirements(&self, given: Value) -> Result<WorkflowRequirements, Error> {
        self.judge(&graph_in(given)?, None).await
    }

    async fn judge(&self, graph: &Value, preset: Option<&PresetId>) -> Result<WorkflowRequirements, Error> {
        let asked = if self.comfy.seems_down() { None } else { self.ask_comfy().await };
        let comfyui_asked = asked.is_some();
        let (object_info, folders) = asked.unwrap_or_default();
        let needs = requirements(graph, &object_info, &folders);
        let mut models: Vec<ModelRequirement> =
            needs.models.into_iter().map(|need| self.look_up(need, preset)).collect();
        self.look_at_disk(&mut models).await?;
        let missing: Vec<ModelFile> =
            models.iter().filter(|model| !model.present).filter_map(ModelRequirement::file).collect();
        self.presets.ask_for_sizes(missing.iter(), false).await?;
        for model in &mut models {
            self.add_size(model);
        }
        let lacking = || models.iter().filter(|model| !model.present);
        let bytes_to_fetch = lacking().filter_map(|model| model.size_bytes).sum();
        let bytes_exact = lacking().all(|model| model.size_exact);
        let downloads = &self.presets.downloads;
        let unfinished = downloads.store.ledger().await?.unfinished();
        let unfinished: Vec<_> = unfinished.iter().map(|stored| (**stored).clone()).collect();
        let disk_available_bytes = downloads.space.available(&unfinished).await?;
        let vram = self.vram_of(&models, preset);
        let sample = self.system.sample().await;
        let vram_available_gb = sample.largest_gpu().map(|(_, gb)| gb);
        let both = vram.as_ref().zip(vram_available_gb);
        Ok(WorkflowRequirements {
            // Without ComfyUI every node would count as unknown.
            missing_nodes: if comfyui_asked { needs.unknown_nodes } else { Vec::new() },
            comfyui_asked,
            bytes_to_fetch,
            bytes_exact,
            disk_available_bytes,
            fits_disk: bytes_to_fetch <= disk_available_bytes,
            fits_vram: both.map(|(needed, card)| needed.vram_gb <= card * crate::presets::TOLERANCE),
            vram,
            vram_available_gb,
            models,
        })
    }

    /// Node types and files as ComfyUI lists them at this moment; `None` where it does not answer.
    async fn ask_comfy(&self) -> Option<(ObjectInfo, FolderLists)> {
        let client = &self.comfy.client;
        client.forget_object_info();
        let object_info = client.object_info().await.ok()?;
        // ComfyUI before 0.3 has no list of folders; the lists of its loaders remain.
        let folders = client.model_folders().await.unwrap_or_default();
        let list = |folder: String| async move {
            let files = client.models(&folder).await.ok().flatten();
            files.map(|files| (folder, files))
        };
        let listed = stream::iter(folders.into_iter().map(list)).buffer_unordered(LISTED_AT_ONCE);
        let folders = listed.filter_map(|found| async { found }).collect().await;
        Some(((*object_info).clone(), folders))
    }

    /// What the workflow's own preset declares, or the one that has all its models; else what the weights suggest.
    fn vram_of(&self, models: &[ModelRequirement], preset: Option<&PresetId>) -> Option<NeededVram> {
        let catalog = self.presets.catalogue.current();
        let declares = |id: &PresetId| {
            let vram_gb = catalog.get(id)?.vram_gb()?;
            Some(NeededVram { vram_gb, basis: format!("declared by preset {id}") })
        };
        if let Some(declared) = preset.and_then(declares) {
            return Some(declared);
        }
        let mut having: HashMap<&PresetId, usize> = HashMap::new();
        for source in models.iter().flat_map(|model| &model.sources) {
            if let ModelSource::Preset { id, .. } = source {
                *having.entry(id).or_default() += 1;
            }
        }
        let mut complete: Vec<NeededVram> =
            having.into_iter().filter(|(_, count)| *count == models.len()).filter_map(|(id, _)| declares(id)).collect();
        complete.sort_by(|one, other| one.vram_gb.total_cmp(&other.vram_gb).then_with(|| one.basis.cmp(&other.basis)));
        complete.into_iter().next().or_else(|| estimate(models))
    }
}

/// From the heads of the files that are here, and the sizes of the others.
fn estimate(models: &[ModelRequirement]) -> Option<NeededVram> {
    let folder = |model: &ModelRequirement| model.folder.clone().unwrap_or_else(|| "other".to_owned());
    let paths: Vec<String> = models.iter().map(|model| format!("{}/{}", folder(model), model.name)).collect();
    let parts = models.iter().zip(&paths).map(|(model, path)| {
        let exact = model.size_bytes.filter(|_| model.size_exact);
        WeightPart::by_the_best(path, model.weights, exact, model.size_bytes)
    });
    let found = estimate_vram(&parts.collect::<Option<Vec<_>>>()?)?;
    Some(NeededVram { vram_gb: found.vram_gb, basis: found.basis })
}
