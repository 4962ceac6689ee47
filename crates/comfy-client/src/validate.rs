//! A check of a prompt before it is handed in, so that a person hears of everything that is wrong at once and in plain words.
//!
//! Pure. It refuses what can be no prompt for any ComfyUI; whether a value is good is ComfyUI's to judge, since nodes decide
//! on theirs by code of their own. What looks wrong to us is a doubt.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::bounded::cut;
use crate::fault::Fault;
use crate::object_info::{InputSpec, NodeType, ObjectInfo};
use crate::types::types_fit;

/// How many choices of a list are named, and how much of a value is repeated.
const NAMED_CHOICES: usize = 6;
const LONGEST_VALUE: usize = 200;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What makes it no prompt; empty where ComfyUI may have it.
    pub faults: Vec<Fault>,
    /// Values and links that ComfyUI will probably refuse.
    pub doubts: Vec<Fault>,
}

/// Everything that is wrong with a prompt of which only `targets` run (all outputs, where there are none). Without
/// `object_info` only its form is checked.
pub fn validate(prompt: &Value, targets: Option<&[String]>, object_info: Option<&ObjectInfo>) -> Verdict {
    let Some(nodes) = prompt.as_object() else {
        let problem = "a prompt is an object that maps node ids to nodes with `class_type` and `inputs`".to_owned();
        return Verdict { faults: vec![Fault::of_workflow(problem)], doubts: Vec::new() };
    };
    let mut checking = Checking { nodes, targets, object_info, verdict: Verdict::default() };
    nodes.iter().for_each(|(id, node)| checking.form(id, node));
    if let Some(object_info) = object_info {
        checking.meaning(object_info);
    }
    checking.verdict
}

struct Checking<'a> {
    nodes: &'a Map<String, Value>,
    targets: Option<&'a [String]>,
    object_info: Option<&'a ObjectInfo>,
    verdict: Verdict,
}

/// What a finding is.
enum Finding {
    Fault(String),
    Doubt(String),
}

impl Checking<'_> {
    fn form(&mut self, id: &str, node: &Value) {
        let Some(class_type) = node.get("class_type").and_then(Value::as_str) else {
            return self.fault(id, None, None, "it has no `class_type`, which names its node type".to_owned());
        };
        if self.object_info.is_some_and(|known| !known.runs(class_type)) {
            let problem =
                format!("this ComfyUI has no node type `{class_type}`; install the custom node that brings it");
            return self.fault(id, Some(class_type), None, problem);
        }
        let inputs = match node.get("inputs") {
            Some(Value::Object(inputs)) => inputs,
            None => return,
            Some(_) => return self.fault(id, Some(class_type), None, "its `inputs` are not an object".to_owned()),
        };
        for (name, value) in inputs {
            let Some(list) = value.as_array() else { continue };
            let problem = match link_of(value) {
                Some((origin, _)) if self.nodes.contains_key(origin) => continue,
                Some((origin, _)) => format!("it is linked to node {origin}, which is not in the workflow"),
                None if list.len() == 2 => continue,
                None => "a list is a link, `[node id, output number]`; wrap other lists as {\"__value__\": [...]}"
                    .to_owned(),
            };
            self.fault(id, Some(class_type), Some(name), problem);
        }
    }

    /// ComfyUI looks only at what its output nodes need.
    fn meaning(&mut self, object_info: &ObjectInfo) {
        let class_of = |id: &str| self.nodes.get(id)?.get("class_type")?.as_str();
        // What is replaced has other inputs and outputs then; those are ComfyUI's to judge.
        let type_of = |id: &str| object_info.get(class_of(id)?);
        let is_output = |id: &str| {
            let replaced = || object_info.get(&object_info.replacement(class_of(id)?)?.class_type);
            type_of(id).or_else(replaced).is_some_and(|node_type| node_type.output_node)
        };
        let mut needed = BTreeSet::new();
        let mut waiting: Vec<&str> = self.nodes.keys().map(String::as_str).collect();
        waiting.retain(|id| is_output(id) && self.targets.is_none_or(|wanted| wanted.iter().any(|node| node == id)));
        if waiting.is_empty() && self.verdict.faults.is_empty() {
            let problem = match self.targets {
                None => "it has no output node, so there is nothing to run; add one that saves or previews",
                Some(_) => "partial_execution_targets names no output node of it, so there is nothing to run",
            };
            self.verdict.faults.push(Fault::of_workflow(problem.to_owned()));
        }
        while let Some(id) = waiting.pop() {
            if needed.insert(id) {
                let inputs = self.nodes.get(id).and_then(|node| node.get("inputs")).and_then(Value::as_object);
                waiting.extend(inputs.into_iter().flatten().filter_map(|(_, value)| Some(link_of(value)?.0)));
            }
        }
        let in_order = self.nodes.iter().filter(|(id, _)| needed.contains(id.as_str()));
        for (id, node) in in_order.collect::<Vec<_>>() {
            let Some(node_type) = type_of(id) else { continue };
            let empty = Map::new();
            let inputs = node.get("inputs").and_then(Value::as_object).unwrap_or(&empty);
            for spec in inputs_in_force(node_type, inputs) {
                let finding = match inputs.get(&spec.name) {
                    None if spec.optional || is_a_group(&spec) => None,
                    None => Some(Finding::Fault(format!("it is missing; {}", what_it_takes(&spec)))),
                    Some(value) => match link_of(value) {
                        Some((origin, slot)) => type_of(origin).and_then(|origin| wrong_link(origin, slot, &spec)),
                        None if node_type.lists_its_own_choices() => None,
                        None => wrong_value(value, &spec),
                    }
                    .map(Finding::Doubt),
                };
                match finding {
                    Some(Finding::Fault(problem)) => {
                        self.fault(id, Some(&node_type.class_type), Some(&spec.name), problem);
                    }
                    Some(Finding::Doubt(problem)) => {
                        let doubt = fault_of(id, Some(&node_type.class_type), Some(&spec.name), problem);
                        self.verdict.doubts.push(doubt);
                    }
                    None => {}
                }
            }
        }
    }

    fn fault(&mut self, id: &str, node_type: Option<&str>, input: Option<&str>, problem: String) {
        self.verdict.faults.push(fault_of(id, node_type, input, problem));
    }
}

fn fault_of(id: &str, node_type: Option<&str>, input: Option<&str>, problem: String) -> Fault {
    let (node_type, input) = (node_type.map(str::to_owned), input.map(str::to_owned));
    Fault { node: Some(id.to_owned()), node_type, input, problem }
}

/// `[node id, output number]`.
pub(crate) fn link_of(value: &Value) -> Option<(&str, usize)> {
    match value.as_array().map(Vec::as_slice) {
        Some([Value::String(id), slot]) => Some((id, usize::try_from(slot.as_u64()?).ok()?)),
        _ => None,
    }
}

/// The inputs of a node type, with those that the chosen keys of its dynamic combos bring.
fn inputs_in_force(node_type: &NodeType, given: &Map<String, Value>) -> Vec<InputSpec> {
    let mut all = Vec::new();
    let mut waiting: Vec<InputSpec> = node_type.inputs.iter().rev().cloned().collect();
    while let Some(spec) = waiting.pop() {
        if spec.kind == "COMFY_DYNAMICCOMBO_V3" {
            let chosen = given.get(&spec.name).and_then(Value::as_str).map(|key| spec.inputs_of_choice(key));
            waiting.extend(chosen.into_iter().flatten().rev());
        }
        all.push(spec);
    }
    all
}

/// Groups stand for inputs with longer names; a dynamic combo that is absent counts as left out.
fn is_a_group(spec: &InputSpec) -> bool {
    spec.kind.starts_with("COMFY_")
}

fn what_it_takes(spec: &InputSpec) -> String {
    match &spec.choices {
        Some(choices) => format!("it takes one of {}", named(choices)),
        None if spec.options.contains_key("default") => {
            format!("it takes {}, by default {}", spec.kind, spec.options["default"])
        }
        None => format!("it takes {}", spec.kind),
    }
}

fn wrong_link(origin: &NodeType, slot: usize, spec: &InputSpec) -> Option<String> {
    let Some(given) = origin.outputs.get(slot) else {
        let count = origin.outputs.len();
        return Some(format!(
            "it is linked to output {slot} of {}, which has {count} (counted from 0)",
            origin.class_type
        ));
    };
    // ComfyUI's own rules on lists of choices changed several times; and what matches by template is its to know.
    let left_to_comfyui = [given, &spec.kind].iter().any(|kind| *kind == "COMBO" || kind.starts_with("COMFY_"));
    let wrong = !left_to_comfyui && !types_fit(given, &spec.kind);
    wrong.then(|| format!("it takes {}, but is linked to {given} from {}", spec.kind, origin.class_type))
}

fn wrong_value(value: &Value, spec: &InputSpec) -> Option<String> {
    let value = value.get("__value__").unwrap_or(value);
    match spec.kind.as_str() {
        "COMBO" => wrong_choice(value, spec),
        "COMFY_DYNAMICCOMBO_V3" => {
            let keys: Vec<Value> = spec.choice_keys().into_iter().map(Value::from).collect();
            (!keys.contains(value)).then(|| format!("{} is not one of {}", shown(value), named(&keys)))
        }
        "INT" | "FLOAT" => wrong_number(value, spec),
        _ => None,
    }
}

/// Lists that people add files to, and lists fetched from elsewhere, are checked by code of the node itself.
fn wrong_choice(value: &Value, spec: &InputSpec) -> Option<String> {
    let open = [
        "image_upload",
        "video_upload",
        "audio_upload",
        "animated_image_upload",
        "file_upload",
        "mesh_upload",
        "remote",
    ];
    let choices = spec.choices.as_ref()?;
    if open.iter().any(|flag| spec.flag(flag)) {
        return None;
    }
    let is_listed = |value: &Value| choices.iter().any(|choice| choice == value || same_number(choice, value));
    let unlisted = match value {
        Value::Array(values) => values.iter().find(|value| !is_listed(value))?,
        value if is_listed(value) => return None,
        value => value,
    };
    Some(match choices.is_empty() {
        true => format!("{} is not there: ComfyUI finds no file for this input", shown(unlisted)),
        false => format!("{} is not one of {}", shown(unlisted), named(choices)),
    })
}

fn same_number(one: &Value, other: &Value) -> bool {
    one.as_f64().is_some_and(|one| other.as_f64() == Some(one))
}

fn wrong_number(value: &Value, spec: &InputSpec) -> Option<String> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        other => other.as_f64(),
    };
    let Some(number) = number else { return Some(format!("{} is no number; {}", shown(value), what_it_takes(spec))) };
    let below = spec.number("min").filter(|least| number < *least).map(|least| format!("{value} is less than {least}"));
    below
        .or_else(|| spec.number("max").filter(|most| number > *most).map(|most| format!("{value} is more than {most}")))
}

fn named(choices: &[Value]) -> String {
    let shown: Vec<String> = choices.iter().take(NAMED_CHOICES).map(shown).collect();
    let more = choices.len().saturating_sub(NAMED_CHOICES);
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// A value as messages repeat it: never at length.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Object(entries) => format!("an object of {}", entries.len()),
        other => other.to_string(),
    };
    let kept = cut(&text, LONGEST_VALUE);
    if kept.len() < text.len() { format!("{kept}…") } else { text }
}
