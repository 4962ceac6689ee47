//! What a workflow needs before it runs: model files, custom nodes; and what kind of thing it makes.
//!
//! Pure: in goes a workflow of either format and what ComfyUI lists. Where a file can be had and whether it fits is not
//! known here.

mod folder;
mod media;
mod mentioned;
mod paths;
mod saved;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::graph::{self, Judged, UnknownNode as UnknownValues, is_ui_format};
use crate::object_info::{InputSpec, ObjectInfo};

pub use media::{MediaKind, kind_of_types, media_kind};
pub use paths::{FixedPath, fix_paths};

/// Folder name (`checkpoints`) to the files in it, as `/models/{folder}` lists them.
pub type FolderLists = BTreeMap<String, Vec<String>>;

/// What a workflow needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requirements {
    /// Each model file once, in the order of the graph.
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
    let mut found = Requirements::default();
    let prompt = if is_ui_format(workflow) {
        let Judged { converted, unknown, .. } = graph::convert_what_is_known(workflow, object_info);
        for node in unknown {
            found.add_values(&node, folders);
            found.add_unknown(node.class_type, node.id);
        }
        converted.prompt
    } else {
        workflow.as_object().cloned().unwrap_or_default()
    };
    for (id, node) in &prompt {
        let Some(class_type) = node.get("class_type").and_then(Value::as_str) else { continue };
        if !object_info.runs(class_type) {
            found.add_unknown(class_type.to_owned(), id.clone());
        }
        found.add_inputs(id, class_type, node, object_info, folders);
    }
    saved::add_noted(&mut found, workflow, &prompt, object_info);
    for model in &mut found.models {
        model.look_up(folders);
    }
    found
}

impl Requirements {
    fn add_unknown(&mut self, node_type: String, node: String) {
        match self.unknown_nodes.iter_mut().find(|known| known.node_type == node_type) {
            Some(known) if known.nodes.contains(&node) => {}
            Some(known) => known.nodes.push(node),
            None => self.unknown_nodes.push(UnknownNode { node_type, nodes: vec![node], package: None }),
        }
    }

    fn add_inputs(
        &mut self,
        id: &str,
        class_type: &str,
        node: &Value,
        object_info: &ObjectInfo,
        folders: &FolderLists,
    ) {
        let empty = Map::new();
        let node_type = object_info.get(class_type);
        for (name, value) in node.get("inputs").and_then(Value::as_object).unwrap_or(&empty) {
            let spec = node_type.and_then(|node_type| node_type.input(name));
            let is_list = spec.is_none_or(|spec| spec.choices.is_some());
            let used_by =
                || ModelUse { node: id.to_owned(), node_type: class_type.to_owned(), input: Some(name.clone()) };
            for Text { key, text } in texts(name, value) {
                if is_model_file(text) && (is_list || key != name) {
                    let folder = folder::folder_of(node_type, spec, key, folders);
                    let model = self.model(folder, text);
                    model.known |= node_type.is_some();
                    model.used_by.push(used_by());
                    if let Some(spec) = spec {
                        model.look_among(spec);
                    }
                }
                self.add_mentioned(text, &used_by(), node_type.is_some(), folders);
            }
        }
    }

    /// Of a node of a pack that is not installed the values are known, not what each of them is for.
    fn add_values(&mut self, node: &UnknownValues, folders: &FolderLists) {
        let used_by = || ModelUse { node: node.id.clone(), node_type: node.class_type.clone(), input: None };
        for Text { key, text } in node.values.iter().flat_map(|value| texts("", value)) {
            if is_model_file(text) {
                let hint = if key.is_empty() { &node.class_type } else { key };
                let folder = folder::by_meaning(hint, &node.outputs).map(str::to_owned);
                self.model(folder, text).used_by.push(used_by());
            }
            self.add_mentioned(text, &used_by(), false, folders);
        }
    }

    fn add_mentioned(&mut self, text: &str, used_by: &ModelUse, known: bool, folders: &FolderLists) {
        for (folder, name) in mentioned::files_in(text) {
            let name = mentioned::with_extension(folder, name, folders);
            let model = self.model(Some(folder.to_owned()), &name);
            model.known |= known;
            if !model.used_by.contains(used_by) {
                model.used_by.push(used_by.clone());
            }
        }
    }

    /// The entry of a file: the same file name in the same folder, or in one that is not known, is the same file.
    fn model(&mut self, folder: Option<String>, file: &str) -> &mut ModelNeed {
        let name = file.replace('\\', "/");
        let same = |model: &ModelNeed| {
            file_name(&model.name) == file_name(&name)
                && (model.folder == folder || model.folder.is_none() || folder.is_none())
        };
        let place = match self.models.iter().position(same) {
            Some(place) => place,
            None => {
                self.models.push(ModelNeed { name, ..ModelNeed::default() });
                self.models.len() - 1
            }
        };
        let model = &mut self.models[place];
        model.folder = model.folder.take().or(folder);
        model
    }

    /// The entry of a file that the workflow notes; the folder that it notes counts for more than the one read off an input.
    fn noted(&mut self, folder: Option<String>, file: &str) -> &mut ModelNeed {
        let of_name: Vec<usize> =
            (0..self.models.len()).filter(|place| file_name(&self.models[*place].name) == file_name(file)).collect();
        match (of_name.as_slice(), folder) {
            ([only], Some(folder)) => {
                let model = &mut self.models[*only];
                model.folder = Some(folder);
                model
            }
            (_, folder) => self.model(folder, file),
        }
    }
}

impl ModelNeed {
    fn look_among(&mut self, spec: &InputSpec) {
        let choices: Vec<&str> = spec.choices.iter().flatten().filter_map(Value::as_str).collect();
        self.note(&choices);
    }

    fn look_up(&mut self, folders: &FolderLists) {
        if let Some(files) = self.folder.as_ref().and_then(|folder| folders.get(folder)) {
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            self.note(&files);
        }
    }

    fn note(&mut self, files: &[&str]) {
        let exact = files.iter().any(|file| file.replace('\\', "/") == self.name);
        self.listed = Some(exact || self.listed == Some(true));
        if !exact && self.listed_as.is_none() {
            self.listed_as = paths::elsewhere(&self.name, files).map(str::to_owned);
        }
        if self.listed == Some(true) {
            self.listed_as = None;
        }
    }
}

/// A text within a value, and the key that it stands under.
struct Text<'a> {
    key: &'a str,
    text: &'a str,
}

/// All texts of a value that is called `key`. A row that is switched off needs nothing.
fn texts<'a>(key: &'a str, value: &'a Value) -> Vec<Text<'a>> {
    match value {
        Value::String(text) => vec![Text { key, text }],
        Value::Array(items) => items.iter().flat_map(|item| texts(key, item)).collect(),
        Value::Object(fields) if fields.get("on") != Some(&Value::Bool(false)) => {
            fields.iter().flat_map(|(key, field)| texts(key, field)).collect()
        }
        _ => Vec::new(),
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
