//! A saved workflow as plain data: nodes, links and subgraph definitions, from any version of the page's format.
//!
//! Owns the leniency (link arrays and link objects, numeric and text ids, nested definitions, ids used twice). What a
//! node type means and what a value is for is not known here.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// The id under which links name the inputs of the subgraph that they are in.
pub(super) const INPUTS_OF_SUBGRAPH: &str = "-10";
/// The id under which links name the outputs of the subgraph that they are in.
pub(super) const OUTPUTS_OF_SUBGRAPH: &str = "-20";

/// One graph: the whole workflow's own level, or one subgraph definition.
#[derive(Debug, Clone, Default)]
pub(super) struct SavedGraph {
    pub(super) id: String,
    pub(super) nodes: Vec<SavedNode>,
    pub(super) links: Vec<SavedLink>,
    pub(super) inputs: Vec<SavedBoundary>,
    pub(super) outputs: Vec<SavedBoundary>,
}

/// One node as it was saved.
#[derive(Debug, Clone)]
pub(super) struct SavedNode {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) title: Option<String>,
    pub(super) mode: i64,
    pub(super) inputs: Vec<SavedInput>,
    pub(super) output_kinds: Vec<String>,
    pub(super) values: Option<Value>,
    /// Values that are known by name, set after the others.
    pub(super) named_values: Vec<(String, Value)>,
    pub(super) properties: Map<String, Value>,
}

/// One input of a saved node.
#[derive(Debug, Clone)]
pub(super) struct SavedInput {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) link: Option<i64>,
    /// Name of the value that this input stands for, where it does.
    pub(super) widget: Option<String>,
}

/// One link; its ends are node ids and slot positions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SavedLink {
    pub(super) id: i64,
    pub(super) origin: String,
    pub(super) origin_slot: usize,
    pub(super) target: String,
    pub(super) target_slot: usize,
}

/// One input or output of a subgraph definition.
#[derive(Debug, Clone)]
pub(super) struct SavedBoundary {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) links: Vec<i64>,
}

/// The workflow's own level first, then every subgraph definition, each once, their node ids distinct.
pub(super) fn read(workflow: &Value) -> Vec<SavedGraph> {
    let mut graphs = vec![graph(workflow)];
    let mut seen = HashSet::new();
    collect_definitions(workflow, &mut |definition| {
        let definition = graph(definition);
        if seen.insert(definition.id.clone()) {
            graphs.push(definition);
        }
    });
    let last_node_id = workflow.pointer("/state/lastNodeId").or_else(|| workflow.get("last_node_id"));
    super::renumber::make_node_ids_distinct(&mut graphs, last_node_id.and_then(Value::as_i64).unwrap_or(0));
    graphs
}

fn collect_definitions<'a>(within: &'a Value, found: &mut impl FnMut(&'a Value)) {
    let definitions = within.pointer("/definitions/subgraphs").and_then(Value::as_array);
    for definition in definitions.into_iter().flatten() {
        found(definition);
        collect_definitions(definition, found);
    }
}

fn graph(graph: &Value) -> SavedGraph {
    let mut nodes: Vec<SavedNode> = list(graph, "nodes").filter_map(node).collect();
    let mut seen = HashSet::new();
    nodes.retain(|node| seen.insert(node.id.clone()));
    let links = list(graph, "links").filter_map(link).collect();
    let mut read = SavedGraph {
        id: id(graph.get("id")).unwrap_or_default(),
        nodes,
        links,
        inputs: list(graph, "inputs").map(boundary).collect(),
        outputs: list(graph, "outputs").map(boundary).collect(),
    };
    keep_one_link_per_input(&mut read);
    read
}

/// Reads one node.
fn node(node: &Value) -> Option<SavedNode> {
    text(node, "type")?;
    Some(node_with_id(node, id(node.get("id"))?))
}

/// Reads one node that has this id, whatever it was saved with. What has no type is of none that ComfyUI lists.
pub(super) fn node_with_id(node: &Value, id: String) -> SavedNode {
    SavedNode {
        id,
        kind: text(node, "type").unwrap_or_default(),
        title: text(node, "title"),
        mode: node.get("mode").and_then(Value::as_i64).unwrap_or(0),
        inputs: list(node, "inputs").map(input).collect(),
        output_kinds: list(node, "outputs").map(|output| kind(output.get("type"))).collect(),
        values: node.get("widgets_values").filter(|values| !values.is_null()).cloned(),
        named_values: Vec::new(),
        properties: node.get("properties").and_then(Value::as_object).cloned().unwrap_or_default(),
    }
}

fn input(input: &Value) -> SavedInput {
    SavedInput {
        name: text(input, "name").unwrap_or_default(),
        kind: kind(input.get("type")),
        link: input.get("link").and_then(Value::as_i64),
        widget: input.pointer("/widget/name").and_then(Value::as_str).map(str::to_owned),
    }
}

fn link(link: &Value) -> Option<SavedLink> {
    let field = |position: usize, name: &str| match link {
        Value::Array(fields) => fields.get(position),
        other => other.get(name),
    };
    Some(SavedLink {
        id: field(0, "id")?.as_i64()?,
        origin: id(field(1, "origin_id"))?,
        origin_slot: slot(field(2, "origin_slot"))?,
        target: id(field(3, "target_id"))?,
        target_slot: slot(field(4, "target_slot"))?,
    })
}

fn boundary(slot: &Value) -> SavedBoundary {
    SavedBoundary {
        name: text(slot, "name").unwrap_or_default(),
        kind: kind(slot.get("type")),
        links: list(slot, "linkIds").filter_map(Value::as_i64).collect(),
    }
}

/// Where two links end in one input, the page keeps the one that the input itself names, else the first.
fn keep_one_link_per_input(graph: &mut SavedGraph) {
    let named: HashSet<i64> =
        graph.nodes.iter().flat_map(|node| node.inputs.iter().filter_map(|input| input.link)).collect();
    let mut place_of: HashMap<(String, usize), usize> = HashMap::new();
    let mut kept: Vec<SavedLink> = Vec::with_capacity(graph.links.len());
    let mut replaced: HashMap<i64, i64> = HashMap::new();
    for link in std::mem::take(&mut graph.links) {
        let Some(&place) = place_of.get(&(link.target.clone(), link.target_slot)) else {
            place_of.insert((link.target.clone(), link.target_slot), kept.len());
            kept.push(link);
            continue;
        };
        let present = &kept[place];
        let same = present.origin == link.origin && present.origin_slot == link.origin_slot;
        if !same && named.contains(&link.id) && !named.contains(&present.id) {
            let dropped = present.id;
            replaced.values_mut().filter(|survivor| **survivor == dropped).for_each(|survivor| *survivor = link.id);
            replaced.insert(dropped, link.id);
            kept[place] = link;
        } else {
            replaced.insert(link.id, present.id);
        }
    }
    graph.links = kept;
    let now = |id: i64| replaced.get(&id).copied().unwrap_or(id);
    let inputs = graph.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut());
    inputs.for_each(|input| input.link = input.link.map(now));
    for boundary in graph.inputs.iter_mut().chain(graph.outputs.iter_mut()) {
        let mut seen = HashSet::new();
        boundary.links = boundary.links.iter().map(|id| now(*id)).filter(|id| seen.insert(*id)).collect();
    }
}

fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text(of: &Value, name: &str) -> Option<String> {
    of.get(name).and_then(Value::as_str).map(str::to_owned)
}

fn kind(kind: Option<&Value>) -> String {
    match kind {
        Some(Value::String(kind)) => kind.clone(),
        Some(Value::Array(_)) => "COMBO".to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "*".to_owned(),
    }
}

pub(super) fn slot(slot: Option<&Value>) -> Option<usize> {
    match slot? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|slot| usize::try_from(slot).ok()),
    }
}

pub(super) fn id(id: Option<&Value>) -> Option<String> {
    match id? {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}
