//! The older way of saving promoted values: a list `proxyWidgets` of (node inside, widget) on the node that stands for the subgraph.
//!
//! The page turns each entry into an input of the subgraph when it opens the workflow; so does this. Entries that name
//! nothing are passed over.

use serde_json::Value;

use super::document::{INPUTS_OF_SUBGRAPH, SavedLink};
use super::page::{Boundary, Kind, NodeAt, Page, Slot, Widget};
use super::promote::{concrete_widget, input_leading_to, input_showing, promote};

/// One entry of the list, and what is to be done for it.
struct Entry {
    node_id: String,
    widget: String,
    of_node: Option<String>,
    value: Option<Value>,
    plan: Plan,
}

enum Plan {
    /// The subgraph has an input for it: only the value is to be set.
    SetInput(String),
    /// The subgraph gets an input for it.
    AddInput,
    /// It is a primitive node: what the primitive feeds gets an input instead.
    ReplacePrimitive,
    /// It names no node, but perhaps an input of the host.
    ByName,
}

/// Turns the list of one host into inputs, and gives them the values saved in the same order.
pub(super) fn migrate(page: &mut Page, host: NodeAt, saved: Option<&Value>) {
    let values = saved.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let entries: Vec<Entry> = listed(page, host)
        .into_iter()
        .enumerate()
        .map(|(position, (node_id, widget, of_node))| {
            let value = values.get(position).cloned();
            let mut entry = Entry { node_id, widget, of_node, value, plan: Plan::ByName };
            without_prefixes(page, host, &mut entry);
            entry.plan = plan(page, host, &entry);
            entry
        })
        .collect();
    for entry in &entries {
        match &entry.plan {
            Plan::SetInput(name) => set_input(page, host, name, entry.value.as_ref()),
            Plan::AddInput => add_input(page, host, entry),
            Plan::ByName | Plan::ReplacePrimitive => {}
        }
    }
    let mut replaced: Vec<&str> = Vec::new();
    for entry in entries.iter().filter(|entry| matches!(entry.plan, Plan::ReplacePrimitive)) {
        if !replaced.contains(&entry.node_id.as_str()) {
            replaced.push(&entry.node_id);
            let value =
                entries.iter().filter(|other| other.node_id == entry.node_id).find_map(|other| other.value.clone());
            replace_primitive(page, host, entry, value.as_ref());
        }
    }
    for entry in entries.iter().filter(|entry| matches!(entry.plan, Plan::ByName) && entry.node_id == "-1") {
        set_input(page, host, &entry.widget, entry.value.as_ref());
    }
}

fn listed(page: &Page, host: NodeAt) -> Vec<(String, String, Option<String>)> {
    let property = page.node(host).properties.get("proxyWidgets");
    let parsed: Option<Value> = match property {
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        other => other.cloned(),
    };
    let text = |tuple: &Value, place: usize| tuple.get(place).and_then(Value::as_str).map(str::to_owned);
    let entry = |tuple: &Value| Some((text(tuple, 0)?, text(tuple, 1)?, text(tuple, 2)));
    let entries =
        parsed.as_ref().and_then(Value::as_array).map(|list| list.iter().map(entry).collect::<Option<Vec<_>>>());
    entries.flatten().unwrap_or_default()
}

/// Names once carried the ids on the way to the widget in front: `12: 7: seed`.
fn without_prefixes(page: &Page, host: NodeAt, entry: &mut Entry) {
    if concrete_widget(page, host, &entry.node_id, &entry.widget).is_some() {
        return;
    }
    while let Some((id, rest)) = entry.widget.split_once(':') {
        let id = id.trim();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) || rest.trim_start().is_empty() {
            return;
        }
        entry.of_node = Some(id.to_owned());
        entry.widget = rest.trim_start().to_owned();
    }
}

fn plan(page: &Page, host: NodeAt, entry: &Entry) -> Plan {
    if let Some(slot) = input_leading_to(page, host, &entry.node_id, &entry.widget) {
        return Plan::SetInput(page.node(host).slots[slot].name.clone());
    }
    let Some(source) = source_of(page, host, entry) else { return Plan::ByName };
    let node = page.node(source);
    if node.kind == Kind::Primitive {
        let feeds = !page.graphs[source.graph].leaving(source.node, 0).is_empty();
        return if feeds { Plan::ReplacePrimitive } else { Plan::ByName };
    }
    if entry.widget.starts_with("$$") || source_slot(page, source, entry).is_none() {
        return Plan::ByName;
    }
    Plan::AddInput
}

fn source_of(page: &Page, host: NodeAt, entry: &Entry) -> Option<NodeAt> {
    let graph = page.definition_of(host)?;
    Some(NodeAt { graph, node: page.graphs[graph].find(&entry.node_id)? })
}

/// The input of the node inside that stands for the widget.
fn source_slot(page: &Page, source: NodeAt, entry: &Entry) -> Option<usize> {
    let node = page.node(source);
    if page.definition_of(source).is_some() {
        let slot = input_showing(page, source, &entry.widget, entry.of_node.as_deref())?;
        return node.slots[slot].promoted.is_some().then_some(slot);
    }
    node.widget(&entry.widget)?;
    node.slots.iter().position(|slot| slot.widget.as_deref() == Some(&entry.widget))
}

fn set_input(page: &mut Page, host: NodeAt, name: &str, value: Option<&Value>) {
    let slots = page.graphs[host.graph].nodes[host.node].slots.iter_mut().filter(|slot| slot.name == name);
    let mut promoted: Vec<&mut Slot> = slots.collect();
    if let ([slot], Some(value)) = (promoted.as_mut_slice(), value)
        && let Some(promoted) = &mut slot.promoted
    {
        promoted.value = Some(value.clone());
    }
}

fn add_input(page: &mut Page, host: NodeAt, entry: &Entry) {
    let Some(source) = source_of(page, host, entry) else { return };
    let Some(slot) = source_slot(page, source, entry) else { return };
    let kind = page.node(source).slots[slot].kind.clone();
    let name = new_boundary(page, source.graph, &entry.widget, &kind, &[(source.node, slot)]);
    set_input(page, host, &name, entry.value.as_ref());
}

fn replace_primitive(page: &mut Page, host: NodeAt, entry: &Entry, value: Option<&Value>) {
    let Some(source) = source_of(page, host, entry) else { return };
    let graph = &page.graphs[source.graph];
    let primitive = page.node(source);
    let targets: Vec<(usize, usize)> =
        graph.leaving(source.node, 0).into_iter().filter_map(|link| graph.target_of(link)).collect();
    let kind = primitive.output_kinds.first().cloned().unwrap_or_else(|| "*".to_owned());
    let fits = |slot: &Slot| slot.kind == kind || slot.kind == "*" || kind == "*";
    let slots: Vec<&Slot> = targets.iter().map(|(node, slot)| &graph.nodes[*node].slots[*slot]).collect();
    let widgets: Vec<Option<Widget>> =
        targets.iter().zip(&slots).map(|((node, _), slot)| graph.nodes[*node].widget_of(slot)).collect();
    let alike = widgets
        .iter()
        .flatten()
        .all(|widget| widgets.iter().flatten().next().is_some_and(|first| is_alike(first, widget)));
    if targets.is_empty() || !alike || !slots.into_iter().all(fits) {
        return;
    }
    let base = if primitive.title.is_empty() { "Primitive".to_owned() } else { primitive.title.clone() };
    let base = if base == "PrimitiveNode" { entry.widget.clone() } else { base };
    let name = new_boundary(page, source.graph, &base, &kind, &targets);
    set_input(page, host, &name, value);
}

fn is_alike(one: &Widget, other: &Widget) -> bool {
    let bounds = |widget: &Widget| {
        let number = |name: &str| widget.spec.as_ref().and_then(|spec| spec.number(name));
        [number("min"), number("max"), number("step")]
    };
    one.kind == other.kind && bounds(one) == bounds(other)
}

/// Adds an input to a definition, leads it to the given inputs inside, and gives it to every node that stands for the definition.
fn new_boundary(page: &mut Page, definition: usize, base: &str, kind: &str, targets: &[(usize, usize)]) -> String {
    let graph = &mut page.graphs[definition];
    let taken = |name: &str| graph.inputs.iter().any(|input| input.name == name);
    let numbered = (1..).map(|count| format!("{base}_{count}"));
    let name = std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default();
    let position = graph.inputs.len();
    let unused = graph.links.iter().map(|link| link.id).max().unwrap_or(0) + 1;
    let mut links = Vec::new();
    for (id, (node, slot)) in (unused..).zip(targets) {
        let target = graph.nodes[*node].id.clone();
        graph.nodes[*node].slots[*slot].link = Some(graph.links.len());
        let origin = INPUTS_OF_SUBGRAPH.to_owned();
        graph.add_link(SavedLink { id, origin, origin_slot: position, target, target_slot: *slot });
        links.push(id);
    }
    graph.inputs.push(Boundary { name: name.clone(), kind: kind.to_owned(), links });
    for host in hosts_of(page, definition) {
        let slot = Slot { name: name.clone(), kind: kind.to_owned(), ..Slot::default() };
        page.graphs[host.graph].nodes[host.node].slots.push(slot);
        promote(page, host, position);
    }
    name
}

fn hosts_of(page: &Page, definition: usize) -> Vec<NodeAt> {
    let stands = |node: &super::page::Node| node.kind == Kind::Subgraph(definition);
    let in_graph = |graph: usize| {
        let nodes = page.graphs[graph].nodes.iter().enumerate();
        nodes.filter(move |(_, node)| stands(node)).map(move |(node, _)| NodeAt { graph, node })
    };
    (0..page.graphs.len()).flat_map(in_graph).collect()
}
