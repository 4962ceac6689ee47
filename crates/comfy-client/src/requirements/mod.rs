//! What a workflow needs before it runs: model files, custom nodes; and what kind of thing it makes.
//!
//! Pure: in goes a workflow of either format and what ComfyUI lists. Where a file can be had and whether it fits is not
//! known here.

mod collector;
mod file_index;
mod folder;
mod media;
mod mentioned;
mod paths;
mod saved;
mod texts;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::graph::{self, Judged, is_ui_format};
use crate::object_info::ObjectInfo;
use collector::Collector;
use file_index::FileIndex;

pub use media::{MediaKind, kind_of_types, media_kind};
pub use paths::{FixedPath, fix_paths};

/// Folder name (`checkpoints`) to the files in it, as `/models/{folder}` lists them.
pub type FolderLists = BTreeMap<String, Vec<String>>;

/// What a workflow needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requirements {
    /// Each model file once, in the order of the graph; those that only nodes of unknown types name come last.
    pub models: Vec<ModelNeed>,
    /// Node types that this ComfyUI lacks, each once.
    pub unknown_nodes: Vec<UnknownNode>,
}

/// One model file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelNeed {
    /// Its folder under the models, such as `checkpoints`; `None` where nothing tells.
    pub folder: Option<String>,
    /// Its name, with the subfolder that the workflow says, `/` between them.
    pub name: String,
    /// Where the workflow says that it comes from.
    pub url: Option<String>,
    /// Its SHA-256 in lower-case hex, where the workflow says.
    pub sha256: Option<String>,
    /// Who uses it.
    pub used_by: Vec<ModelUse>,
    /// Whether ComfyUI lists it under this very name; `None` where no list tells.
    pub listed: Option<bool>,
    /// The same file name in another subfolder, as ComfyUI lists it.
    pub listed_as: Option<String>,
    /// Whether an input that reads a model file or the workflow's notes name it; else only a value of a node that ComfyUI does
    /// not list, which may be anything.
    pub known: bool,
}

/// One input that names a model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelUse {
    /// Id of the node, as in the prompt.
    pub node: String,
    /// Its type.
    pub node_type: String,
    /// The input; `None` where only the workflow's notes name the file.
    pub input: Option<String>,
}

/// One node type that this ComfyUI lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownNode {
    /// The type.
    pub node_type: String,
    /// Ids of the nodes of that type.
    pub nodes: Vec<String>,
    /// Name of the package that brings it, where the workflow says: an id of the Comfy registry or `owner/repository`.
    pub package: Option<String>,
}

/// What a workflow of either format needs. Without `object_info` only what the workflow says of itself is known.
pub fn requirements(workflow: &Value, object_info: &ObjectInfo, folders: &FolderLists) -> Requirements {
    let mut found = Collector::new(object_info, folders);
    let (prompt, unknown) = if is_ui_format(workflow) {
        let Judged { converted, unknown, .. } = graph::convert_what_is_known(workflow, object_info);
        (converted.prompt, unknown)
    } else {
        (workflow.as_object().cloned().unwrap_or_default(), Vec::new())
    };
    for (id, node) in &prompt {
        let Some(class_type) = node.get("class_type").and_then(Value::as_str) else { continue };
        if !object_info.runs(class_type) {
            found.add_unknown(class_type, id.clone());
        }
        found.add_inputs(id, class_type, node);
    }
    for node in unknown {
        found.add_values(&node);
        found.add_unknown(&node.class_type, node.id);
    }
    saved::add_noted(&mut found, workflow, &prompt, object_info);
    found.finish()
}

impl ModelNeed {
    fn note(&mut self, files: &FileIndex<'_>) {
        let exact = files.has(&self.name);
        self.listed = Some(exact || self.listed == Some(true));
        if !exact && self.listed_as.is_none() {
            self.listed_as = files.elsewhere(&self.name).map(str::to_owned);
        }
        if self.listed == Some(true) {
            self.listed_as = None;
        }
    }
}

/// Whether a value names a file with weights.
pub(crate) fn is_model_file(value: &str) -> bool {
    let extensions = ["safetensors", "sft", "ckpt", "pt", "pt2", "pth", "bin", "gguf", "onnx", "pkl"];
    let extension = value.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| extensions.contains(&extension.as_str()))
}

/// The last part of a path, whichever slashes it has.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
