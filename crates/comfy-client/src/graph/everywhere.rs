//! Links that the script of cg-use-everywhere makes when the page queues a prompt. It notes them in `extra.ue_links`, so that a
//! saved workflow can be read without it.
//!
//! Source: `js/use_everywhere_utilities.js` of cg-use-everywhere (`{upstream, upstream_slot, downstream, downstream_slot}`).

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::document::{SavedGraph, SavedLink, SavedNode, id, slot};
use super::page::{BYPASSED, MUTED};
use super::page_nodes;

/// Adds the noted links at the workflow's own level; an input that is linked keeps its link. Answers with warnings.
pub(super) fn add_links(graph: &mut SavedGraph, workflow: &Value) -> Vec<String> {
    let Some(noted) = workflow.pointer("/extra/ue_links").and_then(Value::as_array) else {
        return graph.nodes.iter().filter(|node| hands_out_links(node)).map(unnoted).collect();
    };
    let places: HashMap<String, usize> =
        graph.nodes.iter().enumerate().map(|(place, node)| (node.id.clone(), place)).collect();
    let mut last = graph.links.iter().map(|link| link.id).max().unwrap_or(0);
    let mut linked: HashSet<(String, usize)> =
        graph.links.iter().map(|link| (link.target.clone(), link.target_slot)).collect();
    let mut warnings = Vec::new();
    for link in noted {
        let ends = (|| {
            let origin = id(link.get("upstream"))?;
            let target = id(link.get("downstream"))?;
            let slots = (slot(link.get("upstream_slot"))?, slot(link.get("downstream_slot"))?);
            let node = *places.get(&target).filter(|_| places.contains_key(&origin))?;
            graph.nodes[node].inputs.get(slots.1)?;
            Some((origin, slots.0, target, slots.1, node))
        })();
        let Some((origin, origin_slot, target, target_slot, node)) = ends else {
            warnings.push(format!("a link of Use Everywhere found no place: {link}"));
            continue;
        };
        if linked.insert((target.clone(), target_slot)) {
            last += 1;
            graph.nodes[node].inputs[target_slot].link = Some(last);
            graph.links.push(SavedLink { id: last, origin, origin_slot, target, target_slot });
        }
    }
    warnings
}

fn hands_out_links(node: &SavedNode) -> bool {
    page_nodes::links_when_queued(&node.kind)
        && ![MUTED, BYPASSED].contains(&node.mode)
        && node.inputs.iter().any(|input| input.link.is_some())
}

fn unnoted(node: &SavedNode) -> String {
    format!(
        "node {} ({}): its links are made when the page queues the prompt, and this file does not have them; save it again with \
         a newer Use Everywhere, or link the inputs by hand",
        node.id, node.kind
    )
}
