//! From a workflow saved by ComfyUI's page to a prompt that ComfyUI runs, as the page itself makes it.
//!
//! Pure: in goes the saved JSON and what ComfyUI says of its node types, out comes the prompt. The rules are apart by
//! what they are about: `document`, `renumber` and `group` read, `layout` and `restore` make nodes with values, `promote`,
//! `proxy` and `primitive` move values between nodes, `resolve` follows links; `load` and this file put them in order.
//!
//! Different from the page on purpose: of `{a|b}` the first choice is taken, dates are filled in apart ([`fill_dates`]),
//! links that the page cannot follow or loses while it opens a workflow (from a node that is gone, into the third and later
//! of inputs that grow inside a dynamic combo, into a converted input of a group node) are left out or kept.

mod dates;
mod document;
mod everywhere;
mod group;
mod layout;
mod load;
mod page;
mod page_nodes;
mod primitive;
mod promote;
mod proxy;
mod renumber;
mod resolve;
mod restore;
mod text;

use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::object_info::ObjectInfo;
pub use dates::{LocalTime, fill_dates};
use page::{Kind, Lost, Node, NodeAt, Page, Widget, WidgetKind};
use resolve::{Running, Source};

/// The most nodes that a prompt may have: subgraphs within subgraphs can multiply beyond all measure.
const MOST_NODES: usize = 20_000;

/// A workflow as ComfyUI's `/prompt` takes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Converted {
    /// Node id to `{class_type, inputs, _meta}`.
    pub prompt: Map<String, Value>,
    /// Sentences about what was taken differently from what the page might do, for the person who saved the workflow.
    pub warnings: Vec<String>,
}

/// A node whose type ComfyUI lacks, and the values that were saved with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnknownNode {
    /// As in the prompt.
    pub(crate) id: String,
    pub(crate) class_type: String,
    /// Types of its outputs.
    pub(crate) outputs: Vec<String>,
    pub(crate) values: Vec<Value>,
}

/// What a workflow came to: the nodes that are known as a prompt, and everything else.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) converted: Converted,
    pub(crate) faults: Vec<Fault>,
    pub(crate) unknown: Vec<UnknownNode>,
}

/// Why a workflow has no prompt: everything that is wrong with it, never only the first thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the workflow cannot be run: {}", .faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConvertError {
    /// At least one.
    pub faults: Vec<Fault>,
}

/// Whether a workflow is in the format that the page saves, not in that of `/prompt`.
pub fn is_ui_format(workflow: &Value) -> bool {
    workflow.get("nodes").is_some_and(Value::is_array)
}

/// Makes the prompt of a saved workflow.
///
/// # Errors
/// Names every node whose type `object_info` lacks (muted and bypassed ones do not count), and every ring of links.
pub fn convert(workflow: &Value, object_info: &ObjectInfo) -> Result<Converted, ConvertError> {
    let Judged { mut converted, faults, .. } = convert_what_is_known(workflow, object_info);
    converted.warnings.extend(scenes(&converted.prompt, object_info));
    if faults.is_empty() { Ok(converted) } else { Err(ConvertError { faults }) }
}

/// Inputs that ComfyUI's page fills in when it queues a prompt, with a picture of a 3D scene that it renders in the browser.
fn scenes(prompt: &Map<String, Value>, object_info: &ObjectInfo) -> Vec<String> {
    let scene = |(id, node): (&String, &Value)| {
        let node_type = object_info.get(node.get("class_type")?.as_str()?)?;
        let input = node_type.inputs.iter().find(|input| input.kind == "LOAD_3D" && !input.optional)?;
        Some(format!(
            "node {id} ({}), input {}: ComfyUI's page renders it in the browser, so this node runs from there only",
            node_type.class_type, input.name
        ))
    };
    prompt.iter().filter_map(scene).collect()
}

/// As `convert`, but leaves out the nodes that have a fault and tells of them beside the rest.
pub(crate) fn convert_what_is_known(workflow: &Value, object_info: &ObjectInfo) -> Judged {
    let mut judged = Judged::default();
    if !is_ui_format(workflow) {
        let problem = "it has no list of `nodes`, so it is not a workflow saved by ComfyUI's page";
        judged.faults.push(Fault::of_workflow(problem.to_owned()));
        return judged;
    }
    let mut saved = document::read(workflow);
    judged.converted.warnings = everywhere::add_links(&mut saved[0], workflow);
    group::expand(&mut saved, workflow, object_info);
    let mut page = load::open(&saved, object_info);
    primitive::apply(&mut page);
    let nodes = running(&page);
    if nodes.len() > MOST_NODES {
        let problem = format!("with its subgraphs unfolded it has more than {MOST_NODES} nodes");
        judged.faults.push(Fault::of_workflow(problem));
        return judged;
    }
    judged.converted.warnings.extend(page.links_without_ends());
    let mut converting = Converting { page: &page, judged };
    nodes.iter().for_each(|node| converting.add(node));
    converting.forget_links_to_absent_nodes();
    converting.judged
}

/// Every node as it would run. A muted or bypassed node at the workflow's own level takes its inside with it; deeper
/// down it does not, for the page does not either.
fn running(page: &Page) -> Vec<Running> {
    let mut found = Vec::new();
    for node in 0..page.graphs.first().map_or(0, |graph| graph.nodes.len()) {
        let at = NodeAt { graph: 0, node };
        let running = Running { path: Vec::new(), at };
        found.push(running.clone());
        if page.node(at).is_active() {
            inside(page, &running, &mut found);
        }
    }
    found
}

fn inside(page: &Page, host: &Running, found: &mut Vec<Running>) {
    let Some(graph) = page.definition_of(host.at) else { return };
    let in_ring = host.path.iter().any(|at| page.definition_of(*at) == Some(graph));
    if in_ring || found.len() > MOST_NODES {
        return;
    }
    for node in 0..page.graphs[graph].nodes.len() {
        let path = host.path.iter().copied().chain([host.at]).collect();
        let running = Running { path, at: NodeAt { graph, node } };
        found.push(running.clone());
        inside(page, &running, found);
    }
}

struct Converting<'a> {
    page: &'a Page,
    judged: Judged,
}

impl Converting<'_> {
    fn add(&mut self, running: &Running) {
        let node = self.page.node(running.at);
        if !node.is_active() {
            return;
        }
        let id = running.id(self.page);
        if node.kind == Kind::Getter && resolve::setter_of(self.page, running).is_none() {
            let name = node.variable().unwrap_or_default();
            self.warn(&id, node, format_args!("no node sets {name:?}; what it is linked to gets nothing"));
        }
        if node.is_virtual() {
            return;
        }
        if node.kind == Kind::Unknown {
            let problem =
                format!("this ComfyUI has no node type `{}`; install the custom node that brings it", node.class_type);
            self.fault(&id, node, None, problem);
            self.judged.unknown.push(UnknownNode {
                id,
                class_type: node.class_type.clone(),
                outputs: node.output_kinds.clone(),
                values: node.lost.iter().map(|lost| lost.value.clone()).collect(),
            });
            return;
        }
        self.warn_of_lost_values(&id, node);
        let mut inputs = Map::new();
        for widget in node.widgets.iter().filter(|widget| widget.sent) {
            if let Some(value) = self.sent_value(&id, node, widget) {
                inputs.insert(widget.name.clone(), value);
            }
        }
        for (position, slot) in node.slots.iter().enumerate() {
            match resolve::input(self.page, running, position) {
                Ok(Some(Source::Output { id, slot: output })) => {
                    drop(inputs.insert(slot.name.clone(), json!([id, output])))
                }
                Ok(Some(Source::Held(Some(value)))) => drop(inputs.insert(slot.name.clone(), wrapped(value))),
                Ok(Some(Source::Held(None))) => drop(inputs.shift_remove(&slot.name)),
                Ok(None) => {}
                Err(resolve::Ring) => {
                    let problem =
                        "its link leads back to itself, or on through a thousand stops; cut the ring".to_owned();
                    self.fault(&id, node, Some(slot.name.clone()), problem);
                }
            }
        }
        if node.widget("index").is_some_and(|widget| widget.kind == WidgetKind::Index) {
            inputs.insert("index".to_owned(), json!(index_of_choice(node, &inputs)));
        }
        let title = if node.title.is_empty() { &node.class_type } else { &node.title };
        self.judged
            .converted
            .prompt
            .insert(id, json!({"inputs": inputs, "class_type": node.class_type, "_meta": {"title": title}}));
    }

    fn sent_value(&mut self, id: &str, node: &Node, widget: &Widget) -> Option<Value> {
        let value = widget.value.clone()?;
        let dynamic =
            widget.spec.as_ref().is_some_and(|spec| spec.options.get("dynamicPrompts") == Some(&Value::Bool(true)));
        let saves = node.kind == (Kind::Real { saves: true }) && widget.name == "filename_prefix";
        Some(match value {
            Value::String(text) if dynamic => {
                if text::has_choices(&text) {
                    self.judged.converted.warnings.push(format!(
                        "node {id}, input {}: of each `{{a|b}}` the first choice was taken",
                        widget.name
                    ));
                }
                Value::String(text::first_choices(&text))
            }
            Value::String(text) if saves => Value::String(text::with_values(self.page, &text)),
            value if widget.kind == WidgetKind::Curve && !value.is_null() => {
                json!({"__type__": "CURVE", "__value__": text::with_script_numbers(value)})
            }
            value => wrapped(value),
        })
    }

    fn forget_links_to_absent_nodes(&mut self) {
        let prompt = &mut self.judged.converted.prompt;
        let ids: Vec<String> = prompt.keys().cloned().collect();
        let absent = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([origin, _]) => !ids.iter().any(|id| origin == id.as_str()),
            _ => false,
        };
        for node in prompt.values_mut() {
            if let Some(inputs) = node.get_mut("inputs").and_then(Value::as_object_mut) {
                inputs.retain(|_, value| !absent(value));
            }
        }
    }

    fn warn_of_lost_values(&mut self, id: &str, node: &Node) {
        for Lost { name, value } in &node.lost {
            let name = name.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            self.warn(
                id,
                node,
                format_args!("the saved value{name} belongs to no input that this ComfyUI has: {}", shown(value)),
            );
        }
    }

    fn warn(&mut self, id: &str, node: &Node, what: std::fmt::Arguments<'_>) {
        self.judged.converted.warnings.push(format!("node {id} ({}): {what}", node.class_type));
    }

    fn fault(&mut self, id: &str, node: &Node, input: Option<String>, problem: String) {
        let (id, node_type) = (Some(id.to_owned()), Some(node.class_type.clone()));
        self.judged.faults.push(Fault { node: id, node_type, input, problem });
    }
}

/// Where the chosen stands among the choices that the user wrote, from 0; -1 where it is none of them.
fn index_of_choice(node: &Node, inputs: &Map<String, Value>) -> i64 {
    let Some(list) = node.widgets.first() else { return -1 };
    let sent = inputs.get(&list.name).filter(|value| !value.is_array());
    let chosen = sent.or(list.value.as_ref());
    let written = node.widgets.iter().skip(2).position(|option| option.value.as_ref() == chosen);
    written.and_then(|place| i64::try_from(place).ok()).unwrap_or(-1)
}

/// A bare list in a prompt is a link; a value that is a list is sent in a wrapper that ComfyUI takes off.
fn wrapped(value: Value) -> Value {
    let value = text::with_script_numbers(value);
    if value.is_array() { json!({"__value__": value}) } else { value }
}

/// A value as a warning shows it.
fn shown(value: &Value) -> String {
    const MOST: usize = 100;
    let text = value.to_string();
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
