//! Opens a saved workflow as the page does: makes each node from its type, puts saved values in, and finds every link its slot.
//!
//! Definitions that others use are opened first, since a node that stands for a subgraph takes its inputs from it.

use std::collections::{HashMap, HashSet};

use super::document::{SavedBoundary, SavedGraph, SavedNode};
use super::layout::{Layout, inputs_of};
use super::page::{Boundary, Graph, Kind, Lost, Node, NodeAt, Page, Slot, Widget};
use super::{page_nodes, promote, proxy, restore};
use crate::object_info::{NodeType, ObjectInfo, Replacement};

/// The whole workflow, open.
pub(super) fn open(saved: &[SavedGraph], object_info: &ObjectInfo) -> Page {
    let definitions: HashMap<&str, usize> =
        saved.iter().enumerate().skip(1).map(|(index, graph)| (graph.id.as_str(), index)).collect();
    let mut page = Page { graphs: saved.iter().map(|_| Graph::default()).collect() };
    for (index, graph) in saved.iter().enumerate() {
        page.graphs[index].inputs = graph.inputs.iter().map(boundary).collect();
        page.graphs[index].outputs = graph.outputs.iter().map(boundary).collect();
    }
    for index in inner_first(saved, &definitions) {
        open_graph(&mut page, index, &saved[index], &definitions, object_info);
    }
    remove_inputs_without_widget(&mut page);
    page
}

fn open_graph(
    page: &mut Page,
    index: usize,
    saved: &SavedGraph,
    definitions: &HashMap<&str, usize>,
    object_info: &ObjectInfo,
) {
    let nodes = saved.nodes.iter().map(|node| open_node(page, node, definitions, object_info)).collect();
    page.graphs[index].fill(nodes, saved.links.clone());
    page.graphs[index].attach_links(&links_named_by_inputs(&saved.nodes));
    let places = 0..saved.nodes.len();
    let hosts: Vec<NodeAt> =
        places.map(|node| NodeAt { graph: index, node }).filter(|at| page.definition_of(*at).is_some()).collect();
    for host in &hosts {
        promote::promote_values(page, *host, saved.nodes[host.node].values.as_ref());
    }
    for host in hosts {
        proxy::migrate(page, host, saved.nodes[host.node].values.as_ref());
    }
}

fn open_node(page: &Page, saved: &SavedNode, definitions: &HashMap<&str, usize>, object_info: &ObjectInfo) -> Node {
    let mut properties = saved.properties.clone();
    let mut node = Node {
        id: saved.id.clone(),
        class_type: saved.kind.clone(),
        title: saved.title.clone().unwrap_or_default(),
        kind: Kind::Unknown,
        mode: saved.mode,
        slots: Vec::new(),
        widgets: Vec::new(),
        output_kinds: saved.output_kinds.clone(),
        properties: serde_json::Map::new(),
        lost: Vec::new(),
    };
    if let Some(&definition) = definitions.get(saved.kind.as_str()) {
        node.kind = Kind::Subgraph(definition);
        node.slots = page.graphs[definition].inputs.iter().map(slot_for).collect();
        node.output_kinds = page.graphs[definition].outputs.iter().map(|output| output.kind.clone()).collect();
    } else if let Some(node_type) = object_info.get(&saved.kind) {
        open_real(&mut node, saved, node_type);
        let alias = || serde_json::Value::String(saved.kind.clone());
        properties.entry("Node name for S&R").or_insert_with(alias);
    } else if let Some(replacement) = object_info.replacement(&saved.kind) {
        let saves = object_info.get(&replacement.class_type).is_some_and(|node_type| node_type.output_node);
        open_replaced(&mut node, saved, replacement, saves);
    } else {
        open_page_node(&mut node, saved);
    }
    node.properties = properties;
    node
}

fn open_real(node: &mut Node, saved: &SavedNode, node_type: &NodeType) {
    let inputs = inputs_of(node_type);
    let mut layout = Layout::of(&inputs);
    node.lost = restore::restore(&mut layout, &inputs, saved);
    if node_type.lists_its_own_choices() {
        restore::add_own_choices(&mut layout, saved.values.as_ref());
        node.lost.clear();
    }
    for (name, value) in &saved.named_values {
        if let Some(widget) = layout.widgets.iter_mut().find(|widget| widget.name == *name) {
            widget.set(value.clone());
        }
    }
    saved.inputs.iter().for_each(|input| layout.add_saved(saved_slot(input)));
    node.kind = Kind::Real { saves: node_type.output_node };
    node.slots = layout.slots;
    node.widgets = layout.widgets;
    if node.title.is_empty() {
        node.title.clone_from(&node_type.display_name);
    }
    for (slot, kind) in node_type.outputs.iter().enumerate() {
        let kind = if kind == "COMFY_MATCHTYPE_V3" { "*" } else { kind };
        match node.output_kinds.get_mut(slot) {
            Some(known) => kind.clone_into(known),
            None => node.output_kinds.push(kind.to_owned()),
        }
    }
}

/// A node type that is gone, as it was: ComfyUI puts another in its place when the prompt is handed in.
fn open_replaced(node: &mut Node, saved: &SavedNode, replacement: &Replacement, saves: bool) {
    node.kind = Kind::Real { saves };
    node.slots = saved.inputs.iter().map(saved_slot).collect();
    let values = saved.values.as_ref().and_then(serde_json::Value::as_array).into_iter().flatten();
    let named = replacement.widgets.iter().zip(values).filter(|(name, _)| !name.is_empty());
    node.widgets = named.map(|(name, value)| Widget::holding(name, value.clone())).collect();
}

/// A node that ComfyUI does not list: one of the page, or of a pack that is not installed. Of the latter it is known which inputs
/// stand for values, not what the values are.
fn open_page_node(node: &mut Node, saved: &SavedNode) {
    node.slots = saved.inputs.iter().map(saved_slot).collect();
    node.kind = page_nodes::kind_of(&saved.kind);
    match node.kind {
        Kind::Primitive | Kind::Setter | Kind::Getter => {
            let named = saved.named_values.iter().find(|(name, _)| name == "value").map(|(_, value)| value);
            let value = named.or_else(|| saved.values.as_ref().and_then(|values| values.get(0)));
            node.widgets.extend(value.map(|value| Widget::holding("value", value.clone())));
        }
        Kind::Unknown => {
            let names = saved.inputs.iter().filter_map(|input| input.widget.as_deref());
            let unread = |name| Widget { value: None, ..Widget::holding(name, serde_json::Value::Null) };
            node.widgets = names.map(unread).collect();
            node.lost.extend(saved.values.clone().map(|value| Lost { name: None, value }));
        }
        _ => {}
    }
}

fn saved_slot(input: &super::document::SavedInput) -> Slot {
    Slot { name: input.name.clone(), kind: input.kind.clone(), widget: input.widget.clone(), ..Slot::default() }
}

fn slot_for(input: &Boundary) -> Slot {
    Slot { name: input.name.clone(), kind: input.kind.clone(), ..Slot::default() }
}

fn boundary(saved: &SavedBoundary) -> Boundary {
    Boundary { name: saved.name.clone(), kind: saved.kind.clone(), links: saved.links.clone() }
}

fn links_named_by_inputs(nodes: &[SavedNode]) -> HashMap<i64, (String, Vec<String>)> {
    let mut named: HashMap<i64, (String, Vec<String>)> = HashMap::new();
    for node in nodes {
        for input in &node.inputs {
            let Some(link) = input.link else { continue };
            let entry = named.entry(link).or_insert_with(|| (node.id.clone(), Vec::new()));
            if entry.0 == node.id {
                entry.1.push(input.name.clone());
            }
        }
    }
    named
}

/// An input that stood for a value which its node type no longer has goes, and its link with it.
fn remove_inputs_without_widget(page: &mut Page) {
    for graph in &mut page.graphs {
        for node in 0..graph.nodes.len() {
            if !matches!(graph.nodes[node].kind, Kind::Real { .. }) {
                continue;
            }
            let mut slot = 0;
            while slot < graph.nodes[node].slots.len() {
                let owner = &graph.nodes[node];
                let lost = owner.slots[slot].widget.as_ref().is_some_and(|name| owner.widget(name).is_none());
                if lost {
                    graph.remove_slot(node, slot);
                }
                // Stepping on after a removal too: the page walks the list that it shortens.
                slot += 1;
            }
        }
    }
}

/// Every graph after those that it uses, the workflow's own level last; in the given order where they use each other in a ring.
fn inner_first(saved: &[SavedGraph], definitions: &HashMap<&str, usize>) -> Vec<usize> {
    let uses = |index: usize| -> HashSet<usize> {
        saved[index].nodes.iter().filter_map(|node| definitions.get(node.kind.as_str()).copied()).collect()
    };
    let mut order: Vec<usize> = Vec::with_capacity(saved.len());
    let mut waiting: Vec<usize> = (1..saved.len()).collect();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|index| uses(*index).iter().all(|used| order.contains(used)));
        order.push(waiting.remove(ready.unwrap_or(0)));
    }
    order.push(0);
    order
}
