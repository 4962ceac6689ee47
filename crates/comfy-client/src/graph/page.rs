//! The workflow as the page holds it while it is open: nodes with their inputs and values, and links that have found their slots.
//!
//! Owns the data and the questions asked of it everywhere. Subgraph definitions are graphs of their own, shared by
//! every node that stands for them. How a node comes by its inputs and values is told in `layout` and `restore`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::document::{INPUTS_OF_SUBGRAPH, OUTPUTS_OF_SUBGRAPH, SavedLink};
use crate::object_info::InputSpec;

/// `mode` of a node that is muted: it runs not, and gives nothing.
pub(super) const MUTED: i64 = 2;
/// `mode` of a node that is bypassed: it runs not, and passes an input of the right type through.
pub(super) const BYPASSED: i64 = 4;

/// All graphs of one workflow; the first is its own level.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) graphs: Vec<Graph>,
}

/// One level: the workflow itself or a subgraph definition.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) links: Vec<SavedLink>,
    pub(super) inputs: Vec<Boundary>,
    pub(super) outputs: Vec<Boundary>,
    /// Positions by id, so that large workflows stay quick.
    node_places: HashMap<String, usize>,
    setter_places: HashMap<String, usize>,
    link_places: HashMap<i64, usize>,
}

/// Where a node is: its graph and its position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeAt {
    pub(super) graph: usize,
    pub(super) node: usize,
}

/// What a node is to the page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A node type of ComfyUI; `saves` where it is an output node.
    Real { saves: bool },
    /// Stands for the subgraph definition with that index.
    Subgraph(usize),
    /// A wire with a bend in it.
    Reroute,
    /// A value that sets the values it is linked to.
    Primitive,
    /// Gives its input a name; nodes that get that name are linked to it.
    Setter,
    /// Stands for the input of the setter with its name.
    Getter,
    /// Text for people, or a switch of the page.
    Ornament,
    /// No node type of this ComfyUI, and none of the page.
    Unknown,
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) class_type: String,
    pub(super) title: String,
    pub(super) kind: Kind,
    pub(super) mode: i64,
    pub(super) slots: Vec<Slot>,
    pub(super) widgets: Vec<Widget>,
    pub(super) output_kinds: Vec<String>,
    pub(super) properties: Map<String, Value>,
    /// Saved values that found no place.
    pub(super) lost: Vec<Lost>,
}

/// A saved value that no input of its node takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lost {
    /// Its name, where it was saved by name.
    pub(super) name: Option<String>,
    pub(super) value: Value,
}

/// One input of a node.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) kind: String,
    /// Name of the widget that holds its value while nothing is linked.
    pub(super) widget: Option<String>,
    /// Position in the graph's links.
    pub(super) link: Option<usize>,
    /// On a node that stands for a subgraph: the value that it holds for an input inside.
    pub(super) promoted: Option<Widget>,
}

/// One value of a node, as the page shows it.
#[derive(Debug, Clone)]
pub(super) struct Widget {
    pub(super) name: String,
    pub(super) kind: WidgetKind,
    /// `None` is a script's `undefined`: it leaves no trace in a prompt.
    pub(super) value: Option<Value>,
    /// Whether it goes into the prompt.
    pub(super) sent: bool,
    /// Whether it takes a place among the saved values.
    pub(super) saved: bool,
    /// The input that it was made from; `None` for what the page adds of itself.
    pub(super) spec: Option<InputSpec>,
}

/// How a widget treats the values that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WidgetKind {
    Integer,
    Float,
    Combo,
    DynamicCombo,
    Multiline,
    Curve,
    Control,
    /// The place of the chosen among the choices that the user wrote, which are the widgets behind it.
    Index,
    /// Shows something and holds nothing.
    View,
    Plain,
}

/// One input or output of a subgraph definition.
#[derive(Debug, Clone)]
pub(super) struct Boundary {
    pub(super) name: String,
    pub(super) kind: String,
    /// Ids of its links inside.
    pub(super) links: Vec<i64>,
}

impl Node {
    /// Whether it is the page's own and never runs.
    pub(super) fn is_virtual(&self) -> bool {
        !matches!(self.kind, Kind::Real { .. } | Kind::Unknown)
    }

    /// Whether it is neither muted nor bypassed.
    pub(super) fn is_active(&self) -> bool {
        self.mode != MUTED && self.mode != BYPASSED
    }

    /// The name that a setter gives or a getter asks for.
    pub(super) fn variable(&self) -> Option<&str> {
        let named = matches!(self.kind, Kind::Setter | Kind::Getter);
        self.widgets.first().filter(|_| named)?.value.as_ref()?.as_str()
    }

    /// The widget of that name.
    pub(super) fn widget(&self, name: &str) -> Option<&Widget> {
        self.widgets.iter().find(|widget| widget.name == name)
    }

    /// The widget that stands behind an input: its own, or the one promoted to it.
    pub(super) fn widget_of(&self, slot: &Slot) -> Option<Widget> {
        if let Some(promoted) = &slot.promoted {
            return Some(promoted.clone());
        }
        self.widget(slot.widget.as_deref()?).cloned()
    }
}

impl Graph {
    /// Fills a graph that has only its boundary so far.
    pub(super) fn fill(&mut self, nodes: Vec<Node>, links: Vec<SavedLink>) {
        self.nodes = nodes;
        self.node_places = self.nodes.iter().enumerate().map(|(place, node)| (node.id.clone(), place)).collect();
        for (place, node) in self.nodes.iter().enumerate() {
            if let Some(name) = node.variable().filter(|_| node.kind == Kind::Setter) {
                self.setter_places.entry(name.to_owned()).or_insert(place);
            }
        }
        links.into_iter().for_each(|link| self.add_link(link));
    }

    /// Position of the setter of that name.
    pub(super) fn find_setter(&self, name: &str) -> Option<usize> {
        self.setter_places.get(name).copied()
    }

    /// Adds a link.
    pub(super) fn add_link(&mut self, link: SavedLink) {
        self.link_places.entry(link.id).or_insert(self.links.len());
        self.links.push(link);
    }

    /// Position of the node with that id.
    pub(super) fn find(&self, id: &str) -> Option<usize> {
        self.node_places.get(id).copied()
    }

    /// Position of the link with that id.
    pub(super) fn find_link(&self, id: i64) -> Option<usize> {
        self.link_places.get(&id).copied()
    }

    /// The node and its input that a link ends in, where both exist.
    pub(super) fn target_of(&self, link: usize) -> Option<(usize, usize)> {
        let link = self.links.get(link)?;
        let node = self.find(&link.target)?;
        (link.target_slot < self.nodes[node].slots.len()).then_some((node, link.target_slot))
    }

    /// The nodes and inputs that a boundary input feeds, in order.
    pub(super) fn fed_by(&self, input: usize) -> Vec<(usize, usize)> {
        let ids = self.inputs.get(input).map(|input| input.links.as_slice()).unwrap_or_default();
        ids.iter().filter_map(|id| self.target_of(self.find_link(*id)?)).collect()
    }

    /// Positions of the links that leave an output, by growing id.
    pub(super) fn leaving(&self, node: usize, output: usize) -> Vec<usize> {
        let id = &self.nodes[node].id;
        let leaves = |link: &SavedLink| link.origin == *id && link.origin_slot == output;
        let mut found: Vec<usize> = (0..self.links.len()).filter(|place| leaves(&self.links[*place])).collect();
        found.retain(|place| self.is_attached(*place));
        found.sort_by_key(|place| self.links[*place].id);
        found
    }

    fn links_without_ends(&self) -> impl Iterator<Item = String> {
        self.links.iter().enumerate().filter_map(|(place, link)| {
            let target = &self.nodes[self.find(&link.target)?];
            let ends = target.slots.iter().any(|slot| slot.link == Some(place));
            let begins = comes_from_outside(link) || self.find(&link.origin).is_some();
            let counts = target.is_active() && matches!(target.kind, Kind::Real { .. });
            (counts && !(begins && ends)).then(|| {
                let SavedLink { id, origin, target, .. } = link;
                format!("link {id} from node {origin} to node {target} found no place")
            })
        })
    }

    fn is_attached(&self, link: usize) -> bool {
        match self.target_of(link) {
            Some((node, slot)) => self.nodes[node].slots[slot].link == Some(link),
            None => self.links[link].target == OUTPUTS_OF_SUBGRAPH,
        }
    }

    /// Gives every input its link. A link follows the *name* of the input that mentions it, since positions change with
    /// the node type; what no input mentions stays at its position.
    pub(super) fn attach_links(&mut self, named: &HashMap<i64, (String, Vec<String>)>) {
        let places = &self.node_places;
        let mut waiting = Vec::new();
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            let Some(node) = places.get(&link.target).and_then(|node| self.nodes.get_mut(*node)) else { continue };
            let names = named.get(&link.id).filter(|(target, _)| *target == link.target).map(|(_, names)| names);
            let is_named = |slot: &Slot| names.is_some_and(|names| names.contains(&slot.name));
            let at_home = node.slots.get(link.target_slot).is_some_and(is_named);
            let slot = if at_home { Some(link.target_slot) } else { node.slots.iter().position(is_named) };
            match slot {
                Some(slot) if node.slots[slot].link.is_none() => {
                    link.target_slot = slot;
                    node.slots[slot].link = Some(place);
                }
                _ => waiting.push(place),
            }
        }
        for place in waiting {
            let link = &self.links[place];
            let node = places.get(&link.target).and_then(|node| self.nodes.get_mut(*node));
            if let Some(slot) =
                node.and_then(|node| node.slots.get_mut(link.target_slot)).filter(|slot| slot.link.is_none())
            {
                slot.link = Some(place);
            }
        }
    }

    /// Takes an input away; the links to later inputs move up with them.
    pub(super) fn remove_slot(&mut self, node: usize, slot: usize) {
        self.nodes[node].slots.remove(slot);
        for (position, slot) in self.nodes[node].slots.iter().enumerate() {
            if let Some(link) = slot.link {
                self.links[link].target_slot = position;
            }
        }
    }
}

impl Page {
    /// A warning for each link that begins at no node, or ends in no input of a node that would run.
    pub(super) fn links_without_ends(&self) -> Vec<String> {
        self.graphs.iter().flat_map(Graph::links_without_ends).collect()
    }

    /// The node at that place.
    pub(super) fn node(&self, at: NodeAt) -> &Node {
        &self.graphs[at.graph].nodes[at.node]
    }

    /// Index of the definition that a node stands for.
    pub(super) fn definition_of(&self, at: NodeAt) -> Option<usize> {
        match self.node(at).kind {
            Kind::Subgraph(definition) => Some(definition),
            _ => None,
        }
    }
}

/// Whether a link starts at the inputs of the subgraph that it is in.
pub(super) fn comes_from_outside(link: &SavedLink) -> bool {
    link.origin == INPUTS_OF_SUBGRAPH
}
