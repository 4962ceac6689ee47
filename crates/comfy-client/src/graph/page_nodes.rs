//! Node types that exist in ComfyUI's page alone: its own, and those that the scripts of well-known packs add. ComfyUI never
//! lists them and a prompt never has them, installed or not.
//!
//! Sources: `web/js/setgetnodes.js` of ComfyUI-KJNodes, the set and get nodes of ComfyUI-Easy-Use, `web/comfyui/constants.js` of
//! rgthree-comfy, `web/note_plus.js` of comfy_mtb, `js/use_everywhere.js` of cg-use-everywhere.

use serde_json::{Map, Value};

use super::page::Kind;

/// What each of them does to the prompt.
const PAGE_NODES: &[(&str, Kind)] = &[
    ("Reroute", Kind::Reroute),
    ("Reroute (rgthree)", Kind::Reroute),
    ("PrimitiveNode", Kind::Primitive),
    ("SetNode", Kind::Setter),
    ("GetNode", Kind::Getter),
    ("easy setNode", Kind::Setter),
    ("easy getNode", Kind::Getter),
    ("Note", Kind::Ornament),
    ("MarkdownNote", Kind::Ornament),
    ("Note Plus (mtb)", Kind::Ornament),
    ("Label (rgthree)", Kind::Ornament),
    ("Bookmark (rgthree)", Kind::Ornament),
    ("easy bookmark", Kind::Ornament),
    ("Fast Muter (rgthree)", Kind::Ornament),
    ("Fast Bypasser (rgthree)", Kind::Ornament),
    ("Fast Groups Muter (rgthree)", Kind::Ornament),
    ("Fast Groups Bypasser (rgthree)", Kind::Ornament),
    ("Fast Actions Button (rgthree)", Kind::Ornament),
    ("Mute / Bypass Relay (rgthree)", Kind::Ornament),
    ("Mute / Bypass Repeater (rgthree)", Kind::Ornament),
    ("Node Collector (rgthree)", Kind::Ornament),
    ("Node Combiner (rgthree)", Kind::Ornament),
    ("Random Unmuter (rgthree)", Kind::Ornament),
    ("Anything Everywhere", Kind::Ornament),
    ("Anything Everywhere3", Kind::Ornament),
    ("Anything Everywhere?", Kind::Ornament),
    ("Prompts Everywhere", Kind::Ornament),
];

/// Node types whose page script makes an input of each saved value that is an object with that key, named with that prefix and
/// counted from 1.
const ROWS: &[(&str, &str, &str)] = &[("Power Lora Loader (rgthree)", "lora", "lora_")];

/// Values that page scripts keep for themselves, by name.
const VIEWS: &[&str] = &["videopreview"];

/// What a node type that ComfyUI does not list is to the page.
pub(super) fn kind_of(node_type: &str) -> Kind {
    PAGE_NODES.iter().find(|(name, _)| *name == node_type).map_or(Kind::Unknown, |(_, kind)| kind.clone())
}

/// Whether nodes of this type hand their inputs to other nodes when the page queues a prompt.
pub(super) fn links_when_queued(node_type: &str) -> bool {
    node_type.starts_with("Anything Everywhere") || node_type == "Prompts Everywhere" || node_type == "Seed Everywhere"
}

/// Moves the values that a page script makes inputs of out of `values`, by the name of their input.
pub(super) fn take_rows(node_type: &str, values: &mut Vec<Value>) -> Vec<(String, Value)> {
    let Some((_, key, prefix)) = ROWS.iter().find(|(name, ..)| *name == node_type) else { return Vec::new() };
    let rows = values.extract_if(.., |value| value.get(key).is_some());
    let named = rows.zip(1..).map(|(row, number)| (format!("{prefix}{number}"), row)).collect();
    // What is left is the script's own furniture: a header, spacers and a button.
    values.clear();
    named
}

/// Whether a value that no input takes means nothing outside of the page.
pub(super) fn is_view(name: &str, value: &Value) -> bool {
    VIEWS.contains(&name) || is_void(value)
}

/// Whether a saved value says nothing.
pub(super) fn is_void(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The inputs that an input's present choice brings, as VideoHelperSuite describes those of a video format: name and default.
pub(super) fn inputs_of_format(options: &Map<String, Value>, chosen: &str) -> Vec<(String, Option<Value>)> {
    let inputs = options.get("formats").and_then(|formats| formats.get(chosen)).and_then(Value::as_array);
    let read = |input: &Value| {
        let name = input.get(0)?.as_str()?.to_owned();
        let default = input.get(2).and_then(|options| options.get("default"));
        let first = input.get(1).and_then(Value::as_array).and_then(|choices| choices.first());
        Some((name, default.or(first).cloned()))
    };
    inputs.into_iter().flatten().filter_map(read).collect()
}
