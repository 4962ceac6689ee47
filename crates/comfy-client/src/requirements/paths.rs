//! Model files that lie in another subfolder than a prompt says: found by name, and put right.

use serde_json::{Map, Value};

use super::{file_index::FileIndex, is_model_file};
use crate::object_info::ObjectInfo;

/// One input that was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedPath {
    /// Id of the node.
    pub node: String,
    /// The input.
    pub input: String,
    /// What it said.
    pub from: String,
    /// What it says now.
    pub to: String,
}

/// Puts the path that ComfyUI lists into every input that names a listed file by another path.
pub fn fix_paths(prompt: &mut Map<String, Value>, object_info: &ObjectInfo) -> Vec<FixedPath> {
    let mut fixed = Vec::new();
    for (id, node) in prompt {
        let node_type = node.get("class_type").and_then(Value::as_str).and_then(|name| object_info.get(name));
        let inputs = node.get_mut("inputs").and_then(Value::as_object_mut);
        let (Some(node_type), Some(inputs)) = (node_type, inputs) else { continue };
        for (name, value) in inputs {
            let Some(choices) = node_type.input(name).and_then(|spec| spec.choices.as_ref()) else { continue };
            let files = || choices.iter().filter_map(Value::as_str);
            let is_listed = |file: &str| files().any(|listed| listed == file);
            let Some(from) = value.as_str().filter(|file| is_model_file(file) && !is_listed(file)) else { continue };
            let Some(to) = FileIndex::of(files()).elsewhere(from) else { continue };
            fixed.push(FixedPath { node: id.clone(), input: name.clone(), from: from.to_owned(), to: to.to_owned() });
            *value = Value::from(to);
        }
    }
    fixed
}
