//! One call for a workflow from anywhere: what is here, what is fetched, what a person has to choose, and what cannot be had.

use std::collections::BTreeMap;

use registry::ModelFile;
use serde_json::Value;

use super::{Fetching, ModelRequirement, ModelSource, WorkflowRequirements, Workflows};
use crate::{Error, downloads::Priority};

/// Names that many different files have.
const GENERAL_NAMES: [&str; 5] = [
    "model.safetensors",
    "pytorch_lora_weights.safetensors",
    "diffusion_pytorch_model.safetensors",
    "pytorch_model.bin",
    "model.fp16.safetensors",
];
/// Formats that run code when they are loaded.
const PICKLE_FORMATS: [&str; 6] = ["ckpt", "pt", "pt2", "pth", "bin", "pkl"];

/// How a workflow is installed.
#[derive(Debug, Clone, Default)]
pub struct InstallPlanOptions {
    /// Nothing is begun.
    pub dry_run: bool,
    /// How urgent its download is.
    pub priority: Priority,
    /// By the name of a model file: what a person chose.
    pub choices: BTreeMap<String, Choice>,
}

/// Where a model file shall come from and go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its address.
    pub url: String,
    /// Its folder, where the workflow does not tell it.
    pub folder: Option<String>,
}

/// What became of a workflow, or would.
#[derive(Debug, Clone)]
pub struct InstallPlan {
    /// Everything that it needs.
    pub needs: WorkflowRequirements,
    /// Names of the files that are here.
    pub ready: Vec<String>,
    /// Files that are fetched, or would be.
    pub planned: Vec<ModelFile>,
    /// The download, unless nothing was begun.
    pub fetching: Option<Fetching>,
    /// Files of which a person has to say where they come from.
    pub choose: Vec<OpenQuestion>,
    /// Files that cannot be had so.
    pub impossible: Vec<OpenQuestion>,
}

/// A file that is not fetched, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenQuestion {
    /// The file.
    pub model: ModelRequirement,
    /// Why it is not fetched as it is.
    pub reason: String,
}

impl InstallPlan {
    /// Whether the workflow runs now; `None` where that cannot be told.
    pub fn is_ready(&self) -> Option<bool> {
        self.needs.is_ready()
    }
}

impl Workflows {
    /// Fetches what a graph lacks and can be had without doubt, and says what remains.
    pub async fn install(&self, given: Value, options: InstallPlanOptions) -> Result<InstallPlan, Error> {
        let needs = self.requirements(given).await?;
        let mut plan = self.plan(needs, &options.choices);
        if !options.dry_run {
            plan.fetching = Some(self.fetch(plan.planned.clone(), options.priority).await?);
        }
        Ok(plan)
    }

    fn plan(&self, needs: WorkflowRequirements, choices: &BTreeMap<String, Choice>) -> InstallPlan {
        let (mut ready, mut planned) = (Vec::new(), Vec::new());
        let (mut choose, mut impossible) = (Vec::new(), Vec::new());
        for model in &needs.models {
            let question = |reason: String| OpenQuestion { model: model.clone(), reason };
            match fate(model, choices.get(&model.name)) {
                Fate::Ready => ready.push(model.name.clone()),
                Fate::Fetch(file) => {
                    let index = &self.presets.index;
                    match index.refuse_unfinished(file.path.as_str(), &index.expected(&file)) {
                        Ok(()) => planned.push(file),
                        Err(refused) => impossible.push(question(refused.to_string())),
                    }
                }
                Fate::Choose(reason) => choose.push(question(reason)),
                Fate::Impossible(reason) => impossible.push(question(reason)),
            }
        }
        InstallPlan { needs, ready, planned, fetching: None, choose, impossible }
    }
}

/// What becomes of one model file.
#[derive(Debug, PartialEq)]
enum Fate {
    Ready,
    Fetch(ModelFile),
    Choose(String),
    Impossible(String),
}

fn fate(model: &ModelRequirement, chosen: Option<&Choice>) -> Fate {
    if model.present || model.found_as.is_some() {
        return Fate::Ready;
    }
    if let Some(choice) = chosen {
        return chosen_file(model, choice);
    }
    let has_address = model.sources.iter().any(|source| !matches!(source, ModelSource::SameContent(_)));
    let is_certain = model.is_pinned || model.sources.iter().any(|source| matches!(source, ModelSource::Preset { .. }));
    let extension =
        model.name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).unwrap_or_default();
    let name = model.name.rsplit('/').next().unwrap_or(&model.name);
    match model.file() {
        _ if !has_address => Fate::Impossible("no address of a file with this name is known".to_owned()),
        None => Fate::Choose("its folder is not known: the node that names it is not installed".to_owned()),
        Some(file) if is_certain => Fate::Fetch(file),
        Some(_) if GENERAL_NAMES.contains(&name) => Fate::Choose("many different files have this name".to_owned()),
        Some(_) if PICKLE_FORMATS.contains(&&*extension) => {
            Fate::Choose(format!("a .{extension} file can run code when it is loaded, and no hash is known for it"))
        }
        Some(file) => Fate::Fetch(file),
    }
}

fn chosen_file(model: &ModelRequirement, choice: &Choice) -> Fate {
    let folder = choice.folder.clone().or_else(|| model.folder.clone());
    let placed = ModelRequirement { folder, ..model.clone() };
    match placed.path() {
        Some(path) => {
            Fate::Fetch(ModelFile { path, url: choice.url.clone(), stated_size: None, sha256: placed.pinned_hash() })
        }
        None => Fate::Choose("the choice names no folder, or one that leads out of the models folder".to_owned()),
    }
}
