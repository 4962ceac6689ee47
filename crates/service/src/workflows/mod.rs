//! Workflows: the shipped templates, those that people save here, and those that ComfyUI's own page saved.
//!
//! Only the second kind can be changed. A graph is kept as it was given, in either format; whether it can run is asked
//! when it runs.

mod folder;
mod forms;
mod id;
mod install;
mod list;
mod lookup;
mod needs;
mod plan;
mod save;
mod templates;
mod view;

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use comfy_client::{Fault, embedded};
pub use install::{Fetching, RequirementsInstalled};
pub use needs::{ModelRequirement, ModelSource, NeededVram, NodeRequirement, WorkflowRequirements};
pub use plan::{Choice, InstallPlan, InstallPlanOptions, OpenQuestion};
pub use view::{
    NewWorkflow, WorkflowChange, WorkflowDetail, WorkflowFormat, WorkflowOrigin, WorkflowQuery, WorkflowSaved,
    WorkflowSort, WorkflowView,
};

use crate::{Error, Resource, comfy::Comfy, presets::Presets, system::System, tasks::blocking};
use folder::UserFile;
pub(crate) use folder::UserFolder;
pub(crate) use forms::graph_in;
use id::WorkflowId;

/// Most bytes of a graph.
pub const LARGEST_WORKFLOW: u64 = 10 << 20;

/// Every workflow there is. Cheap to clone.
#[derive(Clone)]
pub struct Workflows {
    folder: UserFolder,
    comfy: Comfy,
    presets: Presets,
    system: System,
    /// Held from the look at a file's tag to its replacement, so that two writers never both find the old one.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Workflows {
    pub(crate) fn new(folder: UserFolder, comfy: Comfy, presets: Presets, system: System) -> Self {
        Self { folder, comfy, presets, system, writing: Arc::default() }
    }

    /// A workflow with its graph.
    pub async fn get(&self, id: &str) -> Result<WorkflowDetail, Error> {
        match WorkflowId::parse(id) {
            Some(WorkflowId::Template(template)) => template.detail(),
            Some(WorkflowId::User(name)) => {
                let (folder, wanted) = (self.folder.clone(), name.clone());
                let unknown = unknown(id);
                // A file of megabytes takes its time to be parsed.
                blocking(move || folder.read(&wanted)?.ok_or(unknown)?.detail()).await?
            }
            Some(WorkflowId::Comfy(path)) => {
                let graph = self.comfy.client.saved_workflow(&path).await?.ok_or_else(|| unknown(id))?;
                Ok(list::detail_of_saved(&path, graph))
            }
            None => Err(unknown(id)),
        }
    }

    /// The user's file behind an id that is about to be changed; templates and ComfyUI's own are not ours to change.
    fn own(&self, id: &str) -> Result<id::FileName, Error> {
        match WorkflowId::parse(id) {
            Some(WorkflowId::User(name)) => Ok(name),
            Some(WorkflowId::Template(_)) => {
                Err(Error::Forbidden(format!("'{id}' is a template; save a copy of it and change that")))
            }
            Some(WorkflowId::Comfy(_)) => Err(Error::Forbidden(format!(
                "'{id}' belongs to ComfyUI's own page; change it there, or save a copy of it here"
            ))),
            None => Err(unknown(id)),
        }
    }
}

/// The tag of a workflow: it changes with any byte of the graph or of what is said about it.
fn etag_of(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// The format of a graph, as far as can be told from its outermost keys.
fn format_of(graph: &Value) -> WorkflowFormat {
    if comfy_client::graph::is_ui_format(graph) { WorkflowFormat::Ui } else { WorkflowFormat::Api }
}

fn unknown(id: &str) -> Error {
    Error::NotFound { resource: Resource::Workflow, id: id.to_owned() }
}
