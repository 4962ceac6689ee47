//! What a workflow notes of its own needs: `properties.models` of its nodes, and the packages that its nodes come from.
//!
//! Notes go stale when another file is chosen, so a noted file counts only while a node still names it.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Collector, ModelUse, file_name};
use crate::object_info::ObjectInfo;

/// Muted and bypassed nodes need nothing.
const INACTIVE: [i64; 2] = [2, 4];

/// Adds what the nodes of a saved workflow note, at every depth.
pub(super) fn add_noted(
    found: &mut Collector<'_>,
    workflow: &Value,
    prompt: &Map<String, Value>,
    object_info: &ObjectInfo,
) {
    let mut named: HashSet<String> = HashSet::new();
    prompt.values().for_each(|node| collect_names(node.get("inputs").unwrap_or(&Value::Null), &mut named));
    let mut depth = Vec::new();
    all_nodes(workflow, &mut depth);
    for node in depth {
        let node_type = text(node, "type").unwrap_or_default();
        let properties = node.get("properties").unwrap_or(&Value::Null);
        found.note_package(&node_type, text(properties, "cnr_id").or_else(|| text(properties, "aux_id")));
        let mut own = HashSet::new();
        collect_names(node.get("widgets_values").unwrap_or(&Value::Null), &mut own);
        let is_known = object_info.get(&node_type).is_some();
        for model in properties.get("models").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = text(model, "name") else { continue };
            let in_use = if is_known { &named } else { &own };
            let nothing_said = !is_known && own.is_empty();
            if !nothing_said && !in_use.contains(file_name(&name)) {
                continue;
            }
            let need = found.noted(text(model, "directory"), &name);
            need.known = true;
            need.url = need.url.take().or(text(model, "url"));
            let hash = text(model, "hash")
                .filter(|hash| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
            need.sha256 = need.sha256.take().or(hash.map(|hash| hash.to_ascii_lowercase()));
            if need.used_by.is_empty() {
                let id = node.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
                need.used_by.push(ModelUse { node: id.unwrap_or_default(), node_type: node_type.clone(), input: None });
            }
        }
    }
}

fn all_nodes<'a>(graph: &'a Value, found: &mut Vec<&'a Value>) {
    let nodes = graph.get("nodes").and_then(Value::as_array).into_iter().flatten();
    found.extend(
        nodes.filter(|node| !node.get("mode").and_then(Value::as_i64).is_some_and(|mode| INACTIVE.contains(&mode))),
    );
    for definition in graph.pointer("/definitions/subgraphs").and_then(Value::as_array).into_iter().flatten() {
        all_nodes(definition, found);
    }
}

/// The file names among all texts within a value.
fn collect_names(value: &Value, names: &mut HashSet<String>) {
    match value {
        Value::String(text) => drop(names.insert(file_name(text).to_owned())),
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        Value::Object(fields) => fields.values().for_each(|field| collect_names(field, names)),
        _ => {}
    }
}

fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}
