//! Values that a node standing for a subgraph holds for inputs inside it ("promoted" widgets).
//!
//! Such a node has its own value for each input that leads to a widget, so that two nodes of one definition may differ.
//! Owns how that value is found and first set; the older way of saving them is `proxy`'s.

use serde_json::Value;

use super::page::{Kind, NodeAt, Page, Widget};

/// Chains of subgraphs in subgraphs end here, rings included.
const DEEPEST: usize = 100;

/// Gives each input of a host the value that it has inside, then the saved values in order.
pub(super) fn promote_values(page: &mut Page, host: NodeAt, saved: Option<&Value>) {
    for slot in 0..page.node(host).slots.len() {
        promote(page, host, slot);
    }
    let quarantined = quarantined_values(page, host);
    let mut values = saved.and_then(Value::as_array).into_iter().flatten();
    for slot in &mut page.graphs[host.graph].nodes[host.node].slots {
        let Some(promoted) = &mut slot.promoted else { continue };
        let in_order = values.next();
        let by_name = quarantined.iter().find(|(name, _)| *name == slot.name).map(|(_, value)| value);
        if let Some(value) = by_name.or(in_order) {
            promoted.value = Some(value.clone());
        }
    }
}

/// Gives one input of a host the value of the widget that it leads to, if it leads to one.
pub(super) fn promote(page: &mut Page, host: NodeAt, slot: usize) {
    let found = inner_widget(page, host, slot);
    let slot = &mut page.graphs[host.graph].nodes[host.node].slots[slot];
    if found.is_some() {
        slot.widget = Some(slot.name.clone());
    }
    slot.promoted = found.map(|widget| Widget { name: slot.name.clone(), ..widget });
}

fn inner_widget(page: &Page, host: NodeAt, slot: usize) -> Option<Widget> {
    let definition = page.definition_of(host)?;
    let graph = &page.graphs[definition];
    graph.fed_by(slot).into_iter().find_map(|(node, input)| {
        let inner = NodeAt { graph: definition, node };
        let input = &page.node(inner).slots[input];
        page.node(inner).widget_of(input).or_else(|| {
            let (node_id, name) = target_of_input(page, inner, &input.name)?;
            concrete_widget(page, inner, &node_id, &name)
        })
    })
}

/// The node inside, and the name of its widget or input, that an input of a host leads to first.
fn target_of_input(page: &Page, host: NodeAt, input: &str) -> Option<(String, String)> {
    let graph = &page.graphs[page.definition_of(host)?];
    let position = graph.inputs.iter().position(|boundary| boundary.name == input)?;
    leads_to(page, host, position)
}

/// As `target_of_input`, by position.
fn leads_to(page: &Page, host: NodeAt, position: usize) -> Option<(String, String)> {
    let graph = &page.graphs[page.definition_of(host)?];
    graph.fed_by(position).into_iter().find_map(|(node, slot)| {
        let node = &graph.nodes[node];
        let slot = &node.slots[slot];
        let name = match node.kind {
            Kind::Subgraph(_) => slot.name.clone(),
            _ => node.widget_of(slot)?.name,
        };
        Some((node.id.clone(), name))
    })
}

/// Follows a widget by name through nested hosts to the node that really has it.
pub(super) fn concrete_widget(page: &Page, host: NodeAt, node_id: &str, name: &str) -> Option<Widget> {
    let (mut host, mut node_id, mut name) = (host, node_id.to_owned(), name.to_owned());
    for _ in 0..DEEPEST {
        let definition = page.definition_of(host)?;
        let at = NodeAt { graph: definition, node: page.graphs[definition].find(&node_id)? };
        if page.definition_of(at).is_none() {
            return page.node(at).widget(&name).cloned();
        }
        (node_id, name) = target_of_input(page, at, &name)?;
        host = at;
    }
    None
}

/// The input of a host that leads to that widget of that node inside.
pub(super) fn input_leading_to(page: &Page, host: NodeAt, node_id: &str, name: &str) -> Option<usize> {
    (0..page.node(host).slots.len())
        .find(|slot| leads_to(page, host, *slot).is_some_and(|(to, widget)| to == node_id && widget == name))
}

/// The input of a nested host that shows a widget by its own or its inner name, optionally of one node inside.
pub(super) fn input_showing(page: &Page, host: NodeAt, name: &str, of_node: Option<&str>) -> Option<usize> {
    let node = page.node(host);
    (0..node.slots.len()).find(|slot| {
        let target = target_of_input(page, host, &node.slots[*slot].name);
        match of_node {
            Some(id) => target.is_some_and(|(to, widget)| to == id && widget == name),
            None => node.slots[*slot].name == name || target.is_some_and(|(_, widget)| widget == name),
        }
    })
}

/// Values that an earlier load of the page could not place and kept by name.
fn quarantined_values(page: &Page, host: NodeAt) -> Vec<(String, Value)> {
    let kept = page.node(host).properties.get("proxyWidgetErrorQuarantine").and_then(Value::as_array);
    let by_name = |entry: &Value| {
        let original = entry.get("originalEntry")?.as_array()?;
        let value = entry.get("hostValue").filter(|_| original.first().is_some_and(|id| id == "-1"))?;
        Some((original.get(1)?.as_str()?.to_owned(), value.clone()))
    };
    kept.into_iter().flatten().filter_map(by_name).collect()
}
