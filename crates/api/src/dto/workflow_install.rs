//! A workflow from anywhere and what became of it, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use service::workflows as view;
use utoipa::{IntoParams, ToSchema};

use super::Priority;
use super::requirements::{DiskFit, MissingNode, ModelSource, ModelUse, Requirements, VramFit};
use super::units::gigabytes;
use crate::extract::OfFile;

/// A workflow to install, and what was chosen for it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct InstallWorkflowRequest {
    /// The graph, in either format, wrapped or not, or its JSON as a text.
    #[schema(value_type = Object)]
    workflow: Option<Value>,
    /// How urgent it is.
    #[serde(default)]
    priority: Priority,
    /// Only says what would be done.
    #[serde(default)]
    dry_run: bool,
    /// By the name of a model file, where it shall come from: the answer to `choose`.
    #[serde(default)]
    choices: BTreeMap<String, ModelChoice>,
    /// A graph that stands alone, or in a wrapper of another name.
    #[serde(flatten)]
    #[schema(ignore)]
    rest: Map<String, Value>,
}

/// Where a model file shall come from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelChoice {
    /// Its address.
    pub url: String,
    /// Its folder, where the workflow does not tell it: `loras`.
    pub folder: Option<String>,
}

/// The keys beside a workflow that comes as a file.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InstallWorkflowQuery {
    /// How urgent it is.
    #[serde(default)]
    #[param(required = false)]
    priority: Priority,
    /// Only says what would be done.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
}

impl OfFile for InstallWorkflowRequest {
    type Query = InstallWorkflowQuery;

    fn of_file(graph: Value, query: InstallWorkflowQuery) -> Self {
        let InstallWorkflowQuery { priority, dry_run } = query;
        Self { workflow: Some(graph), priority, dry_run, ..Self::default() }
    }
}

impl InstallWorkflowRequest {
    /// A graph to install.
    pub fn new(graph: Value, priority: Priority, dry_run: bool, choices: BTreeMap<String, ModelChoice>) -> Self {
        Self { workflow: Some(graph), priority, dry_run, choices, rest: Map::new() }
    }

    /// What was given for a graph, and how it is installed. `dry_run` may stand in the query too.
    pub fn split(self, query: &InstallWorkflowQuery) -> (Value, view::InstallPlanOptions) {
        let choice = |(name, choice): (String, ModelChoice)| {
            let ModelChoice { url, folder } = choice;
            (name, view::Choice { url, folder })
        };
        let options = view::InstallPlanOptions {
            dry_run: self.dry_run || query.dry_run,
            priority: self.priority,
            choices: self.choices.into_iter().map(choice).collect(),
        };
        (self.workflow.unwrap_or(Value::Object(self.rest)), options)
    }
}

/// A file that is fetched, or would be.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PlannedFile {
    /// Where it belongs, below the models folder.
    pub path: String,
    /// Where it comes from.
    pub url: String,
    /// Its size, where known.
    pub size_bytes: Option<u64>,
}

/// A model file that is not fetched as it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenQuestion {
    /// Its name, as the graph says it: the key for `choices`.
    pub name: String,
    /// Its folder; `null` where nothing tells.
    pub folder: Option<String>,
    /// Why it is not fetched.
    pub reason: String,
    /// Where it could come from.
    pub candidates: Vec<ModelSource>,
    /// Its SHA-256, where known.
    pub sha256: Option<String>,
    /// Which nodes ask for it.
    pub used_by: Vec<ModelUse>,
}

impl From<view::OpenQuestion> for OpenQuestion {
    fn from(question: view::OpenQuestion) -> Self {
        let super::requirements::ModelRequirement { name, folder, sources, sha256, used_by, .. } =
            question.model.into();
        Self { name, folder, reason: question.reason, candidates: sources, sha256, used_by }
    }
}

/// What became of a workflow, or would.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkflowInstall {
    /// `ready`: it can run now. `installing`: files are on their way. `incomplete`: see `choose`, `impossible` and `missing_nodes`.
    /// Of a dry run, what it would be.
    pub status: String,
    /// Nothing was begun.
    pub dry_run: bool,
    /// It can run now; `null` where that cannot be told.
    pub ready: Option<bool>,
    /// The download that brings what is missing.
    pub download_id: Option<String>,
    /// Names of model files that are here.
    pub present: Vec<String>,
    /// Files that are fetched.
    pub fetching: Vec<PlannedFile>,
    /// Files of which somebody has to say where they come from: ask again with `choices`.
    pub choose: Vec<OpenQuestion>,
    /// Files that cannot be had.
    pub impossible: Vec<OpenQuestion>,
    /// Node types that ComfyUI lacks.
    pub missing_nodes: Vec<MissingNode>,
    /// ComfyUI was there to be asked.
    pub comfyui_asked: bool,
    /// Bytes that are fetched, as far as known.
    pub total_bytes: u64,
    /// The same in units of 2^30 bytes.
    pub total_size_gb: f64,
    /// The disk.
    pub disk: DiskFit,
    /// The card.
    pub vram: VramFit,
}

impl WorkflowInstall {
    /// Whether files are on their way.
    pub fn is_installing(&self) -> bool {
        self.download_id.is_some()
    }
}

impl From<view::InstallPlan> for WorkflowInstall {
    fn from(plan: view::InstallPlan) -> Self {
        let view::InstallPlan { needs, ready, planned, fetching, choose, impossible } = plan;
        let size = |path: &str| {
            let is_it = |model: &&view::ModelRequirement| model.path().is_some_and(|own| own.as_str() == path);
            needs.models.iter().find(is_it).and_then(|model| model.size_bytes)
        };
        let planned: Vec<PlannedFile> = planned
            .into_iter()
            .map(|file| PlannedFile {
                size_bytes: file.stated_size.or_else(|| size(file.path.as_str())),
                path: file.path.as_str().to_owned(),
                url: file.url,
            })
            .collect();
        let total_bytes = planned.iter().filter_map(|file| file.size_bytes).sum();
        let status = match needs.is_ready() {
            Some(true) => "ready",
            _ if !planned.is_empty() => "installing",
            _ => "incomplete",
        };
        let dry_run = fetching.is_none();
        let download_id = fetching.and_then(|fetching| fetching.download_id);
        let Requirements { ready: is_ready, missing_nodes, comfyui_asked, disk, vram, .. } = needs.into();
        Self {
            status: status.to_owned(),
            dry_run,
            ready: is_ready,
            download_id,
            present: ready,
            fetching: planned,
            choose: choose.into_iter().map(OpenQuestion::from).collect(),
            impossible: impossible.into_iter().map(OpenQuestion::from).collect(),
            missing_nodes,
            comfyui_asked,
            total_bytes,
            total_size_gb: gigabytes(total_bytes),
            disk,
            vram,
        }
    }
}
