//! What ComfyUI says of its node types (`GET /object_info`), read once and shared.
//!
//! Owns the two shapes of an input's description (the list of choices as the type, and the newer `COMBO` with
//! `options`) so that nothing else has to know both. Knows nothing of graphs, and keeps no list of node names.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::bounded::{Budget, Within};

/// Values of all node types together: a lavish installation has some hundred thousand.
const MOST_VALUES: usize = 4_000_000;

/// Every node type of one ComfyUI, by its `class_type`.
#[derive(Debug, Clone, Default)]
pub struct ObjectInfo {
    nodes: HashMap<String, NodeType>,
    replacements: HashMap<String, Replacement>,
}

/// Which node type ComfyUI puts in the place of one that is gone, as `/api/node_replacements` has it. It does so itself when a
/// prompt is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The node type that there is.
    pub class_type: String,
    /// The inputs of the old node type that a saved workflow keeps values of, in the order of those values.
    pub widgets: Vec<String>,
}

/// One node type: what it takes and what it gives.
#[derive(Debug, Clone)]
pub struct NodeType {
    /// The `class_type` that prompts use.
    pub class_type: String,
    /// The name that the page shows.
    pub display_name: String,
    /// Inputs in the order in which the page lays them out.
    pub inputs: Vec<InputSpec>,
    /// Type of each output, `COMBO` where ComfyUI lists choices.
    pub outputs: Vec<String>,
    /// Whether running this node gives a result that is kept or shown.
    pub output_node: bool,
}

/// One input of a node type.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// Its key under `inputs` in a prompt.
    pub name: String,
    /// `INT`, `MODEL`, `COMBO` and so on; several types are joined by commas, `*` takes anything.
    pub kind: String,
    /// The choices of a `COMBO`, in order; `None` where the input is no `COMBO`.
    pub choices: Option<Vec<Value>>,
    /// Everything else that ComfyUI says of it: `default`, `min`, `max`, `multiline`.
    pub options: Map<String, Value>,
    /// Whether a prompt may leave it out.
    pub optional: bool,
}

impl ObjectInfo {
    /// Reads the body of `/object_info`. What does not look like a node type is left out.
    pub fn from_json(body: &Value) -> Self {
        let nodes = body
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, node)| Some((name.clone(), NodeType::from_json(name, node)?)))
            .collect();
        Self { nodes, replacements: HashMap::new() }
    }

    /// Takes in the body of `/api/node_replacements`. ComfyUI uses the first replacement of a node type, if it has that one.
    pub fn set_replacements(&mut self, body: &Value) {
        let read = |(old, known): (&String, &Value)| {
            let first = known.get(0)?;
            let class_type = first.get("new_node_id")?.as_str()?.to_owned();
            let widgets = first.get("old_widget_ids").and_then(Value::as_array).into_iter().flatten();
            let widgets = widgets.map(|name| name.as_str().unwrap_or_default().to_owned()).collect();
            let is_there = self.nodes.contains_key(&class_type) && !self.nodes.contains_key(old);
            is_there.then(|| (old.clone(), Replacement { class_type, widgets }))
        };
        self.replacements = body.as_object().into_iter().flatten().filter_map(read).collect();
    }

    /// What stands in for a node type that is gone.
    pub fn replacement(&self, class_type: &str) -> Option<&Replacement> {
        self.replacements.get(class_type)
    }

    /// The node type of that name.
    pub fn get(&self, class_type: &str) -> Option<&NodeType> {
        self.nodes.get(class_type)
    }

    /// Whether ComfyUI runs nodes of that type, itself or as another one.
    pub fn runs(&self, class_type: &str) -> bool {
        self.get(class_type).is_some() || self.replacement(class_type).is_some()
    }

    /// All node types, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &NodeType> {
        self.nodes.values()
    }

    /// How many node types there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether ComfyUI named no node type at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl<'de> Deserialize<'de> for ObjectInfo {
    /// Reads the answer node type by node type, so that it never stands in memory as a whole.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Nodes;
        impl<'de> Visitor<'de> for Nodes {
            type Value = ObjectInfo;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("an object of node types")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ObjectInfo, A::Error> {
                let mut budget = Budget::of_values(MOST_VALUES);
                let mut nodes = HashMap::new();
                while let Some(name) = entries.next_key::<String>()? {
                    let node = entries.next_value_seed(Within(&mut budget))?;
                    if budget.exceeded {
                        return Err(serde::de::Error::custom(format!("it has more than {MOST_VALUES} values")));
                    }
                    if let Some(node) = node.and_then(|node| NodeType::from_json(&name, &node)) {
                        nodes.insert(name, node);
                    }
                }
                Ok(ObjectInfo { nodes, replacements: HashMap::new() })
            }
        }
        from.deserialize_map(Nodes)
    }
}

impl NodeType {
    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&InputSpec> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Whether its one list of choices is written by the user in the page: it is empty here, and gives what was chosen.
    pub(crate) fn lists_its_own_choices(&self) -> bool {
        let is_empty =
            |spec: &InputSpec| spec.choices.as_ref().is_some_and(Vec::is_empty) && spec.options.get("remote").is_none();
        matches!(self.inputs.as_slice(), [only] if is_empty(only))
            && self.outputs.first().is_some_and(|kind| kind == "STRING")
    }

    fn from_json(class_type: &str, node: &Value) -> Option<Self> {
        let input = node.get("input")?;
        let mut declared = specs(input.get("required"), false, "");
        for late in specs(input.get("optional"), true, "") {
            match declared.iter_mut().find(|spec| spec.name == late.name) {
                Some(known) => *known = late,
                None => declared.push(late),
            }
        }
        Some(Self {
            class_type: class_type.to_owned(),
            display_name: text(node.get("display_name")).unwrap_or_else(|| class_type.to_owned()),
            inputs: in_page_order(declared, node.get("input_order")),
            outputs: node
                .get("output")
                .and_then(Value::as_array)
                .map(|outputs| {
                    outputs.iter().map(|kind| text(Some(kind)).unwrap_or_else(|| "COMBO".to_owned())).collect()
                })
                .unwrap_or_default(),
            output_node: node.get("output_node").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

impl InputSpec {
    /// Reads `[type, options]`; `None` where it is no such pair.
    pub(crate) fn from_json(name: String, spec: &Value, optional: bool) -> Option<Self> {
        let spec = spec.as_array()?;
        let options = spec.get(1).and_then(Value::as_object).cloned().unwrap_or_default();
        let (kind, choices) = match spec.first()? {
            Value::Array(choices) => ("COMBO".to_owned(), Some(choices.clone())),
            Value::String(kind) if kind == "COMBO" => {
                let choices = options.get("options").and_then(Value::as_array).cloned().unwrap_or_default();
                ("COMBO".to_owned(), Some(choices))
            }
            Value::String(kind) => (kind.clone(), None),
            _ => ("UNKNOWN".to_owned(), None),
        };
        Some(Self { name, kind, choices, options, optional })
    }

    /// The inputs that a dynamic combo adds while `key` is chosen, named `combo.input`; empty where there is no such choice.
    pub(crate) fn inputs_of_choice(&self, key: &str) -> Vec<InputSpec> {
        let prefix = format!("{}.", self.name);
        let chosen = self.keyed_choices().find(|(name, _)| *name == key).and_then(|(_, option)| option.get("inputs"));
        chosen.map(|inputs| sections(inputs, &prefix)).unwrap_or_default()
    }

    /// The keys of a dynamic combo, in order.
    pub(crate) fn choice_keys(&self) -> Vec<&str> {
        self.keyed_choices().map(|(key, _)| key).collect()
    }

    fn keyed_choices(&self) -> impl Iterator<Item = (&str, &Value)> {
        let options = self.options.get("options").and_then(Value::as_array).into_iter().flatten();
        options.filter_map(|option| Some((option.get("key")?.as_str()?, option)))
    }

    /// Whether a true or non-empty flag of that name stands in the options, as a script would judge it.
    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.options.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(_) => true,
        }
    }

    /// A number among the options.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.options.get(name).and_then(Value::as_f64)
    }
}

/// The required and then the optional inputs of one `{required, optional}` object.
pub(crate) fn sections(inputs: &Value, prefix: &str) -> Vec<InputSpec> {
    let mut all = specs(inputs.get("required"), false, prefix);
    all.extend(specs(inputs.get("optional"), true, prefix));
    all
}

fn specs(section: Option<&Value>, optional: bool, prefix: &str) -> Vec<InputSpec> {
    let section = section.and_then(Value::as_object).into_iter().flatten();
    section.filter_map(|(name, spec)| InputSpec::from_json(format!("{prefix}{name}"), spec, optional)).collect()
}

/// The page sorts inputs by `input_order` (JSON objects have lost their order on some servers); the rest follows.
fn in_page_order(declared: Vec<InputSpec>, order: Option<&Value>) -> Vec<InputSpec> {
    let Some(order) = order.filter(|order| order.is_object()) else {
        return declared;
    };
    let mut waiting: Vec<Option<InputSpec>> = declared.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    for (section, optional) in [("required", false), ("optional", true)] {
        for name in order.get(section).and_then(Value::as_array).into_iter().flatten() {
            let is_it = |spec: &&mut Option<InputSpec>| {
                spec.as_ref().is_some_and(|spec| name == spec.name.as_str() && spec.optional == optional)
            };
            ordered.extend(waiting.iter_mut().find(is_it).and_then(Option::take));
        }
    }
    ordered.extend(waiting.into_iter().flatten());
    ordered
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(str::to_owned)
}
