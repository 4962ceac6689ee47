//! Primitive nodes: they never run, but write their value over the values that they are linked to.
//!
//! The page does so just before it makes a prompt. Knows how a value is taken over, not where it goes from there.

use serde_json::Value;

use super::layout::{is_widget, widget_for};
use super::page::{Kind, NodeAt, Page, Widget, WidgetKind};
use crate::object_info::InputSpec;

/// Lets every primitive node in every graph set what it is linked to.
pub(super) fn apply(page: &mut Page) {
    for graph in 0..page.graphs.len() {
        for node in 0..page.graphs[graph].nodes.len() {
            if page.graphs[graph].nodes[node].kind == Kind::Primitive {
                apply_one(page, NodeAt { graph, node });
            }
        }
    }
}

fn apply_one(page: &mut Page, at: NodeAt) {
    let graph = &page.graphs[at.graph];
    let targets: Vec<(usize, usize)> =
        graph.leaving(at.node, 0).into_iter().filter_map(|link| graph.target_of(link)).collect();
    let Some(value) = value_of(page, at, &targets) else { return };
    let replaces = page.node(at).properties.get("Run widget replace on values") == Some(&Value::Bool(true));
    let value = match value {
        Value::String(text) if replaces => Value::String(super::text::with_values(page, &text)),
        other => other,
    };
    for (node, slot) in targets {
        let node = &mut page.graphs[at.graph].nodes[node];
        let Some(name) = node.slots[slot].widget.clone() else { continue };
        let own = node.widgets.iter_mut().find(|widget| widget.name == name);
        if let Some(widget) = node.slots[slot].promoted.as_mut().or(own) {
            widget.push(value.clone());
        }
    }
}

/// The saved value, taken as the first linked widget would take it; `None` where the primitive has become no widget.
fn value_of(page: &Page, at: NodeAt, targets: &[(usize, usize)]) -> Option<Value> {
    let (node, slot) = *targets.first()?;
    let target = &page.graphs[at.graph].nodes[node];
    let slot = &target.slots[slot];
    let theirs = target.widget_of(slot);
    let spec = match &theirs {
        Some(widget) => widget.spec.clone()?,
        None => {
            let kind = slot.kind.clone();
            let bare = InputSpec {
                name: slot.name.clone(),
                kind,
                choices: None,
                options: Default::default(),
                optional: false,
            };
            Some(bare).filter(is_widget)?
        }
    };
    let mut own = widget_for(&spec);
    if let Some(value) = theirs.and_then(|widget| widget.value) {
        own.set(value);
    }
    let primitive = page.node(at);
    let same_type = primitive.output_kinds.first().is_some_and(|kind| *kind == spec.kind);
    if let Some(saved) = primitive.widgets.first().and_then(|widget| widget.value.clone()).filter(|_| same_type) {
        own.set(saved);
    }
    within_bounds(&mut own, page, at, targets);
    own.value
}

/// Numbers are kept within the bounds that all linked inputs share, where those inputs agree otherwise.
fn within_bounds(own: &mut Widget, page: &Page, at: NodeAt, targets: &[(usize, usize)]) {
    if !matches!(own.kind, WidgetKind::Integer | WidgetKind::Float) {
        return;
    }
    let nodes = &page.graphs[at.graph].nodes;
    let specs = targets.iter().filter_map(|(node, slot)| nodes[*node].widget_of(&nodes[*node].slots[*slot])?.spec);
    let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
    for spec in specs {
        least = spec.number("min").map_or(least, |bound| bound.max(least));
        most = spec.number("max").map_or(most, |bound| bound.min(most));
    }
    let Some(number) = own.value.as_ref().and_then(Value::as_f64) else { return };
    if least <= most && (number < least || number > most) {
        own.value = Some(super::text::as_json_number(number.clamp(least, most)));
    }
}
