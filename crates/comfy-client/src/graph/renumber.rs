//! Gives nodes of subgraph definitions new ids where an id is used twice in one workflow, as the page does on loading.
//!
//! The ids show in the prompt (`5:12`), so the order of the renumbering matters. Knows only saved data.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::document::SavedGraph;

/// Renumbers within the definitions (all graphs but the first) what collides with the first graph or an earlier definition.
pub(super) fn make_node_ids_distinct(graphs: &mut [SavedGraph], last_node_id: i64) {
    let Some((root, definitions)) = graphs.split_first_mut() else { return };
    let mut used: HashSet<String> = root.nodes.iter().map(|node| node.id.clone()).collect();
    let mut last = last_node_id;
    let mut renamed: HashMap<String, HashMap<String, String>> = HashMap::new();
    for definition in definitions.iter_mut() {
        let changes = renumber(definition, &mut used, &mut last);
        if !changes.is_empty() {
            renamed.insert(definition.id.clone(), changes);
        }
    }
    for node in graphs.iter_mut().flat_map(|graph| graph.nodes.iter_mut()) {
        if let Some(changes) = renamed.get(&node.kind) {
            rename_promoted(node.properties.get_mut("proxyWidgets"), changes);
        }
    }
}

fn renumber(definition: &mut SavedGraph, used: &mut HashSet<String>, last: &mut i64) -> HashMap<String, String> {
    let mut changes = HashMap::new();
    for node in &mut definition.nodes {
        if used.insert(node.id.clone()) {
            if let Some(number) = number(&node.id) {
                *last = (*last).max(number);
            }
            continue;
        }
        let new_id = (*last + 1..).find(|id| !used.contains(&id.to_string())).unwrap_or_default();
        *last = new_id;
        used.insert(new_id.to_string());
        changes.insert(std::mem::replace(&mut node.id, new_id.to_string()), new_id.to_string());
    }
    for link in &mut definition.links {
        for end in [&mut link.origin, &mut link.target] {
            if let Some(new_id) = changes.get(end) {
                end.clone_from(new_id);
            }
        }
    }
    changes
}

fn rename_promoted(proxies: Option<&mut Value>, changes: &HashMap<String, String>) {
    for entry in proxies.and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(first) = entry.get_mut(0) else { continue };
        let old = first.as_str().map(str::to_owned).or_else(|| first.as_i64().map(|id| id.to_string()));
        if let Some(new_id) = old.and_then(|old| changes.get(&old)) {
            *first = Value::String(new_id.clone());
        }
    }
}

fn number(id: &str) -> Option<i64> {
    id.parse().ok().filter(|number: &i64| number.to_string() == id)
}
