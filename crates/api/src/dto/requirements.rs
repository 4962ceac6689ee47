//! What a workflow needs, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use service::workflows as view;
use utoipa::ToSchema;

use super::Priority;
use super::units::gigabytes;
use crate::extract::OfFile;

/// A graph.
#[derive(Debug, Deserialize, ToSchema)]
pub struct GraphRequest {
    /// The graph, in either format, wrapped or not, or its JSON as a text.
    #[schema(value_type = Object)]
    workflow: Option<Value>,
    /// A graph that stands alone, or in a wrapper of another name.
    #[serde(flatten)]
    #[schema(ignore)]
    rest: Map<String, Value>,
}

/// No keys beside the graph.
#[derive(Debug, Deserialize)]
pub struct NoKeys {}

impl OfFile for GraphRequest {
    type Query = NoKeys;

    fn of_file(graph: Value, _: NoKeys) -> Self {
        Self { workflow: Some(graph), rest: Map::new() }
    }
}

impl GraphRequest {
    /// What was given for a graph.
    pub fn given(self) -> Value {
        self.workflow.unwrap_or(Value::Object(self.rest))
    }
}

/// A graph as `/prompt` takes it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConvertedWorkflow {
    /// Node id to node.
    #[schema(value_type = Object)]
    pub workflow: Value,
    /// What was taken differently from what ComfyUI's page might do.
    pub warnings: Vec<String>,
}

impl From<service::prompts::ConvertedWorkflow> for ConvertedWorkflow {
    fn from(converted: service::prompts::ConvertedWorkflow) -> Self {
        Self { workflow: Value::Object(converted.workflow), warnings: converted.warnings }
    }
}

/// Which node and input asks for a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelUse {
    /// Id of the node.
    pub node: String,
    /// Its type.
    pub node_type: String,
    /// The input; `null` where only the workflow's notes name the file.
    pub input: Option<String>,
}

/// Where a model file can be had.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelSource {
    /// `preset`, `workflow`, `template` (an official template of ComfyUI notes it), or `same_content`: a file with the same hash is
    /// on the disk.
    pub r#type: String,
    /// The preset.
    pub preset_id: Option<String>,
    /// The address.
    pub url: Option<String>,
    /// The file on the disk, below the models folder.
    pub path: Option<String>,
}

impl From<view::ModelSource> for ModelSource {
    fn from(source: view::ModelSource) -> Self {
        let source_of = |kind: &str| Self { r#type: kind.to_owned(), preset_id: None, url: None, path: None };
        match source {
            view::ModelSource::SameContent(path) => Self { path: Some(path), ..source_of("same_content") },
            view::ModelSource::Preset { id, url } => {
                Self { preset_id: Some(id.to_string()), url: Some(url), ..source_of("preset") }
            }
            view::ModelSource::Workflow { url } => Self { url: Some(url), ..source_of("workflow") },
            view::ModelSource::Template { url } => Self { url: Some(url), ..source_of("template") },
        }
    }
}

/// One model file that a workflow needs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelRequirement {
    /// Its folder; `null` where nothing tells.
    pub folder: Option<String>,
    /// Its name, as the graph says it.
    pub name: String,
    /// Where it belongs, below the models folder.
    pub path: Option<String>,
    /// `present` or `missing`.
    pub status: String,
    /// The same name in another subfolder: execute with `fix_paths=true` to use it.
    pub found_as: Option<String>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// The size is exact, not a registry's estimate.
    pub size_exact: bool,
    /// Its SHA-256.
    pub sha256: Option<String>,
    /// Where it can be had, the best first.
    pub sources: Vec<ModelSource>,
    /// Which nodes ask for it.
    pub used_by: Vec<ModelUse>,
    /// The graph is known to need it. `false`: only a value of a node that ComfyUI does not list names it.
    pub known: bool,
}

impl From<view::ModelRequirement> for ModelRequirement {
    fn from(model: view::ModelRequirement) -> Self {
        let path = model.path().map(|path| path.as_str().to_owned());
        let used_by = model.used_by.into_iter().map(|used| ModelUse {
            node: used.node,
            node_type: used.node_type,
            input: used.input,
        });
        Self {
            folder: model.folder,
            name: model.name,
            path,
            status: if model.present { "present" } else { "missing" }.to_owned(),
            found_as: model.found_as,
            size_bytes: model.size_bytes,
            size_exact: model.size_exact,
            sha256: model.sha256,
            sources: model.sources.into_iter().map(ModelSource::from).collect(),
            used_by: used_by.collect(),
            known: model.known,
        }
    }
}

/// A node type that ComfyUI lacks.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MissingNode {
    /// The type.
    pub node_type: String,
    /// Ids of the nodes.
    pub nodes: Vec<String>,
    /// The package that brings it, where the workflow says.
    pub package: Option<String>,
}

/// Whether what is missing fits the disk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DiskFit {
    /// It does.
    pub fits: bool,
    /// Bytes of what is missing, as far as known.
    pub needed_bytes: u64,
    /// The same in units of 2^30 bytes.
    pub needed_gb: f64,
    /// Whether each of the sizes is exact.
    pub exact: bool,
    /// Bytes that may be written.
    pub available_bytes: u64,
}

/// Whether the workflow fits the largest card.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VramFit {
    /// It does; `null` where one of the two figures is not known.
    pub fits: Option<bool>,
    /// What it asks for, in GB.
    pub needed_gb: Option<f64>,
    /// How that is known.
    pub basis: Option<String>,
    /// What the card has, in GB.
    pub available_gb: Option<f64>,
}

/// What a workflow needs, and whether it will run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Requirements {
    /// It can run at once; `null` where that cannot be told: ComfyUI was not there to be asked, or does not know a node.
    pub ready: Option<bool>,
    /// Each model file.
    pub models: Vec<ModelRequirement>,
    /// Node types that ComfyUI lacks.
    pub missing_nodes: Vec<MissingNode>,
    /// ComfyUI was there to be asked.
    pub comfyui_asked: bool,
    /// The disk.
    pub disk: DiskFit,
    /// The card.
    pub vram: VramFit,
}

impl From<view::WorkflowRequirements> for Requirements {
    fn from(needs: view::WorkflowRequirements) -> Self {
        let one_decimal = |gb: f64| (gb * 10.0).round() / 10.0;
        let ready = needs.is_ready();
        let (needed, basis) = needs.vram.map(|vram| (vram.vram_gb, vram.basis)).unzip();
        let nodes = needs.missing_nodes.into_iter().map(|node| MissingNode {
            node_type: node.node_type,
            nodes: node.nodes,
            package: node.package,
        });
        Self {
            ready,
            models: needs.models.into_iter().map(ModelRequirement::from).collect(),
            missing_nodes: nodes.collect(),
            comfyui_asked: needs.comfyui_asked,
            disk: DiskFit {
                fits: needs.fits_disk,
                needed_bytes: needs.bytes_to_fetch,
                needed_gb: gigabytes(needs.bytes_to_fetch),
                exact: needs.bytes_exact,
                available_bytes: needs.disk_available_bytes,
            },
            vram: VramFit {
                fits: needs.fits_vram,
                needed_gb: needed.map(one_decimal),
                basis,
                available_gb: needs.vram_available_gb.map(one_decimal),
            },
        }
    }
}

/// How to fetch what a workflow lacks.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct InstallRequirementsRequest {
    /// How urgent it is.
    pub priority: Priority,
}

/// What was begun for a workflow.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RequirementsInstalled {
    /// `installing`; `complete` where nothing is missing; `incomplete` where what is missing cannot be judged.
    pub status: String,
    /// The workflow.
    pub workflow_id: String,
    /// The download that brings what is missing.
    pub download_id: Option<String>,
    /// The files that it brings, below the models folder.
    pub files: Vec<String>,
    /// Files that another download is bringing already.
    pub already_downloading: Vec<String>,
    /// Model files that are missing and for which no address is known.
    pub without_source: Vec<String>,
    /// Model files that nodes which ComfyUI does not list may need; they are not fetched.
    pub unjudged: Vec<String>,
    /// Bytes that are fetched, as far as known.
    pub total_bytes: u64,
    /// The same in units of 2^30 bytes.
    pub total_size_gb: f64,
}

impl RequirementsInstalled {
    /// What was begun for this workflow.
    pub fn new(workflow_id: String, begun: view::RequirementsInstalled) -> Self {
        let status = match &begun.download_id {
            Some(_) => "installing",
            None if begun.unjudged.is_empty() => "complete",
            None => "incomplete",
        };
        Self {
            status: status.to_owned(),
            workflow_id,
            download_id: begun.download_id,
            files: begun.files,
            already_downloading: begun.already_fetched,
            without_source: begun.without_source,
            unjudged: begun.unjudged,
            total_bytes: begun.total_bytes,
            total_size_gb: gigabytes(begun.total_bytes),
        }
    }
}
