//! Follows an input back to what really feeds it: through wires, bypassed nodes, and in and out of subgraphs.
//!
//! A node inside a subgraph exists once for each node that stands for the subgraph, so everything is followed along the
//! path of those nodes. Pure.

use std::collections::HashSet;

use serde_json::Value;

use super::page::{BYPASSED, Kind, MUTED, Node, NodeAt, Page, comes_from_outside};
use crate::types::types_fit;

/// One node as it is run: where it is, and the nodes on the way to it that stand for subgraphs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Running {
    pub(super) path: Vec<NodeAt>,
    pub(super) at: NodeAt,
}

/// What feeds an input.
#[derive(Debug, PartialEq)]
pub(super) enum Source {
    /// Output `slot` of the node with that id in the prompt.
    Output { id: String, slot: usize },
    /// A value that a node standing for a subgraph holds.
    Held(Option<Value>),
}

/// So many stops on the way from an input to what feeds it are no workflow that anyone drew, and would fill the stack.
const LONGEST_WAY: usize = 1000;

/// Links that lead back to themselves, or on for longer than anyone draws them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ring;

type Visited = HashSet<(Running, bool, usize)>;

impl Running {
    /// Its id in the prompt: ids along the path, joined by colons.
    pub(super) fn id(&self, page: &Page) -> String {
        let ids = self.path.iter().chain([&self.at]).map(|at| page.node(*at).id.as_str());
        ids.collect::<Vec<_>>().join(":")
    }

    fn sibling(&self, node: usize) -> Self {
        Self { path: self.path.clone(), at: NodeAt { graph: self.at.graph, node } }
    }

    fn inside(&self, graph: usize, node: usize) -> Self {
        let path = self.path.iter().copied().chain([self.at]).collect();
        Self { path, at: NodeAt { graph, node } }
    }

    fn host(&self) -> Option<Self> {
        let (at, path) = self.path.split_last()?;
        Some(Self { path: path.to_vec(), at: *at })
    }
}

/// What feeds the input at `slot`; `Ok(None)` where nothing does.
pub(super) fn input(page: &Page, node: &Running, slot: usize) -> Result<Option<Source>, Ring> {
    follow_input(page, node, slot, None, &mut Visited::new())
}

fn follow_input(
    page: &Page,
    node: &Running,
    slot: usize,
    wanted: Option<&str>,
    visited: &mut Visited,
) -> Result<Option<Source>, Ring> {
    if visited.len() > LONGEST_WAY || !visited.insert((node.clone(), true, slot)) {
        return Err(Ring);
    }
    let graph = &page.graphs[node.at.graph];
    let Some(input) = page.node(node.at).slots.get(slot) else { return Ok(None) };
    let Some(link) = input.link.and_then(|link| graph.links.get(link)) else { return Ok(None) };
    if comes_from_outside(link) {
        let Some(host) = node.host() else { return Ok(None) };
        let Some(outer) = page.node(host.at).slots.get(link.origin_slot) else { return Ok(None) };
        if outer.link.is_some() {
            return follow_input(page, &host, link.origin_slot, None, visited);
        }
        return Ok(outer.promoted.as_ref().map(|widget| Source::Held(widget.value.clone())));
    }
    let Some(origin) = graph.find(&link.origin) else { return Ok(None) };
    let kind = wanted.unwrap_or(&input.kind);
    follow_output(page, &node.sibling(origin), link.origin_slot, kind, visited)
}

fn follow_output(
    page: &Page,
    running: &Running,
    slot: usize,
    wanted: &str,
    visited: &mut Visited,
) -> Result<Option<Source>, Ring> {
    if !visited.insert((running.clone(), false, slot)) {
        return Err(Ring);
    }
    let node = page.node(running.at);
    if node.mode == MUTED {
        return Ok(None);
    }
    if node.mode == BYPASSED {
        let Some(passed) = passed_through(node, slot, wanted) else { return Ok(None) };
        return follow_input(page, running, passed, None, visited);
    }
    match node.kind {
        Kind::Subgraph(definition) => {
            let graph = &page.graphs[definition];
            let ids = graph.outputs.get(slot).map(|output| output.links.as_slice()).unwrap_or_default();
            let Some(link) = ids.iter().find_map(|id| graph.find_link(*id)).map(|link| &graph.links[link]) else {
                return Ok(None);
            };
            if comes_from_outside(link) {
                return follow_input(page, running, link.origin_slot, Some(wanted), visited);
            }
            let Some(origin) = graph.find(&link.origin) else { return Ok(None) };
            follow_output(page, &running.inside(definition, origin), link.origin_slot, wanted, visited)
        }
        Kind::Getter => match setter_of(page, running) {
            Some(setter) => follow_input(page, &setter, 0, Some(wanted), visited),
            None => Ok(None),
        },
        Kind::Real { .. } | Kind::Unknown => Ok(Some(Source::Output { id: running.id(page), slot })),
        _ if node.slots.get(slot).is_some_and(|input| input.link.is_some()) => {
            follow_input(page, running, slot, Some(wanted), visited)
        }
        _ => Ok(None),
    }
}

/// The setter that a getter speaks of: in its own graph, else in one that its graph is used in.
pub(super) fn setter_of(page: &Page, getter: &Running) -> Option<Running> {
    let name = page.node(getter.at).variable()?;
    let mut level = Some(getter.clone());
    while let Some(running) = level {
        if let Some(setter) = page.graphs[running.at.graph].find_setter(name) {
            return Some(running.sibling(setter));
        }
        level = running.host();
    }
    None
}

/// The input that a bypassed node passes to one of its outputs: the one in the same place if its type fits, else the
/// first of exactly the wanted type, else the first that fits.
fn passed_through(node: &Node, slot: usize, wanted: &str) -> Option<usize> {
    let given = node.output_kinds.get(slot)?;
    if wanted == "*" || wanted.is_empty() {
        return Some(if node.slots.len() > slot { slot } else { 0 });
    }
    let fits = |kind: &str| types_fit(kind, given) && types_fit(kind, wanted);
    if node.slots.get(slot).is_some_and(|input| fits(&input.kind)) {
        return Some(slot);
    }
    let exact = node.slots.iter().position(|input| input.kind == wanted);
    exact.or_else(|| node.slots.iter().position(|input| fits(&input.kind)))
}
