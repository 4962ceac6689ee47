//! Group nodes of older pages (`workflow>name`): the page makes a subgraph of each when it opens the workflow; so does this.
//!
//! A group keeps its inner nodes once, and each node of its type keeps one bare list of values for all of them. Owns how
//! inputs, outputs and values of the one node are shared out among the many.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::document::{
    self, INPUTS_OF_SUBGRAPH, OUTPUTS_OF_SUBGRAPH, SavedBoundary, SavedGraph, SavedInput, SavedLink, SavedNode,
};
use super::layout::{Layout, inputs_of, is_widget};
use super::page::Kind;
use super::page_nodes;
use crate::object_info::{InputSpec, ObjectInfo};

/// Replaces every group node at the workflow's own level by a subgraph and a node that stands for it.
pub(super) fn expand(graphs: &mut Vec<SavedGraph>, workflow: &Value, object_info: &ObjectInfo) {
    let Some(groups) = workflow.pointer("/extra/groupNodes").and_then(Value::as_object) else { return };
    let ids = graphs.iter().flat_map(|graph| &graph.nodes).filter_map(|node| node.id.parse().ok());
    let noted = workflow.get("last_node_id").and_then(Value::as_i64);
    let mut last: i64 = ids.chain(noted).max().unwrap_or(0);
    for place in 0..graphs[0].nodes.len() {
        let kind = &graphs[0].nodes[place].kind;
        let name = kind.strip_prefix("workflow>").or_else(|| kind.strip_prefix("workflow/"));
        let Some(group) = name.and_then(|name| groups.get(name)) else { continue };
        let old = graphs[0].nodes[place].clone();
        let group = Group::read(group, last);
        last += i64::try_from(group.nodes.len()).unwrap_or(0) + 1;
        let (definition, host) = Sharing::new(&group, object_info).share(&old, last);
        for link in &mut graphs[0].links {
            for end in [&mut link.origin, &mut link.target] {
                if *end == old.id {
                    end.clone_from(&host.id);
                }
            }
        }
        graphs[0].nodes[place] = host;
        graphs.push(definition);
    }
}

/// What is saved of a group.
struct Group {
    nodes: Vec<SavedNode>,
    /// Source node and output, target node and input, type.
    links: Vec<(usize, usize, usize, usize, String)>,
    /// Outputs that are shown although they are linked inside.
    external: HashSet<(usize, usize)>,
    config: Value,
}

impl Group {
    /// Inner nodes get ids from behind `last`.
    fn read(group: &Value, last: i64) -> Self {
        let list = |name: &str| group.get(name).and_then(Value::as_array).into_iter().flatten();
        let number = |of: &Value, place: usize| {
            of.get(place).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
        };
        let kind = |of: &Value| of.get(5).and_then(Value::as_str).unwrap_or("*").to_owned();
        let link = |of: &Value| Some((number(of, 0)?, number(of, 1)?, number(of, 2)?, number(of, 3)?, kind(of)));
        Self {
            nodes: list("nodes")
                .zip(last + 1..)
                .map(|(node, id)| document::node_with_id(node, id.to_string()))
                .collect(),
            links: list("links").filter_map(link).collect(),
            external: list("external").filter_map(|of| Some((number(of, 0)?, number(of, 1)?))).collect(),
            config: group.get("config").cloned().unwrap_or(Value::Null),
        }
    }

    fn feeds(&self, node: usize, input: usize) -> bool {
        self.links.iter().any(|link| (link.2, link.3) == (node, input))
    }

    fn is_hidden(&self, node: usize, side: &str, name: &str) -> Option<bool> {
        let visible = self.config.get(node.to_string())?.get(side)?.get(name)?.get("visible")?.as_bool()?;
        Some(!visible)
    }
}

/// One input of the group node, and the inner input that it stands for.
struct Shared {
    name: String,
    kind: String,
    node: usize,
    input: String,
}

/// How a group's inputs and values are shared out.
struct Sharing<'a> {
    group: &'a Group,
    object_info: &'a ObjectInfo,
    /// How often a name was given.
    seen: HashMap<String, usize>,
    inputs: Vec<Shared>,
    /// Inner node, its input, and how many saved values that input takes with its controls. Without the name of an input: values of
    /// a node whose inputs are not known.
    values: Vec<(usize, String, usize)>,
}

impl<'a> Sharing<'a> {
    fn new(group: &'a Group, object_info: &'a ObjectInfo) -> Self {
        let mut sharing = Self { group, object_info, seen: HashMap::new(), inputs: Vec::new(), values: Vec::new() };
        let mut converted = Vec::new();
        for (index, node) in group.nodes.iter().enumerate() {
            let specs = sharing.specs_of(index);
            let is_converted = |spec: &InputSpec| {
                node.inputs.iter().any(|input| input.name == spec.name && input.widget.as_deref() == Some(&spec.name))
            };
            let (values, slots): (Vec<_>, Vec<_>) = specs.into_iter().partition(is_widget);
            let (later, now): (Vec<_>, Vec<_>) = values.into_iter().partition(is_converted);
            now.iter().for_each(|spec| sharing.add_value(index, spec));
            let unread = sharing.unread_values(index);
            if unread > 0 {
                sharing.values.push((index, String::new(), unread));
            }
            for (position, spec) in slots.iter().enumerate() {
                let slot = node.inputs.iter().position(|input| input.name == spec.name).unwrap_or(position);
                if !group.feeds(index, slot) {
                    sharing.add_input(index, spec);
                }
            }
            converted.extend(later.into_iter().map(|spec| (index, spec)));
        }
        for (index, spec) in converted {
            let slot = group.nodes[index].inputs.iter().position(|input| input.name == spec.name);
            if !slot.is_some_and(|slot| group.feeds(index, slot)) {
                sharing.add_input(index, &spec);
                sharing.take_values(index, &spec);
            }
        }
        sharing
    }

    /// The inputs of an inner node; nodes of the page have those that their links give them.
    fn specs_of(&self, index: usize) -> Vec<InputSpec> {
        let node = &self.group.nodes[index];
        if let Some(node_type) = self.object_info.get(&node.kind) {
            return inputs_of(node_type);
        }
        let fed = self.group.links.iter().find(|link| link.0 == index);
        let bare = |name: &str, kind: &str| InputSpec {
            name: name.to_owned(),
            kind: kind.to_owned(),
            choices: None,
            options: [("control_after_generate".to_owned(), Value::Bool(true))].into_iter().collect(),
            optional: false,
        };
        match (node.kind.as_str(), fed) {
            ("PrimitiveNode", Some(link)) => vec![bare("value", &link.4)],
            ("Reroute", _) => vec![InputSpec { options: Default::default(), ..bare("", "*") }],
            // Of a pack that is not installed: what is linked shows, what was saved is as many values.
            _ => node
                .inputs
                .iter()
                .map(|input| InputSpec { options: Default::default(), ..bare(&input.name, &input.kind) })
                .collect(),
        }
    }

    /// How many saved values an inner node of a pack that is not installed has, beside those of its converted inputs.
    fn unread_values(&self, index: usize) -> usize {
        let node = &self.group.nodes[index];
        if self.object_info.get(&node.kind).is_some() || page_nodes::kind_of(&node.kind) != Kind::Unknown {
            return 0;
        }
        let saved = node.values.as_ref().and_then(Value::as_array).map_or(0, Vec::len);
        saved.saturating_sub(node.inputs.iter().filter(|input| input.widget.is_some()).count())
    }

    fn add_value(&mut self, index: usize, spec: &InputSpec) {
        self.name_for(index, &spec.name);
        self.take_values(index, spec);
    }

    fn take_values(&mut self, index: usize, spec: &InputSpec) {
        let places = Layout::of(std::slice::from_ref(spec)).widgets.iter().filter(|widget| widget.saved).count();
        self.values.push((index, spec.name.clone(), places));
    }

    fn add_input(&mut self, index: usize, spec: &InputSpec) {
        let name = self.name_for(index, &spec.name);
        if self.group.is_hidden(index, "input", &spec.name) != Some(true) {
            self.inputs.push(Shared { name, kind: spec.kind.clone(), node: index, input: spec.name.clone() });
        }
    }

    /// A name that was given before gets the title of its node in front, and then a number too.
    fn name_for(&mut self, index: usize, input: &str) -> String {
        let node = &self.group.nodes[index];
        let renamed = self
            .group
            .config
            .get(index.to_string())
            .and_then(|config| config.get("input")?.get(input)?.get("name")?.as_str());
        let mut name = renamed.unwrap_or(input).to_owned();
        let mut key = name.clone();
        let titled = node.kind == "PrimitiveNode" && node.title.is_some();
        if titled || self.seen.contains_key(&name) {
            let title = node.title.as_deref().unwrap_or(&node.kind);
            key = format!("{title} {input}");
            name.clone_from(&key);
            if let Some(count) = self.seen.get(&key) {
                name = format!("{title} {count} {input}");
            }
        }
        *self.seen.entry(key).or_insert(1) += 1;
        name
    }

    /// The subgraph for one group node, and the node that stands for it. A muted group ran all the same, and still does.
    fn share(&self, old: &SavedNode, host_id: i64) -> (SavedGraph, SavedNode) {
        let mut nodes = self.group.nodes.clone();
        let saved = old.values.as_ref().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut place = 0;
        for (node, input, places) in &self.values {
            if input.is_empty() {
                nodes[*node].values = Some(saved.iter().skip(place).take(*places).cloned().collect());
            } else if let Some(value) = saved.get(place) {
                nodes[*node].named_values.push((input.clone(), value.clone()));
            }
            place += places;
        }
        let mut definition = SavedGraph { id: format!("group node {}", old.id), nodes, ..SavedGraph::default() };
        self.link_inside(&mut definition);
        let mut host =
            SavedNode { id: host_id.to_string(), kind: definition.id.clone(), mode: 0, values: None, ..old.clone() };
        host.inputs = self.inputs.iter().map(|shared| self.outer_input(shared, old)).collect();
        host.properties.remove("proxyWidgets");
        (definition, host)
    }

    fn outer_input(&self, shared: &Shared, old: &SavedNode) -> SavedInput {
        let link = old.inputs.iter().find(|input| input.name == shared.name).and_then(|input| input.link);
        SavedInput { name: shared.name.clone(), kind: shared.kind.clone(), link, widget: None }
    }

    fn link_inside(&self, definition: &mut SavedGraph) {
        let mut id = 0;
        let ids: Vec<String> = definition.nodes.iter().map(|node| node.id.clone()).collect();
        let id_of = |node: usize| ids.get(node).cloned().unwrap_or_default();
        let mut add = |definition: &mut SavedGraph, origin: (String, usize), target: (String, usize)| {
            id += 1;
            let (origin, origin_slot, target, target_slot) = (origin.0, origin.1, target.0, target.1);
            definition.links.push(SavedLink { id, origin, origin_slot, target, target_slot });
            id
        };
        for (source, output, target, input, _) in &self.group.links {
            let link = add(definition, (id_of(*source), *output), (id_of(*target), *input));
            if let Some(input) = definition.nodes.get_mut(*target).and_then(|node| node.inputs.get_mut(*input)) {
                input.link = Some(link);
            }
        }
        for (position, shared) in self.inputs.iter().enumerate() {
            let inputs = &definition.nodes[shared.node].inputs;
            let slot = inputs.iter().position(|input| input.name == shared.input).unwrap_or(usize::MAX);
            let link = add(definition, (INPUTS_OF_SUBGRAPH.to_owned(), position), (id_of(shared.node), slot));
            let input =
                SavedInput { name: shared.input.clone(), kind: shared.kind.clone(), link: Some(link), widget: None };
            match definition.nodes[shared.node].inputs.get_mut(slot) {
                Some(known) => known.link = Some(link),
                None => definition.nodes[shared.node].inputs.push(input),
            }
            definition.inputs.push(SavedBoundary {
                name: shared.name.clone(),
                kind: shared.kind.clone(),
                links: vec![link],
            });
        }
        for (node, output, kind) in self.shown_outputs() {
            let target = (OUTPUTS_OF_SUBGRAPH.to_owned(), definition.outputs.len());
            let link = add(definition, (id_of(node), output), target);
            definition.outputs.push(SavedBoundary { name: kind.clone(), kind, links: vec![link] });
        }
    }

    /// Outputs that the group node has, in order: those that feed nothing inside or are marked to be shown.
    fn shown_outputs(&self) -> Vec<(usize, usize, String)> {
        let mut shown = Vec::new();
        for (index, node) in self.group.nodes.iter().enumerate() {
            let kinds = self.object_info.get(&node.kind).map_or(&node.output_kinds, |node_type| &node_type.outputs);
            for (output, kind) in kinds.iter().enumerate() {
                let linked = self.group.links.iter().any(|link| (link.0, link.1) == (index, output));
                let by_link = linked && !self.group.external.contains(&(index, output));
                if !self.group.is_hidden(index, "output", &output.to_string()).unwrap_or(by_link) {
                    shown.push((index, output, kind.clone()));
                }
            }
        }
        shown
    }
}
